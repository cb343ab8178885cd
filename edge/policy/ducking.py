"""The original under its interpretation: quieter while the interpreter speaks, so that a listener hears one voice, not two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.values import Pcm, samples

DUCKED_DB: Final = -12.0
"""What a listener still hears of the original: that it goes on, not what it says."""
RAMP: Final = samples(0.05)
"""Faded over so long before and after, or it clicks."""
PAUSE: Final = samples(0.4)
"""A shorter silence between two words of the interpreter leaves the original down: it must not pump."""


def runs(sound: Iterable[Pcm]) -> list[tuple[int, int]]:
    """Gives where there is sound, in samples, first and one past the last; silences shorter than ``PAUSE`` are part of it."""
    found: list[tuple[int, int]] = []
    at = 0
    for block in sound:
        loud = np.flatnonzero(block)
        if len(loud):
            for piece in np.split(loud, np.flatnonzero(np.diff(loud) > PAUSE) + 1):
                start, end = at + int(piece[0]), at + int(piece[-1]) + 1
                if found and start - found[-1][1] <= PAUSE:
                    start = found.pop()[0]
                found.append((start, end))
        at += len(block)
    return found


def gain(start: int, count: int, spoken: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
    """Gives the original's gain from sample ``start`` on, shape (count,): 1, or ``DUCKED_DB`` within ``spoken`` runs."""
    low = 10 ** (DUCKED_DB / 20)
    gains = np.ones(count, np.float32)
    for first, last in spoken:
        a, b = max(start, first - RAMP), min(start + count, last + RAMP)
        if a < b:
            at = np.arange(a, b)
            away = np.maximum(np.maximum(first - at, at - (last - 1)), 0) / RAMP
            part = gains[a - start : b - start]
            np.minimum(part, low + (1 - low) * np.minimum(away, 1.0), out=part, casting="same_kind")
    return gains


def mixed(original: Pcm, interpretation: Pcm, gains: NDArray[np.float32]) -> Pcm:
    """Gives both as one sound; all three have the same length."""
    both = original * gains + interpretation
    pcm: Pcm = np.clip(np.rint(both), -32_768, 32_767).astype(np.int16)
    return pcm
