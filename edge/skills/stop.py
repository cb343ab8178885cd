"""Silence, at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from edge.skill import Act, Asking


class Stop:
    """Falls silent and says nothing about it: a wearer who wants quiet does not want to be told so."""

    name = "stop"
    summary = "fall silent when you say stop"
    phrases: Sequence[str] = (
        "stop [it | that | talking | speaking | reading]",
        "[be] quiet",
        "shut up",
        "cancel [it | that]",
        "never mind",
        "[that is | that's] enough",
    )
    urgent = True

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives nothing."""
        await asking.sure()
        asking.act(Act.STOP)
        nothing: tuple[str, ...] = ()
        for word in nothing:
            yield word
