"""What keeps a translation that is none from being spoken.

Models that write word by word fall into loops, translate an unfinished sentence into a long one, or give nothing; all of them
do it more often with short, broken or misheard sources, which is what speech gives them. Rule-based engines do none of it.
Such an answer is not taken at all: the next one, of more words, is mostly sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edge.policy.settling import normal, unspaced
from edge.policy.speech_guards import unlooped
from edge.policy.target_words import FIRST

LONGER: Final = 2.5
"""Times the source's words that a translation may have. Between the languages of Europe 1.3 is much."""
SHORTER: Final = 0.2
"""Times the source's words that it must have, where the source is longer than ``FEW``."""
SPARE: Final = 6
"""Words more that it may have: "ok" is "estoy de acuerdo con usted"."""
FEW: Final = 8
DENSE: Final = 2.0
"""Signs of a script without blanks that make up for a word."""


def fault(source: Sequence[str], target: Sequence[str]) -> str:
    """Says what makes a translation unusable: ``empty``, ``loop``, ``long``, ``short``; empty where nothing does.

    Both as ``edge.policy.target_words.words_of`` gives them.
    """
    if not any(any(sign.isalnum() for sign in word) for word in target):
        return "empty"
    heard, said = _size(source), _size(target)
    if said > LONGER * heard + SPARE:
        return "long"
    if heard > FEW and said < SHORTER * heard:
        return "short"
    if _loops(target) and not _loops(source):
        return "loop"
    return ""


def _loops(words: Sequence[str]) -> bool:
    return len(unlooped([normal(word) for word in words])) < len(words)


def _size(words: Sequence[str]) -> float:
    dense = sum(word[0] >= FIRST and unspaced(word[0]) for word in words)
    return len(words) - dense + dense / DENSE
