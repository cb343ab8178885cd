"""Where a sentence may be cut while it is being translated.

What has been spoken cannot be taken back, so the cut must not fall where the rest could turn what was said: inside a number
("twenty | five", "3 | 000", "treinta y | cinco"), inside a name ("New | York"), between a negation and what it negates
("no | tengo"; French "ne ..." up to its "pas"), behind a word that points at the next ("la | casa blanca"). A cut that
falls there moves forward to where it may be: that costs the words' time, never their meaning.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from edge.policy.settling import normal
from edge.policy.small_words import SmallWords, small_words

_CLOSING: Final = frozenset(".!?…,;:。！？，；：、»”)")
"""Marks behind which something new begins."""
_APOSTROPHES: Final = frozenset("'’ʼ")
_PARTICLES: Final = frozenset("van von der den de del della da di du la le bin al el dos das ten ter".split())
"""Stand inside names: Ludwig van Beethoven."""
_NE_REACH: Final = 5
"""Words from a French "ne" within which its other half comes: "ne le leur ai pas"."""
_NE_ENDS: Final = frozenset("pas plus jamais rien personne aucun aucune que qu guère point nulle ni".split())


def safe(words: Sequence[str], count: int, language: str) -> int:
    """Gives the most of the first ``count`` words that may stand without the others.

    ``words`` may be longer than ``count``: what follows a cut helps to judge it. Where they end, anything may follow.
    ``language`` is a tag's primary part (``edge.policy.languages.primary``).
    """
    count = min(count, len(words))
    while count and bound(words, count, language):
        count -= 1
    return count


def bound(words: Sequence[str], at: int, language: str) -> bool:
    """Says whether the words before and behind a place in a text belong together."""
    if not 0 < at <= len(words):
        return False
    left, right = words[at - 1], words[at] if at < len(words) else ""
    if language == "fr" and _halved(words, at):
        return True
    return _held(left, right, language)


def weighty(words: Sequence[str], language: str) -> Counter[str]:
    """Gives the words of a text that nobody may be told wrong: its numbers and its negations."""
    known = small_words(language)
    forms = {normal(word) for word in words if _numeric(word, known) or normal(word) in known.negations}
    return Counter(form for word in words if (form := normal(word)) in forms - known.dangling)


@lru_cache(8192)  # the same pairs come with each update
def _held(left: str, right: str, language: str) -> bool:
    known = small_words(language)
    here, there = normal(left), normal(right)
    if _numeric(left, known) and (not right or _numeric(right, known) or _unit(right) or there in known.links):
        return not (_closes(left) and there and not _numeric(right, known))
    if here in known.titles or left[-1] in _APOSTROPHES:
        return True
    if _closes(left):
        return False
    if here in known.links and _numeric(right, known):
        return True
    return here in known.dangling or here in known.negations or there in known.negations & _SPLIT or _named(left, right)


_SPLIT: Final = frozenset(("not", "nt", "nicht"))
"""Negations that come behind the verb: "do | not"."""


def _closes(word: str) -> bool:
    return word[-1] in _CLOSING


def _numeric(word: str, known: SmallWords) -> bool:
    form = normal(word)
    return any(sign.isdigit() for sign in form) or known.numbers.fullmatch(form) is not None


def _unit(word: str) -> bool:
    """Whether it is a sign alone, as "%", "€" and "°C" are behind a number, or a fraction's."""
    return unicodedata.category(word[0])[0] == "S" or word[0] in "%‰/.,:×"


def _named(left: str, right: str) -> bool:
    """Whether both are of one name, or the left one's could go on. Texts all in capitals have no names to see."""
    if not _capital(left):
        return False
    return not right or _capital(right) or normal(right) in _PARTICLES


def _capital(word: str) -> bool:
    first = word.lstrip("¿¡\"'“«(")[:1]
    return first.isupper() and (len(word) == 1 or not word.isupper()) and normal(word) != "i"


def _halved(words: Sequence[str], at: int) -> bool:
    """Whether a French negation has begun before a place and its other half has not come yet."""
    for index in range(at - 1, max(-1, at - 1 - _NE_REACH), -1):
        form = normal(words[index])
        if form in _NE_ENDS or _closes(words[index]):
            return False
        if form == "ne" or words[index].lower().startswith(("n'", "n’")):
            return True
    return False
