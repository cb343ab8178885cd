"""What the session sees beyond one picture: things with names, objects that are followed, and what is watched over.

Following takes the newest picture whenever the segmenter is free and never more than the configured number a second; pictures
that come while it is busy are left out. An object that is out of sight is looked for by the segmenter itself, which knows it,
and by the detector where the object has a name: what looks like it is taken up under the same id, and where that is not sure
the wearer is told so. The detector is also asked now and then whether what is followed still is the thing of its name.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from edge.channel import Channel, Overflow
from edge.config import Config
from edge.errors import EngineError, EngineMissing, InputError, NearsightError, UsageError
from edge.events import Event, MaskSeen, Notice, ThingsSeen, TrackChanged
from edge.policy import choosing
from edge.policy.identity import Following, Likeness
from edge.policy.witness import Witness
from edge.ports import Detector, Segmenter, Stop
from edge.runtime.lane import Lane
from edge.runtime.watching import Watching
from edge.tracks import SegmentPrompt, Track, TrackState, WatchRule
from edge.values import Box, Detection, Mask, VideoFrame

log = logging.getLogger(__name__)

NO_DETECTOR = "this profile has no detector: run nearsight models pull fastestdet"
WATCHED_PER_SECOND = 5.0
"""Pictures a second that are looked at while things are watched over and none is followed."""
TOLD_NS = 500_000_000
"""How often a followed object's mask becomes an event."""
SEARCH_NS = 500_000_000
"""How often the detector looks for what is lost."""
WITNESS_NS = 120_000_000
"""How often the detector looks whether a track still is on its thing."""
CANDIDATES = 3
"""How many things of the name are looked at in one search."""


@dataclass
class _Followed:
    """One followed object: its last track, and what decides what is told of it."""

    track: Track
    following: Following = field(default_factory=Following)
    told_ns: int = -TOLD_NS
    searched_ns: int = 0
    witness: Witness = field(default_factory=Witness)
    witnessed_ns: int = 0


