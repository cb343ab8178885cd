"""The configuration: frozen values, read from TOML, checked once, passed down.

A profile is a TOML file of the same shape as a configuration; a configuration file names a profile and changes parts of it.
Durations are seconds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge.errors import ConfigError
from edge.tables import build


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
    url: str = ""
    """Where the server of a remote engine is: ``http://HOST:PORT/v1`` for ``openai``, ``tcp://HOST:PORT`` for ``wyoming``."""
    key_env: str = ""
    """The environment variable that holds the key of a remote engine: keys stand in no file, so in no recording either."""
    fallback: str = "bundled"
    """The profile whose engine takes over while a remote one fails; ``none`` for no other."""

    def __post_init__(self) -> None:
        _check(self.threads >= 0, "threads", "must not be negative")
        _check(self.time_limit > 0, "time_limit", "must be above 0")
        _check(self.device in ("cpu", "cuda", "auto"), "device", "must be cpu, cuda or auto")
        _check(not self.url or "://" in self.url, "url", "must begin with http://, https://, tcp:// or unix://")


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
    margin_db: float = 9.0
    """By how much a voice must stand above the echo that is left for it to count as somebody's."""


@dataclass(frozen=True, slots=True)
class RecogniserConfig(EngineConfig):
    """The recogniser."""

    language: str = "en-us"
    grammar: bool = True
    """Whether a command grammar runs beside the general model, where the engine has one."""
    second_pass: bool = False
    """Whether an utterance is searched again at its end, where the engine can: fewer errors, later finals."""
    compute_type: str = ""
    """The numbers that it computes in, as CTranslate2 names them; empty takes float16 on a GPU and int8 on a processor."""
    policy: str = "agreement"
    """Which words of a recogniser that decodes whole buffers stand while somebody speaks: ``agreement`` or ``alignatt``."""
    languages: tuple[str, ...] = ()
    """Of these the one that is spoken is found, where the recogniser can; empty holds to ``language``."""
    names: tuple[str, ...] = ()
    """Names that the wearer uses: they are heard better, where the recogniser can."""

    def __post_init__(self) -> None:
        EngineConfig.__post_init__(self)
        _check(self.policy in ("agreement", "alignatt"), "recogniser.policy", "must be agreement or alignatt")


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
class VisionConfig(EngineConfig):
    """The vision-language model."""

    n_ctx: int = 4096
    """Tokens of pictures, prompt and answer together."""
    gpu_layers: int = 0
    max_side: int = 768
    """Pictures with a longer side are scaled down: a picture costs 64 to 1,200 tokens, by its size."""
    picture_tokens: int = 512
    """The most that one picture may cost, where the model leaves a choice: SmolVLM cuts every picture, however small, into
    tiles of 64 tokens, thirteen of them for 4:3. Finding things in a picture with Qwen3-VL wants 1,024."""
    max_tokens: int = 96
    """The longest answer."""

    def __post_init__(self) -> None:
        EngineConfig.__post_init__(self)
        _check(64 <= self.picture_tokens < self.n_ctx, "vision_language.picture_tokens", "must lie between 64 and n_ctx")
        _check(self.n_ctx >= 1024, "vision_language.n_ctx", "must be at least 1024")
        _check(64 <= self.max_side <= 4096, "vision_language.max_side", "must lie between 64 and 4096")
        _check(1 <= self.max_tokens <= self.n_ctx, "vision_language.max_tokens", "must lie between 1 and n_ctx")


@dataclass(frozen=True, slots=True)
class SegmenterConfig(EngineConfig):
    """The segmenter."""

    frames_per_second: float = 12.0
    """At most so many pictures a second are segmented, however fast the machine: the rest of it is for others."""
    max_objects: int = 16
    """How many objects are followed at once; one more is refused."""

    def __post_init__(self) -> None:
        EngineConfig.__post_init__(self)
        _check(0 < self.frames_per_second <= 120, "segmenter.frames_per_second", "must lie between 0 and 120")
        _check(1 <= self.max_objects <= 256, "segmenter.max_objects", "must lie between 1 and 256")


@dataclass(frozen=True, slots=True)
class VoiceConfig(EngineConfig):
    """The voice."""

    language: str = "en-us"
    speaker: str = ""
    """Which of a voice's speakers speaks, by name or, for Piper, by number; empty takes the voice's own."""
    rate: float = 1.0
    pitch: float = 1.0
    volume: float = 1.0

    def __post_init__(self) -> None:
        EngineConfig.__post_init__(self)
        _check(0.5 <= self.rate <= 2.5, "voice.rate", "must lie between 0.5 and 2.5")
        _check(0.5 <= self.pitch <= 2.0, "voice.pitch", "must lie between 0.5 and 2")
        _check(0.0 <= self.volume <= 2.0, "voice.volume", "must lie between 0 and 2")


