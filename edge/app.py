"""The composition root: the only module that knows engines, links and the runtime at once.

One function a port chooses the engine by its name in the configuration; imports are lazy, so that ``nearsight --help`` loads
nothing and a profile pays only for what it names.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from edge.config import Config, EngineConfig, merge, nearest, parse, read_toml
from edge.errors import ConfigError, ModelMissing
from edge.ports import (
    CodeReader,
    EchoCanceller,
    EndOfTurn,
    Engine,
    LanguageModel,
    Link,
    Recogniser,
    SceneMeter,
    Station,
    TextReader,
    Voice,
    VoiceActivity,
    WakeWord,
)
from edge.runtime.engines import Ears, Engines
from edge.runtime.lane import Lane
from edge.values import Pcm, Pixels

log = logging.getLogger(__name__)

E = TypeVar("E", bound=Engine)

DEFAULT_PROFILE = "bundled"

ENGINES: Mapping[str, tuple[str, ...]] = {
    "wake": ("pymicro-wakeword", "none"),
    "echo": ("webrtc-aec3", "none"),
    "voice_activity": ("silero", "none"),
    "end_of_turn": ("smart-turn", "none"),
    "recogniser": ("pocketsphinx", "faster-whisper", "none"),
    "language_model": ("llama-cpp", "none"),
    "text_reader": ("rapidocr", "none"),
    "code_reader": ("opencv", "none"),
    "scene_meter": ("opencv", "none"),
    "voice": ("espeak-ng", "piper", "none"),
}
"""The engines that each port can have."""


# -- configuration -----------------------------------------------------------------------------------------------------------


def load_config(profile: str | None = None, file: Path | None = None, changes: Mapping[str, Any] | None = None) -> Config:
    """Lays a configuration file over its profile, and ``changes`` over both. Raises ConfigError."""
    from models.profiles import load_profile

    table = read_toml(file) if file is not None else {}
    name = profile or table.get("profile", DEFAULT_PROFILE)
    if not isinstance(name, str):
        raise ConfigError("profile: must be a text")
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


def models_of(config: Config) -> tuple[str, ...]:
    """The catalogue names of the models that a configuration needs."""
    engines = (getattr(config, item.name) for item in dataclasses.fields(config))
    known = catalogue()
    return tuple(
        engine.model
        for engine in engines
        if isinstance(engine, EngineConfig) and engine.engine != "none" and engine.model and engine.model in known.entries
    )


def model_path(name: str) -> Path:
    """Where a model lies, its hash checked: a name of the catalogue, or a path. Raises ModelMissing, ModelCorrupt."""
    path = Path(name)
    if path.suffix and path.exists():
        return path
    found: Path = catalogue().path(name)
    return found


def pull_model(name: str, progress: Callable[[int, int], None]) -> Path:
    """Brings a model into the cache; gives its file. Raises UsageError, FetchFailed, ModelCorrupt."""
    from models.fetch import pull

    return pull(catalogue(), name, progress)


def verify_model(name: str) -> None:
    """Hashes a model's files afresh. Raises ModelMissing, ModelCorrupt."""
    from models.fetch import verify

    verify(catalogue(), name)


def add_model(path: Path, name: str) -> Path:
    """Imports a model file; gives its place. Raises UsageError, InputError, ModelCorrupt."""
    from models.fetch import add

    return add(catalogue(), path, name)


# -- engines -----------------------------------------------------------------------------------------------------------------


def _unknown(port: str, name: str) -> ConfigError:
    return ConfigError(f"{port}.engine: no engine {name!r}: {nearest(name, ENGINES[port])}")


def _wake(config: Config) -> WakeWord | None:
    match config.wake.engine:
        case "none":
            return None
        case "pymicro-wakeword":
            from models.wake import MicroWake

            return MicroWake(config.wake.words)
        case name:
            raise _unknown("wake", name)


def _echo(config: Config) -> tuple[EchoCanceller | None, EchoCanceller | None]:
    """What voice activity hears through, and what words are heard through."""
    match config.echo.engine:
        case "none":
            return None, None
        case "webrtc-aec3":
            from models.echo import Aec3
            from models.kalman import KalmanEcho

            return Aec3(), KalmanEcho() if config.echo.subtract else None
        case name:
            raise _unknown("echo", name)


def _spotter(config: Config) -> WakeWord | None:
    if config.recogniser.engine != "pocketsphinx":
        return None
    from models.spotter import SphinxSpotter

    return SphinxSpotter()


def _voice_activity(config: Config) -> VoiceActivity | None:
    match config.voice_activity.engine:
        case "none":
            return None
        case "silero":
            from models.silero import Silero

            return Silero()
        case name:
            raise _unknown("voice_activity", name)


