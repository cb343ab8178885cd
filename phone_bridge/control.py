"""The messages of the data channel: what a page may say, decoded and checked; what we say, encoded.

The channel is labelled ``nearsight``, ordered and reliable, and made by the page. A text is one JSON object
``{"v": 1, "type": ...}``; a binary message is a piece of a still, or packets of Bluetooth glasses (``relay_words``). Whatever
else comes is answered and never fatal: a page of another version, or somebody's experiment, must not cost the wearer the
connection. Keys that are not known are ignored, so that a later page may say more; a type that is not known is answered with
``unknown``.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from edge.values import Condition
from phone_bridge import relay_words
from phone_bridge.fields import Fields, Malformed
from phone_bridge.relay_words import GattAnswer, GlassesGone, GlassesHere, GlassesMuted, Packets

LABEL = "nearsight"
TAPS = ("tap", "double_tap", "hold", "release", "speak:wearer", "speak:partner", "speak:end")
"""Touches, and the buttons to talk of a translated conversation."""
VERSION = 1
MAX_TEXT = 16_384
"""Bytes of UTF-8 in one text message."""
MAX_CHUNK = 16_376
"""Bytes of picture in one binary message; with its header a message stays within 16 KiB, which every stack sends whole."""
RATE = 200.0
"""Messages a second that are taken for ever."""
BURST = 1000.0
"""Messages beyond ``RATE`` that are taken at once: five seconds of it, or the pieces of the largest still."""
_CHUNK_HEADER = struct.Struct(">II")


@dataclass(frozen=True, slots=True)
class AudioPath:
    """What the browser does to the microphone's sound."""

    echo_cancellation: bool = False
    noise_suppression: bool = False
    auto_gain: bool = False


@dataclass(frozen=True, slots=True)
class VideoPath:
    """What the camera gives."""

    width: int
    height: int
    facing: str = ""


@dataclass(frozen=True, slots=True)
class Battery:
    """The device's battery."""

    level: float
    """0 to 1."""
    charging: bool | None = None


@dataclass(frozen=True, slots=True)
class Hello:
    """The page's first word."""

    device: str = ""
    audio: AudioPath | None = None
    video: VideoPath | None = None
    battery: Battery | None = None


@dataclass(frozen=True, slots=True)
class Tap:
    """A touch: one of ``TAPS``, or ``ask:`` and what a button asks for, in the words that the wearer would say."""

    name: str


@dataclass(frozen=True, slots=True)
class Camera:
    """``on``, ``off``, ``paused`` (the system took it away) or ``denied``."""

    state: str


@dataclass(frozen=True, slots=True)
class Microphone:
    """``on``, ``off``, ``muted``, ``paused`` or ``denied``."""

    state: str


@dataclass(frozen=True, slots=True)
class Playout:
    """What is being played: the packet ``rtp`` went to the output at page time ``at_ms``."""

    rtp: int
    at_ms: float
    output_latency_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Flushed:
    """The page has gone silent and waits for sound newer than ``rtp``."""

    rtp: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a pong; ``at_ms`` is page time."""

    id: int
    at_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers our ping; ``at_ms`` is page time."""

    id: int
    at_ms: float


@dataclass(frozen=True, slots=True)
class Still:
    """Announces a still whose pieces follow."""

    id: int
    bytes: int
    mime: str
    crc32: int
    chunks: int
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class StillFailed:
    """The still that was asked for cannot be had."""

    id: int
    code: str = ""


@dataclass(frozen=True, slots=True)
class Bye:
    """The wearer leaves."""

    reason: str = ""


Message = (
    Hello
    | Tap
    | AudioPath
    | Battery
    | Camera
    | Microphone
    | Playout
    | Flushed
    | Ping
    | Pong
    | Still
    | StillFailed
    | Bye
    | GlassesHere
    | GlassesGone
    | GlassesMuted
    | GattAnswer
    | Packets
)


@dataclass(frozen=True, slots=True)
class StillChunk:
    """A piece of a still."""

    id: int
    index: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """What came cannot be used; ``reply`` says so to whoever sent it."""

    reply: Mapping[str, Any]


def decode(data: str | bytes) -> Message | StillChunk | Refusal:
    """Reads one message of the data channel. Never raises."""
    try:
        return _decode_chunk(data) if isinstance(data, bytes) else _decode_text(data)
    except Malformed as fault:
        return refusal("malformed", str(fault))


def refusal(code: str, text: str) -> Refusal:
    """Makes the answer to something that cannot be used: ``malformed`` or ``too_long``."""
    return Refusal(message("error", code=code, text=text[:200]))


def message(kind: str, **fields: Any) -> dict[str, Any]:
    """Makes one of our messages."""
    return {"v": VERSION, "type": kind, **fields}


