"""Which words of a reply the wearer really heard, told from how many samples were played.

A word is heard when its last sample was played: of a word cut in two nobody can say that it was understood. The pause after a
word belongs to no word. A word that makes no sound of its own (a dash) is heard together with the word before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.values import WordMark


@dataclass(frozen=True, slots=True)
class Utterance:
    """One piece of a reply as it went to the loudspeaker."""

    words: Sequence[WordMark]
    """Places count from the utterance's first sample. Words that were not synthesised yet may be missing."""
    start: int
    """Place of its first sample in the reply, in samples."""


def heard_words(utterances: Iterable[Utterance], played: int) -> tuple[str, ...]:
    """Gives the words of a reply that were wholly played; ``played`` counts samples from the reply's first."""
    words: list[str] = []
    if played <= 0:
        return ()
    for utterance in utterances:
        for word in utterance.words:
            if utterance.start + word.end > played:
                return tuple(words)
            words.append(word.text)
    return tuple(words)


def heard(utterances: Iterable[Utterance], played: int) -> str:
    """Gives the words that were wholly played as text: a prefix of the answer."""
    return " ".join(heard_words(utterances, played))
