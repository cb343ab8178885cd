"""``models list|pull|verify|add|bundle|remove|export``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge import app
from edge.cli.output import Output
from edge.config import Config
from edge.errors import LanguageMissing, ModelMissing, NearsightError, UsageError
from edge.policy.languages import name_of, suggested, tag_of


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


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was said on the command line, before anybody could be asked."""

    trust: str = ""
    """``latest``, or a commit."""
    licence: bool = False


NOTHING = Agreed()


def list_models(profile: str | None, *, as_json: bool) -> None:
    """Every model of the catalogue: what is here, what the profile needs, what the memory of this machine holds."""
    config = app.load_config(profile)
    needed = set(app.models_of(config))
    found = app.machine()
    most = max(found.memory_mb, found.gpu_mb)
    output = Output(as_json=as_json)
    for row in app.catalogue().rows():
        entry = row.entry
        fits = entry.memory_mb <= most if entry.memory_mb else None
        output.line(
            {
                "model": entry.name,
                "state": row.state.value,
                "needed": entry.name in needed,
                "task": entry.task,
                "bytes": entry.bytes or None,
                "memory_mb": entry.memory_mb or None,
                "fits": fits,
                "licence": entry.licence,
                "permissive": entry.permissive,
                "pinned": entry.pinned,
                "languages": list(entry.languages),
                "pairs": list(entry.pairs),
                "source": entry.source,
            },
            f"{'*' if entry.name in needed else ' '} {entry.name:<33} {row.state.value:<10} {_megabytes(entry.bytes):>10}  "
            f"{'too large' if fits is False else '':<9} {entry.task:<16} {_for(entry)}{entry.licence}",
        )
    for name, made in app.exported_models():
        size = sum(file.bytes for files in made.graphs.values() for file in files.values())
        source = f"export:{made.source.get('file') or 'random weights'}"
        row = {"model": name, "state": "exported", "needed": name == config.segmenter.model, "task": "segmenter", "bytes": size}
        mark = "*" if row["needed"] else " "
        output.line({**row, "source": source}, f"{mark} {name:<33} {'exported':<10} {_megabytes(size):>10}  {'':<9} {source}")
    if not as_json:
        print(f"\n* needed by the profile {config.profile}; {most / 1e3:.1f} GB of memory here")


def _for(entry: Any) -> str:
    """Tells of a translator between which languages."""
    if entry.task != "translator":
        return ""
    many = f"{len(entry.languages)} languages" if entry.languages else "languages not known"
    many = "many languages" if "mul" in entry.languages else many
    return f"{', '.join(entry.pairs) or many}  "


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size else "? MB"


def pull(names: list[str], profile: str | None, agreed: Agreed = NOTHING, *, as_json: bool, quiet: bool = False) -> None:
    """Fetches models by name, or those of a profile.

    One failure does not keep the others back; one of the profile's that a session can do without is no failure, and told.
    """
    config = app.load_config(profile) if profile is not None or not names else None
    wanted = [*names, *(app.models_of(config) if config is not None else ())]
    spare = set(app.models_of(config)) - {*app.models_of(config, needed=True), *names} if config is not None else set()
    output = Output(as_json=as_json)
    failed: list[NearsightError] = []
    agreed = _asked(list(dict.fromkeys(wanted)), agreed, as_json=as_json)
    for name in dict.fromkeys(wanted):
        try:
            path = _pull_one(name, agreed)
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


APERTIUM = "apertium"
MODELS = "ctranslate2"


