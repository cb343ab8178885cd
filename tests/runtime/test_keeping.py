"""What a watch keeps: folders named by time, a quota, and nothing else touched."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from edge.config import WatchConfig
from edge.runtime import keeping
from tests.runtime.test_watching import BEGAN


async def test_quota_takes_the_oldest_and_never_what_is_being_written(tmp_path: Path) -> None:
    root = tmp_path / "events"
    config = WatchConfig(quota_mb=0.003, retain_days=3.0)
    made = []
    for days in (9, 2, 1):
        folder = keeping.make(root, BEGAN - timedelta(days=days), 1)
        (folder / "clip.mp4").write_bytes(bytes(2000))
        made.append(folder)
    (root / "mine").mkdir()
    (root / "20260101T000000Z-notes.txt").write_text("mine too")
    assert keeping.tidy(root, config, BEGAN, {made[1]}) == 2
    assert sorted(path.name for path in root.iterdir()) == ["20260101T000000Z-notes.txt", made[1].name, "mine"]
    assert keeping.tidy(root, config, BEGAN, ()) == 0


def test_folders_of_one_second_are_told_apart(tmp_path: Path) -> None:
    one, two = keeping.make(tmp_path, BEGAN, 3), keeping.make(tmp_path, BEGAN, 3)
    assert (one.name, two.name) == ("20261122T162000Z-3", "20261122T162000Z-3-2")
    assert one.stat().st_mode & 0o077 == 0


def test_events_lie_in_the_state_folder_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert keeping.event_folder(WatchConfig()) == tmp_path / "nearsight" / "events"
    assert keeping.event_folder(WatchConfig(folder="here")) == Path("here")
