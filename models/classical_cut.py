"""Cuts out what a prompt means, from one picture and nothing else.

A point says where, not how large. So things of many sizes around it are cut out, by GrabCut (Rother et al. 2004) from discs
and from floods of like colour, and judged as a person would judge an outline: does it run along edges, does the inside look
unlike what surrounds it, is it compact, does it stay clear of the picture's rim.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge.tracks import SegmentPrompt
from edge.values import Box, Pixels
from models.classical_colour import Bits, Floats, Window, bins_of, cv, histogram, lab_of, likeness, parts, window_around
from models.classical_outline import outlines

CUT_SIDE = 176
"""Longest side of the picture that GrabCut works on."""
CLOSER = 0.4
"""What is seen of a picture at the second, closer look, in shares of its longer side."""
RADII = (0.08, 0.15, 0.28)
"""Of the discs, in shares of the window's shorter side."""
FLOODS = (5, 9, 16)
"""Tolerances of the floods, in steps of Lab."""
CORE = 0.25
"""Part of a box, in shares of its half sides squared, that surely is the object, where its colours alone do not tell."""
FILLS = 0.8
"""Worth of a mask that reaches all sides of its box; an outline along clear edges all around is worth 0.5."""
Pins = list[tuple[int, int, bool]]
"""Points in pixels of a window: x, y, whether on the object."""

USUAL = 0.08
"""Share of the picture that a thing has which is worth pointing at: what DAVIS's objects have, about."""
OUTSIDE, INSIDE, MAYBE_OUTSIDE, MAYBE_INSIDE = 0, 1, 2, 3
"""GrabCut's labels."""


def cut_out(pixels: Pixels, prompt: SegmentPrompt) -> tuple[Bits, float]:
    """Gives the mask, (height, width), and how sure it is, 0 to 1. The prompt fits the picture."""
    height, width = pixels.shape[:2]
    if prompt.mask is not None:
        return prompt.mask.copy(), 0.95
    best, window, score = np.zeros((1, 1), np.bool_), Window(0, 0, width, height, 1, 1), -np.inf
    for through, part, pins, masks in _cut_outs(pixels, prompt):
        whole = height * width * through.scale**2
        for mask in masks:
            kept = _kept(mask, pins)
            quality = _quality(part, kept, pins, whole) + _fills(kept, prompt.box, through)
            if quality > score:
                best, window, score = kept, through, quality
    bits = window.paste(_smooth(best), height, width)
    if not bits.any():  # something of a pixel or two, or nothing to tell it by
        bits = _dot(prompt, height, width)
    return bits, float(np.clip(score, 0.05, 1.0))


def _cut_outs(pixels: Pixels, prompt: SegmentPrompt) -> Iterator[tuple[Window, Pixels, Pins, Iterator[Bits]]]:
    """Gives the windows that are looked through, each with its pixels, its points, and what was cut out there."""
    height, width = pixels.shape[:2]
    if (named := prompt.box) is not None:
        box = Box(max(0, named.x0), max(0, named.y0), min(width, named.x1), min(height, named.y1))
        window = window_around(box, height, width, margin=0.35, side=CUT_SIDE)
        part, pins = np.asarray(window.view(pixels), np.uint8), _pins(prompt, window)
        yield window, part, pins, _boxed_guesses(part, pins, box, window)
        return
    whole = Window(0, 0, width, height, *_fitted(width, height))
    for window in (whole, _closer(prompt, height, width)) if whole.scale < 1 else (whole,):
        part, pins = np.asarray(window.view(pixels), np.uint8), _pins(prompt, window)
        yield window, part, pins, _guesses(part, pins)


def _closer(prompt: SegmentPrompt, height: int, width: int) -> Window:
    """A window around the points that shows small things in more detail."""
    xs, ys = zip(*prompt.points, strict=True)
    side = CLOSER * max(height, width)
    x, y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    half_x, half_y = (max(xs) - min(xs) + side) / 2, (max(ys) - min(ys) + side) / 2
    x0, y0, x1, y1 = max(0, int(x - half_x)), max(0, int(y - half_y)), int(x + half_x) + 1, int(y + half_y) + 1
    x1, y1 = min(width, x1), min(height, y1)
    return Window(x0, y0, x1, y1, *_fitted(x1 - x0, y1 - y0))


