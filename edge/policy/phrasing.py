"""How much of a translation is spoken at a time.

A voice that is handed one or two words at a time speaks each as a sentence of its own, with a fall at its end. So words that
stand wait until there are a few of them, or a clause ends, or the sentence does.
"""

from __future__ import annotations

from typing import Final

from edge.policy.settling import unspaced

LEAST: Final = 3
"""Words that are worth a breath."""
LETTERS: Final = 2
"""Letters that count as a word in scripts without blanks."""
_ENDS: Final = (".", "!", "?", ",", ";", ":", "…", "。", "！", "？", "，", "；", "：", "、", "،", "؟", "।")


class Phrasing:
    """The words of one sentence on their way to the voice."""

    def __init__(self) -> None:
        self._waiting = ""

    def add(self, text: str, *, last: bool) -> str:
        """Takes words that stand, as they follow on; gives what is to be spoken now, perhaps nothing.

        ``last`` says that no more of this sentence will come.
        """
        text = text.strip()
        blank = self._waiting and text and not (unspaced(self._waiting[-1]) and unspaced(text[0]))
        ready = self._waiting = f"{self._waiting} {text}" if blank else self._waiting + text
        if not ready or not (last or ready.endswith(_ENDS) or words_in(ready) >= LEAST):
            return ""
        self._waiting = ""
        return ready


def words_in(text: str) -> int:
    """Gives the number of words, about: two letters make one where no blanks are written."""
    return sum(max(1, len(word) // LETTERS) if unspaced(word[0]) else 1 for word in text.split())
