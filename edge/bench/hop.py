"""``bench hop``: what handing over costs, next to the floor that Python and asyncio set on the same machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any

from edge.bench.stats import machine, spread
from edge.channel import Channel
from edge.cli import loop
from edge.cli.output import Output
from edge.ports import Stop
from edge.runtime.lane import Lane
from edge.values import EngineInfo

REPEATS = 30
ITEMS = 2000


class Nothing:
    """An engine that does nothing."""

    info = EngineInfo("nothing", "0")

    def open(self) -> None:
        """Loads nothing."""

    def close(self) -> None:
        """Frees nothing."""

    def count(self, stop: Stop) -> Iterator[int]:
        """Gives numbers."""
        yield from range(ITEMS)


async def _queue() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(25)  # noqa: TID251 - the floor that a channel is measured against

    async def put() -> None:
        for number in range(ITEMS):
            await queue.put(number)

    task = asyncio.create_task(put())
    for _ in range(ITEMS):
        await queue.get()
    await task


async def _channel() -> None:
    channel: Channel[int] = Channel("hop", 25)

    async def send() -> None:
        for number in range(ITEMS):
            await channel.send(number)
        channel.close()

    task = asyncio.create_task(send())
    async for _ in channel:
        pass
    await task


async def _per_item(work: Callable[[], Awaitable[None]]) -> list[float]:
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        await work()
        times.append((time.perf_counter() - began) / ITEMS * 1e6)
    return times


async def _measure() -> dict[str, Any]:
    lane: Lane[Nothing] = Lane("nothing", Nothing)
    await lane.open()

    async def calls() -> None:
        for _ in range(ITEMS):
            await lane.call(lambda engine, stop: None)

    async def items() -> None:
        async with aclosing(lane.stream(lambda engine, stop: engine.count(stop))) as numbers:
            async for _ in numbers:
                pass

    async def executor() -> None:
        for _ in range(ITEMS):
            await asyncio.to_thread(int)

    result = {
        "channel_us": spread(await _per_item(_channel)),
        "lane_call_us": spread(await _per_item(calls)),
        "lane_item_us": spread(await _per_item(items)),
        "floor_asyncio_queue_us": spread(await _per_item(_queue)),
        "floor_to_thread_us": spread(await _per_item(executor)),
    }
    await lane.close()
    return result


def main(*, as_json: bool) -> None:
    """Prints microseconds an item."""
    measured = loop.run(_measure())
    result = {"bench": "hop", "items": ITEMS, **measured, "machine": machine()}
    lines = [f"{name:<26}{value['median']:8.2f} us median, {value['p95']:8.2f} p95" for name, value in measured.items()]
    Output(as_json=as_json).line(result, "\n".join(lines))
