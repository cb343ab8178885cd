"""The scripted eyes see what is drawn."""

from __future__ import annotations

import numpy as np

from edge.ports import Stop
from edge.tracks import SegmentPrompt
from edge.values import Box, Detection, VideoFrame
from models.fakes_sight import COLOURS, FakeDetector, FakeSegmenter, blocks

RED, GREEN = COLOURS["cup"], COLOURS["bottle"]


def drawn(*things: tuple[tuple[int, int, int], Box], index: int = 0) -> VideoFrame:
    pixels = np.zeros((100, 200, 3), np.uint8)
    for colour, box in things:
        pixels[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = colour
    return VideoFrame(pixels, index * 1_000_000, index)


def test_blocks_are_parted_where_rows_or_columns_are_empty() -> None:
    placed = [Box(10, 10, 40, 30), Box(20, 50, 60, 80), Box(160, 5, 180, 90)]
    bits = (drawn(*((RED, box) for box in placed)).pixels == RED).all(axis=2)
    assert sorted(blocks(bits), key=lambda box: box.x0) == placed
    assert blocks(np.zeros((5, 5), np.bool_)) == []


def test_the_detector_names_colours_and_gives_the_largest_first() -> None:
    cup, bottle = Box(10, 10, 20, 20), Box(50, 10, 90, 60)
    found = FakeDetector().detect(drawn((RED, cup), (GREEN, bottle), ((9, 9, 9), Box(100, 0, 150, 50))))
    assert [(one.label, one.box) for one in found] == [("bottle", bottle), ("cup", cup)]


def test_a_scripted_detector_ends_with_its_last_entry() -> None:
    dog = Detection("dog", Box(0, 0, 5, 5), 0.5)
    detector = FakeDetector([[dog], []])
    assert [len(detector.detect(drawn())) for _ in range(3)] == [1, 0, 0]
    assert "dog" in detector.labels


def test_two_blocks_of_a_colour_are_never_mixed_up() -> None:
    segmenter = FakeSegmenter()
    first = drawn((RED, Box(10, 10, 30, 30)), (RED, Box(10, 60, 30, 80)))
    segmenter.add(first, SegmentPrompt(points=((20.0, 20.0),)), 1)
    segmenter.add(first, SegmentPrompt(points=((20.0, 70.0),)), 2)
    upper, lower = segmenter.track(drawn((RED, Box(20, 60, 40, 80)), index=1), Stop())
    assert upper.box is None
    assert lower.box == Box(20, 60, 40, 80)


def test_a_script_goes_by_the_pictures_index() -> None:
    segmenter = FakeSegmenter({1: [Box(0, 0, 10, 10), None, Box(5, 5, 20, 20)]})
    segmenter.add(drawn(), SegmentPrompt(points=((1.0, 1.0),)), 1)
    boxes = [segmenter.track(drawn(index=at), Stop())[0].box for at in (0, 1, 2, 9)]
    assert boxes == [Box(0, 0, 10, 10), None, Box(5, 5, 20, 20), Box(5, 5, 20, 20)]


def test_the_cost_is_spent_once_a_picture() -> None:
    spent: list[float] = []
    segmenter = FakeSegmenter(cost=0.25, spend=lambda seconds, stop: spent.append(seconds))
    segmenter.add(drawn(), SegmentPrompt(points=((1.0, 1.0),)), 1)
    segmenter.track(drawn(index=1), Stop())
    assert spent == [0.25, 0.25]
