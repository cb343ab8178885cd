"""Echo cancelling by WebRTC's AEC3, as pywebrtc-audio packs it (Apache-2.0).

AEC3 finds the delay between the two sounds itself and follows it, as long as the echo does not come before its reference: up
to 0.4 s later costs nothing, 50 ms earlier costs nearly all (``tests/models/test_echo.py``). So whoever places the reference
places it rather early than late. Noise suppression and gain control stay off: over the whole of the shared far-end recording
suppression takes no more of the echo and leaves voice activity as many windows of it (10 of 340, 11 without), and it takes
1.4 dB of the near voice, where AEC3 alone takes 0.1 dB.

While the far end has long been silent there is nothing to cancel: the microphone's sound passes as it is, without AEC3's
high-pass filter and its 8 ms of delay, and costs nothing. The path that was learnt is kept.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import numpy as np

from edge.errors import EngineMissing
from edge.values import SAMPLE_RATE, EngineInfo, Pcm, samples

if TYPE_CHECKING:
    from pywebrtc_audio import EchoCanceller

FRAME: Final = 160
"""Samples that AEC3 takes at a time: 10 ms."""
QUIET: Final = 8
"""Peak amplitude (-72 dB of full scale) below which the far end is silent: a voice's own hiss makes no echo."""
TAIL: Final = samples(1.0)
"""Silence of the far end after which no echo is left: a sink's delay and a room's reverberation are shorter."""


class Aec3:
    """Takes the loudspeaker's sound out of the microphone's. Implements ``edge.ports.EchoCanceller``."""

    def __init__(self, delay_s: float = 0.0) -> None:
        """``delay_s`` says how much later the echo stands in ``near`` than in ``far``, where that is known: a first guess."""
        self._delay_ms = round(delay_s * 1000)
        self._aec: EchoCanceller | None = None
        self._begin()

    def _begin(self) -> None:
        self._silent = TAIL
        self._before: Pcm = np.zeros(FRAME, np.int16)

    @property
    def info(self) -> EngineInfo:
        """Name, version, model and licence."""
        return EngineInfo("webrtc-aec3", version("pywebrtc-audio"), "AEC3", "Apache-2.0")

    def open(self) -> None:
        """Makes the canceller. Raises EngineMissing where pywebrtc-audio is not installed."""
        if self._aec is not None:
            return
        try:
            from pywebrtc_audio import EchoCanceller
        except ImportError as error:
            raise EngineMissing("echo cancelling needs the package pywebrtc-audio: pip install pywebrtc-audio") from error
        self._aec = EchoCanceller(SAMPLE_RATE, 1, stream_delay_ms=self._delay_ms)
        self._begin()

    def close(self) -> None:
        """Frees it."""
        self._aec = None

    def moved(self) -> None:
        """Nothing: AEC3 finds the delay itself, and suppresses what it has not found yet."""

    def reset(self) -> None:
        """Forgets the sound so far and the path from loudspeaker to microphone."""
        if self._aec is not None:
            self._aec.reset()
        self._begin()

    def cancel(self, near: Pcm, far: Pcm) -> Pcm:
        """Takes the next sound of the microphone and what the loudspeaker played meanwhile; gives it without the echo."""
        if self._aec is None:
            raise RuntimeError("Aec3.cancel before open()")
        if near.shape != far.shape or near.ndim != 1 or len(near) % FRAME:
            raise ValueError(f"AEC3 takes equal runs of a multiple of {FRAME} samples, not {near.shape} and {far.shape}")
        if not len(near):
            return near
        passed = self._silent >= TAIL
        self._silent = self._silent + len(far) if _peak(far) < QUIET else 0
        if self._silent < TAIL:
            if passed:  # AEC3 gives the sound of 8 ms ago: what it last heard is too old
                self._aec.process(self._before, np.zeros(FRAME, np.int16))
            clean: Pcm = self._aec.process(near, far)
        else:
            clean = near if passed else _fade(self._aec.process(near, far), near)
        if passed and self._silent < TAIL:
            clean = _fade(near, clean)
        self._before = near[-FRAME:].copy()
        return clean


def _peak(pcm: Pcm) -> int:
    return max(int(pcm.max()), -int(pcm.min()))


def _fade(old: Pcm, new: Pcm) -> Pcm:
    """Goes over from one sound to the other within the first frame, so that nothing clicks."""
    weight = np.linspace(0.0, 1.0, FRAME)
    faded = new.copy()
    faded[:FRAME] = old[:FRAME] * (1 - weight) + new[:FRAME] * weight
    return faded
