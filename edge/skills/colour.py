"""What colour a thing has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from edge.policy import choosing, nouns
from edge.skill import Asking
from edge.skills import seeing
from edge.values import Box

DARK = 0.08
"""Mean luma below which colours cannot be told: everything is dark brown or black."""


class Colour:
    """Tells the colours of the thing that is looked at or named, cut out of what is round it."""

    name = "colour"
    summary = "tell colours"
    phrases: Sequence[str] = (
        "what (color | colour) is (it | this | that | this one | that one)",
        "what (color | colour) are (these | those | they)",
        "which (color | colour) is (this | that | it)",
        "tell me the (color | colour) [of this | of that | of it]",
        "what (color | colour) (is | are) (the | my | this | that | these) {thing}",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives one sentence. Raises NoView."""
        frame = await asking.frame()
        if (await asking.scene()).brightness < DARK:
            yield "It is too dark to tell colours."
            return
        thing = asking.slots.get("thing", "")
        kinds = nouns.kinds(thing, asking.eyes.names)
        found = await seeing.choose(asking, thing if kinds else asking.transcript if not thing else "")
        if found is None and kinds:
            yield f"I see no {nouns.bare(thing)}."
            return
        # Without a segmenter the middle of the view stands for the thing.
        height, width = frame.pixels.shape[:2]
        middle = choosing.grown(Box(width / 2, height / 2, width / 2 + 1, height / 2 + 1), width / 16, width, height)
        tint = found.colours if found is not None else seeing.colours_in(frame.pixels, middle)
        hedge = "I think it is" if asking.manner == "blind" or found is None or not found.sure else "It is"
        # A word that no detector knows ("this shirt") cannot be checked: what the wearer looks at is answered for.
        yield f"{hedge} {'mostly ' if len(tint) == 1 else ''}{nouns.listed(tint)}."
        if found is not None:
            await asking.sure()
            asking.mean(found.meant())
