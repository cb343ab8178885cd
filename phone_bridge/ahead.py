"""Lets a blocking iterator run in a thread, some items ahead of the task that reads it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Reads an iterator ahead: at most ``batches`` x ``batch`` items wait.

    On a loop in virtual time the reader blocks the loop instead of awaiting, because a wait that shows or not, as the thread
    happens to run, would give two runs of the same session two orders of events.
    """

    def __init__(self, items: Iterator[T], name: str, *, batches: int = 4, batch: int = 1) -> None:
        self._items = items
        self._batch = batch
        self._closed = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._jobs: deque[Future[list[T]]] = deque(self._pool.submit(self._read) for _ in range(batches))
        self._ready: deque[T] = deque()

    async def prime(self) -> None:
        """Waits for the first batch. Raises what the iterator raises."""
        await self._fill()

    async def get(self) -> T | None:
        """Gives the next item, None after the last. Raises what the iterator raises."""
        if not self._ready:
            await self._fill()
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        """Ends the thread; waits for the batch that it has in hand."""
        # The jobs are not cancelled: a reader that waits for one would take that for its own cancellation.
        self._closed = True
        self._pool.shutdown(wait=True)
        self._jobs.clear()
        close = getattr(self._items, "close", None)
        if close is not None:
            close()

    def _read(self) -> list[T]:
        return [] if self._closed else list(islice(self._items, self._batch))

    async def _fill(self) -> None:
        if not self._jobs:
            return
        job = self._jobs.popleft()
        if job.done() or hasattr(asyncio.get_running_loop(), "job_began"):
            batch = job.result()
        else:
            batch = await asyncio.wrap_future(job)
        self._ready.extend(batch)
        if batch and not self._closed:
            self._jobs.append(self._pool.submit(self._read))
        else:
            self._jobs.clear()


async def until(when: float) -> None:
    """Sleeps until the loop's clock shows ``when``; gives way once where that is past."""
    loop = asyncio.get_running_loop()
    if when <= loop.time():
        await asyncio.sleep(0)
        return
    # call_at and not sleep(): "now + (when - now)" is not always "when", and media time is checked to the sample.
    woken: asyncio.Future[None] = loop.create_future()
    handle = loop.call_at(when, _wake, woken)
    try:
        await woken
    finally:
        handle.cancel()


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
