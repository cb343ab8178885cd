"""The way from a loudspeaker to a microphone beside it: an impulse response, convolved with what was played.

It closes the loop that a recording leaves open: what the assistant says comes back into its own microphone, a reply that
falls silent leaves the room silent, and so barge-in can be measured.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.values import Pcm, samples


class Room:
    """A room and the loudspeaker in it, for one microphone."""

    def __init__(
        self, response: NDArray[np.float64], *, gain_db: float = 0.0, delay: float = 0.0, noise_db: float = -90.0
    ) -> None:
        """``response`` is the impulse response at 16 kHz, shape (n,), scaled to unit energy here.

        ``gain_db`` is the echo's level relative to what was played, ``delay`` the seconds by which a device is late, and
        ``noise_db`` the microphone's hiss relative to full scale.
        """
        scaled = response / np.sqrt(np.sum(response**2)) * 10 ** (gain_db / 20)
        self._response = np.concatenate([np.zeros(samples(delay)), scaled])
        self._hiss = 32768 * 10 ** (noise_db / 20)
        self._size = 0
        self._spectrum: NDArray[np.complex128] = np.zeros(0, np.complex128)

    @property
    def memory(self) -> int:
        """How many samples before a moment can still be heard in it."""
        return len(self._response) - 1

    def heard(self, played: Pcm, start: int) -> NDArray[np.float64]:
        """Gives what the microphone hears during the last ``len(played) - memory`` samples of ``played``.

        ``start`` is the media time of the first of them; it makes the hiss the same in every run.
        """
        count = len(played) - self.memory
        size = 1 << (len(played) - 1).bit_length()
        if size != self._size:
            self._size, self._spectrum = size, np.fft.rfft(self._response, size)
        # Circular convolution: what wraps around falls on the samples before, which are not asked for.
        echo = np.fft.irfft(np.fft.rfft(played, size) * self._spectrum, size)[self.memory : len(played)]
        heard: NDArray[np.float64] = echo + np.random.default_rng(start).normal(0, self._hiss, count)
        return heard
