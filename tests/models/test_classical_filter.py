"""The correlation filters that know an object's place: on textures that are drawn from noise."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.ports import Stop
from edge.tracks import SegmentPrompt
from edge.values import Box, Pixels, VideoFrame
from models.classical import ClassicalSegmenter
from models.classical_colour import Bits
from models.classical_filter import Anchor, constrained

HEIGHT, WIDTH, SIDE = 160, 240, 40


def texture(seed: int, height: int, width: int) -> Pixels:
    """Coarse coloured noise."""
    small = np.random.default_rng(seed).integers(0, 255, (max(2, height // 8), max(2, width // 8), 3), np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def scene(x: int, y: int, side: int = SIDE) -> tuple[Pixels, Bits, Box]:
    """A square of one texture on another, its top left at x, y."""
    pixels, bits = texture(1, HEIGHT, WIDTH), np.zeros((HEIGHT, WIDTH), np.bool_)
    pixels[y : y + side, x : x + side] = cv2.resize(texture(2, SIDE, SIDE), (side, side), interpolation=cv2.INTER_AREA)
    bits[y : y + side, x : x + side] = True
    return pixels, bits, Box(x, y, x + side, y + side)


NOTHING_SPEAKS = np.zeros(4096, np.float32)


@pytest.fixture(scope="module")
def anchor() -> Anchor:
    return Anchor(*scene(60, 60), NOTHING_SPEAKS)


@given(st.integers(-14, 14), st.integers(-14, 14))
@settings(max_examples=15, deadline=None)
def test_it_finds_where_the_object_went(anchor: Anchor, dx: int, dy: int) -> None:
    pixels, _, box = scene(60 + dx, 60 + dy)
    answer = anchor.look(pixels, (80, 80), (0,))
    assert answer.box.centre == pytest.approx(box.centre, abs=2)
    assert answer.sharp > 9


def test_it_knows_that_the_object_is_not_there(anchor: Anchor) -> None:
    there = anchor.look(scene(62, 61)[0], (80, 80), (0,))
    gone = anchor.look(texture(1, HEIGHT, WIDTH), (80, 80), (0,))
    other = anchor.look(texture(3, HEIGHT, WIDTH), (80, 80), (0,))
    assert there.worth > 2 * max(gone.worth, other.worth)
    assert there.sharp > 1.5 * max(gone.sharp, other.sharp)


def test_it_finds_the_size(anchor: Anchor) -> None:
    larger = anchor.look(scene(58, 58, 44)[0], (80, 80), (0, 1, -1, 2))
    assert larger.box.width > SIDE
    assert anchor.look(scene(60, 60)[0], (80, 80), (0, 1, -1)).box.width == pytest.approx(SIDE)


@pytest.mark.parametrize("place", [(10, 20), (180, 100), (150, 10)])
def test_a_sweep_finds_it_anywhere(anchor: Anchor, place: tuple[int, int]) -> None:
    pixels, _, box = scene(*place)
    assert anchor.sweep(pixels) == pytest.approx(box.centre, abs=8)


def test_only_the_objects_own_cells_count() -> None:
    rng = np.random.default_rng(5)
    sample = np.fft.rfft2(rng.normal(size=(3, 20, 24))).astype(np.complex64)
    wish = np.fft.rfft2(np.exp(-np.add.outer(np.fft.fftfreq(20, 1 / 20) ** 2, np.fft.fftfreq(24, 1 / 24) ** 2))).astype(
        np.complex64
    )
    own = np.zeros((20, 24), np.float32)
    own[6:14, 8:16] = 1
    kernel = np.fft.irfft2(constrained(sample, wish, own), (20, 24))
    assert np.abs(kernel[:, own == 0]).max() < 1e-3 * np.abs(kernel).max()


def test_a_mask_that_stays_behind_on_ground_of_the_same_colours_loses_its_score() -> None:
    segmenter = ClassicalSegmenter(threads=1)
    pixels, bits, _ = scene(60, 60)
    segmenter.add(VideoFrame(pixels, 0), SegmentPrompt(mask=bits), 1)
    for index in range(1, 6):
        (mask,) = segmenter.track(VideoFrame(scene(60 + 2 * index, 60)[0], index * 33_000_000, index), Stop())
    assert mask.score > 0.55
    for index in range(6, 40):
        (mask,) = segmenter.track(VideoFrame(texture(1, HEIGHT, WIDTH), index * 33_000_000, index), Stop())
    segmenter.close()
    assert mask.score < 0.5


def test_a_box_means_what_reaches_its_sides() -> None:
    """A spot inside that stands out more than the thing itself is not what the box was drawn around."""
    pixels = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    pixels[50:110, 60:140] = (182, 188, 190)
    pixels[70:84, 64:80] = (20, 20, 220)
    mask = ClassicalSegmenter(threads=1).cut_out(VideoFrame(pixels, 0), SegmentPrompt(box=Box(60, 50, 140, 110)))
    assert mask.box is not None
    assert mask.box.width > 60
    assert mask.box.height > 45
