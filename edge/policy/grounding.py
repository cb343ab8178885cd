"""Keeps a small language model to what the picture says: before it answers, and after.

A model of 135 M parameters answers every question, and is right when the answer stands in front of it. So the question is
read first: what shape its answer must have (a price, a time, a telephone number ...) and which words it is about. Lines of
the picture that hold both are the evidence, and only they are shown to the model; where no line does, the honest answer is
known without it. What the model says is then checked word by word: numbers, names and content words must stand in the
evidence or the question, a "no" in the evidence must not be lost, and something must be said that was not asked.

Words are compared by their stems and with room for a reader's errors (``CHOC0LATE``). The tables are English and small on
purpose: what they do not know ends in "I don't know. I can read: ...", which still gives the wearer the line.

For questions about nothing in view there is no evidence. There the model is asked twice, the second time with its words drawn
at random: what it knows stays, what it makes up changes (self-consistency, Wang et al. 2022, arXiv 2203.11171, as a filter).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from functools import lru_cache


class Shape(Enum):
    """What an answer must look like; the value finds it in a line."""

    PRICE = r"[$€£¥]|\b\d+[.,]\d\d\b(?!\s*[ap]\.?m)|\d\s*(?:euros?|dollars?|pounds?|cents?|eur|usd|gbp|chf|kr|yen)\b|\bfree\b"
    TIME = (
        r"\b\d{1,2}:\d\d|\b\d{1,2}(?:\.\d\d)?\s*[ap]\.?m\b|o'clock|\bnoon\b|\bmidnight\b|\bdaily\b|every day"
        r"|\d/\d{2,4}\b|\b20\d\d\b|\b\d{1,2}\.?\s?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
        r"|\b(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?s?\b"
        r"|\b(?:january|february|april|june|july|august|september|october|november|december)\b"
    )
    FREQUENCY = r"\bevery\b|\bdaily\b|\bhourly\b|\bweekly\b|\btimes\b|\bonce\b|\btwice\b|\bper\b"
    PHONE = r"\d(?:[\s()/.+-]*\d){5}"
    DISTANCE = r"\d\s*(?:km|m|mi|miles?|kilomet\w+|met(?:er|re)s?|yards?|feet|ft|minutes?|min)\b|\d\s*%"
    DURATION = r"\d\s*(?:hours?|hrs?|h|minutes?|mins?|days?|weeks?|months?|years?)\b"
    ADDRESS = r"www\.|https?:|@|\.(?:com|org|net|de|uk)\b"
    NUMBER = r"\d"
    PLACE = r"[←↑→↓]|<-|->|\b(?:to|at|in|on|left|right|upstairs|downstairs|floor|level|room|ahead)\b"
    PERSON = r"\b(?:dr|prof|mr|mrs|ms|by|name|owner|manager)\b"
    REASON = r"\b(?:because|due|so that|caused)\b"
    ANY = r""

    def found_in(self, line: str) -> bool:
        """Says whether a line holds something of this shape."""
        return re.search(self.value, line, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class Question:
    """A question, as far as it can be understood without a model."""

    text: str
    shape: Shape
    keys: tuple[str, ...]
    """Stems of the words it is about, in order."""
    closed: bool
    """Answered by yes or no."""
    pointing: bool
    """Says "this", "here", "the sign": it is about what the wearer looks at."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the picture has for a question."""

    lines: tuple[str, ...]
    """The lines to answer from, in reading order; the nearest ones where there is no answer."""
    answerable: bool
    related: bool
    """Some line has a word of the question: it is about the picture."""


