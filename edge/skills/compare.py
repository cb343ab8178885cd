"""What has changed since before: things with names, light, and places that look different."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Sequence

from edge.errors import EngineMissing
from edge.policy import changes, directions, nouns
from edge.policy.changes import Changes
from edge.policy.watch_words import many, one
from edge.skill import Asking, Meant
from edge.skills import seeing
from edge.values import Box, Detection, VideoFrame

VIEW = "view"
"""The label of a remembered view: what is meant is all of it."""
KEPT = "I will remember this view. Ask me what has changed."
BRIGHTER = 0.1
"""Of mean luma, from which a change of light is worth a word."""
LINES = 3
"""The most lines of text that are read out."""
LEGIBLE = 0.8
"""A reader's confidence from which a line counts."""
ALIKE = 0.7
"""How alike two lines are that are one line, read twice."""
PLACES = 3
"""The most changed places that are named."""


class Compare:
    """Compares the view with the one that was remembered, or with that of the last question about a thing."""

    name = "compare"
    summary = "tell what has changed"
    phrases: Sequence[str] = (
        "what (has changed | changed | is different) [here | now]",
        "has (anything | something) (changed | moved)",
        "is (anything | something) (different | missing | new) [here]",
        "compare [this | it] with before",
        "(remember | memorize) (this | the) (view | place | room | table | shelf)",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives a sentence for each kind of change. Raises NoView."""
        frame = await asking.frame()
        before = asking.meant
        if asking.transcript.startswith(("remember", "memorize")):
            yield KEPT
        elif before is None:
            yield f"I have nothing to compare it with. {KEPT}"
        else:
            said = [piece async for piece in _compared(asking, before.frame, frame)]
            yield " ".join(said) if said else "I see no change."
        await asking.sure()
        height, width = frame.pixels.shape[:2]
        asking.mean(Meant(frame, Box(0.0, 0.0, float(width), float(height)), VIEW))


async def _compared(asking: Asking, before: VideoFrame, now: VideoFrame) -> AsyncIterator[str]:
    found = changes.compare(before.pixels, now.pixels)
    if not found.same_view:
        yield "This is another view, so I compare only what I can name."
    was, seen = await seeing.things(asking.eyes, before), await seeing.things(asking.eyes, now)
    if was is not None and seen is not None:
        for sentence in things_changed(was, seen):
            yield sentence
    elif not found.same_view:
        yield seeing.NO_NAMES
    for sentence in text_changed(await _lines(asking, before), await _lines(asking, now)):
        yield sentence
    if abs(found.brighter) >= BRIGHTER:
        yield f"It is {'brighter' if found.brighter > 0 else 'darker'}."
    for sentence in regions_changed(found, now, asking.manner, (*(was or ()), *(seen or ()))):
        yield sentence


def things_changed(was: Sequence[Detection], seen: Sequence[Detection]) -> list[str]:
    """Gives what has come and gone among the things with names, as guesses: a detector overlooks things."""
    come, gone = changes.counted([thing.label for thing in was], [thing.label for thing in seen])
    said = []
    if come:
        said.append(f"I think {_counted(come)} {'is' if len(come) == 1 and come[0][1] == 1 else 'are'} new.")
    if gone:
        said.append(f"I no longer see {_counted(gone)}.")
    return said


async def _lines(asking: Asking, frame: VideoFrame) -> Sequence[str]:
    try:
        reading = await asking.reading(frame)
    except EngineMissing:
        return ()
    return [line.text for line in reading.lines if line.confidence >= LEGIBLE]


def text_changed(was: Sequence[str], seen: Sequence[str]) -> list[str]:
    """Gives what is written now and was not, and the reverse; lines that are nearly alike are one line, read twice."""
    come, gone = _missing(seen, was), _missing(was, seen)
    said = []
    if come:
        said.append(f"Now it says: {'. '.join(come[:LINES])}.")
    if gone:
        said.append(f"It no longer says: {'. '.join(gone[:LINES])}.")
    return said


def _missing(lines: Sequence[str], among: Sequence[str]) -> list[str]:
    known = [line.lower() for line in among]
    return [line.rstrip(".") for line in lines if not difflib.get_close_matches(line.lower(), known, n=1, cutoff=ALIKE)]


def regions_changed(found: Changes, frame: VideoFrame, manner: str, named: Sequence[Detection]) -> list[str]:
    """Gives where the picture looks different, but for what has been named already."""
    height, width = frame.pixels.shape[:2]
    places = []
    for box in found.regions:
        x, y = box.centre
        if not any(thing.box.x0 <= x < thing.box.x1 and thing.box.y0 <= y < thing.box.y1 for thing in named):
            places.append(directions.direction(directions.where(box, width, height), manner))
    chosen = list(dict.fromkeys(places))[:PLACES]
    return [f"Something looks different {nouns.listed(chosen)}."] if chosen else []


def _counted(found: Sequence[tuple[str, int]]) -> str:
    return nouns.listed(one(nouns.spoken(label)) if count == 1 else many(count, nouns.spoken(label)) for label, count in found)
