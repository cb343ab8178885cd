"""A bad network on purpose: packets of one connection are lost, delayed and put out of order, both ways, while it runs.

It lies between DTLS and ICE, so that sound, video, control messages and their acknowledgements all suffer, as on a real
network; ICE's own checks pass, since the connection itself is to stay.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiortc import RTCIceTransport, RTCPeerConnection

from edge.channel import Channel, Overflow

MAX_WAITING = 2000
"""Packets on their way in one direction; one that finds as many is lost. A second of video has some hundreds."""


@dataclass(slots=True)
class Impairment:
    """What a network does to each packet, in each direction. All may be set while connections run."""

    loss: float = 0.0
    """Share of the packets that is lost, 0 to 1."""
    delay: float = 0.0
    """Seconds, one way."""
    jitter: float = 0.0
    """Seconds: each packet is delayed by a random part of this besides, so that packets overtake each other."""
    seed: int | None = None
    """Makes what chance decides the same each time, as far as packets come in the same order."""
    _random: random.Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self) -> float | None:
        """Gives the seconds by which the next packet is delayed; None where it is lost."""
        # Both are drawn whatever is set, so that one seed loses the same packets with and without jitter.
        lost, part = self._random.random() < self.loss, self._random.random()
        return None if lost else max(0.0, self.delay + part * self.jitter)


class _Way:
    """One direction. Packets that are not delayed pass straight through."""

    def __init__(self, impairment: Impairment, hand_on: Callable[[bytes], Awaitable[None]]) -> None:
        self.lost = 0
        self._impairment = impairment
        self._hand_on = hand_on
        self._waiting: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._changed = asyncio.Event()

    async def take(self, data: bytes) -> None:
        """Takes a packet. Raises what handing it on raises, where that happens at once."""
        delay = self._impairment.draw()
        if delay is None or len(self._waiting) >= MAX_WAITING:
            self.lost += 1
        elif not delay and not self._waiting:
            await self._hand_on(data)
        else:
            self._count += 1
            heapq.heappush(self._waiting, (asyncio.get_running_loop().time() + delay, self._count, data))
            self._changed.set()

    async def run(self) -> None:
        """Hands delayed packets on in their time, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            if self._waiting and self._waiting[0][0] <= loop.time():
                try:
                    await self._hand_on(heapq.heappop(self._waiting)[2])
                except ConnectionError:
                    self.lost += 1  # the connection has ended meanwhile; who uses it hears that from it
                continue
            try:
                async with asyncio.timeout_at(self._waiting[0][0] if self._waiting else None):
                    await self._changed.wait()
            except TimeoutError:
                pass


class _Line:
    """Both directions of one ICE transport."""

    def __init__(self, ice: RTCIceTransport, impairment: Impairment) -> None:
        self._inbox: Channel[bytes] = Channel("impaired", MAX_WAITING, Overflow.DROP_OLDEST)
        self._receive_plain: Callable[[], Awaitable[bytes]] = ice._recv
        self._send_plain: Callable[[bytes], Awaitable[None]] = ice._send
        self._ice = ice
        self._out = _Way(impairment, self._send_plain)
        self._in = _Way(impairment, self._inbox.send)
        self._tasks = [
            asyncio.create_task(work, name="impairment") for work in (self._out.run(), self._in.run(), self._receive_all())
        ]
        # aiortc's DTLS transport looks these two up for every packet; the receive that waits now gets one packet past us.
        setattr(ice, "_send", self._out.take)  # noqa: B010 - a method for a method
        setattr(ice, "_recv", self._receive)  # noqa: B010

    @property
    def lost(self) -> int:
        return self._out.lost + self._in.lost

    async def _receive_all(self) -> None:
        try:
            while True:
                await self._in.take(await self._receive_plain())
        except ConnectionError as error:
            self._inbox.close(error)

    async def _receive(self) -> bytes:
        try:
            return await self._inbox.receive()
        except StopAsyncIteration:
            return await self._receive_plain()

    async def close(self) -> None:
        if not self._tasks:
            return
        setattr(self._ice, "_send", self._send_plain)  # noqa: B010
        setattr(self._ice, "_recv", self._receive_plain)  # noqa: B010
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        self._inbox.close()


class Impaired:
    """An impairment at work on one connection; ``impair`` makes it."""

    def __init__(self, transports: set[RTCIceTransport], impairment: Impairment) -> None:
        self._lines = [_Line(transport, impairment) for transport in transports]

    @property
    def lost(self) -> int:
        """Packets that it has lost, both ways."""
        return sum(line.lost for line in self._lines)

    async def close(self) -> None:
        """Takes it out of the line; packets on their way are lost. A second call changes nothing."""
        for line in self._lines:
            await line.close()


def impair(connection: RTCPeerConnection, impairment: Impairment) -> Impaired:
    """Puts an impairment on the line of a connection.

    Call it once the connection's state is ``connected``, and ``close`` what it gives before the connection is closed.
    """
    ends = [transceiver.sender.transport for transceiver in connection.getTransceivers()]
    if connection.sctp is not None:
        ends.append(connection.sctp.transport)
    return Impaired({end.transport for end in ends}, impairment)
