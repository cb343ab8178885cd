"""The sound of a Wyoming client, in whatever format, as ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from edge.errors import InputError
from edge.values import SAMPLE_RATE, Pcm


class Bad(InputError):
    """What a client sent is not what the protocol allows: it is told, and sent away."""


class Converter:
    """Makes our sound of a client's. Raises Bad for a format that is none, or changes."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._format = self._of(data)
        rate, width, channels = self._format
        if not (4000 <= rate <= 192_000 and width in (1, 2, 3, 4) and 1 <= channels <= 8):
            raise Bad(f"sound of {rate} Hz, {width} bytes, {channels} channels")
        self._resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32") if rate != SAMPLE_RATE else None
        self._frames = 0

    @property
    def seconds(self) -> float:
        """Sound so far."""
        return self._frames / self._format[0]

    @staticmethod
    def _of(data: dict[str, Any]) -> tuple[int, int, int]:
        rate, width, channels = (data.get(key) for key in ("rate", "width", "channels"))
        if not (isinstance(rate, int) and isinstance(width, int) and isinstance(channels, int)):
            raise Bad("sound without rate, width and channels")
        return rate, width, channels

    def add(self, data: dict[str, Any], payload: bytes) -> Pcm:
        """Takes the payload of one event, whole frames."""
        _, width, channels = self._format
        if self._of(data) != self._format:
            raise Bad("sound that changes its format")
        if len(payload) % (width * channels):
            raise Bad("half a sample of sound")
        self._frames += len(payload) // (width * channels)
        if width == 2:
            sound = np.frombuffer(payload, "<i2").astype(np.int16)
        elif width == 1:
            sound = (np.frombuffer(payload, np.uint8).astype(np.int16) - 128) * np.int16(256)
        else:
            sound = np.frombuffer(payload, np.uint8).reshape(-1, width)[:, -2:].copy().view("<i2")[:, 0].astype(np.int16)
        mono: NDArray[np.float32] = sound.reshape(-1, channels).mean(axis=1, dtype=np.float32)
        return self._ours(mono)

    def finish(self) -> Pcm:
        """Gives what the resampler still holds."""
        return self._ours(np.zeros(0, np.float32), last=True)

    def _ours(self, mono: NDArray[np.float32], *, last: bool = False) -> Pcm:
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono, last=last)
        return np.rint(mono).clip(-32768, 32767).astype(np.int16)
