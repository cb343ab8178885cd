"""What the skills that look at things share: choosing the thing that is meant, and putting it into words."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from edge.errors import EngineMissing, InputError
from edge.policy import choosing, colours, directions, nouns, prompts
from edge.policy.choosing import Candidate, Point, Wanted
from edge.policy.pointing import fingertip
from edge.policy.watch_words import many, one
from edge.skill import Asking, Eyes, Meant
from edge.tracks import SegmentPrompt
from edge.values import Box, Detection, Mask, Message, Pixels, Prompt, Reading, VideoFrame

NO_NAMES = "I cannot name things without a detector. To add one, run: nearsight models pull fastestdet."
NO_SIGHT = "For more I need a vision model. To add one, run: nearsight models pull smolvlm2-500m."
NO_OUTLINES = "I cannot follow anything: this profile has no segmenter."
NOTHING = "I cannot tell anything apart there."
PROBABLY = 0.65
"""A detector's score below which a name is worded as a guess."""
_CORE = 0.6
"""Of a box's sides: where a thing fills its box, when nothing has cut it out."""
_ALOUD = 12
"""Words of the text on a thing that are said."""


@dataclass(frozen=True, slots=True)
class Found:
    """The thing that a question is about."""

    frame: VideoFrame
    box: Box
    label: str = ""
    score: float = 1.0
    mask: Mask | None = None
    sure: bool = True
    """Whether nothing else could be meant."""

    @property
    def where(self) -> directions.Where:
        """Where it is."""
        height, width = self.frame.pixels.shape[:2]
        return directions.where(self.box, width, height, self.label)

    @property
    def colours(self) -> tuple[str, ...]:
        """Its one or two main colours."""
        if self.mask is not None and self.mask.area:
            return colours.main(colours.shares(self.frame.pixels, self.mask.bits))
        return colours_in(self.frame.pixels, self.box)

    def meant(self, passed_over: Sequence[Box] = ()) -> Meant:
        """What is remembered of it for the next question."""
        return Meant(self.frame, self.box, self.label, self.mask, tuple(passed_over))


async def things(eyes: Eyes, frame: VideoFrame) -> tuple[Detection, ...] | None:
    """Gives the things that have names; None where there is no detector."""
    try:
        return await eyes.things(frame)
    except EngineMissing:
        return None


async def choose(asking: Asking, words: str, earlier: Meant | None = None) -> Found | None:
    """Gives what the words mean in the turn's picture, or in that of what was meant ``earlier``; None where nothing fits.

    What no detector names can still be meant by looking at it: it is cut out where the wearer looks. Raises NoView.
    """
    frame = earlier.frame if earlier is not None else await asking.frame()
    seen = await things(asking.eyes, frame)
    wanted = choosing.understand(words, asking.eyes.names)
    height, width = frame.pixels.shape[:2]
    point = fingertip(frame.pixels) if "point" in words or "finger" in words else None
    choice = choosing.choose(
        candidates(frame, seen or (), wanted),
        wanted,
        width,
        height,
        point,
        earlier.box if earlier is not None else None,
        earlier.passed_over if earlier is not None else (),
    )
    if choice is not None:
        best = choice.candidate
        mask = await cut_out(asking.eyes, frame, SegmentPrompt(box=best.box))
        return Found(frame, best.box, best.label, best.score, mask, choice.sure and point is None)
    if wanted.relation is None and (wanted.open or wanted.place is choosing.Place.MIDDLE):
        return await _looked_at(asking, frame, point or (width / 2, height / 2))
    return None


def candidates(frame: VideoFrame, seen: Sequence[Detection], wanted: Wanted) -> list[Candidate]:
    """Gives the things to choose from; their colours are looked at only where a colour is wanted."""
    return [
        Candidate(thing.box, thing.label, thing.score, colours_in(frame.pixels, thing.box) if wanted.colour else ())
        for thing in seen
    ]


async def cut_out(eyes: Eyes, frame: VideoFrame, prompt: SegmentPrompt) -> Mask | None:
    """Gives the mask of what is meant; None where there is no segmenter, or it can tell nothing apart."""
    try:
        mask = await eyes.cut_out(frame, prompt)
    except (EngineMissing, InputError):
        return None
    return mask if mask.area else None


