"""A scripted speech decoder of word error rate 0 that hears only what has been said, for tests and benches of streaming.

``said`` makes the sound of a script. Each of its samples carries a digit of its own place, so that the decoder can tell from
any piece of it which words lie in there, as a real one can; words are loud, pauses are not.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.decoding import Decoded, DecodeRequest, Segment
from edge.ports import Stop
from edge.values import SAMPLE_RATE, EngineInfo, Pcm, Word, samples
from models.fakes import Spend, spend_real

BLOCK: Final = 5
"""Samples that hold one place: a mark, then four digits to the base of 32, lowest first."""
MARK: Final = 63
CARRIER: Final = 4096
"""What is added to the samples of a word."""
PAUSE: Final = samples(0.5)
"""A pause of that length ends a segment."""


@dataclass(frozen=True, slots=True)
class Slips:
    """How a decode differs from the script, and from the decode before."""

    jitter: int = 0
    """Samples by which the start and the end of a word may be off."""
    flips: bool = False
    """Case and punctuation come and go."""
    cut: bool = False
    """A word whose end was not heard yet is told as far as it was; otherwise it is left out."""
    seed: int = 0


def said(script: Sequence[Word], length: int) -> Pcm:
    """Gives the sound of timed words: ``length`` samples, at most 262 s."""
    at = np.arange(length)
    block, place = np.divmod(at, BLOCK)
    digits = np.where(place == 0, MARK, (block >> (5 * np.maximum(place - 1, 0))) & 31)
    for word in script:
        digits[word.start : word.end] += CARRIER
    return digits.astype(np.int16)


def heard(pcm: Pcm) -> tuple[int, int]:
    """Gives the first sample of a piece of ``said`` and one past its last; both 0 where there is none. Silence may follow."""
    values = pcm.astype(np.int64) % 64
    marks: NDArray[np.intp] = np.flatnonzero(values == MARK)
    whole = marks[marks + BLOCK <= len(pcm)]
    if not len(whole):
        return 0, 0
    digits = values[whole[0] + 1 : whole[0] + BLOCK]
    start = int(sum(int(digit) << (5 * place) for place, digit in enumerate(digits))) * BLOCK - int(whole[0])
    return start, start + min(len(pcm), int(marks[-1]) + BLOCK)


class ScriptedDecoder:
    """Hears the words of a script in the sound that ``said`` makes of it. Implements ``edge.ports.SpeechDecoder``.

    With ``invents`` it hears that text in any sound, spread evenly over it, whatever was said. ``cost`` is seconds a decode.
    """

    languages: tuple[str, ...] = ("en", "de")

    def __init__(
        self,
        script: Sequence[Word] = (),
        slips: Slips = Slips(),
        *,
        invents: str = "",
        language: str = "en",
        cost: float = 0.0,
        spend: Spend = spend_real,
    ) -> None:
        self.script = tuple(script)
        self.asked: list[DecodeRequest] = []
        """What it was asked, each decode."""
        self.identified = 0
        """How often it was asked for the language."""
        self._slips = slips
        self._chance = random.Random(slips.seed)
        self._invents = invents.split()
        self._language = language
        self._cost = cost
        self._spend = spend

    @property
    def info(self) -> EngineInfo:
        """Says that it is a fake."""
        return EngineInfo("fake ScriptedDecoder", "0")

    def open(self) -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to free."""

    def decode(self, pcm: Pcm, request: DecodeRequest, stop: Stop) -> Decoded:
        """Gives the words that lie in the sound; none once ``stop`` is set."""
        self.asked.append(request)
        self._spend(self._cost, stop)
        if stop:
            return Decoded((), self._language)
        if self._invents:
            return self._told(_spread(self._invents, len(pcm)))
        return self.between(*heard(pcm))

    def between(self, start: int, end: int) -> Decoded:
        """Gives the words that lie between two samples of the script, as ``decode`` does for their sound."""
        words = (self._heard(word, start, end) for word in self.script if word.end > start and word.start < end)
        return self._told([word for word in words if word is not None])

    def attend(self, pcm: Pcm, decoded: Decoded, stop: Stop) -> tuple[int, ...]:
        """Gives the end of each word."""
        return tuple(word.end for word in decoded.words)

    def identify(self, pcm: Pcm, stop: Stop) -> tuple[tuple[str, float], ...]:
        """Is nearly sure of its language."""
        self.identified += 1
        return ((self._language, 0.9), *((other, 0.05) for other in self.languages if other != self._language))

    def _heard(self, word: Word, start: int, end: int) -> Word | None:
        """Gives a word as it is heard in a piece of sound: whole though less than half of it lies before the piece."""
        size = word.end - word.start
        if start - word.start > size / 2:
            return None
        text = word.text
        share = (end - word.start) / size
        if share < 1:
            if not self._slips.cut or share < 0.3:
                return None
            text = text[: max(1, round(len(text) * share) - 1)]
        off = [self._chance.randint(-self._slips.jitter, self._slips.jitter) for _ in range(2)]
        first = min(max(word.start + off[0] - start, 0), end - start - 1)
        last = min(max(word.end + off[1] - start, first + 1), end - start)
        return Word(self._flipped(text), first, last, word.confidence)

    def _flipped(self, text: str) -> str:
        if not self._slips.flips:
            return text
        shape = self._chance.choice((str.lower, str.capitalize, str.upper))
        return shape(text) + self._chance.choice(("", ",", ".", "?"))

    def _told(self, words: Sequence[Word]) -> Decoded:
        segments: list[Segment] = []
        for word in words:
            if segments and word.start - segments[-1].end < PAUSE:
                segments[-1] = replace(segments[-1], words=(*segments[-1].words, word), end=word.end)
            else:
                segments.append(Segment((word,), word.start, word.end))
        return Decoded(tuple(segments), self._language, 1.0)


def _spread(texts: Sequence[str], length: int) -> list[Word]:
    edges = [round(length * place / len(texts)) for place in range(len(texts) + 1)]
    return [Word(text, a, b) for text, a, b in zip(texts, edges, edges[1:], strict=False) if b > a]


def spoken(text: str, start: float = 0.0, *, word: float = 0.3, gap: float = 0.05) -> list[Word]:
    """Gives a text as timed words, each ``word`` seconds long with ``gap`` seconds between two, from ``start`` seconds on."""
    pace = word + gap
    return [
        Word(said_word, samples(start + at * pace), samples(start + at * pace + word))
        for at, said_word in enumerate(text.split())
    ]


def seconds(script: Sequence[Word]) -> float:
    """Gives how long a script takes, up to the end of its last word."""
    return max((word.end for word in script), default=0) / SAMPLE_RATE
