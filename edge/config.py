"""The configuration: frozen values, read from TOML, checked once, passed down.

A profile is a TOML file of the same shape as a configuration; a configuration file names a profile and changes parts of it.
Durations are seconds. An unknown key is an error that names the nearest known key, because a typing error that is silently
ignored costs a field tester an afternoon.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from edge.errors import ConfigError


def _check(holds: bool, key: str, rule: str) -> None:
    if not holds:
        raise ConfigError(f"{key}: {rule}")


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Which engine stands behind a port. The keys that an engine has no use for are ignored by it."""

    engine: str = "none"
    """Its name, as ``nearsight doctor`` lists it; ``none`` leaves the port empty."""
    model: str = ""
    """A name of the catalogue or a path; empty takes the engine's own."""
    device: str = "cpu"
    """``cpu``, ``cuda`` or ``auto``."""
    threads: int = 0
    """0 takes what suits the engine and the machine."""
    time_limit: float = 20.0
    """Seconds for one call or one item; an engine that takes longer is replaced."""

    def __post_init__(self) -> None:
        _check(self.threads >= 0, "threads", "must not be negative")
        _check(self.time_limit > 0, "time_limit", "must be above 0")
        _check(self.device in ("cpu", "cuda", "auto"), "device", "must be cpu, cuda or auto")


@dataclass(frozen=True, slots=True)
class WakeConfig(EngineConfig):
    """The wake word."""

    words: tuple[str, ...] = ("hey_jarvis",)
    """Which wake words are listened for: ``hey_jarvis``, ``alexa``, ``hey_mycroft``, ``okay_nabu``."""


@dataclass(frozen=True, slots=True)
class EchoConfig(EngineConfig):
    """Echo cancelling, for devices that do not do it themselves."""

    subtract: bool = True
    """Whether words are heard through a second canceller, which only subtracts and suppresses nothing."""
    margin_db: float = 6.0
    """By how much a voice must stand above the echo that is left for it to count as somebody's."""


@dataclass(frozen=True, slots=True)
class RecogniserConfig(EngineConfig):
    """The recogniser."""

    language: str = "en-us"
    grammar: bool = True
    """Whether a command grammar runs beside the general model, where the engine has one."""
    second_pass: bool = False
    """Whether an utterance is searched again at its end, where the engine can: fewer errors, later finals."""


@dataclass(frozen=True, slots=True)
class LanguageModelConfig(EngineConfig):
    """The language model."""

    n_ctx: int = 2048
    """Tokens of prompt and answer together."""
    gpu_layers: int = 0
    max_tokens: int = 64
    """The longest answer."""
    temperature: float = 0.0

    def __post_init__(self) -> None:
        EngineConfig.__post_init__(self)
        _check(self.n_ctx >= 256, "language_model.n_ctx", "must be at least 256")
        _check(1 <= self.max_tokens <= self.n_ctx, "language_model.max_tokens", "must lie between 1 and n_ctx")


@dataclass(frozen=True, slots=True)
class VoiceConfig(EngineConfig):
    """The voice."""

    language: str = "en-us"
    rate: float = 1.0
    pitch: float = 1.0
    volume: float = 1.0

    def __post_init__(self) -> None:
        EngineConfig.__post_init__(self)
        _check(0.5 <= self.rate <= 2.5, "voice.rate", "must lie between 0.5 and 2.5")
        _check(0.5 <= self.pitch <= 2.0, "voice.pitch", "must lie between 0.5 and 2")
        _check(0.0 <= self.volume <= 2.0, "voice.volume", "must lie between 0 and 2")