def _end_of_turn(config: Config) -> EndOfTurn | None:
    match config.end_of_turn.engine:
        case "none":
            return None
        case "smart-turn":
            from models.smart_turn import SmartTurn

            try:
                return SmartTurn(model_path(config.end_of_turn.model), threads=config.end_of_turn.threads or 1)
            except ModelMissing as error:
                log.warning("%s; the end of a turn is told by time alone", error.text)
                return None
        case name:
            raise _unknown("end_of_turn", name)


def _recogniser(config: Config) -> Recogniser | None:
    match config.recogniser.engine:
        case "none":
            return None
        case "pocketsphinx":
            from models.sphinx import PocketSphinx

            chosen = config.recogniser
            return PocketSphinx(chosen.language, grammar=chosen.grammar, second_pass=chosen.second_pass)
        case "faster-whisper":
            raise ModelMissing(_later(config.recogniser))
        case name:
            raise _unknown("recogniser", name)


def _language_model(config: Config) -> LanguageModel | None:
    chosen = config.language_model
    match chosen.engine:
        case "none":
            return None
        case "llama-cpp":
            from models.llama import LlamaCpp

            path = model_path(chosen.model)
            return LlamaCpp(path, n_ctx=chosen.n_ctx, threads=chosen.threads, gpu_layers=chosen.gpu_layers)
        case name:
            raise _unknown("language_model", name)


def _text_reader(config: Config) -> TextReader | None:
    match config.text_reader.engine:
        case "none":
            return None
        case "rapidocr":
            from models.reader import RapidReader

            return RapidReader(threads=config.text_reader.threads or 2)
        case name:
            raise _unknown("text_reader", name)


def _code_reader(config: Config) -> CodeReader | None:
    match config.code_reader.engine:
        case "none":
            return None
        case "opencv":
            from models.codes import OpenCvCodes

            return OpenCvCodes()
        case name:
            raise _unknown("code_reader", name)


def _scene_meter(config: Config) -> SceneMeter | None:
    match config.scene_meter.engine:
        case "none":
            return None
        case "opencv":
            from models.scene import OpenCvScene

            return OpenCvScene()
        case name:
            raise _unknown("scene_meter", name)


def _voice(config: Config) -> Voice | None:
    match config.voice.engine:
        case "none":
            return None
        case "espeak-ng":
            from models.espeak import Espeak

            return Espeak(language=config.voice.language, time_limit=config.voice.time_limit)
        case "piper":
            raise ModelMissing(_later(config.voice))
        case name:
            raise _unknown("voice", name)


def _later(engine: EngineConfig) -> str:
    return f"{engine.model or engine.engine} not installed: run nearsight models pull {engine.model or engine.engine}"


def build_engines(config: Config, only: Collection[str] | None = None) -> Engines:
    """Puts the engines of a configuration on lanes, or only those of the ports named; loads nothing yet.

    Raises ConfigError, ModelMissing, ModelCorrupt, EngineMissing.
    """
    for port in ("vision_language", "detector", "segmenter", "translator"):
        engine: EngineConfig = getattr(config, port)
        if engine.engine != "none":
            log.warning("%s: %s is not used by this release", port, engine.engine)
    wake = _wake if config.turns.wake else lambda config: None

    def ears() -> Ears:
        return Ears(wake(config), _voice_activity(config), *_echo(config), _spotter(config))

    def lane(name: str, make: Callable[[Config], E | None]) -> Lane[E] | None:
        return _lane(name, make, config) if only is None or name in only else None

    return Engines(
        ears=Lane("ears", ears, time_limit=config.voice_activity.time_limit),
        end_of_turn=lane("end_of_turn", _end_of_turn),
        recogniser=lane("recogniser", _recogniser),
        language_model=lane("language_model", _language_model),
        text_reader=lane("text_reader", _text_reader),
        code_reader=lane("code_reader", _code_reader),
        scene_meter=lane("scene_meter", _scene_meter),
        voice=lane("voice", _voice),
    )


def _lane(port: str, make: Callable[[Config], E | None], config: Config) -> Lane[E] | None:
    first = make(config)
    if first is None:
        return None
    spare: list[E] = [first]

    def build() -> E:
        made = spare.pop() if spare else make(config)
        assert made is not None, "an engine that was there once is there again"
        return made

    engine: EngineConfig = getattr(config, port)
    return Lane(port, build, time_limit=engine.time_limit)


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


def file_link(audio: Path | None, pictures: Path | None, out: Path | None) -> Link:
    """Makes a link of files."""
    from phone_bridge.file import FileLink

    return FileLink(audio, pictures, out)


def read_sound(path: Path) -> Iterator[Pcm]:
    """Decodes a recording, a second or less at a time. Raises InputError."""
    from phone_bridge.media import stream_audio

    return stream_audio(path)


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
