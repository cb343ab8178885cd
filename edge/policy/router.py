"""Which skill answers: rules first, at once and offline; the model (the skill ``ask``) for everything else.

An utterance is routed by the first of these that holds:

1. it says a phrase, word for word; of several phrases the one with the most literal text wins, then the earlier skill;
2. it is hopeless: empty, nothing but fillers, one or two words without content, or a guess that the recogniser itself does
   not believe. It goes to ``ask`` with an empty text (``Route.unclear``), which asks back;
3. it is close to a phrase. The distance counts words (a lost or an extra word costs its weight, a changed word its weight
   times the share of its letters that changed), because a recogniser with 20 to 50 percent word errors rarely gets a
   command wholly right. Words that carry no meaning of their own weigh little, and of those that do one must have been heard
   rightly, where the phrase is more than one word: "what is the title" is a question, however near to "what is the time";
4. the rest is a question, and goes to ``ask``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from edge.errors import ConfigError
from edge.policy.phrases import Phrase, called, parse, plain, trimmed
from edge.skill import Skill

FALLBACK = "ask"
"""The skill that takes what no rule takes."""
CLOSE = 0.75
"""The least closeness, 0 to 1, of an utterance that counts as a phrase misheard.

Measured with ``tests/policy/misheard.py``: 79 commands and 51 questions as pocketsphinx misheard them, and 128 questions near
to commands as they were meant. At 0.75 tolerance saves 10 commands and takes no question; at 0.70 it saves 11 and takes 2
("turn off the light" as "turn off the camera"), at 0.65 12 and 5, at 0.55 15 and 15. The price: most misheard commands resemble
nothing ("louder" heard as "let go") and become questions. The command grammar is there to hear those rightly.
"""
HOPELESS = 0.1
"""The recogniser's confidence below which only a phrase, word for word, is believed."""
_LIGHT = 0.4
"""The weight of a word without content; others weigh 1."""
_LEAD = 0.5
"""How much of its weight one extra word costs at the very start, where the wake word's end is heard as anything."""
_UNRELATED = 0.5
"""Two words that differ in more than this share of their letters have nothing to do with each other."""
_INFLECTED = 0.25
"""What a changed ending costs at most ("stop", "stopped"), where the shorter word has four letters or more."""
_LIGHT_WORDS = frozenset(
    "a an and are at be did do does for give he her him his i in is it its me my of on or our she so tell that the their them"
    " they this to was we were what with you your".split()
)


