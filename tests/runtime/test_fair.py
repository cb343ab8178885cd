"""Wearers take turns at what they share."""

from __future__ import annotations

import asyncio

from edge.runtime.fair import WEARER, FairLock


async def test_a_wearer_with_much_work_waits_for_one_with_little() -> None:
    lock = FairLock()
    order: list[str] = []

    async def work(wearer: str, number: int) -> None:
        WEARER.set(wearer)
        await lock.acquire()
        order.append(f"{wearer}{number}")
        await asyncio.sleep(0.1)
        lock.release()

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(work("a", number))
        for number in range(2):
            group.create_task(work("b", number))
        group.create_task(work("c", 0))
    assert order == ["a0", "a1", "b0", "c0", "a2", "b1", "a3"]
    assert not lock.locked()


async def test_whoever_gives_up_waiting_leaves_the_lock_to_the_next() -> None:
    lock = FairLock()
    await lock.acquire()
    waiting = [asyncio.create_task(lock.acquire()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    lock.release()
    waiting[1].cancel()  # it was its turn just now
    await asyncio.wait(waiting)
    assert waiting[2].done() and not waiting[2].cancelled()
    lock.release()
    assert not lock.locked()
