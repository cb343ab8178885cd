"""``doctor``: what this machine has, what the profile needs, and how to mend what is missing."""

from __future__ import annotations

from pathlib import Path

from edge import app
from edge import doctor as checks
from edge.cli.output import Output
from edge.doctor_packages import Check
from edge.errors import NearsightError

SPOKEN = ("recogniser", "language_model", "vision_language", "segmenter", "translator", "voice")
"""The models that somebody waits for: their speed is told."""


class Unwell(NearsightError):
    """Something that the profile needs is not right."""

    code = "unwell"


def doctor(profile: str | None, file: Path | None, *, as_json: bool) -> None:
    """Prints a line for every check. Raises Unwell when the profile needs something that is not right."""
    config = app.load_config(profile, file)
    known = app.catalogue()
    rows = [known.status(name) for name in dict.fromkeys(app.models_of(config))]
    shares, too_much = app.memory_plan(config)
    needed = app.models_of(config, needed=True)
    models = [
        checks.ModelStatus(row.entry.name, row.state.value, row.bytes / 1e6 or row.entry.download_mb, row.entry.name in needed)
        for row in rows
    ]
    drawn = config.segmenter.model if config.segmenter.engine == "sam2-onnx" else ""
    speeds = {row.entry.name: row.entry.speed for row in rows if row.entry.task in SPOKEN}
    lines = (
        *checks.examine(config, known.cache, models, app.opus()),
        *([checks.exported(drawn, app.export_folder(drawn))] if drawn else ()),
        checks.budget(too_much, [(one.model, one.megabytes, one.measured) for one in shares]),
        *(checks.speed(name, said) for name, said in speeds.items()),
    )
    output = Output(as_json=as_json)
    width = max(len(check.name) for check in lines)
    for check in lines:
        output.line(check.as_json(), _for_people(check, width))
    bad = [check.name for check in lines if check.needed and not check.ok]
    if bad:
        raise Unwell(f"the profile {config.profile} needs mending: {', '.join(bad)}")


def _for_people(check: Check, width: int) -> str:
    mark = "ok  " if check.ok else "MEND" if check.needed else "--  "
    line = f"{mark}  {check.name:<{width}}  {check.detail}"
    return line if check.ok or not check.needed else f"{line}\n      {'':<{width}}  -> {check.mend}"
