"""What is to be seen: by the vision model where there is one, else by names, words, light and colours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from edge.policy import directions, nouns
from edge.policy.watch_words import one
from edge.skill import Asking
from edge.skills import seeing
from edge.values import Detection, SceneFacts, VideoFrame

_ASKED = {
    "plain": "Describe what is in this picture in two short sentences.",
    "blind": (
        "Describe this picture to a blind person in three short sentences: what is there, where it is, and anything to watch "
        "out for. Say 'I think' where you are not sure."
    ),
}
DARK, DIM, BRIGHT = 0.06, 0.2, 0.65
"""Mean luma up to which a picture is dark or dim, and from which it is bright."""
NAMED = 4
"""The most things that are placed one by one."""


class Describe:
    """Describes the scene."""

    name = "describe"
    summary = "describe what is in front of you"
    phrases: Sequence[str] = (
        "describe [to me] (this | that | it | the scene | the view | the room | the picture | my surroundings | what you see)",
        "what (do | can) you see [here | there | now]",
        "what is (around me | going on here | going on | happening here | happening)",
        "tell me what you see",
        "look around",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives two or three sentences, and without a vision model what it cannot do. Raises NoView."""
        frame = await asking.frame()
        described = False
        async for piece in seeing.seen_by_model(asking, _ASKED[asking.manner]):
            described = True
            yield piece
        if described:
            return
        facts = await asking.scene()
        if facts.brightness < DARK:
            yield "It is too dark to see anything."
            return
        seen = await seeing.things(asking.eyes, frame)
        if seen:
            yield f"{placed(seen, frame, asking.manner)} "
        text = (await asking.reading()).text
        if text:
            yield f"I can read: {seeing.shortened(text)}. "
        yield lit(facts) + seeing.advice(asking, named=seen is not None)


def placed(seen: Sequence[Detection], frame: VideoFrame, manner: str) -> str:
    """Gives the things: counted, or for a blind wearer the largest one by one with where they are."""
    if manner != "blind":
        return f"I see {nouns.listed(seeing.grouped(seen))}."
    height, width = frame.pixels.shape[:2]
    largest = sorted(seen, key=lambda thing: -thing.box.width * thing.box.height)
    said = [
        f"{one(nouns.spoken(thing.label))}, {directions.said(directions.where(thing.box, width, height, thing.label), manner)}"
        for thing in largest[:NAMED]
    ]
    rest = seeing.grouped(largest[NAMED:])
    return f"I think there is {'; '.join(said)}{f'; and further {nouns.listed(rest)}' if rest else ''}."


def lit(facts: SceneFacts) -> str:
    """Gives a sentence about light and colours."""
    light = "dim" if facts.brightness < DIM else "bright" if facts.brightness >= BRIGHT else "lit"
    names = [name for name, _ in facts.colours[:2]]
    return f"It is {light}, mostly {nouns.listed(names)}." if names else f"It is {light}."