def _fitted(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, CUT_SIDE / max(width, height))
    return max(8, round(width * scale)), max(8, round(height * scale))


def _pins(prompt: SegmentPrompt, window: Window) -> Pins:
    """Gives the points in pixels of the window: x, y, whether on the object."""
    across, down = window.width / (window.x1 - window.x0), window.height / (window.y1 - window.y0)
    wanted = prompt.wanted or (True,) * len(prompt.points)
    return [
        (
            int(np.clip((x - window.x0) * across, 0, window.width - 1)),
            int(np.clip((y - window.y0) * down, 0, window.height - 1)),
            yes,
        )
        for (x, y), yes in zip(prompt.points, wanted, strict=True)
    ]


def _boxed_guesses(part: Pixels, pins: Pins, box: Box, window: Window) -> Iterator[Bits]:
    """Gives what a box may mean: what is unlike all beyond it; that around a sure core; at least an ellipse."""
    across, down = window.width / (window.x1 - window.x0), window.height / (window.y1 - window.y0)
    x = ((np.arange(window.width) + 0.5) / across + window.x0 - box.centre[0]) / (box.width / 2)
    y = ((np.arange(window.height) + 0.5) / down + window.y0 - box.centre[1]) / (box.height / 2)
    inside = np.maximum(np.abs(x)[None], np.abs(y)[:, None]) <= 1.02
    round_ = x[None] ** 2 + y[:, None] ** 2
    seeds = np.asarray(np.where(inside, MAYBE_INSIDE, OUTSIDE), np.uint8)
    yield _grab(part, _pinned(seeds.copy(), pins), 4)
    yield _grab(part, _pinned(np.where(round_ < CORE, INSIDE, seeds).astype(np.uint8), pins), 4)
    yield round_ < 0.9


def _fills(mask: Bits, box: Box | None, window: Window) -> float:
    """Says how well a mask reaches the sides of its box, 0 to ``FILLS``: a box is drawn around all of a thing."""
    if box is None or not mask.any():
        return 0.0
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    across, down = window.width / (window.x1 - window.x0), window.height / (window.y1 - window.y0)
    wide, high = (xs[-1] + 1 - xs[0]) / across / box.width, (ys[-1] + 1 - ys[0]) / down / box.height
    return FILLS * min(1.0, float(wide)) * min(1.0, float(high))


