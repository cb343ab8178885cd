"""Devices are listed and revoked from the command line, on the keys that a station uses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.cli.devices import approve, list_devices, revoke
from edge.errors import StorageError, UsageError
from phone_bridge.access import Access


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "nearsight.toml"
    file.write_text(f"[serve]\nstate = {json.dumps(str(tmp_path / 'state'))}\n")
    return file


def paired(tmp_path: Path, wearer: str, role: str) -> tuple[str, str]:
    access = Access(tmp_path / "state")
    access.open()
    device, key = access.pair(access.invite(role, wearer), f"{wearer}'s phone")
    return device.id, key


def test_they_are_listed_and_revoked(tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list_devices(None, config, as_json=False)
    assert capsys.readouterr().out == "no device is paired\n"
    (ada, key), (grace, _) = paired(tmp_path, "ada", "owner"), paired(tmp_path, "grace", "wearer")
    list_devices(None, config, as_json=True)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["device"], row["wearer"], row["role"]) for row in rows] == [(ada, "ada", "owner"), (grace, "grace", "wearer")]
    assert not any(key in str(row) or "sha256" in str(row) for row in rows)
    revoke([ada], None, config, as_json=False)
    list_devices(None, config, as_json=False)
    said = capsys.readouterr().out
    assert "ada's phone of ada is revoked" in said and said.splitlines()[-1].startswith(grace)
    with pytest.raises(UsageError, match="no device"):
        revoke([ada], None, config, as_json=False)


def test_one_that_waits_is_listed_and_let_in(tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    station = Access(tmp_path / "state")
    code = station.knock("its claim", "a box")
    list_devices(None, config, as_json=False)
    assert f"nearsight devices approve {code}   a box" in capsys.readouterr().out
    approve(code, "ada", None, config, as_json=True)
    row = json.loads(capsys.readouterr().out)
    assert (row["name"], row["wearer"]) == ("a box", "ada")
    station.sync()
    admitted = station.admitted("its claim")
    assert admitted is not None and admitted[0].id == row["device"]
    assert station.check(admitted[1]) == station.device(row["device"])
    with pytest.raises(UsageError, match="no device waits"):
        approve(code, "ada", None, config, as_json=False)


def test_a_damaged_file_is_told(tmp_path: Path, config: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "keys.json").write_text("{")
    with pytest.raises(StorageError, match=r"keys\.json"):
        list_devices(None, config, as_json=False)
