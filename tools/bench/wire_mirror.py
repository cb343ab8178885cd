"""The Python half of the differential test of the wire codec; ``firmware_stubs/test/step.h`` is the C half.

A step is an operation and its input; its result is bytes that do not depend on the language. The inputs are messages as they
should be, and the same with bytes changed, added or cut off.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from phone_bridge.wire.audio import AudioReceiver, AudioSender, decode_audio
from phone_bridge.wire.capabilities import decode_capabilities, encode_capabilities
from phone_bridge.wire.codec import decode, decode_receipt, encode
from phone_bridge.wire.control import Refused
from phone_bridge.wire.layout import Layout, Malformed
from phone_bridge.wire.layouts import LAYOUTS
from phone_bridge.wire.photo import PhotoSender, PhotoState
from phone_bridge.wire.profile import Channel
from phone_bridge.wire.speaker import SpeakerBuffer

OPERATIONS = (
    *(channel.value for channel in Channel),
    "audio_decode",
    "capabilities",
    "audio_open",
    "audio_take",
    "photo_begin",
    "photo_next",
    "photo_take",
    "speaker_open",
    "speaker_take",
    "speaker_play",
    "speaker_close",
    "speaker_flush",
    "speaker_report",
    "audio_send",
)
RARE = {
    OPERATIONS.index(begin): OPERATIONS.index(instead)
    for begin, instead in (
        ("audio_open", "audio_take"),
        ("photo_begin", "photo_next"),
        ("speaker_open", "speaker_take"),
        ("speaker_close", "speaker_take"),
        ("speaker_flush", "speaker_play"),
    )
}
"""What would end a state before it gets interesting, and what is done in its place most of the time."""
ROOM = 4096
"""NSG_SPEAKER_ROOM."""
OK, MALFORMED, UNKNOWN, NONE = (bytes((number,)) for number in range(4))
STATES = {state: number for number, state in enumerate(PhotoState, 1)}
KINDS = {layout.message: (bytes((number,)), layout) for number, layout in enumerate(LAYOUTS)}


def _wide(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def _bytes(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def _error(error: Malformed) -> bytes:
    return UNKNOWN if error.unknown else MALFORMED


def _fields(message: Any) -> bytes:
    if isinstance(message, Refused):
        return bytes((len(LAYOUTS),)) + _wide(message.request, message.refused, message.status)
    kind, layout = KINDS[type(message)]
    numbers = kind + _wide(*[getattr(message, name) for name in layout.names if name])
    return numbers + _bytes(getattr(message, layout.tail[0])) if layout.tail else numbers


class Mirror:
    """The state that the steps work on; ``step`` gives what the C program's CRC is of."""

    def __init__(self) -> None:
        self.receiver = AudioReceiver(0)
        self.sender = AudioSender(0)
        self.photo: PhotoSender | None = None
        self.speaker = SpeakerBuffer(0, ROOM)
        self._steps: list[Callable[[bytes], bytes]] = [self._decoder(channel) for channel in Channel]
        self._steps += [getattr(self, f"_{name}") for name in OPERATIONS[len(Channel) :]]

    def step(self, operation: int, data: bytes) -> bytes:
        """Does one operation."""
        return self._steps[operation](data)

    def _decoder(self, channel: Channel) -> Callable[[bytes], bytes]:
        def step(data: bytes) -> bytes:
            try:
                message = decode(channel, data)
            except Malformed as error:
                return _error(error)
            if encode(message) != data:
                raise AssertionError(f"{message} is not {data.hex()}")
            return OK + _fields(message)

        return step

    def _audio_decode(self, data: bytes) -> bytes:
        try:
            packet = decode_audio(data)
        except Malformed as error:
            return _error(error)
        return OK + _wide(packet.seq, packet.flags, packet.stream, packet.time or 0) + _bytes(packet.data)

    def _capabilities(self, data: bytes) -> bytes:
        try:
            return OK + _bytes(encode_capabilities(decode_capabilities(data)))
        except Malformed as error:
            return _error(error)

    def _audio_open(self, data: bytes) -> bytes:
        stream = data[0] if data else 0
        self.receiver, self.sender = AudioReceiver(stream), AudioSender(stream)
        return b""

    def _audio_take(self, data: bytes) -> bytes:
        receiver = self.receiver
        try:
            frame = receiver.take(data)
        except Malformed as error:
            found = _error(error)
        else:
            found = NONE
            if frame is not None:
                found = OK + _wide(frame.time, frame.lost) + bytes((frame.speech,)) + _bytes(frame.data)
        return found + _wide(receiver.lost, receiver.late, receiver.foreign)

    def _audio_send(self, data: bytes) -> bytes:
        if len(data) < 7:
            return b""
        mtu, time, flags = struct.unpack_from("<HIB", data)
        try:
            packets = self.sender.packets(data[7:], time, mtu, speech=bool(flags & 1))
        except Malformed:
            return MALFORMED
        return b"".join(map(_bytes, packets))

    def _photo_begin(self, data: bytes) -> bytes:
        if len(data) < 12:
            return b""
        mtu, now = struct.unpack_from("<HI", data, 1)
        taken = int.from_bytes(data[8:12], "little")
        self.photo = None
        try:
            self.photo = PhotoSender.of(data[0] | 1, data[12:], mtu=mtu, orientation=data[7] & 3, taken=taken, now_ms=now)
        except Malformed:
            return MALFORMED
        return OK

    def _photo(self) -> bytes:
        if self.photo is None:
            return b"\0\0" + _wide(0)
        return bytes((STATES[self.photo.state], self.photo.failure or 0)) + _wide(self.photo.resent)

    def _photo_next(self, data: bytes) -> bytes:
        if len(data) < 4:
            return b""
        message = self.photo.next(int.from_bytes(data[:4], "little")) if self.photo else None
        return (NONE if message is None else OK + _bytes(encode(message))) + self._photo()

    def _photo_take(self, data: bytes) -> bytes:
        if len(data) < 4:
            return b""
        try:
            message = decode_receipt(data[4:])
        except Malformed as error:
            return _error(error) + self._photo()
        if self.photo is not None:
            self.photo.take(message, int.from_bytes(data[:4], "little"))
        return self._photo()

    def _speaker(self) -> bytes:
        speaker = self.speaker
        return bytes((speaker.state,)) + _wide(speaker.buffered, speaker.malformed, speaker.lost)

    def _speaker_open(self, data: bytes) -> bytes:
        self.speaker = SpeakerBuffer(data[0] if data else 0, ROOM)
        return self._speaker()

    def _speaker_take(self, data: bytes) -> bytes:
        self.speaker.take(data)
        return self._speaker()

    def _speaker_play(self, data: bytes) -> bytes:
        return _bytes(self.speaker.play(_first(data)) or b"") + self._speaker()

    def _speaker_close(self, data: bytes) -> bytes:
        self.speaker.close()
        return self._speaker()

    def _speaker_flush(self, data: bytes) -> bytes:
        return _wide(self.speaker.flush(_first(data))) + self._speaker()

    def _speaker_report(self, data: bytes) -> bytes:
        report = self.speaker.report(_first(data))
        return (b"" if report is None else OK + _bytes(encode(report))) + self._speaker()