@dataclass(frozen=True, slots=True)
class Route:
    """Where an utterance goes."""

    skill: Skill
    slots: Mapping[str, str]
    score: float
    """1 for a phrase word for word, below for one misheard, 0 where no rule matched."""
    text: str
    """What was understood, for ``Asking.transcript``: the phrase that a misheard one stands for, else the utterance without the
    wake word. Empty where nothing was."""

    @property
    def unclear(self) -> bool:
        """Whether nothing was understood, so that the wearer has to be asked back."""
        return not self.text


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to say a phrase without slots."""

    skill: Skill
    words: tuple[str, ...]
    content: frozenset[str]
    weight: float


class Router:
    """Routes utterances to skills. Two routers of the same skills route alike."""

    def __init__(self, skills: Sequence[Skill]) -> None:
        """Raises ConfigError for a phrase that cannot be parsed, and where there is no skill to fall back to."""
        fallback = next((skill for skill in skills if skill.name == FALLBACK), None)
        if fallback is None:
            raise ConfigError(f"the skill {FALLBACK!r} cannot be left out: it answers what no other skill takes")
        self._fallback = fallback
        self._slotted: list[tuple[Skill, Phrase]] = []
        self._ways: dict[str, _Way] = {}
        for skill in skills:  # An earlier skill keeps a phrase that a later one claims too.
            for phrase in map(parse, skill.phrases):
                if phrase.slotted:
                    self._slotted.append((skill, phrase))
                for way in phrase.ways:
                    words = plain(" ".join(way)).split()
                    if not any(word.startswith("{") for word in way):
                        self._ways.setdefault(
                            " ".join(words), _Way(skill, tuple(words), frozenset(words) - _LIGHT_WORDS, _weight(words))
                        )

    def route(self, text: str, confidence: float = 1.0, source: str = "") -> Route:
        """Routes what a recogniser heard.

        A text of the ``source`` "grammar" is compared word for word only: that recogniser chose among phrases, so what is no
        phrase is one broken off, and "turn off the" must not become "turn off the camera".
        """
        utterance = called(plain(text))
        core = trimmed(utterance)
        # A slot takes any word, so the politeness around a request must be gone first, or "read the label please" asks for a
        # "label please".
        exact = self._said(utterance) or self._said(core) or self._filled(core) or self._filled(utterance)
        if exact is not None:
            return exact
        if confidence < HOPELESS or _hopeless(utterance, core):
            return Route(self._fallback, MappingProxyType({}), 0.0, "")
        close = None if source == "grammar" else self._close(core or utterance)
        return close or Route(self._fallback, MappingProxyType({}), 0.0, utterance)

    def _said(self, utterance: str) -> Route | None:
        way = self._ways.get(utterance)
        return None if way is None else Route(way.skill, MappingProxyType({}), 1.0, utterance)

    def _filled(self, utterance: str) -> Route | None:
        best: Route | None = None
        shortest = 0
        for skill, phrase in self._slotted:
            slots = phrase.match(utterance)
            if slots is None:
                continue
            swallowed = sum(map(len, slots.values()))
            if best is None or swallowed < shortest:
                best, shortest = Route(skill, MappingProxyType(slots), 1.0, utterance), swallowed
        return best

    def _close(self, utterance: str) -> Route | None:
        words = utterance.split()
        weight = _weight(words)
        best: _Way | None = None
        score = CLOSE
        for way in self._ways.values():
            if way.skill is self._fallback:
                continue  # its phrases help the recogniser; a question that is only like one is a question of its own
            if way.content.isdisjoint(words) and len(way.words) > 1:
                continue
            # Lost or extra words alone cost this difference, less the discount on the first.
            if abs(way.weight - weight) - _LEAD > (1 - score) * way.weight:
                continue
            found = 1 - _distance(words, way.words) / way.weight
            if found > score or (best is None and found == score):
                best, score = way, found
        return None if best is None else Route(best.skill, MappingProxyType({}), round(score, 3), " ".join(best.words))


def _hopeless(utterance: str, core: str) -> bool:
    words = core.split()
    if not words:
        return "thank" not in utterance
    return len(words) <= 2 and all(word in _LIGHT_WORDS for word in words)


def _weight(words: Sequence[str]) -> float:
    return sum(map(_weight_of, words))


def _weight_of(word: str) -> float:
    return _LIGHT if word in _LIGHT_WORDS else 1.0


def _distance(heard: Sequence[str], said: Sequence[str]) -> float:
    """The least cost of turning what was said into what was heard (Wagner and Fischer's recurrence over words)."""
    row = [0.0]
    for word in said:
        row.append(row[-1] + _weight_of(word))
    for at, word in enumerate(heard):
        extra = _weight_of(word) * (_LEAD if at == 0 else 1.0)
        above, row = row, [row[0] + extra]
        for column, wanted in enumerate(said):
            row.append(min(above[column] + _changed(word, wanted), above[column + 1] + extra, row[column] + _weight_of(wanted)))
    return row[-1]


@lru_cache(maxsize=16_384)
def _changed(heard: str, said: str) -> float:
    if heard == said:
        return 0.0
    shorter, longer = (heard, said) if len(heard) < len(said) else (said, heard)
    if len(shorter) >= 4 and longer.startswith(shorter):
        share = min(1 - len(shorter) / len(longer), _INFLECTED)
    elif max(len(longer) - len(shorter), len(set(longer).difference(shorter))) > _UNRELATED * len(longer):
        share = 1.0  # Each letter too many, and each that the other word lacks, costs at least one edit.
    else:
        share = _letters(heard, said) / len(longer)
    return max(_weight_of(heard), _weight_of(said)) * (share if share <= _UNRELATED else 1.0)


def _letters(one: str, two: str) -> int:
    row = list(range(len(two) + 1))
    for at, letter in enumerate(one):
        above, row = row, [at + 1]
        for column, other in enumerate(two):
            row.append(min(above[column] + (letter != other), above[column + 1] + 1, row[column] + 1))
    return row[-1]
