"""What Piper's process needs of the text alone: what is synthesised at a time, and which phonemes belong to which word.

Pure, and nothing here is Piper's, so that it can be tested without a voice. Phonemes are lists of single characters, as Piper
handles them: stress marks, length marks and punctuation count as phonemes, and a space stands between two words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

LONGEST: Final = 120
"""Characters in one part, some seven seconds of speech. A small board takes half as long to make them, and memory in
proportion, so a text without a full stop must not go through the network in one piece."""
SHORT: Final = 60
"""A text up to this length is not torn: its melody is worth more than the tenths of a second that a clause comes sooner."""
CLAUSE_WORDS: Final = 4
"""Words that make a first part out of a clause, as in ``edge.policy.sentences``."""

_SENTENCE: Final = re.compile(r"[.!?…؟।][\"')\]}”’»]*(?=\s)|[。！？｡\n]")
_CLAUSE: Final = re.compile(r"[,;:](?=\s)|[，；：、]|\s[–—-](?=\s)")
_SPACE: Final = re.compile(r"\s")

_STRESS: Final = frozenset("ˈˌ")
_MARKS: Final = frozenset(".,;:!?¡¿…。，！？\"'()-–—")


def parts(text: str) -> list[tuple[int, int]]:
    """Gives where the parts of a text begin and end. They touch; the first is a clause where the text is long."""
    spans: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        end = _end_of_part(text, at)
        if not any(character.isalnum() for character in text[end:]):
            end = len(text)  # what is left makes no sound: no part of its own, for there is none to tell its words by
        spans.append((at, end))
        at = end
    return spans


def _end_of_part(text: str, at: int) -> int:
    left = len(text) - at
    window = text[at : at + LONGEST + 1]
    if at == 0 and left > SHORT:
        for match in sorted([*_CLAUSE.finditer(window), *_SENTENCE.finditer(window)], key=re.Match.end):
            if len(window[: match.end()].split()) >= CLAUSE_WORDS:
                return match.end()
    if left <= LONGEST:
        return len(text)
    for pattern in (_SENTENCE, _CLAUSE, _SPACE):
        ends = [match.end() for match in pattern.finditer(window) if match.end() <= LONGEST]
        if ends:
            return at + ends[-1]
    return at + LONGEST


def word_starts(words: Sequence[Sequence[str]], spoken: Sequence[str]) -> list[int | None]:
    """Gives for each word the index in ``spoken`` of its first phoneme; None where it makes no sound.

    ``words`` are the phonemes of each word said alone, ``spoken`` those of all of them said together. The two differ: "out of"
    is one group of phonemes, "a" is weak, "12:30" is two groups; so they are aligned with the fewest edits (Needleman and
    Wunsch, 1970), where a space stands for nothing but a space.
    """
    alone: list[str] = []
    owners: list[int] = []
    for owner, phonemes in enumerate(words):
        kept = [phoneme for phoneme in phonemes if not _silent(phoneme)]
        while kept and kept[-1] == " ":
            kept.pop()
        if kept:
            alone += [*kept, " "]
            owners += [*([owner] * len(kept)), -1]
    places = [at for at, phoneme in enumerate(spoken) if not _silent(phoneme)]
    together = [spoken[at] for at in places]
    first: list[int | None] = [None] * len(words)
    last = -1  # in ``together``: where the word before ends
    owner_before = -1
    for at, match in _align(alone, together):
        owner = owners[at]
        if owner < 0:
            continue
        if owner != owner_before:
            between = together[last + 1 : match]
            start = last + 2 + between.index(" ") if " " in between else match
            # a stress mark stands before its vowel, so what lies between the phoneme before and this one is this one's
            first[owner] = places[start - 1] + 1 if start else 0
            owner_before = owner
        last = match
    return first


def _silent(phoneme: str) -> bool:
    return phoneme in _STRESS or phoneme in _MARKS


def _align(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """Gives the pairs of places that stand for each other, in order, at the least cost."""
    if not a or not b:
        return []
    symbols = {symbol: number for number, symbol in enumerate(sorted({*a, *b}))}
    left, right = (np.array([symbols[symbol] for symbol in text]) for text in (a, b))
    space = symbols.get(" ", -1)
    swap = np.where(left[:, None] == right[None, :], 0.0, 1.0)
    swap[(left[:, None] == space) != (right[None, :] == space)] = 4.0
    steps = np.arange(len(b) + 1, dtype=np.float64)
    cost: NDArray[np.float64] = np.empty((len(a) + 1, len(b) + 1))
    cost[0] = steps
    for row in range(1, len(a) + 1):
        best = cost[row - 1] + 1
        best[1:] = np.minimum(best[1:], cost[row - 1, :-1] + swap[row - 1])
        cost[row] = np.minimum.accumulate(best - steps) + steps
    pairs: list[tuple[int, int]] = []
    i, j = len(a), len(b)
    while i and j:
        if cost[i, j] == cost[i - 1, j - 1] + swap[i - 1, j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def shares(spoken: Sequence[str]) -> NDArray[np.float64]:
    """Gives how long each phoneme takes, relative to a plain one: an estimate for voices that do not tell.

    Vowels and consonants count alike; a length mark is half of one, a mark of punctuation is a pause of three.
    """
    return np.array([_share(phoneme) for phoneme in spoken], dtype=np.float64)


def _share(phoneme: str) -> float:
    if phoneme in _STRESS or unicodedata.combining(phoneme[0]):
        return 0.0
    if phoneme in _MARKS:
        return 3.0
    return {" ": 0.3, "ː": 0.5, "ˑ": 0.25}.get(phoneme, 1.0)
