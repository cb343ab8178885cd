"""Words that settle while one speaks: what the streaming policies share.

A decoder that knows no streams (``edge.ports.SpeechDecoder``) is given the newest seconds of an utterance again and again, and
says all of it anew each time. A ``StreamingPolicy`` decides which of its words stand for good. It is pure: it sees words and
samples, never sound, so that it can be tested without a model.

One policy serves one run of speech. All times are samples from the run's first sample.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from edge.decoding import Decoded, DecodeRequest
from edge.values import Word, samples

LONGEST: Final = samples(28.0)
"""Sound that is decoded at most: Whisper looks at 30 s, and the last pass adds silence behind."""
CONTEXT: Final = 200
"""Characters of what was said before, as a prompt: whisper_streaming's bound."""
MARGIN: Final = samples(0.3)
"""Silence that stays before the first word of a buffer that was cut: decoders lose a word that begins with the sound."""
BEHIND: Final = samples(1.0)
"""How far before the buffer's start a committed word may lie and still be looked for in it."""
FAR: Final = samples(2.0)
"""Two decodes place a word less far apart than this."""
ELSEWHERE: Final = 4.0
"""The price of taking two words for one that are farther apart: more than that of either being missing."""
OLD: Final = samples(0.2)
"""A word whose middle lies so far before the end of what is committed is surely no new one."""

