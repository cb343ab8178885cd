"""``models list|pull|verify|add``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from edge import app
from edge.cli.output import Output
from edge.config import Config
from edge.errors import ModelMissing, NearsightError, UsageError


@dataclass(frozen=True, slots=True)
class Source:
    """Where an exported network's weights come from."""

    checkpoint: Path | None = None
    random: int | None = None
    """A seed."""


@dataclass(frozen=True, slots=True)
class Smaller:
    """Which smaller numbers an export tries, and the pictures that decide on them."""

    half: bool = False
    int8: bool = False
    gate: Path | None = None
    """A video or a folder of pictures."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """Their names in the manifest."""
        return tuple(name for name, wanted in (("fp16", self.half), ("int8", self.int8)) if wanted)


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
    """Fetches models by name, or those of a profile.

    One failure does not keep the others back; where a session can do without the model it is told, and no failure.
    """
    config = app.load_config(profile) if profile is not None or not names else None
    wanted = [*names, *(app.models_of(config) if config is not None else ())]
    spare = set(app.models_of(config)) - {*app.models_of(config, needed=True), *names} if config is not None else set()
    output = Output(as_json=as_json)
    failed: list[NearsightError] = []
    for name in dict.fromkeys(wanted):
        try:
            path = _pull_one(name)
        except UsageError:
            raise
        except NearsightError as error:
            if name in spare:
                print(f"nearsight: {error.text} (left out: the profile works without)", file=sys.stderr)
            else:
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
        for name in app.models_of(config, needed=True):
            app.model_path(name)
    except ModelMissing:
        pull([], config.profile, as_json=as_json, quiet=as_json)


def export(name: str, size: int, source: Source, out: Path | None, smaller: Smaller, *, as_json: bool) -> None:
    """Writes a SAM 2.1 network as ONNX graphs."""
    said = (lambda line: None) if as_json else (lambda line: print(line, file=sys.stderr))
    done = app.export_model(
        name,
        size,
        out=out,
        checkpoint=source.checkpoint,
        seed=source.random,
        smaller=smaller.precisions,
        gate=smaller.gate,
        progress=said,
    )
    files = {one.file: one.bytes for files in done.manifest.graphs.values() for one in files.values()}
    row = {
        "model": done.manifest.model,
        "size": size,
        "path": str(done.folder),
        "bytes": sum(files.values()),
        "parity": dict(done.manifest.parity),
        "gates": {precision: {"iou": gate.iou, "kept": gate.kept} for precision, gate in done.manifest.gates.items()},
    }
    lines = [f"{done.manifest.model}@{size}: {done.folder} ({_megabytes(sum(files.values()))})"]
    lines += [f"  {graph:<18} differs from torch by {difference:.1e}" for graph, difference in done.manifest.parity.items()]
    lines += [f"  {precision}: mean mask IoU with fp32 {gate.iou:.4f}" for precision, gate in done.manifest.gates.items()]
    Output(as_json=as_json).line(row, "\n".join(lines))
    done.check()
