"""What wearers say about translating, and what they are told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from edge.policy.languages import heard_as, name_of, same, suggested
from edge.policy.phrases import called, commands, plain, trimmed
from edge.translation import Interpret

USUAL: Final = (
    "english | spanish | french | german | italian | portuguese | dutch | polish | russian | turkish | arabic | hindi | chinese"
    " | mandarin | japanese | korean"
)
"""Languages that the command grammar holds: a name in a slot is heard by the general recogniser alone."""
STOP_PHRASES: Final[Sequence[str]] = (
    "(stop | end | finish) (translating | interpreting) [this conversation | the conversation]",
    "(stop | end | turn off) [the] (translation | interpreter)",
    "no more translating",
)
ALREADY_YOURS: Final = "That is the language I already speak to you."
NOT_TRANSLATING: Final = "I am not translating."
NOTHING_SAID: Final = "I have not translated anything yet."
_ENDING: Final = "To end it, say stop translating."
_STOPS: Final = frozenset(map(plain, commands(STOP_PHRASES)))
_BOTH_WAYS: Final = re.compile(r"\b(?:conversation|interpret|interpreting|interpreter|for us|between)\b")
_START: Final = re.compile(r"^(?:start|begin) (?:translating|interpreting)$")
_SAID: Final = re.compile(r"^what (?:did|have) (?:they|he|she)(?: just)? sa(?:y|id)\b")
_SLOWER: Final = re.compile(r"^(?:say|repeat|tell me) (?:that|it)\b.*\b(?:slower|slowly)$")
_FROM: Final = re.compile(r"\b(?:from|between) (?P<source>.+?)(?: (?:to|into|in|and) |$)")
_INTO: Final = re.compile(r"\b(?:to|into|in|with|and) (?P<target>(?:(?!\b(?:to|into|in|with|and|from)\b).)+?)(?: from .+)?$")
_COMMAND: Final = re.compile(
    r"\s*[:;,(]?\s*(?:or )?(?:please )?(?:run |use |sudo |with )?(?:nearsight|apt-get|apt|pip) .*$|\s*`.*$"
)
_PAIR: Final = re.compile(r"\b(?P<one>[a-z]{2,3}(?:-[A-Z]{2})?)(?P<between>-| to | and )(?P<other>[a-z]{2,3}(?:-[A-Z]{2})?)\b")


class Want(Enum):
    """What is asked for."""

    BEGIN = "begin"
    STOP = "stop"
    SAID = "said"
    """What the other said, once more."""
    SLOWER = "slower"
    """The same, more slowly."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What an utterance asks for; languages as they were named."""

    want: Want
    both: bool = False
    """Whether both ways."""
    source: str = ""
    target: str = ""


def understood(asked: str) -> Wish:
    """Gives what an utterance that matched a phrase of the skill wants."""
    asked = trimmed(asked)
    if asked in _STOPS:
        return Wish(Want.STOP)
    if _SAID.match(asked):
        return Wish(Want.SAID)
    if _SLOWER.match(asked):
        return Wish(Want.SLOWER)
    source, target = _FROM.search(asked), _INTO.search(asked)
    both = bool(_BOTH_WAYS.search(asked) or _START.match(asked))
    return Wish(Want.BEGIN, both, source["source"] if source else "", target["target"] if target else "")


def stops(text: str) -> bool | None:
    """Says whether a text is the command that ends translating: False for what may become it, None for anything else."""
    said = called(plain(text))
    if trimmed(said) in _STOPS:
        return True
    begun_so = any(f"{please}{command}".startswith(said) for command in _STOPS for please in ("", "please "))
    return False if said and begun_so else None


def wanted(wish: Wish, mine: str) -> Interpret | str:
    """Gives what a wish asks of the interpreter, for a wearer who speaks ``mine``; or what to say where that cannot be."""
    tags = [heard_as(name) if name else "" for name in (wish.source, wish.target)]
    for name, tag in zip((wish.source, wish.target), tags, strict=True):
        if name and not tag:
            return unknown(name, "translate this conversation to" if wish.both else "translate to")
    source, target = tags
    if not wish.both:
        if same(source, target or mine):
            return ALREADY_YOURS if same(source, mine) else f"Both of these are {name_of(source)}."
        return Interpret("", source, False, target)
    if source and target and not same(source, mine) and not same(target, mine):
        return ALREADY_YOURS if same(source, target) else Interpret(source, target, True)
    theirs = source if source and not same(source, mine) else target or source
    return ALREADY_YOURS if same(theirs, mine) else Interpret("", theirs, True)


def unknown(name: str, command: str) -> str:
    """Asks back after a language that is not known."""
    near = suggested(name)
    known = f"I do not know the language {name}."
    return f"{known} If you mean {near}, say, {command} {near}." if near else f"{known} Which one do you mean?"


def begun(now: Interpret) -> str:
    """Gives what is said when translating begins."""
    if now.both and now.theirs:
        return f"Translating between {name_of(now.mine or 'en')} and {name_of(now.theirs)}. {_ENDING}"
    if now.both:
        return f"Translating both ways, as soon as I hear the other language. {_ENDING}"
    whence = f" from {name_of(now.theirs)}" if now.theirs else ""
    into = f" into {name_of(now.target or now.mine)}" if now.target or now.mine else ""
    return f"Translating{whence}{into}."


def spoken_reason(text: str) -> str:
    """Gives an error's text as it is spoken: without the command that helps, languages by their names.

    Empty where that leaves something that nobody would say: a path.
    """
    reason = _PAIR.sub(_named, _COMMAND.sub("", text)).strip(" .,:;(")
    return f"{reason[:1].upper()}{reason[1:]}." if reason and not re.search(r"[/\\_=]", reason) else ""


def _named(match: re.Match[str]) -> str:
    one, other = name_of(match["one"]), name_of(match["other"])
    if one == match["one"] or other == match["other"]:
        return match.group()
    return f"{one}{' to ' if match['between'] == '-' else match['between']}{other}"
