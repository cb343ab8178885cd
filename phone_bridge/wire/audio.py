"""Audio packets: codec frames cut to the MTU, put together again, and their losses counted.

A packet is u16 sequence, u8 flags, u8 stream, and, where a frame starts, u32 time; then codec bytes. The microphone's time is
the device clock in us; the speaker's is the position in its stream in us. The sequence counts packets, so that a gap in it, and
nothing else, is a loss: a microphone that sleeps through silence leaves a gap in time alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from phone_bridge.wire.codec import capacity
from phone_bridge.wire.layout import Malformed
from phone_bridge.wire.profile import AUDIO_FRAME_MAX, AUDIO_FRAME_US, VALUE_MAX, Packet

_FIRST, _LAST, _SPEECH, _RESTART = int(Packet.FIRST), int(Packet.LAST), int(Packet.SPEECH), int(Packet.RESTART)
_SHORT = Struct("<HBB")
_LONG = Struct("<HBBI")
_HALF = 0x8000


@dataclass(frozen=True, slots=True)
class AudioPacket:
    """One notification or write."""

    seq: int
    flags: int
    """``Packet`` flags."""
    stream: int
    time: int | None
    """In us, modulo 2**32; there is one where a frame starts, and only there."""
    data: bytes


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """One codec frame, whole."""

    data: bytes
    time: int
    """In us, modulo 2**32."""
    speech: bool
    lost: int
    """Frames that were lost just before this one."""


def encode_audio(packet: AudioPacket) -> bytes:
    """Gives the bytes of a packet. Raises Malformed."""
    first = bool(packet.flags & _FIRST)
    if first != (packet.time is not None) or not (0 <= packet.seq <= 0xFFFF and 0 <= packet.stream <= 0xFF):
        raise Malformed(f"an audio packet {packet.seq} of stream {packet.stream} with flags {packet.flags:#x}")
    head = _LONG.pack(packet.seq, packet.flags, packet.stream, packet.time) if first else None
    value = (head or _SHORT.pack(packet.seq, packet.flags, packet.stream)) + packet.data
    decode_audio(value)
    return value


def decode_audio(value: bytes) -> AudioPacket:
    """Gives the packet in a value. Raises Malformed."""
    return AudioPacket(*_read(value))


def _read(value: bytes) -> tuple[int, int, int, int | None, bytes]:
    size = len(value)
    if not 5 <= size <= VALUE_MAX:
        raise Malformed(f"an audio packet of {size} bytes")
    seq, flags, stream = _SHORT.unpack_from(value)
    if flags & _FIRST:
        if size < 9 or flags & ~0x0F or (flags & _RESTART and seq):
            raise Malformed(f"an audio packet of {size} bytes, sequence {seq}, flags {flags:#x}")
        return (*_LONG.unpack_from(value), bytes(value[8:]))
    if flags & ~_LAST:
        raise Malformed(f"an audio packet with flags {flags:#x}")
    return seq, flags, stream, None, bytes(value[4:])


class AudioSender:
    """Cuts the frames of one stream into packets."""

    def __init__(self, stream: int) -> None:
        self.stream = stream
        self._seq = 0
        self._restart = _RESTART

    def packets(self, frame: bytes, time: int, mtu: int, *, speech: bool = False) -> tuple[bytes, ...]:
        """Gives the values that carry a frame at the MTU of this moment. Raises Malformed; then nothing is sent.

        ``time`` is in us and may exceed 32 bits; its low 32 are sent.
        """
        room = capacity(mtu)
        if not 0 < len(frame) <= AUDIO_FRAME_MAX:
            raise Malformed(f"a frame of {len(frame)} bytes")
        flags = _FIRST | self._restart | (_SPEECH if speech else 0)
        cut = room - _LONG.size
        last = _LAST if len(frame) <= cut else 0
        found = [_LONG.pack(self._seq, flags | last, self.stream, time & 0xFFFFFFFF) + frame[:cut]]
        while cut < len(frame):
            self._seq = (self._seq + 1) & 0xFFFF
            end = cut + room - _SHORT.size
            found.append(_SHORT.pack(self._seq, 0 if end < len(frame) else _LAST, self.stream) + frame[cut:end])
            cut = end
        self._seq = (self._seq + 1) & 0xFFFF
        self._restart = 0
        return tuple(found)


class AudioReceiver:
    """Puts the frames of one stream together and counts what is missing. It never joins bytes of two frames."""

    def __init__(self, stream: int) -> None:
        self.stream = stream
        self.lost = 0
        """Frames lost in this stream, as far as a later frame has shown it."""
        self.late = 0
        """Packets that came again, or after later ones."""
        self.foreign = 0
        """Packets of other streams."""
        self._next = 0
        self._missing = 0  # packets known to be gone since the last whole frame
        self._broken = 0  # frames begun and not ended since then
        self._begun: tuple[int, int] | None = None  # time and flags of the frame being put together
        self._data = b""
        self._time: int | None = None  # of the last whole frame

    def take(self, value: bytes) -> AudioFrame | None:
        """Takes the next packet; gives the frame that it completes. Raises Malformed and forgets nothing."""
        seq, flags, stream, time, data = _read(value)
        if stream != self.stream:
            self.foreign += 1
            return None
        if flags & _RESTART:
            self._next, self._missing, self._broken, self._begun, self._time = 0, 0, 0, None, None
        gap = (seq - self._next) & 0xFFFF
        if gap >= _HALF:
            self.late += 1
            return None
        if gap:
            self._missing += gap
            self._drop()
        self._next = (seq + 1) & 0xFFFF
        return self._add(time, flags, data)

    def _add(self, time: int | None, flags: int, data: bytes) -> AudioFrame | None:
        if time is not None:
            self._drop()
            self._begun, self._data = (time, flags), data
        elif self._begun is None:
            return None  # the rest of a frame whose beginning is gone
        else:
            self._data += data
        if len(self._data) > AUDIO_FRAME_MAX:
            self._drop()
            return None
        return self._whole(*self._begun) if flags & _LAST else None

    def _drop(self) -> None:
        if self._begun is not None:
            self._begun = None
            self._broken += 1

    def _whole(self, time: int, flags: int) -> AudioFrame:
        lost = self._missing + self._broken
        if lost:
            if self._time is not None:
                passed = (time - self._time) & 0xFFFFFFFF
                lost = max(1, min(lost, (passed + AUDIO_FRAME_US // 2) // AUDIO_FRAME_US - 1))
            self.lost += lost
            self._missing = self._broken = 0
        self._begun, self._time = None, time
        return AudioFrame(self._data, time, bool(flags & _SPEECH), lost)
