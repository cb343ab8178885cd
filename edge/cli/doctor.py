"""``doctor``: what this machine has, what the profile needs, and how to mend what is missing."""

from __future__ import annotations

from pathlib import Path

from edge import app
from edge import doctor as checks
from edge.cli.output import Output
from edge.errors import NearsightError


class Unwell(NearsightError):
    """Something that the profile needs is not right."""

    code = "unwell"


def doctor(profile: str | None, file: Path | None, *, as_json: bool) -> None:
    """Prints a line for every check. Raises Unwell when the profile needs something that is not right."""
    config = app.load_config(profile, file)
    known = app.catalogue()
    rows = [known.status(name) for name in dict.fromkeys(app.models_of(config))]
    needed = app.models_of(config, needed=True)
    models = [
        checks.ModelStatus(row.entry.name, row.state.value, row.bytes / 1e6 or row.entry.download_mb, row.entry.name in needed)
        for row in rows
    ]
    lines = checks.examine(config, known.cache, models, app.opus())
    output = Output(as_json=as_json)
    width = max(len(check.name) for check in lines)
    for check in lines:
        output.line(check.as_json(), _for_people(check, width))
    bad = [check.name for check in lines if check.needed and not check.ok]
    if bad:
        raise Unwell(f"the profile {config.profile} needs mending: {', '.join(bad)}")


def _for_people(check: checks.Check, width: int) -> str:
    mark = "ok  " if check.ok else "MEND" if check.needed else "--  "
    line = f"{mark}  {check.name:<{width}}  {check.detail}"
    return line if check.ok or not check.needed else f"{line}\n      {'':<{width}}  -> {check.mend}"
