"""``nearsight models`` and what a profile says of models, against a hub on loopback."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from edge import app
from edge.errors import OutOfMemory
from models.catalog import Catalogue
from models.machine import Machine
from models.profiles import load_profile
from tests.cli.command import Command
from tests.models.hub import Hub, serving

pytestmark = pytest.mark.real_time

PROFILE = "phone"


def content(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest() * 100


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Holds every model of a profile, a few kilobytes each, and an owner's catalogue that tells their hashes or none."""
    shipped = Catalogue.load(Path(app.__file__).parents[2] / "models" / "catalog.toml", tmp_path)
    named = [table["model"] for table in load_profile(PROFILE).values() if isinstance(table, dict) and "model" in table]
    rows, files = [], {}
    for entry in (shipped.entries[name] for name in dict.fromkeys(named) if name in shipped.entries):
        row: dict[str, Any] = {
            "name": entry.name,
            "task": entry.task,
            "licence": entry.licence,
            "terms": entry.terms,
            "memory_mb": 10,
        }
        row["file"] = [{"name": file.name} for file in entry.files]
        for file, told in zip(entry.files, row["file"], strict=True):
            data = content(file.name)
            files[f"ada/{entry.name}/{file.name}"] = data
            if entry.name != "llama-3.2-1b-instruct":
                told |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        rows.append({**row, "source": f"hf:ada/{entry.name}"})
    (tmp_path / "catalog.toml").write_text(tomli_w.dumps({"model": rows}))
    monkeypatch.setenv("NEARSIGHT_CATALOG", str(tmp_path / "catalog.toml"))
    monkeypatch.setenv("NEARSIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("HF_TOKEN", "http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(Hub(files)) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        yield served


def test_a_profile_is_pulled_listed_verified_carried_and_removed(nearsight: Command, hub: Hub, tmp_path: Path) -> None:
    first = nearsight("models", "pull", "--profile", PROFILE, "--json")
    assert first.status == 1 and len(first.err.strip().splitlines()) == 1, "one model wants a word, the others come"
    assert "llama-3.2-1b-instruct: its licence is Llama 3.2 Community" in first.err
    assert "--accept-licence" in first.err and "--trust latest" in first.err
    second = nearsight("models", "pull", "llama-3.2-1b-instruct", "--accept-licence")
    assert second.status == 1 and "--trust latest" in second.err
    done = nearsight("models", "pull", "--profile", PROFILE, "--accept-licence", "--trust", "latest", "--json")
    assert done.status == 0 and len(done.rows) == len({row["model"] for row in first.rows}) + 1
    assert all(Path(row["path"]).read_bytes() == content(Path(row["path"]).name) for row in done.rows)
    states = {row["model"]: row for row in nearsight("models", "list", "--profile", PROFILE, "--json").rows}
    assert states["faster-whisper-base"]["state"] == "installed" and states["llama-3.2-1b-instruct"]["state"] == "trusted"
    assert states["faster-whisper-base"]["needed"] and states["faster-whisper-base"]["fits"]
    assert states["qwen3-vl-8b-instruct"]["fits"] is None and not states["qwen3-vl-8b-instruct"]["needed"]
    assert nearsight("models", "verify").status == 0
    stick = tmp_path / "stick.tar"
    packed = nearsight("models", "bundle", stick, "--profile", PROFILE, "--json")
    assert packed.status == 0 and packed.rows[0]["bytes"] == stick.stat().st_size
    gone = nearsight("models", "remove", *packed.rows[0]["models"], "--json")
    assert gone.status == 0 and sum(row["freed"] for row in gone.rows) > 0
    assert nearsight("models", "verify", "faster-whisper-base").status == 1
    asked = len(hub.asked)
    added = nearsight("models", "add", stick, "--json")
    assert added.status == 0 and {row["model"] for row in added.rows} == set(packed.rows[0]["models"])
    assert nearsight("models", "verify").status == 0 and len(hub.asked) == asked, "without a network"


def test_what_a_damaged_file_and_a_lost_hub_say(nearsight: Command, hub: Hub, tmp_path: Path) -> None:
    assert nearsight("models", "pull", "faster-whisper-base", "--json").status == 0
    path = tmp_path / "cache" / "models" / "faster-whisper-base" / "model.bin"
    path.write_bytes(content("another"))
    outcome = nearsight("models", "verify", "faster-whisper-base", "--json")
    assert outcome.status == 1 and outcome.rows[0]["ok"] is False and "was deleted" in outcome.err
    hub.files.clear()
    outcome = nearsight("models", "pull", "faster-whisper-base")
    assert outcome.status == 1 and "answers 404" in outcome.err and len(outcome.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("remove", "faster-whisper-bass"), 2, "did you mean 'faster-whisper-base'"),
        (("add", "none.gguf", "--name", "smollm2-135m-instruct"), 1, "no such file"),
        (("add", __file__), 2, "is no bundle: say with --name"),
        (("bundle", "x.tar", "faster-whisper-base"), 1, "not installed: run nearsight models pull faster-whisper-base"),
        (("pull", "llama-3.2-1b-instruct", "--accept-licence", "--trust", "main"), 2, "forty digits, or latest"),
    ],
)
def test_one_line_says_what_is_wrong(nearsight: Command, hub: Hub, words: tuple[str, ...], status: int, says: str) -> None:
    outcome = nearsight("models", *words)
    assert outcome.status == status and says in outcome.err and not outcome.out
    assert len(outcome.err.strip().splitlines()) == 1


