"""What moves in front of a camera, whatever the light and the sensor do.

Each picture is made small and compared with what has been there, block by block. Light changes a block by a factor, an offset
and a slope across it: a lamp, a cloud, the bands that mains light draws across a rolling shutter. These are fitted and taken
out, as normalised cross-correlation does, and what is left is weighed against what is usually left in that block, which is
the sensor's noise and what always stirs there, a tree or a screen.

A worn camera moves. Phase correlation (Kuglin and Hines, 1975) with the last picture tells by how much, so that what is
followed can be judged against the room; while most of the picture changes, nothing is called motion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.values import Box, Pixels

SIDE = 160
"""Pixels, about, along the longer side of the small picture."""
BLOCK = 8
"""Pixels along the side of a block of it."""
LEARN_NS = 1_000_000_000
"""How long a new view is learnt before anything in it can move; at least ``LEARN`` pictures."""
LEARN = 5
ALL = 0.5
"""The share of blocks with something to see in them from which a change is the camera's, or a lamp's, and not a thing's."""
FLOOR = 1.5
"""Grey levels (of 255), after averaging, that count as nothing however quiet the block has been."""
PLAIN, PLAINLY = 12.0, 3.0
"""Grey levels, or times what the block's noise allows, from which a change is plain: what a thing does that passes before
another. In the shared videos shadows, reflections and an edge that was nudged leave up to 9, and 2.4 times, people and hands 13
grey levels and more; in a dim room the second counts."""
WHITE = 250.0
"""Grey from which a pixel is burnt out; nothing is seen to move in a block with more than a few."""
_STILL_S = 3.0
"""Time constant with which a quiet block follows the picture. Slower motion than this is not seen."""
_MOVED_S = 6.0
"""Time constant with which what has come and stays becomes what has been there."""
_TEXTURE = 2.5
"""Grey levels of texture from which there is something to see in a block."""
GONE_WITH = 0.7
"""A shift explains the picture where it leaves less than this share of the difference between two pictures."""
_TRUSTED = 3.0
"""Half of how far the peak of phase correlation must stand out to be believed, in standard deviations."""

Grey = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Stir:
    """What a picture shows against those before it."""

    moved: NDArray[np.bool_]
    """Shape (rows, columns): the blocks in which something moves; none while the view is new or the camera moves."""
    plain: NDArray[np.bool_]
    """Shape (rows, columns): those of them in which the change is that of a thing and not of its shadow, nor of a table
    that was pushed."""
    level: Grey
    """Shape (rows, columns): the mean grey of each block, 0 to 255."""
    stirred_ns: NDArray[np.int64]
    """Shape (rows, columns): media time at which something last moved in each block, or the camera did."""
    steady: bool
    """Whether the view has been learnt and the camera is still."""
    shift: tuple[float, float] = (0.0, 0.0)
    """By how much what stands still has gone right and down since the last picture, in shares of its width and height."""

    def within(self, zone: Box | None) -> NDArray[np.bool_]:
        """Gives the part of ``moved`` in a zone, given in shares of the picture: the blocks whose middle lies in it."""
        rows, columns = _span(zone, self.moved.shape)
        return self.moved[rows, columns]

    def plainly(self, zone: Box | None) -> bool:
        """Gives whether anything plainly moves in a zone."""
        rows, columns = _span(zone, self.plain.shape)
        return bool(self.plain[rows, columns].any())

    def since(self, zone: Box | None) -> int:
        """Gives the media time at which something last moved in a zone."""
        rows, columns = _span(zone, self.stirred_ns.shape)
        return int(self.stirred_ns[rows, columns].max())

    def brightness(self, zone: Box | None) -> float:
        """Gives the mean grey in a zone, 0 to 255."""
        rows, columns = _span(zone, self.level.shape)
        return float(self.level[rows, columns].mean())

    def box(self, zone: Box | None) -> Box | None:
        """Gives a box around what moves in a zone, in shares of the picture."""
        rows, columns = _span(zone, self.moved.shape)
        moved = np.zeros_like(self.moved)
        moved[rows, columns] = self.moved[rows, columns]
        down, across = np.flatnonzero(moved.any(axis=1)), np.flatnonzero(moved.any(axis=0))
        if not len(down):
            return None
        height, width = moved.shape
        return Box(across[0] / width, down[0] / height, (across[-1] + 1) / width, (down[-1] + 1) / height)


