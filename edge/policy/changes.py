"""What has changed between two pictures of about the same place.

The head has turned a little between them, and the exposure with it. So the pictures are made small, laid over each other where
they correlate best (phase correlation, Kuglin and Hines, 1975) and brought to one brightness before they are compared. Where
nothing fits it is another view, and only names can be compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.values import Box, Pixels

Small = NDArray[np.float32]

ROWS, COLUMNS = 48, 64
MOST_SHIFT = 0.3
"""Of the picture's side; two pictures that are farther apart share too little to compare."""
SAME_VIEW = 0.55
"""Correlation of the overlap from which two pictures show the same place. With ``ALIKE``, of 85 pairs from videos with a
resting camera 82 are taken for one place (in the rest two children jump through all of the view), of 70 photographs shifted as
by a turn of the head all, and of 77 pairs of different places 5."""
ALIKE = 0.9
"""Share of places that look the same, from which it is the same place whatever the correlation: a wall with one thing less."""
CHANGED = 40.0
"""Levels of 255, after both were brought to one brightness, by which a place has changed."""
LEAST_PLACES = 16
"""Connected places, of 48 x 64, that make a changed region. With both figures 3 of 70 shifted photographs that were otherwise
alike show a change, and 23 of 35 the patch of a twenty-fifth of the picture that was laid on them; with 25 levels and 12 places
it is 12 and 25."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How a picture differs from an earlier one, without names."""

    same_view: bool
    regions: tuple[Box, ...] = ()
    """Changed places in pixels of the newer picture, largest first; empty for another view."""
    brighter: float = 0.0
    """By how much the mean luma has grown, -1 to 1."""


def compare(before: Pixels, now: Pixels) -> Changes:
    """Gives how ``now`` differs from ``before``; the pictures may differ in size."""
    old, new = _small(before), _small(now)
    brighter = float(new.mean() - old.mean()) / 255
    # Before a plain wall there is little to lay on each other, and the head has perhaps not turned at all.
    dy, dx = max(((0, 0), _shift(old, new)), key=lambda shift: _correlation(*_overlap(old, new, *shift)))
    was, seen = _overlap(old, new, dy, dx)
    # The gain of the exposure, by medians: what has changed must not count as light.
    fitted = (was - np.median(was)) * (seen.std() + 1) / (was.std() + 1) + np.median(seen)
    if _correlation(was, seen) < SAME_VIEW and np.mean(_tolerant(fitted, seen) < CHANGED / 2) < ALIKE:
        return Changes(False, (), brighter)
    top, left = max(0, dy), max(0, dx)
    changed = np.zeros((ROWS, COLUMNS), np.bool_)
    changed[top : top + seen.shape[0], left : left + seen.shape[1]] = _tolerant(fitted, seen) > CHANGED
    height, width = now.shape[:2]
    boxes = [
        Box(x0 * width / COLUMNS, y0 * height / ROWS, x1 * width / COLUMNS, y1 * height / ROWS)
        for x0, y0, x1, y1 in regions(changed, LEAST_PLACES)
    ]
    return Changes(True, tuple(boxes), brighter)


def regions(bits: NDArray[np.bool_], least: int) -> list[tuple[int, int, int, int]]:
    """Gives the boxes (x0, y0, x1, y1) of the connected parts of a mask with ``least`` places or more, largest first."""
    left = bits.copy()
    found: list[tuple[int, tuple[int, int, int, int]]] = []
    height, width = bits.shape
    while left.any():
        start = np.unravel_index(int(left.argmax()), left.shape)
        left[start] = False
        part, heap = [start], [start]
        while heap:
            y, x = heap.pop()
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= near[0] < height and 0 <= near[1] < width and left[near]:
                    left[near] = False
                    part.append(near)
                    heap.append(near)
        if len(part) >= least:
            ys, xs = [int(y) for y, _ in part], [int(x) for _, x in part]
            found.append((len(part), (min(xs), min(ys), max(xs) + 1, max(ys) + 1)))
    return [box for _, box in sorted(found, key=lambda one: -one[0])]


def counted(before: Sequence[str], now: Sequence[str]) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Gives which names have come and which have gone, each with how many."""
    was, there = Counter(before), Counter(now)
    return list((there - was).items()), list((was - there).items())


def _small(pixels: Pixels) -> Small:
    """Luma on a grid of ROWS x COLUMNS, each place the mean of the pixels in it."""
    thin = max(1, min(pixels.shape[0] // (4 * ROWS), pixels.shape[1] // (4 * COLUMNS)))
    pixels = pixels[::thin, ::thin]  # four pixels a side are as good a mean of a place as forty
    height, width = pixels.shape[:2]
    rows = np.linspace(0, height, ROWS + 1).astype(np.intp)[:-1]
    columns = np.linspace(0, width, COLUMNS + 1).astype(np.intp)[:-1]
    luma = pixels.astype(np.float32) @ np.array([0.114, 0.587, 0.299], np.float32)  # BT.601
    if height < ROWS or width < COLUMNS:
        return np.asarray(luma[np.ix_(rows, columns)], np.float32)
    sums = np.add.reduceat(np.add.reduceat(luma, rows, axis=0), columns, axis=1)
    counts = np.diff(np.append(rows, height))[:, None] * np.diff(np.append(columns, width))[None, :]
    return np.asarray(sums / counts, np.float32)


def _shift(old: Small, new: Small) -> tuple[int, int]:
    """How far, in rows and columns, the old picture moves to lie on the new one."""
    window = np.hanning(ROWS)[:, None] * np.hanning(COLUMNS)[None, :]
    one, other = (np.fft.rfft2((picture - picture.mean()) * window) for picture in (old, new))
    cross = other * np.conj(one)
    peak = np.fft.irfft2(cross / (np.abs(cross) + 1e-3), s=(ROWS, COLUMNS))
    dy, dx = np.unravel_index(int(peak.argmax()), peak.shape)
    return (int(dy) + ROWS // 2) % ROWS - ROWS // 2, (int(dx) + COLUMNS // 2) % COLUMNS - COLUMNS // 2


def _overlap(old: Small, new: Small, dy: int, dx: int) -> tuple[Small, Small]:
    """The parts of two pictures that show the same once the old one is moved; empty where it is moved too far."""
    if abs(dy) > MOST_SHIFT * ROWS or abs(dx) > MOST_SHIFT * COLUMNS:
        return old[:0], new[:0]
    top, bottom, left, right = max(0, dy), ROWS + min(0, dy), max(0, dx), COLUMNS + min(0, dx)
    return old[top - dy : bottom - dy, left - dx : right - dx], new[top:bottom, left:right]


def _correlation(one: Small, other: Small) -> float:
    if not one.size:
        return -1.0
    a, b = one - one.mean(), other - other.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / norm if norm > 1e-3 else 1.0  # two blank walls are the same view


def _tolerant(was: Small, seen: Small) -> Small:
    """The least difference to any of nine neighbours: half a place of shift makes every edge differ."""
    padded = np.pad(was, 1, mode="edge")
    height, width = seen.shape
    shifted = [padded[dy : dy + height, dx : dx + width] for dy in range(3) for dx in range(3)]
    return np.asarray(np.min([np.abs(seen - one) for one in shifted], axis=0), np.float32)
