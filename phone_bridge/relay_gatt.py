"""The adapters' ``Gatt`` over a page: its browser holds the connection, requests and packets cross the data channel."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from edge.errors import LinkError
from phone_bridge.ble_later import Later
from phone_bridge.relay_words import MAX_VALUE, GattAnswer, GlassesHere, Packets

logger = logging.getLogger(__name__)

ANSWER_S = 6.0
"""One request: the radio's time and the way to the page and back."""
FIRST_S = 30.0
"""The first one: where the glasses want a bond, the wearer has to press something in the phone's own dialogue."""
WINDOW = 8
"""Writes without response that may be on their way: one after another, each would wait for the way there and back."""


class RelayGatt(Later):
    """One connection that a page holds. Touches what is in ``allowed`` and nothing else, whatever the page has found."""

    def __init__(
        self, here: GlassesHere, allowed: Collection[str], send: Callable[..., bool], lost: Callable[[LinkError], None]
    ) -> None:
        """``send(type, **fields)`` sends a message; ``lost`` is called once, when the connection ends without ``close``."""
        super().__init__("relay")
        self.name = here.name or "the glasses"
        self.lost_packets = 0
        """Notifications that the page could not send."""
        self._link = here.link
        self._found = here.found
        self._known = frozenset(here.found) & frozenset(allowed)
        self._send = send
        self._tell_lost = lost
        self._loop = asyncio.get_running_loop()
        self._id = self._next = 0
        self._patience = FIRST_S
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._unconfirmed: deque[asyncio.Future[bytes]] = deque()
        self._notified: dict[str, Callable[[bytes], None]] = {}
        self._over = False
        self._begin_work("relay", self._end)

    async def close(self) -> None:
        """Forgets the connection, and has the page end it."""
        ended, self._over = self._over, True
        if not ended:
            self._send("gatt", link=self._link, id=0, do="disconnect")
        self._fail(LinkError(f"{self.name} were let go"))
        await self._end_work()

    def lose(self, reason: str) -> None:
        """Takes that the connection has ended."""
        self._end(LinkError(f"{self.name} are out of reach: {reason}" if reason else f"{self.name} are out of reach"))

    def is_link(self, link: int) -> bool:
        """Whether a number is this connection's."""
        return link == self._link

    # What comes from the page.

    def answered(self, answer: GattAnswer) -> None:
        """Takes an answer; one that nobody waits for is dropped."""
        waiting = self._asked.pop(answer.id, None)
        if waiting is None or waiting.done():
            return
        self._patience = ANSWER_S
        if answer.error:
            waiting.set_exception(LinkError(f"{self.name}: {answer.error}"))
        else:
            waiting.set_result(answer.data)

    def notified(self, packets: Packets) -> None:
        """Hands packets on to whoever subscribed; others are dropped."""
        self.lost_packets += max(0, packets.first - self._next)
        self._next = packets.first + len(packets.packets)
        for place, value in packets.packets:
            uuid = self._found[place] if place < len(self._found) else ""
            notified = self._notified.get(uuid)
            if notified is not None and not self._over:
                notified(value)

    # The adapters' side.

    def has(self, uuid: str) -> bool:
        """Says whether the glasses have a characteristic that may be touched."""
        return uuid in self._known and not self._over

    def payload(self) -> int | None:
        """None: browsers do not tell."""
        return None

    async def read(self, uuid: str) -> bytes:
        """Gives a characteristic's value. Raises LinkError."""
        return await self._answer(self._ask("read", uuid))

    async def write(self, uuid: str, data: bytes, *, response: bool = True) -> None:
        """Writes a characteristic. Without response it waits only for the ``WINDOW``th before. Raises LinkError."""
        if len(data) > MAX_VALUE:
            raise LinkError(f"{self.name}: {len(data)} bytes are more than a value may have")
        text = base64.b64encode(data).decode()
        if response:
            await self._answer(self._ask("write", uuid, data=text))
            return
        self._unconfirmed.append(self._ask("write_without_response", uuid, data=text))
        while self._unconfirmed and (len(self._unconfirmed) > WINDOW or self._unconfirmed[0].done()):
            await self._answer(self._unconfirmed.popleft())

    async def subscribe(self, uuid: str, notified: Callable[[bytes], None]) -> None:
        """Has each notification handed on. Raises LinkError."""
        self._notified[uuid] = notified  # the first one may come with the answer
        await self._answer(self._ask("subscribe", uuid))

    async def unsubscribe(self, uuid: str) -> None:
        """Ends that. Raises LinkError."""
        self._notified.pop(uuid, None)
        await self._answer(self._ask("unsubscribe", uuid))

    # Inside.

    def _ask(self, do: str, uuid: str, **fields: Any) -> asyncio.Future[bytes]:
        if not self.has(uuid):
            raise LinkError(f"{self.name} have no characteristic {uuid} that may be touched, or are gone")
        self._id += 1
        if not self._send("gatt", link=self._link, id=self._id, do=do, of=uuid, **fields):
            raise LinkError(f"{self.name}: the page cannot be asked")
        waiting = self._asked[self._id] = self._loop.create_future()
        waiting.add_done_callback(_looked_at)
        return waiting

    async def _answer(self, waiting: asyncio.Future[bytes]) -> bytes:
        try:
            async with asyncio.timeout(self._patience):
                return await waiting
        except TimeoutError:
            raise LinkError(f"{self.name}: the page did not answer") from None

    def _end(self, error: LinkError) -> None:
        if not self._over:
            self._over = True
            self._fail(error)
            self._tell_lost(error)

    def _fail(self, error: LinkError) -> None:
        self._later.close()
        asked, self._asked = self._asked, {}
        for waiting in asked.values():
            if not waiting.done():
                waiting.set_exception(error)


def _looked_at(waiting: asyncio.Future[bytes]) -> None:
    """A write without response may fail when nobody waits for it; the connection's end tells as much."""
    if not waiting.cancelled():
        waiting.exception()
