"""Carries an object's mask from one picture to the next.

Dense flow (DIS, Kroeger et al. 2016) brings the old mask; what it is sure of, forwards and backwards, counts for more. Colour
then decides in a band along the edge: by the object's colours as a whole and, as in Video SnapCut (Bai et al. 2009), by what
the same colours were *near there* in the last picture. The guided filter draws the result to the picture's own edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.values import Box, Pixels
from models.classical_colour import (
    STEPS,
    Bins,
    Bits,
    Floats,
    Window,
    bins_of,
    cv,
    guided,
    histogram,
    lab_of,
    log_ratio,
    parts,
    signed_distance,
)

CLUSTERS = 14
"""Colours that the local models tell apart."""
NEARBY = 0.22
"""How far "near there" reaches, in shares of the square root of the object's area."""
SCARCE = 0.01
"""Share of the pixels around a place from which a colour tells something about the place."""
GROWTH = 1.2
"""By how much an object's area may grow from one picture to the next."""
MOST = 4.0
"""Largest logit of anything: one cue alone never decides against all others."""


@dataclass(slots=True)
class Colours:
    """What an object and its surroundings look like, by colour: histograms (4096,)."""

    first: Floats
    """The object's, as it was pointed out."""
    now: Floats
    """The object's, as it has become."""
    ground: Floats
    """The surroundings', lately."""

    def logit(self) -> Floats:
        """Gives for each colour how much it speaks for the object: (4096,)."""
        return log_ratio(0.5 * (self.first + self.now), self.ground, MOST)

    def learn(self, bins: Bins, bits: Bits, around: Bits, rate: float) -> None:
        """Takes in what the last picture showed; the surroundings change faster than the object."""
        if bits.any():
            self.now = (1 - rate) * self.now + rate * histogram(bins, bits)
        if around.any():
            fast = min(1.0, 4 * rate)
            self.ground = (1 - fast) * self.ground + fast * histogram(bins, around)


@dataclass(frozen=True, slots=True)
class Carried:
    """An object in the next picture, in the pixels of its window."""

    window: Window
    logit: Floats
    """Above 0 is object."""
    bins: Bins
    fit: float
    """How well the colours at the place that flow points to fit the object, 0 to 1."""
    agreed: float
    """Share of the object's pixels on which forward and backward flow agree."""
    gone: tuple[float, float]
    """How far most of the object went, dx and dy in pixels of the picture."""


def flow_engine() -> Any:
    """Gives the dense flow. Raises EngineMissing."""
    return cv().DISOpticalFlow_create(cv().DISOPTICAL_FLOW_PRESET_FAST)


def carry(
    flow: Any, before: Window, after: Window, old: Pixels, new: Pixels, mask: Bits, colours: Colours, *, partial: bool
) -> Carried:
    """Brings ``mask``, (height, width) of the picture ``old``, to the picture ``new``. ``after`` is ``before``, moved.

    ``partial`` says that a good part of the object was hidden: what comes into view may then be it.
    """
    first, second = before.view(old), after.view(new)
    grey_first, grey_second = (cv().cvtColor(part, cv().COLOR_BGR2GRAY) for part in (first, second))
    back = flow.calc(grey_second, grey_first, None)  # (h, w, 2): where each new pixel was
    forth = flow.calc(grey_first, grey_second, None)
    rows, columns = np.mgrid[0 : before.height, 0 : before.width].astype(np.float32)
    x, y = columns + back[..., 0], rows + back[..., 1]
    was = before.view(mask.astype(np.float32))
    brought = np.asarray(cv().remap(was, x, y, cv().INTER_LINEAR, borderMode=cv().BORDER_REPLICATE), np.float32)
    loop = back + cv().remap(forth, x, y, cv().INTER_LINEAR, borderMode=cv().BORDER_REPLICATE)
    agree = (loop**2).sum(axis=2) < 2.0 + 0.02 * (back**2).sum(axis=2)
    in_sight = before.valid(*mask.shape)
    agree &= cv().remap(in_sight.astype(np.uint8), x, y, cv().INTER_NEAREST) > 0
    there = brought > 0.5
    lab_first, lab_second = lab_of(first), lab_of(second)
    bins = bins_of(lab_second)
    overall = colours.logit()[bins]
    reach = max(4, round(NEARBY * float(np.sqrt(was.sum()))))
    colour = _locally(lab_first, was, in_sight, lab_second, (x, y), reach, overall)
    weight = np.where(agree, 0.25, 0.8) if partial else np.float32(0.25)
    logit = _joined(brought, agree, colour + weight * overall, cv().GaussianBlur(grey_second, (3, 3), 0))
    fit = float(_sigmoid(colour[there]).mean()) if there.any() else 0.0
    agreed, gone = 0.0, (0.0, 0.0)
    if there.any():
        agreed = float(agree[there].mean())
        dx, dy = (-float(np.median(back[..., axis][there])) / after.scale for axis in (0, 1))
        gone = after.x0 - before.x0 + dx, after.y0 - before.y0 + dy
    return Carried(after, logit, bins, fit, agreed, gone)