def _first(data: bytes) -> int:
    return int.from_bytes(data[:4], "little") if len(data) >= 4 else 0


class Inputs:
    """Steps by chance, repeatable by their seed: most carry a message as it should be, or nearly."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._clock = 0
        self._seq = 0

    def steps(self, count: int) -> Iterator[tuple[int, bytes]]:
        """Gives ``count`` steps."""
        chance = self._random.random
        decoders, operations = len(Channel) + 2, len(OPERATIONS)
        for _ in range(count):
            operation = int(chance() * (decoders if chance() < 0.5 else operations))
            if operation in RARE and chance() < 0.9:
                operation = RARE[operation]
            data = self._seeming(operation)
            harm = 0.5 if operation < decoders else 0.04  # what is damaged seldom lives on
            yield operation, self._damaged(data) if chance() < harm else data

    def _seeming(self, operation: int) -> bytes:
        self._clock = (self._clock + (self._random.random() < 0.2)) & 0xFFFFFFF
        clock = self._clock.to_bytes(4, "little")
        name = OPERATIONS[operation]
        if operation < len(Channel):
            return self._message(LAYOUTS[int(self._random.random() * len(LAYOUTS))])
        match name:
            case "audio_decode" | "audio_take" | "speaker_take":
                return self._packet()
            case "capabilities":
                return self._descriptor()
            case "photo_begin":
                mtu = self._random.choice((23, 100, 185, 247, 517, 22, 518))
                return struct.pack("<BHIB", 7, mtu, self._clock, 1) + clock + self._random.randbytes(self._bits(11))
            case "photo_take":
                return clock + self._receipt()
            case "audio_send":
                mtu = self._random.choice((23, 100, 185, 247, 517, 22, 518))
                return struct.pack("<HIB", mtu, self._clock, 1) + self._random.randbytes(self._bits(9))
            case "audio_open" | "speaker_open":
                self._seq = 0
                return b"\0"
        return clock

    def _bits(self, count: int) -> int:
        return self._random.getrandbits(count)

    def _message(self, layout: Layout) -> bytes:
        chance = self._random.random
        numbers = [low + int(chance() * (high - low + 1)) for low, high in layout.limits]
        head = layout.numbers.pack(*numbers)
        if layout.tail is None:
            return head
        low, high = layout.tail[1]
        return head + self._random.randbytes(low + int(chance() ** 4 * (high - low + 1)))

    def _packet(self) -> bytes:
        self._seq = (self._seq + (1 if self._random.random() < 0.9 else self._bits(3))) & 0xFFFF
        flags = self._random.choice((3, 3, 3, 1, 0, 2, 7, 11))
        time = (self._clock * 1000 & 0xFFFFFFFF).to_bytes(4, "little") if flags & 1 else b""
        seq = 0 if flags & 8 else self._seq
        return struct.pack("<HBB", seq, flags, 0) + time + self._random.randbytes(1 + self._bits(6))

    def _receipt(self) -> bytes:
        base = int(self._random.random() ** 3 * 40)
        bits = self._bits(5) if self._random.random() < 0.5 else 0
        if self._random.random() < 0.02:
            return bytes((0x12, 7, self._bits(1)))
        return struct.pack("<BBH", 0x11, 7, base) + bits.to_bytes(16, "little")

    def _descriptor(self) -> bytes:
        tags = {1: b"Ada \xc3\xa9", 2: b"1.0", 4: b"\xff\1\0\0", 9: b"\xf7\0", 5: b"\1\x40\x80\x3e\x20\x4e", 7: b"\0\2\0\1"}
        found = b"".join(
            bytes((tag, len(data))) + (self._damaged(data) if self._bits(5) == 0 else data)
            for tag, data in tags.items()
            if self._bits(6)
        )
        return struct.pack("<BBH", 1, 0, len(found)) + found

    def _damaged(self, data: bytes) -> bytes:
        chance = self._random.random
        found = bytearray(data)
        for _ in range(1 + int(chance() * 3)):
            kind = chance()
            if kind < 0.2:
                del found[int(chance() * (len(found) + 1)) :]
            elif kind < 0.35:
                found += self._random.randbytes(1 + self._bits(2))
            elif found:
                found[int(chance() * len(found))] = self._bits(8)
        return bytes(found)


def record(operation: int, data: bytes) -> bytes:
    """Gives a step as the C program reads it."""
    return struct.pack("<BH", operation, len(data)) + data


def digest(result: bytes) -> int:
    """Gives what the C program answers."""
    return zlib.crc32(result)
