"""Draws the closed outlines that may be meant by one point: segmentation from a fixation (Mishra et al. 2009).

The picture is unrolled around the point: a row for each direction, a column for each distance. An outline around the point is a
path through all rows that ends where it began; in this form a large one costs no more than a small one. The cheapest path
along strong edges is found by dynamic programming, once for each range of distances.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge.values import Pixels
from models.classical_colour import Bits, Floats, cv

ANGLES = 96
"""Rows of the unrolled picture."""
DISTANCES = 96
"""Columns, evenly spaced in the distance's logarithm: small outlines are drawn as finely as large ones."""
NEAREST = 2.5
"""Pixels of the first column."""
BANDS = 6
"""How many ranges of distances are tried, each overlapping the next by half."""
BEND = 0.06
"""Price of moving by one column from one row to the next, where a full edge is worth 1."""


def outlines(lab: Pixels, x: int, y: int) -> Iterator[Bits]:
    """Gives masks of closed outlines around a point of a picture in Lab, from small to large."""
    height, width = lab.shape[:2]
    farthest = max(3 * NEAREST, 0.75 * max(height, width))
    distances = NEAREST * (farthest / NEAREST) ** (np.arange(DISTANCES) / (DISTANCES - 1))
    angles = 2 * np.pi * np.arange(ANGLES) / ANGLES
    column = (x + np.cos(angles)[:, None] * distances).astype(np.float32)
    row = (y + np.sin(angles)[:, None] * distances).astype(np.float32)
    beyond = (column < 1) | (row < 1) | (column > width - 2) | (row > height - 2)
    unrolled = cv().remap(lab, column, row, cv().INTER_AREA, borderMode=cv().BORDER_REPLICATE).astype(np.float32)
    cost = 1 - _edges(unrolled)
    cost[beyond] = 0.9
    step = DISTANCES // (BANDS + 1)
    for band in range(BANDS):
        low, high = band * step, min(DISTANCES, (band + 2) * step)
        path = _cheapest(cost[:, low:high]) + low
        points = np.stack([column[np.arange(ANGLES), path], row[np.arange(ANGLES), path]], axis=1)
        filled = np.zeros((height, width), np.uint8)
        cv().fillPoly(filled, [np.rint(points).astype(np.int32)], 1)
        if filled.any():
            yield filled > 0


def _edges(unrolled: Floats) -> Floats:
    """Gives how much the colours before and after each column differ, against how much they vary there: 0 to 1."""
    best = np.zeros(unrolled.shape[:2], np.float32)
    wrapped = np.concatenate([unrolled[-4:], unrolled, unrolled[:4]])
    for reach in (3, 6):
        size = (reach, 5)
        mean = cv().blur(wrapped, size, borderType=cv().BORDER_REPLICATE)
        square = cv().blur(wrapped**2, size, borderType=cv().BORDER_REPLICATE)
        varies = np.maximum(square - mean**2, 0).sum(axis=2)
        half = (reach + 1) // 2
        before, after = np.roll(mean, half, axis=1), np.roll(mean, -half, axis=1)
        noise = 0.5 * (np.roll(varies, half, axis=1) + np.roll(varies, -half, axis=1))
        step = ((after - before) ** 2).sum(axis=2)
        edge = 1 - np.exp(-np.sqrt(step / (100 + 1.5 * noise)))
        edge[:, :half] = edge[:, -half:] = 0
        best = np.maximum(best, edge[4:-4])
    return best


def _cheapest(cost: Floats) -> NDArray[np.intp]:
    """Gives for each row the column of the cheapest path that ends, nearly, in the column in which it began."""
    start = int(_path(np.concatenate([cost, cost]), None)[ANGLES])
    return _path(cost, start)


def _path(cost: Floats, start: int | None) -> NDArray[np.intp]:
    rows, columns = cost.shape
    total = cost[0].copy()
    if start is not None:
        total += BEND * 4 * np.abs(np.arange(columns) - start)
    came = np.zeros((rows, columns), np.int64)
    moves = np.arange(-4, 5)
    price = BEND * np.abs(moves, dtype=np.float32)[:, None]
    padded = np.full(columns + 8, np.inf, np.float32)
    for at in range(1, rows):
        padded[4:-4] = total
        ways = np.lib.stride_tricks.sliding_window_view(padded, columns) + price
        best = ways.argmin(axis=0)
        came[at] = np.arange(columns) + moves[best]
        total = ways[best, np.arange(columns)] + cost[at]
    if start is not None:
        total = total + BEND * 4 * np.abs(np.arange(columns) - start)
    path = np.zeros(rows, np.intp)
    path[-1] = int(total.argmin())
    for at in range(rows - 1, 0, -1):
        path[at - 1] = came[at, path[at]]
    return path