class SessionEyes:
    """The ``Eyes`` of a session. A lane that is None makes what needs it raise EngineMissing.

    ``tell`` says a sentence to the wearer when the session is free to; it must not wait.
    """

    def __init__(
        self,
        config: Config,
        segmenter: Lane[Segmenter] | None,
        detector: Lane[Detector] | None,
        watching: Watching,
        *,
        emit: Callable[[Event], None],
        failed: Callable[[NearsightError], None],
        tell: Callable[[str], None],
        now_ns: Callable[[], int],
    ) -> None:
        self._limit = config.segmenter.max_objects
        self._interval = 1 / config.segmenter.frames_per_second
        self._segmenter = segmenter
        self._detector = detector
        self._watching = watching
        self._emit = emit
        self._failed = failed
        self._tell = tell
        self._now_ns = now_ns
        self._followed: dict[int, _Followed] = {}
        self._removed: set[int] = set()
        self._ids = count(1)
        self._news = asyncio.Event()
        self._views: set[Channel[VideoFrame]] = set()
        self._ended = False
        self.latest: VideoFrame | None = None
        """The newest picture."""
        self.looked: VideoFrame | None = None
        """The picture that ``tracks`` are of."""

    # -- life ----------------------------------------------------------------------------------------------------------

    def take(self, frame: VideoFrame) -> None:
        """Takes the next picture of the camera. Never waits."""
        self.latest = frame
        self._watching.take(frame)
        for view in self._views:
            view.send_nowait(frame)
        self._news.set()

    async def run(self) -> None:
        """Follows and watches until it is cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                if not (self._followed or self._removed or self._watching.rules) or self.latest is None:
                    continue
                began = loop.time()
                await self._look(self.latest)
                pace = self._interval if self._followed else 1 / WATCHED_PER_SECOND
                await asyncio.sleep(max(0.0, began + pace - loop.time()))
        finally:
            self.end()

    def end(self) -> None:
        """No picture will come any more: ends every ``views``."""
        self._ended = True
        for view in self._views:
            view.close()

    # -- what skills and the dashboard ask --------------------------------------------------------------------------------

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Everything followed."""
        return tuple(one.track for one in self._followed.values())

    @property
    def watches(self) -> Mapping[int, WatchRule]:
        """Everything watched over, by number."""
        return self._watching.rules

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that the detector knows."""
        return self._detector.engine.labels if self._detector is not None else ()

    async def things(self, frame: VideoFrame) -> tuple[Detection, ...]:
        """Gives the things in a picture that have names. Raises EngineMissing and what engines raise."""
        found = tuple(one for one in await self._things(frame) if one.sure)
        seen = tuple({"label": one.label, "score": round(one.score, 3), "box": tuple(one.box.corners())} for one in found)
        self._emit(ThingsSeen(t_ns=frame.t_ns, things=seen))
        return found

    async def cut_out(self, frame: VideoFrame, prompt: SegmentPrompt) -> Mask:
        """Gives the mask of what is meant in one picture. Raises InputError, EngineMissing and what engines raise."""
        return await self._lane().call(lambda engine, stop: engine.cut_out(frame, prompt))

    async def follow(self, frame: VideoFrame, prompt: SegmentPrompt, label: str = "") -> Track:
        """Begins to follow what is meant. Raises InputError, UsageError, EngineMissing and what engines raise."""
        if len(self._followed) >= self._limit:
            raise UsageError(f"{self._limit} objects are followed already: stop following one first")
        if self._detector is not None:
            prompt = await whole(self._lane(), self._detector, frame, prompt)
        number = next(self._ids)
        mask = await self._lane().call(lambda engine, stop: engine.add(frame, prompt, number))
        box = mask.box
        if box is None:
            self._drop([number])
            raise InputError("nothing could be told apart there")
        height, width = mask.bits.shape
        track = Track(number, label, TrackState.FOLLOWED, box, (width, height), frame.t_ns, frame.t_ns, mask)
        one = self._followed[number] = _Followed(track)
        one.following.update(frame.pixels, mask, frame.t_ns)
        self._emit(TrackChanged(t_ns=frame.t_ns, object=number, label=label, change="started"))
        self._told(one, frame)
        self._news.set()
        return track

    def unfollow(self, object_id: int | None = None) -> int:
        """Stops following one object, or all; gives how many. Watches over them end."""
        ended = [number for number in self._followed if object_id in (None, number)]
        for number in ended:
            one = self._followed.pop(number)
            self._emit(TrackChanged(t_ns=self._now_ns(), object=number, label=one.track.label, change="ended"))
            for watch, rule in list(self._watching.rules.items()):
                if rule.object_id == number:
                    self._watching.remove(watch)
        self._drop(ended)
        return len(ended)

    def watch(self, rule: WatchRule) -> int:
        """Begins to watch; gives the rule's number. Raises EngineMissing where nothing could see what it watches for."""
        if rule.object_id is None and rule.label and self._detector is None:
            raise EngineMissing(NO_DETECTOR)
        number = self._watching.add(rule)
        self._news.set()
        return number

    def unwatch(self, number: int | None = None) -> int:
        """Stops one watch, or all; gives how many."""
        return self._watching.remove(number)

    async def views(self) -> AsyncIterator[VideoFrame]:
        """Gives pictures from now on, always the newest; ends with the camera."""
        view: Channel[VideoFrame] = Channel("view", 1, Overflow.DROP_OLDEST)
        if self._ended:
            return
        self._views.add(view)
        try:
            async for frame in view:
                yield frame
        finally:
            self._views.discard(view)

    # -- following ---------------------------------------------------------------------------------------------------------

    def _lane(self) -> Lane[Segmenter]:
        if self._segmenter is None:
            raise EngineMissing("this profile has no segmenter")
        return self._segmenter

    def _drop(self, numbers: list[int]) -> None:
        self._removed.update(numbers)
        self._news.set()

    async def _look(self, frame: VideoFrame) -> None:
        """Looks at one picture. A fault ends what is followed and is told; the session goes on."""
        things: tuple[Detection, ...] | None = None
        try:
            await self._track(frame)
            if self._wants_things(frame):
                things = await self._things(frame)
            if things is not None:
                await self._search(frame, things)
                await self._correct(frame, things)
        except InputError as error:
            self._emit(Notice(t_ns=self._now_ns(), code="following", text=error.text))
            self._lose_all()
        except EngineError as error:
            self._failed(error)
            self._lose_all()
        self.looked = frame
        if self._watching.rules:
            await self._watching.look(frame, self.tracks, things)

    async def _track(self, frame: VideoFrame) -> None:
        removed, self._removed = self._removed, set()
        if self._segmenter is None or not (removed or self._followed):
            return

        def step(engine: Segmenter, stop: Stop) -> tuple[Mask, ...]:
            for number in removed:
                engine.remove(number)
            return engine.track(frame, stop) if engine.objects else ()

        for mask in await self._segmenter.call(step):
            if (one := self._followed.get(mask.object_id)) is not None:
                self._update(one, frame, mask)

    def _update(self, one: _Followed, frame: VideoFrame, mask: Mask) -> None:
        change = one.following.update(frame.pixels, mask, frame.t_ns)
        box = mask.box
        track = replace(one.track, t_ns=frame.t_ns, sure=one.following.sure, mask=None)
        if not one.following.present:
            one.track = replace(track, state=TrackState.LOST)
        elif box is None:
            one.track = replace(track, state=TrackState.FOLLOWED)
        else:
            one.track = replace(track, state=TrackState.FOLLOWED, box=box, seen_ns=frame.t_ns, mask=mask)
        self._tell_change(one, change)
        self._told(one, frame)

    def _tell_change(self, one: _Followed, change: str | None) -> None:
        if change is None:
            return
        track = one.track
        self._emit(TrackChanged(t_ns=track.t_ns, object=track.object_id, label=track.label, change=change, sure=track.sure))
        name = f"the {track.label}" if track.label else "it"
        if change == "lost":
            self._tell(f"I lost {name}.")
        elif track.sure:
            self._tell(f"I see {name} again.")
        else:
            self._tell(f"I may see {name} again, but I am not sure.")

    def _told(self, one: _Followed, frame: VideoFrame) -> None:
        track = one.track
        if frame.t_ns - one.told_ns < TOLD_NS:
            return
        one.told_ns = frame.t_ns
        self._emit(mask_seen(track, frame, (self._now_ns() - frame.t_ns) / 1e6))

    def _lose_all(self) -> None:
        if self._followed:
            self._tell("I can no longer follow.")
            self.unfollow()

    # -- finding again -----------------------------------------------------------------------------------------------------

    def _wants_things(self, frame: VideoFrame) -> bool:
        if self._detector is None:
            return False
        if any(rule.object_id is None and rule.label for rule in self._watching.rules.values()):
            return True
        return any(self._missed(one, frame) or self._witnessed(one, frame) for one in self._followed.values())

    def _witnessed(self, one: _Followed, frame: VideoFrame) -> bool:
        followed = one.track.state is TrackState.FOLLOWED and one.track.label in self.names
        return followed and frame.t_ns - one.witnessed_ns >= WITNESS_NS

    def _missed(self, one: _Followed, frame: VideoFrame) -> bool:
        lost = one.track.state is TrackState.LOST and one.track.label in self.names
        return lost and frame.t_ns - one.searched_ns >= SEARCH_NS

    async def _things(self, frame: VideoFrame) -> tuple[Detection, ...]:
        if self._detector is None:
            raise EngineMissing(NO_DETECTOR)
        return await self._detector.call(lambda engine, stop: engine.detect(frame))

    async def _search(self, frame: VideoFrame, things: tuple[Detection, ...]) -> None:
        """Takes up what is lost where a thing of its name looks like it."""
        for one in [one for one in self._followed.values() if self._missed(one, frame)]:
            one.searched_ns = frame.t_ns
            alike = [thing for thing in things if thing.sure and thing.label == one.track.label][:CANDIDATES]
            judged = [(thing, await self._judge(one, frame, thing.box)) for thing in alike]
            likely = next((found for found in judged if found[1] is Likeness.SAME), None)
            if likely is None and len(judged) == 1 and judged[0][1] is Likeness.UNSURE:
                likely = judged[0]
            if likely is not None and one.track.object_id in self._followed:
                await self._take_up(one, frame, likely[0].box, sure=likely[1] is Likeness.SAME)

    async def _correct(self, frame: VideoFrame, things: tuple[Detection, ...]) -> None:
        """Brings back to its thing a track that has slipped off it, and loses what is gone."""
        for one in [one for one in self._followed.values() if self._witnessed(one, frame)]:
            one.witnessed_ns = frame.t_ns
            alike = [thing for thing in things if thing.label == one.track.label]
            score = one.track.mask.score if one.track.mask is not None else 0.0
            word = one.witness.look(frame.t_ns, one.track.box, score, alike)
            if word == "gone":
                one.following.deny(frame.t_ns)
                one.track = replace(one.track, state=TrackState.LOST, seen_ns=one.witness.seen_ns, mask=None)
                self._tell_change(one, "lost")
            elif word is not None and await self._judge(one, frame, word.box) is not Likeness.OTHER:
                if one.track.object_id in self._followed:
                    await self._put(one, frame, word.box, sure=one.track.sure)

    async def _judge(self, one: _Followed, frame: VideoFrame, box: Box) -> Likeness:
        mask = await self.cut_out(frame, SegmentPrompt(box=box))
        return one.following.identity.judge(frame.pixels, mask) if mask.area else Likeness.OTHER

    async def _take_up(self, one: _Followed, frame: VideoFrame, box: Box, *, sure: bool) -> None:
        if await self._put(one, frame, box, sure=sure):
            self._tell_change(one, "found")

    async def _put(self, one: _Followed, frame: VideoFrame, box: Box, *, sure: bool) -> bool:
        """Follows what is in the box from now on, under the same id."""
        number = one.track.object_id
        mask = await self._lane().call(lambda engine, stop: engine.add(frame, SegmentPrompt(box=box), number))
        if (seen := mask.box) is None:
            return False
        one.following.take_up(frame.t_ns, sure=sure)
        one.track = replace(
            one.track, state=TrackState.FOLLOWED, box=seen, t_ns=frame.t_ns, seen_ns=frame.t_ns, mask=mask, sure=sure
        )
        return True


