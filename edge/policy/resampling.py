"""Scales masks as PyTorch's ``interpolate(mode="bilinear", align_corners=False)`` does, with and without ``antialias``.

Both are linear and separable: two samples for each new one, or, with ``antialias``, a matrix for the rows and one for the
columns. The masks of the SAM 2 reference are made with them, so whoever wants the same masks needs the same edges;
``tests/policy/test_resampling.py`` holds both against each other.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edge.tracks import Floats


def bilinear(planes: Floats, height: int, width: int, *, antialias: bool = False) -> Floats:
    """Gives planes (..., h, w) as (..., height, width), float32.

    ``antialias`` widens the triangle when scaling down, so that every pixel has its say.
    """
    rows, columns = planes.shape[-2:]
    scaled = planes
    if rows != height:
        scaled = _antialiased(rows, height) @ scaled if antialias else _between(scaled, height, -2)
    if columns != width:
        scaled = scaled @ _antialiased(columns, width).T if antialias else _between(scaled, width, -1)
    return np.ascontiguousarray(scaled, np.float32)


def _between(planes: Floats, after: int, axis: int) -> Floats:
    """Mixes the two nearest samples along an axis. No matrix: BLAS's threads spin for 20 ms after one, on others' cores."""
    left, right, share = _plain(planes.shape[axis], after)
    share = share[:, None] if axis == -2 else share
    first = np.take(planes, left, axis)
    mixed: Floats = first + share * (np.take(planes, right, axis) - first)
    return mixed


@lru_cache(maxsize=16)
def _plain(before: int, after: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """The two nearest samples of each new one, and the share of the second."""
    place = np.maximum((np.arange(after) + 0.5) * (before / after) - 0.5, 0)
    left = place.astype(np.int64)
    return left, np.minimum(left + 1, before - 1), (place - left).astype(np.float32)


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