def pull_pair(pair: str, engine: str, agreed: Agreed = NOTHING, *, as_json: bool) -> None:
    """Fetches what translates between two languages; without ``engine`` it names Debian's package where there is one."""
    source, target = languages_of(pair)
    offer = app.catalogue().offer(source, target)
    if engine not in ("", APERTIUM, MODELS):
        raise UsageError(f"--engine: {engine!r} is none of {APERTIUM}, {MODELS}")
    names = [] if engine == APERTIUM else list(offer.models)
    if engine == APERTIUM and not offer.debian or engine == MODELS and not names:
        other = f"--engine {MODELS if engine == APERTIUM else APERTIUM}"
        raise LanguageMissing(f"{pair}: nothing for {engine}: say {other}")
    output = Output(as_json=as_json)
    entries = [app.catalogue().find(name) for name in names]
    size = sum(entry.bytes for entry in entries)
    if offer.debian and engine != MODELS:
        instead = f"; a network of {_megabytes(size)} instead: --engine {MODELS}" if names else ""
        row = {"pair": f"{offer.source}-{offer.target}", "engine": APERTIUM, "debian": offer.debian, "here": offer.debian_here}
        how = f"is here ({offer.debian})" if offer.debian_here else f"has it: sudo apt-get install {offer.debian}"
        output.line(row, f"{pair}: Debian's Apertium {how}{instead}")
        return
    what = ", ".join(f"{entry.name} {_megabytes(entry.bytes)}" for entry in entries)
    through = f" through {name_of(offer.through)}" if offer.through else ""
    print(f"nearsight: {pair}{through}: {what}", file=sys.stderr)
    pull(names, None, agreed, as_json=as_json)
    key = f"packs = {names}".replace("'", '"') if all(entry.pairs for entry in entries) else f'model = "{names[0]}"'
    print(f'nearsight: in the configuration: [translator] engine = "{MODELS}", {key}', file=sys.stderr)


def languages_of(pair: str) -> tuple[str, str]:
    """Gives the tags of ``es-en``, ``spanish-english`` or ``pt-BR:zh-TW``. Raises UsageError, LanguageMissing."""
    source, colon, target = pair.partition(":" if ":" in pair else "-")
    if not (source and colon and target) or (":" not in pair and "-" in target):
        raise UsageError(f"--translate: {pair!r} is no pair of languages: it looks like es-en, or pt-BR:zh-TW")
    for name in (source, target):
        if not tag_of(name) and suggested(name):
            raise LanguageMissing(f"unknown language {name!r}: did you mean {suggested(name)!r}?")
    return tag_of(source) or source, tag_of(target) or target


def _asked(names: list[str], agreed: Agreed, *, as_json: bool) -> Agreed:
    """Asks once for all that must be agreed to, where somebody sits there; a script says it with options instead."""
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()) or (agreed.trust and agreed.licence):
        return agreed
    open_questions = [line for name in names for line in app.questions(name)]
    if not open_questions:
        return agreed
    for line in open_questions:
        print(line, file=sys.stderr)
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        return agreed
    return Agreed(agreed.trust or "latest", True)


def _pull_one(name: str, agreed: Agreed) -> Path:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        path: Path = app.pull_model(
            name,
            lambda done, total: bar.update(task, completed=done, total=total or None),
            trust=agreed.trust,
            licence=agreed.licence,
        )
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


def add(path: Path, name: str, task: str, *, as_json: bool) -> None:
    """Takes a model file, a folder or a bundle from this machine."""
    output = Output(as_json=as_json)
    for model, placed in app.add_model(path, name, task).items():
        output.line({"model": model, "path": str(placed)}, f"{model}: {placed}")


def bundle(out: Path, names: list[str], profile: str | None, *, as_json: bool) -> None:
    """Writes a profile's models, or those named, into one file; what a session can do without only where it is here."""
    config = app.load_config(profile) if profile is not None or not names else None
    wanted = list(names)
    if config is not None:
        here = {row.entry.name for row in app.catalogue().rows() if row.state.here}
        needed = app.models_of(config, needed=True)
        wanted += [name for name in app.models_of(config) if name in needed or name in here]
    wanted = list(dict.fromkeys(wanted))
    size = app.bundle_models(wanted, out)
    Output(as_json=as_json).line(
        {"bundle": str(out), "bytes": size, "models": wanted}, f"{out}: {_megabytes(size)}, {', '.join(wanted)}"
    )


def remove(names: list[str], *, as_json: bool) -> None:
    """Takes models off this machine."""
    for name in names:
        app.catalogue().find(name)  # before anything is deleted: one name that is mistyped stops all
    for name in names:
        size = app.remove_model(name)
        Output(as_json=as_json).line({"model": name, "freed": size}, f"{name}: removed, {_megabytes(size)} free again")


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
