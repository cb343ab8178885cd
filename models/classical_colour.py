"""Windows on a picture, and colour models of an object and of what lies around it.

Everything that follows an object works in a window around it, scaled so that its longer side has at most ``SIDE`` pixels: a
small object is seen in full detail, a large one coarsely, and either costs the same. Colours are counted in CIE Lab, in 16
steps a channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import EngineMissing
from edge.values import Box, Pixels

SIDE = 224
"""Longest side of a window, in its own pixels."""
LEAST_SIDE = 48
"""Shortest side of a window: dense flow needs some coarser levels."""
STEPS = 16
"""Of each channel of Lab in a histogram."""
FIRST = 64
"""Where the steps of a and b begin, of OpenCV's 0 to 255: colours of cameras lie between 64 and 192."""

Bits = NDArray[np.bool_]
Floats = NDArray[np.float32]
Bins = NDArray[np.int32]


def cv() -> Any:
    """Gives OpenCV. Raises EngineMissing."""
    try:
        import cv2
    except ImportError as error:
        raise EngineMissing("OpenCV is not installed: run pip install opencv-python-headless") from error
    return cv2


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of a picture, which it may overhang, seen with its own number of pixels."""

    x0: int
    y0: int
    x1: int
    y1: int
    width: int
    """Pixels across after scaling."""
    height: int

    @property
    def scale(self) -> float:
        """Pixels of the window for one of the picture."""
        return self.width / (self.x1 - self.x0)

    def moved(self, dx: float, dy: float) -> Window:
        """The same window elsewhere, by pixels of the picture."""
        x, y = round(dx), round(dy)
        return Window(self.x0 + x, self.y0 + y, self.x1 + x, self.y1 + y, self.width, self.height)

    def view(self, array: NDArray[Any]) -> NDArray[Any]:
        """Gives what is seen of a picture or a mask (height, width, ...); beyond its edges the last pixels go on."""
        rows, columns = array.shape[:2]
        part = array[max(0, self.y0) : self.y1, max(0, self.x0) : self.x1]
        over = (max(0, -self.y0), max(0, self.y1 - rows), max(0, -self.x0), max(0, self.x1 - columns))
        if any(over):
            part = cv().copyMakeBorder(part, *over, cv().BORDER_REPLICATE)
        small = cv().INTER_AREA if self.scale < 1 else cv().INTER_LINEAR
        return np.asarray(cv().resize(part, (self.width, self.height), interpolation=small))

    def valid(self, height: int, width: int) -> Bits:
        """Gives which of the window's pixels lie in a picture of that size."""
        x = self.x0 + (np.arange(self.width) + 0.5) / self.scale
        y = self.y0 + (np.arange(self.height) + 0.5) * (self.y1 - self.y0) / self.height
        return np.asarray(((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))[None])

    def paste(self, logit: Floats, height: int, width: int) -> Bits:
        """Gives the mask, in a picture of that size, of the window's values above 0."""
        whole = cv().resize(logit, (self.x1 - self.x0, self.y1 - self.y0), interpolation=cv().INTER_LINEAR) > 0
        bits = np.zeros((height, width), np.bool_)
        top, left = max(0, self.y0), max(0, self.x0)
        part = whole[top - self.y0 : height - self.y0, left - self.x0 : width - self.x0]
        bits[top : top + part.shape[0], left : left + part.shape[1]] = part
        return bits


def window_around(box: Box, height: int, width: int, margin: float = 0.45, side: int = SIDE) -> Window:
    """Gives a window around a box of a picture of that size, larger on each side by ``margin`` of the box's mean side."""
    pad = max(12.0, margin * float(np.sqrt(box.width * box.height)), 0.12 * max(box.width, box.height))
    x, y = min(max(box.centre[0], 0), width - 1), min(max(box.centre[1], 0), height - 1)
    half_x, half_y = box.width / 2 + pad, box.height / 2 + pad
    x0, y0, x1, y1 = int(x - half_x), int(y - half_y), int(x + half_x) + 1, int(y + half_y) + 1
    scale = min(1.0, side / max(x1 - x0, y1 - y0))
    scale = max(scale, LEAST_SIDE / min(x1 - x0, y1 - y0))
    return Window(x0, y0, x1, y1, max(LEAST_SIDE, round((x1 - x0) * scale)), max(LEAST_SIDE, round((y1 - y0) * scale)))


