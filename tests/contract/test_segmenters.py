"""What every segmenter keeps: the fake, the classical one, and both ways to follow with SAM 2.

A new one is a line in ``KINDS``. The reduced SAM 2 has random weights: what it follows means nothing, all else holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from edge.errors import InputError
from edge.ports import Segmenter, Stop
from edge.tracks import SegmentPrompt
from edge.values import Box, Mask, Pixels, VideoFrame

HEIGHT, WIDTH = 120, 160
RED, GREEN = (0, 0, 255), (0, 255, 0)


def _fake() -> Segmenter:
    from models.fakes_sight import FakeSegmenter

    return FakeSegmenter()


def _classical() -> Segmenter:
    from models.classical import ClassicalSegmenter

    return ClassicalSegmenter(threads=1)


def _sam2_torch() -> Segmenter:
    _needs_torch()
    from models.sam2_torch import Sam2Torch

    return Sam2Torch(_weights)


def _sam2_tracker() -> Segmenter:
    _needs_torch()
    from edge.runtime.tracker import MemoryTracker
    from models.sam2_graphs import TorchNetwork

    return MemoryTracker(TorchNetwork(_weights()))


@cache
def _weights() -> Any:
    """One network for all tests: it is only read, what is followed is the segmenter's."""
    from tests.models.sam2_tiny import predictor

    return predictor()


def _needs_torch() -> None:
    torch = pytest.importorskip("torch", reason="TORCH MISSING: pip install 'nearsight[sam2]'")
    torch.set_num_threads(1)  # on a busy machine torch's spinning threads make seconds into minutes
    pytest.importorskip("sam2", reason="SAM2 MISSING: pip install 'nearsight[sam2]'")


@dataclass(frozen=True)
class Kind:
    """One segmenter under test."""

    make: Callable[[], Segmenter]
    sees: bool = True
    """Whether its masks mean something."""
    many: int = 100
    """How many objects it is asked to follow at once."""


