"""Following a thing from picture to picture, and no longer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from edge.errors import EngineMissing, InputError, UsageError
from edge.policy import directions, nouns
from edge.skill import Asking
from edge.skills import seeing
from edge.tracks import SegmentPrompt, Track, TrackState


class Follow:
    """Follows what is looked at or named, says what is followed, and stops."""

    name = "follow"
    summary = "follow a thing"
    phrases: Sequence[str] = (
        "(follow | track) (this | that | it | him | her | them) [for me | please]",
        "(follow | track) (this | that | the) (one | thing | person | man | woman | child | dog | cat | car | bus | ball)",
        "stop (following | tracking) [it | this | that | him | her | them | me | everything | all]",
        "what are you (following | tracking)",
        "are you [still] (following | tracking) [it | anything]",
        "where is it now",
        "(follow | track) (the | my | that | this) {thing}",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives one or two sentences."""
        asked = asking.transcript.split()
        if asked[:1] == ["stop"]:
            await asking.sure()
            gone = asking.eyes.unfollow()
            yield "I stopped following." if gone else "I am not following anything."
        elif asked[:1] not in (["follow"], ["track"]):
            yield told(asking.eyes.tracks, asking.manner)
        else:
            yield await _begun(asking)


def told(tracks: Sequence[Track], manner: str) -> str:
    """Gives what is followed and where each is."""
    if not tracks:
        return "I am not following anything."
    return " ".join(_one(track, manner) for track in tracks)


def _one(track: Track, manner: str) -> str:
    name = f"the {nouns.spoken(track.label)}" if track.label else "what you showed me"
    if track.state is TrackState.LOST:
        return f"I have lost {name}."
    place = directions.said(directions.where(track.box, *track.size, track.label), manner)
    return f"I am following {name}, {place}." if track.sure else f"I am following {name}, {place}, but it may be another one."


async def _begun(asking: Asking) -> str:
    words = asking.slots.get("thing") or " ".join(word for word in asking.transcript.split() if word not in ("follow", "track"))
    found = await seeing.choose(asking, words)
    if found is None:
        kinds = nouns.kinds(words, asking.eyes.names)
        return f"I see no {nouns.spoken(kinds[0])}." if kinds else seeing.NOTHING
    await asking.sure()
    prompt = SegmentPrompt(box=found.box) if found.label or found.mask is None else SegmentPrompt(mask=found.mask.bits)
    try:
        track = await asking.eyes.follow(found.frame, prompt, found.label)
    except EngineMissing:
        return seeing.NO_OUTLINES
    except InputError:
        return seeing.NOTHING
    except UsageError:
        return "I am following as much as I can. Say, stop following, first."
    asking.mean(found.meant())
    name = f"the {nouns.spoken(track.label)}" if track.label else "it"
    return f"I am following {name}."
