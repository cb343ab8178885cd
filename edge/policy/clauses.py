"""Divides what is heard into sentences and clauses, as it comes.

Where the recogniser punctuates, its marks end sentences. Where it does not (pocketsphinx writes lower-case words and nothing
else), pauses do; and where somebody speaks on and on, the next clause that begins after ``LONG`` words, or a breath there.
What has been decided never changes with the words that follow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from edge.policy.safe_cut import bound
from edge.policy.settling import normal
from edge.policy.small_words import small_words
from edge.values import Word, samples

PAUSE: Final = samples(0.7)
"""Silence that ends a sentence where nothing is punctuated: read speech rests 0.2 to 0.5 s between its clauses."""
LONG_PAUSE: Final = samples(2.0)
"""The same where the recogniser punctuates, or behind a word that points at the next: whoever stops there is thinking."""
BREATH: Final = samples(0.2)
"""Silence at which a long sentence may be cut, or a clause has ended."""
LEAST: Final = 3
"""Words of a sentence that a pause may end; fewer are a false start."""
CLAUSE: Final = 4
"""Words of a clause: what is shorter is translated better with its neighbour."""
LONG: Final = 20
"""Words beyond which a sentence without marks ends at the next clause: the record of more is of little use to any engine."""
LONGEST: Final = 40
"""Words beyond which it ends wherever it may be cut."""
PUNCTUATED: Final = 2
"""Times as much of both where the recogniser punctuates."""

_MARKS: Final = re.compile(r"([.!?…。！？｡؟।]+)[\"'”’»)\]」』]*$")
_COMMAS: Final = re.compile(r"[,;:–—，；：、][\"'”’»)\]」』]*$")
_TITLES: Final = frozenset(
    "mr mrs ms dr prof st mt rev gen capt sgt lt col sen gov sr sra srta dra mme mlle m sig dott".split()
)
"""Behind these, a full stop ends nothing."""
_ABBREVIATED: Final = frozenset(
    "vs eg ie cf no nr bzw zb usw ca ud uds pág av núm etc inc ltd co corp jr dept bspw ggf str tel".split()
)
"""Behind these, it ends a sentence where a capital follows."""


class _Ends(Enum):
    YES = "yes"
    NO = "no"
    WAIT = "wait"
    """The word behind, and perhaps the one after that, will tell. They may belong to the next sentence."""


@dataclass(frozen=True, slots=True)
class Division:
    """How words are divided."""

    ends: tuple[int, ...]
    """One past the last word of each sentence that is over."""
    sure: int
    """One past the last word that surely belongs to the sentence after those."""


def marked(words: Sequence[Word]) -> bool:
    """Says whether somebody punctuated them."""
    return any(_MARKS.search(word.text) or _COMMAS.search(word.text) for word in words)


def divide(words: Sequence[Word], language: str, *, punctuated: bool = False, ended: bool = False) -> Division:
    """Divides words from a sentence's beginning on.

    ``language`` is a tag's primary part; ``ended``: no more will come, so that the last sentence is over, too.
    """
    ends: list[int] = []
    start, sure = 0, len(words)
    for at in range(1, len(words)):
        verdict = _between(words, start, at, language, LONG * (PUNCTUATED if punctuated else 1), ended=ended)
        if verdict is _Ends.YES or (_paused(words[at - 1], words[at], at - start, language, punctuated=punctuated)):
            ends.append(at)
            start = at
        elif verdict is _Ends.WAIT and at == len(words) - 1:
            sure = at
    if start < len(words) and (ended or _certainly_over(words[-1].text)):
        ends.append(len(words))
    return Division(tuple(ends), len(words) if ends and ends[-1] == len(words) else sure)


def clause_end(words: Sequence[Word], language: str) -> int:
    """Gives one past the last word of the last clause of a sentence that is over; 0 where none is."""
    last = 0
    for at in range(1, len(words) + 1):
        if at - last < CLAUSE or not _may_end(words, at, language):
            continue
        if _COMMAS.search(words[at - 1].text) or (at < len(words) and _begins_clause(words, at, language) is _Ends.YES):
            last = at
        elif at < len(words) and words[at].start - words[at - 1].end >= BREATH:
            last = at
    return last


def _between(words: Sequence[Word], start: int, at: int, language: str, long: int, *, ended: bool) -> _Ends:
    """Whether a sentence that began with ``words[start]`` ends before ``words[at]``, but for pauses."""
    before, behind = words[at - 1].text, words[at].text
    if _MARKS.search(before):
        ordinal = language == "de" and re.match(r"\d\d?\.$", before)
        over = _certainly_over(before) or (_perhaps_over(before) and _capital(behind) and not ordinal)
        return _Ends.YES if over else _Ends.NO
    if at - start < long or not _may_end(words, at, language):
        return _Ends.NO
    if _COMMAS.search(before) or words[at].start - words[at - 1].end >= BREATH or at - start >= LONGEST * long // LONG:
        return _Ends.YES
    verdict = _begins_clause(words, at, language)
    return _Ends.NO if verdict is _Ends.WAIT and ended else verdict


def _may_end(words: Sequence[Word], at: int, language: str) -> bool:
    """Whether a clause may end before a word: not within what belongs together. German ends many with "auf", or "nicht"."""
    known = small_words(language)
    if at < len(words) and normal(words[at].text) in known.starters:
        return normal(words[at - 1].text) not in known.starters | known.joiners
    return not bound([word.text for word in words[: at + 1]], at, language)


def _begins_clause(words: Sequence[Word], at: int, language: str) -> _Ends:
    known = small_words(language)
    word = normal(words[at].text)
    if word in known.starters:
        return _Ends.YES
    if word not in known.joiners:
        return _Ends.NO
    if at + 1 == len(words):
        return _Ends.WAIT
    return _Ends.YES if normal(words[at + 1].text) in known.starters | known.subjects else _Ends.NO


def _paused(before: Word, behind: Word, count: int, language: str, *, punctuated: bool) -> bool:
    gap = behind.start - before.end
    long = punctuated or bound([before.text], 1, language)
    return count >= LEAST and gap >= (LONG_PAUSE if long else PAUSE)


def _certainly_over(word: str) -> bool:
    """Whether its mark ends a sentence whatever follows."""
    return _MARKS.search(word) is not None and not _perhaps_over(word) and not _never_over(word)


def _perhaps_over(word: str) -> bool:
    """Whether its full stop may be an abbreviation's, an ordinal's (German "3. Mai") or the start of "3. 5"."""
    mark = _MARKS.search(word)
    if mark is None or mark.group(1) not in (".", "…", "..."):
        return False
    stem = word[: mark.start()]
    return mark.group(1) != "." or not stem or stem[-1].isdigit() or "." in stem or normal(stem) in _ABBREVIATED


def _never_over(word: str) -> bool:
    stem = _MARKS.sub("", word)
    return word.endswith(".") and (normal(stem) in _TITLES or len(stem) == 1 and stem.isupper() and stem != "I")


def _capital(word: str) -> bool:
    return word.lstrip("¿¡\"'“«(")[:1].isupper()
