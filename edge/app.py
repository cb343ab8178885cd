"""The composition root: the only module that knows engines, links and the runtime at once.

One function a port chooses the engine by its name in the configuration; imports are lazy, so that ``nearsight --help`` loads
nothing and a profile pays only for what it names.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from edge.config import Config, EngineConfig, parse
from edge.errors import ConfigError, EngineMissing, ModelMissing, OutOfMemory, UsageError
from edge.ports import (
    ClipWriter,
    CodeReader,
    Detector,
    EchoCanceller,
    EndOfTurn,
    LanguageModel,
    Link,
    Notifier,
    Recogniser,
    SceneMeter,
    Segmenter,
    Station,
    TextReader,
    VisionLanguage,
    Voice,
    VoiceActivity,
    WakeWord,
)
from edge.runtime.engines import Ears, Engines
from edge.runtime.lane import Lane
from edge.tables import merge, nearest, read_toml
from edge.values import Pcm, Pixels

log = logging.getLogger(__name__)

DEFAULT_PROFILE = "bundled"

# -- configuration -----------------------------------------------------------------------------------------------------------


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


# -- models ------------------------------------------------------------------------------------------------------------------


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
    found: Path = catalogue().path(name)
    return found


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


# -- memory ------------------------------------------------------------------------------------------------------------------


def machine(*, gpu: bool = True) -> Any:
    """What this machine has for models (``models.machine.Machine``); without ``gpu`` a card is not looked for."""
    from models.machine import this_machine

    return this_machine(gpu=gpu)


def memory_plan(config: Config, only: Collection[str] | None = None) -> tuple[tuple[Any, ...], str]:
    """What each model of a configuration takes (``models.budget.Share``), and in one line why that is too much."""
    from models.budget import RUNTIME_MB, budget, overdrawn

    ports = [port for port in ENGINES if only is None or port in only]
    shares = budget(config, catalogue().entries, ports)
    found = machine(gpu=any(share.device != "cpu" for share in shares))
    if config.memory_budget_mb:
        found = dataclasses.replace(found, free_mb=config.memory_budget_mb, gpu_free_mb=config.memory_budget_mb)
    return shares, overdrawn(shares, found, RUNTIME_MB if only is None else 0.0)


def degrade(config: Config, port: str) -> tuple[Config, str] | None:
    """Gives the configuration with something smaller behind a port that ran out of memory, and a line that tells it."""
    from models.budget import degrade as smaller

    known = catalogue()
    here = [row.entry.name for row in known.rows() if row.state.here]
    return smaller(config, port, known.entries, here, load_config(DEFAULT_PROFILE))


# -- engines -----------------------------------------------------------------------------------------------------------------


def _wake(config: Config) -> WakeWord:
    from models.wake import MicroWake

    return MicroWake(config.wake.words)


def _aec3(config: Config) -> EchoCanceller:
    from models.echo import Aec3

    return Aec3()


def _silero(config: Config) -> VoiceActivity:
    from models.silero import Silero

    return Silero()


def _smart_turn(config: Config) -> EndOfTurn:
    from models.smart_turn import SmartTurn

    return SmartTurn(model_path(config.end_of_turn.model), threads=config.end_of_turn.threads or 1)


def _pocketsphinx(config: Config) -> Recogniser:
    from models.sphinx import PocketSphinx

    chosen = config.recogniser
    return PocketSphinx(chosen.language, grammar=chosen.grammar, second_pass=chosen.second_pass)


def _llama(config: Config) -> LanguageModel:
    from models.llama import LlamaCpp

    chosen = config.language_model
    return LlamaCpp(model_path(chosen.model), n_ctx=chosen.n_ctx, threads=chosen.threads, gpu_layers=chosen.gpu_layers)


def _rapidocr(config: Config) -> TextReader:
    from models.reader import RapidReader

    return RapidReader(threads=config.text_reader.threads or 2)


def _codes(config: Config) -> CodeReader:
    from models.codes import OpenCvCodes

    return OpenCvCodes()


def _scene(config: Config) -> SceneMeter:
    from models.scene import OpenCvScene

    return OpenCvScene()


def _fastestdet(config: Config) -> Detector:
    from models.fastestdet import FastestDet

    return FastestDet(model_path(config.detector.model or "fastestdet"), threads=config.detector.threads or 1)


def _classical(config: Config) -> Segmenter:
    from models.classical import ClassicalSegmenter

    return ClassicalSegmenter(threads=config.segmenter.threads or 2)


def _sam2_onnx(config: Config) -> Segmenter:
    from edge.runtime.tracker import MemoryTracker
    from models.sam2_onnx import Sam2Onnx

    chosen = config.segmenter
    return MemoryTracker(Sam2Onnx(export_folder(chosen.model), device=chosen.device, threads=chosen.threads))


def _sam2_torch(config: Config) -> Segmenter:
    from models.sam2_build import SIZES, build, variant_of
    from models.sam2_torch import Sam2Torch

    checkpoint = Path(config.segmenter.model)
    variant = variant_of(checkpoint)
    return Sam2Torch(lambda: build(variant, max(SIZES), checkpoint=checkpoint), device=config.segmenter.device)


def _llama_vision(config: Config) -> VisionLanguage:
    from edge.policy.prompts import view_opening
    from models.llama_vision import LlamaVision

    chosen = config.vision_language
    return LlamaVision(
        *vision_files(chosen.model),
        n_ctx=chosen.n_ctx,
        threads=chosen.threads,
        gpu_layers=chosen.gpu_layers,
        max_side=chosen.max_side,
        picture_tokens=chosen.picture_tokens,
        opening=view_opening(),
    )


def _espeak(config: Config) -> Voice:
    from models.espeak import Espeak

    return Espeak(language=config.voice.language, time_limit=config.voice.time_limit)


def _whisper(config: Config) -> Recogniser:
    from edge.policy.agreement import LocalAgreement
    from edge.policy.alignatt import AlignAtt
    from edge.runtime.streaming import Streaming, StreamingRecogniser
    from models.silero import Silero
    from models.whisper import WhisperDecoder

    chosen = config.recogniser
    entry = catalogue().entries.get(chosen.model)
    folder = Path(chosen.model) if Path(chosen.model).is_dir() else model_path(chosen.model).parent
    decoder = WhisperDecoder(
        folder,
        device=chosen.device,
        compute_type=chosen.compute_type,
        threads=chosen.threads,
        languages=entry.languages if entry is not None else (),
    )
    policy = AlignAtt if chosen.policy == "alignatt" else LocalAgreement
    settings = Streaming(languages=chosen.languages or (chosen.language,), hotwords=" ".join(chosen.names))
    return StreamingRecogniser(decoder, policy, Silero(), settings)


def _piper(config: Config) -> Voice:
    from models.piper import Piper

    chosen = config.voice
    return Piper(model_path(chosen.model), device=chosen.device, threads=chosen.threads, time_limit=chosen.time_limit)


_BUILDERS: Mapping[str, Mapping[str, Callable[[Config], Any]]] = {
    "wake": {"pymicro-wakeword": _wake},
    "echo": {"webrtc-aec3": _aec3},
    "voice_activity": {"silero": _silero},
    "end_of_turn": {"smart-turn": _smart_turn},
    "recogniser": {"pocketsphinx": _pocketsphinx, "faster-whisper": _whisper},
    "language_model": {"llama-cpp": _llama},
    "text_reader": {"rapidocr": _rapidocr},
    "code_reader": {"opencv": _codes},
    "scene_meter": {"opencv": _scene},
    "detector": {"fastestdet": _fastestdet},
    "segmenter": {"classical": _classical, "sam2-onnx": _sam2_onnx, "sam2-torch": _sam2_torch},
    "vision_language": {"llama-cpp": _llama_vision},
    "voice": {"espeak-ng": _espeak, "piper": _piper},
}

ENGINES: Mapping[str, tuple[str, ...]] = {port: (*names, "none") for port, names in _BUILDERS.items()}
"""The engines that each port can have."""

OPTIONAL: Mapping[str, str] = {
    "end_of_turn": "the end of a turn is told by time alone",
    "detector": "things have no names",
}
"""Ports that a session can do without where the model is not on this machine, and what that means."""
EXTRA = ("detector", "translator")
"""Ports that a profile is whole without: one whose model no package index has, one that this release does not use."""


def _build(port: str, config: Config) -> Any:
    """Makes the engine of a port; None where it has none, or an optional one is missing.

    Raises ConfigError, ModelMissing, ModelCorrupt, EngineMissing.
    """
    name = getattr(config, port).engine
    if name == "none":
        return None
    if name not in _BUILDERS[port]:
        raise ConfigError(f"{port}.engine: no engine {name!r}: {nearest(name, ENGINES[port])}")
    try:
        return _BUILDERS[port][name](config)
    except ModelMissing as error:
        if port not in OPTIONAL:
            raise
        log.warning("%s; %s", error.text, OPTIONAL[port])
        return None


def _ears(config: Config) -> Ears:
    """Everything that hears each chunk of sound: the keyword spotter and the subtractor serve those beside them."""
    spotter = subtractor = None
    if config.recogniser.engine == "pocketsphinx":
        from models.spotter import SphinxSpotter

        spotter = SphinxSpotter()
    if config.echo.engine != "none" and config.echo.subtract:
        from models.kalman import KalmanEcho

        subtractor = KalmanEcho()
    wake = _build("wake", config) if config.turns.wake else None
    return Ears(wake, _build("voice_activity", config), _build("echo", config), subtractor, spotter)


def build_engines(config: Config, only: Collection[str] | None = None) -> Engines:
    """Puts the engines of a configuration on lanes, or only those of the ports named; loads nothing yet.

    Raises ConfigError, ModelMissing, ModelCorrupt, EngineMissing, OutOfMemory.
    """
    if config.translator.engine != "none":
        log.warning("translator: %s is not used by this release", config.translator.engine)
    wanted = [port for port in ENGINES if port in Engines.__slots__ and (only is None or port in only)]
    lanes = {port: lane(port, config) for port in wanted}
    _, too_much = memory_plan(config, only)
    if too_much:
        raise OutOfMemory(f"the profile {config.profile} does not fit: {too_much}")
    if only is None or "clips" in only:
        lanes["clips"] = Lane("clips", lambda: _clips(config))
    return Engines(ears=Lane("ears", lambda: _ears(config), time_limit=config.voice_activity.time_limit), **lanes)


def _clips(config: Config) -> ClipWriter:
    from models.clips import ClipRing

    return ClipRing(config.watch.pre_roll, config.watch.ring_mb)


def segmenter(config: Config) -> Segmenter:
    """Makes the segmenter of a configuration, without a lane. Raises EngineMissing where it has none."""
    made: Segmenter | None = _build("segmenter", config)
    if made is None:
        raise EngineMissing(f"the profile {config.profile} has no segmenter")
    return made


def lane(port: str, config: Config) -> Lane[Any] | None:
    """Makes the engine of one port, on a lane; None where it has none. Raises what ``build_engines`` raises but OutOfMemory."""
    first = _build(port, config)
    if first is None:
        return None
    spare = [first]
    engine: EngineConfig = getattr(config, port)
    return Lane(port, lambda: spare.pop() if spare else _build(port, config), time_limit=engine.time_limit)


# -- links -------------------------------------------------------------------------------------------------------------------


def open_link(uri: str, **options: Any) -> Link | Station:
    """Makes the link, or the station where links arrive, that a URI names. Raises UsageError."""
    from phone_bridge.link import open_link as opened

    return opened(uri, **options)


def choices() -> dict[str, tuple[str, ...]]:
    """The names that a configuration can choose from: profiles under ``profile``, and the engines of each port."""
    from models.profiles import profile_names

    return {"profile": tuple(profile_names()), **ENGINES}


def bundle_link(path: Path, out: Path | None) -> Link:
    """Makes a link of a session bundle."""
    from phone_bridge.bundle import BundleLink

    return BundleLink(path, out=out)


def qr_code(text: str) -> str:
    """Draws a QR code for a terminal, in half blocks."""
    from phone_bridge.invite import terminal_qr

    return terminal_qr(text)


def opus() -> str:
    """The codec of glasses that come over WebRTC: its name and version, empty where it is not there."""
    from phone_bridge.opus import available, version

    return version() if available() is not None else ""


def access(config: Config) -> Any:
    """Who may come in over the network (``phone_bridge.access.Access``). Raises StorageError."""
    from phone_bridge.access import open_access

    return open_access(config.serve)


def notifier(config: Config) -> Notifier | None:
    """Makes what tells the world outside of events; None where nobody is to be told. Raises EngineMissing."""
    from phone_bridge.notify import open_notifier

    return open_notifier(config.watch)


def file_link(audio: Path | None, pictures: Path | None, out: Path | None) -> Link:
    """Makes a link of files."""
    from phone_bridge.file import FileLink

    return FileLink(audio, pictures, out)


def read_sound(path: Path) -> Iterator[Pcm]:
    """Decodes a recording, a second or less at a time. Raises InputError."""
    from phone_bridge.media import stream_audio

    return stream_audio(path)


def read_video(path: Path) -> Iterator[tuple[int, Pixels]]:
    """Decodes a video: the media time of each picture in nanoseconds, and the picture, upright. Raises InputError."""
    from phone_bridge.media import read_video as decoded

    return decoded(path)


def read_picture(path: Path) -> Pixels:
    """Decodes a picture, upright. Raises InputError."""
    from phone_bridge.media import read_picture as decoded

    return decoded(path)


def fakes() -> Any:
    """The scripted engines (``models.fakes``), for benches."""
    import models.fakes as scripted

    return scripted


def sim_glasses(**options: Any) -> Any:
    """Makes glasses in memory (``phone_bridge.sim.SimGlasses``)."""
    from phone_bridge.sim import SimGlasses

    return SimGlasses(**options)
