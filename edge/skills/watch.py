"""Watching over things: the wearer names what, and is told when it happens."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from edge.errors import EngineMissing, InputError, UsageError
from edge.policy import nouns, watch_words
from edge.skill import Asking
from edge.skills import seeing
from edge.tracks import SegmentPrompt, Track, Watched, WatchRule
from edge.values import Box

MIDDLE = Box(0.25, 0.2, 0.75, 0.8)
"""What is watched where nothing could be told apart: a door that is looked at fills about so much of the view."""
FOLLOWED_FULL = "I am following as much as I can. Say, stop following, first."
_PEOPLE = frozenset({"somebody", "someone", "anybody", "anyone"})
_ANYTHING = frozenset({"something", "anything"})
_IT = frozenset({"it", "him", "her", "them"})
_ALIVE = frozenset({"person", "dog", "cat", "bird", "horse", "sheep", "cow"})
_SCENERY = frozenset(
    "door doors entrance exit gate window windows room hall corridor stairs street road path garden driveway crossing".split()
)
"""Places rather than things: nothing would be gained by cutting them out."""
_KINDS = 4
"""Kinds of things that one word may stand for: "a vehicle" makes a rule for each."""
_ASKED = re.compile(r"^(?:please )?(?:tell|warn|alert|notify) me (?:when|if|as soon as) (?P<rest>.+?)(?: please)?$")
_SIMPLE = re.compile(
    r"^(?:please )?(?:watch over|watch|keep an eye on|look after|guard) (?P<thing>.+?)(?: for me)?(?: please)?$"
)
_TOUCHES = re.compile(r"^(?:somebody|someone|anybody|anyone|something|anything) (?:touches|takes|moves|covers) (?P<thing>.+)$")
_NUMBER = re.compile(r"^the number of (?P<thing>.+) changes$")
_LIGHT = re.compile(r"^(?:the )?lights? (?:goes|go|turns|turn|is|are|changes|change|is switched|is turned)(?: on| off)?$")
_HAPPENS = (
    (Watched.TOUCHED, re.compile(r" (?:is|are|gets|get) (?:touched|covered|taken|moved|stolen)$")),
    (Watched.STOPS, re.compile(r" (?:stops?|has stopped|stops? moving|stands? still)$")),
    (Watched.MOVES, re.compile(r" (?:moves?|is moving|starts?|starts? moving|drives? off|happens|changes)$")),
    (Watched.LEAVES, re.compile(r" (?:leaves?|goes|goes away|is gone|disappears?|goes out)$")),
    (Watched.APPEARS, re.compile(r" (?:appears?|comes?|comes? in|comes? back|arrives?|shows? up|is there|is here|enters?)$")),
)


class Watch:
    """Begins to watch, says what is watched, and stops."""

    name = "watch"
    summary = "watch over something and tell you when it moves"
    phrases: Sequence[str] = (
        "(watch | watch over | keep an eye on | look after | guard) (this | that | it) [for me]",
        "(watch | keep an eye on) (the door | my bag | the bag | my phone | my things | the street | the road) [for me]",
        "(tell | warn) me (when | if) (somebody | someone | a person | anybody | anyone) (comes [in] | appears | arrives)",
        "(tell | warn) me (when | if) it (moves | stops | starts | leaves | is touched | is gone | appears | comes)",
        "(tell | warn) me (when | if) (something | anything) (moves | happens | changes)",
        "(tell | warn) me (when | if) my (bag | phone) is (touched | moved | taken)",
        "(tell | warn) me (when | if) the (bus | car | train) (moves | stops | leaves | comes | appears)",
        "(tell | warn) me (when | if) the light (goes | turns) (on | off)",
        "stop watching [it | this | that]",
        "what are you watching",
        "are you [still] watching [it | this | that]",
        "(watch | watch over | keep an eye on | look after | guard) (the | my | that | this | his | her) {thing}",
        "[please] (tell | warn | alert | notify) me (when | if | as soon as) {what} "
        "(moves | move | stops | stop | starts | leaves | goes away | disappears | appears | comes | come | arrives | changes)",
        "[please] (tell | warn | alert | notify) me (when | if | as soon as) {what} is "
        "(touched | covered | taken | moved | gone | there)",
        "[please] (tell | warn | alert) me (when | if) (somebody | someone | anybody) (touches | takes | moves) {what}",
        "stop watching (the | my | that | this) {thing}",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives one or two sentences."""
        asked = asking.transcript
        if asked.startswith("stop "):
            await asking.sure()
            yield _stopped(asking, asked.removeprefix("stop watching").strip())
        elif asked.startswith(("what ", "are ")):
            yield told(tuple(asking.eyes.watches.values()))
        else:
            yield await _begun(asking, understood(asked))


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be watched for."""

    what: Watched | None
    """None where that was left to the assistant: "watch my bag"."""
    thing: str
    """As the wearer named it: "my bag", "this"."""


def understood(asked: str) -> Wish:
    """Gives what an utterance wants watched."""
    found = _ASKED.match(asked)
    if found is None:
        simple = _SIMPLE.match(asked)
        return Wish(None, simple["thing"] if simple is not None else "this")
    rest = found["rest"]
    if _LIGHT.match(rest):
        return Wish(Watched.LIGHT, "")
    if (number := _NUMBER.match(rest)) is not None:
        return Wish(Watched.COUNT, number["thing"])
    if (touched := _TOUCHES.match(rest)) is not None:
        return Wish(Watched.TOUCHED, touched["thing"])
    for what, pattern in _HAPPENS:
        if (end := pattern.search(rest)) is not None:
            return Wish(what, rest[: end.start()])
    return Wish(None, rest)


def told(rules: Sequence[WatchRule]) -> str:
    """Gives what is watched."""
    if not rules:
        return "I am not watching anything."
    waits = list(dict.fromkeys(watch_words.until(rule) for rule in rules))
    return f"I will tell you when {' or when '.join(waits)}."


async def _begun(asking: Asking, wish: Wish) -> str:
    eyes, words = asking.eyes, asking.transcript
    if wish.what is Watched.LIGHT:
        return await _add(asking, [WatchRule(Watched.LIGHT, words=words)])
    if wish.thing in _ANYTHING:
        return await _add(asking, [WatchRule(wish.what or Watched.MOVES, words=words)])
    kinds = ("person",) if wish.thing in _PEOPLE and "person" in eyes.names else nouns.kinds(wish.thing, eyes.names)
    if wish.what in (Watched.APPEARS, Watched.COUNT):
        if kinds:
            return await _add(asking, [WatchRule(wish.what, kind, words=words) for kind in kinds[:_KINDS]])
        why = f"I have no name for {watch_words.whose(wish.thing)}, so " if eyes.names else "I cannot name things, so "
        return await _middle(asking, Watched.MOVES, why)
    if nouns.bare(wish.thing).rpartition(" ")[2] in _SCENERY:
        return await _middle(asking, Watched.STOPS if wish.what is Watched.STOPS else Watched.MOVES, "")
    track = await _followed(asking, wish.thing)
    if isinstance(track, str):
        return track
    if track is not None:
        what = wish.what or (Watched.LEAVES if track.label in _ALIVE else Watched.TOUCHED)
        shown = wish.thing in _IT | {"this", "that"}
        label = track.label if shown else wish.thing
        guess = "" if shown or track.label else f"I take what you look at for {watch_words.whose(wish.thing)}. "
        return guess + await _add(asking, [WatchRule(what, label, track.object_id, words=words)])
    if kinds:
        what = wish.what or (Watched.LEAVES if kinds[0] in _ALIVE else Watched.MOVES)
        rules = [WatchRule(what, kind, words=words) for kind in kinds[:_KINDS]]
        return f"I do not see {watch_words.whose(wish.thing)} now. {await _add(asking, rules)}"
    return await _middle(asking, Watched.STOPS if wish.what is Watched.STOPS else Watched.MOVES, "")


async def _followed(asking: Asking, thing: str) -> Track | str | None:
    """Gives the thing, followed; what to say instead where that is refused; None where it cannot be told apart."""
    eyes = asking.eyes
    if thing in _IT and eyes.tracks:
        return eyes.tracks[-1]
    meant = asking.meant if thing in _IT else None
    if meant is not None:
        frame, box, label, mask = meant.frame, meant.box, meant.label, meant.mask
    else:
        found = await seeing.choose(asking, "this" if thing in _IT else thing)
        if found is None:
            return None
        frame, box, label, mask = found.frame, found.box, found.label, found.mask
    await asking.sure()
    prompt = SegmentPrompt(box=box) if label or mask is None else SegmentPrompt(mask=mask.bits)
    try:
        return await eyes.follow(frame, prompt, label)
    except (EngineMissing, InputError):
        return None
    except UsageError:
        return FOLLOWED_FULL


async def _middle(asking: Asking, what: Watched, why: str) -> str:
    """Watches a part of the view, and says that it is no more than that."""
    await asking.sure()
    asking.eyes.watch(WatchRule(what, zone=MIDDLE, words=asking.transcript))
    return watch_words.sentence(f"{why}I will watch what is in the middle of the view: keep it there")


async def _add(asking: Asking, rules: Sequence[WatchRule]) -> str:
    await asking.sure()
    for rule in rules:
        asking.eyes.watch(rule)
    return told(rules)


def _stopped(asking: Asking, thing: str) -> str:
    """Ends all watches, or those of one thing; what was followed only to be watched is let go with them."""
    eyes = asking.eyes
    if not eyes.watches:
        return "I am not watching anything."
    words = "" if thing in _IT | {"", "this", "that"} else nouns.bare(thing)
    ended = [number for number, rule in eyes.watches.items() if words in f"{rule.label} {rule.words}"]
    if not ended:
        return f"I am not watching {watch_words.whose(thing)}."
    objects = {eyes.watches[number].object_id for number in ended}
    for number in ended:
        eyes.unwatch(number)
    for object_id in objects - {rule.object_id for rule in eyes.watches.values()}:
        if object_id is not None:
            eyes.unfollow(object_id)
    return "I stopped watching." if not eyes.watches else f"I stopped watching {watch_words.whose(thing)}."
