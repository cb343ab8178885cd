"""Finds an object again that was lost, by its colours first and their arrangement second.

The picture is projected back on the object's colours; boxes of its shape, at several sizes, are tried everywhere by box
filters. The best few are cut out and compared with what is remembered: the histogram, and a small picture of the object.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge.values import Box, Pixels
from models.classical_carry import MOST, Colours, connected
from models.classical_colour import (
    Bits,
    Floats,
    Window,
    bins_of,
    cv,
    guided,
    histogram,
    lab_of,
    likeness,
    log_ratio,
    signed_distance,
    window_around,
)

SEARCH_SIDE = 240
"""Longest side of the picture that is searched."""
SCALES = (0.5, 0.7, 1.0, 1.4, 2.0)
"""Sizes that are tried, relative to the object's when it was last seen."""
TRIED = 3
"""How many places are looked at closely."""
THUMB = 12
"""Side of the small picture by which arrangements are compared."""


@dataclass(frozen=True, slots=True)
class Look:
    """How an object looked once."""

    thumb: Floats
    """(THUMB, THUMB, 3): Lab within its box, minus the mean, of length 1; 0 outside the object."""
    outline: Floats
    """(THUMB, THUMB): share of each cell that is object."""
    width: float
    """Of its box, in pixels of the picture."""
    height: float


@dataclass(frozen=True, slots=True)
class Found:
    """An object that seems to be back."""

    bits: Bits
    alike: float
    """0 to 1: how much it is like what is remembered."""


def look_of(pixels: Pixels, bits: Bits, box: Box) -> Look:
    """Remembers how the object in ``bits``, whose box is ``box``, looks."""
    part = np.s_[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)]
    outline = cv().resize(bits[part].astype(np.float32), (THUMB, THUMB), interpolation=cv().INTER_AREA)
    colours = cv().resize(cv().cvtColor(pixels[part], cv().COLOR_BGR2Lab), (THUMB, THUMB), interpolation=cv().INTER_AREA)
    weights = outline[..., None]
    thumb = colours.astype(np.float32)
    thumb = (thumb - (thumb * weights).sum(axis=(0, 1)) / max(1e-3, float(weights.sum()))) * weights
    thumb /= max(1.0, float(np.linalg.norm(thumb)))
    return Look(np.asarray(thumb, np.float32), np.asarray(outline, np.float32), box.width, box.height)


def alike(first: Look, second: Look) -> float:
    """Gives how alike two arrangements of colours are, -1 to 1."""
    return float((first.thumb * second.thumb).sum())


