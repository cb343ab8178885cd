"""A lane: one engine, one thread, one job at a time.

Engines are blocking, and the interesting ones are lazy generators: iterated on the loop they would block it, whatever thread
made them. A lane runs every ``next`` in the engine's own thread. Cancelling the task that waits for a job does not stop a
thread; the job's ``Stop`` does, and the lane measures how long the engine takes to notice (``free_after``). A job that passes
its time limit costs the engine: the thread is left to itself, and the next job has a fresh thread and a fresh engine.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, Generic, TypeVar

from edge.errors import EngineError, EngineFailed, EngineFlooded, EngineHung, NearsightError
from edge.ports import Engine, Stop
from edge.runtime.fair import FairLock
from edge.runtime.virtual import job_began, job_ended

log = logging.getLogger(__name__)

E = TypeVar("E", bound=Engine)
T = TypeVar("T")

OPEN_LIMIT = 300.0
"""Seconds that loading an engine may take: a large model from a slow card."""

_END: Any = object()


class Lane(Generic[E]):
    """Runs the jobs of one engine, one after the other, in the engine's own thread.

    ``make`` builds the engine, again when the engine hung. ``time_limit`` is seconds for one call or one item.
    """

    def __init__(self, name: str, make: Callable[[], E], *, time_limit: float = 20.0) -> None:
        self.name = name
        self.time_limit = time_limit
        self.replaced = 0
        """How often a hung engine was given up."""
        self.free_after: deque[float] = deque(maxlen=256)
        """Seconds from a cancelled job's stop until the engine was free, newest last."""
        self._make = make
        self._worker = _Worker(name, make())

    @property
    def engine(self) -> E:
        """The engine, for what needs no thread: its ``info``, its ``window``."""
        return self._worker.engine

    @property
    def busy(self) -> bool:
        """Whether a job runs or an iteration is under way."""
        return self._worker.lock.locked()

    async def open(self) -> None:
        """Loads the engine. Raises what its ``open`` raises."""
        await self.call(lambda engine, stop: None)

    async def close(self) -> None:
        """Waits for the job in hand, then frees the engine and its thread."""
        worker = self._worker
        if worker.started:
            try:
                await self.call(lambda engine, stop: engine.close() if worker.opened else None)
            except EngineError as error:
                log.warning("lane %s: close failed: %s", self.name, error.text)
            self._worker.jobs.put(None)
        self._worker = _Worker(self.name, self._make())

    async def call(self, job: Callable[[E, Stop], T], *, stop: Stop | None = None) -> T:
        """Runs one job. If the task that waits is cancelled, the job's Stop is set, and the lane is busy until it ends.

        Raises the tree's errors as they are, EngineFailed for all others, EngineHung after the time limit.
        """
        flag = Stop() if stop is None else stop.child()
        worker = await self._acquire()
        running = self._submit(worker, lambda: job(worker.ready(), flag), flag)
        running.future.add_done_callback(lambda _: worker.lock.release())
        result: T = await running.result()
        return result

    async def stream(
        self, job: Callable[[E, Stop], Iterator[T]], *, stop: Stop | None = None, max_items: int = 100_000
    ) -> AsyncGenerator[T, None]:
        """Iterates what ``job`` returns, each ``next`` in the engine's thread; the lane is busy until the end.

        Use it under ``contextlib.aclosing``. Raises as ``call`` does, and EngineFlooded after ``max_items``.
        """
        flag = Stop() if stop is None else stop.child()
        worker = await self._acquire()
        source: list[Iterator[T]] = []
        ended = False
        running: _Job | None = None

        def step() -> T:
            if not source:
                source.append(iter(job(worker.ready(), flag)))
            return next(source[0], _END)

        try:
            for _ in range(max_items):
                running = self._submit(worker, step, flag)
                item = await running.result()
                if item is _END:
                    ended = True
                    return
                yield item
            raise EngineFlooded(f"{self.name} gave more than {max_items} items")
        finally:
            flag.set()
            if ended or running is None:
                worker.lock.release()
            else:
                running.future.add_done_callback(lambda _: self._end_stream(worker, source, flag))

    def _end_stream(self, worker: _Worker[E], source: list[Iterator[T]], flag: Stop) -> None:
        """Closes a half-used generator in the thread that ran it, then frees the lane."""
        if worker is not self._worker or not source:
            worker.lock.release()
            return
        closing = self._submit(worker, lambda: _close(source), flag)
        closing.future.add_done_callback(lambda _: worker.lock.release())

    async def _acquire(self) -> _Worker[E]:
        while True:
            worker = self._worker
            await worker.lock.acquire()
            if worker is self._worker:
                return worker
            worker.lock.release()

    def _submit(self, worker: _Worker[E], work: Callable[[], Any], stop: Stop) -> _Job:
        loop = asyncio.get_running_loop()
        limit = self.time_limit if worker.opened else max(self.time_limit, OPEN_LIMIT)
        job = _Job(self, work, stop, loop)
        job.watchdog = loop.call_later(limit, self._give_up, worker, job, limit)
        worker.put(job)
        return job

    def _give_up(self, worker: _Worker[E], job: _Job, limit: float) -> None:
        """The job passed its time limit: its thread cannot be ended from here, so it is left to itself."""
        job.stop.set()
        self.replaced += 1
        log.error("lane %s: no result within %.0f s, engine replaced", self.name, limit)
        if worker is self._worker:
            self._worker = _Worker(self.name, self._make())
        worker.jobs.put(None)
        job.settle(None, EngineHung(f"{self.name} gave no result within {limit:.0f} s"))


