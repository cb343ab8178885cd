"""Pictures are chosen, read once and in time, and nothing is lost or left running by those who stop waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from edge.channel import Channel, Overflow
from edge.config import SightConfig
from edge.errors import EngineFailed, EngineMissing, NoView
from edge.events import CodesSeen, Event, FrameChosen, TextSeen
from edge.ports import Stop
from edge.runtime.lane import Lane
from edge.runtime.sight import Sight
from edge.runtime.virtual import VirtualLoop
from edge.values import Box, Code, EngineInfo, Pixels, Reading, SceneFacts, TextLine, VideoFrame

COST = 0.35
"""Virtual seconds of one reading."""


class Eye:
    """Reader, code reader and scene meter in one; the reader reads a picture's first byte."""

    def __init__(self) -> None:
        self.read_frames: list[int] = []
        self.finished: list[int] = []
        self.scans = 0
        self.fails = 0

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("eye", "1")

    def open(self) -> None: ...

    def close(self) -> None: ...

    def read(self, frame: VideoFrame, stop: Stop) -> Reading:
        self.read_frames.append(frame.index)
        if self.fails:
            self.fails -= 1
            raise RuntimeError("out of memory")
        self.loop.spend(COST, stop)
        if not stop:
            self.finished.append(frame.index)
        low = TextLine("below", Box(0, 50, 50, 70), 0.9)
        return Reading((low, TextLine(f"number {frame.pixels[0, 0, 0]}", Box(0, 0, 90, 20), 0.9)))

    def scan(self, frame: VideoFrame) -> tuple[Code, ...]:
        self.scans += 1
        return (Code("qr", "hello", Box(0, 0, 9, 9)),)

    def measure(self, frame: VideoFrame) -> SceneFacts:
        return SceneFacts(0.5)

    loop: VirtualLoop


