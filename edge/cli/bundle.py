"""``replay`` and ``report``: what can be done with a session bundle."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from edge import app
from edge.bundle import Bundle, read_bundle
from edge.cli.output import Output
from edge.config import RecordingConfig, parse
from edge.household import session
from edge.ports import Link
from edge.runtime import virtual

TOLD = ("transcript", "skill", "answer")
"""What a replay compares with the recording; what was heard depends on how fast the engines were on that day."""


def replay(bundle: Path, out: Path | None, *, as_json: bool) -> None:
    """Runs a bundle through the runtime in virtual time; two replays give the same events."""
    recorded = read_bundle(bundle)
    link = app.bundle_link(bundle, out)
    output = Output(as_json=as_json)
    virtual.run(_replay(recorded, link, output))
    before = [event for event in recorded.events if event.get("event") == "turn"]
    after = [turn.as_json() for turn in output.turns]
    for line in differences(before, after):
        print(line, file=sys.stderr)


async def _replay(recorded: Bundle, link: Link, output: Output) -> None:
    config = replace(parse(recorded.config), recording=RecordingConfig())
    async with session(config, link, emit=output.event, wall_time=_wall_time(recorded)) as served:
        await served.over()


def _wall_time(recorded: Bundle) -> Callable[[], datetime]:
    """The recording's own time of day, going on with the session's clock."""
    import asyncio

    text = recorded.versions.get("engines", {}).get("started", "")
    started = datetime.fromisoformat(text) if text else datetime.fromisoformat("2000-01-01T00:00:00+00:00")
    return lambda: started + timedelta(seconds=asyncio.get_running_loop().time())


def differences(before: list[Mapping[str, Any]], after: list[dict[str, Any]]) -> list[str]:
    """Says how the turns of a replay differ from those that were recorded, a line each."""
    lines = []
    if len(before) != len(after):
        lines.append(f"replay: {len(after)} turns, {len(before)} were recorded")
    for number, (one, two) in enumerate(zip(before, after, strict=False), 1):
        for key in TOLD:
            if one.get(key) != two.get(key):
                lines.append(f"replay: turn {number}: {key} is {two.get(key)!r}, {one.get(key)!r} was recorded")
    return lines or [f"replay: {len(after)} turns, transcripts, skills and answers as recorded"]


def report(bundle: Path, out: Path | None) -> None:
    """Writes the HTML page and says where."""
    from edge.report import write_report

    target = out or bundle / "report.html"
    write_report(bundle, target)
    print(target)
