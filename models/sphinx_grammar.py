"""The command grammar: phrases become one minimal automaton over words, and a rule that says when its answer is believed.

Every phrase is spelt out into its word sequences, and these are merged into a deterministic automaton with shared beginnings
and shared ends. The recogniser then follows each word once, however many phrases contain it.

The grammar always finds something, whatever was said, so its answer needs a test. ``believe`` compares it with the answer of
the general model on the same sound:

1. the words are a whole phrase (the search may end in the middle of one);
2. both paths call the same frames words (``OVERLAP``). A wrong phrase leaves speech to the noise models between its words;
3. no stretched words (``FRAMES_PER_PHONE``);
4. the grammar's path is about as likely as the general one (``LIKELY``), or, where it is less so but not by much
   (``MARGIN``), both paths spell nearly the same (``ALIKE``): "what does this shines a" for "what does this sign say".
   Scores count from the best senone of each frame, all senones computed (``compallsen``), so that those of two searches can
   be compared: their difference is a log likelihood ratio.

With the 1,479 commands of nearsight's own skills in the grammar: of 80 commands by four synthetic voices 74 were given word
for word (four of the others as "scan that code" for "scan the code" and the like), of 60 free questions two were taken for a
command. ``MARGIN`` alone, set with a hundred phrases in the grammar, took 12 of them.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

Words = tuple[str, ...]

OVERLAP: Final = 0.70
"""Frames that both paths call words, as a share of those that either does."""
LIKELY: Final = -0.45
"""Log likelihood ratio a frame, in nats, from which the grammar needs no other witness."""
MARGIN: Final = -1.45
"""The least ratio; as large as it is because the acoustic model scores each frame on its own."""
ALIKE: Final = 0.8
"""Share of letters that both paths have in common, in order."""
FRAMES_PER_PHONE: Final = 18
"""The slowest of the commands measured has 16 frames of 10 ms a phone; one stretched over other speech has 20 and more."""
MOST: Final = 4096
"""Word sequences that one phrase may spell out to."""

_TOKEN = re.compile(r"[()\[\]|]|[^\s()\[\]|]+")


@dataclass(frozen=True, slots=True)
class Segment:
    """One word or filler of a decoder's path, in frames of 10 ms from the stream's start."""

    word: str
    """Without its pronunciation number; fillers begin with ``<``, ``[`` or ``(``."""
    start: int
    end: int
    """One past the last frame."""
    score: float
    """Acoustic log likelihood in nats, summed over its frames."""
    confidence: float

    @property
    def filler(self) -> bool:
        """Whether it is silence, noise or a mark rather than a word."""
        return self.word[:1] in ("<", "[", "(", "+")


def spell_out(phrase: str) -> set[Words]:
    """Gives every word sequence of a phrase in the syntax of ``edge.skill.Skill.phrases``; none for one with slots.

    Raises ValueError for unbalanced brackets and for a phrase with more than ``MOST`` sequences.
    """
    if "{" in phrase:
        return set()
    tokens = _TOKEN.findall(phrase.lower())
    sequences, rest = _alternatives(tokens, 0)
    if rest != len(tokens):
        raise ValueError(f"unbalanced brackets in the phrase {phrase!r}")
    return sequences - {()}


def _alternatives(tokens: Sequence[str], at: int) -> tuple[set[Words], int]:
    found: set[Words] = set()
    while True:
        sequence: set[Words] = {()}
        while at < len(tokens) and tokens[at] not in ("|", ")", "]"):
            token = tokens[at]
            if token in ("(", "["):
                part, at = _alternatives(tokens, at + 1)
                if at >= len(tokens) or tokens[at] != {"(": ")", "[": "]"}[token]:
                    raise ValueError("unbalanced brackets in the phrase " + " ".join(tokens))
                part = part | {()} if token == "[" else part
            else:
                part = {(token,)}
            at += 1
            if len(sequence) * len(part) > MOST:
                raise ValueError(f"more than {MOST} ways to say " + " ".join(tokens))
            sequence = {head + tail for head in sequence for tail in part}
        found |= sequence
        if at >= len(tokens) or tokens[at] != "|":
            return found, at
        at += 1


Transition = tuple[int, int, float, str] | tuple[int, int, float]


@dataclass(frozen=True, slots=True)
class Automaton:
    """A minimal deterministic automaton; every transition has probability 1, so no phrase is favoured for being rare."""

    start: int
    final: int
    transitions: tuple[Transition, ...]
    """``(from, to, probability, word)``; without a word the transition is free."""


def automaton(sequences: Iterable[Words]) -> Automaton:
    """Merges word sequences, at least one, by shared beginnings and shared ends."""
    numbers: dict[tuple[bool, frozenset[tuple[str, int]]], int] = {}

    def state(tails: set[Words]) -> int:
        by_word: dict[str, set[Words]] = {}
        for tail in tails:
            if tail:
                by_word.setdefault(tail[0], set()).add(tail[1:])
        # Sorted, or the states' numbers, and with them ties in the search, would differ from one process to the next.
        key = (() in tails, frozenset((word, state(by_word[word])) for word in sorted(by_word)))
        return numbers.setdefault(key, len(numbers))

    start = state(set(sequences))
    final = len(numbers)
    transitions: list[Transition] = []
    for (ends, arcs), number in numbers.items():
        transitions += [(number, to, 1.0, word) for word, to in sorted(arcs)]
        if ends:
            transitions.append((number, final, 1.0))
    return Automaton(start, final, tuple(transitions))


def believe(
    command: Sequence[Segment], general: Sequence[Segment], phrases: frozenset[Words], phones: Callable[[str], int]
) -> float:
    """Gives how far the grammar's path can be trusted: 0 where a test of the module's docstring fails, else 0.5 to 1.

    ``phones`` gives the number of phones of a word.
    """
    words = tuple(segment.word for segment in command if not segment.filler)
    if words not in phrases:
        return 0.0
    mine, theirs = _frames(command), _frames(general)
    if len(mine & theirs) < OVERLAP * len(mine | theirs):
        return 0.0
    if len(mine) > FRAMES_PER_PHONE * sum(map(phones, words)):
        return 0.0
    ratio = _per_frame(command) - _per_frame(general)
    if ratio < MARGIN or (ratio < LIKELY and _likeness(words, general) < ALIKE):
        return 0.0
    return 1 / (1 + math.exp(MARGIN - ratio))


def _likeness(words: Words, general: Sequence[Segment]) -> float:
    """Share of letters in common, 0 to 1 (Ratcliff and Obershelp)."""
    theirs = " ".join(segment.word for segment in general if not segment.filler)
    return difflib.SequenceMatcher(None, " ".join(words), theirs, autojunk=False).ratio()


def _frames(path: Sequence[Segment]) -> set[int]:
    return {frame for segment in path if not segment.filler for frame in range(segment.start, segment.end)}


def _per_frame(path: Sequence[Segment]) -> float:
    return sum(segment.score for segment in path) / max(1, path[-1].end - path[0].start) if path else -math.inf
