r"""A plain device with the Nordic UART Service: text and sound over two characteristics, for whoever builds something small.

The service is a bare stream of bytes, so that it needs a framing. Each message is ``type (1 byte), number (1 byte), body,
CRC-16``, encoded with COBS (Cheshire and Baker, 1999) and ended by a zero byte; it begins and ends anywhere in a notification.
The CRC is CRC-16/XMODEM (polynomial 0x1021, from 0), big-endian, over all before it. The number counts the messages of each
type, modulo 256, so that a loss is seen. A message has at most 512 bytes before COBS.

| type | way | body |
|---|---|---|
| ``H`` | both | hello; from the device UTF-8 ``MODEL\nWORDS``, words of ``microphone speaker button battery`` with spaces |
| ``P`` | both | ping, answered with the same body |
| ``A`` | to the computer | one Opus packet from the microphone, 16 kHz mono |
| ``S`` | to the device | one Opus packet of 20 ms for the loudspeaker |
| ``F`` | to the device | flush: drop what was not played |
| ``M`` | to the device | microphone ``1`` on, ``0`` off; it is off until asked for, and when the connection ends |
| ``E`` | to the computer | event: ``tap``, ``double_tap``, ``hold``, ``release`` |
| ``B`` | to the computer | battery: percent, one byte |
| ``T`` | to the device | a caption in UTF-8, for devices with a display or a log |
"""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Mapping
from typing import ClassVar

from edge.errors import InputError
from edge.events import Event
from edge.values import CHUNK_SAMPLES, Pcm
from phone_bridge.ble_adapters import Capabilities, Gatt, Sink, Unsuitable
from phone_bridge.ble_sound import OpusFrames

SERVICE = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
WRITE = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
NOTIFY = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"
MAX_MESSAGE = 512
HELLO_S = 3.0
TOUCHES = ("tap", "double_tap", "hold", "release")
SOUND = "sound"
BITRATE = 16_000
"""2 kB/s: a serial service without flow control gets what the slowest radio carries."""
_MAX_LOST = 50


def encode(kind: str, number: int, body: bytes = b"") -> bytes:
    """Gives a message with its framing. Raises ValueError for more than ``MAX_MESSAGE`` bytes."""
    plain = kind.encode("ascii") + bytes([number & 0xFF]) + body
    plain += binascii.crc_hqx(plain, 0).to_bytes(2, "big")
    if len(plain) > MAX_MESSAGE:
        raise ValueError(f"a message of {len(plain)} bytes: {MAX_MESSAGE} are the most")
    out = bytearray()
    for block in plain.split(b"\0"):
        while len(block) >= 254:
            out += b"\xff" + block[:254]
            block = block[254:]
        out += bytes([len(block) + 1]) + block
    return bytes(out) + b"\0"


def _unstuffed(stuffed: bytes) -> bytes:
    """Takes COBS off. Raises InputError."""
    out = bytearray()
    at = 0
    while at < len(stuffed):
        code = stuffed[at]
        block = stuffed[at + 1 : at + code]
        if code == 0 or len(block) != code - 1:
            raise InputError("not COBS")
        out += block
        at += code
        if code < 255 and at < len(stuffed):
            out.append(0)
    return bytes(out)


class Unframer:
    """Takes messages out of the stream of bytes; what is damaged is dropped up to the next zero, and counted."""

    def __init__(self) -> None:
        self.damaged = 0
        self._rest = bytearray()
        self._skipping = False

    def put(self, data: bytes) -> list[tuple[str, int, bytes]]:
        """Takes the next bytes; gives the messages that they complete: type, number, body."""
        found = []
        *ends, rest = data.split(b"\0")
        for end in ends:
            message = self._message(bytes(self._rest) + end)
            self._rest.clear()
            if message is not None:
                found.append(message)
        self._rest += rest
        if len(self._rest) > 2 * MAX_MESSAGE:
            self._rest.clear()
            self._skipping = True
        return found

    def _message(self, stuffed: bytes) -> tuple[str, int, bytes] | None:
        skipping, self._skipping = self._skipping, False
        if not stuffed and not skipping:
            return None  # an empty message keeps the two ends in step
        try:
            plain = _unstuffed(stuffed)
        except InputError:
            plain = b""
        if skipping or not 4 <= len(plain) <= MAX_MESSAGE or binascii.crc_hqx(plain, 0) or plain[0] > 127:
            self.damaged += 1
            return None
        return chr(plain[0]), plain[1], plain[2:-2]


