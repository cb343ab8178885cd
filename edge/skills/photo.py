"""A picture, kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from edge.skill import Act, Asking


class Photo:
    """Keeps the sharpest frame around the request in the session bundle."""

    name = "photo"
    summary = "take a photo"
    phrases: Sequence[str] = (
        "(take | make | snap | shoot) (a | another) (photo | picture) [of (this | that | it)]",
        "(take | keep | save) (this | that | the) (photo | picture)",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives the confirmation. The frame is looked for at once, and kept only when the wearer has surely finished."""
        frame = await asking.frame()
        await asking.sure()
        kept = await asking.keep(frame)
        asking.act(Act.SHUTTER)
        yield "Photo saved." if kept else "Photo taken, but nothing is being recorded."
