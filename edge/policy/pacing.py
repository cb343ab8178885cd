"""Catching up: how fast a translation is spoken, and how much is waiting to be.

Interpreters who fall behind speak faster, then say less. Up to a quarter faster is hardly noticed and wholly understood (speech
stays intelligible to about twice its rate: Foulke and Sticht 1969); beyond that, ``edge.policy.shortening`` leaves out what a
sentence can do without.
"""

from __future__ import annotations

from typing import Final

from edge.policy.settling import unspaced
from edge.policy.shortening import shorten

KNEE: Final = 1.5
"""Seconds behind up to which nothing is hurried: the next words are always made before the last ones have been spoken."""
SLACK: Final = 0.5
"""Seconds by which the backlog may move either way before the pace does: clauses come and go by about so much."""
_HURRY: Final = 0.5
"""The share of ``shorten_behind`` from which everything is spoken as fast as may be."""
_RELIEF: Final = 0.5
"""The share of ``shorten_behind`` to which the backlog must fall until sentences are whole again."""


class Pace:
    """How one listener is spoken to."""

    def __init__(self, max_rate: float = 1.25, shorten_behind: float = 8.0) -> None:
        """``shorten_behind``: seconds behind from which sentences are shortened; ``max_rate`` is reached half-way."""
        self.max_rate = max_rate
        self.shorten_behind = shorten_behind
        self._behind = 0.0
        self._shortens = False

    def rate(self, backlog_s: float) -> float:
        """Gives how much faster than usual to speak, 1 to ``max_rate``, for so many seconds that wait to be heard.

        It follows the backlog with play, as gears do: nothing changes until it has moved by twice ``SLACK``.
        """
        top = max(_HURRY * self.shorten_behind - SLACK, KNEE)
        self._behind = min(max(self._behind, backlog_s - SLACK), backlog_s + SLACK, top)
        share = (self._behind - (KNEE - SLACK)) / (top - (KNEE - SLACK))
        share = min(1.0, max(0.0, share))
        return 1.0 + (self.max_rate - 1.0) * share * share * (3.0 - 2.0 * share)

    def shortens(self, backlog_s: float) -> bool:
        """Says whether sentences are to be shortened now: from ``shorten_behind`` on, and until half of it is left."""
        self._shortens = backlog_s >= self.shorten_behind * (_RELIEF if self._shortens else 1.0)
        return self._shortens

    def shorten(self, text: str, language: str) -> str:
        """Gives what matters of one or more sentences; the text as it is where nothing can be left out safely."""
        return shorten(text, language)


class Backlog:
    """How long a text takes to be spoken, learnt from one voice at work."""

    def __init__(self, letters_per_s: float = 15.0) -> None:
        """``letters_per_s``: of a voice that has not been heard yet; English voices lie at 13 to 17."""
        self._per_letter = 1.0 / letters_per_s

    def seconds(self, text: str) -> float:
        """Gives about how long a text takes at the voice's usual pace."""
        return _letters(text) * self._per_letter

    def spoke(self, text: str, seconds: float) -> None:
        """Takes how long a text took, at the usual pace. What no voice does (a piece that was cut off) is passed over."""
        letters = _letters(text)
        if not letters:
            return
        took = seconds / letters
        if self._per_letter / _ODD <= took <= self._per_letter * _ODD:
            weight = letters / (letters + _KNOWN)
            self._per_letter += weight * (took - self._per_letter)


_ODD: Final = 4.0
"""How many times faster or slower than expected a piece may have been to be believed."""
_KNOWN: Final = 60
"""Letters that what is known already counts for: a sentence of so many moves it half-way."""
_SIGN: Final = 3.0
"""A sign of Chinese or Japanese is a syllable or two: it takes as long as three letters, a digit as five."""
_DIGIT: Final = 5.0


def _letters(text: str) -> float:
    return sum(_SIGN if unspaced(sign) else _DIGIT if sign.isdigit() else 1.0 for sign in text)