@dataclass
class Rig:
    sight: Sight
    eye: Eye
    camera: Channel[VideoFrame]
    events: list[Event] = field(default_factory=list)

    async def see(self, seconds: float, sharp: int = 10, index: int = 0, pixels: Pixels | None = None) -> VideoFrame:
        """Lets a frame arrive at a virtual time; its stripes are the stronger the sharper it is to be."""
        await asyncio.sleep(max(0.0, seconds - asyncio.get_running_loop().time()))
        if pixels is None:
            pixels = np.zeros((100, 100, 3), np.uint8)
            pixels[::2, :, 1] = sharp
            pixels[0, 0, 0] = index
        frame = VideoFrame(pixels, round(seconds * 1e9), index)
        self.camera.send_nowait(frame)
        await asyncio.sleep(0)
        return frame

    def named(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def rig(config: SightConfig | None = None) -> AsyncIterator[Rig]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    eye = Eye()
    eye.loop = loop
    lanes = [Lane(name, lambda: eye) for name in ("reader", "codes", "scene")]
    for lane in lanes:
        await lane.open()
    events: list[Event] = []
    sight = Sight(config or SightConfig(), *lanes, emit=events.append)  # type: ignore[arg-type]  # one engine for three ports
    made = Rig(sight, eye, Channel("camera", 2, Overflow.DROP_OLDEST), events)
    running = asyncio.create_task(sight.run(made.camera))
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.wait([running])
        for lane in lanes:
            await lane.close()


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


def texts(reading: Reading) -> list[str]:
    return [line.text for line in reading.lines]


async def test_without_a_picture_there_is_no_view() -> None:
    async with rig() as it:
        with pytest.raises(NoView):
            await it.sight.choose(ns(1))


async def test_the_sharpest_frame_of_the_window_is_chosen_and_told() -> None:
    async with rig() as it:
        for at, sharp in enumerate((90, 10, 40, 20)):
            await it.see(0.5 * at, sharp, at)
        frame = await it.sight.choose(ns(1.6))
        assert frame.index == 2
        (chosen,) = it.named(FrameChosen)
        assert isinstance(chosen, FrameChosen)
        assert (chosen.index, chosen.age_ms, chosen.t_ns) == (2, 600.0, ns(1.6))


async def test_a_picture_is_read_once_for_all_who_ask_and_told_once() -> None:
    async with rig() as it:
        await it.see(0.1, index=7)
        frame = await it.sight.choose(ns(0.2))
        one, two = await asyncio.gather(it.sight.reading(frame), it.sight.reading(frame))
        assert one is two
        assert await it.sight.reading(frame) is one
        assert texts(one) == ["number 7", "below"], "in reading order"
        assert it.eye.read_frames == [7]
        assert it.named(TextSeen) == [TextSeen(t_ns=ns(0.2), lines=("number 7", "below"))]
        await it.sight.choose(ns(0.2))
        await it.sight.reading(frame)
        assert it.eye.read_frames == [7]
        assert len(it.named(TextSeen)) == 2, "a second question has its own line"


async def test_codes_and_facts_are_made_once_too() -> None:
    async with rig() as it:
        await it.see(0.1)
        frame = await it.sight.choose(ns(0.2))
        assert [await it.sight.codes(frame), await it.sight.codes(frame)] == [(Code("qr", "hello", Box(0, 0, 9, 9)),)] * 2
        assert it.eye.scans == 1
        assert it.named(CodesSeen) == [CodesSeen(t_ns=ns(0.2), codes=("hello",))]
        assert await it.sight.facts(frame) == SceneFacts(0.5)


async def test_a_caller_that_goes_away_takes_nothing_from_another() -> None:
    async with rig() as it:
        frame = await it.see(0.1, index=3)
        going, staying = (asyncio.create_task(it.sight.reading(frame)) for _ in range(2))
        await asyncio.sleep(0.1)
        going.cancel()
        assert texts(await staying) == ["number 3", "below"]
        assert going.cancelled()
        assert it.eye.read_frames == [3]


async def test_after_a_barge_in_the_reading_serves_the_next_question() -> None:
    async with rig() as it:
        frame = await it.see(0.1, index=3)
        asking = asyncio.create_task(it.sight.reading(frame))
        await asyncio.sleep(0.1)
        asking.cancel()
        await asyncio.sleep(COST)
        began = asyncio.get_running_loop().time()
        await it.sight.reading(frame)
        assert asyncio.get_running_loop().time() == began
        assert it.eye.read_frames == [3]


async def test_a_reading_nobody_waits_for_makes_room_for_another_picture() -> None:
    async with rig() as it:
        first, second = await it.see(0.1, index=1), await it.see(0.2, index=2)
        asking = asyncio.create_task(it.sight.reading(first))
        await asyncio.sleep(0.1)
        asking.cancel()
        began = asyncio.get_running_loop().time()
        assert texts(await it.sight.reading(second)) == ["number 2", "below"]
        assert asyncio.get_running_loop().time() - began < COST + 0.05
        assert it.eye.finished == [2]


async def test_frames_that_came_before_the_question_are_read_before_it_ends() -> None:
    async with rig() as it:
        for at in range(10):
            await it.see(0.1 * at, 20, at)
        it.sight.prefetch(ns(0.9))
        for at in range(10, 30):
            await it.see(0.1 * at, 20, at)
        began = asyncio.get_running_loop().time()
        frame = await it.sight.choose(ns(2.9))
        await it.sight.reading(frame)
        assert asyncio.get_running_loop().time() - began <= COST
        assert ns(1.9) <= frame.t_ns
        assert len(it.eye.read_frames) <= 4, "about one reading a second"


async def test_a_clearly_sharper_frame_is_read_anew_and_a_hardly_sharper_one_is_not() -> None:
    async with rig() as it:
        await it.see(0.1, 20, 1)
        it.sight.prefetch(ns(0.1))
        await it.see(0.3, 21, 2)
        await it.see(0.6, 40, 3)
        await it.see(0.7, 41, 4)
        frame = await it.sight.choose(ns(0.8))
        assert it.eye.read_frames == [1, 3]
        assert frame.index == 3, "hardly less sharp than the sharpest, and its reading is under way"


async def test_reading_ahead_waits_for_the_first_picture_and_ends_when_no_question_comes() -> None:
    async with rig() as it:
        it.sight.prefetch(ns(0.0))
        await it.see(0.2, 10, 1)
        await asyncio.sleep(0.1)
        it.sight.relax()
        await asyncio.sleep(0.5)
        await it.see(1.9, 90, 2)
        assert it.eye.read_frames == [1]
        assert it.eye.finished == []


async def test_reading_ahead_ends_by_itself() -> None:
    async with rig() as it:
        it.sight.prefetch(ns(0.0))
        for at in range(30):
            await it.see(float(at), 10, at)
        assert max(it.eye.read_frames) <= 10


async def test_a_still_picture_served_as_a_camera_is_read_once() -> None:
    async with rig() as it:
        still = np.full((40, 60, 3), 9, np.uint8)
        it.sight.prefetch(ns(0.0))
        for at in range(40):
            await it.see(0.1 * at, index=at, pixels=still)
        frame = await it.sight.choose(ns(4.0))
        assert frame.index >= 38
        assert texts(await it.sight.reading(frame)) == ["number 9", "below"]
        assert len(it.eye.read_frames) == 1


async def test_large_frames_are_scaled_down_once() -> None:
    async with rig(SightConfig(max_side=256)) as it:
        still = np.zeros((8192, 4096, 3), np.uint8)
        still[:, 2048:] = 255
        await it.see(0.1, pixels=still)
        await it.see(0.3, pixels=still)
        await asyncio.sleep(0.1)
        frame = await it.sight.choose(ns(0.5))
        assert frame.pixels.shape == (256, 128, 3)
        assert frame.pixels[0, 0, 0] == 0 and frame.pixels[0, -1, 0] == 255
        assert await it.sight.choose(ns(0.2)) != frame
        assert (await it.sight.choose(ns(0.2))).pixels is frame.pixels


async def test_the_first_picture_can_be_waited_for() -> None:
    async with rig() as it:
        waiting = asyncio.create_task(it.sight.seen())
        await asyncio.sleep(1)
        assert not waiting.done()
        await it.see(1.5)
        await waiting
    async with rig() as it:
        it.camera.close()
        await it.sight.seen()


async def test_a_failed_reading_is_told_and_tried_again() -> None:
    async with rig() as it:
        it.eye.fails = 1
        frame = await it.see(0.1, index=5)
        with pytest.raises(EngineFailed, match="out of memory"):
            await it.sight.reading(frame)
        assert texts(await it.sight.reading(frame)) == ["number 5", "below"]


async def test_reading_ahead_fails_in_silence() -> None:
    async with rig() as it:
        it.eye.fails = 1
        it.sight.prefetch(ns(0.0))
        await it.see(0.1, index=5)
        await asyncio.sleep(0.1)
        assert it.events == []


async def test_a_port_without_an_engine_says_so() -> None:
    sight = Sight(SightConfig(), None, None, None, emit=lambda event: None)
    frame = VideoFrame(np.zeros((4, 4, 3), np.uint8), 0)
    sight.prefetch(0)
    for question in (sight.reading, sight.codes, sight.facts):
        with pytest.raises(EngineMissing, match="this profile has no"):
            await question(frame)


async def test_memory_is_bounded_by_pictures_not_by_time() -> None:
    async with rig() as it:
        frames = [await it.see(0.1 * at, index=at) for at in range(20)]
        for frame in frames:
            await it.sight.reading(frame)
        assert len(it.sight._readings._work) <= 8


async def test_who_waits_when_sight_ends_gets_an_answer() -> None:
    async with rig() as it:
        frame = await it.see(0.1)
        asking = asyncio.create_task(it.sight.reading(frame))
        await asyncio.sleep(0.1)
        it.camera.close()
        with pytest.raises(NoView):
            await asking


async def test_a_camera_of_single_photos_is_waited_for() -> None:
    async with rig() as it:
        it.sight.patience_s = 3.0
        question = asyncio.create_task(it.sight.choose(ns(1)))
        await it.see(2.5, index=7)
        assert (await question).index == 7
        assert asyncio.get_running_loop().time() == pytest.approx(2.5, abs=0.01)


async def test_it_is_not_waited_for_for_ever() -> None:
    async with rig() as it:
        it.sight.patience_s = 3.0
        with pytest.raises(NoView):
            await it.sight.choose(ns(1))
        assert asyncio.get_running_loop().time() == pytest.approx(3.0, abs=0.01)
