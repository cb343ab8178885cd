"""Reading ahead keeps order, bound and errors, on both kinds of loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from phone_bridge.ahead import Ahead


async def read(ahead: Ahead[int]) -> list[int]:
    items = []
    while (item := await ahead.get()) is not None:
        items.append(item)
    return items


@pytest.mark.parametrize("batch", [1, 7])
async def test_order_is_kept(batch: int) -> None:
    ahead = Ahead(iter(range(1, 100)), "test", batches=3, batch=batch)
    await ahead.prime()
    assert await read(ahead) == list(range(1, 100))
    assert await ahead.get() is None
    ahead.close()


@pytest.mark.real_time
async def test_it_reads_no_further_than_its_bound() -> None:
    reached = threading.Event()
    read = 0

    def items() -> Iterator[int]:
        nonlocal read
        while True:
            read += 1
            if read == 6:
                reached.set()
            yield read

    ahead = Ahead(items(), "test", batches=3, batch=2)
    assert await asyncio.to_thread(reached.wait, 5)
    await asyncio.sleep(0.02)
    assert read == 6
    assert [await ahead.get() for _ in range(2)] == [1, 2]
    ahead.close()


@pytest.mark.real_time
async def test_errors_come_where_they_happened_and_close_ends_a_waiting_reader() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("torn")

    ahead = Ahead(broken(), "test")
    assert await ahead.get() == 1
    with pytest.raises(ValueError, match="torn"):
        await ahead.get()
    ahead.close()

    gate = threading.Event()

    def slow() -> Iterator[int]:
        gate.wait()
        yield 1

    ahead = Ahead(slow(), "test", batches=2)
    waiting = asyncio.create_task(read(ahead))
    await asyncio.sleep(0.01)
    gate.set()
    ahead.close()
    assert await waiting in ([], [1])
