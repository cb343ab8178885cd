"""The sounds that stand for a word: made by arithmetic, the same on every machine, 16 kHz int16.

All are sums of sines under raised-cosine edges, so that they neither click at their ends nor mask speech, and peak at -14 dB
of full scale: open-ear speakers sit beside the ear. Rising means that something opened, falling that something closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edge.values import SAMPLE_RATE, Pcm, samples

_PEAK = 0.2
"""Of full scale: -14 dB."""
_EDGE = 0.006
"""Seconds of a raised-cosine edge: its side lobes lie below the lowest note."""


def _note(hertz: float, seconds: float, decay: float = 0.0) -> NDArray[np.float64]:
    """A sine with a soft octave above it; ``decay`` is the time in seconds to fall to 1/e, 0 for none."""
    t = np.arange(samples(seconds)) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * hertz * t) + 0.2 * np.sin(4 * np.pi * hertz * t)
    if decay:
        tone *= np.exp(-t / decay)
    return _edged(tone)


def _noise(seconds: float, decay: float) -> NDArray[np.float64]:
    """White noise that dies away, from a fixed seed."""
    count = samples(seconds)
    t = np.arange(count) / SAMPLE_RATE
    return _edged(np.random.default_rng(2).uniform(-1, 1, count) * np.exp(-t / decay), 0.001)


def _edged(tone: NDArray[np.float64], edge: float = _EDGE) -> NDArray[np.float64]:
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(samples(edge)) / samples(edge))
    tone[: len(ramp)] *= ramp
    tone[len(tone) - len(ramp) :] *= ramp[::-1]
    return tone


def _rest(seconds: float) -> NDArray[np.float64]:
    return np.zeros(samples(seconds))


def _sound(*parts: NDArray[np.float64]) -> Pcm:
    whole = np.concatenate(parts)
    pcm: Pcm = np.rint(whole / np.abs(whole).max() * _PEAK * 32767).astype(np.int16)
    pcm.setflags(write=False)
    return pcm


EARCONS: Mapping[str, Pcm] = MappingProxyType(
    {
        "wake": _sound(_note(660, 0.055), _note(990, 0.075, 0.05)),
        "timeout": _sound(_note(660, 0.09, 0.08), _note(440, 0.12, 0.07)),
        "error": _sound(_note(294, 0.11), _rest(0.05), _note(247, 0.2, 0.1)),
        "shutter": _sound(_noise(0.03, 0.008), _rest(0.035), _noise(0.06, 0.015)),
        "mute": _sound(_note(523, 0.09), _note(392, 0.09), _note(262, 0.16, 0.09)),
        "unmute": _sound(_note(262, 0.09), _note(392, 0.09), _note(523, 0.16, 0.09)),
    }
)
"""``wake`` (130 ms: called), ``timeout`` (nothing was asked), ``error``, ``shutter`` (a photo), ``mute``, ``unmute``.

Shape (samples,), read-only."""