class _Job:
    """One piece of work on its way through a thread."""

    def __init__(self, lane: Lane[Any], work: Callable[[], Any], stop: Stop, loop: asyncio.AbstractEventLoop) -> None:
        self.lane = lane
        self.work = work
        self.stop = stop
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.future.add_done_callback(lambda future: future.cancelled() or future.exception())
        self.watchdog: asyncio.TimerHandle | None = None
        self.settled = False
        self._left_at: float | None = None
        self._ticket = job_began(loop)

    async def result(self) -> Any:
        """Waits for the work; when the waiting task is cancelled, asks the engine to stop and notes when."""
        try:
            return await asyncio.shield(self.future)
        except asyncio.CancelledError:
            self.stop.set()
            self._left_at = self.loop.time()
            raise

    def settle(self, result: Any, error: BaseException | None) -> None:
        """Takes the outcome, on the loop; what comes after a time limit was passed is dropped."""
        if not self.settled:
            self.settled = True
            job_ended(self.loop, self._ticket, lambda: self._deliver(result, error))

    def _deliver(self, result: Any, error: BaseException | None) -> None:
        if self.watchdog is not None:
            self.watchdog.cancel()
        if self._left_at is not None:
            self.lane.free_after.append(self.loop.time() - self._left_at)
        if error is None:
            self.future.set_result(result)
        elif isinstance(error, NearsightError):
            self.future.set_exception(error)
        else:
            failed = EngineFailed(f"{self.lane.name}: {type(error).__name__}: {error}")
            failed.__cause__ = error
            self.future.set_exception(failed)


class _Worker(Generic[E]):
    """An engine and its thread, which ends when it takes None."""

    def __init__(self, name: str, engine: E) -> None:
        self.name = name
        self.engine = engine
        self.lock = FairLock()
        self.jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self.opened = False
        self.started = False

    def ready(self) -> E:
        """The engine, loaded. Runs in its thread."""
        if not self.opened:
            self.engine.open()
            self.opened = True
        return self.engine

    def put(self, job: _Job) -> None:
        if not self.started:
            self.started = True
            threading.Thread(target=self._run, name=f"lane-{self.name}", daemon=True).start()
        self.jobs.put(job)

    def _run(self) -> None:
        while (job := self.jobs.get()) is not None:
            result, error = None, None
            try:
                result = job.work()
            except BaseException as raised:  # the thread's edge: every error crosses to the loop
                error = raised
            try:
                job.loop.call_soon_threadsafe(job.settle, result, error)
            except RuntimeError:
                return  # the loop has closed: nobody waits any more
            del job, result, error


def _close(source: list[Iterator[Any]]) -> None:
    for iterator in source:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