_ASKS: tuple[tuple[Shape, str], ...] = (
    (Shape.FREQUENCY, r"how (?:often|many times)"),
    (Shape.PHONE, r"\b(?:phone|telephone|mobile|fax) number|\bnumber to call|what number\b.*\bcall"),
    (Shape.ADDRESS, r"\b(?:website|web|email|mail|internet|url)\b"),
    (Shape.PRICE, r"how (?:much|expensive)|\bprice|\bcosts?\b|what do(?:es)? .*\bpay|\bfee\b"),
    (Shape.TIME, r"\bwhen\b|what time|(?:what|which) (?:day|date|month|year)|how (?:late|early)|until what|opening hours"),
    (Shape.DURATION, r"how long"),
    (Shape.DISTANCE, r"how far"),
    (Shape.NUMBER, r"how (?:many|old|deep|tall|high|heavy|fast|big|large|hot|cold|wide)|what (?:number|percentage)"),
    (Shape.PLACE, r"\bwhere\b|which way|which direction"),
    (Shape.PERSON, r"\bwho\b|\bwhose\b"),
    (Shape.REASON, r"\bwhy\b"),
)
_CLOSED = re.compile(r"^(?:so |and |but )?(?:can|could|may|must|should|is|are|was|does|do|did|has|have|will|am)\b")
_POINTING = re.compile(r"\b(?:this|these|those|here|sign|text|label|menu|screen|read|see|written|says?|looking|front of me)\b")
_VISIBLE = re.compile(
    r"\b(?:is there|are there|(?:do|can) you see|what happens|what happened|going on|doing|wearing|holding|carrying"
    r"|standing|sitting|looks? like|smiling|people|person|man|woman|boy|girl|child|children|somebody|someone|anybody|anyone"
    r"|left|right|behind|in front|beside|next to|above|below|foreground|background|picture|photo|scene|colou?rs?|describe)\b"
)
_TIED_TO_NOW = re.compile(
    r"\b(?:i|me|my|mine|we|our|us|he|she|they|him|her|you|your|today|tonight|tomorrow|yesterday|now|current|currently|latest|last|next"
    r"|recent|recently|of the day|weather|news|score|mayor|president|minister|boss|password|this|here)\b"
)
_LIGHT = frozenset(
    "a an the and or but if so of to in on at by for from with without about as into onto than then up down out off over"
    " is are am was were be been being do does did has have had can could may might must shall should will would i me my"
    " we us our you your he him his she her it its they them their this that these those here there who whom whose what"
    " which when where why how yes not no never none nor only also just very too all any some each please s t re m ll ve d"
    " nd th st rd am pm o clock et etc go goes".split()
)
_GENERIC = frozenset(
    "website web email mail internet url sign text label menu screen picture say read see look tell show write written"
    " name call mean thing take get go need know find use want give make happen time day date month year number phone"
    " telephone mobile price cost pay much many long far often old way direction kind type question answer expensive hour"
    " fee late early left".split()
)
_KIN: tuple[frozenset[str], ...] = tuple(
    frozenset(group.split())
    for group in (
        "open hour",
        "close shut hour",
        "leave depart departure start begin dep boarding board",
        "arrive arrival arr",
        "toilet wc restroom bathroom washroom lavatory",
        "door exit entrance entry",
        "card cash visa mastercard credit",
        "ticket adult child children admission fare entry",
        "street st road rd avenue ave lane",
        "allow permit prohibit forbid no welcome",
        "expire exp expiry expiration best",
        "buy sell sold sale",
        "danger dangerous warning caution beware",
        "age aged old",
        "deep depth",
        "tall high height",
        "heavy weight kg",
        "fast speed",
        "doctor dr",
        "child children kid",
        "accept take",
        "platform track",
        "train rail",
        "percent percentage",
    )
)
_NEGATIVE = re.compile(r"\b(?:no|not|never|without|except|prohibited|forbidden|clos(?:es?|ed)|only|n't)\b|n't\b", re.IGNORECASE)
_TOKEN = re.compile(r"\d+(?:[.:,/]\d+)*|[^\W_]+")
_NUMBERS = {
    word: str(value)
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
        " eighteen nineteen twenty".split()
    )
} | {
    "first": "1",
    "second": "2",
    "third": "3",
    "fourth": "4",
    "fifth": "5",
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
}
_MISREAD = str.maketrans("015$", "olss")
_NEAR = 0.82
"""Two words of six letters with one wrong are 0.83 alike; ``train`` and ``trail`` are 0.80 and differ."""
_COUNTED = 20
"""Things that can be counted by looking; a larger number was read."""
_TRUSTED_NUMBER = 100
"""Larger numbers, years and decimals of a small model are wrong more often than not: they are not said."""


