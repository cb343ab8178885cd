"""The live picture of a wearer: what the camera sees now, with what is followed in it, and the clicks on it.

Pages ask for it, as often as they can show it: one that lags, or that nobody looks at, costs nothing, where pictures sent
unasked would wait in the network in front of everything else.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from edge.errors import EngineError, NoView, UsageError
from edge.policy.choosing import alike
from edge.ports import Stop
from edge.runtime.lane import Lane
from edge.runtime.session import Session
from edge.studio.commands import Arguments
from edge.studio.overlay import Overlay, track_overlay
from edge.studio.picture import MAX_SIDE, Coder
from edge.tracks import SegmentPrompt, Track, WatchRule
from edge.values import Box, VideoFrame

log = logging.getLogger(__name__)

SHOWN = 4
"""Pictures that are kept because a page may yet be clicked on them."""
MAX_LABEL = 60
"""Characters."""


class Live:
    """Shows one session's camera to its pages. All methods belong to the loop's thread."""

    def __init__(self, session: Session, coder: Lane[Coder]) -> None:
        self._session = session
        self._coder = coder
        self._shown: OrderedDict[str, VideoFrame] = OrderedDict()
        self._coded: tuple[tuple[object, ...], str, list[Overlay]] | None = None

    async def look(self, given: Arguments) -> Mapping[str, Any]:
        """Gives ``tracks``, ``watches`` and, unless it is the one that the page has (``after``), ``picture``."""
        eyes = self._session.eyes
        tracks = eyes.tracks
        told = {
            "tracks": [_track(track) for track in tracks],
            "watches": [_watch(number, rule) for number, rule in eyes.watches.items()],
        }
        frame = eyes.looked if tracks and eyes.looked is not None else eyes.latest
        if frame is None:
            return {**told, "picture": None}
        key = f"{frame.index}-{frame.t_ns}-{'-'.join(str(track.object_id) for track in tracks)}"
        if key == given.text("after", default=""):
            return {**told, "age_ms": self._age(frame)}
        jpeg, overlays = await self._code(frame, tracks)
        self._shown[key] = frame
        while len(self._shown) > SHOWN:
            self._shown.popitem(last=False)
        height, width = frame.pixels.shape[:2]
        picture = {
            "key": key,
            "index": frame.index,
            "t_ms": round(frame.t_ns / 1e6, 1),
            "width": width,
            "height": height,
            "jpeg": jpeg,
            "overlays": overlays,
        }
        return {**told, "age_ms": self._age(frame), "picture": picture}

    async def follow(self, given: Arguments) -> Mapping[str, Any]:
        """Follows what was clicked (``x``, ``y``) or dragged over (``x0`` to ``y1``), in shares of the ``picture`` shown.

        Without a ``label`` it is called what the detector, where there is one, calls the thing there. Raises UsageError,
        NoView, InputError, EngineMissing and what engines raise.
        """
        frame = self._clicked(given.text("picture", default=""))
        height, width = frame.pixels.shape[:2]
        if given.has("x0"):
            x0, y0, x1, y1 = (given.number(key, 0, 1) for key in ("x0", "y0", "x1", "y1"))
            prompt = SegmentPrompt(box=Box(x0 * width, y0 * height, x1 * width, y1 * height))
        else:
            x, y = given.number("x", 0, 1), given.number("y", 0, 1)
            prompt = SegmentPrompt(points=((min(x * width, width - 1), min(y * height, height - 1)),))
        prompt.check(height, width)
        label = given.text("label", MAX_LABEL, default="") or await self._name(frame, prompt)
        track = await self._session.eyes.follow(frame, prompt, label)
        return {"object": track.object_id, "label": label}

    async def _name(self, frame: VideoFrame, prompt: SegmentPrompt) -> str:
        """What the detector calls the thing: of the boxes that fit, the smallest. It is followed without a name too."""
        eyes = self._session.eyes
        if not eyes.names:
            return ""
        try:
            things = await eyes.things(frame)
        except EngineError as error:
            log.info("the thing has no name: %s", error.text)
            return ""
        fits = [thing for thing in things if _fits(thing.box, prompt)]
        return min(fits, key=lambda thing: thing.box.width * thing.box.height).label if fits else ""

    def unfollow(self, given: Arguments) -> Mapping[str, Any]:
        """Stops following the object ``id``."""
        return {"stopped": self._session.eyes.unfollow(_number(given))}

    def unwatch(self, given: Arguments) -> Mapping[str, Any]:
        """Ends the watch ``id``."""
        return {"stopped": self._session.eyes.unwatch(_number(given))}

    def _clicked(self, key: str) -> VideoFrame:
        """The picture that the page showed; never one before what the segmenter has seen: it cannot go back."""
        eyes = self._session.eyes
        shown = self._shown.get(key, eyes.latest)
        if shown is None:
            raise NoView("no picture has come from the camera")
        newest = eyes.looked if eyes.tracks else None
        return newest if newest is not None and newest.t_ns > shown.t_ns else shown

    async def _code(self, frame: VideoFrame, tracks: tuple[Track, ...]) -> tuple[str, list[Overlay]]:
        """Codes a picture once, however many pages look."""
        of = (frame, *tracks)
        if self._coded is not None and len(self._coded[0]) == len(of):
            if all(old is new for old, new in zip(self._coded[0], of, strict=True)):
                return self._coded[1:]

        def work(coder: Coder, stop: Stop) -> tuple[str, list[Overlay]]:
            return coder.code(frame, stop), [track_overlay(track, MAX_SIDE) for track in tracks]

        jpeg, overlays = await self._coder.call(work)
        self._coded = (of, jpeg, overlays)
        return jpeg, overlays

    def _age(self, frame: VideoFrame) -> float:
        return round((self._session.now_ns() - frame.t_ns) / 1e6, 1)


def _fits(box: Box, prompt: SegmentPrompt) -> bool:
    if prompt.box is not None:
        return alike(box, prompt.box)
    return all(box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1 for x, y in prompt.points)


def _number(given: Arguments) -> int:
    number = given.number("id", 1, 1e9)
    if number != int(number):
        raise UsageError("id: must be a whole number")
    return int(number)


def _track(track: Track) -> Mapping[str, Any]:
    return {
        "id": track.object_id,
        "label": track.label,
        "state": track.state.value,
        "sure": track.sure,
        "unseen_ms": round((track.t_ns - track.seen_ns) / 1e6),
    }


def _watch(number: int, rule: WatchRule) -> Mapping[str, Any]:
    return {"id": number, "what": rule.what.value, "label": rule.label, "words": rule.words, "object": rule.object_id}
