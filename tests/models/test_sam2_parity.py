"""Our streaming tracker against the reference predictor: the same masks, from a memory that does not grow.

The network is the reduced one with random weights. Its mask logits range over +-7; one forgotten pointer moves them by 0.01.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.policy import memory
from edge.policy.memory import MemoryRules
from edge.ports import Stop
from edge.runtime.tracker import MemoryTracker
from edge.tracks import Floats, SegmentPrompt
from edge.values import Box, VideoFrame

torch = pytest.importorskip("torch", reason="TORCH MISSING: pip install 'nearsight[sam2]'")
pytest.importorskip("sam2", reason="SAM2 MISSING: pip install 'nearsight[sam2]'")

from models.sam2_graphs import TorchNetwork  # noqa: E402  # behind the skip
from models.sam2_onnx import Sam2Onnx  # noqa: E402
from models.sam2_torch import Sam2Torch  # noqa: E402
from tests.models.sam2_tiny import pictures, predictor  # noqa: E402

TOLERANCE = 1e-3
EXACT = MemoryRules(prompted=None, anchor_every=None)
HEIGHT, WIDTH = 200, 300

Does = Callable[[Any, VideoFrame], object]


@dataclass
class Play:
    """What is done to a segmenter, and before which pictures are tracked."""

    frames: int
    before: Mapping[int, Sequence[Does]] = field(default_factory=dict)
    after: Mapping[int, Sequence[Does]] = field(default_factory=dict)
    skipped: frozenset[int] = frozenset()


def add(prompt: SegmentPrompt, object_id: int) -> Does:
    return lambda segmenter, frame: segmenter.add(frame, prompt, object_id)


def remove(object_id: int) -> Does:
    return lambda segmenter, _: segmenter.remove(object_id)


POINT = SegmentPrompt(points=((40.0, 30.0),))
TWO = SegmentPrompt(points=((250.0, 100.0), (10.0, 10.0)), wanted=(True, False))
BESIDE = SegmentPrompt(points=((80.0, 150.0),), wanted=(False,))
BOX = SegmentPrompt(box=Box(200.0, 50.0, 290.0, 130.0))
BOX_AND_POINT = SegmentPrompt(points=((240.0, 80.0),), box=Box(200.0, 50.0, 290.0, 130.0))


def drawn() -> SegmentPrompt:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[60:121, 33:98] = True
    return SegmentPrompt(mask=mask)


FRAMES_512 = 60 if os.environ.get("NEARSIGHT_LONG_TESTS") else 9
"""Of the whole tiny architecture: 60 take two minutes; with 9 there are all 7 maps to remember."""

LONG = Play(60, {0: [add(POINT, 1)], 20: [add(TWO, 7)], 40: [remove(1)]})
PLAYS = {
    "box": Play(5, {0: [add(BOX, 1)], 2: [add(BOX_AND_POINT, 2)]}),
    "mask": Play(5, {0: [add(drawn(), 1)], 2: [add(POINT, 2)]}),
    "clicks on a new picture": Play(3, {0: [add(POINT, 1), add(BESIDE, 1), add(BESIDE, 1)]}),
    "correction of what was tracked": Play(19, {0: [add(POINT, 1)]}, {16: [add(BESIDE, 1), add(POINT, 1)]}),
    "correction of the first picture after it was tracked": Play(3, {0: [add(POINT, 1)]}, {0: [add(BESIDE, 1)]}),
    "box and mask as corrections": Play(6, {0: [add(POINT, 1)]}, {2: [add(BOX, 1)], 3: [add(drawn(), 1)]}),
    "pointed out again later": Play(6, {0: [add(POINT, 1)], 3: [add(BOX, 1)], 4: [add(POINT, 1)]}),
    "three at once, one comes back": Play(
        6, {0: [add(POINT, 1), add(TWO, 2), add(BOX, 3)], 2: [remove(2)], 4: [add(POINT, 2)]}
    ),
    "pictures left out": Play(9, {0: [add(POINT, 1)], 5: [add(BOX, 2)]}, skipped=frozenset({3, 5, 6})),
}


def play(what: Play, segmenter: Any) -> list[dict[int, Floats]]:
    """Gives the mask logits of every object after every picture."""
    segmenter.open()
    found = []
    for i, frame in enumerate(pictures(what.frames, HEIGHT, WIDTH)):
        for do in what.before.get(i, ()):
            do(segmenter, frame)
        if i not in what.skipped:
            masks = segmenter.track(frame, Stop())
            assert [mask.object_id for mask in masks] == list(segmenter.objects)
        for do in what.after.get(i, ()):
            do(segmenter, frame)
        found.append(dict(segmenter.logits))
    return found


def furthest(a: list[dict[int, Floats]], b: list[dict[int, Floats]]) -> float:
    assert [set(each) for each in a] == [set(each) for each in b]
    return max(float(np.abs(x[name] - y[name]).max()) for x, y in zip(a, b, strict=True) for name in x)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # so that the same sums are added in the same order
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model() -> Any:
    return predictor()


@pytest.fixture(scope="module")
def reference(model: Any) -> list[dict[int, Floats]]:
    return play(LONG, Sam2Torch(lambda: model))


def ours(model: Any, rules: MemoryRules = EXACT, **more: Any) -> MemoryTracker:
    return MemoryTracker(TorchNetwork(model), rules, **more)


def test_the_masks_say_something(reference: list[dict[int, Floats]]) -> None:
    for found in reference[1:]:
        for logits in found.values():
            assert 0.05 < (logits > 0).mean() < 0.95 and np.ptp(logits) > 5


def test_bounded_memory_is_bit_identical_to_unbounded(model: Any, reference: list[dict[int, Floats]]) -> None:
    unbounded = Sam2Torch(lambda: model, bounded=False)
    everything = play(LONG, unbounded)
    assert unbounded.held[7] == 40
    assert all(np.array_equal(x[n], y[n]) for x, y in zip(reference, everything, strict=True) for n in x)


def test_ours_gives_the_masks_of_the_reference(model: Any, reference: list[dict[int, Floats]]) -> None:
    tracker = ours(model)
    assert furthest(play(LONG, tracker), reference) < TOLERANCE
    assert tracker.held == {7: 8}  # one prompted, the last six, and the newest


def test_the_exported_graphs_give_the_masks_of_the_reference(reduced_folder: Path, reference: list[dict[int, Floats]]) -> None:
    assert furthest(play(LONG, MemoryTracker(Sam2Onnx(reduced_folder, device="cpu", threads=1), EXACT)), reference) < TOLERANCE


@pytest.mark.parametrize("name", ["mask", "box and mask as corrections", "three at once, one comes back"])
def test_the_exported_graphs_take_every_prompt(model: Any, reduced_folder: Path, name: str) -> None:
    tracker = MemoryTracker(Sam2Onnx(reduced_folder, device="cpu", threads=1), EXACT)
    assert furthest(play(PLAYS[name], tracker), play(PLAYS[name], Sam2Torch(lambda: model))) < TOLERANCE


def test_the_whole_tiny_architecture_at_512(tiny_512_model: Any, tiny_512: Path) -> None:
    third = FRAMES_512 // 3
    what = Play(FRAMES_512, {0: [add(POINT, 1)], third: [add(TWO, 7)], 2 * third: [remove(1)]})
    expected = play(what, Sam2Torch(lambda: tiny_512_model))
    assert all(np.ptp(logits) > 5 for found in expected for logits in found.values())
    assert furthest(play(what, MemoryTracker(Sam2Onnx(tiny_512, device="cpu", threads=2), EXACT)), expected) < TOLERANCE


@pytest.mark.parametrize("name", PLAYS)
def test_every_way_to_point_gives_the_masks_of_the_reference(model: Any, name: str) -> None:
    assert furthest(play(PLAYS[name], ours(model)), play(PLAYS[name], Sam2Torch(lambda: model))) < TOLERANCE


@pytest.mark.parametrize("bias", [-20.0, None])
def test_hidden_objects(bias: float | None) -> None:
    hidden = predictor(visible=bias)
    expected = play(PLAYS["mask"], Sam2Torch(lambda: hidden))
    assert furthest(play(PLAYS["mask"], ours(hidden)), expected) < TOLERANCE
    if bias is not None:
        assert all((found[2] == -1024).all() for found in expected[2:])


def test_the_pixels_of_the_masks_are_those_of_the_reference(model: Any) -> None:
    one, other = ours(model), Sam2Torch(lambda: model)
    for segmenter in (one, other):
        segmenter.open()
    for i, frame in enumerate(pictures(3, HEIGHT, WIDTH)):
        if i == 0:
            pairs = [(one.add(frame, prompt, 1), other.add(frame, prompt, 1)) for prompt in (POINT, BOX, drawn())]
        else:
            pairs = list(zip(one.track(frame, Stop()), other.track(frame, Stop()), strict=True))
        for a, b in pairs:
            assert a.bits.shape == b.bits.shape == (HEIGHT, WIDTH)
            assert np.count_nonzero(a.bits != b.bits) <= 1  # a logit of 1e-7 may fall on either side of 0
            assert a.score == pytest.approx(b.score, abs=1e-5)


@pytest.mark.parametrize(("name", "value"), [("POINTERS", 14), ("MAPS", 5)])
def test_forgetting_one_more_would_show(
    model: Any, reference: list[dict[int, Floats]], monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    monkeypatch.setattr(memory, name, value)
    short = Play(18, LONG.before)
    assert furthest(play(short, ours(model)), reference[:18]) > 3 * TOLERANCE


def test_objects_in_one_batch_or_one_by_one_are_the_same(model: Any) -> None:
    what = PLAYS["three at once, one comes back"]
    assert furthest(play(what, ours(model, batch=1)), play(what, ours(model, batch=8))) < TOLERANCE
