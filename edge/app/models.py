"""What a configuration is read from, and the models that it names."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from edge.app.links import read_picture, read_video
from edge.config import Config, EngineConfig, parse
from edge.errors import ConfigError, ModelMissing, UsageError
from edge.tables import merge, read_toml
from edge.values import Pixels

DEFAULT_PROFILE = "bundled"
EXTRA = ("detector", "translator")
"""Ports that a profile is whole without: one whose model no package index has, one that few wearers need."""


def load_config(profile: str | None = None, file: Path | None = None, changes: Mapping[str, Any] | None = None) -> Config:
    """Lays a configuration file over its profile, and ``changes`` over both. Raises ConfigError.

    The profile ``auto`` is chosen for this machine, and told on standard error.
    """
    from models.profiles import AUTO, choose, load_profile

    table = read_toml(file) if file is not None else {}
    name = profile or table.get("profile", DEFAULT_PROFILE)
    if not isinstance(name, str):
        raise ConfigError("profile: must be a text")
    if name == AUTO:
        name, why = choose(machine())
        print(f"nearsight: profile {name}: {why}", file=sys.stderr)
    merged = merge(merge(load_profile(name), table), changes or {})
    try:
        return parse({**merged, "profile": name})
    except ConfigError as error:
        raise ConfigError(f"{file}: {error.text}") from None if file is not None else error


def catalogue() -> Any:
    """The model catalogue of this machine (``models.catalog.Catalogue``)."""
    from models.catalog import Catalogue

    return Catalogue.load()


def models_of(config: Config, *, needed: bool = False) -> tuple[str, ...]:
    """The catalogue names of the models of a configuration; with ``needed`` without those that a session can do without."""
    known = catalogue()
    ports = [item.name for item in dataclasses.fields(config) if not (needed and item.name in EXTRA)]
    engines = [engine for port in ports if isinstance(engine := getattr(config, port), EngineConfig)]
    return tuple(engine.model for engine in engines if engine.engine != "none" and engine.model in known.entries)


def model_path(name: str) -> Path:
    """Where a model lies, its hash checked: a name of the catalogue, or a path. Raises ModelMissing, ModelCorrupt."""
    path = Path(name)
    if path.suffix and path.exists():
        return path
    if path.parent != Path():
        raise ModelMissing(f"{path} is not there")
    found: Path = catalogue().path(name)
    return found


def voice_model(name: str, language: str) -> tuple[str, str]:
    """Gives the Piper voice that speaks a language, and a line where it is not the one that was asked for.

    The voice named stands where it speaks the language, or where nothing is known of it; else one that is on this machine. The
    name is empty where there is none.
    """
    from models.voices import VoiceName, choose_voice

    known = catalogue()
    entry = known.entries.get(name)
    named = VoiceName.parse(entry.files[0].name if entry is not None else Path(name).name)
    if name and (named is None or choose_voice(language, [str(named)]).voice is not None):
        return name, ""
    installed = [row.entry for row in known.rows() if row.state.here and row.entry.task == "voice"]
    there = {str(voice): entry.name for entry in installed if (voice := VoiceName.parse(entry.files[0].name)) is not None}
    choice = choose_voice(language, there, named.quality if named is not None else "medium")
    return there[str(choice.voice)] if choice.voice is not None else "", choice.why


def vision_files(name: str) -> tuple[Path, Path]:
    """Where a vision model and its projector lie: ``*mmproj*.gguf`` beside a path. Raises ModelMissing, ModelCorrupt."""
    model = model_path(name)
    projectors = sorted(path for path in model.parent.glob("*mmproj*.gguf") if path != model)
    if not projectors:
        raise ModelMissing(f"{model.name}: no projector (*mmproj*.gguf) lies beside it")
    return model, projectors[0]


def pull_model(
    name: str, progress: Callable[[int, int], None] = lambda done, total: None, *, trust: str = "", licence: bool = False
) -> Path:
    """Brings a model into the cache; gives its file. ``trust`` and ``licence`` are what ``models.fetch.Consent`` says.

    Raises UsageError, NotAgreed, FetchFailed, ModelCorrupt.
    """
    from models.fetch import Consent, pull

    return pull(catalogue(), name, progress, Consent(trust, licence))


def questions(name: str) -> tuple[str, ...]:
    """What the owner must agree to before a model is pulled, a line each. Raises UsageError, ModelCorrupt."""
    from models.fetch import asks

    return asks(catalogue(), name)


def export_model(name: str, size: int, *, gate: Path | None = None, **choices: Any) -> Any:
    """Writes a SAM 2.1 network as ONNX graphs, by ``models.sam2_export.export_named``; ``gate`` has the gate's pictures."""
    from models.sam2_export import export_named

    return export_named(name, size, frames=() if gate is None else _pictures(gate), cache=catalogue().cache, **choices)


def export_folder(name: str) -> Path:
    """Where an exported network lies: a folder, or the name of an export. Raises ModelMissing."""
    from models.sam2_manifest import exported_folder

    return Path(name) if Path(name).is_dir() else exported_folder(catalogue().cache, name)


def exported_models() -> Any:
    """The networks that were exported here, by name (``models.sam2_manifest.all_exported``)."""
    from models.sam2_manifest import all_exported

    return all_exported(catalogue().cache)


def _pictures(path: Path, most: int = 24) -> list[Pixels]:
    files = sorted(path.iterdir())[:most] if path.is_dir() else []
    return [read_picture(file) for file in files] or [pixels for _, pixels in itertools.islice(read_video(path), most)]


def verify_model(name: str) -> None:
    """Hashes a model's files afresh. Raises ModelMissing, ModelCorrupt."""
    from models.fetch import verify

    verify(catalogue(), name)


def add_model(path: Path, name: str, task: str = "") -> dict[str, Path]:
    """Imports a file, a folder, or, without a name, a bundle of models; gives what it brought, and where that lies.

    Raises UsageError, InputError, ModelCorrupt, FetchFailed.
    """
    from models.carry import add, is_bundle, unpack

    known = catalogue()
    if not name and is_bundle(path):
        return {one: known.path(one) for one in unpack(known, path)}
    if not name:
        raise UsageError(f"{path}: is no bundle: say with --name which model it is")
    return {name: add(known, path, name, task)}


def bundle_models(names: Collection[str], out: Path) -> int:
    """Writes models into one file, for a machine without a network; gives its bytes. Raises ModelMissing, InputError."""
    from models.carry import bundle

    return bundle(catalogue(), list(names), out)


def remove_model(name: str) -> int:
    """Takes a model off this machine; gives the bytes that are free again. Raises UsageError, FetchFailed."""
    from models.fetch import remove

    return remove(catalogue(), name)


def machine(*, gpu: bool = True) -> Any:
    """What this machine has for models (``models.machine.Machine``); without ``gpu`` a card is not looked for."""
    from models.machine import this_machine

    return this_machine(gpu=gpu)
