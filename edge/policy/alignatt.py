"""AlignAtt after the fact: a word stands once the decoder no longer looks at the newest sound to write it.

Papi et al., "AlignAtt" (arXiv 2305.11408), as in ufal/SimulStreaming (arXiv 2506.17077; MIT), which stops the decoder at the
first token whose cross-attention peaks in the last 0.5 s. CTranslate2 shows no attention while it decodes, so the words are
aligned afterwards (``edge.ports.SpeechDecoder.attend``): one decoder pass more, the same rule. A word that ends at t stands
with the first update after t + 0.5 s: on the mean half an update later than that, and one decode earlier than by agreement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edge.decoding import Decoded, DecodeRequest
from edge.policy.settling import Ask, Buffer, Told, joined
from edge.values import Word, samples

FRAME: Final = samples(0.02)
"""Sound behind one position of Whisper's encoder."""
LAST: Final = 4 * FRAME
"""The distance from the end that is asked for when no more sound will come."""
REWIND: Final = samples(4.0)
"""Attention that jumps back so far is the sign of a repetition or an invention: nothing of such a decode is taken."""


class AlignAtt:
    """Implements ``edge.policy.settling.StreamingPolicy``. Committed words are the forced beginning of the next decode."""

    attends = True

    def __init__(self, *, limit_s: float = 15.0, threshold_s: float = 0.5, timed: bool = True) -> None:
        """``threshold_s``: how far before the end of the sound a word must have been looked at to stand.

        ``timed``: off for a decoder that translates (``DecodeRequest.task``), whose words have no place of their own.
        """
        self._buffer = Buffer(samples(limit_s), timed=timed)
        self._threshold = samples(threshold_s)

    def request(self, at: int) -> Ask:
        """Asks for the buffer from the committed words on that lie in it; those before it are the prompt."""
        self._buffer.reach(at)
        return Ask(self._buffer.start, DecodeRequest(context=self._buffer.context, prefix=joined(self._buffer.inside)))

    def update(self, decoded: Decoded, attended: Sequence[int] | None, at: int) -> Told:
        """Commits the words up to the first that was written with a look at the newest sound."""
        heard, first = self._buffer.place(decoded)
        looks = _absolute(attended, heard, self._buffer.start)
        if _rewound(looks):
            return Told(tuple(self._buffer.committed))
        count = _settled(looks[first:], at - self._threshold)
        self._buffer.commit(heard[first : first + count])
        self._buffer.trim(decoded, heard, first + count, at)
        return Told(tuple(self._buffer.committed), self._buffer.after(heard[first + count :]))

    def finish(self, decoded: Decoded, attended: Sequence[int] | None, at: int) -> tuple[Word, ...]:
        """Takes what follows the committed words, up to one that was written with a look at the very end."""
        heard, first = self._buffer.place(decoded)
        looks = _absolute(attended, heard, self._buffer.start)
        count = _settled(looks[first:], at - LAST)
        return (*self._buffer.committed, *self._buffer.after(heard[first : first + count]))

    def settle(self, words: tuple[Word, ...]) -> None:
        """Commits all of them."""
        self._buffer.settle(words)


def _absolute(attended: Sequence[int] | None, heard: Sequence[Word], start: int) -> list[int]:
    if attended is None:
        raise ValueError("AlignAtt needs what the decoder attended to")
    if len(attended) != len(heard):
        raise ValueError(f"{len(attended)} attended samples for {len(heard)} words")
    return [start + sample for sample in attended]


def _rewound(looks: Sequence[int]) -> bool:
    furthest = 0
    for look in looks:
        if furthest - look > REWIND:
            return True
        furthest = max(furthest, look)
    return False


def _settled(looks: Sequence[int], until: int) -> int:
    return next((index for index, look in enumerate(looks) if look > until), len(looks))
