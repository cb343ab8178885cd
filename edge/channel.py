"""A bounded, closeable channel between two tasks of one loop.

Every hand-over in the runtime goes through one of these, so that every queue has a capacity, a rule for overflow and a
count of what it dropped. Latency that piles up in a queue nobody bounded is the commonest fault of voice pipelines.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class Overflow(Enum):
    """What happens to an item that finds the channel full."""

    BLOCK = "block"
    """``send`` waits; ``send_nowait`` refuses."""
    DROP_OLDEST = "drop_oldest"
    """The oldest waiting item gives way and is counted."""


class ChannelClosed(Exception):
    """Sending into a closed channel. It is a race between two tasks, not a failure that people need to read."""


class Channel(Generic[T]):
    """Hands items from senders to one receiver, in order.

    ``close()`` lets the receiver finish what waits, then ends its ``async for``; ``close(error)`` raises there instead.
    ``flush()`` takes out what waits.
    """

    __slots__ = ("_closed", "_error", "_items", "_receivers", "_senders", "capacity", "dropped", "name", "overflow")

    def __init__(self, name: str, capacity: int, overflow: Overflow = Overflow.BLOCK) -> None:
        if capacity < 1:
            raise ValueError(f"channel {name}: capacity {capacity} is below 1")
        self.name = name
        self.capacity = capacity
        self.overflow = overflow
        self.dropped = 0
        self._items: deque[T] = deque()
        self._receivers: deque[asyncio.Future[None]] = deque()
        self._senders: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self._error: BaseException | None = None

    def __len__(self) -> int:
        return len(self._items)

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent."""
        return self._closed

    def send_nowait(self, item: T) -> bool:
        """Hands ``item`` over without waiting; False when the channel is full and its rule is to block.

        Raises ChannelClosed.
        """
        if self._closed:
            raise ChannelClosed(self.name)
        if len(self._items) >= self.capacity:
            if self.overflow is Overflow.BLOCK:
                return False
            self._items.popleft()
            self.dropped += 1
        self._items.append(item)
        _wake(self._receivers)
        return True

    async def send(self, item: T) -> None:
        """Hands ``item`` over, waiting for room where the rule is to block.

        Raises ChannelClosed, also when the channel closes while this waits.
        """
        while not self.send_nowait(item):
            await self._wait(self._senders)

    async def receive(self) -> T:
        """Takes the oldest item.

        Raises StopAsyncIteration once the channel is closed and empty, or the error it was closed with.
        """
        while not self._items:
            if self._closed:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            await self._wait(self._receivers)
        item = self._items.popleft()
        _wake(self._senders)
        return item

    def flush(self) -> list[T]:
        """Takes everything that waits out of the channel. It does not count as overflow."""
        waiting = list(self._items)
        self._items.clear()
        for _ in range(len(self._senders)):
            _wake(self._senders)
        return waiting

    def close(self, error: BaseException | None = None) -> None:
        """Ends the channel; a second call changes nothing."""
        if self._closed:
            return
        self._closed = True
        self._error = error
        for waiting in (self._receivers, self._senders):
            while waiting:
                _wake(waiting)

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        return await self.receive()

    @staticmethod
    async def _wait(waiting: deque[asyncio.Future[None]]) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            # A waiter that was woken and cancelled in the same turn of the loop passes its wake-up on, or the item
            # (or the room) it was woken for would wait for somebody who is gone.
            if future in waiting:
                waiting.remove(future)
            elif future.done() and not future.cancelled():
                _wake(waiting)
            raise


def _wake(waiting: deque[asyncio.Future[None]]) -> None:
    while waiting:
        future = waiting.popleft()
        if not future.done():
            future.set_result(None)
            return
