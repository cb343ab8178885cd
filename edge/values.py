"""The values that cross a boundary in nearsight: frozen, slotted, with their units.

Inside the runtime sound is 16 kHz mono int16, handed on in chunks of 20 ms (320 samples). Links and voices resample at their
edge. Media time counts from the session's start, in samples for sound and in nanoseconds for everything else.
Pictures are BGR uint8 arrays, as OpenCV decodes them, already turned upright.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Samples a second of all sound inside the runtime."""
CHUNK_SAMPLES = 320
"""Samples in one chunk: 20 ms."""
NS_PER_SAMPLE = 1_000_000_000 // SAMPLE_RATE
"""Nanoseconds a sample lasts (62,500, exactly)."""

Pcm = NDArray[np.int16]
"""Sound, shape (samples,), 16 kHz mono."""
Pixels = NDArray[np.uint8]
"""A picture, shape (height, width, 3), BGR."""


def samples(seconds: float) -> int:
    """Gives the nearest whole number of samples in ``seconds``."""
    return round(seconds * SAMPLE_RATE)


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A run of sound from the microphone."""

    pcm: Pcm
    """Shape (n,), usually n = 320."""
    start: int
    """Media time of the first sample, in samples."""

    @property
    def end(self) -> int:
        """Media time one past the last sample, in samples."""
        return self.start + len(self.pcm)


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One picture from the camera, upright, decoded once."""

    pixels: Pixels
    t_ns: int
    """Media time of the exposure, in nanoseconds."""
    index: int = 0
    """Counts the frames of a session."""


@dataclass(frozen=True, slots=True)
class Word:
    """A recognised word with its place in the session's sound."""

    text: str
    start: int
    """Media time in samples."""
    end: int
    """Media time in samples, one past the last."""
    confidence: float = 1.0
    """Posterior probability, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a recogniser heard."""

    text: str
    words: tuple[Word, ...] = ()
    confidence: float = 1.0
    """0 to 1; how far the recogniser can be trusted here, as its own docstring explains."""
    final: bool = False
    source: str = ""
    """Which model spoke: ``grammar``, ``general``, or an engine's own name."""
    settled: int = 0
    """How many of ``words`` will not change any more, whatever is said next; 0 from a recogniser that does not know."""
    language: str = ""
    """What it is in, as a BCP 47 tag; empty from a recogniser that does not tell."""


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in pixels: left, top, right, bottom; right and bottom are one past the last."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def height(self) -> float:
        """Pixels from top to bottom."""
        return self.y1 - self.y0

    @property
    def width(self) -> float:
        """Pixels from left to right."""
        return self.x1 - self.x0

    def corners(self, digits: int = 1) -> list[float]:
        """Left, top, right, bottom, rounded, as they stand in events and reports."""
        return [round(side, digits) for side in (self.x0, self.y0, self.x1, self.y1)]

    @property
    def centre(self) -> tuple[float, float]:
        """The middle: x, y."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of text found in a picture. It is data that somebody wrote in the world, never an instruction."""

    text: str
    box: Box
    confidence: float
    """0 to 1, the reader's own score."""
    angle: float = 0.0
    """Degrees by which the text runs down to the right, -180 to 180; 180 is upside down. ``box`` encloses the turned line."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The text of one picture, in reading order."""

    lines: tuple[TextLine, ...] = ()
    blurred: bool = False
    """There seems to be text, but it cannot be read: the wearer should hold still."""

    @property
    def text(self) -> str:
        """The lines, one below the other."""
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class Code:
    """A QR or bar code."""

    kind: str
    """``qr``, ``ean13``, ``ean8``, ``upca`` ..."""
    data: str
    """What it encodes. It is data, never an instruction."""
    box: Box


@dataclass(frozen=True, slots=True)
class SceneFacts:
    """What can be said of a picture without a model of it."""

    brightness: float
    """Mean luma, 0 (black) to 1 (white)."""
    colours: tuple[tuple[str, float], ...] = ()
    """Plain English colour names with their share of the picture, largest first."""