KINDS = {
    "fake": Kind(_fake),
    "classical": Kind(_classical),
    "sam2_torch": Kind(_sam2_torch, sees=False, many=8),
    "sam2_tracker": Kind(_sam2_tracker, sees=False, many=8),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def segmenter(kind: Kind) -> Iterator[Segmenter]:
    made = kind.make()
    made.open()
    yield made
    made.close()


def picture(index: int, *, red: bool = True, step: int = 3) -> VideoFrame:
    """A grey picture with a red block that moves to the right, and a green one that stays."""
    pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    pixels[70:100, 110:140] = GREEN
    if red:
        pixels[30:60, 20 + step * index : 50 + step * index] = RED
    return VideoFrame(pixels, index * 33_000_000, index)


CLICK = SegmentPrompt(points=((35.0, 45.0),))
ON_RED = SegmentPrompt(box=Box(20, 30, 50, 60))
ON_GREEN = SegmentPrompt(box=Box(110, 70, 140, 100))
"""Boxes, where it does not matter what is pointed with: from a click the classical segmenter tries all sizes, which takes it
ten times as long."""


def fits(mask: Mask, pixels: Pixels) -> None:
    assert mask.bits.shape == pixels.shape[:2]
    assert mask.bits.dtype == np.bool_
    assert 0 <= mask.score <= 1
    if mask.appearance is not None:
        assert mask.appearance.dtype == np.float32
        assert np.linalg.norm(mask.appearance) == pytest.approx(1, abs=1e-4)


def covers(mask: Mask, frame: VideoFrame, colour: tuple[int, int, int]) -> float:
    """Intersection over union of a mask with all pixels of a colour."""
    truth = (frame.pixels == colour).all(axis=2)
    return float((mask.bits & truth).sum() / (mask.bits | truth).sum())


def test_masks_have_the_pictures_shape_and_the_order_of_adding(segmenter: Segmenter) -> None:
    first = picture(0)
    fits(segmenter.add(first, ON_GREEN, 7), first.pixels)
    fits(segmenter.add(first, ON_RED, 3), first.pixels)
    assert segmenter.objects == (7, 3)
    for index in (0, 1, 4):
        frame = picture(index) if index else first
        masks = segmenter.track(frame, Stop())
        assert [mask.object_id for mask in masks] == [7, 3]
        for mask in masks:
            fits(mask, frame.pixels)


def test_objects_are_followed(segmenter: Segmenter, kind: Kind) -> None:
    if not kind.sees:
        pytest.skip("its weights are random")
    segmenter.add(picture(0), CLICK, 1)
    segmenter.add(picture(0), ON_GREEN, 2)
    for index in range(1, 12):
        frame = picture(index)
        red, green = segmenter.track(frame, Stop())
        assert covers(red, frame, RED) > 0.8
        assert covers(green, frame, GREEN) > 0.8
        assert min(red.score, green.score) > 0.5
        assert red.appearance is not None
        assert green.appearance is not None
        assert red.appearance @ green.appearance < 0.7


def test_what_goes_is_missed_and_what_comes_back_has_its_id(segmenter: Segmenter, kind: Kind) -> None:
    if not kind.sees:
        pytest.skip("its weights are random")
    segmenter.add(picture(0), ON_RED, 1)
    segmenter.add(picture(0), ON_GREEN, 2)
    for index in range(1, 6):
        segmenter.track(picture(index), Stop())
    for index in range(6, 12):
        red, green = segmenter.track(picture(index, red=False), Stop())
    assert not red.bits.any()
    assert red.score < 0.3
    assert covers(green, picture(11, red=False), GREEN) > 0.8
    for index in range(12, 20):
        red, _ = segmenter.track(frame := picture(index), Stop())
    assert red.object_id == 1
    assert covers(red, frame, RED) > 0.8


REFUSED: tuple[tuple[SegmentPrompt, tuple[str, ...]], ...] = (
    (SegmentPrompt(points=((200.0, 5.0),)), ("200", "160x120")),
    (SegmentPrompt(points=((-1.0, 5.0),)), ("-1", "160x120")),
    (SegmentPrompt(points=((float("nan"), 5.0),)), ("nan",)),
    (SegmentPrompt(points=((5.0, 5.0),), wanted=(True, False)), ("1 points",)),
    (SegmentPrompt(box=Box(50, 50, 50, 80)), ("empty",)),
    (SegmentPrompt(box=Box(300, 10, 400, 80)), ("outside", "160x120")),
    (SegmentPrompt(mask=np.ones((60, 80), np.bool_)), ("80x60", "160x120")),
    (SegmentPrompt(mask=np.zeros((HEIGHT, WIDTH), np.bool_)), ("empty",)),
    (SegmentPrompt(), ("nothing",)),
)


def test_a_prompt_that_does_not_fit_is_refused_and_changes_nothing(segmenter: Segmenter) -> None:
    segmenter.add(picture(0), ON_GREEN, 1)
    for prompt, says in REFUSED:
        with pytest.raises(InputError) as added:
            segmenter.add(picture(0), prompt, 2)
        with pytest.raises(InputError) as cut:
            segmenter.cut_out(picture(0), prompt)
        assert all(word in caught.value.text for caught in (added, cut) for word in says)
        assert segmenter.objects == (1,)
    (after,) = segmenter.track(picture(1), Stop())
    segmenter.reset()
    segmenter.add(picture(0), ON_GREEN, 1)
    assert np.array_equal(after.bits, segmenter.track(picture(1), Stop())[0].bits), "as if nothing had been asked"


PROMPTS = {
    "point": CLICK,
    "points": SegmentPrompt(points=((35.0, 45.0), (125.0, 85.0)), wanted=(True, False)),
    "box": SegmentPrompt(box=Box(15, 25, 55, 65)),
    "box over the rim": SegmentPrompt(box=Box(-30, -30, 55, 65)),
    "box and point": SegmentPrompt(points=((35.0, 45.0),), box=Box(15, 25, 55, 65)),
    "mask": SegmentPrompt(mask=(picture(0).pixels == RED).all(axis=2)),
}


def test_every_kind_of_prompt_cuts_out(segmenter: Segmenter, kind: Kind) -> None:
    frame = picture(0)
    for name, prompt in PROMPTS.items():
        alone = segmenter.cut_out(frame, prompt)
        assert (alone.object_id, segmenter.objects) == (0, ()), name
        mask = segmenter.add(frame, prompt, 5)
        assert (mask.object_id, segmenter.objects) == (5, (5,)), name
        for one in (alone, mask):
            fits(one, frame.pixels)
            if kind.sees and name != "box over the rim":  # its middle is not the block's, so no fake can know
                assert covers(one, frame, RED) > 0.8, name
        segmenter.reset()


def test_cutting_out_leaves_what_is_followed_alone(segmenter: Segmenter) -> None:
    other = VideoFrame(np.full((50, 60, 3), 200, np.uint8), 5)
    segmenter.add(picture(0), ON_RED, 1)
    before = segmenter.track(picture(1), Stop())
    fits(segmenter.cut_out(other, SegmentPrompt(points=((30.0, 25.0),))), other.pixels)
    assert segmenter.objects == (1,)
    segmenter.track(picture(2), Stop())
    assert before[0].bits.shape == (HEIGHT, WIDTH)


def test_a_picture_of_another_size_ends_what_was_followed(segmenter: Segmenter) -> None:
    small = VideoFrame(np.zeros((60, 80, 3), np.uint8), 99)
    for act in (lambda: segmenter.track(small, Stop()), lambda: segmenter.add(small, ON_RED, 2)):
        segmenter.add(picture(0), ON_RED, 1)
        with pytest.raises(InputError) as caught:
            act()
        assert "80x60" in caught.value.text
        assert "160x120" in caught.value.text
        assert segmenter.objects == ()
    assert segmenter.track(small, Stop()) == ()
    segmenter.add(small, SegmentPrompt(points=((40.0, 30.0),)), 4)
    assert segmenter.objects == (4,)


def test_a_picture_without_anything_is_borne(segmenter: Segmenter) -> None:
    segmenter.add(picture(0), ON_RED, 1)
    for index, value in enumerate((0, 255), 1):
        plain = VideoFrame(np.full((HEIGHT, WIDTH, 3), value, np.uint8), index * 40_000_000, index)
        for mask in segmenter.track(plain, Stop()):
            fits(mask, plain.pixels)
    fits(segmenter.add(plain, ON_GREEN, 2), plain.pixels)
    assert len(segmenter.track(picture(3), Stop())) == 2


def test_many_objects(segmenter: Segmenter, kind: Kind) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    first, second = VideoFrame(pixels, 0), VideoFrame(np.roll(pixels, 1, axis=1), 33_000_000, 1)
    for one in range(kind.many):
        x, y = 12 * (one % 10) + 10, 10 * (one // 10) + 5
        segmenter.add(first, SegmentPrompt(box=Box(x, y, x + 8, y + 8)), one)
    assert segmenter.objects == tuple(range(kind.many))
    masks = segmenter.track(second, Stop())
    assert [mask.object_id for mask in masks] == list(range(kind.many))


def test_objects_come_and_go_on_the_way(segmenter: Segmenter) -> None:
    segmenter.add(picture(0), ON_RED, 1)
    segmenter.track(picture(1), Stop())
    frame = picture(2)
    segmenter.track(frame, Stop())
    segmenter.add(frame, ON_GREEN, 2)
    assert [mask.object_id for mask in segmenter.track(picture(3), Stop())] == [1, 2]
    segmenter.remove(1)
    segmenter.remove(1)
    segmenter.remove(77)
    assert [mask.object_id for mask in segmenter.track(picture(4), Stop())] == [2]
    segmenter.add(picture(6), SegmentPrompt(points=((53.0, 45.0),)), 1)  # a picture that was not tracked
    assert [mask.object_id for mask in segmenter.track(picture(7), Stop())] == [2, 1]
    segmenter.add(picture(5), ON_GREEN, 3)  # and one that is past
    assert [mask.object_id for mask in segmenter.track(picture(8), Stop())] == [2, 1, 3]


def test_a_correction_keeps_id_and_order(segmenter: Segmenter, kind: Kind) -> None:
    segmenter.add(picture(0), ON_GREEN, 1)
    segmenter.add(picture(0), ON_GREEN, 2)
    segmenter.track(picture(1), Stop())
    frame = picture(2)
    segmenter.track(frame, Stop())
    corrected = segmenter.add(frame, SegmentPrompt(points=((41.0, 45.0),)), 1)
    assert corrected.object_id == 1
    assert segmenter.objects == (1, 2)
    masks = segmenter.track(after := picture(3), Stop())
    assert [mask.object_id for mask in masks] == [1, 2]
    if kind.sees:
        assert covers(corrected, frame, RED) > 0.8
        assert covers(masks[0], after, RED) > 0.8


def test_a_picture_given_again_gives_the_same(segmenter: Segmenter) -> None:
    frame = picture(0)
    segmenter.add(frame, ON_RED, 1)
    once, twice = segmenter.track(frame, Stop()), segmenter.track(frame, Stop())
    assert np.array_equal(once[0].bits, twice[0].bits)


def test_masks_given_are_never_changed(segmenter: Segmenter) -> None:
    given = segmenter.add(picture(0), ON_RED, 1)
    kept = given.bits.copy()
    for index in range(1, 4):
        segmenter.track(picture(index), Stop())
    assert np.array_equal(given.bits, kept)


def test_reset_forgets_and_what_follows_is_as_from_the_start(segmenter: Segmenter) -> None:
    def play() -> list[np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
        segmenter.add(picture(0), ON_RED, 1)
        return [segmenter.track(picture(index), Stop())[0].bits for index in range(1, 4)]

    first = play()
    segmenter.reset()
    assert segmenter.objects == ()
    assert segmenter.track(picture(9), Stop()) == ()
    assert all(np.array_equal(a, b) for a, b in zip(first, play(), strict=True))


def test_a_stop_ends_it_and_the_next_picture_goes_on(segmenter: Segmenter) -> None:
    segmenter.add(picture(0), ON_RED, 1)
    stop = Stop()
    stop.set()
    assert segmenter.track(picture(1), stop) == ()
    assert segmenter.objects == (1,)
    assert [mask.object_id for mask in segmenter.track(picture(2), Stop())] == [1]


def test_opening_and_closing_twice(kind: Kind) -> None:
    segmenter = kind.make()
    segmenter.close()
    segmenter.open()
    segmenter.open()
    assert segmenter.info.name
    segmenter.add(picture(0), ON_RED, 1)
    segmenter.close()
    segmenter.close()
    segmenter.open()
    assert not segmenter.objects
    segmenter.add(picture(0), ON_RED, 2)
    assert segmenter.objects == (2,)
    segmenter.close()
