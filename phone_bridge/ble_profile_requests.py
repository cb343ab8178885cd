"""Requests to glasses of our own profile: numbered, written one after the other, each with one end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from edge.errors import LinkError
from phone_bridge.ble_adapters import Gatt
from phone_bridge.wire.codec import decode_reply, encode
from phone_bridge.wire.control import Refused, ReplyMessage, RequestMessage
from phone_bridge.wire.layout import Malformed
from phone_bridge.wire.profile import CONTROL_UUID, REPLY_MS, Status

T = TypeVar("T")
Answered = Callable[[ReplyMessage | None], None]
"""Takes the reply; None where none came within ``REPLY_MS``."""
Make = Callable[[int], RequestMessage]
"""Makes the request of a number, at the moment when it is written."""


class RequestRefused(LinkError):
    """The glasses answered no."""

    def __init__(self, refused: Refused) -> None:
        self.status = refused.status
        super().__init__(f"the glasses refused request {refused.refused:#04x}: {status_name(refused.status)}")


class Requests:
    """The requests of one connection."""

    def __init__(self, gatt: Gatt) -> None:
        self.written_at = float("-inf")
        """Loop time of the last one."""
        self.unanswered = 0
        self.malformed = 0
        """Replies that could not be read."""
        self.stray = 0
        """Replies that nobody waited for."""
        self._gatt = gatt
        self._number = 0
        self._waiting: dict[int, tuple[float, Answered]] = {}

    def send(self, make: Make, answered: Answered = lambda reply: None) -> bool:
        """Writes a request in its turn; False where too much waits for the radio."""
        loop = asyncio.get_running_loop()

        async def write() -> None:
            self._number = (self._number + 1) & 0xFF
            request = make(self._number)
            self.written_at = loop.time()
            self._waiting[self._number] = self.written_at + REPLY_MS / 1000, answered
            await self._gatt.write(CONTROL_UUID, encode(request))

        return self._gatt.later(write)

    async def ask(self, make: Make, kind: type[T]) -> T:
        """Writes a request and gives its reply. Raises LinkError where there is none, RequestRefused."""
        told: asyncio.Future[ReplyMessage | None] = asyncio.get_running_loop().create_future()

        def answered(reply: ReplyMessage | None) -> None:
            if not told.done():
                told.set_result(reply)

        if not self.send(make, answered):
            raise LinkError("the connection is gone, or too slow for its requests")
        try:
            # The writing itself may take as long as GATT allows; then the glasses have their second.
            while not told.done():
                await asyncio.wait([told], timeout=REPLY_MS / 4000)
                self.tick(asyncio.get_running_loop().time())
        finally:
            told.cancel()
        reply = told.result()
        if isinstance(reply, Refused):
            raise RequestRefused(reply)
        if not isinstance(reply, kind):
            raise LinkError("the glasses do not answer a request" if reply is None else "the glasses answer something else")
        return reply

    def replied(self, value: bytes) -> None:
        """Takes what the control characteristic notified."""
        try:
            reply = decode_reply(value)
        except Malformed:
            self.malformed += 1
            return
        _, answered = self._waiting.pop(reply.request, (0.0, None))
        if answered is None:
            self.stray += 1
        else:
            answered(reply)

    def tick(self, at: float) -> None:
        """Gives up on replies that are overdue."""
        for number, (deadline, answered) in list(self._waiting.items()):
            if at >= deadline:
                del self._waiting[number]
                self.unanswered += 1
                answered(None)

    def close(self) -> None:
        """Ends with the connection: nobody is told anything any more but those who wait."""
        waiting, self._waiting = self._waiting, {}
        for _, answered in waiting.values():
            answered(None)


def status_name(status: int) -> str:
    """Gives a status in words."""
    try:
        return Status(status).name.lower().replace("_", " ")
    except ValueError:
        return f"failed ({status})"
