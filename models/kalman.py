"""Echo cancelling that only subtracts: a frequency-domain Kalman filter in partitioned blocks, in numpy.

AEC3 hears a voice over the loudspeaker well enough to notice it, and suppresses half of it: words do not survive. For the
recogniser and the wake word this filter estimates the path from loudspeaker to microphone and takes its output away, nothing
else: a voice is left as it is, over a residue of echo 10 to 20 dB down.

Source: G. Enzner and P. Vary, Frequency-domain adaptive Kalman filter for acoustic echo control in hands-free telephones,
Signal Processing 86 (2006); partitioned as in F. Kuech et al., State-space architecture of the partitioned-block-based
acoustic echo controller, ICASSP 2014. The step of each bin follows from the filter's own uncertainty and from the power of all
that is no echo, so that it slows down by itself while somebody speaks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.values import EngineInfo, Pcm

BLOCK = 160
"""Samples a step: 10 ms."""
BLOCKS = 40
"""Length of the path: 0.4 s, of which the device's own delay takes a part."""
FORGET = 0.999**2
"""How much of the path is the same 10 ms later."""
SMOOTH = 0.9
"""Per step, of the power of what is no echo."""
NEAR = 2
"""By how many steps a path may have moved: 20 ms."""
QUIET = 8
"""Peak amplitude below which the loudspeaker is silent."""


class KalmanEcho:
    """Subtracts the loudspeaker's sound from the microphone's. Implements ``edge.ports.EchoCanceller``; 2 % of a core."""

    def __init__(self) -> None:
        self.reset()

    @property
    def info(self) -> EngineInfo:
        """Name and version."""
        return EngineInfo("kalman", "1", "frequency-domain Kalman filter", "Apache-2.0")

    def open(self) -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to free."""

    def moved(self) -> None:
        """Doubts the path: each block of it may stand where another one up to 20 ms away stood.

        With sound 0 to 20 ms later at each reply, in three rooms, 3 to 4 dB less of the echo is left than where the old
        certainty slows the filter down; with sound as much as one sample later 0.5 to 2 dB more.
        """
        power = np.pad(np.abs(self._path) ** 2, ((NEAR, NEAR), (0, 0)))
        self._doubt += sum(power[at : at + BLOCKS] for at in range(2 * NEAR + 1))

    def reset(self) -> None:
        """Forgets the sound so far and the path from loudspeaker to microphone."""
        bins = BLOCK + 1
        self._far = np.zeros(2 * BLOCK)
        self._spectra = np.zeros((BLOCKS, bins), np.complex128)  # of the loudspeaker, newest block first
        self._path = np.zeros((BLOCKS, bins), np.complex128)
        self._doubt = np.ones((BLOCKS, bins))  # variance of the path's error
        self._other = np.full(bins, 1e-3)  # power of what is no echo
        self._silent = BLOCKS

    def cancel(self, near: Pcm, far: Pcm) -> Pcm:
        """Takes the next sound of both, a multiple of 160 samples; gives the near sound without the echo."""
        if near.shape != far.shape or near.ndim != 1 or len(near) % BLOCK:
            raise ValueError(f"takes equal runs of a multiple of {BLOCK} samples, not {near.shape} and {far.shape}")
        clean = near.copy()
        for at in range(0, len(near), BLOCK):
            block = far[at : at + BLOCK]
            self._silent = 0 if int(np.abs(block).max()) >= QUIET else self._silent + 1
            if self._silent <= BLOCKS:  # while something of it can still be in the room
                error = self._step(near[at : at + BLOCK] / 32768, block / 32768)
                clean[at : at + BLOCK] = np.clip(np.round(error * 32768), -32768, 32767)
        return clean

    def _step(self, near: NDArray[np.float64], far: NDArray[np.float64]) -> NDArray[np.float64]:
        self._far = np.concatenate([self._far[BLOCK:], far])
        self._spectra = np.roll(self._spectra, 1, axis=0)
        self._spectra[0] = np.fft.rfft(self._far)
        # Overlap-save: the first half of a circular convolution is wrapped around.
        error: NDArray[np.float64] = near - np.fft.irfft((self._path * self._spectra).sum(axis=0))[BLOCK:]
        spectrum = np.fft.rfft(np.concatenate([np.zeros(BLOCK), error]))
        self._other = SMOOTH * self._other + (1 - SMOOTH) * np.abs(spectrum) ** 2
        power = np.abs(self._spectra) ** 2
        step = self._doubt / ((self._doubt * power).sum(axis=0) + 2 * self._other + 1e-6)
        # Constrained: a block of the path is 160 samples long, and the other half of its transform zero.
        change = np.fft.irfft(step * np.conj(self._spectra) * spectrum, axis=1)
        change[:, BLOCK:] = 0
        self._path += np.fft.rfft(change, axis=1)
        self._doubt = FORGET * (1 - 0.5 * step * power) * self._doubt + (1 - FORGET) * np.abs(self._path) ** 2
        return error
