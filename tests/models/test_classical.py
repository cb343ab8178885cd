"""The classical segmenter on drawn clips, at a small size: whole clips from one click."""

from __future__ import annotations

import numpy as np
import pytest

from edge.ports import Stop
from edge.tracks import SegmentPrompt
from edge.values import Box, VideoFrame
from models.classical import ClassicalSegmenter
from tests.clips import clip, inside, jaccard

SIZE, FRAMES = (180, 320), 24


@pytest.mark.parametrize(
    ("name", "least"),
    [("turning", 0.8), ("hidden", 0.6), ("returns", 0.45), ("flicker", 0.8), ("alike", 0.8)],
)
def test_one_click_carries_through_the_clip(name: str, least: float) -> None:
    pictures = clip(name, SIZE, FRAMES)
    segmenter = ClassicalSegmenter(threads=1)
    first, truths = pictures[0]
    for object_id, bits in truths.items():
        segmenter.add(first, SegmentPrompt(points=(inside(bits),)), object_id)
    scores = [
        jaccard(mask.bits, truth[mask.object_id]) for frame, truth in pictures[1:] for mask in segmenter.track(frame, Stop())
    ]
    segmenter.close()
    assert np.mean(scores) > least


def test_what_is_hidden_scores_low_and_has_no_pixels() -> None:
    pictures = clip("hidden", SIZE, FRAMES)
    segmenter = ClassicalSegmenter(threads=1)
    first, truths = pictures[0]
    segmenter.add(first, SegmentPrompt(mask=truths[1]), 1)
    followed = [(segmenter.track(frame, Stop())[0], truth[1]) for frame, truth in pictures[1:]]
    behind = [mask for mask, truth in followed if not truth.any()]
    assert behind
    assert np.mean([mask.bits.any() for mask in behind]) < 0.35
    assert all(mask.score < 0.3 for mask in behind if not mask.bits.any())


def test_the_twin_that_stood_there_is_not_what_left_though_the_camera_adapts_to_the_light() -> None:
    chance = np.random.default_rng(4)
    ground = np.kron(chance.uniform(90, 150, (9, 16, 3)), np.ones((20, 20, 1)))
    sprite = np.kron(chance.uniform(0, 255, (10, 4, 3)) * (0.9, 0.4, 0.2), np.ones((8, 8, 1)))  # 80 rows, 32 columns
    segmenter = ClassicalSegmenter(threads=1)
    away = []
    for n in range(40):
        top = 60 - 9 * max(0, n - 6)
        picture = ground.copy()
        for x, y in ((240, 60), (80, top)):
            rows = slice(max(0, y), max(0, y + 80))
            picture[rows, x : x + 32] = sprite[80 - (rows.stop - rows.start) :]
        adapted = picture * (1 + 0.02 * min(15, max(0, n - 14)))  # brighter as the dark thing leaves
        pixels = np.clip(adapted + chance.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)
        frame = VideoFrame(pixels, n * 33_000_000, n)
        if n == 0:
            segmenter.add(frame, SegmentPrompt(box=Box(80, 60, 112, 140)), 1)
            continue
        (mask,) = segmenter.track(frame, Stop())
        if top + 80 < 0:
            away.append(mask.area)
    assert len(away) > 10 and not any(away)


def test_clips_are_the_same_every_time_and_their_masks_what_is_drawn() -> None:
    once, twice = clip("hidden", SIZE, 6), clip("hidden", SIZE, 6)
    for (frame, masks), (again, others) in zip(once, twice, strict=True):
        assert np.array_equal(frame.pixels, again.pixels)
        assert np.array_equal(masks[1], others[1])
    frame, masks = once[0]
    assert frame.pixels.shape == (*SIZE, 3)
    red = frame.pixels[..., 2].astype(int) - frame.pixels[..., 0]
    assert red[masks[1]].mean() > red[~masks[1]].mean() + 60