class UartAdapter:
    """A device that speaks this module's framing."""

    name: ClassVar[str] = "Nordic UART"
    service: ClassVar[str] = SERVICE
    characteristics: ClassVar[Mapping[str, tuple[str, ...]]] = {SERVICE: (WRITE, NOTIFY)}
    names: ClassVar[tuple[str, ...]] = ()
    particular: ClassVar[bool] = False
    play_delay_s: ClassVar[float] = 0.1

    def __init__(self) -> None:
        self.private = False
        self._gatt: Gatt | None = None
        self._sink: Sink | None = None
        self._frames = Unframer()
        self._decoder: OpusFrames | None = None
        self._capabilities: Capabilities | None = None
        self._said_hello: asyncio.Future[None] | None = None
        self._answered: asyncio.Future[None] | None = None
        self._numbers: dict[str, int] = {}
        self._next: int | None = None
        self._lost = self._no_codec = 0

    async def attach(self, gatt: Gatt, sink: Sink) -> Capabilities:
        """Says hello and waits for the device's. Raises Unsuitable for one that does not speak this framing."""
        from phone_bridge.opus import Encoder

        loop = asyncio.get_running_loop()
        self._gatt, self._sink, self._next = gatt, sink, None
        self._frames = Unframer()
        self._encoder = Encoder(BITRATE, loss_percent=0)
        self._decoder = OpusFrames()
        self._said_hello = loop.create_future()
        await gatt.subscribe(NOTIFY, self._received)
        await self._send("H", b"nearsight")
        try:
            async with asyncio.timeout(HELLO_S):
                await self._said_hello
        except TimeoutError:
            raise Unsuitable("a serial device that does not answer nearsight's hello") from None
        capabilities = self._capabilities
        assert capabilities is not None  # the hello brought it
        if capabilities.microphone and not self.private:
            await self._send("M", b"1")
        return capabilities

    def detach(self) -> None:
        """Forgets the connection."""
        if self._decoder is not None:
            self._decoder.close()
            self._encoder.close()
        self._gatt = self._sink = self._decoder = None

    async def ping(self) -> bool:
        """Sends a ping and waits for its answer; the caller's patience bounds it."""
        if self._gatt is None:
            return False
        self._answered = asyncio.get_running_loop().create_future()
        await self._send("P", b"")
        await self._answered
        return True

    async def rouse(self) -> None:
        """Subscribes again, and asks for the microphone again."""
        if self._gatt is not None:
            await self._gatt.unsubscribe(NOTIFY)
            await self._gatt.subscribe(NOTIFY, self._received)
            if self._capabilities is not None and self._capabilities.microphone and not self.private:
                await self._send("M", b"1")

    def tick(self, at: float) -> None:
        """Nothing is overdue here."""

    def play(self, pcm: Pcm) -> None:
        """Encodes the next 20 ms and queues them."""
        gatt = self._gatt
        if gatt is not None and self._capabilities is not None and self._capabilities.speaker:
            packet = self._encoder.encode(pcm)
            gatt.later(lambda: self._send("S", packet, response=False), stream=SOUND)

    def flush(self) -> int:
        """Drops what was not sent, then tells the device."""
        gatt = self._gatt
        if gatt is None:
            return 0
        dropped = gatt.forget(SOUND)
        gatt.later(lambda: self._send("F", response=False))
        return dropped * CHUNK_SAMPLES

    def snap(self) -> None:
        """Nothing: it has no camera."""

    def privacy(self, on: bool) -> None:
        """Asks for the microphone off, or on."""
        changed, self.private = self.private != on, on
        if changed and self._gatt is not None:
            self._gatt.later(lambda: self._send("M", b"0" if on else b"1"))

    def tell(self, event: Event) -> None:
        """Sends what is said as captions."""
        text = event.as_json().get("text") if event.event in ("final", "speak", "notice") else None
        gatt = self._gatt
        if gatt is not None and isinstance(text, str) and text:
            body = text.encode("utf-8")[: MAX_MESSAGE - 8].decode("utf-8", "ignore").encode("utf-8")
            gatt.later(lambda: self._send("T", body))

    def counters(self) -> Mapping[str, int]:
        """Gives what was lost."""
        return {"lost_frames": self._lost, "no_codec": self._no_codec, "damaged_messages": self._frames.damaged}

    async def _send(self, kind: str, body: bytes = b"", *, response: bool = True) -> None:
        gatt = self._gatt
        if gatt is None:
            return
        number = self._numbers[kind] = (self._numbers.get(kind, -1) + 1) & 0xFF
        data = encode(kind, number, body)
        piece = gatt.payload() or 20
        for at in range(0, len(data), piece):
            await gatt.write(WRITE, data[at : at + piece], response=response)

    def _received(self, data: bytes) -> None:
        for kind, number, body in self._frames.put(data):
            if self._sink is not None:
                self._message(self._sink, kind, number, body)

    def _message(self, sink: Sink, kind: str, number: int, body: bytes) -> None:
        match kind:
            case "H" if self._said_hello is not None and not self._said_hello.done():
                model, _, words = body.decode("utf-8", "replace").partition("\n")
                has = {word: True for word in words.split() if word in ("microphone", "speaker", "button", "battery")}
                self._capabilities = Capabilities(model or self.name, codec="Opus", **has)
                self._said_hello.set_result(None)
            case "P" if self._answered is not None and not self._answered.done():
                self._answered.set_result(None)
            case "A":
                self._sound(sink, number, body)
            case "E" if (name := body.decode("ascii", "replace")) in TOUCHES:
                sink.touched(name)
            case "B" if len(body) == 1 and body[0] <= 100:
                sink.powered(body[0] / 100)

    def _sound(self, sink: Sink, number: int, packet: bytes) -> None:
        if self.private or self._decoder is None:
            return
        lost = 0 if self._next is None else (number - self._next) & 0xFF
        self._next = (number + 1) & 0xFF
        self._lost += lost
        if 0 < lost <= _MAX_LOST:
            sink.heard(self._decoder.conceal(lost))
        elif lost:
            sink.gap()
        try:
            sink.heard(self._decoder.decode(packet))
        except InputError:
            self._no_codec += 1
            sink.heard(self._decoder.conceal(1))
