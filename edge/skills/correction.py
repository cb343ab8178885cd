"""No, the other one: a correction of what the last question was taken to mean, answered from the same picture."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from edge.policy import choosing
from edge.skill import Act, Asking
from edge.skills import seeing
from edge.skills.what_is_this import described

NOT_KNOWN = "I don't know which one you mean. Look at it and ask, what is this."
_REST = "behind | in front of | next to | beside | above | below | under | to the left of | to the right of"
_COLOURS = "red | green | blue | yellow | white | black | orange | brown | pink | purple | grey"


class Correction:
    """Moves from what was taken for the thing to another of the same picture; what was passed over is not offered again."""

    name = "correction"
    summary = "look at another thing when I took the wrong one"
    phrases: Sequence[str] = (
        "[no] [i mean | i meant] the (other | next | bigger | smaller | larger) one",
        f"[no] [i mean | i meant] the one ({_REST}) (it | that | this)",
        "[no] [i mean | i meant] the one (on the | to the) (left | right)",
        f"[no] [i mean | i meant] the ({_COLOURS}) one",
        "[no] (not that one | not this one | not that | another one)",
        "no i (mean | meant) the {thing}",
        "no the {thing}",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives what the other thing is, or asks back where nothing was meant before or nothing else fits."""
        earlier = asking.meant
        words = asking.transcript.removeprefix("no ")
        wanted = choosing.understand(words, asking.eyes.names)
        if asking.slots and (earlier is None or wanted.open):
            async for piece in seeing.as_question(asking):
                yield piece
            return
        if earlier is None:
            yield NOT_KNOWN
            return
        if wanted.relation is None:
            words = f"not this {words}"  # whatever else is said of it, it is another one than was taken
        found = await seeing.choose(asking, words, earlier)
        if found is None:
            missing = await seeing.things(asking.eyes, earlier.frame) is None
            yield seeing.NO_NAMES if missing else "I see no other one like that. Look at it and ask again."
            await asking.sure()
            asking.act(Act.LISTEN_ON)
            return
        async for piece in described(asking, found, earlier):
            yield piece
        await asking.sure()
        asking.mean(found.meant((*earlier.passed_over, earlier.box)))
