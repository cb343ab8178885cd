"""The choice among SAM 2's four masks."""

from __future__ import annotations

import numpy as np
import pytest

from edge.policy.candidates import NO_OBJECT, choose
from edge.tracks import Candidates

STEADY, SHAKY = 9.0, 0.01
"""Logits of a mask that keeps its area whatever the threshold, and of one that does not."""


def candidates(first: float, ious: tuple[float, ...], score: float = 4.0) -> Candidates:
    """Four masks of 4x4: of each the left half is object; its pointer tells its place in the four."""
    logits = np.full((1, 4, 4, 4), -9, np.float32)
    logits[0, 0, :, :2] = first
    for mask in (1, 2, 3):
        logits[0, mask, :, :2] = mask
    pointers = np.broadcast_to(np.arange(4, dtype=np.float32)[None, :, None], (1, 4, 256))
    return Candidates(logits, np.array([ious], np.float32), pointers, np.array([score], np.float32))


@pytest.mark.parametrize(
    ("clicks", "first", "mask", "pointer"),
    [
        (0, STEADY, 2, 2),  # followed: whole or part is open, so the best of three
        (1, STEADY, 2, 2),
        (2, STEADY, 0, 0),
        (3, SHAKY, 2, 0),  # unstable: the best of three, with the pointer of the first
    ],
)
def test_which_mask_is_meant(clicks: int, first: float, mask: int, pointer: int) -> None:
    chosen = choose(candidates(first, (1.0, 0.2, 0.8, 0.4)), 0, clicks)
    assert chosen.logits[0, 0] == (first if mask == 0 else mask)
    assert chosen.pointer[0] == pointer
    assert chosen.iou == pytest.approx((1.0, 0.2, 0.8, 0.4)[mask])
    assert chosen.visible and chosen.score == 4


def test_a_mask_without_any_area_is_stable() -> None:
    assert choose(candidates(-9.0, (1.0, 0.2, 0.8, 0.4)), 0, 2).logits.max() == -9


def test_a_hidden_object_has_no_mask() -> None:
    chosen = choose(candidates(STEADY, (1.0, 0.2, 0.8, 0.4), score=-0.5), 0, 1)
    assert not chosen.visible and (chosen.logits == NO_OBJECT).all()


def test_what_is_chosen_does_not_keep_the_batch_alive() -> None:
    chosen = choose(candidates(STEADY, (1.0, 0.2, 0.8, 0.4)), 0, 1)
    assert chosen.logits.base is None and chosen.pointer.base is None
