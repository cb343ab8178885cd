"""From a device's codec frames to the runtime's sound, and onto its media time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.clock import MediaClock
from edge.errors import InputError
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Pcm, samples

MAX_FILL_S = 2.0
"""A longer gap is left open in the media time instead of being filled, as everywhere in this package."""
_NOTHING: Pcm = np.zeros(0, np.int16)
_SILENCE = np.zeros(CHUNK_SAMPLES, np.int16)
_SILENCE.setflags(write=False)


class FrameDecoder(Protocol):
    """Turns one device's codec frames into 16 kHz mono."""

    def decode(self, frame: bytes) -> Pcm:
        """Gives the sound of the next frame. Raises InputError where it is none."""

    def conceal(self, frames: int) -> Pcm:
        """Gives what may have been in so many missing frames."""

    def close(self) -> None:
        """Frees it."""


class OpusFrames:
    """Opus, each frame as long as its own table of contents says (RFC 6716 section 3.1). Raises EngineMissing."""

    def __init__(self, usual: int = CHUNK_SAMPLES) -> None:
        """``usual`` samples are taken for a missing frame until the first has come."""
        from phone_bridge.opus import Decoder

        self._decoder = Decoder()
        self._usual = usual

    def decode(self, frame: bytes) -> Pcm:
        """Gives the sound of the next frame. Raises InputError."""
        pcm = self._decoder.decode(frame)
        self._usual = len(pcm)
        return pcm

    def conceal(self, frames: int) -> Pcm:
        """Carries on the sound before (packet loss concealment)."""
        return self._decoder.conceal(min(frames * self._usual, samples(MAX_FILL_S)))

    def close(self) -> None:
        """Frees the decoder."""
        self._decoder.close()


class PcmFrames:
    """PCM16 little-endian or mu-law (G.711), at 8 or 16 kHz."""

    def __init__(self, rate: int, *, mulaw: bool) -> None:
        self._mulaw = mulaw
        self._double = _Double() if 2 * rate == SAMPLE_RATE else None
        self._usual = SAMPLE_RATE // 100
        self._scale = SAMPLE_RATE // rate

    def decode(self, frame: bytes) -> Pcm:
        """Gives the sound of the next frame. Raises InputError for half a sample."""
        if not self._mulaw and len(frame) % 2:
            raise InputError(f"{len(frame)} bytes are no whole number of 16-bit samples")
        pcm: Pcm = _MULAW[np.frombuffer(frame, np.uint8)] if self._mulaw else np.frombuffer(frame, "<i2").astype(np.int16)
        self._usual = len(pcm) * self._scale
        return self._widened(pcm)

    def conceal(self, frames: int) -> Pcm:
        """Gives silence: nothing is known of the sound but its length."""
        return self._widened(np.zeros(min(frames * self._usual, samples(MAX_FILL_S)) // self._scale, np.int16))

    def close(self) -> None:
        """Nothing."""

    def _widened(self, pcm: Pcm) -> Pcm:
        return self._double(pcm) if self._double is not None else pcm


class _Double:
    """Doubles the sample rate with a half-band filter, 1 ms late.

    soxr's streams give sound in blocks of 1700 samples, 100 ms late, and its quick way has no filter to speak of.
    """

    _TAPS = 16

    def __init__(self) -> None:
        place = np.arange(self._TAPS) - (self._TAPS - 1) / 2  # of each sample, seen from the one between the middle two
        taps = np.sinc(place) * np.kaiser(self._TAPS, 5.0)  # -54 dB at 5 kHz, flat to 3.4 kHz
        self._taps = taps / taps.sum()
        self._before: NDArray[np.float64] = np.zeros(self._TAPS - 1)

    def __call__(self, pcm: Pcm) -> Pcm:
        sound: NDArray[np.float64] = np.concatenate((self._before, pcm))
        self._before = sound[len(pcm) :]
        out = np.empty(2 * len(pcm))
        out[0::2] = sound[self._TAPS // 2 - 1 :][: len(pcm)]
        out[1::2] = np.convolve(sound, self._taps, "valid")
        doubled: Pcm = np.clip(np.round(out), -32768, 32767).astype(np.int16)
        return doubled


def _mulaw_table() -> Pcm:
    """ITU-T G.711, table 2b: the bits are sent inverted; sign, three bits of exponent, four of mantissa."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4) & 7, (code & 15).astype(np.int32)
    size = ((mantissa << 3) + 132 << exponent.astype(np.int32)) - 132
    table: Pcm = np.where(code & 0x80, -size, size).astype(np.int16)
    table.setflags(write=False)
    return table


_MULAW = _mulaw_table()


class Hearing:
    """Lays sound on the media time, in chunks of 320 samples: each sample once, never back.

    Sound follows the sound before. After ``pause`` it begins where the loop's clock says that the media time is now.
    """

    def __init__(self, clock: MediaClock, give: Callable[[AudioChunk], None]) -> None:
        self.position = 0
        """Media time of the next chunk, in samples."""
        self._clock = clock
        self._give = give
        self._rest = _NOTHING
        self._paused = True

    def heard(self, pcm: Pcm, at: float) -> None:
        """Takes the next sound, which arrived whole at loop time ``at``."""
        behind = self._now(at) - len(pcm) - len(self._rest) - self.position
        if self._paused or behind > samples(MAX_FILL_S):
            self._jump(self._now(at) - len(pcm))
        self._paused = False
        self._rest = np.concatenate((self._rest, pcm)) if len(self._rest) else pcm
        self._clock.arrived(self.position + len(self._rest), at)
        whole = len(self._rest) // CHUNK_SAMPLES * CHUNK_SAMPLES
        for start in range(0, whole, CHUNK_SAMPLES):
            self._hand_on(self._rest[start : start + CHUNK_SAMPLES])
        self._rest = self._rest[whole:]

    def silence(self, until: float) -> None:
        """Takes that there was no sound up to loop time ``until``: the glasses said so."""
        if self._paused or self._now(until) - self.position > samples(MAX_FILL_S):
            self._jump(max(self.position, self._now(until) - samples(MAX_FILL_S)))
        self._paused = False
        if self.position + CHUNK_SAMPLES > self._now(until):
            return
        if len(self._rest):
            self._hand_on(np.concatenate((self._rest, _SILENCE[len(self._rest) :])))
            self._rest = _NOTHING
        while self.position + CHUNK_SAMPLES <= self._now(until):
            self._hand_on(_SILENCE)

    def pause(self) -> None:
        """Expects nothing; what is begun is dropped."""
        self._paused = True
        self._rest = _NOTHING

    def _now(self, at: float) -> int:
        return self._clock.media_ns(at) * SAMPLE_RATE // 1_000_000_000

    def _jump(self, to: int) -> None:
        self._rest = _NOTHING
        self.position = max(self.position, to)

    def _hand_on(self, pcm: Pcm) -> None:
        chunk = AudioChunk(pcm, self.position)
        self.position = chunk.end
        self._give(chunk)
