"""A loop whose clock jumps: waiting costs no time, work is waited for.

Under it a session that is paced for a live device (a chunk every 20 ms, a reply played at its own length) runs as fast as the
machine can, and a test of an hour of dialogue takes seconds. Nothing is patched: the runtime reads ``loop.time()`` alone.

Lanes report the jobs that their threads have in hand. While there is one, the clock does not jump. What such work costs:

- ``charge=True``: the real time that it takes. Measured latencies stay true although silence is skipped (``ask --fast``).
- ``charge=False``: nothing. Results reach the loop together, in the order in which the work was begun, so that two runs give
  the same events at the same nanosecond (``replay``, tests). A scripted engine can still declare a cost with ``spend``.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from edge.errors import EngineHung
from edge.ports import Stop

T = TypeVar("T")

SLICE_S = 0.005
"""How often ``spend`` looks at its stop flag, in virtual seconds."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time."""

    def __init__(self, *, charge: bool = False, patience: float = 120.0) -> None:
        """``patience`` is how many real seconds a job may hold the clock before the loop raises EngineHung."""
        self.charge = charge
        self.patience = patience
        self._now = 0.0
        self._tickets = 0
        self._working = 0
        self._finished: dict[int, Callable[[], None]] = {}
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    @property
    def working(self) -> bool:
        """Whether the clock must not jump."""
        return self._working > 0

    def job_began(self) -> int:
        """A thread has taken work whose result the loop waits for; gives a ticket."""
        self._tickets += 1
        self._working += 1
        return self._tickets

    def job_ended(self, ticket: int, deliver: Callable[[], None]) -> None:
        """The work's result is on the loop; ``deliver`` hands it on."""
        self._finished[ticket] = deliver
        self._hand_on()

    def _hand_on(self) -> None:
        if not self.charge and len(self._finished) < self._working:
            return
        finished, self._finished = self._finished, {}
        self._working -= len(finished)
        for ticket in sorted(finished):
            finished[ticket]()

    def spend(self, seconds: float, stop: Stop) -> None:
        """Spends virtual time in a lane's thread, less when the stop is set. For scripted engines."""
        while seconds > 1e-9 and not stop:
            piece = min(seconds, SLICE_S)
            seconds -= piece
            woken = threading.Event()
            self.call_soon_threadsafe(self._sleep_for_thread, piece, woken)
            woken.wait()

    def _sleep_for_thread(self, seconds: float, woken: threading.Event) -> None:
        def wake() -> None:
            self._working += 1
            woken.set()

        self._working -= 1
        self.call_later(seconds, wake)
        self._hand_on()


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self._loop
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if not loop.working and timeout is not None:
            ready = super().select(0)
            if not ready:
                loop._now += timeout
            return ready
        limit = min(timeout, loop.patience) if loop.charge and timeout is not None else loop.patience
        began = time.perf_counter()
        ready = super().select(limit)
        passed = time.perf_counter() - began
        if loop.charge:
            loop._now += passed if timeout is None else min(passed, timeout)
        elif not ready and loop.working and passed >= loop.patience:
            raise EngineHung(f"no result from an engine within {loop.patience:.0f} s")
        return ready


def job_began(loop: asyncio.AbstractEventLoop) -> int:
    """Tells the loop, where its time is virtual, that a thread has taken work; gives a ticket."""
    return loop.job_began() if isinstance(loop, VirtualLoop) else 0


def job_ended(loop: asyncio.AbstractEventLoop, ticket: int, deliver: Callable[[], None]) -> None:
    """Hands the work's result on: at once, or where time is virtual when it is its turn."""
    if isinstance(loop, VirtualLoop):
        loop.job_ended(ticket, deliver)
    else:
        deliver()


def run(main: Coroutine[Any, Any, T], *, charge: bool = False) -> T:
    """Runs a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(charge=charge)) as runner:
        return runner.run(main)