@dataclass(frozen=True, slots=True)
class TranslatorConfig(EngineConfig):
    """The translator, and how speech is translated while it is spoken."""

    mine: str = ""
    """The wearer's language, a BCP 47 tag; empty takes the recogniser's."""
    theirs: str = ""
    """The language of whom the wearer talks with, where none is named; empty lets it be found."""
    packs: tuple[str, ...] = ()
    """Models for single pairs of languages, by their names in the catalogue; ``model`` serves every other pair."""
    policy: str = "auto"
    """When a translation stands: ``agreement`` of two in a row, a finished ``clause``, the whole ``sentence``, or ``auto`` for
    what suits the engine."""
    speak: bool = True
    """Whether translations are spoken, not only shown."""
    max_rate: float = 1.25
    """How much faster than usual a translation is spoken at most, to catch up."""
    shorten_behind: float = 8.0
    """Seconds of unspoken translation beyond which sentences are shortened."""
    non_commercial: bool = False
    """Whether models may be used whose licence forbids commercial use: NLLB."""

    def __post_init__(self) -> None:
        EngineConfig.__post_init__(self)
        known = ("auto", "agreement", "clause", "sentence")
        _check(self.policy in known, "translator.policy", f"must be one of {', '.join(known)}")
        _check(1.0 <= self.max_rate <= 2.0, "translator.max_rate", "must lie between 1 and 2")
        _check(self.shorten_behind > 0, "translator.shorten_behind", "must be above 0")


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
class WatchConfig:
    """Watching over things: what is kept of an event, and who is told."""

    folder: str = ""
    """Where events are kept, a folder each; empty takes ``nearsight/events`` in the user's state folder."""
    keep: bool = True
    """Whether clip, contact sheet and report of an event are written; nothing else is."""
    pre_roll: float = 5.0
    """Seconds before the event that its clip begins."""
    post_roll: float = 5.0
    """Seconds after the event that its clip ends."""
    max_clip: float = 60.0
    """Seconds of the longest clip."""
    ring_mb: float = 16.0
    """Bound of the encoded pictures in memory."""
    quota_mb: float = 500.0
    """Bound of all events on disk: the oldest go first."""
    retain_days: float = 14.0
    """How long an event is kept."""
    cooldown: float = 10.0
    """Seconds after a report before the same rule reports again."""
    confirm: bool = False
    """Whether the vision model, if there is one, is asked before anything is reported."""
    webhook: str = ""
    """An address (``http://`` or ``https://``) that each event is posted to as JSON."""
    mqtt: str = ""
    """A topic that each event is published to: ``mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC``."""
    notify_limit: float = 5.0
    """Seconds that a webhook or a broker may take."""

    def __post_init__(self) -> None:
        for name in ("pre_roll", "post_roll", "cooldown", "retain_days"):
            _check(getattr(self, name) >= 0, f"watch.{name}", "must not be negative")
        for name in ("max_clip", "ring_mb", "quota_mb", "notify_limit"):
            _check(getattr(self, name) > 0, f"watch.{name}", "must be above 0")
        _check(self.pre_roll <= 60, "watch.pre_roll", "must be at most 60")
        _check(not self.webhook or self.webhook.startswith(("http://", "https://")), "watch.webhook", "must be http or https")
        _check(not self.mqtt or self.mqtt.startswith(("mqtt://", "mqtts://")), "watch.mqtt", "must begin with mqtt://")


@dataclass(frozen=True, slots=True)
class AnswersConfig:
    """How answers are put."""

    manner: str = "plain"
    """``plain``, or ``blind``: clock directions, verbatim reading, uncertainty stated, nothing that must be seen to be used."""

    def __post_init__(self) -> None:
        _check(self.manner in ("plain", "blind"), "answers.manner", "must be plain or blind")


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
    memory_budget_mb: float = 0.0
    """What all models together may take, in 10^6 bytes; 0 takes what is free when they are loaded."""
    wake: WakeConfig = field(default_factory=WakeConfig)
    voice_activity: EngineConfig = field(default_factory=EngineConfig)
    echo: EchoConfig = field(default_factory=EchoConfig)
    end_of_turn: EngineConfig = field(default_factory=EngineConfig)
    recogniser: RecogniserConfig = field(default_factory=RecogniserConfig)
    language_model: LanguageModelConfig = field(default_factory=LanguageModelConfig)
    text_reader: EngineConfig = field(default_factory=EngineConfig)
    code_reader: EngineConfig = field(default_factory=EngineConfig)
    scene_meter: EngineConfig = field(default_factory=EngineConfig)
    vision_language: VisionConfig = field(default_factory=VisionConfig)
    detector: EngineConfig = field(default_factory=EngineConfig)
    segmenter: SegmenterConfig = field(default_factory=SegmenterConfig)
    translator: TranslatorConfig = field(default_factory=TranslatorConfig)
    text_language: EngineConfig = field(default_factory=EngineConfig)
    voice: VoiceConfig = field(default_factory=VoiceConfig)
    turns: TurnsConfig = field(default_factory=TurnsConfig)
    sight: SightConfig = field(default_factory=SightConfig)
    watch: WatchConfig = field(default_factory=WatchConfig)
    answers: AnswersConfig = field(default_factory=AnswersConfig)
    speaker: SpeakerConfig = field(default_factory=SpeakerConfig)
    recording: RecordingConfig = field(default_factory=RecordingConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)
    skills: SkillsConfig = field(default_factory=SkillsConfig)


def parse(table: Mapping[str, Any]) -> Config:
    """Makes a configuration from a TOML table. Raises ConfigError."""
    config: Config = build(Config, table)
    return config
