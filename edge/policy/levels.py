"""Who speaks, by loudness: the wearer's mouth is a hand's breadth from the microphone, the other's an arm's length or more.

Sound falls by 6 dB with each doubling of the distance (0.15 m against 1.2 m: 18 dB), rooms and automatic gain take a part of
that back. How loud either is depends on the glasses, the room and the people, so it is learnt from the conversation: from
utterances whose speaker is known by other means, else by the best split of the last ones in two (one-dimensional 2-means,
solved exactly). Where the two do not stand well apart, it says nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from edge.translation import Party

GAP: Final = 6.0
"""Decibels between the two means from which loudness tells them apart."""
_CLOSED: Final = 0.7
"""Once they were told apart, the share of ``GAP`` below which they no longer are (hysteresis)."""
_MARGIN: Final = 1 / 6
"""The share of the gap on either side of its middle in which nothing is said."""
_SPREAD: Final = 0.3
"""The greatest spread within a cluster (root mean square) as a share of the gap: one person alone does not split so cleanly."""
_EACH: Final = 3
"""Utterances that each side must have where no speaker is known."""
_KNOWN: Final = 2
"""Utterances whose speaker is known that each side must have to go by them alone."""
MEMORY: Final = 40
"""Utterances that are remembered."""


@dataclass(frozen=True, slots=True)
class _Split:
    low: float
    high: float
    spread: float

    @property
    def gap(self) -> float:
        return self.high - self.low


class Levels:
    """The loudness of a conversation's utterances, in dB to any fixed reference."""

    def __init__(self) -> None:
        self._heard: deque[tuple[float, Party | None]] = deque(maxlen=MEMORY)
        self._open = False

    def add(self, level_db: float, party: Party | None = None) -> None:
        """Takes an utterance's level, with its speaker where that was known by other means."""
        if math.isfinite(level_db):
            self._heard.append((level_db, party))

    def party(self, level_db: float) -> Party | None:
        """Gives who speaks at this level; None where that cannot be told."""
        split = self._split()
        least = GAP * (_CLOSED if self._open else 1.0)
        self._open = split is not None and split.gap >= least and split.spread <= _SPREAD * split.gap
        if split is None or not self._open or not math.isfinite(level_db):
            return None
        above = level_db - (split.low + split.high) / 2
        if abs(above) < _MARGIN * split.gap:
            return None
        return Party.WEARER if above > 0 else Party.PARTNER

    def _split(self) -> _Split | None:
        near = [level for level, party in self._heard if party is Party.WEARER]
        far = [level for level, party in self._heard if party is Party.PARTNER]
        if min(len(near), len(far)) >= _KNOWN:
            return _parted(sorted(far), sorted(near))
        levels = sorted(level for level, _ in self._heard)
        best = _two_means(levels)
        if best is None:
            return None
        low, high = levels[:best], levels[best:]
        wrong = sum(level < high[0] for level in near) + sum(level > low[-1] for level in far)
        return _parted(low, high) if wrong == 0 else None


def _parted(low: Sequence[float], high: Sequence[float]) -> _Split:
    below, above = sum(low) / len(low), sum(high) / len(high)
    squares = sum((level - below) ** 2 for level in low) + sum((level - above) ** 2 for level in high)
    return _Split(below, above, math.sqrt(squares / (len(low) + len(high))))


def _two_means(levels: Sequence[float]) -> int | None:
    """Where sorted levels part best: the cut with the greatest variance between the two (Otsu's criterion)."""
    sums = [0.0, *accumulate(levels)]
    number = len(levels)

    def between(cut: int) -> float:
        difference = sums[cut] / cut - (sums[number] - sums[cut]) / (number - cut)
        return cut * (number - cut) * difference**2

    return max(range(_EACH, number - _EACH + 1), key=between, default=None)
