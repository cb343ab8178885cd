"""Overlays: boxes, turned boxes, and masks as COCO's run lengths."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.studio.overlay import code_overlay, detection_overlay, mask_overlay, run_lengths, text_overlay
from edge.values import Box, Code, Detection, Mask, TextLine


def turned_box(width: float, height: float, angle: float) -> Box:
    cos, sin = abs(np.cos(np.radians(angle))), abs(np.sin(np.radians(angle)))
    w, h = width * cos + height * sin, width * sin + height * cos
    return Box(300 - w / 2, 200 - h / 2, 300 + w / 2, 200 + h / 2)


@pytest.mark.parametrize("angle", [0.0, 1.5, -1.5, 180.0, -179.0])
def test_a_level_line_is_its_box(angle: float) -> None:
    overlay = text_overlay(TextLine("EXIT", Box(1, 2, 30, 12), 0.98765, angle))
    assert overlay == {"kind": "text", "label": "EXIT", "score": 0.988, "box": [1, 2, 30, 12]}


@pytest.mark.parametrize("angle", [-90.0, -75.0, -20.0, 8.0, 30.0, 90.0, 150.0])
def test_a_turned_line_is_the_rectangle_inside_its_box(angle: float) -> None:
    overlay = text_overlay(TextLine("EXIT", turned_box(120, 18, angle), 1.0, angle))
    corners = np.array(overlay["polygon"])
    edges = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    assert edges == pytest.approx([120, 18, 120, 18], abs=0.3)
    along = corners[1] - corners[0]
    assert np.degrees(np.arctan2(along[1], along[0])) == pytest.approx(angle, abs=0.5)
    assert corners.mean(axis=0) == pytest.approx([300, 200], abs=0.1)


@pytest.mark.parametrize("angle", [45.0, -45.0, 135.0])
def test_at_45_degrees_the_box_tells_nothing_and_is_drawn_as_it_is(angle: float) -> None:
    assert "box" in text_overlay(TextLine("EXIT", turned_box(120, 18, angle), 1.0, angle))


def test_a_box_that_cannot_hold_such_a_line_is_drawn_as_it_is() -> None:
    assert "box" in text_overlay(TextLine("EXIT", Box(0, 0, 100, 5), 1.0, 30.0))


def test_codes_and_detections() -> None:
    assert code_overlay(Code("qr", "hello", Box(0, 0, 5, 5)))["label"] == "qr hello"
    assert detection_overlay(Detection("cup", Box(0, 0, 5, 5), 0.5)) == {
        "kind": "detection",
        "label": "cup",
        "score": 0.5,
        "box": [0, 0, 5, 5],
    }


def decode(size: list[int], counts: list[int]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """The page's way: runs of background and object in turn, down the columns."""
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(size, order="F")


@given(st.integers(1, 7), st.integers(1, 7), st.data())
def test_a_mask_comes_back_from_its_run_lengths(height: int, width: int, data: st.DataObject) -> None:
    bits = np.array(data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width)))
    mask = Mask(3, bits.reshape(height, width), 0.9)
    overlay = json.loads(json.dumps(mask_overlay(mask)))
    assert np.array_equal(decode(overlay["rle"]["size"], overlay["rle"]["counts"]), mask.bits)


def test_the_run_lengths_are_those_of_coco() -> None:
    # The example of pycocotools' maskApi.h: M = [0 0 1 1 1 0 1] is [2 3 1 1], and M = [1 1 1 1 1 1 0] is [0 6 1].
    for bits, counts in (([0, 0, 1, 1, 1, 0, 1], [2, 3, 1, 1]), ([1, 1, 1, 1, 1, 1, 0], [0, 6, 1])):
        assert run_lengths(Mask(0, np.array(bits, bool).reshape(7, 1), 1.0)) == counts