# Written without blanks: Thai and Lao, Burmese, Khmer, kana, Han.
_NO_BLANKS: Final = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3000, 0x30FF),
    (0x3400, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF00, 0xFF9F),
    (0x20000, 0x3FFFF),
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be decoded next."""

    start: int
    """First sample of the buffer."""
    request: DecodeRequest


@dataclass(frozen=True, slots=True)
class Told:
    """What can be told of a run of speech."""

    committed: tuple[Word, ...] = ()
    """Stands for good: each ``Told`` of a run begins with all that the one before had committed."""
    tentative: tuple[Word, ...] = ()
    """The newest guess at what follows."""

    @property
    def words(self) -> tuple[Word, ...]:
        """All of them, in order."""
        return self.committed + self.tentative


class StreamingPolicy(Protocol):
    """Decides which words of repeated decodes stand for good."""

    @property
    def attends(self) -> bool:
        """Whether it needs ``SpeechDecoder.attend`` for each decode."""

    def request(self, at: int) -> Ask:
        """Says what to decode of the sound up to ``at``."""

    def update(self, decoded: Decoded, attended: Sequence[int] | None, at: int) -> Told:
        """Takes a decode of the buffer that ``request(at)`` named; what it commits is never taken back.

        ``attended`` has for each word the last sample, from the buffer's start, that the decoder looked at.
        """

    def finish(self, decoded: Decoded, attended: Sequence[int] | None, at: int) -> tuple[Word, ...]:
        """Takes the last decode and gives all words of the run. It commits nothing: the speaker may go on the next moment."""

    def settle(self, words: tuple[Word, ...]) -> None:
        """Commits all that ``finish`` gave, or the newest ``Told``: the speaker has paused."""


class Buffer:
    """The committed words, and where the sound begins that is still decoded."""

    def __init__(self, limit: int, *, timed: bool = True) -> None:
        """``limit``: samples beyond which the buffer is cut at the end of a segment that is wholly committed.

        ``timed``: whether two decodes place a word alike.
        """
        self.start = 0
        self.committed: list[Word] = []
        self._limit = min(limit, LONGEST)
        self._timed = timed

    def reach(self, at: int) -> None:
        """Keeps the buffer that ends with ``at`` short enough for any decoder."""
        self.start = max(self.start, at - LONGEST)

    @property
    def context(self) -> str:
        """The end of what was said before the buffer begins."""
        said = joined([word for word in self.committed[-CONTEXT:] if _middle(word) < self.start])
        return said if len(said) <= CONTEXT else said[-CONTEXT:].partition(" ")[2]

    @property
    def inside(self) -> list[Word]:
        """The committed words that lie in the buffer."""
        return [word for word in self.committed if _middle(word) >= self.start]

    def place(self, decoded: Decoded) -> tuple[tuple[Word, ...], int]:
        """Gives the decoded words with the run's times, and the index of the first that is not committed yet."""
        heard = shifted(decoded.words, self.start)
        known = [word for word in self.committed if word.end > self.start - BEHIND]
        return heard, first_new(known, heard, self.start, timed=self._timed)

    def after(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Gives words that follow the committed ones, none before the end of the one before it."""
        end = self.committed[-1].end if self.committed else 0
        placed = []
        for word in words:
            start = max(word.start, end)
            end = max(word.end, start + 1)
            placed.append(Word(word.text, start, end, word.confidence))
        return tuple(placed)

    def commit(self, words: Sequence[Word]) -> None:
        """Takes words for good."""
        self.committed.extend(self.after(words))

    def settle(self, words: Sequence[Word]) -> None:
        """Takes all words of a run for good; they begin with the committed ones."""
        self.commit(words[len(self.committed) :])

    def trim(self, decoded: Decoded, heard: Sequence[Word], settled: int, at: int) -> None:
        """Cuts a buffer that has grown long behind its last whole segment; ``heard[:settled]`` are committed.

        Without one it is cut behind the last committed word, but only once it could outgrow the decoder.
        """
        if at - self.start <= self._limit:
            return
        count, behind = 0, 0
        for segment in decoded.segments[:-1]:
            count += len(segment.words)
            behind = count if count <= settled else behind
        if not behind and at - self.start > (self._limit + LONGEST) // 2:
            behind = settled
        if behind:
            last = heard[behind - 1]
            following = heard[behind].start if behind < len(heard) else at
            self.start = max(self.start, min(last.end, (last.end + following) // 2), following - MARGIN)


def first_new(known: Sequence[Word], heard: Sequence[Word], start: int, *, timed: bool = True) -> int:
    """Gives the index of the first word of ``heard`` that comes after all of ``known``, which are committed.

    ``known`` is laid along a beginning of ``heard`` at the least price, as in an edit distance, but with time in it: the same
    word costs up to 1 by how far apart both places are, another word in its place 1, and so does one that is missing or too
    many. What scrolled out before ``start`` may be missing for nothing; a word that is left over as new although its middle
    lies before the end of ``known`` costs up to 1. Without ``timed`` places cost nothing: a translation's words have none of
    their own, and each decode finds others for them.

    whisper_streaming compares the last 1 to 5 committed words with the first new ones, within 1 s, and drops those that are
    the same: that also loses the second "no" of "no, no", and doubles a word whose time moved by more than 0.1 s.
    """
    if not known:
        return 0
    end = known[-1].end
    forms = [(normal(word.text), _middle(word)) for word in heard]
    extra = [0.5 if timed and middle < end else 1.0 for _, middle in forms]
    row = [0.0]
    for price in extra:
        row.append(row[-1] + price)
    for word in known:
        text, middle = normal(word.text), _middle(word)
        missing = 0.0 if middle < start else 1.0
        new = [row[0] + missing]
        for j, (other, there) in enumerate(forms):
            apart = abs(middle - there) / FAR if timed else 0.0
            alike = (apart if text == other else 1.0 + apart) if apart < 1.0 else ELSEWHERE
            new.append(min(row[j] + alike, row[j + 1] + missing, new[j] + extra[j]))
        row = new
    best, left, index = row[-1], 0.0, len(heard)
    for j in range(len(heard) - 1, -1, -1):
        left += min(1.0, max(0, end - forms[j][1]) / OLD) if timed else 0.0
        if row[j] + left < best:
            best, index = row[j] + left, j
    return index


def agreed(one: Sequence[Word], other: Sequence[Word]) -> int:
    """Gives the number of words with which both begin; case and punctuation do not count."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if normal(a.text) != normal(b.text):
            break
        count += 1
    return count


@lru_cache(4096)  # each decode of a buffer brings nearly the same words again
def normal(text: str) -> str:
    """Gives a word without case and punctuation; one that is nothing else stays as it is."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(sign for sign in folded if unicodedata.category(sign)[0] not in "PSZC") or folded.strip()


def shifted(words: Sequence[Word], by: int) -> tuple[Word, ...]:
    """Gives the words so many samples later."""
    return tuple(Word(word.text, word.start + by, word.end + by, word.confidence) for word in words)


def joined(words: Sequence[Word]) -> str:
    """Gives the words as text, with blanks where their script has them."""
    text = ""
    for word in words:
        blank = text and word.text and not (unspaced(text[-1]) and unspaced(word.text[0]))
        text += f" {word.text}" if blank else word.text
    return text


def unspaced(sign: str) -> bool:
    """Says whether a sign belongs to a script that puts no blanks between words."""
    return any(low <= ord(sign) <= high for low, high in _NO_BLANKS)


def _middle(word: Word) -> int:
    return (word.start + word.end) // 2
