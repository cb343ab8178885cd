"""LocalAgreement-2: what two decodes in a row say alike stands for good.

From ufal/whisper_streaming (Macháček et al., arXiv 2307.14743; MIT). A word that ends at t is first heard whole by the next
decode and confirmed by the one after it: with an update every second it stands 1 to 2 s after it was said, 1.5 s on the mean.

Differences, each for a fault that its users report:

- words are compared without case and punctuation, which Whisper changes with every decode;
- what is committed is told from what is new by an alignment over text and time (``edge.policy.settling.first_new``);
- a number that is written another way each time would block all that follows: what ``patience`` decodes have passed over
  without agreement is committed as the newest has it;
- at the end there is one decode more, over the whole buffer, for the last words (``finish``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from edge.decoding import Decoded, DecodeRequest
from edge.policy.settling import Ask, Buffer, Told, agreed
from edge.values import Word, samples

EDGE: Final = samples(0.3)
"""A word that ended so shortly before a decode's end may have been heard cut."""


class LocalAgreement:
    """Implements ``edge.policy.settling.StreamingPolicy``."""

    attends = False

    def __init__(self, *, limit_s: float = 15.0, patience: int = 4, timed: bool = True) -> None:
        """``limit_s``: the buffer is cut at a segment's end beyond it. ``patience``: decodes until a commit is forced.

        ``timed``: off for a decoder that translates (``DecodeRequest.task``), whose words have no place of their own.
        """
        self._buffer = Buffer(samples(limit_s), timed=timed)
        self._previous: Sequence[Word] = ()
        self._looks: deque[int] = deque(maxlen=patience)  # where the last decodes ended

    def request(self, at: int) -> Ask:
        """Asks for the whole buffer, with what was committed before it as the prompt."""
        self._buffer.reach(at)
        return Ask(self._buffer.start, DecodeRequest(context=self._buffer.context))

    def update(self, decoded: Decoded, attended: Sequence[int] | None, at: int) -> Told:
        """Commits the words with which this decode and the one before begin alike."""
        heard, first = self._buffer.place(decoded)
        new = heard[first:]
        count = max(agreed(new, self._previous), self._overdue(new))
        self._buffer.commit(new[:count])
        self._looks.append(at)
        self._previous = new[count:]
        self._buffer.trim(decoded, heard, first + count, at)
        return Told(tuple(self._buffer.committed), self._buffer.after(self._previous))

    def finish(self, decoded: Decoded, attended: Sequence[int] | None, at: int) -> tuple[Word, ...]:
        """Takes all that follows the committed words. Should the speaker go on, it is what the next decode must agree with."""
        heard, first = self._buffer.place(decoded)
        self._previous = heard[first:]
        return (*self._buffer.committed, *self._buffer.after(self._previous))

    def settle(self, words: tuple[Word, ...]) -> None:
        """Commits all of them."""
        self._buffer.settle(words)
        self._previous = ()

    def _overdue(self, new: Sequence[Word]) -> int:
        if len(self._looks) < (self._looks.maxlen or 0):
            return 0
        count = 0
        while count < len(new) and new[count].end <= self._looks[0] - EDGE:
            count += 1
        return count
