"""Whether the words of a question ask for another: what a pause alone cannot tell.

People pause inside a number that they read out, after letters that they spell, and after words that join what comes. The
pause before the end is then waited for longer, whatever the melody says.
"""

from __future__ import annotations

import re

_JOINS = frozenset(
    "and or but because if when while that which who than then so as of for from with without to into onto at by in on about "
    "between after before until the a an my your his her its our their this these those is are was were um uh er".split()
)
"""Conjunctions, prepositions, articles, possessives and fillers: English ends no question with them, or seldom. The pause is
only longer, so a question that does ("what is it for") loses half a second and not its end."""
_DIGITS = frozenset("zero oh one two three four five six seven eight nine double triple".split())


def unfinished(text: str) -> bool:
    """Whether the last word joins what comes, or is a digit or a letter of something that is being spelt out."""
    words = re.findall(r"[\w']+", text.lower())
    if len(words) < 2:
        return False
    last, before = words[-1], words[-2]
    if last in _JOINS:
        return True
    spelling = [word.isdigit() or word in _DIGITS or (len(word) == 1 and word not in "ai") for word in (before, last)]
    return all(spelling)