def test_a_catalogue_with_an_error_stops_every_command_in_one_line(
    nearsight: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[[model]]\nname = "x"\ntask = "voice"\nsource = "file:x"\nlicence = "MIT"\nsize = 3\n[[model.file]]\nname = "x.onnx"\n'
    )
    monkeypatch.setenv("NEARSIGHT_CATALOG", str(own))
    outcome = nearsight("models", "list")
    assert outcome.status == 2 and "own.toml: model 1 (x): unknown key 'size'" in outcome.err


def test_the_profile_auto_is_explained_in_one_line(nearsight: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.machine.this_machine", lambda gpu=True: Machine(2_000, 1_500, cores=4))
    outcome = nearsight("models", "list", "--profile", "auto")
    assert outcome.status == 0 and "needed by the profile bundled" in outcome.out
    assert outcome.err == "nearsight: profile bundled: 2.0 GB of memory, 4 cores, no GPU: phone asks for 4.5 GB and 4 cores\n"


def test_the_doctor_says_what_does_not_fit_and_how_fast_it_may_be(nearsight: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.machine.this_machine", lambda gpu=True: Machine(2_000, 1_500, cores=4))
    checks = {row["check"]: row for row in nearsight("doctor", "--profile", PROFILE, "--json").rows}
    assert not checks["memory budget"]["ok"] and "1,500 are free" in checks["memory budget"]["detail"]
    assert "not measured" in checks["speed llama-3.2-1b-instruct"]["detail"]
    assert "Picovoice" in checks["speed faster-whisper-base"]["detail"]
    assert not checks["model sam2.1-hiera-tiny-512"]["ok"]


def test_what_does_not_fit_is_refused_before_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    none = {port: {"engine": "none"} for port in app.ENGINES}
    config = app.load_config(None, None, none)
    monkeypatch.setattr(
        "edge.app.engines.memory_plan", lambda config, only=None: ((), "9,000 MB of memory are needed and 1,500 are free")
    )
    with pytest.raises(OutOfMemory, match="the profile bundled does not fit: 9,000 MB"):
        app.build_engines(config)


def test_an_owner_who_knows_better_sets_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.machine.this_machine", lambda gpu=True: Machine(2_000, 500, cores=4))
    _, too_much = app.memory_plan(app.load_config())
    assert "500 are free" in too_much
    _, too_much = app.memory_plan(app.load_config(None, None, {"memory_budget_mb": 4_000.0}))
    assert too_much == ""
    step = app.degrade(app.load_config(PROFILE), "recogniser")
    assert step is not None and step[0].recogniser.engine == "pocketsphinx" and "going on with pocketsphinx" in step[1]
