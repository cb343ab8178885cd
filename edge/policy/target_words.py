"""The words of a translation, and where a new one goes on after what was spoken of an old one."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from edge.policy.settling import normal, unspaced

ENDS: Final = frozenset(".!?…。！？｡؟।")
"""Marks that end a sentence."""

FIRST: Final = "\u0e00"
"""No sign before it is written without blanks."""


def words_of(text: str) -> tuple[str, ...]:
    """Gives the words of a text; of scripts without blanks, each sign with the marks that belong to it."""
    found: list[str] = []
    for piece in text.split():
        if max(piece) < FIRST:
            found.append(piece)
            continue
        for at, sign in enumerate(piece):
            joins = at > 0 and (not unspaced(sign) and not unspaced(piece[at - 1]) or _clings(sign))
            if joins:
                found[-1] += sign
            else:
                found.append(sign)
    return tuple(found)


def text_of(words: Sequence[str]) -> str:
    """Gives words as text: ``words_of`` turned round, but for the number of blanks."""
    text = ""
    for word in words:
        blank = text and not (unspaced(text[-1]) and unspaced(word[0]))
        text += f" {word}" if blank else word
    return text


def unfinished(words: Sequence[str]) -> tuple[str, ...]:
    """Gives words without the mark that ends the last one's sentence: engines finish what is not over."""
    if not words:
        return ()
    last = words[-1].rstrip("".join(ENDS))
    return (*words[:-1], last) if last else tuple(words[:-1])


def same_words(one: Sequence[str], other: Sequence[str]) -> int:
    """Gives the number of words with which both begin; case and punctuation do not count."""
    count = 0
    while count < min(len(one), len(other)) and normal(one[count]) == normal(other[count]):
        count += 1
    return count


def continues(spoken: Sequence[str], heard: Sequence[str]) -> int:
    """Gives the index of the first word of ``heard`` that comes after all that was spoken.

    Where ``heard`` begins with ``spoken``, that is its length. Else ``spoken`` is laid along a beginning of ``heard`` at the
    least edit distance (words missing, too many, or in another's place), the longest of the cheapest beginnings; and words
    right behind it that were spoken, but stand nowhere in that beginning, are only said in another order: they are passed over.
    So nothing is said twice; what a translation says anew among what was spoken is lost, and must be: it is too late.
    """
    if same_words(spoken, heard) == len(spoken):
        return len(spoken)
    old, new = [normal(word) for word in spoken], [normal(word) for word in heard]
    row = list(range(len(new) + 1))
    for word in old:
        before, row = row, [row[0] + 1]
        for j, other in enumerate(new):
            row.append(min(before[j] + (word != other), before[j + 1] + 1, row[j] + 1))
    at = max(range(len(row)), key=lambda j: (-row[j], j))
    left = list(old)
    for word in new[:at]:
        if word in left:
            left.remove(word)
    while at < len(new) and new[at] in left:
        left.remove(new[at])
        at += 1
    return at


def _clings(sign: str) -> bool:
    return unicodedata.category(sign) in ("Mn", "Mc", "Me") or sign in "、。，！？；：）」』ๆฯ"
