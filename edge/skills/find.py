"""Finding a thing: where it is, said again as the head turns towards it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import cast

from edge.policy import choosing, directions, nouns
from edge.policy.choosing import Wanted
from edge.policy.directions import Where
from edge.skill import Asking
from edge.skills import seeing
from edge.values import Detection, VideoFrame

LIMIT_S = 20.0
"""How long it guides."""
PAUSE_NS = 2_500_000_000
"""The least media time between two directions: they take more than a second to say, and the head needs as long to turn."""
NEAR = 0.35
"""Of the picture's width: a thing that is farther from where it was is another one of the kind."""
MISSED = 3
"""Pictures in a row without the thing before it counts as out of sight: a small detector misses what it has just seen."""
COMMON = (
    "bottle | cup | glass | phone | bag | backpack | umbrella | laptop | remote | book | chair | couch | table | bed | fork"
    " | spoon | knife | bowl | clock | scissors | keyboard | mouse | dog | cat"
)


class Find:
    """Looks for a thing that the detector has a name for, and guides to it for a while."""

    name = "find"
    summary = "find things"
    phrases: Sequence[str] = (
        f"(find | look for) (my | the | a) ({COMMON})",
        f"where is my ({COMMON})",
        "help me find (my | the | a | an) {thing}",
        "(find | look for) (me | my | the | a | an) {thing}",
        "where (is | are) my {thing}",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives a direction, and another whenever it has changed, until the thing is ahead or the time is up."""
        said = asking.slots.get("thing") or _thing(asking.transcript)
        names = asking.eyes.names
        wanted = choosing.understand(said, names)
        if not wanted.kinds:
            if answer := await _unnamed(asking, said):
                yield answer
            else:
                async for piece in seeing.as_question(asking):
                    yield piece
            return
        frame = await asking.frame()
        guide = _Guide(nouns.bare(said) or wanted.kinds[0], asking.manner)
        yield guide.look(_best(await asking.eyes.things(frame), wanted, frame, guide.last), frame)
        if guide.reached:
            if guide.last is not None:
                await asking.sure()
                asking.mean(seeing.Found(frame, guide.last.box, guide.last.label).meant())
            return
        await asking.sure()
        loop = asyncio.get_running_loop()
        until = loop.time() + LIMIT_S
        async with aclosing(cast(AsyncGenerator[VideoFrame, None], asking.eyes.views())) as views:
            while (left := until - loop.time()) > 0:
                try:
                    view = await asyncio.wait_for(anext(views), left)
                except (StopAsyncIteration, TimeoutError):
                    break
                if piece := guide.look(_best(await asking.eyes.things(view), wanted, view, guide.last), view):
                    yield f" {piece}"
                if guide.reached and guide.last is not None:
                    asking.mean(seeing.Found(view, guide.last.box, guide.last.label).meant())
                    return
        yield guide.given_up


class _Guide:
    """What to say of each picture on the way to the thing."""

    def __init__(self, name: str, manner: str) -> None:
        self._name = name
        self._manner = manner
        self._said = ""
        self._said_ns: int | None = None
        self._missed = 0
        self.last: Detection | None = None
        self.reached = False
        """Whether it is straight ahead, and for a blind wearer near as well."""

    @property
    def given_up(self) -> str:
        """What is said when the time is up."""
        return "" if self.last is not None else f" I have not found the {self._name}."

    def look(self, thing: Detection | None, frame: VideoFrame) -> str:
        """Gives what is to be said of a picture, mostly nothing."""
        if thing is None:
            self._missed += 1
            if self._said_ns is None:
                return self._say(f"I don't see the {self._name}. Turn slowly, and I will tell you.", frame)
            if self.last is None or self._missed < MISSED or self._early(frame):
                return ""
            gone, self.last = self.last, None
            height, width = frame.pixels.shape[:2]
            side = "left" if gone.box.centre[0] < width / 2 else "right"
            return self._say(f"It went out of view on the {side}.", frame)
        height, width = frame.pixels.shape[:2]
        where = directions.where(thing.box, width, height, thing.label)
        new, self.last, self._missed = self.last is None, thing, 0
        self.reached = where.centred and (self._manner != "blind" or where.close or where.distance is None)
        words = self._words(where)
        if not (new or self.reached) and (words == self._said or self._early(frame)):
            return ""
        first = self._said_ns is None
        self._say(words, frame)
        if not (new and first):
            return f"{words[:1].upper()}{words[1:]}."
        guess = "I think the" if self._manner == "blind" or thing.score < seeing.PROBABLY else "The"
        return f"{guess} {self._name} is {words}."

    def _words(self, where: Where) -> str:
        return directions.said(where, self._manner)

    def _say(self, words: str, frame: VideoFrame) -> str:
        self._said, self._said_ns = words, frame.t_ns
        return words

    def _early(self, frame: VideoFrame) -> bool:
        return self._said_ns is not None and frame.t_ns - self._said_ns < PAUSE_NS


def _best(seen: Sequence[Detection], wanted: Wanted, frame: VideoFrame, before: Detection | None) -> Detection | None:
    """The surest of the kind, and of the colour where one was named; of several the one that was spoken of before."""
    fit = [
        thing
        for thing in seen
        if thing.label in wanted.kinds and (not wanted.colour or wanted.colour in seeing.colours_in(frame.pixels, thing.box))
    ]
    if before is None:
        return max(fit, key=lambda thing: thing.score, default=None)
    near = [thing for thing in fit if _apart(thing, before) < NEAR * frame.pixels.shape[1]]
    return min(near, key=lambda thing: _apart(thing, before), default=None)


def _apart(one: Detection, other: Detection) -> float:
    return math.dist(one.box.centre, other.box.centre)


def _thing(transcript: str) -> str:
    return transcript.removeprefix("where is my ").removeprefix("look for ").removeprefix("find ")


async def _unnamed(asking: Asking, said: str) -> str:
    """What is said of a thing that no detector knows: where it is written, or what is missing; nothing where it is no thing."""
    name = nouns.bare(said)
    frame = await asking.frame()
    height, width = frame.pixels.shape[:2]
    for line in (await asking.reading()).lines:
        if name and name in line.text.lower():
            place = directions.said(directions.where(line.box, width, height), asking.manner)
            return f"I can read {line.text}, {place}."
    if not asking.eyes.names:
        return seeing.NO_NAMES
    # "Find my keys" is about a thing; "find the answer to life" is a question like any other.
    return f"I cannot recognise {name}." if " my " in f" {asking.transcript}" else ""