def _guesses(part: Pixels, pins: Pins) -> Iterator[Bits]:
    """Gives things of many sizes at the points that are wanted."""
    height, width = part.shape[:2]
    on = [(x, y) for x, y, yes in pins if yes] or [(width // 2, height // 2)]
    rows, columns = np.mgrid[0:height, 0:width]
    away = np.min([np.hypot(columns - x, rows - y) for x, y in on], axis=0)
    spread = max(np.hypot(x - on[0][0], y - on[0][1]) for x, y in on)
    for share in RADII:
        radius = share * min(height, width) + 0.3 * spread
        seeds = np.where(away < radius, MAYBE_INSIDE, np.where(away < 2.4 * radius, MAYBE_OUTSIDE, OUTSIDE))
        core = max(1.0, 0.2 * radius)
        seeds[away < core] = INSIDE
        yield _grab(part, _pinned(np.asarray(seeds, np.uint8), pins), 3)
    soft = cv().pyrMeanShiftFiltering(part, 5, 12, maxLevel=1)
    lab = cv().cvtColor(soft, cv().COLOR_BGR2Lab)
    for drawn in outlines(lab_of(part), *on[0]):
        yield drawn
        yield _grab(part, _pinned(_loosely(drawn), pins), 2)
    for tolerance in FLOODS:
        flood = np.zeros((height, width), np.bool_)
        for seed in on:
            filled = np.zeros((height + 2, width + 2), np.uint8)
            flags = 4 | (1 << 8) | cv().FLOODFILL_MASK_ONLY | cv().FLOODFILL_FIXED_RANGE
            step = (2 * tolerance, tolerance, tolerance)
            cv().floodFill(lab, filled, seed, 0, step, step, flags)
            flood |= filled[1:-1, 1:-1] > 0
        if not 8 <= np.count_nonzero(flood) < 0.7 * flood.size:
            continue
        yield flood
        yield _grab(part, _pinned(_loosely(flood), pins), 2)


def _loosely(mask: Bits) -> NDArray[np.uint8]:
    """Seeds of a mask that may be a little wrong all along its edge."""
    reach = max(2, round(0.2 * float(np.sqrt(np.count_nonzero(mask)))))
    grown = cv().dilate(mask.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0
    return np.asarray(np.where(mask, MAYBE_INSIDE, np.where(grown, MAYBE_OUTSIDE, OUTSIDE)), np.uint8)


def _pinned(seeds: NDArray[np.uint8], pins: Pins) -> NDArray[np.uint8]:
    for x, y, yes in pins:
        radius = 1 if yes else max(2, min(seeds.shape) // 40)
        cv().circle(seeds, (x, y), radius, INSIDE if yes else OUTSIDE, -1)
    return seeds


def _grab(part: Pixels, seeds: NDArray[np.uint8], rounds: int) -> Bits:
    """GrabCut within what the seeds leave open, and a little around it."""
    if not (seeds & 1).any() or (seeds & 1).all():
        return np.asarray(seeds & 1, np.bool_)
    open_ = seeds != OUTSIDE
    ys, xs = np.flatnonzero(open_.any(axis=1)), np.flatnonzero(open_.any(axis=0))
    pad = max(3, (xs[-1] - xs[0] + ys[-1] - ys[0]) // 8)
    crop = np.s_[max(0, ys[0] - pad) : ys[-1] + pad, max(0, xs[0] - pad) : xs[-1] + pad]
    labels = np.ascontiguousarray(seeds[crop])
    if not (labels & 1 == 0).any():
        return np.asarray(seeds & 1, np.bool_)
    cv().setRNGSeed(1)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv().grabCut(np.ascontiguousarray(part[crop]), labels, None, *models, rounds, cv().GC_INIT_WITH_MASK)
    bits = np.zeros(seeds.shape, np.bool_)
    bits[crop] = (labels & 1) > 0
    return bits


def _kept(mask: Bits, pins: Pins) -> Bits:
    """Keeps the parts that hold a wanted point (without points: all but specks) and fills their holes."""
    labels, areas = parts(mask)
    on = [labels[y, x] for x, y, yes in pins if yes and labels[y, x]]
    keep = np.isin(np.arange(len(areas)), on) if on else areas > 0.05 * areas[1:].sum()
    keep[0] = False
    kept = keep[labels]
    holes, sizes = parts(~kept)
    off = {int(holes[y, x]) for x, y, yes in pins if not yes}
    small = sizes < 0.03 * max(1, int(np.count_nonzero(kept)))
    small[0] = False
    small[list(off)] = False
    return np.asarray(kept | small[holes], np.bool_)


def _quality(part: Pixels, mask: Bits, pins: Pins, whole: float) -> float:
    """Says how much a mask looks like the outline of a thing, about 0 to 1.

    All of the picture would have ``whole`` pixels of the mask's size.
    """
    area = int(np.count_nonzero(mask))
    if area < 6 or area > 0.9 * mask.size:
        return 0.0
    lab = lab_of(part)
    contours, _ = cv().findContours(mask.astype(np.uint8), cv().RETR_EXTERNAL, cv().CHAIN_APPROX_NONE)
    outline = max(contours, key=len)
    hull = max(1.0, float(cv().contourArea(cv().convexHull(outline))))
    reach = max(2, round(0.25 * np.sqrt(area)))
    ring = (cv().dilate(mask.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0) & ~mask
    bins = bins_of(lab)
    unlike = 1 - likeness(histogram(bins, mask), histogram(bins, ring)) if ring.any() else 0.0
    edge, rim = _along(lab.astype(np.float32), mask, outline[:, 0])
    compact = min(1.0, area / hull)
    share = np.log(area / whole / USUAL)
    missed = sum(bool(mask[y, x]) != yes for x, y, yes in pins)
    size = float(np.exp(-((share / 2) ** 2)))
    return float(0.5 * edge + 0.1 * unlike + 0.07 * compact + 0.13 * size + 0.2 * _centred(mask, pins) - 0.5 * rim - missed)


def _centred(mask: Bits, pins: Pins) -> float:
    """Says how near the middle of a mask the points on it are, 0 to 1: fingers and eyes go for the middle."""
    on = [(x, y) for x, y, yes in pins if yes]
    if not on:
        return 1.0
    ys, xs = np.nonzero(mask)
    x, y = np.mean(on, axis=0)
    away = (x - xs.mean()) ** 2 / max(1.0, float(xs.var())) + (y - ys.mean()) ** 2 / max(1.0, float(ys.var()))
    return float(np.exp(-0.5 * away))


def _along(lab: Floats, mask: Bits, outline: NDArray[np.int32]) -> tuple[float, float]:
    """Gives how marked the edge is along an outline, 0 to 1, and the share of the outline on the picture's rim."""
    height, width = mask.shape
    x, y = outline[:, 0], outline[:, 1]
    on_rim = (x <= 1) | (y <= 1) | (x >= width - 2) | (y >= height - 2)
    within, without = mask.astype(np.float32), 1 - mask.astype(np.float32)
    size = (5, 5)

    def side(weight: Floats) -> Floats:
        total = cv().blur(weight, size)[y, x]
        return np.asarray(cv().blur(lab * weight[..., None], size)[y, x] / np.maximum(total, 1e-3)[:, None], np.float32)

    step = np.linalg.norm(side(np.asarray(within, np.float32)) - side(np.asarray(without, np.float32)), axis=1)
    marked = np.where(on_rim, 0.3, 1 - np.exp(-step / 14))
    # an outline is as good as its worst fifth: where it cuts across a thing there is no edge at all
    return float(0.6 * marked.mean() + 0.4 * np.percentile(marked, 20)), float(on_rim.mean())


def _smooth(mask: Bits) -> Floats:
    return np.asarray(cv().GaussianBlur(mask.astype(np.float32), (3, 3), 0) - 0.5, np.float32)


def _dot(prompt: SegmentPrompt, height: int, width: int) -> Bits:
    """The least that a prompt means: the pixels of its box, or those around its points."""
    dot = np.zeros((height, width), np.uint8)
    if (box := prompt.box) is not None:
        dot[max(0, int(box.y0)) : int(np.ceil(box.y1)), max(0, int(box.x0)) : int(np.ceil(box.x1))] = 1
    wanted = prompt.wanted or (True,) * len(prompt.points)
    for (x, y), yes in zip(prompt.points, wanted, strict=True):
        if yes or not dot.any():
            cv().circle(dot, (int(x), int(y)), max(1, min(height, width) // 60), 1, -1)
    return dot > 0


def amend(pixels: Pixels, prompt: SegmentPrompt, bits: Bits) -> tuple[Bits, float] | None:
    """Corrects a mask by points on and off the object; gives None where the prompt means something new, not a correction."""
    if prompt.mask is not None or prompt.box is not None:
        return None
    height, width = bits.shape
    size = float(np.sqrt(np.count_nonzero(bits)))
    near = cv().distanceTransform((~bits).astype(np.uint8), cv().DIST_L2, 3) < 0.6 * size
    wanted = prompt.wanted or (True,) * len(prompt.points)
    if any(yes and not near[int(y), int(x)] for (x, y), yes in zip(prompt.points, wanted, strict=True)):
        return None
    window = Window(0, 0, width, height, *_fitted(width, height))
    pins = _pins(prompt, window)
    scale = window.scale
    was = np.asarray(window.view(bits.astype(np.float32))) > 0.5
    room = np.asarray(window.view(near.astype(np.float32))) > 0
    seeds = np.asarray(np.where(was, MAYBE_INSIDE, np.where(room, MAYBE_OUTSIDE, OUTSIDE)), np.uint8)
    for x, y, yes in pins:
        cv().circle(seeds, (x, y), max(1, round(0.12 * size * scale)), INSIDE if yes else OUTSIDE, -1)
    part = np.asarray(window.view(pixels), np.uint8)
    mask = _kept(_grab(part, _pinned(seeds, pins), 3), pins)
    amended = window.paste(_smooth(mask), height, width)
    return (amended, max(0.05, _quality(part, mask, pins, mask.size))) if amended.any() else None