class Motion:
    """Sees what moves. Pictures come in the order of their time, at any rate; another size begins a new view."""

    def __init__(self) -> None:
        self._usual: Grey = np.zeros((0, 0, 0), np.float32)
        """(rows, columns, pixels): what has been there, without light."""
        self._noise: Grey = np.zeros((0, 0), np.float32)
        self._spread: Grey = np.zeros((0, 0), np.float32)
        self._last: Grey = np.zeros((0, 0), np.float32)
        self._stirred_ns = np.zeros((0, 0), np.int64)
        self._t_ns = 0
        self._since_ns = 0
        self._pictures = 0

    def see(self, pixels: Pixels, t_ns: int, things: Sequence[Box] | None = None) -> Stir:
        """Takes the next picture.

        ``things`` (pixels) may move by themselves: the camera's shift is judged by all else, and not at all for None.
        """
        grey = small(pixels)
        blocks = _blocks(grey)
        level = blocks.mean(axis=2)
        shape = blocks.shape[:2]
        shift = self._shift(grey, things, pixels.shape[1], pixels.shape[0])
        detail = _unlit(blocks)
        if shape != self._noise.shape or t_ns < self._t_ns:
            self._begin(detail, t_ns)
        passed = max(t_ns - self._t_ns, 1) / 1e9
        self._t_ns, self._last = t_ns, grey
        self._pictures += 1
        left, gain = _left(detail, self._usual)
        # The noise grows with the light, but only so far as it is the light: a factor that explains nothing allows nothing.
        explained = 1 - np.square(left) / np.maximum(np.square(detail).mean(axis=2), 1e-6)
        brighter = 1 + np.maximum(gain - 1, 0) * np.clip(explained, 0, 1)
        learning = t_ns - self._since_ns < LEARN_NS or self._pictures <= LEARN
        limit = np.maximum(FLOOR, 1.6 * self._noise + 5 * self._spread) * brighter
        # Where the sensor is at its end, more light is a change of texture that no factor explains.
        burnt = (blocks > WHITE).mean(axis=2) > 0.1
        moved = (left > limit) & ~burnt & (not learning)
        seen = (np.sqrt((detail**2).mean(axis=2)) > _TEXTURE) | (np.sqrt((self._usual**2).mean(axis=2)) > _TEXTURE)
        if (moved & seen).sum() > ALL * max(int(seen.sum()), 1) and moved.sum() >= 4:
            self._begin(detail, t_ns)
            nothing = np.zeros(shape, np.bool_)
            return Stir(nothing, nothing, level, self._stirred_ns, False, shift)
        self._learn(detail, left, gain, moved, passed, learning)
        moved = _joined(moved)
        self._stirred_ns = np.where(moved | learning, t_ns, self._stirred_ns)
        plain = moved & ((left > PLAIN) | (left > PLAINLY * limit))
        return Stir(moved, plain, level, self._stirred_ns, not learning, shift)

    def _begin(self, detail: Grey, t_ns: int) -> None:
        if detail.shape[:2] != self._noise.shape:
            self._noise = np.full(detail.shape[:2], FLOOR, np.float32)
            self._spread = np.full(detail.shape[:2], FLOOR / 4, np.float32)
        self._usual = detail
        self._stirred_ns = np.full(detail.shape[:2], t_ns, np.int64)
        self._since_ns = self._t_ns = t_ns
        self._pictures = 0

    def _learn(self, detail: Grey, left: Grey, gain: Grey, moved: NDArray[np.bool_], passed: float, learning: bool) -> None:
        """Follows the picture, at the usual light, and the noise: at once in a new view, slowly where something moves."""
        quick = 1 / (self._pictures + 1) if learning else 1 - math.exp(-passed / _STILL_S)
        share = np.where(moved, 1 - math.exp(-passed / _MOVED_S), quick).astype(np.float32)
        even = np.where(gain > 0.3, gain, np.float32(1))[:, :, None]
        self._usual = (self._usual + share[:, :, None] * (detail / even - self._usual)).astype(np.float32)
        off = np.abs(left - self._noise)
        self._noise = self._noise + share * (left - self._noise)
        self._spread = self._spread + share * (off - self._spread)

    def _shift(self, grey: Grey, things: Sequence[Box] | None, width: int, height: int) -> tuple[float, float]:
        if things is None or grey.shape != self._last.shape:
            return 0.0, 0.0
        rows, columns = grey.shape
        window = np.outer(np.hanning(rows), np.hanning(columns)).astype(np.float32)
        for box in things:
            top, bottom = int(box.y0 / height * rows), math.ceil(box.y1 / height * rows)
            window[
                max(top, 0) : max(bottom, 0), max(int(box.x0 / width * columns), 0) : math.ceil(box.x1 / width * columns)
            ] = 0
        total = float(window.sum())
        if total < 0.2 * rows * columns * 0.25:  # of a Hann window's sum: the things are nearly all there is to see
            return 0.0, 0.0
        before, now = (np.fft.rfft2((image - float((image * window).sum()) / total) * window) for image in (self._last, grey))
        cross = now * np.conj(before)
        peaks = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-3), grey.shape)
        at = np.unravel_index(int(peaks.argmax()), grey.shape)
        stays = max(float(np.roll(peaks, (1, 1), (0, 1))[:3, :3].max()), _TRUSTED * float(peaks.std()))
        if peaks[at] < 2 * stays:  # some of it stays where it is: something else moves
            return 0.0, 0.0
        down, across = (int(n) - size if n > size // 2 else int(n) for n, size in zip(at, grey.shape, strict=True))
        stayed = np.abs(grey - self._last) * window
        went = np.abs(grey - np.roll(self._last, (down, across), (0, 1))) * window
        if went.sum() > GONE_WITH * stayed.sum():  # one thing went there, and the room did not
            return 0.0, 0.0
        return across / columns, down / rows


def small(pixels: Pixels) -> Grey:
    """Gives the green of a picture, averaged to at most some ``SIDE`` pixels a side and whole blocks.

    Of a large picture 16 samples a pixel are averaged: half a millisecond for any size.
    """
    height, width = pixels.shape[:2]
    step = max(1, max(height, width) // SIDE)
    rows, columns = (max(1, side // step // BLOCK) * BLOCK for side in (height, width))
    if rows * step > height or columns * step > width:  # lower or narrower than a block
        padded = np.pad(pixels[:, :, 1], ((0, max(0, rows * step - height)), (0, max(0, columns * step - width))), mode="edge")
    else:
        padded = pixels[:, :, 1]
    skip = max(1, step // 4)
    samples = padded[: rows * step, : columns * step].reshape(rows, step, columns, step)[:, ::skip, :, ::skip]
    return np.asarray(samples.mean(axis=(1, 3), dtype=np.float32))


def _blocks(grey: Grey) -> Grey:
    rows, columns = grey.shape[0] // BLOCK, grey.shape[1] // BLOCK
    parts = grey.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
    return np.ascontiguousarray(parts.reshape(rows, columns, BLOCK * BLOCK))


def _light() -> Grey:
    """What light can add to a block: an offset and a slope, as an orthonormal basis (64, 3)."""
    ramp = np.arange(BLOCK) - (BLOCK - 1) / 2
    basis = np.stack([np.ones((BLOCK, BLOCK)), np.tile(ramp, (BLOCK, 1)), np.tile(ramp[:, None], (1, BLOCK))]).reshape(3, -1)
    return np.asarray((basis / np.linalg.norm(basis, axis=1, keepdims=True)).T, np.float32)


_LIGHT = _light()


def _unlit(blocks: Grey) -> Grey:
    return np.asarray(blocks - (blocks @ _LIGHT) @ _LIGHT.T, np.float32)


def _left(detail: Grey, usual: Grey) -> tuple[Grey, Grey]:
    """Gives what a factor on the usual does not explain, as a root mean square of each block, and the factor, 0 to 3."""
    energy = (usual * usual).sum(axis=2)
    gain = np.clip((detail * usual).sum(axis=2) / (energy + BLOCK * BLOCK * 0.25), 0, 3)
    rest = detail - gain[:, :, None] * usual
    return np.sqrt((rest * rest).mean(axis=2)), gain


def _joined(moved: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leaves out the blocks that stand alone: a thing that moves is larger than one."""
    framed = np.pad(moved, 1)
    beside = framed[:-2, 1:-1] | framed[2:, 1:-1] | framed[1:-1, :-2] | framed[1:-1, 2:]
    return moved & beside


def _span(zone: Box | None, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The blocks whose middle lies in a zone, at least one."""
    if zone is None:
        return slice(None), slice(None)
    height, width = shape[:2]
    top, left = (min(max(math.ceil(low * size - 0.5), 0), size - 1) for low, size in ((zone.y0, height), (zone.x0, width)))
    bottom, right = (math.floor(high * size + 0.5) for high, size in ((zone.y1, height), (zone.x1, width)))
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))