@dataclass(frozen=True, slots=True)
class TurnsConfig:
    """Turn-taking. Every duration is counted in samples of sound, so it is the same at any pace."""

    wake: bool = True
    """Whether a wake word or a tap must come first."""
    speech_threshold: float = 0.5
    """Voice-activity probability from which a window counts as speech."""
    silence_threshold: float = 0.35
    """Below this a window counts as silence; between the two nothing changes."""
    min_speech: float = 0.096
    """Speech shorter than this is a click."""
    pre_roll: float = 0.4
    """How much sound before the detected start of speech still goes to the recogniser."""
    hint_silence: float = 0.06
    """First hint of an end: recognition and thinking begin, nothing is audible yet."""
    min_silence: float = 0.2
    """The earliest endpoint, when the end-of-turn model agrees."""
    command_silence: float = 0.35
    """The endpoint after the words of a whole command, where the end-of-turn model does not agree."""
    max_silence: float = 0.7
    """The endpoint when there is no end-of-turn model."""
    incomplete_silence: float = 1.8
    """The endpoint when the end-of-turn model says that the speaker has not finished."""
    unfinished_silence: float = 0.9
    """The earliest endpoint after a word that asks for another: "and", "the", a digit."""
    end_of_turn_threshold: float = 0.5
    no_speech_timeout: float = 6.0
    """After a wake word without speech."""
    max_speech: float = 30.0
    """The longest question."""
    barge_in: bool = True
    """Whether speech pauses a reply and, with words, cuts it. Without (half duplex) a wake word, a tap or "stop" does."""
    barge_in_threshold: float = 0.4
    """Voice-activity probability from which a window counts as speech over a reply: lower, because the wearer waits."""
    barge_in_speech: float = 0.064
    """How much speech pauses a reply: two windows. A word that begins with a hiss ("stop") shows as speech 150 ms late."""
    barge_in_words: int = 2
    """How many words cut a reply, beside commands and words like "wait"."""
    pause_silence: float = 0.2
    """Silence after which speech over a reply is judged: later than a hint, for nobody waits and a word may be cut short."""
    pause_limit: float = 3.0
    """How long a sound without words can hold a reply up."""
    follow_up: float = 0.0
    """How long after a reply a question needs no wake word."""
    ask_back_follow_up: float = 8.0
    """The same after a reply that asks something back."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if isinstance(value, float):
                _check(value >= 0, f"turns.{item.name}", "must not be negative")
        _check(
            self.silence_threshold <= self.speech_threshold <= 1,
            "turns.silence_threshold",
            "must not be above speech_threshold",
        )
        _check(
            self.hint_silence <= self.min_silence <= self.max_silence <= self.incomplete_silence,
            "turns",
            "hint_silence, min_silence, max_silence and incomplete_silence must not fall",
        )


@dataclass(frozen=True, slots=True)
class SightConfig:
    """The camera's memory."""

    ring: float = 4.0
    """Seconds of frames that are kept."""
    window: float = 1.0
    """Seconds before the question's end among which the sharpest frame is chosen."""
    max_side: int = 1920
    """Frames with a longer side are scaled down as they come."""

    def __post_init__(self) -> None:
        _check(0 < self.window <= self.ring <= 30, "sight.window", "must lie between 0 and sight.ring, which is at most 30")
        _check(256 <= self.max_side <= 8192, "sight.max_side", "must lie between 256 and 8192")


@dataclass(frozen=True, slots=True)
class SpeakerConfig:
    """The speaker queue."""

    queue: float = 4.0
    """Seconds of speech that may wait; the voice is held back beyond."""

    def __post_init__(self) -> None:
        _check(0.2 <= self.queue <= 30, "speaker.queue", "must lie between 0.2 and 30")


@dataclass(frozen=True, slots=True)
class RecordingConfig:
    """Recording. It is off unless asked for, bounded, and said aloud at its start."""

    folder: str = ""
    """Where the session bundle is written; empty records nothing."""
    max_mb: float = 500.0
    frames_per_second: float = 2.0
    """How many pictures a second are kept."""
    announce: bool = True
    """Whether the start of the recording is said aloud."""

    def __post_init__(self) -> None:
        _check(self.max_mb > 0, "recording.max_mb", "must be above 0")
        _check(0 <= self.frames_per_second <= 30, "recording.frames_per_second", "must lie between 0 and 30")


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """Serving glasses that come over the network."""

    wearers: int = 4
    """How many are served at once; one more is refused."""
    keep: float = 60.0
    """Seconds that a session waits for glasses that are out of reach."""
    origins: tuple[str, ...] = ()
    """Web origins (``https://host:port``) whose pages may connect beside our own."""
    hosts: tuple[str, ...] = ()
    """Host names under which this machine is reached, beside its addresses and its own name."""
    state: str = ""
    """Folder of device keys and certificate; empty takes ``nearsight`` in the user's configuration folder."""
    certificate: str = ""
    """A PEM file with the certificate chain; empty uses one made on the first run."""
    certificate_key: str = ""
    """A PEM file with its private key."""

    def __post_init__(self) -> None:
        _check(1 <= self.wearers <= 256, "serve.wearers", "must lie between 1 and 256")
        _check(0 <= self.keep <= 3600, "serve.keep", "must lie between 0 and 3600")
        _check(
            bool(self.certificate) == bool(self.certificate_key), "serve.certificate", "needs certificate_key, and the reverse"
        )


