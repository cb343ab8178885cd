"""``models list|pull|verify|add``."""

from __future__ import annotations

import sys
from pathlib import Path

from edge import app
from edge.cli.output import Output
from edge.config import Config
from edge.errors import ModelMissing, NearsightError, UsageError


def list_models(profile: str | None, *, as_json: bool) -> None:
    """Every model of the catalogue: what is here, and what the profile needs."""
    config = app.load_config(profile)
    needed = set(app.models_of(config))
    output = Output(as_json=as_json)
    for row in app.catalogue().rows():
        entry = row.entry
        size = sum(file.bytes or 0 for file in entry.files)
        output.line(
            {
                "model": entry.name,
                "state": row.state.value,
                "needed": entry.name in needed,
                "task": entry.task,
                "bytes": size or None,
                "licence": entry.licence,
                "source": entry.source,
            },
            f"{'*' if entry.name in needed else ' '} {entry.name:<32} {row.state.value:<10} {_megabytes(size):>9}  "
            f"{entry.task:<16} {entry.licence}",
        )
    if not as_json:
        print(f"\n* needed by the profile {config.profile}")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size else "? MB"


def pull(names: list[str], profile: str | None, *, as_json: bool, quiet: bool = False) -> None:
    """Fetches models by name, or those that a profile needs. One failure does not keep the others back."""
    wanted = [*names, *(app.models_of(app.load_config(profile)) if profile is not None or not names else ())]
    output = Output(as_json=as_json)
    failed: list[NearsightError] = []
    for name in dict.fromkeys(wanted):
        try:
            path = _pull_one(name)
        except UsageError:
            raise
        except NearsightError as error:
            failed.append(error)
            continue
        if not quiet:
            output.line({"model": name, "path": str(path)}, f"{name}: {path}")
    if failed:
        for earlier in failed[:-1]:
            print(f"nearsight: {earlier.text}", file=sys.stderr)
        raise failed[-1]


def _pull_one(name: str) -> Path:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        path: Path = app.pull_model(name, lambda done, total: bar.update(task, completed=done, total=total or None))
        return path


def verify(names: list[str], *, as_json: bool) -> None:
    """Hashes models afresh; a wrong file is deleted and named."""
    output = Output(as_json=as_json)
    rows = app.catalogue().rows()
    here = [row.entry.name for row in rows if row.state.value != "missing"]
    failed: NearsightError | None = None
    for name in names or here:
        try:
            app.verify_model(name)
            output.line({"model": name, "ok": True}, f"{name}: ok")
        except NearsightError as error:
            failed = error
            output.line({"model": name, "ok": False, "why": error.text}, f"{name}: {error.text}")
    if failed is not None:
        raise failed


def add(path: Path, name: str, *, as_json: bool) -> None:
    """Takes a model file from this machine."""
    placed = app.add_model(path, name)
    Output(as_json=as_json).line({"model": name, "path": str(placed)}, f"{name}: {placed}")


def ensure(config: Config, *, as_json: bool) -> None:
    """Fetches the models that a configuration needs and this machine lacks."""
    try:
        for name in app.models_of(config):
            app.model_path(name)
    except ModelMissing:
        pull([], config.profile, as_json=as_json, quiet=as_json)
