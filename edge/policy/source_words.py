"""Which words of running speech stand, for a translation that cannot be taken back once it is spoken.

A recogniser says an utterance anew with every partial. Some know which of their words will not change any more
(``Transcript.settled``): they are believed. For those that do not, PocketSphinx before all, a word stands once it has been the
same, in text and in place, for ``HOLD``, and ends ``MARGIN`` before the newest sound. Nothing that stands is ever taken back:
what follows is told from it by an alignment over text and time (``edge.policy.settling.first_new``).

With PocketSphinx live on 30 recordings of people (262 s), a word stands 0.66 s after its end (median; 95 %: 1.25 s). The
search that ends a segment then says 14.5 % of these words otherwise; words wrong of what stands are 61.9 %, of the finals
60.3 %. Less ``HOLD`` is sooner and worse (0.3 s: 0.46 s, 20.7 %, 64.8 %); more buys agreement with time (1.6 s: 1.5 s, 5.6 %,
60.6 %; 3 s: 1.5 s and 3.3 s, 1.7 %, 60.1 %), for it is the segment's end that most words then wait for. No hold takes the
contradictions away within a segment: it ends with another search, under another weight of the language model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge.policy.settling import first_new, normal, unspaced
from edge.values import Transcript, Word, samples

HOLD: Final = samples(0.5)
"""Sound during which a word must not have changed."""
MARGIN: Final = samples(0.3)
"""A word that ended so shortly before the newest sound may have been heard cut."""
SHIFT: Final = samples(0.1)
"""A word whose ends move by no more than that is where it was."""
FAR: Final = samples(1.0)
"""Words that stand at the same place in the row, with the same text, are the same if they are nearer than this."""
APART: Final = samples(0.5)
"""A word that begins so long after all that stands is new, whatever the alignment takes it for."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What can be told of an utterance; media time."""

    committed: tuple[Word, ...] = ()
    """Stands for good: each begins with all of the one before."""
    tail: tuple[Word, ...] = ()
    """The newest guess at what follows."""

    @property
    def words(self) -> tuple[Word, ...]:
        """All of them, in order."""
        return self.committed + self.tail


class SourceWords:
    """Decides over one utterance."""

    def __init__(self, origin: int = 0, *, hold: int | None = HOLD, margin: int = MARGIN) -> None:
        """``origin`` is the media time of the recogniser's first sample.

        ``hold`` None: only what the recogniser says stands, for one that does not look at its sound with every partial.
        """
        self._origin = origin
        self._hold = hold
        self._margin = margin
        self._looks: deque[tuple[int, Sequence[Word]]] = deque()
        self._committed: list[Word] = []
        self._written: tuple[Word, ...] = ()
        self._at = origin

    def partial(self, transcript: Transcript, at: int) -> Heard:
        """Takes the recogniser's newest view of the sound up to ``at``: the same once more where it has not changed."""
        self._at = max(at, self._at)
        heard = self._placed(transcript)
        first = self._first(heard)
        last = max(first, transcript.settled, self._stable(heard, first))
        self._commit(heard[first:last])
        return Heard(tuple(self._committed), self._after(heard[last:]))

    def final(self, transcript: Transcript, at: int | None = None) -> Heard:
        """Takes the recogniser's last word on the sound up to ``at``, or to where it was heard last: all of it stands."""
        self._at = max(self._at, at or 0)
        heard = self._placed(transcript)
        self._commit(heard[self._first(heard) :])
        return Heard(tuple(self._committed))

    def _placed(self, transcript: Transcript) -> tuple[Word, ...]:
        """Gives the words with media times. Those of a text alone keep the place they had, or are spread over what is left."""
        if transcript.words or not transcript.text:
            return tuple(
                Word(word.text, word.start + self._origin, word.end + self._origin, word.confidence)
                for word in transcript.words
            )
        self._written = spread(transcript.text, self._written, self._origin, self._at, transcript.confidence)
        return self._written

    def _first(self, heard: Sequence[Word]) -> int:
        """Gives the index of the first word that does not stand yet."""
        known = self._committed
        if len(heard) >= len(known) and all(_same(a, b) for a, b in zip(known, heard, strict=False)):
            return len(known)
        behind = next((at for at, word in enumerate(heard) if known and word.start >= known[-1].end + APART), len(heard))
        return min(behind, first_new(known, heard, self._origin))

    def _stable(self, heard: Sequence[Word], first: int) -> int:
        """Remembers a look; gives the index of the first word that may still change."""
        if self._hold is None:
            return first
        since = self._at - self._hold
        self._looks.append((self._at, heard))
        while len(self._looks) > 1 and self._looks[1][0] <= since:
            self._looks.popleft()
        if self._looks[0][0] > since:
            return first
        for index in range(first, len(heard)):
            word = heard[index]
            if word.end > self._at - self._margin or not all(_stood(word, look) for _, look in self._looks):
                return index
        return len(heard)

    def _commit(self, words: Sequence[Word]) -> None:
        self._committed.extend(self._after(words))

    def _after(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Gives words that follow the committed ones, none before the end of the one before it."""
        end = self._committed[-1].end if self._committed else self._origin
        placed = []
        for word in words:
            start = max(word.start, end)
            end = max(word.end, start + 1)
            placed.append(Word(word.text, start, end, word.confidence))
        return tuple(placed)


def _stood(word: Word, look: Sequence[Word]) -> bool:
    return any(
        abs(word.start - other.start) <= SHIFT
        and abs(word.end - other.end) <= SHIFT
        and normal(word.text) == normal(other.text)
        for other in look
    )


def _same(one: Word, other: Word) -> bool:
    return normal(one.text) == normal(other.text) and abs(one.start - other.start) <= FAR


def spread(text: str, before: Sequence[Word], start: int, end: int, confidence: float = 1.0) -> tuple[Word, ...]:
    """Gives the words of ``text`` with places: those with which ``before`` began keep theirs.

    The others share what is left up to ``end``, by their letters; text without blanks is taken sign by sign.
    """
    texts = [piece for run in text.split() for piece in (run if unspaced(run[0]) else (run,))]
    kept = 0
    while kept < min(len(texts), len(before)) and normal(before[kept].text) == normal(texts[kept]):
        kept += 1
    words = [Word(texts[at], before[at].start, before[at].end, confidence) for at in range(kept)]
    at = words[-1].end if words else start
    rest = texts[kept:]
    letters = sum(map(len, rest))
    room = max(end - at, len(rest))
    done = 0
    for piece in rest:
        begin = at + room * done // letters
        done += len(piece)
        words.append(Word(piece, begin, max(begin + 1, at + room * done // letters), confidence))
    return tuple(words)
