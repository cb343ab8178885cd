"""Scales masks as PyTorch's ``interpolate(mode="bilinear", align_corners=False)`` does, with and without ``antialias``.

Both are linear and separable: a matrix for the rows and one for the columns. The masks of the SAM 2 reference are made with
them, so whoever wants the same masks needs the same edges; ``tests/policy/test_resampling.py`` holds both against each other.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from edge.tracks import Floats


def bilinear(planes: Floats, height: int, width: int, *, antialias: bool = False) -> Floats:
    """Gives planes (..., h, w) as (..., height, width), float32.

    ``antialias`` widens the triangle when scaling down, so that every pixel has its say.
    """
    rows, columns = planes.shape[-2:]
    weights = _antialiased if antialias else _plain
    scaled = planes
    if rows != height:
        scaled = weights(rows, height) @ scaled
    if columns != width:
        scaled = scaled @ weights(columns, width).T
    return np.ascontiguousarray(scaled, np.float32)


@lru_cache(maxsize=16)
def _plain(before: int, after: int) -> Floats:
    """The matrix (after, before) of the two nearest samples."""
    place = np.maximum((np.arange(after) + 0.5) * (before / after) - 0.5, 0)
    left = place.astype(np.int64)
    share = place - left
    weights = np.zeros((after, before), np.float32)
    line = np.arange(after)
    np.add.at(weights, (line, left), (1 - share).astype(np.float32))
    np.add.at(weights, (line, np.minimum(left + 1, before - 1)), share.astype(np.float32))
    return weights


@lru_cache(maxsize=16)
def _antialiased(before: int, after: int) -> Floats:
    """The matrix (after, before) of a triangle as wide as the step between samples, cut off and normalised at the borders."""
    scale = before / after
    reach = max(scale, 1.0)
    centre = scale * (np.arange(after)[:, None] + 0.5)
    sample = np.arange(before)[None, :]
    inside = (sample >= np.floor(centre - reach + 0.5)) & (sample < np.floor(centre + reach + 0.5))
    weights = np.where(inside, np.maximum(1 - np.abs(sample - centre + 0.5) / reach, 0), 0)
    normalised: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised
