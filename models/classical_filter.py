"""Where an object is, and whether it is there at all: a discriminative correlation filter beside the flow.

Flow and colours say which pixels belong together, but each error that they make is carried on for ever. A filter is learnt to
answer on the object and nowhere around it (Henriques et al. 2015), here with the spatial reliability of Lukezic et al. (2017):
only the object's own pixels count, found by ADMM. Two are kept: that of the first picture, which is never changed, and one
that learns. The size is found as by Danelljan et al. (2017), by a few samples of other sizes. Channels: gradient orientations
(Dalal and Triggs 2005), Lab, and how much each colour speaks for the object.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.values import Box, Pixels
from models.classical_colour import Bits, Floats, Window, bins_of, cv, lab_of

CELL = 4
"""Pixels of a sample across a cell."""
CELLS = 900
"""Cells of a sample, about."""
CONTEXT = 1.3
"""How much more than the object is seen, in shares of its mean side."""
ORIENTATIONS = 9
MOST_CELLS = 220
"""Of a whole picture, across: one with a small object is swept more coarsely than the object is known."""
STEP = 1.05
"""Between the sizes that are tried."""
RIDGE = 0.01
ADMM = 4
"""Rounds; the constraint is met to a few parts in a hundred after them."""
SPREAD = 0.08
"""Of the answer that is wished for: its standard deviation, in shares of the object's mean side."""

