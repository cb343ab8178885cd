"""The messages of the xiaozhi-esp32 WebSocket protocol: what a device says, decoded and checked; what we say, encoded.

The protocol is that of the firmware's ``docs/websocket.md``. A text message is one JSON object with a ``type``. A binary one
carries one Opus packet in one of three framings, which the device names in the header ``Protocol-Version``; numbers are in
network order:

=======  ==============================================================================================================
version  frame
=======  ==============================================================================================================
1        the packet alone
2        version u16, type u16 (0 Opus, 1 JSON), reserved u32, timestamp u32 (ms, for a server that cancels echo), size u32
3        type u8, reserved u8, size u16
=======  ==============================================================================================================

Pure: no clock, no I/O. Whatever is malformed raises InputError; a type that is not known is ``Unknown`` and passed over, as
the firmware passes over ours.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from edge.errors import InputError

VERSIONS = (1, 2, 3)
MAX_TEXT = 32_768
"""Bytes of one JSON message. The longest that the firmware sends is a page of its tools, 8000 bytes and its envelope."""
MAX_PACKET = 1500
"""Bytes of one Opus packet; libopus itself never writes more than 1275 for a frame."""
MAX_WORDS = 200
"""Characters that are kept of a text that a device chose."""
LISTENING = ("start", "stop", "detect")
MODES = ("auto", "manual", "realtime")
OPUS, JSON = 0, 1
_FRAME2 = struct.Struct(">HHIII")
_FRAME3 = struct.Struct(">BBH")


@dataclass(frozen=True, slots=True)
class Hello:
    """The device's first word."""

    version: int = 1
    mcp: bool = False
    """Whether it has tools."""
    aec: bool = False
    """Whether it leaves its loudspeaker's echo to the server. One that cancels echo itself does not say so."""
    frame_ms: int = 60
    """How long its packets are meant to be; each says so itself."""


@dataclass(frozen=True, slots=True)
class Listen:
    """The device begins or ends to send sound, or has heard its own wake word."""

    state: str
    """One of ``LISTENING``."""
    mode: str = "auto"
    """One of ``MODES``: until we answer; while a button is held; always."""
    text: str = ""
    """The wake word, with ``detect``."""


@dataclass(frozen=True, slots=True)
class Abort:
    """The wearer wants the reply to end."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Mcp:
    """A JSON-RPC message of the device's tools."""

    payload: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a type that we do not know."""

    type: str


Message = Hello | Listen | Abort | Mcp | Unknown


@dataclass(frozen=True, slots=True)
class Frame:
    """What a binary message carries."""

    kind: int
    """``OPUS`` or ``JSON``."""
    payload: bytes
    timestamp_ms: int = 0
    """Version 2 alone: what the device played when it captured this."""


def frame(payload: bytes, version: int, timestamp_ms: int = 0) -> bytes:
    """Gives the binary message of an Opus packet. Raises ValueError for a version that is not there or too long a packet."""
    if len(payload) > MAX_PACKET:
        raise ValueError(f"{len(payload)} bytes are no Opus packet")
    match version:
        case 1:
            return payload
        case 2:
            return _FRAME2.pack(version, OPUS, 0, timestamp_ms & 0xFFFFFFFF, len(payload)) + payload
        case 3:
            return _FRAME3.pack(OPUS, 0, len(payload)) + payload
    raise ValueError(f"no framing of version {version}")


def unframe(data: bytes, version: int) -> Frame:
    """Takes a binary message apart. Raises InputError."""
    match version:
        case 1:
            return _checked(Frame(OPUS, data), len(data))
        case 2 if len(data) >= _FRAME2.size:
            said, kind, _, timestamp, size = _FRAME2.unpack_from(data)
            if said != version:
                raise InputError(f"a frame of version {said} where {version} was agreed")
            return _checked(Frame(kind, data[_FRAME2.size :], timestamp), size)
        case 3 if len(data) >= _FRAME3.size:
            kind, _, size = _FRAME3.unpack_from(data)
            return _checked(Frame(kind, data[_FRAME3.size :]), size)
    raise InputError(f"{len(data)} bytes are no frame of version {version}")


def _checked(found: Frame, size: int) -> Frame:
    if found.kind not in (OPUS, JSON):
        raise InputError(f"a frame of kind {found.kind}")
    if len(found.payload) != size:
        raise InputError(f"a frame that says {size} bytes and has {len(found.payload)}")
    if not 0 < size <= (MAX_PACKET if found.kind == OPUS else MAX_TEXT):
        raise InputError(f"a frame of {size} bytes")
    return found


def parse(text: str | bytes) -> Message:
    """Decodes a text message. Raises InputError."""
    if len(text) > MAX_TEXT:
        raise InputError(f"a message of {len(text)} bytes is more than {MAX_TEXT}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError("a message that is not JSON") from None
    if not isinstance(value, dict) or not isinstance(kind := value.get("type"), str):
        raise InputError("a message without a type")
    match kind:
        case "hello":
            return _hello(value)
        case "listen":
            return _listen(value)
        case "abort":
            return Abort(_words(value.get("reason")))
        case "mcp":
            return Mcp(_object(value, "payload"))
    return Unknown(_words(kind))


def _hello(value: Mapping[str, Any]) -> Hello:
    if value.get("transport", "websocket") != "websocket":
        raise InputError("a hello for another transport")
    sound, features = value.get("audio_params", {}), value.get("features", {})
    if not isinstance(sound, dict) or not isinstance(features, dict):
        raise InputError("a hello whose audio_params or features are no object")
    if sound.get("format", "opus") != "opus":
        raise InputError("a hello for another codec than Opus")
    version, frame_ms = value.get("version", 1), sound.get("frame_duration", 60)
    if not _is_number(version) or not _is_number(frame_ms) or not 0 < frame_ms <= 120:
        raise InputError("a hello with a version or a frame_duration that is none")
    return Hello(version, features.get("mcp") is True, features.get("aec") is True, frame_ms)


def _listen(value: Mapping[str, Any]) -> Listen:
    state, mode = value.get("state"), value.get("mode", "auto")
    if state not in LISTENING or mode not in MODES:
        raise InputError("a listen of an unknown state or mode")
    return Listen(state, mode, _words(value.get("text")))


def _object(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    if not isinstance(found, dict):
        raise InputError(f"{key}: must be an object")
    return MappingProxyType(found)


def _words(value: object) -> str:
    return value[:MAX_WORDS] if isinstance(value, str) else ""


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def hello(session: str, rate: int, frame_ms: int) -> str:
    """Answers a hello. ``rate`` is what the device is to decode at, in Hz; Opus can be decoded at any of its rates."""
    sound = {"format": "opus", "sample_rate": rate, "channels": 1, "frame_duration": frame_ms}
    return _text("hello", transport="websocket", session_id=session, audio_params=sound)


def stt(session: str, text: str) -> str:
    """Tells what was understood."""
    return _text("stt", session_id=session, text=text)


def llm(session: str, emotion: str, text: str = "") -> str:
    """Shows a face: ``neutral``, ``thinking``, ``sad`` ..."""
    return _text("llm", session_id=session, emotion=emotion, text=text)


def tts(session: str, state: str, text: str | None = None) -> str:
    """Begins (``start``) or ends (``stop``) what the device plays, or shows a sentence of it (``sentence_start``)."""
    return _text("tts", session_id=session, state=state, **({} if text is None else {"text": text}))


def mcp(session: str, payload: Mapping[str, Any]) -> str:
    """Carries a JSON-RPC message to the device's tools."""
    return _text("mcp", session_id=session, payload=dict(payload))


def _text(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False)
