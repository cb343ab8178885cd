"""A lock that several wearers share fairly: whoever holds it, the next turn goes to the next wearer who waits.

An ``asyncio.Lock`` is first come, first served: a wearer whose session queues four pieces of work is served four times
before a wearer who asks for one. Here wearers take turns, and within a wearer the order is kept (round robin; Nagle, RFC 970).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from contextvars import ContextVar

WEARER: ContextVar[str] = ContextVar("wearer", default="")
"""For whom the current task works. Set once where a session begins: its tasks inherit it."""


class FairLock:
    """Held by one at a time. ``acquire`` waits for its turn; ``release`` hands over."""

    def __init__(self) -> None:
        self._held = False
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._held

    async def acquire(self) -> None:
        """Waits until it is this wearer's turn."""
        if not self._held:
            self._held = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(WEARER.get(), deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()  # it was handed over just now, to nobody
            raise

    def release(self) -> None:
        """Hands over to the wearer who has waited longest since their last turn."""
        while self._waiting:
            wearer, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[wearer] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._held = False
