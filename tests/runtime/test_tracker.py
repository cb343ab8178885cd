"""The streaming tracker on a network that knows what it sees: what it calls, when it stops, what it keeps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from edge.errors import EngineFailed, InputError
from edge.policy.memory import MemoryRules
from edge.ports import Stop
from edge.runtime.tracker import MemoryTracker
from edge.tracks import Candidates, Cues, Floats, Memories, SegmentPrompt, View
from edge.values import Box, EngineInfo, Mask, Pixels, VideoFrame

SIZE = 64
HEIGHT, WIDTH = 60, 80


@dataclass
class BrightNetwork:
    """Takes the bright part of a picture for every object. Counts its calls, and sets ``stop`` or fails in one of them."""

    calls: Counter[str] = field(default_factory=Counter)
    largest: int = 0
    stop: tuple[str, Stop] | None = None
    failing: str = ""
    cues: list[Cues] = field(default_factory=list)
    info: EngineInfo = field(default_factory=lambda: EngineInfo("bright", "0"))
    size: int = SIZE

    def open(self) -> None: ...

    def close(self) -> None: ...

    def encode(self, pixels: Pixels) -> View:
        self._called("encode")
        side = SIZE // 4
        rows, columns = (np.arange(side) * length // side for length in pixels.shape[:2])
        bright = pixels[rows][:, columns, 1].astype(np.float32) > 128
        return View(bright, None, None, pixels.shape[0], pixels.shape[1])

    def recall(self, view: View, memories: Memories | None) -> Any:
        self._called("recall")
        return 1 if memories is None else len(memories.maps)

    def decode(self, view: View, seen: Any, cues: Cues) -> Candidates:
        self._called("decode")
        self.cues.append(cues)
        n = len(cues.points)
        self.largest = max(self.largest, n)
        logits = np.broadcast_to(np.where(view.features, 5, -5).astype(np.float32), (n, 4, SIZE // 4, SIZE // 4))
        pointers = np.ones((n, 4, 256), np.float32)
        return Candidates(
            logits, np.ones((n, 4), np.float32), pointers, np.full(n, 6 if view.features.any() else -6, np.float32)
        )

    def memorise(self, view: View, masks: Floats, scores: Floats) -> Floats:
        self._called("memorise")
        assert masks.shape == (len(scores), 1, SIZE, SIZE) and 0 <= masks.min() and masks.max() <= 1
        return np.full((len(scores), 64, 4, 4), 1 + 2**-12, np.float32)

    def _called(self, name: str) -> None:
        self.calls[name] += 1
        if self.stop is not None and self.stop[0] == name:
            self.stop[1].set()
        if self.failing == name:
            raise EngineFailed(f"{name} failed")


def frame(index: int, *, dark: bool = False, height: int = HEIGHT, width: int = WIDTH) -> VideoFrame:
    pixels = np.zeros((height, width, 3), np.uint8)
    if not dark:
        pixels[10:40, 20:60] = 255
    return VideoFrame(pixels, index * 40_000_000, index)


POINT = SegmentPrompt(points=((30.0, 20.0),))


@pytest.fixture
def network() -> BrightNetwork:
    return BrightNetwork()


@pytest.fixture
def tracker(network: BrightNetwork) -> MemoryTracker:
    return MemoryTracker(network, MemoryRules(prompted=2, anchor_every=20))


def followed(tracker: MemoryTracker, pictures: int, *ids: int) -> None:
    for index in range(pictures):
        one = frame(index)
        if index == 0:
            for name in ids:
                tracker.add(one, POINT, name)
        assert len(tracker.track(one, Stop())) == len(ids)


def test_masks_come_in_the_pixels_of_the_picture(tracker: MemoryTracker) -> None:
    found = tracker.add(frame(0), POINT, 5)
    box = found.box
    assert found.object_id == 5 and found.bits.shape == (HEIGHT, WIDTH) and found.score > 0.99
    assert box is not None and abs(box.x0 - 20) < 5 and abs(box.y1 - 40) < 5
    assert found.appearance is not None and np.linalg.norm(found.appearance) == pytest.approx(1, abs=1e-6)


def test_one_picture_is_encoded_once_for_all_objects(tracker: MemoryTracker, network: BrightNetwork) -> None:
    followed(tracker, 4, 1, 2, 3)
    assert network.calls["encode"] == 4
    assert network.calls["recall"] == 3 + 3  # one for each prompt, then one for each picture
    assert network.largest == 3


def test_the_same_picture_again_costs_nothing(tracker: MemoryTracker, network: BrightNetwork) -> None:
    followed(tracker, 2, 1)
    last = frame(9)
    first, calls = tracker.track(last, Stop()), Counter(network.calls)
    again = tracker.track(last, Stop())
    assert network.calls == calls
    assert np.array_equal(first[0].bits, again[0].bits)


def test_an_object_that_came_later_is_caught_up_with_and_shares_a_batch(tracker: MemoryTracker, network: BrightNetwork) -> None:
    followed(tracker, 2, 1)
    tracker.add(frame(2), POINT, 2)
    for index in range(3, 25):
        tracker.track(frame(index), Stop())
    network.largest = 0
    tracker.track(frame(25), Stop())
    assert network.largest == 2


def test_a_hundred_objects_go_through_in_bounded_batches(network: BrightNetwork) -> None:
    tracker = MemoryTracker(network, batch=8)
    followed(tracker, 2, *range(100))
    assert tracker.objects == tuple(range(100)) and network.largest == 8
    assert network.calls["encode"] == 2 and network.calls["recall"] == 100 + 13


@pytest.mark.parametrize("name", ["encode", "recall", "decode"])
def test_stops_between_the_graphs_and_goes_on_with_the_same_picture(
    tracker: MemoryTracker, network: BrightNetwork, name: str
) -> None:
    followed(tracker, 3, 1, 2)
    stop, picture, before = Stop(), frame(3), network.calls["memorise"]
    network.stop = (name, stop)
    assert tracker.track(picture, stop) == ()
    assert network.calls["memorise"] == before
    network.stop = None
    assert [mask.object_id for mask in tracker.track(picture, Stop())] == [1, 2]
    assert network.calls["encode"] == 4


def test_nothing_is_computed_where_nothing_is_followed(tracker: MemoryTracker, network: BrightNetwork) -> None:
    assert tracker.track(frame(0), Stop()) == ()
    assert not network.calls


def test_a_picture_of_another_size_ends_it(tracker: MemoryTracker) -> None:
    followed(tracker, 2, 1)
    with pytest.raises(InputError, match=r"80x40 pixels now and were 80x60"):
        tracker.track(frame(2, height=40), Stop())
    assert not tracker.objects
    assert tracker.add(frame(3, height=40), POINT, 1).bits.shape == (40, WIDTH)
    with pytest.raises(InputError):
        tracker.add(frame(4), POINT, 2)
    assert not tracker.objects


def test_a_black_picture_hides_and_the_object_comes_back(tracker: MemoryTracker) -> None:
    followed(tracker, 3, 1)
    (hidden,) = tracker.track(frame(3, dark=True), Stop())
    assert hidden.area == 0 and hidden.box is None and hidden.score < 0.01
    assert hidden.appearance is not None  # as it looked while it was seen
    (back,) = tracker.track(frame(4), Stop())
    assert back.area > 0 and back.score > 0.99


@pytest.mark.parametrize(
    "prompt",
    [
        SegmentPrompt(),
        SegmentPrompt(points=((200.0, 20.0),)),
        SegmentPrompt(points=((float("nan"), 20.0),)),
        SegmentPrompt(box=Box(30, 30, 30, 50)),
        SegmentPrompt(mask=np.ones((3, 4), np.bool_)),
        SegmentPrompt(mask=np.zeros((HEIGHT, WIDTH), np.bool_)),
    ],
)
def test_a_prompt_that_does_not_fit_changes_nothing(
    tracker: MemoryTracker, network: BrightNetwork, prompt: SegmentPrompt
) -> None:
    followed(tracker, 2, 1)
    calls = Counter(network.calls)
    for name in (1, 2):
        with pytest.raises(InputError):
            tracker.add(frame(2), prompt, name)
    with pytest.raises(InputError):
        tracker.cut_out(frame(2), prompt)
    assert tracker.objects == (1,) and network.calls == calls


def test_a_mask_too_small_for_the_network_is_refused() -> None:
    tracker = MemoryTracker(BrightNetwork())
    large = frame(0, height=600, width=800)
    mask = np.zeros((600, 800), np.bool_)
    mask[50, 50] = True
    with pytest.raises(InputError, match="mask of 1 pixels is too small"):
        tracker.add(large, SegmentPrompt(mask=mask), 1)
    assert not tracker.objects


def test_cutting_out_leaves_what_is_followed_as_it_is(tracker: MemoryTracker, network: BrightNetwork) -> None:
    followed(tracker, 3, 1)
    found = tracker.cut_out(frame(7, height=30, width=40), SegmentPrompt(points=((25.0, 20.0),)))
    assert found.object_id == 0 and found.bits.shape == (30, 40)
    assert tracker.objects == (1,) and len(tracker.track(frame(3), Stop())) == 1
    assert network.calls["encode"] == 5


def test_what_was_cut_out_is_followed_without_another_look(tracker: MemoryTracker, network: BrightNetwork) -> None:
    picture = frame(0)
    tracker.cut_out(picture, POINT)
    tracker.add(picture, POINT, 1)
    tracker.cut_out(picture, POINT)
    assert network.calls["encode"] == 1


def test_clicks_on_one_picture_add_up_and_a_box_begins_anew(tracker: MemoryTracker, network: BrightNetwork) -> None:
    picture = frame(0)
    tracker.add(picture, POINT, 1)
    tracker.add(picture, SegmentPrompt(points=((70.0, 50.0),), wanted=(False,)), 1)
    tracker.add(picture, SegmentPrompt(points=((40.0, 30.0),), box=Box(20, 10, 60, 40)), 1)
    first, second, third = network.cues
    assert first.labels.tolist() == [[1]] and first.masks is None
    assert second.labels.tolist() == [[1, 0]] and second.masks is not None and abs(second.masks).max() <= 32
    assert third.labels.tolist() == [[2, 3, 1]]
    np.testing.assert_allclose(third.points[0], np.array([[20, 10], [60, 40], [40, 30]]) * SIZE / [WIDTH, HEIGHT], rtol=1e-6)
    assert tracker.objects == (1,)


def test_memory_stays_bounded_on_an_endless_stream(tracker: MemoryTracker) -> None:
    followed(tracker, 200, 1, 2)
    assert all(maps <= 2 + 7 for maps in tracker.held.values())


def test_maps_are_kept_as_the_reference_keeps_them(tracker: MemoryTracker, network: BrightNetwork) -> None:
    told: list[Memories] = []
    recall = network.recall

    def listening(view: View, memories: Memories | None) -> Any:
        told.extend([] if memories is None else [memories])
        return recall(view, memories)

    network.recall = listening  # type: ignore[method-assign]
    followed(tracker, 3, 1)
    assert {float(value) for of_one in told[-1].maps for one in of_one for value in one.flat} == {1.0}  # bfloat16 has 8 bits


@pytest.mark.parametrize("name", ["encode", "recall", "decode", "memorise"])
def test_a_network_that_fails_once_leaves_the_stream_usable(tracker: MemoryTracker, network: BrightNetwork, name: str) -> None:
    followed(tracker, 3, 1, 2)
    network.failing = name
    with pytest.raises(EngineFailed):
        tracker.track(frame(3), Stop())
    network.failing = ""
    found: tuple[Mask, ...] = tracker.track(frame(4), Stop())
    assert [mask.area > 0 for mask in found] == [True, True]


def test_removing_and_closing_forget(tracker: MemoryTracker) -> None:
    followed(tracker, 2, 1, 2)
    tracker.remove(1)
    tracker.remove(99)
    assert tracker.objects == (2,) and [mask.object_id for mask in tracker.track(frame(2), Stop())] == [2]
    tracker.close()
    assert not tracker.objects