Complex = NDArray[np.complex64]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the filters say of one picture."""

    box: Box
    """Where the object is."""
    peak: float
    """Of the learning filter, its answer in its own picture being about 1."""
    first: float
    """The same of the first filter, at the same place."""
    sharp: float
    """Peak to sidelobe ratio (Bolme et al. 2010): about 10 and more on the object, below 5 on anything else."""

    @property
    def worth(self) -> float:
        """What both filters say together."""
        return 0.6 * self.peak + 0.4 * self.first


@dataclass(frozen=True, slots=True)
class Kernel:
    """A learnt filter in the frequency domain, (channels, rows, columns / 2 + 1), each channel weighted by its use."""

    values: Complex
    usual: float
    """Its peak in the picture that it was learnt from."""


class Anchor:
    """The two filters of one object."""

    def __init__(self, pixels: Pixels, bits: Bits, box: Box, speaks: Floats) -> None:
        """Learns from ``bits`` in a picture; ``speaks``: for each colour, how much it speaks for the object."""
        self.box = box
        self.width, self.height = box.width, box.height
        """Of the object at size 1."""
        pad = CONTEXT * float(np.sqrt(box.width * box.height))
        self._wide, self._high = box.width + pad, box.height + pad
        fit = float(np.sqrt(CELLS / (self._wide * self._high)))
        self._columns = int(np.clip(round(self._wide * fit), 12, 80))
        self._rows = int(np.clip(round(self._high * fit), 12, 80))
        self._hann = np.outer(np.hanning(self._rows + 2)[1:-1], np.hanning(self._columns + 2)[1:-1]).astype(np.float32)
        self._wish = self._wished()
        self._speaks = speaks
        self.size = 1.0
        self._first = self._now = self._learnt(pixels, bits)

    def look(self, pixels: Pixels, centre: tuple[float, float], sizes: tuple[int, ...]) -> Answer:
        """Looks for the object around ``centre``, at its last size and at others, in powers of ``STEP``."""
        best: Answer | None = None
        for power in sizes:
            answer = self._look(pixels, centre, self.size * STEP**power)
            # a change of size has to be worth it
            if best is None or answer.worth > best.worth * 1.02:
                best = answer
        assert best is not None
        return best

    def seek(self, pixels: Pixels, centre: tuple[float, float]) -> Answer:
        """Looks for a lost object, which may have another size and may lie beside ``centre``."""
        near = self.look(pixels, centre, (0, 3, -3, 7, -7))
        # samples fade towards their rim: what lies beside their middle answers less than it could
        return max(near, self._look(pixels, near.box.centre, near.box.width / self.width), key=lambda one: one.worth)

    def sweep(self, pixels: Pixels) -> tuple[float, float]:
        """Gives the place in the whole picture, x and y, where something of the object's last size is most like it."""
        height, width = pixels.shape[:2]
        across, down = self.size * self._wide / self._columns, self.size * self._high / self._rows  # pixels of a cell
        more = max(1.0, max(width / across, height / down) / MOST_CELLS)
        columns, rows = max(2, round(width / across / more)), max(2, round(height / down / more))
        small = cv().resize(pixels, (columns * CELL, rows * CELL), interpolation=cv().INTER_AREA)
        channels = features(np.asarray(small, np.uint8), self._speaks, (self._columns, self._rows))
        kernels = 0.4 * self._first.values / self._first.usual + 0.6 * self._now.values / self._now.usual
        total = np.zeros((rows, columns), np.float32)
        for channel, kernel in zip(channels, np.fft.irfft2(kernels, (self._rows, self._columns)), strict=True):
            total += cv().filter2D(channel, -1, kernel.astype(np.float32), borderType=cv().BORDER_REPLICATE)
        row, column = np.unravel_index(int(total.argmax()), total.shape)
        return (float(column) + 0.5) * width / columns, (float(row) + 0.5) * height / rows

    def take(self, answer: Answer) -> None:
        """Takes the object to be where an answer says."""
        self.box = answer.box
        self.size = answer.box.width / self.width

    def move(self, dx: float, dy: float, grown: float = 1.0) -> None:
        """Takes the object to have gone, by pixels, and grown as something else has seen it."""
        self.size *= grown
        self.box = self._sized((self.box.centre[0] + dx, self.box.centre[1] + dy), self.size)

    def learn(self, pixels: Pixels, bits: Bits, rate: float, speaks: Floats) -> None:
        """Takes in how the object looks now, in ``self.box``."""
        self._speaks = speaks
        fresh = self._learnt(pixels, bits)
        self._now = Kernel(
            np.asarray((1 - rate) * self._now.values + rate * fresh.values, np.complex64),
            (1 - rate) * self._now.usual + rate * fresh.usual,
        )

    def _sized(self, centre: tuple[float, float], size: float) -> Box:
        half_x, half_y = size * self.width / 2, size * self.height / 2
        return Box(centre[0] - half_x, centre[1] - half_y, centre[0] + half_x, centre[1] + half_y)

    def _window(self, centre: tuple[float, float], size: float) -> Window:
        wide, high = max(4.0, size * self._wide), max(4.0, size * self._high)
        x0, y0 = round(centre[0] - wide / 2), round(centre[1] - high / 2)
        return Window(x0, y0, x0 + max(4, round(wide)), y0 + max(4, round(high)), self._columns * CELL, self._rows * CELL)

    def _wished(self) -> Complex:
        """The answer that is wished for: a peak on the middle, its spectrum (rows, columns / 2 + 1)."""
        rows = np.fft.fftfreq(self._rows, 1 / self._rows)[:, None] / self._rows * self._high
        columns = np.fft.fftfreq(self._columns, 1 / self._columns)[None] / self._columns * self._wide
        spread = SPREAD * np.sqrt(self.width * self.height)
        return np.asarray(np.fft.rfft2(np.exp(-(rows**2 + columns**2) / (2 * spread**2))), np.complex64)

    def _sample(self, pixels: Pixels, window: Window) -> Complex:
        """Gives the spectrum of what is seen, (channels, rows, columns / 2 + 1)."""
        channels = features(np.asarray(window.view(pixels), np.uint8), self._speaks) * self._hann
        return np.asarray(np.fft.rfft2(channels), np.complex64)

    def _learnt(self, pixels: Pixels, bits: Bits) -> Kernel:
        window = self._window(self.box.centre, self.size)
        sample = self._sample(pixels, window)
        own = cv().resize(np.asarray(window.view(bits.astype(np.float32))), (self._columns, self._rows))
        own = cv().dilate((own > 0.3).astype(np.float32), np.ones((3, 3), np.uint8))
        kernel = constrained(sample, self._wish, np.asarray(own, np.float32))
        answers = np.fft.irfft2(np.conj(kernel) * sample, (self._rows, self._columns))
        worth = np.maximum(answers.max(axis=(1, 2)), 0)
        worth /= max(1e-6, float(worth.sum()))
        usual = float(np.tensordot(worth, answers, axes=1).max())
        return Kernel(np.asarray(kernel * worth[:, None, None], np.complex64), max(1e-6, usual))

    def _look(self, pixels: Pixels, centre: tuple[float, float], size: float) -> Answer:
        window = self._window(centre, size)
        sample = self._sample(pixels, window)
        shape = self._rows, self._columns
        first, now = (
            np.fft.irfft2((np.conj(kernel.values) * sample).sum(axis=0), shape) / kernel.usual
            for kernel in (self._first, self._now)
        )
        both = 0.4 * first + 0.6 * now
        row, column = np.unravel_index(int(both.argmax()), shape)
        down, across = _finely(both, int(row), int(column))
        middle = (window.x0 + window.x1) / 2, (window.y0 + window.y1) / 2
        x = middle[0] + across * (window.x1 - window.x0) / self._columns
        y = middle[1] + down * (window.y1 - window.y0) / self._rows
        sharp = _sharpness(both, int(row), int(column), self.height / self._high, self.width / self._wide)
        return Answer(self._sized((x, y), size), float(now[row, column]), float(first[row, column]), sharp)