def find(
    pixels: Pixels, colours: Colours, looks: list[Look], area: float, taken: Bits | None, near: Box | None
) -> Found | None:
    """Looks for the object in the whole picture, or with its middle in ``near``; gives None where nothing is like it.

    ``taken`` is what other objects cover, ``area`` the object's in pixels when it was last seen.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, SEARCH_SIDE / max(height, width))
    whole = Window(0, 0, width, height, max(1, round(width * scale)), max(1, round(height * scale)))
    bins = bins_of(lab_of(np.asarray(whole.view(pixels), np.uint8)))
    everywhere = np.ones(bins.shape, np.bool_)
    ratio = log_ratio(0.6 * colours.first + 0.4 * colours.now, 0.5 * (colours.ground + histogram(bins, everywhere)), MOST)
    signs = np.tanh(ratio[bins] / 2)
    if taken is not None:
        signs[whole.view(taken.astype(np.uint8)) > 0] = -1
    best: Found | None = None
    for box in _places(np.asarray(signs, np.float32), looks[-1], scale, near):
        found = cut_in(pixels, colours, looks, area, taken, box, ratio)
        if found is not None and (best is None or found.alike > best.alike):
            best = found
    return best


def _places(signs: Floats, look: Look, scale: float, near: Box | None) -> list[Box]:
    """Gives the most promising boxes, in pixels of the picture, best first."""
    rows, columns = signs.shape
    tried: list[tuple[Floats, float, float]] = []
    for factor in SCALES:
        across, down = max(3, round(look.width * scale * factor)), max(3, round(look.height * scale * factor))
        if across > 1.2 * columns or down > 1.2 * rows:
            continue
        inner = cv().blur(signs, (across, down), borderType=cv().BORDER_REPLICATE)
        outer = cv().blur(signs, (across * 8 // 5 + 1, down * 8 // 5 + 1), borderType=cv().BORDER_REPLICATE)
        ring = (2.56 * outer - inner) / 1.56
        tried.append((np.asarray(inner - 0.6 * ring, np.float32), across / scale, down / scale))
    if near is not None:
        y, x = np.mgrid[0:rows, 0:columns] / scale
        beyond = (x < near.x0) | (x > near.x1) | (y < near.y0) | (y > near.y1)
        for scores, _, _ in tried:
            scores[beyond] = -np.inf
    places = []
    for _ in range(TRIED if tried else 0):
        scores, wide, high = max(tried, key=lambda one: float(one[0].max()))
        row, column = np.unravel_index(int(scores.argmax()), scores.shape)
        if scores[row, column] < 0.15:
            break
        x_, y_ = (column + 0.5) / scale, (row + 0.5) / scale
        places.append(Box(x_ - wide / 2, y_ - high / 2, x_ + wide / 2, y_ + high / 2))
        half_x, half_y = max(1, round(wide * scale / 2)), max(1, round(high * scale / 2))
        for other, _, _ in tried:
            other[max(0, row - half_y) : row + half_y + 1, max(0, column - half_x) : column + half_x + 1] = -np.inf
    return places


def cut_in(
    pixels: Pixels, colours: Colours, looks: list[Look], area: float, taken: Bits | None, box: Box, ratio: Floats | None = None
) -> Found | None:
    """Cuts out what is in a box and says how like the object it is. ``ratio``: how much each colour speaks for the object."""
    height, width = pixels.shape[:2]
    ratio = colours.logit() if ratio is None else ratio
    window = window_around(box, height, width)
    part = np.asarray(window.view(pixels), np.uint8)
    bins = bins_of(lab_of(part))
    expected = _stamp(looks[-1], box, window)
    grey = cv().cvtColor(part, cv().COLOR_BGR2GRAY).astype(np.float32) / 255
    shape = np.clip(signed_distance(expected > 0.3) / (0.12 * np.sqrt(expected.size)), -2, 1)
    logit = guided(grey, np.asarray(ratio[bins] + shape, np.float32), 3, 1e-3)
    valid = window.valid(height, width)
    if taken is not None:
        valid &= window.view(taken.astype(np.uint8)) == 0
    logit = connected(np.where(valid, logit, np.float32(-MOST)), (expected > 0.3) & valid)
    there = logit > 0
    bits = window.paste(logit, height, width)
    if taken is not None:
        bits &= ~taken
    size = int(np.count_nonzero(bits))
    if size < max(16.0, 0.12 * area) or size > 5 * area or not there.any():
        return None
    counted = histogram(bins, there)
    colour = max(likeness(counted, colours.first), likeness(counted, colours.now))
    ys, xs = np.flatnonzero(bits.any(axis=1)), np.flatnonzero(bits.any(axis=0))
    now = look_of(pixels, bits, Box(float(xs[0]), float(ys[0]), float(xs[-1] + 1), float(ys[-1] + 1)))
    arranged = max(alike(now, look) for look in looks)
    return Found(bits, max(0.0, min(1.0, 0.75 * colour + 0.25 * arranged)))


def _stamp(look: Look, box: Box, window: Window) -> Floats:
    """Puts a remembered outline into a box: (height, width) of the window, 0 to 1."""
    across, down = window.width / (window.x1 - window.x0), window.height / (window.y1 - window.y0)
    place = np.array(
        [
            [box.width * across / THUMB, 0, (box.x0 - window.x0) * across],
            [0, box.height * down / THUMB, (box.y0 - window.y0) * down],
        ],
        np.float32,
    )
    return np.asarray(cv().warpAffine(look.outline, place, (window.width, window.height)), np.float32)