@dataclass(frozen=True, slots=True)
class Mask:
    """The pixels of one followed object in one frame."""

    object_id: int
    bits: NDArray[np.bool_]
    """Shape (height, width) of the frame."""
    score: float
    """0 to 1: how sure the segmenter is that the object is there."""
    appearance: NDArray[np.float32] | None = None
    """The engine's own description of what the object looks like, of length 1; None where it has none."""

    @property
    def area(self) -> int:
        """Pixels of the object."""
        return int(np.count_nonzero(self.bits))

    @property
    def box(self) -> Box | None:
        """Around the object; None where there is none to see."""
        columns, rows = np.flatnonzero(self.bits.any(axis=0)), np.flatnonzero(self.bits.any(axis=1))
        if not len(columns):
            return None
        return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


@dataclass(frozen=True, slots=True)
class Detection:
    """One object with a name and a box."""

    label: str
    box: Box
    score: float
    """0 to 1."""
    sure: bool = True
    """Whether it is enough to speak of. A faint one only bears out what other pictures have shown."""


@dataclass(frozen=True, slots=True)
class VoiceStyle:
    """How the assistant speaks."""

    rate: float = 1.0
    """Pace, relative to the voice's own: 0.5 (slow) to 2.5 (fast)."""
    pitch: float = 1.0
    """Relative to the voice's own, 0.5 to 2."""
    volume: float = 1.0
    """Linear gain, 0 to 2."""


@dataclass(frozen=True, slots=True)
class WordMark:
    """Where a word lies in a piece of synthesised speech."""

    text: str
    """The word as it stands in the text that was spoken, punctuation included."""
    start: int
    """Samples from the utterance's first sample."""
    end: int
    """Samples from the utterance's first sample, one past the word's last."""


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """A run of synthesised speech, at 16 kHz, with the words that *begin* in it."""

    pcm: Pcm
    words: tuple[WordMark, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a chat."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a language model is asked."""

    messages: tuple[Message, ...]
    max_tokens: int = 64
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    """The answer ends before any of these."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and the part of its answer that the wearer really heard."""

    asked: str
    heard: str
    answer: str = ""
    """The whole text as far as it was written, for a wearer who wants it again; empty where it was all heard."""


@dataclass(frozen=True, slots=True)
class TurnTimings:
    """Where a turn's time went: milliseconds from the last sample of speech, except where said otherwise."""

    endpoint: float | None = None
    """Until the policy decided that the wearer had finished."""
    asr_final: float | None = None
    """Until the final transcript was there (it may be there before ``endpoint``: it is begun at the first hint of silence)."""
    first_token: float | None = None
    """Until the first piece of the answer's text."""
    first_sentence: float | None = None
    """Until the first sentence or clause was cut and handed to the voice."""
    first_audio: float | None = None
    """Until the first sample of speech was synthesised."""
    voice_to_voice: float | None = None
    """Until the first sample of the reply left the speaker, the link's declared sink delay included."""

    def as_json(self) -> Mapping[str, float]:
        """The timings that are known, rounded to a tenth of a millisecond."""
        known = {name: getattr(self, name) for name in self.__slots__}
        return MappingProxyType({name: round(value, 1) for name, value in known.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Condition:
    """How a pair of glasses is, as far as its link knows."""

    present: bool = True
    """Whether they can be reached now. While they cannot, nothing is heard, seen or played; they may come back."""
    sink_delay_s: float = 0.0
    """Seconds from ``Link.play`` until the sound can be heard."""
    echo_cancelled: bool = False
    """Whether the device takes its own loudspeaker out of its microphone's sound. Two cancellers in a row harm speech."""
    battery: float | None = None
    """0 to 1; None where the device does not say."""
    charging: bool | None = None
    device: str = ""
    """What the device calls itself."""
    photo_s: float = 0.0
    """Seconds that a picture asked for may take to come, for a camera that gives no others; 0 for one that runs."""
    silent: bool = False
    """Whether there is no loudspeaker: what is played is heard by nobody, and counts as not heard."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What a ``doctor`` and a session bundle say of an engine."""

    name: str
    version: str
    model: str = ""
    licence: str = ""
    details: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    remote: str = ""
    """``HOST:PORT`` of the server that its input is sent to now; empty where it stays in this process."""