def features(part: Pixels, speaks: Floats, around: tuple[int, int] | None = None) -> Floats:
    """Gives the channels of a sample, (channels, rows / CELL, columns / CELL).

    Light and hue count against the mean of the sample, or of ``around``, so many columns and rows.
    """
    grey = cv().cvtColor(part, cv().COLOR_BGR2GRAY).astype(np.float32) / 255
    across, down = cv().Sobel(grey, -1, 1, 0), cv().Sobel(grey, -1, 0, 1)
    square = across**2 + down**2
    strength = np.sqrt(square) + 1e-6
    cosine, sine = (across**2 - down**2) / strength, 2 * across * down / strength  # of the doubled angle: light or dark is one
    lab = lab_of(part)
    rows, columns = part.shape[0] // CELL, part.shape[1] // CELL

    def pooled(array: Floats) -> Floats:
        return np.asarray(cv().resize(array, (columns, rows), interpolation=cv().INTER_AREA), np.float32)

    found = []
    for angle in 2 * np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS:
        along = cosine * np.float32(np.cos(angle)) + sine * np.float32(np.sin(angle))
        found.append(pooled(np.maximum(along, 0)))
    energy = cv().blur(pooled(strength), (3, 3)) + 0.05
    light = pooled(np.asarray(lab / np.float32(64), np.float32))
    light -= light.mean(axis=(0, 1)) if around is None else cv().blur(light, around)
    spoken = pooled(np.asarray(np.tanh(speaks[bins_of(lab)] / 2), np.float32))
    return np.stack([one / energy for one in found] + [light[..., 0], 2 * light[..., 1], 2 * light[..., 2], spoken])


def constrained(sample: Complex, wish: Complex, own: Floats) -> Complex:
    """Gives the filter of each channel that answers ``wish`` and is 0 outside ``own``: Lukezic et al. 2017."""
    shape = own.shape
    cross, power = sample * np.conj(wish), (sample * np.conj(sample)).real
    scale = max(1e-6, float(power.mean()))  # a picture without anything has none
    ridge = RIDGE * scale
    kernel = np.asarray(cross / (power + ridge), np.complex64)
    price, lagrange = 0.5 * scale * 0.1, np.zeros_like(kernel)
    for _ in range(ADMM):
        free = (cross + price * kernel - lagrange) / (power + price)
        inside = own * np.fft.irfft2(lagrange + price * free, shape) / (ridge / own.size + price)
        kernel = np.asarray(np.fft.rfft2(inside), np.complex64)
        lagrange = lagrange + price * (free - kernel)
        price *= 3
    return kernel


def _finely(answer: NDArray[np.float64], row: int, column: int) -> tuple[float, float]:
    """Gives the peak's place in cells from the middle, down and across, by a parabola through its neighbours."""
    places = []
    for at, line in ((row, answer[:, column]), (column, answer[row])):
        before, here, after = line[at - 1], line[at], line[(at + 1) % len(line)]
        bend = before - 2 * here + after
        shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
        places.append(at + float(np.clip(shift, -0.5, 0.5)) - (len(line) if at > len(line) // 2 else 0))
    return places[0], places[1]


def _sharpness(answer: NDArray[np.float64], row: int, column: int, high: float, wide: float) -> float:
    """Gives the peak to sidelobe ratio; the peak is 0.6 of the object wide."""
    rows, columns = answer.shape
    away_y, away_x = (np.abs(np.fft.fftfreq(n)) for n in (rows, columns))
    near = (np.roll(away_y, row) < 0.3 * high)[:, None] & (np.roll(away_x, column) < 0.3 * wide)[None]
    rest, peak = answer[~near], float(answer[row, column])
    return (peak - float(rest.mean())) / (float(rest.std()) + 1e-6)
