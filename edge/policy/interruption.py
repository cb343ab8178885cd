"""Whether words spoken over a reply are meant for the assistant.

A reply that was paused for a sound goes on unless that sound was words for the assistant. A recogniser finds words in
anything: a cough is "but the", a hummed "mm-hm" is "move". So few words count only when they are commands or words with which
people interrupt; others must be several, sure enough, and as long as words are. The thresholds come from
``python -m tools.bench.interruptions``. What livekit calls a false interruption and pipecat a backchannel are both this.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from enum import Enum

INTERRUPTERS = frozenset("stop wait no hey hello excuse sorry pardon quiet silence enough cancel shush".split())
"""One of these first is an interruption by itself: nobody says them to somebody else's story."""
BACKCHANNELS = frozenset(
    "m mm mhm hm hmm h um uh huh hum yeah yep yes yup okay ok right oh ah aha eh i see sure good nice wow".split()
)
"""Words of which listeners make their "I am with you", as recognisers write them."""
SURE = 0.15
"""The least confidence of one interrupting word: "wait" has been heard with 0.19, a cleared throat is "no" with 0.08."""
SURE_OF_SEVERAL = 0.3
"""The least confidence of several words; noise has come as far as 0.39, but shorter than ``LONG_ENOUGH``."""
SHORTEST_S = 0.2
"""Speech shorter than this is a click or a bang."""
LONG_ENOUGH_S = 0.45
"""Several words take as long; a cough does not."""
ALIKE = 0.75
"""How much of two words must agree for one to be taken for the other misheard."""
SAME = 0.6
"""Which share of the words must be the assistant's, in its order, for all of them to be."""


class Verdict(Enum):
    """What the words over a reply were. The values of all but CUT are the reasons of ``events.ReplyResumed``."""

    CUT = "cut"
    NO_WORDS = "no_words"
    BACKCHANNEL = "backchannel"
    ECHO = "echo"
    UNSURE = "unsure"


def verdict(
    text: str, *, confidence: float, source: str, speech_s: float, being_said: Sequence[str] = (), min_words: int = 2
) -> Verdict:
    """Says what is to become of a reply that was paused for speech.

    ``text``, ``confidence`` and ``source`` are those of the transcript, ``speech_s`` is how long the speech over the reply
    lasted, ``being_said`` what the assistant has said of late.
    """
    words = _words(text)
    if not words:
        return Verdict.NO_WORDS
    if words[0] in INTERRUPTERS and confidence >= SURE and speech_s >= SHORTEST_S:
        return Verdict.CUT
    if is_backchannel(text):
        return Verdict.BACKCHANNEL
    if overheard(text, being_said):
        return Verdict.ECHO
    if sum(word not in BACKCHANNELS for word in words) < min_words or speech_s < LONG_ENOUGH_S:
        return Verdict.UNSURE
    return Verdict.CUT if source == "grammar" or confidence >= SURE_OF_SEVERAL else Verdict.UNSURE


def is_backchannel(text: str) -> bool:
    """Whether the text is nothing but a listener's "mm-hm"."""
    words = _words(text)
    return bool(words) and all(word in BACKCHANNELS for word in words)


def overheard(text: str, being_said: Sequence[str]) -> bool:
    """Whether the text is the assistant's own speech, as a recogniser hears it through the room.

    Of three words and more most must be the assistant's, in its order, some misheard; fewer must stand there as they are.
    """
    heard, said = _words(text), _words(" ".join(being_said))
    if not heard or not said:
        return False
    if len(heard) < 3:
        return any(said[at : at + len(heard)] == heard for at in range(len(said)))
    # Within as many words as were heard, and one: somebody who asks about what is being said uses its words, but not in a row.
    span = len(heard) + 1
    return any(_common(heard, said[at : at + span]) >= SAME * len(heard) for at in range(max(1, len(said) - span + 1)))


def _common(heard: Sequence[str], said: Sequence[str]) -> int:
    """The length of the longest common subsequence, over words that are nearly alike."""
    best = [0] * (len(said) + 1)
    for word in heard:
        above = best[:]
        for at, other in enumerate(said):
            best[at + 1] = above[at] + 1 if _alike(word, other) else max(above[at + 1], best[at])
    return best[-1]


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def _alike(one: str, other: str) -> bool:
    return one == other or (min(len(one), len(other)) > 3 and SequenceMatcher(None, one, other).ratio() >= ALIKE)
