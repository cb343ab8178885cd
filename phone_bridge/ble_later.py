"""Work that an adapter wants done in its turn, one piece after the other: half of every ``Gatt``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from edge.channel import Channel, ChannelClosed
from edge.errors import LinkError

MAX_LATER = 64
"""Pieces of work that may wait: over a second of sound."""


class Later:
    """The queue and the task that empties it. A ``Gatt`` begins and ends both with its connection."""

    def __init__(self, name: str) -> None:
        self._later: Channel[tuple[str, Callable[[], Awaitable[None]]]] = Channel(name, MAX_LATER)
        self._worker: asyncio.Task[None] | None = None

    def later(self, work: Callable[[], Awaitable[None]], *, stream: str = "") -> bool:
        """Does ``work`` in its turn; False where too much waits, or the connection has ended."""
        try:
            return self._later.send_nowait((stream, work))
        except ChannelClosed:
            return False

    def forget(self, stream: str) -> int:
        """Drops the work of a stream that was not begun; gives how much."""
        waiting = self._later.flush()
        keep = [item for item in waiting if item[0] != stream]
        for item in keep:
            self._later.send_nowait(item)
        return len(waiting) - len(keep)

    def _begin_work(self, name: str, failed: Callable[[LinkError], None]) -> None:
        """Begins; ``failed`` takes the error that ends it."""
        self._worker = asyncio.create_task(self._work(failed), name=name)

    async def _end_work(self) -> None:
        """Ends it, and waits for that. A second call changes nothing."""
        self._later.close()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    async def _work(self, failed: Callable[[LinkError], None]) -> None:
        try:
            async for _, work in self._later:
                await work()
        except LinkError as error:
            failed(error)
