"""A capture of xiaozhi devices: their WebSocket's messages both ways, and the pictures that they post, as they pass.

What is not captured: the HTTP of the OTA check and of the upgrade, but for the framing that the header agrees on; pings; and
keys. The token by which a picture is posted is, and is good only while its socket is open.
"""

from __future__ import annotations

from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from phone_bridge.keys import Device
from phone_bridge.pcapng import JPEG, PacketCapture
from phone_bridge.tape import Tape
from phone_bridge.xiaozhi_glasses import XiaozhiGlasses


class CapturedGlasses(XiaozhiGlasses):
    """A wearer's device, of which a capture is kept. While privacy is on, what it sends is left out but for its length."""

    def __init__(self, wearer: str, **options: Any) -> None:
        """Arguments are ``XiaozhiGlasses``'s."""
        super().__init__(wearer, **options)
        self.captured = True
        self._hidden = False
        self._taped: TapedWebSocket | None = None

    def tape_on(self, taped: TapedWebSocket) -> None:
        """Takes the connection that is about to be attached."""
        taped.private = self._hidden
        self._taped = taped

    async def photo(self, jpeg: bytes) -> None:
        """Writes a picture down and takes it. Raises InputError, LinkError."""
        if self._taped is not None:
            self._taped.tape.took(JPEG, jpeg, received=True, keep=0 if self._hidden else None)
        await super().photo(jpeg)

    def privacy(self, on: bool) -> None:
        """Lets the device rest, and keeps what comes in spite of it out of the capture."""
        self._hidden = on
        if self._taped is not None:
            self._taped.private = on
        super().privacy(on)


def taping(capture: PacketCapture, below: web.WebSocketResponse, device: Device, version: str) -> TapedWebSocket:
    """Begins to write a device's connection down. ``version`` is what its header says of the framing."""
    return TapedWebSocket(below, Tape(capture, f"xiaozhi:{device.wearer}", version=version, device=device.name))


class TapedWebSocket:
    """Stands before a device's WebSocket and writes down what passes."""

    def __init__(self, below: web.WebSocketResponse, tape: Tape) -> None:
        self.tape = tape
        self.private = False
        """Whether what holds sound is left out of the capture."""
        self._below = below

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._below.closed

    async def receive(self) -> WSMessage:
        """Gives the next message."""
        message = await self._below.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            self.tape.message(message.data, received=True, private=self.private)
        return message

    async def send_str(self, data: str) -> None:
        """Sends a text."""
        self.tape.message(data, received=False)
        await self._below.send_str(data)

    async def send_bytes(self, data: bytes) -> None:
        """Sends bytes."""
        self.tape.message(data, received=False)
        await self._below.send_bytes(data)

    async def close(self, *, code: int) -> bool:
        """Closes; says whether it was open."""
        return await self._below.close(code=code)