def colours_in(pixels: Pixels, box: Box) -> tuple[str, ...]:
    """Gives the main colours of the middle of a box."""
    x, y = box.centre
    wide, high = box.width * _CORE / 2, box.height * _CORE / 2
    part: NDArray[np.uint8] = pixels[
        max(0, int(y - high)) : max(1, int(y + high) + 1), max(0, int(x - wide)) : max(1, int(x + wide) + 1)
    ]
    return colours.main(colours.shares(part))


async def _looked_at(asking: Asking, frame: VideoFrame, point: Point) -> Found | None:
    mask = await cut_out(asking.eyes, frame, SegmentPrompt(points=(point,)))
    box = mask.box if mask is not None else None
    if box is None:
        return None
    height, width = frame.pixels.shape[:2]
    # A mask of nearly everything is the room, not a thing in it.
    whole = (box.x1 - box.x0) * (box.y1 - box.y0) > 0.9 * height * width
    return None if whole else Found(frame, box, "", 1.0, mask)


# -- words -------------------------------------------------------------------------------------------------------------------


def named(found: Found, manner: str) -> str:
    """Gives a sentence that names a thing by its detector's name and its colours, a guess where it is one."""
    name = nouns.spoken(found.label)
    # What is said of people is theirs to say; and an orange orange tells nothing.
    tint = () if name == "person" or name in found.colours else found.colours
    guess = not found.sure or found.score < PROBABLY
    if manner == "blind":
        mostly = f", mostly {nouns.listed(tint)}" if tint else ""
        return f"{'I think it is' if guess else 'It is'} {one(name)}{mostly}, {directions.said(found.where, manner)}."
    return f"{'I think it is' if guess else 'It is'} {one(f'{tint[0]} {name}' if len(tint) == 1 else name)}."


def nameless(found: Found, manner: str, text: str = "") -> str:
    """Gives what can be said of a thing without a name: its colours, the words on it, where it is."""
    tint = nouns.listed(found.colours) if found.colours else "no colour that I can tell"
    says = f", and it says: {text}" if text else ""
    place = f" It is {directions.said(found.where, manner)}." if manner == "blind" else ""
    return f"I have no name for it. It is mostly {tint}{says}.{place}"


def grouped(seen: Sequence[Detection]) -> list[str]:
    """Gives "two people", "a dog": the things by their names, most frequent first."""
    counts: dict[str, int] = {}
    for thing in seen:
        counts[thing.label] = counts.get(thing.label, 0) + 1
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    return [one(nouns.spoken(label)) if count == 1 else many(count, nouns.spoken(label)) for label, count in ranked]


def text_on(reading: Reading, box: Box) -> str:
    """Gives the first words of the text whose middle lies in a box, in reading order."""
    inside = [
        line.text for line in reading.lines if box.x0 <= line.box.centre[0] < box.x1 and box.y0 <= line.box.centre[1] < box.y1
    ]
    return shortened(" ".join(inside))


def shortened(text: str, words: int = _ALOUD) -> str:
    """Gives the first words of a text."""
    parts = text.split()
    return " ".join(parts[:words]) + (" and so on" if len(parts) > words else "")


def advice(asking: Asking, *, named: bool) -> str:
    """Gives what the assistant lacks and the command that adds it, a space before; once a conversation is enough."""
    said = NO_SIGHT if named else NO_NAMES
    told = any(said in (exchange.answer or exchange.heard) for exchange in asking.history)
    return "" if told else f" {said}"


# -- other minds -------------------------------------------------------------------------------------------------------------


async def seen_by_model(asking: Asking, question: str, box: Box | None = None) -> AsyncGenerator[str, None]:
    """Gives the vision model's answer, piece by piece; nothing at all where there is none. Raises NoView."""
    request = Prompt((*prompts.view_opening(), Message("user", question)), max_tokens=80, stop=("\n",))
    try:
        async with aclosing(cast(AsyncGenerator[str, None], asking.look(request, box))) as pieces:
            async for piece in pieces:
                yield piece
    except EngineMissing:
        return


async def as_question(asking: Asking) -> AsyncIterator[str]:
    """Gives the answer of the skill for free questions: the phrase fitted, the question was none of this skill's."""
    for skill in asking.skills:
        if skill.name == "ask":
            async for piece in skill.answer(asking):
                yield piece
            return
    yield "I don't know."