@dataclass(frozen=True, slots=True)
class SkillsConfig:
    """The skills."""

    disabled: tuple[str, ...] = ()
    """Names of skills that are left out."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a session is made from."""

    profile: str = "bundled"
    links: tuple[str, ...] = ()
    wake: WakeConfig = field(default_factory=WakeConfig)
    voice_activity: EngineConfig = field(default_factory=EngineConfig)
    echo: EchoConfig = field(default_factory=EchoConfig)
    end_of_turn: EngineConfig = field(default_factory=EngineConfig)
    recogniser: RecogniserConfig = field(default_factory=RecogniserConfig)
    language_model: LanguageModelConfig = field(default_factory=LanguageModelConfig)
    text_reader: EngineConfig = field(default_factory=EngineConfig)
    code_reader: EngineConfig = field(default_factory=EngineConfig)
    scene_meter: EngineConfig = field(default_factory=EngineConfig)
    vision_language: EngineConfig = field(default_factory=EngineConfig)
    detector: EngineConfig = field(default_factory=EngineConfig)
    segmenter: EngineConfig = field(default_factory=EngineConfig)
    translator: EngineConfig = field(default_factory=EngineConfig)
    voice: VoiceConfig = field(default_factory=VoiceConfig)
    turns: TurnsConfig = field(default_factory=TurnsConfig)
    sight: SightConfig = field(default_factory=SightConfig)
    speaker: SpeakerConfig = field(default_factory=SpeakerConfig)
    recording: RecordingConfig = field(default_factory=RecordingConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)
    skills: SkillsConfig = field(default_factory=SkillsConfig)


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file. Raises ConfigError with the file's name and the line of the fault."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Lays ``change`` over ``base``, table by table; neither is altered."""
    merged = dict(base)
    for key, value in change.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def parse(table: Mapping[str, Any]) -> Config:
    """Makes a configuration from a TOML table. Raises ConfigError."""
    config: Config = _build(Config, table, "")
    return config


def as_table(config: Any) -> dict[str, Any]:
    """Gives the configuration back as a TOML table, everything spelt out."""
    table: dict[str, Any] = dataclasses.asdict(config)
    return _listed(table)


def _listed(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _listed(value) if isinstance(value, dict) else list(value) if isinstance(value, tuple) else value
        for key, value in table.items()
    }


def nearest(name: str, known: Mapping[str, Any] | list[str] | tuple[str, ...]) -> str:
    """Gives a half-sentence that names the nearest known name, or all of them.

    A name's beginning, up to one of its hyphens, counts as the name: of ``smollm2-135m-instruct`` people type ``smollm2``.
    """
    names = {whole[: hyphen.start()]: whole for whole in reversed(list(known)) for hyphen in re.finditer("-", whole)}
    names.update({whole: whole for whole in known})
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {names[close[0]]!r}?" if close else "known are " + ", ".join(sorted(known))


def _build(kind: Any, table: Mapping[str, Any], prefix: str) -> Any:
    hints = get_type_hints(kind)
    known = {item.name: item for item in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        if key not in known:
            raise ConfigError(f"unknown key {name!r}: {nearest(key, list(known))}")
        values[key] = _value(hints[key], value, name)
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(error.text if not prefix or error.text.startswith(prefix) else prefix + error.text) from None


def _value(kind: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{name}: must be a table, like [{name}]")
        return _build(kind, value, f"{name}.")
    origin = get_origin(kind)
    if origin is tuple:
        item = get_args(kind)[0]
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{name}: must be a list")
        return tuple(_value(item, entry, f"{name}[{at}]") for at, entry in enumerate(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"{name}: must be {_words[kind]}, not {value!r}")
    return value


_words: Mapping[type, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