def understand(text: str) -> Question:
    """Reads a question, in lower case and without punctuation as a recogniser gives it, or otherwise."""
    asked = " ".join(text.lower().replace("?", " ").split())
    shape = next((shape for shape, pattern in _ASKS if re.search(pattern, asked)), Shape.ANY)
    if shape is Shape.NUMBER and (adjective := re.search(r"how (old|deep|tall|high|heavy|fast)", asked)):
        keys = [adjective.group(1)]
    else:
        keys = []
    keys += [stem for word in _words(asked) if (stem := _stem(word)) not in _GENERIC_STEMS and word not in _LIGHT]
    return Question(asked, shape, tuple(dict.fromkeys(keys)), bool(_CLOSED.search(asked)), bool(_POINTING.search(asked)))


def evidence(question: Question, lines: Sequence[str], most: int = 3) -> Evidence:
    """Finds the lines that a question can be answered from, at most ``most``."""
    if not lines:
        return Evidence((), answerable=False, related=False)
    stems = [{_stem(word) for word in _words(line)} for line in lines]
    hits = [{key for key in question.keys if any(_kin(key, stem) for stem in line)} for line in stems]
    shaped = [question.shape is not Shape.ANY and question.shape.found_in(line) for line in lines]
    # The word itself counts more than its kin: of "adults" and "children", a question about children's tickets means one.
    exact = [sum(any(_near(key, stem) for stem in line) for key in question.keys) for line in stems]
    scores = [2 * len(hit) + more + 2 * fits for hit, more, fits in zip(hits, exact, shaped, strict=True)]
    best = max(range(len(lines)), key=lambda at: (scores[at], -at))
    matched: set[str] = set().union(*hits)
    if scores[best] == 0:
        return Evidence(
            tuple(lines[:most]), not question.keys and question.shape is Shape.ANY and question.pointing, related=False
        )
    chosen = {best}
    if question.shape is not Shape.ANY and not shaped[best]:
        # A menu's price or a timetable's hour often stands on a line of its own, mostly the next one.
        near = [at for at in range(len(lines)) if shaped[at] and -1 <= at - best <= 2]
        chosen |= set(sorted(near, key=lambda at: (abs(at - best), best - at))[:1])
    for key in matched.difference(*(hits[at] for at in chosen)):
        chosen.add(max((at for at in range(len(lines)) if key in hits[at]), key=lambda at: (scores[at], -at)))
    kept = sorted(sorted(chosen, key=lambda at: -scores[at])[:most])
    answerable = _answerable(question, matched, any(shaped[at] for at in kept))
    if not answerable:
        # The wearer may find in the lines around the nearest one what no rule finds.
        first = max(min(best, len(lines) - most), 0)
        kept = list(range(first, min(first + most, len(lines))))
    return Evidence(tuple(lines[at] for at in kept), answerable, bool(matched))


def _answerable(question: Question, matched: set[str], shaped: bool) -> bool:
    missing = len(question.keys) - len(matched)
    match question.shape:
        case Shape.ANY | Shape.PLACE | Shape.PERSON | Shape.NUMBER | Shape.REASON:
            if not question.keys:
                return shaped and question.pointing
            fits = shaped or question.shape is Shape.ANY
            return fits and (missing == 0 or (missing == 1 and len(question.keys) >= 3))
        case Shape.PRICE:
            return shaped and (missing == 0 or missing < len(question.keys) / 2 + 0.5)
        case _:
            return shaped and (bool(matched) or not question.keys)


def supported(sentence: str, question: Question, lines: Sequence[str]) -> str:
    """Gives the longest beginning of a sentence, cut at a comma, that the evidence bears; empty when none does."""
    clauses = re.split(r"(?<=[a-z0-9]),\s+(?=[a-z])", sentence.strip())
    for number in range(len(clauses), 0, -1):
        said = ", ".join(clauses[:number]).rstrip(" ,;:")
        if _borne(said, question, lines):
            return said if said.endswith((".", "!", "?")) else f"{said}."
    return ""


