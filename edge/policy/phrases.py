"""What a wearer may say: the phrase syntax of ``edge.skill``, and the form of an utterance that phrases are compared with.

::

    sequence = item {item}
    item     = word | "{" name "}" | "(" sequence {"|" sequence} ")" | "[" sequence {"|" sequence} "]"

Parentheses hold alternatives, brackets hold what may be left out, both nest, and ``{name}`` stands for one to four words.
A phrase is checked when it is parsed: what would match everything, nothing, or in two ways is refused there, because it
would otherwise show itself weeks later as a question that goes to the wrong skill.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from edge.errors import ConfigError

MAX_VARIANTS = 2048
"""The most ways to say one phrase. Nested brackets multiply, and every variant is compared with every utterance."""
SLOT_WORDS = 4
"""The most words that a slot takes."""

_TOKENS = re.compile(r"\s*(?:(?P<mark>[()\[\]|])|\{(?P<slot>[^{}]*)\}|(?P<word>[^\s()\[\]{}|]+)|(?P<stray>\S))")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*'?")


@dataclass(frozen=True, slots=True)
class _Word:
    text: str


@dataclass(frozen=True, slots=True)
class _Slot:
    name: str


@dataclass(frozen=True, slots=True)
class _All:
    items: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Any:
    options: tuple[_All, ...]
    """Never empty; an empty ``_All`` among them is what may be left out."""


_Node = _Word | _Slot | _All | _Any


@dataclass(frozen=True, slots=True)
class Phrase:
    """A parsed phrase."""

    text: str
    """As its skill wrote it."""
    ways: tuple[tuple[str, ...], ...]
    """Every way to say it, in words; a slot stands as ``{name}``."""
    pattern: re.Pattern[str]
    """Matches a ``plain`` utterance with a space before it. Its groups are named after the slots, ``_<number>`` behind."""

    @property
    def slotted(self) -> bool:
        """Whether any way to say it has a slot."""
        return self.pattern.groups > 0

    def match(self, utterance: str) -> Mapping[str, str] | None:
        """Gives the slots of a ``plain`` utterance that says this phrase, None for any other."""
        found = self.pattern.fullmatch(" " + utterance)
        if found is None:
            return None
        return {name.rpartition("_")[0]: words.strip() for name, words in found.groupdict().items() if words is not None}


def parse(text: str) -> Phrase:
    """Parses a phrase. Raises ConfigError, which shows the phrase and says what is wrong with it."""
    parser = _Parser(text)
    root = parser.phrase()
    number = _count(root)
    if number > MAX_VARIANTS:
        raise parser.wrong(f"has {number} variants, at most {MAX_VARIANTS} are allowed")
    ways = tuple(dict.fromkeys(_ways(root)))
    for way in ways:
        slots = [word for word in way if _is_slot(word)]
        if not way:
            raise parser.wrong("matches silence: everything in it may be left out")
        if len(slots) == len(way):
            raise parser.wrong("matches anything: one way to say it is nothing but a slot")
        if len(set(slots)) < len(slots):
            raise parser.wrong("has the same slot twice in one way to say it")
        if any(_is_slot(one) and _is_slot(two) for one, two in itertools.pairwise(way)):
            raise parser.wrong("has two slots side by side, which cannot be told apart")
    return Phrase(text, ways, re.compile(_pattern(root, itertools.count())))


def variants(phrase: str, limit: int = MAX_VARIANTS) -> tuple[str, ...]:
    """Gives the first ``limit`` ways to say a phrase, as their words are written, slots as ``{name}``. Raises ConfigError."""
    return tuple(" ".join(way) for way in parse(phrase).ways[:limit])


def commands(phrases: Iterable[str]) -> tuple[str, ...]:
    """Gives every way to say the phrases that has no slot, each once: what a command grammar holds. Raises ConfigError."""
    return tuple(dict.fromkeys(way for phrase in phrases for way in variants(phrase) if "{" not in way))


def plain(text: str) -> str:
    """Gives an utterance as words in lower case: no punctuation, no marks of the recogniser, one spelling for each word.

    Contractions are written out, numbers stay as they were said. Phrases go through the same, so ``what's`` in either is
    ``what is`` in both.
    """
    words = _MARKS.sub(" ", unicodedata.normalize("NFKC", text).lower().replace("\u2019", "'"))
    words = _PUNCTUATION.sub(" ", words)
    for short, long in _CONTRACTIONS:
        words = short.sub(long, words)
    words = words.replace("'", "")
    for other, usual in _SPELLINGS:
        words = other.sub(usual, words)
    return " ".join(words.split())


def called(utterance: str) -> str:
    """Gives a ``plain`` utterance without a wake word at either end.

    The sound that the recogniser gets begins a little before the question, so the wake word's end is often heard again.
    """
    return _WAKE_TAIL.sub("", _WAKE_HEAD.sub("", utterance))


def trimmed(utterance: str) -> str:
    """Gives a ``plain`` utterance without what people put around a request: comes out empty when there is nothing else.

    That is the wake word, fillers and politeness at either end, and words said twice in a row.
    """
    words = utterance.split()
    rest = " ".join(word for at, word in enumerate(words) if at == 0 or word != words[at - 1])
    before = None
    while rest != before:
        before = rest
        rest = _TAIL.sub("", _HEAD.sub("", called(rest)))
    return rest


_MARKS = re.compile(r"<[^>]*>|\[[^\]]*\]|\+\+\S*?\+\+")
"""``<sil>``, ``[NOISE]``, ``++breath++``: what recognisers write for sounds that are not words."""
_PUNCTUATION = re.compile(r"[^\w']|_")
_CONTRACTIONS = tuple(
    (re.compile(rf"\b{short}\b"), long)
    for short, long in (
        (r"(what|who|where|when|how|that|there|here|it|he|she)'s", r"\1 is"),
        (r"can't", "can not"),
        (r"won't", "will not"),
        (r"(\w+)n't", r"\1 not"),
        (r"(\w+)'re", r"\1 are"),
        (r"(\w+)'ll", r"\1 will"),
        (r"(\w+)'ve", r"\1 have"),
        (r"i'm", "i am"),
        (r"let's", "let us"),
    )
)
_SPELLINGS = tuple(
    (re.compile(rf"\b{other}\b"), usual)
    for other, usual in (
        (r"(what|that)s", r"\1 is"),
        (r"ok", "okay"),
        (r"nevermind", "never mind"),
        (r"barcode(s?)", r"bar code\1"),
        (r"qr", "q r"),
    )
)
_WAKE = r"(?:hey |hay |okay )?(?:jarvis|jervis|mycroft|my croft|nabu|alexa)"
_WAKE_HEAD = re.compile(rf"^(?:{_WAKE}(?: |$))+")
_WAKE_TAIL = re.compile(rf"(?:(?:^| ){_WAKE})+$")
_ASK = r"(?:can|could|would|will) you"
_HEAD = re.compile(
    r"^(?:um|uh|er|erm|ah|oh|hm|hmm|well|so|hey|hi|okay|ok|please|kindly|i want to know|i would like to know|do you know"
    rf"|{_ASK} (?:please )?tell me|{_ASK})(?: |$)"
)
_TAIL = re.compile(r"(?:^| )(?:um|uh|er|erm|please|thanks|thank you|for me|now)$")


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_TOKENS.finditer(text))
        self._at = 0

    def wrong(self, why: str) -> ConfigError:
        return ConfigError(f"phrase {self._text!r} {why}")

    def phrase(self) -> _Node:
        root = self._sequence()
        if self._at < len(self._tokens):
            mark = self._tokens[self._at]["mark"]
            raise self.wrong(
                "has a '|' outside parentheses and brackets" if mark == "|" else f"has a {mark!r} that was never opened"
            )
        return root

    def _sequence(self) -> _All:
        items: list[_Node] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token["mark"] and token["mark"] in ")]|":
                break
            self._at += 1
            items.append(self._group(token["mark"]) if token["mark"] else self._leaf(token))
        if not items:
            raise self.wrong(
                "is empty" if not self._tokens else "has an empty alternative; what may be left out goes into brackets"
            )
        return _All(tuple(items))

    def _group(self, opened: str) -> _Node:
        closing = ")" if opened == "(" else "]"
        options = [self._sequence()]
        while self._at < len(self._tokens) and self._tokens[self._at]["mark"] == "|":
            self._at += 1
            options.append(self._sequence())
        if self._at == len(self._tokens) or self._tokens[self._at]["mark"] != closing:
            raise self.wrong(f"has a {opened!r} that is not closed by a {closing!r}")
        self._at += 1
        return _Any((*options, _All(()))) if opened == "[" else _Any(tuple(options))

    def _leaf(self, token: re.Match[str]) -> _Node:
        name, word = token["slot"], token["word"]
        if name is not None:
            if not name.isidentifier():
                raise self.wrong(f"has a slot named {name!r}, which is not a name")
            return _Slot(name)
        if word is None:
            raise self.wrong(f"has a stray {token['stray']!r}")
        if word != word.lower():
            raise self.wrong(f"has capitals in {word!r}; phrases are in lower case")
        if not _WORD.fullmatch(word):
            raise self.wrong(f"has punctuation in {word!r}; only an apostrophe may stand inside a word")
        return _Word(word)


def _is_slot(word: str) -> bool:
    return word.startswith("{")


def _count(node: _Node) -> int:
    match node:
        case _All(items):
            number = 1
            for item in items:
                number *= _count(item)
            return number
        case _Any(options):
            return sum(_count(option) for option in options)
        case _:
            return 1


def _ways(node: _Node) -> Iterator[tuple[str, ...]]:
    match node:
        case _Word(text):
            yield (text,)
        case _Slot(name):
            yield ("{" + name + "}",)
        case _All(items):
            for parts in itertools.product(*(tuple(_ways(item)) for item in items)):
                yield tuple(itertools.chain.from_iterable(parts))
        case _Any(options):
            for option in options:
                yield from _ways(option)


def _pattern(node: _Node, numbers: Iterator[int]) -> str:
    """A space stands before every word, the first too, so that what is left out leaves no double space."""
    match node:
        case _Word(text):
            return " " + re.escape(plain(text))
        case _Slot(name):
            return rf" (?P<{name}_{next(numbers)}>\S+(?: \S+){{0,{SLOT_WORDS - 1}}}?)"
        case _All(items):
            return "".join(_pattern(item, numbers) for item in items)
        case _Any(options):
            return "(?:" + "|".join(_pattern(option, numbers) for option in options) + ")"
