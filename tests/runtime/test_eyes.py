"""What a session follows, names and finds again, with scripted eyes and drawn pictures."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from edge.errors import EngineFailed, EngineMissing, InputError, UsageError
from edge.events import Failed, MaskSeen, Notice, ThingsSeen, TrackChanged
from edge.runtime.engines import Engines
from edge.runtime.lane import Lane
from edge.runtime.virtual import VirtualLoop
from edge.tracks import SegmentPrompt, TrackState, Watched, WatchRule
from edge.values import Box, Detection, Pixels, VideoFrame
from models.fakes_sight import FakeDetector, FakeSegmenter
from tests.runtime.stage import Stage, play

RED, GREEN = (0, 0, 255), (0, 255, 0)
ON_RED = SegmentPrompt(points=((50.0, 50.0),))


def view(*blocks: tuple[tuple[int, int, int], int, int], size: tuple[int, int] = (240, 320)) -> Pixels:
    """Draws blocks of 40 pixels, each a colour and the x and y of its corner."""
    pixels = np.full((*size, 3), 90, np.uint8)
    for colour, x, y in blocks:
        pixels[y : y + 40, x : x + 40] = colour
    return pixels


@asynccontextmanager
async def looking(
    segmenter: FakeSegmenter | None = None, detector: FakeDetector | None = None
) -> AsyncIterator[tuple[Stage, FakeSegmenter]]:
    eyes = segmenter or FakeSegmenter()

    def engines(built: Engines) -> Engines:
        seeing = dataclasses.replace(built, segmenter=Lane("segmenter", lambda: eyes))
        return dataclasses.replace(seeing, detector=Lane("detector", lambda: detector)) if detector is not None else seeing

    async with play(engines=engines) as stage:
        yield stage, eyes


async def newest(stage: Stage, pixels: Pixels, seconds: float = 0.3) -> VideoFrame:
    """Shows a picture for a while."""
    stage.glasses.see(pixels)
    await stage.glasses.until(stage.glasses.now() + seconds)
    assert stage.session.eyes.latest is not None
    return stage.session.eyes.latest


def changes(stage: Stage) -> list[tuple[str, bool]]:
    return [(event.change, event.sure) for event in stage.of(TrackChanged)]


async def test_an_object_is_followed_lost_and_found_under_one_id() -> None:
    async with looking() as (stage, _):
        eyes = stage.session.eyes
        track = await eyes.follow(await newest(stage, view((RED, 40, 40))), ON_RED, "cup")
        await newest(stage, view((RED, 120, 40)), 0.5)
        assert [(one.box, one.state) for one in eyes.tracks] == [(Box(120, 40, 160, 80), TrackState.FOLLOWED)]
        await newest(stage, view(), 1.5)
        assert [(one.state, one.mask) for one in eyes.tracks] == [(TrackState.LOST, None)]
        assert eyes.tracks[0].box == Box(120, 40, 160, 80), "where it was last seen"
        await newest(stage, view((RED, 200, 100)), 1.5)
        assert [one.object_id for one in eyes.tracks] == [track.object_id]
        assert changes(stage) == [("started", True), ("lost", True), ("found", True)]
        assert {event.state for event in stage.of(MaskSeen)} == {"followed", "lost"}
        said = stage.glasses.heard_runs
        assert len(said) >= 2, "both were said aloud"


async def test_what_comes_back_looking_otherwise_is_not_taken_for_it() -> None:
    other = FakeSegmenter({1: [Box(40, 40, 80, 80)] * 4})
    async with looking(other) as (stage, eyes):
        await stage.session.eyes.follow(await newest(stage, view((RED, 40, 40))), ON_RED)
        eyes.script = {1: [None]}
        await newest(stage, view(), 1.5)
        eyes.script = {1: [Box(40, 40, 80, 80)]}
        await newest(stage, view((GREEN, 40, 40)), 1.5)
        assert stage.session.eyes.tracks[0].state is TrackState.LOST
        assert changes(stage) == [("started", True), ("lost", True)]


async def test_the_detector_finds_what_the_segmenter_cannot() -> None:
    segmenter = FakeSegmenter()
    detector = FakeDetector()
    async with looking(segmenter, detector) as (stage, _):
        await stage.session.eyes.follow(await newest(stage, view((RED, 40, 40))), ON_RED, "cup")
        segmenter.script = {1: [None]}
        await newest(stage, view(), 1.5)
        segmenter.script = {}
        await newest(stage, view((RED, 200, 100)), 2.0)
        assert changes(stage)[-1] == ("found", True)
        assert stage.session.eyes.tracks[0].box == Box(200, 100, 240, 140)


async def test_things_have_names_and_one_picture_can_be_cut_out() -> None:
    async with looking(detector=FakeDetector()) as (stage, segmenter):
        frame = await newest(stage, view((RED, 40, 40), (GREEN, 200, 100)))
        assert {one.label for one in await stage.session.eyes.things(frame)} == {"cup", "bottle"}
        assert len(stage.of(ThingsSeen)[0].things) == 2
        mask = await stage.session.eyes.cut_out(frame, ON_RED)
        assert mask.box == Box(40, 40, 80, 80) and segmenter.objects == ()


async def test_newest_wins_while_the_segmenter_is_busy() -> None:
    slow = FakeSegmenter(cost=0.5)
    async with looking(slow) as (stage, _):
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        slow.spend = loop.spend
        await stage.session.eyes.follow(await newest(stage, view((RED, 40, 40))), ON_RED)
        for x in range(40, 200, 4):
            await newest(stage, view((RED, x, 40)), 0.1)
        assert len(slow.seen) < 12, "a picture for each that could be looked at, not for each that came"
        ages = [event.age_ms for event in stage.of(MaskSeen)[1:]]
        assert ages and max(ages) < 700, "no queue: the age is that of one look"


async def test_a_camera_that_turns_ends_following_and_says_so() -> None:
    async with looking() as (stage, _):
        await stage.session.eyes.follow(await newest(stage, view((RED, 40, 40))), ON_RED)
        await newest(stage, view((RED, 40, 40), size=(320, 240)), 0.6)
        assert stage.session.eyes.tracks == ()
        assert [event.code for event in stage.of(Notice)] == ["following"]
        await stage.session.eyes.follow(await newest(stage, view((RED, 40, 40), size=(320, 240))), ON_RED)


async def test_a_segmenter_that_fails_ends_following_and_not_the_session() -> None:
    class Failing(FakeSegmenter):
        def track(self, frame: VideoFrame, stop: object) -> tuple[()]:
            raise EngineFailed("out of luck")

    async with looking(Failing()) as (stage, _):
        await stage.session.eyes.follow(await newest(stage, view((RED, 40, 40))), ON_RED)
        await newest(stage, view((RED, 44, 40)), 1.0)
        assert stage.session.eyes.tracks == () and len(stage.of(Failed)) == 1
        assert changes(stage) == [("started", True), ("ended", True)]


@pytest.mark.parametrize(
    "prompt", [SegmentPrompt(points=((900.0, 20.0),)), SegmentPrompt(box=Box(50, 50, 50, 90)), SegmentPrompt()]
)
async def test_a_prompt_that_does_not_fit_is_refused(prompt: SegmentPrompt) -> None:
    async with looking() as (stage, _):
        frame = await newest(stage, view((RED, 40, 40)))
        with pytest.raises(InputError):
            await stage.session.eyes.follow(frame, prompt)
        assert stage.session.eyes.tracks == () and stage.of(TrackChanged) == []


async def test_too_many_objects_and_missing_engines_are_refused() -> None:
    async with looking() as (stage, _):
        frame = await newest(stage, view((RED, 40, 40)))
        limit = stage.session.config.segmenter.max_objects
        for _ in range(limit):
            await stage.session.eyes.follow(frame, ON_RED)
        with pytest.raises(UsageError, match=str(limit)):
            await stage.session.eyes.follow(frame, ON_RED)
        assert stage.session.eyes.unfollow() == limit
        with pytest.raises(EngineMissing, match="fastestdet"):
            await stage.session.eyes.things(frame)
        with pytest.raises(EngineMissing):
            stage.session.eyes.watch(WatchRule(Watched.APPEARS, "person"))


async def test_letting_go_frees_the_segmenter_and_ends_its_watches() -> None:
    async with looking() as (stage, segmenter):
        eyes = stage.session.eyes
        track = await eyes.follow(await newest(stage, view((RED, 40, 40))), ON_RED)
        eyes.watch(WatchRule(Watched.MOVES, object_id=track.object_id))
        await newest(stage, view((RED, 40, 40)), 0.3)
        assert eyes.unfollow(track.object_id) == 1
        await newest(stage, view((RED, 40, 40)), 0.5)
        assert segmenter.objects == () and eyes.watches == {}
        looked = len(segmenter.seen)
        await newest(stage, view((RED, 40, 40)), 0.5)
        assert len(segmenter.seen) == looked, "nothing is looked at any more"


async def test_views_give_the_newest_and_end_with_the_session() -> None:
    seen: list[int] = []
    async with looking() as (stage, _):
        await newest(stage, view((RED, 40, 40)), 0.3)

        async def watch(until: Callable[[], bool]) -> None:
            async for frame in stage.session.eyes.views():
                seen.append(frame.index)
                if until():
                    return

        stage.glasses.see(view((RED, 44, 40)))
        await watch(lambda: len(seen) == 3)
        assert seen == sorted(seen)
        stage.session.end("test")
        await stage.session.over()
        await watch(lambda: False)


@pytest.mark.parametrize(("size", "expected"), [((60, 60), Box(20, 20, 80, 80)), ((200, 200), None)])
async def test_a_point_on_a_part_means_the_thing_that_has_a_name(size: tuple[int, int], expected: Box | None) -> None:
    thing = Detection("cup", Box(20, 20, 20 + size[0], 20 + size[1]), 0.9)
    segmenter = FakeSegmenter()
    async with looking(segmenter, FakeDetector([[thing]])) as (stage, _):
        frame = await newest(stage, view((RED, 40, 40)))
        await stage.session.eyes.follow(frame, ON_RED)
        assert segmenter.prompts[-1][1].box == expected, "what is far larger than what was pointed at is something else"


async def test_a_track_that_slipped_off_is_brought_back_by_the_detector() -> None:
    segmenter = FakeSegmenter()
    async with looking(segmenter, FakeDetector()) as (stage, _):
        eyes = stage.session.eyes
        await eyes.follow(await newest(stage, view((RED, 40, 40))), ON_RED, "cup")
        await newest(stage, view((RED, 44, 40)), 1.0)
        segmenter.script = {1: [Box(44, 40, 84, 80)]}  # it stays where the cup was
        await newest(stage, view((RED, 200, 100)), 1.0)
        assert [prompt.box for _, prompt in segmenter.prompts[1:]][:1] == [Box(200, 100, 240, 140)]
        assert changes(stage) == [("started", True)], "it was never lost"


async def test_what_the_detector_no_longer_sees_is_lost_until_it_does() -> None:
    segmenter = FakeSegmenter()
    async with looking(segmenter, FakeDetector()) as (stage, _):
        eyes = stage.session.eyes
        await eyes.follow(await newest(stage, view((RED, 40, 40))), ON_RED, "cup")
        for n in range(8):
            await newest(stage, view((RED, 44 + n, 40)), 0.3)
        segmenter.doubt = True
        segmenter.script = {1: [Box(48, 40, 88, 80)]}  # it takes the ground for the cup
        for n in range(8):
            await newest(stage, view((GREEN, 280, 180 + n)), 0.3)
        assert [one.state for one in eyes.tracks] == [TrackState.LOST]
        segmenter.script, segmenter.doubt = {}, False
        for n in range(4):
            await newest(stage, view((RED, 200, 100 + n)), 0.3)
        assert [one.state for one in eyes.tracks] == [TrackState.FOLLOWED]
        assert [change for change, _ in changes(stage)] == ["started", "lost", "found"]


async def test_faint_things_are_not_told() -> None:
    faint = Detection("cup", Box(20, 20, 60, 60), 0.35, sure=False)
    async with looking(detector=FakeDetector([[Detection("cup", Box(99, 20, 140, 60), 0.6), faint]])) as (stage, _):
        assert len(await stage.session.eyes.things(await newest(stage, view()))) == 1
