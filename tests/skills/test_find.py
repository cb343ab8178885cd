"""Guiding to a thing, on a scripted camera that turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from edge.skills.find import LIMIT_S, Find
from edge.skills.seeing import NO_NAMES
from edge.values import Box, Detection, VideoFrame
from tests.skills.asking import FakeAsking, FakeEyes, page, said
from tests.skills.test_things import Echo

SECOND = 1_000_000_000


def view(at_s: float) -> VideoFrame:
    return VideoFrame(np.full((480, 640, 3), 128, np.uint8), int(at_s * SECOND), int(at_s * 10))


class Turning(FakeEyes):
    """Eyes before which a bottle moves: ``where`` has its middle for each picture, None where it is out of view."""

    def __init__(self, where: Sequence[float | None], height: float = 60, step_s: float = 1.0) -> None:
        self.where = {int(at * step_s * SECOND): x for at, x in enumerate(where)}
        self.height = height
        coming = [view(at * step_s) for at in range(1, len(where))]
        super().__init__(self._things, names=("bottle", "cup"), coming=coming)

    def _things(self, frame: VideoFrame) -> Sequence[Detection]:
        x = self.where[frame.t_ns]
        half = self.height / 2
        return () if x is None else (Detection("bottle", Box(x - 20, 240 - half, x + 20, 240 + half), 0.8),)


def find(eyes: FakeEyes, transcript: str = "find my bottle", **rest: object) -> FakeAsking:
    return FakeAsking(transcript, eyes=eyes, view=view(0), **rest)  # type: ignore[arg-type]


async def test_it_guides_until_the_thing_is_ahead() -> None:
    asking = find(Turning([60, 60, 60, 200, 200, 200, 330, 330]))
    assert await said(Find(), asking) == (
        "The bottle is to the left, about two metres away. A little to the left, about two metres away."
        " Straight ahead, about two metres away."
    )
    assert asking.meant is not None
    assert asking.meant.label == "bottle"


async def test_for_a_blind_wearer_ahead_is_not_enough() -> None:
    asking = find(Turning([320, 320, 320, 320]), manner="blind")
    answer = await said(Find(), asking)
    assert answer == "I think the bottle is straight ahead, at twelve o'clock, about two metres away."
    near = find(Turning([320], height=240), manner="blind")
    assert await said(Find(), near) == "I think the bottle is straight ahead, at twelve o'clock, within reach."
    assert near.meant is not None


async def test_what_is_ahead_needs_no_guiding() -> None:
    eyes = Turning([320])
    assert await said(Find(), find(eyes)) == "The bottle is straight ahead, about two metres away."
    assert "views" not in eyes.trace


async def test_what_is_not_there_is_looked_for_and_given_up() -> None:
    assert await said(Find(), find(Turning([None] * 8))) == (
        "I don't see the bottle. Turn slowly, and I will tell you. I have not found the bottle."
    )


async def test_it_is_told_when_it_comes_and_goes() -> None:
    answer = await said(Find(), find(Turning([None, None, None, 600, 600, None, None, None, None, None])))
    assert answer == (
        "I don't see the bottle. Turn slowly, and I will tell you. To the right, about two metres away."
        " It went out of view on the right. I have not found the bottle."
    )


async def test_a_camera_that_stalls_does_not_hold_the_turn() -> None:
    class Stalled(Turning):
        async def views(self) -> AsyncIterator[VideoFrame]:
            yield view(1)
            await asyncio.sleep(3600)

    began = asyncio.get_running_loop().time()
    answer = await said(Find(), find(Stalled([None, None])))
    assert answer.endswith("I have not found the bottle.")
    assert asyncio.get_running_loop().time() - began == pytest.approx(LIMIT_S, abs=0.5)


async def test_of_twins_it_stays_with_one() -> None:
    left, right = (Box(x, 200, x + 40, 300) for x in (60, 540))

    def twins(frame: VideoFrame) -> Sequence[Detection]:
        sure = frame.t_ns // SECOND % 2  # the detector's favourite changes with every picture
        return (Detection("bottle", left, 0.8 - 0.1 * sure), Detection("bottle", right, 0.7 + 0.1 * sure))

    eyes = FakeEyes(twins, names=("bottle",), coming=[view(at) for at in range(1, 9)])
    assert await said(Find(), find(eyes)) == "The bottle is to the left, about one metre away."


async def test_a_colour_chooses_among_things() -> None:
    pixels = np.full((480, 640, 3), 128, np.uint8)
    pixels[200:300, 500:600] = (0, 0, 220)
    cups = (Detection("cup", Box(40, 200, 140, 300), 0.9), Detection("cup", Box(500, 200, 600, 300), 0.7))
    asking = FakeAsking("find my red cup", view=VideoFrame(pixels, 0), eyes=FakeEyes(cups), slots={"thing": "red cup"})
    assert (await said(Find(), asking)).startswith("The red cup is to the right")


@pytest.mark.parametrize(
    ("transcript", "thing", "eyes", "answer"),
    [
        ("find my keys", "keys", FakeEyes(()), "I cannot recognise keys."),
        ("find the exit", "exit", FakeEyes(()), "I can read EXIT, to the left."),
        ("find the answer to life", "answer to life", FakeEyes(()), "asked freely"),
        ("where is my bottle", "", FakeEyes(None), NO_NAMES),
    ],
)
async def test_what_no_detector_knows(transcript: str, thing: str, eyes: FakeEyes, answer: str) -> None:
    asking = find(eyes, transcript, slots={"thing": thing} if thing else {}, text=page("EXIT"), skills=(Echo(),))
    assert await said(Find(), asking) == answer