async def whole(
    segmenter: Lane[Segmenter], detector: Lane[Detector], frame: VideoFrame, prompt: SegmentPrompt
) -> SegmentPrompt:
    """Gives the prompt with the box of the thing that a single point lies on: a click on a part means all of it.

    Raises InputError and what engines raise.
    """
    if len(prompt.points) != 1 or prompt.box is not None:
        return prompt
    prompt.check(*frame.pixels.shape[:2])
    part = (await segmenter.call(lambda engine, stop: engine.cut_out(frame, prompt))).box
    if part is None:
        return prompt
    found = await detector.call(lambda engine, stop: engine.detect(frame))
    thing = choosing.whole(prompt.points[0], part, [one for one in found if one.sure])
    return replace(prompt, box=thing.box) if thing is not None else prompt


def mask_seen(track: Track, frame: VideoFrame, age_ms: float, file: str = "") -> MaskSeen:
    """Makes the event of a followed object in one picture."""
    mask = track.mask
    return MaskSeen(
        t_ns=frame.t_ns,
        frame=frame.index,
        object=track.object_id,
        label=track.label,
        state=track.state.value,
        score=round(mask.score, 3) if mask is not None else 0.0,
        box=tuple(track.box.corners()) if mask is not None else (),
        area=mask.area if mask is not None else 0,
        age_ms=round(age_ms, 1),
        file=file,
    )
