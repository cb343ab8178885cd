"""What a watch keeps of an event: a folder with its clip, a contact sheet, and what happened in words and as JSON.

Nothing else is ever written. Folders are named by time, so that their order is their age; the oldest go first when all of
them together pass the quota or their time, and never one that is still being written.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.config import WatchConfig
from edge.errors import StorageError
from edge.policy.watching import Look
from edge.tracks import WatchRule

CLIP = "clip.mp4"
SHEET = "sheet.jpg"
REPORT = "report.md"
FACTS = "event.json"
_NAMED = "????????T??????Z-*"
"""How an event's folder is named: nothing else is ever deleted."""


def event_folder(config: WatchConfig) -> Path:
    """Gives where events are kept: as configured, or ``nearsight/events`` in the user's state folder."""
    if config.folder:
        return Path(config.folder).expanduser()
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state") / "nearsight" / "events"


def make(folder: Path, wall: datetime, number: int) -> Path:
    """Makes the folder of one event of watch ``number``. Raises StorageError."""
    name = f"{wall.astimezone(UTC):%Y%m%dT%H%M%SZ}-{number}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for again in range(1, 1000):
            path = folder / (name if again == 1 else f"{name}-{again}")
            if not path.exists():
                path.mkdir(mode=0o700)
                return path
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written: {error.strerror or error}") from error
    raise StorageError(f"{folder}: too many events of one second")


def write(folder: Path, facts: Mapping[str, Any]) -> None:
    """Writes what happened, for machines and for people. Raises StorageError."""
    try:
        (folder / FACTS).write_text(json.dumps(facts, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
        (folder / REPORT).write_text(report(facts), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written: {error.strerror or error}") from error


def report(facts: Mapping[str, Any]) -> str:
    """Gives an event's report as Markdown."""
    rule, files = facts["rule"], facts["files"]
    sure = "sure" if facts["sure"] else "not sure"
    lines = [
        f"# {facts['text']}",
        "",
        f"- When: {facts['time_utc']} UTC, {facts['media_s']:.1f} s into the session",
        f"- Watch {facts['watch']}: {rule['words'] or rule['what']}",
        f"- Certainty: {sure}" + (f" (asked to confirm: {facts['confirmed']})" if facts["confirmed"] else ""),
    ]
    if facts["box"]:
        lines.append(f"- Where: box {', '.join(f'{side:g}' for side in facts['box'])} (left, top, right, bottom, in pixels)")
    if facts["again"]:
        lines += [
            "- Again within the same event:",
            *(f"  - {item['media_s']:.1f} s: {item['text']}" for item in facts["again"]),
        ]
    if facts["models"]:
        lines.append("- Engines: " + "; ".join(f"{port} {name}" for port, name in facts["models"].items()))
    lines += [f"- {kind.capitalize()}: [{name}]({name})" for kind, name in files.items()]
    lines += ["", facts["report"], ""]
    if facts["tracks"]:
        lines += ["| media time, s | thing | state | box | sure |", "|---|---|---|---|---|"]
        for item in facts["tracks"]:
            box = ", ".join(f"{side:g}" for side in item["box"])
            lines.append(
                f"| {item['media_s']:.2f} | {item['name']} | {item['state']} | {box} | {'yes' if item['sure'] else 'no'} |"
            )
        lines.append("")
    return "\n".join(lines)


def tidy(folder: Path, config: WatchConfig, now: datetime, keep: Collection[Path]) -> int:
    """Deletes events that are too old, then the oldest until the rest fits the quota; gives how many. Raises nothing.

    Those in ``keep`` stay: they are being written.
    """
    events = sorted(path for path in folder.glob(_NAMED) if path.is_dir() and not path.is_symlink())
    sizes = {path: _size(path) for path in events}
    total = sum(sizes.values())
    oldest = f"{datetime.fromtimestamp(now.timestamp() - config.retain_days * 86_400, UTC):%Y%m%dT%H%M%SZ}"
    deleted = 0
    for path in events:
        if path in keep or (path.name >= oldest and total <= config.quota_mb * 1e6):
            continue
        shutil.rmtree(path, ignore_errors=True)
        total -= sizes[path]
        deleted += 1
    return deleted


def _size(folder: Path) -> int:
    try:
        return sum(entry.stat(follow_symlinks=False).st_size for entry in os.scandir(folder))
    except OSError:
        return 0


def evidence(rule: WatchRule, look: Look) -> list[dict[str, Any]]:
    """What tracker or detector say of the rule's thing in one picture."""
    seconds = round(look.t_ns / 1e9, 2)
    if rule.object_id is not None:
        tracks = [track for track in look.tracks if track.object_id == rule.object_id]
        return [
            {"media_s": seconds, "name": rule.label, "state": one.state.value, "box": one.box.corners(3), "sure": one.sure}
            for one in tracks
        ]
    found = [thing for thing in look.detections or () if thing.label == rule.label]
    return [
        {"media_s": seconds, "name": one.label, "state": f"seen, {one.score:.2f}", "box": one.box.corners(3), "sure": True}
        for one in found[:3]
    ]
