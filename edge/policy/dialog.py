"""What was said before: bounded in exchanges and in tokens, and only what was really heard."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from edge.values import Exchange


class History:
    """The last exchanges, oldest first."""

    def __init__(self, capacity: int = 16) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self._exchanges)

    def add(self, exchange: Exchange) -> None:
        """Keeps an exchange; the oldest goes when there are too many."""
        self._exchanges.append(exchange)

    def clear(self) -> None:
        """Forgets everything."""
        self._exchanges.clear()

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """All that is kept, oldest first."""
        return tuple(self._exchanges)


def within(history: Sequence[Exchange], budget: int, count: Callable[[str], int]) -> tuple[Exchange, ...]:
    """Gives the newest exchanges that fit ``budget`` tokens, oldest first; those of which nothing was heard are left out.

    Whole exchanges only, and none older than the first that does not fit: a gap would make the answer to one question look
    like the answer to another.
    """
    kept: list[Exchange] = []
    for exchange in reversed(history):
        if not exchange.heard:
            continue
        budget -= count(exchange.asked) + count(exchange.heard)
        if budget < 0:
            break
        kept.append(exchange)
    return tuple(reversed(kept))
