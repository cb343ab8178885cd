"""What a thing is: the one that the wearer looks at, points at, or says a word about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from edge.policy.choosing import grown
from edge.skill import Asking, Meant
from edge.skills import seeing
from edge.skills.seeing import Found

_PLACES = "left | right | top | bottom | middle | biggest | smallest | nearest"
_MARGIN = 0.15
"""Of a thing's sides: what is round it tells what it is."""


class WhatIsThis:
    """Names a thing, or says what can be said of it, and remembers it for a correction ("no, the one behind it")."""

    name = "what_is_this"
    summary = "say what something is"
    phrases: Sequence[str] = (
        "what is (this | that) [thing | object]",
        "what (are these | are those)",
        "what am i (looking | pointing) at",
        "what am i holding",
        "what is (in my hand | in front of me)",
        "what do i (have | hold) in my hand",
        f"what is the ({_PLACES}) (one | thing | object)",
        "what is the (thing | object | one) (on the | to the | to my | on my) (left | right)",
        "what is (on the | to my | on my) (left | right)",
        "what is the (red | green | blue | yellow | white | black | orange | brown | pink | purple) (one | thing | object)",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives one or two sentences. Raises NoView."""
        found = await seeing.choose(asking, asking.transcript)
        if found is None:
            async for piece in _unfound(asking):
                yield piece
            return
        async for piece in described(asking, found):
            yield piece
        await asking.sure()
        asking.mean(found.meant())


async def _unfound(asking: Asking) -> AsyncIterator[str]:
    """Gives what can be said where nothing can be told apart: the vision model's answer, else the text there is."""
    said = False
    async for piece in seeing.seen_by_model(asking, f"{asking.transcript}? Answer in one short sentence."):
        said = True
        yield piece
    if said:
        return
    text = (await asking.reading()).text
    yield f"{seeing.NOTHING}{f' I can read: {seeing.shortened(text)}.' if text else ''}"
    if not asking.eyes.names:
        yield seeing.advice(asking, named=False)


async def described(asking: Asking, found: Found, earlier: Meant | None = None) -> AsyncIterator[str]:
    """Gives what a thing is: by the vision model, else by its name, else by its colours and the words on it."""
    if found.label:
        yield seeing.named(found, asking.manner)
        return
    height, width = found.frame.pixels.shape[:2]
    said = False
    if earlier is None:  # the vision model sees the turn's picture; a correction is about an earlier one
        question = "What is the thing in the middle of the smaller picture? Answer in one short sentence."
        async for piece in seeing.seen_by_model(asking, question, grown(found.box, _MARGIN, width, height)):
            said = True
            yield piece
    if said:
        return
    text = seeing.text_on(await asking.reading(), found.box) if earlier is None else ""
    yield seeing.nameless(found, asking.manner, text) + seeing.advice(asking, named=bool(asking.eyes.names))
