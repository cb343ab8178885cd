"""Lanes: in real threads and real time, and under the virtual clock."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from edge.errors import EngineFailed, EngineFlooded, EngineHung, ModelMissing
from edge.ports import Stop
from edge.runtime.lane import Lane
from edge.runtime.virtual import VirtualLoop
from edge.values import EngineInfo


class Worker:
    """An engine that says in which thread it runs."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.opened = 0
        self.closed = 0
        self.ended = threading.Event()

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("worker", "1")

    def open(self) -> None:
        self.opened += 1

    def close(self) -> None:
        self.closed += 1

    def add(self, one: int, two: int) -> int:
        self.threads.add(threading.get_ident())
        return one + two

    def count(self, stop: Stop, pause: float = 0.0, limit: int = 1_000_000) -> Iterator[int]:
        try:
            for number in range(limit):
                self.threads.add(threading.get_ident())
                if stop.wait(pause) if pause else stop:
                    return
                yield number
        finally:
            self.ended.set()


async def lane_of(engine: Worker, time_limit: float = 5.0) -> Lane[Worker]:
    lane = Lane("worker", lambda: engine, time_limit=time_limit)
    await lane.open()
    return lane


@pytest.mark.real_time
async def test_calls_and_iterations_stay_in_one_thread_off_the_loop() -> None:
    engine = Worker()
    lane = await lane_of(engine)
    assert await lane.call(lambda e, stop: e.add(2, 3)) == 5
    async with aclosing(lane.stream(lambda e, stop: e.count(stop, limit=4))) as numbers:
        assert [number async for number in numbers] == [0, 1, 2, 3]
    assert len(engine.threads) == 1
    assert threading.get_ident() not in engine.threads
    await lane.close()
    assert (engine.opened, engine.closed) == (1, 1)


@pytest.mark.real_time
async def test_the_loop_goes_on_while_the_engine_works() -> None:
    lane = await lane_of(Worker())
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await lane.call(lambda e, stop: time.sleep(0.3))
    ticking.cancel()
    assert ticks > 10
    await lane.close()


@pytest.mark.real_time
async def test_cancelling_raises_the_stop_flag_and_measures_the_time_to_a_free_lane() -> None:
    engine = Worker()
    lane = await lane_of(engine)

    async def use() -> None:
        async with aclosing(lane.stream(lambda e, stop: e.count(stop, pause=0.01))) as numbers:
            async for _ in numbers:
                pass

    task = asyncio.create_task(use())
    await asyncio.sleep(0.1)
    assert lane.busy
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await lane.call(lambda e, stop: e.add(1, 1)) == 2
    assert engine.ended.is_set(), "the generator was closed in its thread before the lane was free"
    assert len(lane.free_after) == 1
    await lane.close()


@pytest.mark.real_time
async def test_a_hung_engine_is_replaced_and_those_who_wait_get_the_new_one() -> None:
    made: list[Worker] = []
    release = threading.Event()

    def make() -> Worker:
        made.append(Worker())
        return made[-1]

    lane = Lane("worker", make, time_limit=0.2)
    await lane.open()
    hung = asyncio.create_task(lane.call(lambda e, stop: release.wait(10)))
    await asyncio.sleep(0.05)
    waiting = asyncio.create_task(lane.call(lambda e, stop: e.add(1, 2)))
    with pytest.raises(EngineHung, match="worker gave no result"):
        await hung
    assert await waiting == 3
    assert lane.replaced == 1
    assert len(made[1].threads) == 1, "the second engine did the waiting job"
    assert made[1].opened == 1
    release.set()
    await lane.close()


@pytest.mark.real_time
async def test_an_iteration_that_hangs_gives_the_lane_up() -> None:
    release = threading.Event()
    lane: Lane[Worker] = Lane("worker", Worker, time_limit=0.2)
    await lane.open()

    def stuck(stop: Stop) -> Iterator[int]:
        yield 1
        release.wait(10)

    got = []
    with pytest.raises(EngineHung):
        async with aclosing(lane.stream(lambda e, stop: stuck(stop))) as items:
            async for item in items:
                got.append(item)
    assert got == [1]
    assert await lane.call(lambda e, stop: e.add(4, 4)) == 8
    release.set()
    await lane.close()


async def test_errors_of_the_tree_pass_and_others_become_engine_failed() -> None:
    lane = await lane_of(Worker())

    def missing(engine: Worker, stop: Stop) -> None:
        raise ModelMissing("x not installed")

    with pytest.raises(ModelMissing):
        await lane.call(missing)
    with pytest.raises(EngineFailed, match="worker: ZeroDivisionError") as caught:
        await lane.call(lambda e, stop: 1 // 0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert await lane.call(lambda e, stop: e.add(0, 1)) == 1, "the lane lives on"
    await lane.close()


async def test_a_flood_is_cut() -> None:
    lane = await lane_of(Worker())
    with pytest.raises(EngineFlooded, match="more than 50 items"):
        async with aclosing(lane.stream(lambda e, stop: e.count(stop), max_items=50)) as numbers:
            async for _ in numbers:
                pass
    assert await lane.call(lambda e, stop: e.add(0, 1)) == 1
    await lane.close()


async def test_work_costs_no_virtual_time_unless_it_declares_some() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    lane = await lane_of(Worker())
    began = loop.time()
    await lane.call(lambda e, stop: time.sleep(0.05))
    assert loop.time() == began
    await lane.call(lambda e, stop: loop.spend(0.25, stop))
    assert loop.time() == pytest.approx(began + 0.25, abs=1e-9)
    await lane.close()


async def test_results_arrive_in_the_order_of_their_beginning_in_virtual_time() -> None:
    slow, fast = await lane_of(Worker()), await lane_of(Worker())
    order: list[str] = []

    async def note(name: str, lane: Lane[Worker], seconds: float) -> None:
        await lane.call(lambda e, stop: time.sleep(seconds))
        order.append(name)

    for _ in range(3):
        order.clear()
        await asyncio.gather(note("slow", slow, 0.05), note("fast", fast, 0.0))
        assert order == ["slow", "fast"]
    await slow.close()
    await fast.close()


async def test_a_stop_ends_declared_work_early() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    lane = await lane_of(Worker())
    stop = Stop()
    began = loop.time()
    task = asyncio.create_task(lane.call(lambda e, flag: loop.spend(10.0, flag), stop=stop))
    await asyncio.sleep(0.5)
    stop.set()
    await task
    assert loop.time() - began < 0.6
    await lane.close()
