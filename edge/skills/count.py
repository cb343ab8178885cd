"""How many there are of a kind of thing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from edge.policy import nouns
from edge.policy.watch_words import many, plural
from edge.skill import Asking
from edge.skills import seeing

COMMON = "people | persons | cars | chairs | bottles | cups | books | dogs | birds | bicycles | apples | oranges | bananas"
MANY = 6
"""From so many on a small detector has surely missed some: they hide each other."""


class Count:
    """Counts the things of a name."""

    name = "count"
    summary = "count people and things"
    phrases: Sequence[str] = (
        f"how many ({COMMON}) [are there | are here | do you see | can you see | are in front of me]",
        f"count the ({COMMON})",
        "how many {things} (are there | are here | do you see | can you see | are in front of me)",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives one sentence; a question about what no detector counts goes to the free questions."""
        said = asking.slots.get("things") or asking.transcript.removeprefix("how many ").removeprefix("count the ")
        said = " ".join(said.split(" are ")[0].split(" do ")[0].split(" can ")[0].split()[:4])
        kinds = nouns.kinds(said, asking.eyes.names)
        if not kinds:
            # Without any detector "how many people" has no answer either, unless a vision model sees them.
            if asking.eyes.names or "things" in asking.slots:
                async for piece in seeing.as_question(asking):
                    yield piece
                return
            counted = False
            async for piece in seeing.seen_by_model(
                asking, f"{asking.transcript}? Answer with a number in one short sentence."
            ):
                counted = True
                yield piece
            if not counted:
                yield seeing.NO_NAMES
            return
        frame = await asking.frame()
        seen = [thing for thing in await seeing.things(asking.eyes, frame) or () if thing.label in kinds]
        name = nouns.spoken(kinds[0]) if len(kinds) == 1 else nouns.bare(said)
        if not seen:
            yield f"I see no {plural(name) if len(kinds) == 1 else name}."
            return
        unsure = asking.manner == "blind" or any(thing.score < seeing.PROBABLY for thing in seen)
        number = " and ".join(seeing.grouped(seen)) if len(kinds) > 1 else many(len(seen), name)
        more = ", perhaps more" if len(seen) >= MANY else ""
        yield f"I {'think I ' if unsure else ''}see {number}{more}."