def lab_of(pixels: Pixels) -> Pixels:
    """Gives a picture in OpenCV's 8-bit Lab, slightly smoothed against the sensor's noise."""
    return np.asarray(cv().cvtColor(cv().GaussianBlur(pixels, (3, 3), 0), cv().COLOR_BGR2Lab), np.uint8)


def bins_of(lab: Pixels) -> Bins:
    """Gives for each pixel the number of its colour, 0 to 4095."""
    light = lab[..., 0].astype(np.int32) >> 4
    hues = np.clip((lab[..., 1:].astype(np.int32) - FIRST) >> 3, 0, STEPS - 1)
    return np.asarray((light << 8) | (hues[..., 0] << 4) | hues[..., 1], np.int32)


def histogram(bins: Bins, where: Bits) -> Floats:
    """Gives how often each colour comes, (4096,), each pixel also counting a little for the colours next to its own; sum 1."""
    counts = np.bincount(bins[where], minlength=STEPS**3).reshape(STEPS, STEPS, STEPS).astype(np.float32)
    for axis in range(3):
        padded = np.pad(counts, [(1, 1) if at == axis else (0, 0) for at in range(3)])
        before, after = (padded.take(range(start, start + STEPS), axis) for start in (0, 2))
        counts = 0.5 * counts + 0.25 * (before + after)
    return np.asarray(counts.ravel() / max(float(counts.sum()), 1e-6), np.float32)


def likeness(first: Floats, second: Floats) -> float:
    """Gives the Bhattacharyya coefficient of two histograms, 0 (nothing in common) to 1 (the same)."""
    return float(np.sqrt(first * second).sum())


def alike_in_hue(first: Floats, second: Floats) -> float:
    """Gives the likeness of two histograms, half of it regardless of light: (4096,) each; 0 to 1."""
    hues = (one.reshape(STEPS, STEPS**2).sum(axis=0) for one in (first, second))
    return 0.5 * likeness(first, second) + 0.5 * likeness(*hues)


def log_ratio(object_: Floats, ground: Floats, most: float) -> Floats:
    """Gives for each colour log p(object) / p(ground), within +-``most``; near 0 for colours that neither has."""
    rare = 2e-4  # a colour that is seen less often than in one pixel of 5000 tells nothing
    return np.asarray(np.clip(np.log((object_ + rare) / (ground + rare)), -most, most), np.float32)


def guided(guide: Floats, values: Floats, radius: int, epsilon: float) -> Floats:
    """Smooths ``values`` within the edges of ``guide``, a grey picture 0 to 1: the guided filter of He et al. (2013)."""
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(array: Floats) -> Floats:
        return np.asarray(cv().blur(array, size), np.float32)

    mean_guide, mean_values = mean(guide), mean(values)
    slope = (mean(guide * values) - mean_guide * mean_values) / (mean(guide * guide) - mean_guide**2 + epsilon)
    offset = mean_values - slope * mean_guide
    return mean(slope) * guide + mean(offset)


def signed_distance(bits: Bits) -> Floats:
    """Gives each pixel's distance to a mask's edge, positive inside."""
    inside, outside = (cv().distanceTransform(np.ascontiguousarray(part, np.uint8), cv().DIST_L2, 3) for part in (bits, ~bits))
    far = float(sum(bits.shape))  # where there is no edge at all OpenCV gives the largest float
    return np.asarray(np.clip(np.where(bits, inside - 0.5, 0.5 - outside), -far, far), np.float32)


def parts(bits: Bits) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Gives the number of its connected part for each pixel, 0 outside, and the area of each part by its number."""
    _, labels, stats, _ = cv().connectedComponentsWithStats(bits.astype(np.uint8), connectivity=4)
    return np.asarray(labels, np.int32), np.asarray(stats[:, 4], np.int32)