def encode(fields: Mapping[str, Any]) -> str:
    """Gives the text of one of our messages."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def encode_chunk(chunk: StillChunk) -> bytes:
    """Gives the bytes of a piece of a still, as a page sends it."""
    return _CHUNK_HEADER.pack(chunk.id, chunk.index) + chunk.data


def described(condition: Condition, word: Message) -> Condition:
    """Gives how the glasses are after what their page says of itself."""
    match word:
        case Hello(device, audio, _, battery):
            condition = replace(condition, device=device or condition.device)
            for part in (audio, battery):
                condition = described(condition, part) if part is not None else condition
        case AudioPath(echo_cancellation):
            condition = replace(condition, echo_cancelled=echo_cancellation)
        case Battery(level, charging):
            condition = replace(condition, battery=level, charging=charging)
    return condition


class Rate:
    """A token bucket over the messages of one connection."""

    def __init__(self) -> None:
        self._tokens = BURST
        self._at: float | None = None

    def flooded(self, at: float) -> bool:
        """Takes that a message came at loop time ``at``; says whether there were too many."""
        if self._at is not None:
            self._tokens = min(BURST, self._tokens + (at - self._at) * RATE)
        self._at = at
        if self._tokens < 1.0:
            return True
        self._tokens -= 1.0
        return False


def _decode_chunk(data: bytes) -> StillChunk | Packets | Refusal:
    if len(data) > _CHUNK_HEADER.size + MAX_CHUNK:
        return refusal("too_long", f"a piece of a still has at most {MAX_CHUNK} bytes")
    if len(data) <= _CHUNK_HEADER.size:
        raise Malformed("a binary message is a piece of a still: two 32-bit numbers and bytes")
    still, index = _CHUNK_HEADER.unpack_from(data)
    if still == relay_words.PACKETS:
        return relay_words.decode_packets(data)
    return StillChunk(still, index, data[_CHUNK_HEADER.size :])


def _decode_text(text: str) -> Message | Refusal:
    # A text of this many characters has at least as many bytes; a shorter one is cheap to measure.
    if len(text) > MAX_TEXT or len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT:
        return refusal("too_long", f"a message has at most {MAX_TEXT} bytes")
    try:
        fields = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # the latter: 16 KiB of brackets
        raise Malformed("not JSON") from None
    if not isinstance(fields, dict):
        raise Malformed("not a JSON object")
    if fields.get("v") != VERSION or isinstance(fields["v"], bool):
        raise Malformed(f"v must be {VERSION}")
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise Malformed("type must be a text")
    decoder = _DECODERS.get(kind)
    if decoder is None:
        return Refusal(message("unknown", of=kind[:64]))
    return decoder(Fields(fields))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_U32 = 2**32 - 1
_MAX_MS = 1e15
"""Page time is performance.now(), or milliseconds since 1970 at most; this bound only keeps arithmetic finite."""


def _audio(fields: Fields) -> AudioPath:
    # WebRTC's own names of these constraints.
    return AudioPath(fields.flag("echoCancellation"), fields.flag("noiseSuppression"), fields.flag("autoGainControl"))


def _video(fields: Fields) -> VideoPath:
    return VideoPath(fields.whole("width", 65535), fields.whole("height", 65535), fields.text("facing", 32))


def _battery(fields: Fields) -> Battery:
    return Battery(fields.number("level", 0.0, 1.0), fields.maybe("charging"))


def _hello(fields: Fields) -> Hello:
    audio, video, battery = (fields.part(key) for key in ("audio", "video", "battery"))
    return Hello(
        fields.text("device", 100),
        _audio(audio) if audio else None,
        _video(video) if video else None,
        _battery(battery) if battery else None,
    )


def _ask(fields: Fields) -> Tap:
    text = " ".join(fields.text("text").split())
    if not text:
        raise Malformed("text must say something")
    return Tap(f"ask:{text}")


def _playout(fields: Fields) -> Playout:
    latency = fields.number("output_latency_ms", 0.0, 10_000.0, 0.0)
    return Playout(fields.whole("rtp", _U32), fields.number("at_ms", 0.0, _MAX_MS), latency)


def _still(fields: Fields) -> Still:
    return Still(
        fields.whole("id", _U32),
        fields.whole("bytes", _U32),
        fields.text("mime", 64),
        fields.whole("crc32", _U32),
        fields.whole("chunks", _U32),
        fields.whole("width", 65535, 0),
        fields.whole("height", 65535, 0),
    )


_DECODERS: Mapping[str, Callable[[Fields], Message]] = {
    "hello": _hello,
    "tap": lambda fields: Tap(fields.choice("name", *TAPS)),
    "ask": _ask,
    "audio": _audio,
    "battery": _battery,
    "camera": lambda fields: Camera(fields.choice("state", "on", "off", "paused", "denied")),
    "microphone": lambda fields: Microphone(fields.choice("state", "on", "off", "muted", "paused", "denied")),
    "playout": _playout,
    "flushed": lambda fields: Flushed(fields.whole("rtp", _U32)),
    "ping": lambda fields: Ping(fields.whole("id", _U32), fields.number("at_ms", 0.0, _MAX_MS, 0.0)),
    "pong": lambda fields: Pong(fields.whole("id", _U32), fields.number("at_ms", 0.0, _MAX_MS)),
    "still": _still,
    "still_failed": lambda fields: StillFailed(fields.whole("id", _U32), fields.text("code", 64)),
    "bye": lambda fields: Bye(fields.text("reason", 100)),
    **relay_words.DECODERS,
}
