"""One WebSocket of a xiaozhi device: what comes is checked and handed on, what goes waits in a bounded queue.

Nothing that a device sends raises here. Malformed messages are counted and told once; a flood, a frame beyond the bound, a
device that does not say hello or does not read ends the connection.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Protocol

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from edge.channel import Channel
from edge.errors import InputError
from phone_bridge import xiaozhi_wire as wire
from phone_bridge.control import Rate
from phone_bridge.keys import Device

log = logging.getLogger(__name__)

HELLO_S = 10.0
"""As long as the device waits for our hello."""
HEARTBEAT_S = 10.0
"""How often the device is pinged; one that does not answer within half of it is gone."""
MAX_FRAME = 65_536
"""Bytes of one frame, of which no part is read beyond."""
MAX_REFUSED = 64
"""Malformed messages that are passed over."""
OUTBOX = 256
"""Messages that may wait to be sent: 15 s of sound. What waits longer is for a device that does not read."""
SEND_S = 5.0
"""Seconds that the device may take to read one of them."""
WRITE_BYTES = 4096
"""What the operating system has not taken: a second of sound, beyond which a flush could not reach it."""
ENDS = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED)
RATE, FRAME_MS = 24_000, 60
"""What we announce. The sound is encoded at 16 kHz, and Opus is decoded at whatever rate the decoder is made with (RFC 6716
section 2.1.1); 24 kHz is what the firmware's loudspeakers run at."""


class Messages(Protocol):
    """What carries a connection's messages; aiohttp's WebSocket is it."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""

    async def receive(self) -> WSMessage:
        """Gives the next message; one of ``ENDS`` when the connection is over."""

    async def send_str(self, data: str) -> None:
        """Sends a text."""

    async def send_bytes(self, data: bytes) -> None:
        """Sends bytes."""

    async def close(self, *, code: int) -> bool:
        """Closes; says whether it was open."""


class Sink(Protocol):
    """Who wants what comes."""

    def said(self, socket: Socket, message: wire.Message) -> None:
        """Takes a message."""

    def sounded(self, socket: Socket, packet: bytes) -> None:
        """Takes an Opus packet."""


class Socket:
    """A connection of one device, from its upgrade to its end."""

    def __init__(self, socket: Messages, device: Device, version: str, vision_url: str) -> None:
        """``version`` is what the device's header says of the framing; ``vision_url`` is where it can post pictures."""
        self.device = device
        self.vision_url = vision_url
        self.vision_token = secrets.token_urlsafe(16)
        """Lets pictures in, as long as this connection is there: the device's key stays out of what it is told."""
        self.session = secrets.token_hex(8)
        self.refused = 0
        """Messages that were malformed."""
        self._socket = socket
        self._asked = version.strip()
        self._version = 1
        self._outbox: Channel[str | bytes] = Channel("outbox", OUTBOX)
        self._rate = Rate()
        self._code = int(WSCloseCode.OK)

    @staticmethod
    async def upgrade(request: web.Request) -> web.WebSocketResponse:
        """Makes the response that the connection runs on. Compression is left out: a bomb is small."""
        response = web.WebSocketResponse(timeout=2.0, heartbeat=HEARTBEAT_S, compress=False, max_msg_size=MAX_FRAME)
        await response.prepare(request)
        if request.transport is not None:
            request.transport.set_write_buffer_limits(high=WRITE_BYTES)
        return response

    async def greet(self) -> wire.Hello | None:
        """Waits for the device's hello and answers it at once; None, and the connection is closed, where none comes."""
        try:
            async with asyncio.timeout(HELLO_S):
                message = await self._socket.receive()
            hello = wire.parse(message.data) if message.type is WSMsgType.TEXT else None
            if not isinstance(hello, wire.Hello):
                raise InputError("the first message is no hello")
            self._version = self._framing(hello)
        except (TimeoutError, InputError) as error:
            log.warning("device %s: %s", self.device.id, error if isinstance(error, InputError) else "no hello came in time")
            await self.end(WSCloseCode.POLICY_VIOLATION)
            return None
        self.send(wire.hello(self.session, RATE, FRAME_MS))
        return hello

    async def run(self, sink: Sink) -> None:
        """Hands on what comes, and sends what is given, until the connection ends."""
        sending = asyncio.create_task(self._send_all(), name=f"xiaozhi {self.device.id}")
        try:
            while (message := await self._socket.receive()).type not in ENDS:
                if self._rate.flooded(asyncio.get_running_loop().time()):
                    log.warning("device %s floods", self.device.id)
                    self.close_soon(WSCloseCode.POLICY_VIOLATION)
                    break
                self._take(message, sink)
        finally:
            self._outbox.close()
            if self._socket.closed:  # nothing can be sent any more
                sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    def send(self, text: str) -> None:
        """Sends a message."""
        self._put(text)

    def sound(self, packet: bytes, timestamp_ms: int) -> None:
        """Sends a packet for the loudspeaker."""
        self._put(wire.frame(packet, self._version, timestamp_ms))

    def unsent(self) -> int:
        """Drops the packets that wait to be sent; gives their number."""
        waiting = self._outbox.flush()
        for message in waiting:
            if isinstance(message, str):
                self._outbox.send_nowait(message)
        return sum(isinstance(message, bytes) for message in waiting)

    def close_soon(self, code: int = WSCloseCode.OK) -> None:
        """Closes once everything that waits is sent."""
        self._code = int(code)
        self._outbox.close()

    def _put(self, message: str | bytes) -> None:
        if self._outbox.closed:
            return
        if not self._outbox.send_nowait(message):
            log.warning("device %s does not read", self.device.id)
            self._outbox.flush()
            self.close_soon(WSCloseCode.POLICY_VIOLATION)

    async def _send_all(self) -> None:
        try:
            async for message in self._outbox:
                async with asyncio.timeout(SEND_S):
                    if isinstance(message, str):
                        await self._socket.send_str(message)
                    else:
                        await self._socket.send_bytes(message)
        except (TimeoutError, ConnectionError):
            self._code = int(WSCloseCode.GOING_AWAY)
        await self._socket.close(code=self._code)

    def _take(self, message: WSMessage, sink: Sink) -> None:
        try:
            match message.type:
                case WSMsgType.TEXT:
                    sink.said(self, wire.parse(message.data))
                case WSMsgType.BINARY:
                    found = wire.unframe(message.data, self._version)
                    if found.kind == wire.JSON:
                        sink.said(self, wire.parse(found.payload))
                    else:
                        sink.sounded(self, found.payload)
        except InputError as error:
            self.refused += 1
            if self.refused == 1:
                log.warning("device %s: %s; more of the kind is counted", self.device.id, error.text)
            if self.refused > MAX_REFUSED:
                self.close_soon(WSCloseCode.POLICY_VIOLATION)

    def _framing(self, hello: wire.Hello) -> int:
        """The header goes before the hello: the firmware frames by the same number in both. Raises InputError."""
        asked = self._asked or str(hello.version)
        for version in wire.VERSIONS:
            if asked == str(version):
                return version
        raise InputError("a version of the protocol that is not known")

    async def end(self, code: int) -> None:
        """Closes now; nothing happens where it is closed already."""
        self._outbox.close()
        await self._socket.close(code=code)