def displaced(old: Pixels, new: Pixels, mask: Bits, box: Box) -> tuple[float, float]:
    """Gives how far the object has jumped, dx and dy in pixels, where it is small and too fast for dense flow.

    The object's own pixels are laid on every place within reach; the least mean squared difference wins.
    """
    height, width = mask.shape
    reach = 1.5 * max(box.width, box.height) + 0.04 * max(height, width)
    scale = min(1.0, 28 / max(box.width, box.height))
    x0, y0 = max(0, int(box.x0 - reach)), max(0, int(box.y0 - reach))
    x1, y1 = min(width, int(box.x1 + reach) + 1), min(height, int(box.y1 + reach) + 1)

    def small(array: NDArray[Any], part: tuple[slice, slice]) -> NDArray[Any]:
        rows, columns = (max(3, round((one.stop - one.start) * scale)) for one in part)
        return np.asarray(cv().resize(array[part], (columns, rows), interpolation=cv().INTER_AREA))

    own = np.s_[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)]
    where = small(new, np.s_[y0:y1, x0:x1])
    what = small(old, own)
    if what.shape[0] > where.shape[0] or what.shape[1] > where.shape[1]:
        return 0.0, 0.0
    on = (small(mask.astype(np.float32), own) > 0.5).astype(np.float32)
    if not on.any():
        return 0.0, 0.0
    worth = cv().matchTemplate(where.astype(np.float32), what.astype(np.float32), cv().TM_SQDIFF, None, np.dstack([on] * 3))
    row, column = np.unravel_index(int(np.nan_to_num(worth, posinf=np.inf).argmin()), worth.shape)
    return x0 + column / scale - box.x0, y0 + row / scale - box.y0


def _joined(brought: Floats, agree: Bits, colour: Floats, grey: Pixels) -> Floats:
    """Weighs shape against colour and keeps to one piece."""
    there = brought > 0.5
    area = float(there.sum())
    away = signed_distance(there)
    loose = 1.5 + 0.012 * np.sqrt(area)  # pixels by which an edge that flow has brought may be wrong
    shape = np.clip(away / loose, -MOST, 0.75 * MOST) * np.where(agree, 1.2, 0.5)
    logit = guided(np.asarray(grey / np.float32(255), np.float32), np.asarray(shape + colour, np.float32), 3, 1e-3)
    band = max(4.0, 0.12 * float(np.sqrt(area)))
    logit[away < -band] = -MOST
    most = int(GROWTH * area) + 20
    if np.count_nonzero(logit > 0) > most:  # it runs over into something alike: only the surest of it
        logit -= np.float32(np.partition(logit, -most, axis=None)[-most])
    return connected(np.asarray(np.clip(logit, -MOST, MOST), np.float32), there)


def connected(logit: Floats, there: Bits) -> Floats:
    """Takes away specks, and fills pinholes, of what lies above 0: a part that has nothing of ``there``, or next to nothing."""
    bits = logit > 0
    labels, areas = parts(bits)
    kept = np.bincount(labels[there], minlength=len(areas)) > 0.25 * areas
    kept &= areas > 0.04 * areas[1:].sum()
    kept[0] = False
    logit = np.where(bits & ~kept[labels], np.float32(-1), logit)
    holes, sizes = parts(logit <= 0)
    small = sizes < 0.01 * max(1, int(bits.sum()))
    small[0] = False
    return np.asarray(np.where(small[holes], np.float32(0.5), logit), np.float32)


def _locally(
    old: Pixels, was: Floats, in_sight: Bits, new: Pixels, source: tuple[Floats, Floats], reach: int, overall: Floats
) -> Floats:
    """Gives how much each new pixel's colour was the object's, rather than its surroundings', within ``reach`` of there.

    Where that colour was hardly seen there, what is known of it ``overall`` counts.
    """
    x, y = source
    brighter = _brighter(old, new, x, y)
    new = np.asarray(cv().add(new, (-brighter, 0, 0, 0)), np.uint8)
    names = _clusters(old)
    has = np.eye(CLUSTERS, dtype=np.float32)[names[bins_of(old[::2, ::2])]]  # (h / 2, w / 2, CLUSTERS)
    has *= in_sight[::2, ::2, None]
    size = (reach | 1, reach | 1)
    every = np.asarray(cv().blur(has, size), np.float32)
    on = np.asarray(cv().blur(has * was[::2, ::2, None], size), np.float32)
    column = np.clip(x / 2, 0, has.shape[1] - 1).astype(np.intp)
    row = np.clip(y / 2, 0, has.shape[0] - 1).astype(np.intp)
    at = row, column, names[bins_of(new)]
    here = on[at]
    prior = _sigmoid(overall)
    on_there = here + SCARCE * prior
    off_there = np.maximum(every[at] - here, 0) + SCARCE * (1 - prior)
    return np.asarray(np.clip(np.log(on_there / np.maximum(off_there, 1e-6)), -MOST, MOST), np.float32)


def _brighter(old: Pixels, new: Pixels, x: Floats, y: Floats) -> int:
    """Gives by how many steps of L the light has changed."""
    came = cv().remap(old[..., 0], x, y, cv().INTER_NEAREST, borderMode=cv().BORDER_REPLICATE)
    return int(np.median(new[::3, ::3, 0].astype(np.int16) - came[::3, ::3]))


def _clusters(lab: Pixels) -> NDArray[np.intp]:
    """Gives the cluster's number of each of the 4096 colours: k-means over the window."""
    sample = lab[::5, ::5].reshape(-1, 3).astype(np.float32)
    count = min(CLUSTERS, len(sample))
    cv().setRNGSeed(1)
    stop = (cv().TERM_CRITERIA_MAX_ITER | cv().TERM_CRITERIA_EPS, 4, 1.0)
    _, _, centres = cv().kmeans(sample, count, None, stop, 1, cv().KMEANS_RANDOM_CENTERS)
    steps = np.arange(STEPS**3)
    colours = np.stack([(steps >> 8) * 16 + 8, ((steps >> 4) & 15) * 8 + 68, (steps & 15) * 8 + 68], axis=1)
    return np.asarray(((colours[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1), np.intp)


def _sigmoid(logit: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logit)), np.float32)
