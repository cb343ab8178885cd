"""How a watch puts what happened: one short sentence, in the wearer's own word for the thing."""

from __future__ import annotations

from edge.policy import nouns
from edge.tracks import Watched, WatchRule

_PLURALS = {"person": "people", "mouse": "mice", "knife": "knives", "sheep": "sheep", "skis": "skis", "scissors": "scissors"}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_FIRST = {"my": "your", "this": "the", "that": "the", "a": "the", "an": "the", "our": "your", "these": "the", "those": "the"}
_DETERMINERS = frozenset({"the", "your", "his", "her", "their"})


def whose(label: str) -> str:
    """Gives what the wearer calls a thing as the assistant says it: "my bag" is "your bag", "bus" is "the bus"."""
    words = label.split()
    if not words:
        return "what you showed me"
    if words[0] in _FIRST and len(words) > 1:
        return " ".join([_FIRST[words[0]], *words[1:]])
    return label if words[0] in _DETERMINERS else f"the {label}"


def one(label: str) -> str:
    """Gives a detector's name with its article: "a person", "an apple"."""
    return f"{'an' if label[:1] in 'aeiou' else 'a'} {label}"


def plural(label: str) -> str:
    """Gives the plural of a detector's name."""
    if label in _PLURALS:
        return _PLURALS[label]
    if label.endswith(("s", "x", "ch", "sh")):
        return f"{label}es"
    return f"{label[:-1]}ies" if label.endswith("y") and label[-2:-1] not in "aeiou" else f"{label}s"


def many(number: int, label: str) -> str:
    """Gives "two people"."""
    spoken = _NUMBERS[number] if number < len(_NUMBERS) else str(number)
    return f"{spoken} {label if number == 1 else plural(label)}"


def sentence(text: str) -> str:
    """Gives a text with its first letter a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def came(label: str, number: int) -> str:
    """Gives the sentence "A person appeared"."""
    return sentence(f"{one(label) if number == 1 else many(number, label)} appeared")


def went(label: str, number: int, left: int) -> str:
    """Gives "The person is gone.", or how many are left."""
    if left:
        return sentence(f"{one(label) if number == 1 else many(number, label)} went away, {many(left, label)} left")
    return sentence(f"the {label} is gone" if number == 1 else f"the {plural(label)} are gone")


def counted(label: str, number: int) -> str:
    """Gives the sentence "There are two people now"."""
    return sentence(f"there {'is' if number == 1 else 'are'} {many(number, label)} now")


def stirred(rule: WatchRule) -> str:
    """Gives the sentence of a watch that knows no thing, only a part of the view."""
    return "Something is moving in the view." if rule.zone is None else "Something is moving where I watch."


def until(rule: WatchRule) -> str:
    """Gives what a rule waits for, after "when": "something touches your bag"."""
    if rule.what is Watched.LIGHT:
        return "the light goes on or off"
    if rule.object_id is not None:
        thing = whose(rule.label)
        return _UNTIL[rule.what].format(the=thing, a=thing, s=thing)
    if rule.label:
        label = nouns.spoken(rule.label)
        return _UNTIL[rule.what].format(the=f"the {label}", a=one(label), s=plural(label))
    where = "in the view" if rule.zone is None else "in the middle of the view"
    return f"nothing moves any more {where}" if rule.what is Watched.STOPS else f"something moves {where}"


_UNTIL = {
    Watched.APPEARS: "{a} appears",
    Watched.LEAVES: "{the} is gone",
    Watched.MOVES: "{the} moves",
    Watched.STOPS: "{the} stops",
    Watched.TOUCHED: "something touches {the}",
    Watched.COUNT: "the number of {s} changes",
}