def _borne(said: str, question: Question, lines: Sequence[str]) -> bool:
    source = " ".join(lines)
    there = {_stem(word) for word in _words(source)}
    asked = {_stem(word) for word in _words(question.text)}
    content = [(word, _stem(word)) for word in _words(said) if word not in _LIGHT]
    new = False
    for word, stem in content:
        if any(_near(stem, other) for other in there):
            new = new or not any(_near(stem, other) for other in asked)
        elif word[0].isdigit() or not any(_kin(stem, other) for other in asked | there):
            return False
    denied, denies = _NEGATIVE.search(source) is not None, _NEGATIVE.search(said) is not None
    if denied != denies:
        return False
    if question.shape not in (Shape.ANY, Shape.PLACE, Shape.PERSON) and not question.shape.found_in(_digits(said)):
        return False
    return new or (question.closed and denied)


def knowable(question: Question) -> bool:
    """Says whether a question without evidence is one that a model could know: not of today, of this place or its people."""
    # A yes or no of so small a model is a coin toss that agrees with itself, so it is not asked for one.
    return (
        bool(question.keys)
        and question.shape in (Shape.ANY, Shape.NUMBER, Shape.PERSON)
        and not question.closed
        and not _TIED_TO_NOW.search(question.text)
    )


def visible(question: Question) -> bool:
    """Says whether a question asks for what eyes tell, as "what is the man holding" does."""
    return _VISIBLE.search(question.text) is not None


def figures_borne(sentence: str, question: Question, lines: Sequence[str]) -> bool:
    """Says whether the figures of a sentence, counts apart, stand in the lines or in the question.

    A vision model reads a price or a number that a reader did not find by making one up.
    """
    there = {_stem(word) for word in _words(" ".join((*lines, question.text)))}
    said = {_stem(word) for word in _words(sentence) if word[0].isdigit()}
    return all(figure in there for figure in said if not figure.isdigit() or int(figure) > _COUNTED)


def agree(first: str, second: str, question: Question) -> bool:
    """Says whether two answers to a question without evidence say the same new thing, in words or in small numbers."""
    a, b = _news(first, question), _news(second, question)
    numbers = {word for word in a if word[0].isdigit()}
    if numbers != {word for word in b if word[0].isdigit()}:
        return False
    if any(not number.isdigit() or int(number) > _TRUSTED_NUMBER for number in numbers):
        return False
    common = sum(any(_near(word, other) for other in b) for word in a)
    return common > 0 and 2 * common >= min(len(a), len(b))


def _news(sentence: str, question: Question) -> set[str]:
    asked = {_stem(word) for word in _words(question.text)}
    words = {_stem(word) for word in _words(sentence) if word not in _LIGHT}
    return {word for word in words if not any(_near(word, other) for other in asked)}


def content_words(text: str) -> tuple[str, ...]:
    """Gives the words that carry meaning: an utterance without any cannot be answered."""
    return tuple(word for word in _words(text) if word not in _LIGHT)


def _digits(text: str) -> str:
    return re.sub(r"[^\W\d_]+", lambda word: _NUMBERS.get(word.group().lower(), word.group()), text)


def _words(text: str) -> Iterable[str]:
    for token in _TOKEN.findall(text.lower()):
        yield _NUMBERS.get(token, token)


@lru_cache(maxsize=4096)
def _stem(word: str) -> str:
    if word[0].isdigit():
        # 7:00 is 7, 1,043 is 1043 and 2.50 is 2.5, however they are written or said.
        plain = re.sub(r",(?=\d{3}\b)", "", word)
        plain = re.sub(r":00$", "", plain)
        return plain.rstrip("0").rstrip(".") if re.fullmatch(r"\d+\.\d+", plain) else plain
    letters = sum(map(str.isalpha, word))
    if letters < len(word) and letters >= 3:
        word = word.translate(_MISREAD)
    for ending, least in (("ies", 5), ("ing", 6), ("ed", 6), ("es", 5), ("s", 4), ("e", 5)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word


@lru_cache(maxsize=16384)
def _near(a: str, b: str) -> bool:
    if a == b:
        return True
    if a[0].isdigit() or b[0].isdigit() or min(len(a), len(b)) < 4:
        return False
    return SequenceMatcher(None, a, b, autojunk=False).ratio() > _NEAR


@lru_cache(maxsize=16384)
def _kin(a: str, b: str) -> bool:
    return _near(a, b) or any(a in group and b in group for group in _STEMS)


_STEMS: tuple[frozenset[str], ...] = tuple(frozenset(_stem(word) for word in group) for group in _KIN)
_GENERIC_STEMS = frozenset(map(_stem, _GENERIC))
