"""Sound as ``/audio/speech`` sends it: WAV or bare samples, in pieces cut anywhere, of a length that nobody knows yet."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

PCM_RATE: Final = 24_000
"""Samples a second of bare samples (s16le, mono) where their media type says nothing: OpenAI's own."""
_RATES: Final = (4_000, 192_000)
_HEADER: Final = 4_096
"""Bytes within which the sound of a WAV file begins."""
_EXTENSIBLE: Final = 0xFFFE
_OTHERS: Final = ((b"ID3", "MP3"), (b"\xff\xfb", "MP3"), (b"\xff\xf3", "MP3"), (b"OggS", "Ogg"), (b"fLaC", "FLAC"))


class NoSound(ValueError):
    """The bytes are no sound that is read here; the text says what they are."""


class SoundReader:
    """Makes mono samples of bytes as they come. ``rate`` is known once the first samples are."""

    def __init__(self, kind: str, parameters_rate: str = "") -> None:
        """``kind`` is the media type, ``parameters_rate`` what its parameter ``rate`` says."""
        if kind.startswith("text/") or kind.endswith("json"):
            raise NoSound(kind)
        self.rate = int(parameters_rate) if parameters_rate.isascii() and parameters_rate.isdigit() else PCM_RATE
        self._channels = 1
        self._big_endian = kind == "audio/l16"  # RFC 2586
        self._held = b""
        self._begun = False

    def add(self, data: bytes) -> NDArray[np.int16]:
        """Takes the next bytes; gives the samples that they complete, shape (n,). Raises NoSound."""
        self._held += data
        if not self._begun:
            if len(self._held) < 12:
                return np.zeros(0, np.int16)
            if not self._begin():
                return np.zeros(0, np.int16)
            self._begun = True
        frame = 2 * self._channels
        whole = len(self._held) // frame * frame
        taken, self._held = self._held[:whole], self._held[whole:]
        sound = np.frombuffer(taken, ">i2" if self._big_endian else "<i2").reshape(-1, self._channels)
        return np.asarray(sound[:, 0] if self._channels == 1 else np.rint(sound.mean(axis=1)), np.int16)

    def _begin(self) -> bool:
        """Looks at what the sound begins with; False until enough of it is there."""
        if self._held.startswith(b"RIFF") and self._held[8:12] == b"WAVE":
            return self._begin_wav()
        for magic, name in _OTHERS:
            if self._held.startswith(magic):
                raise NoSound(name)
        if self._held.lstrip()[:1] in (b"{", b"<") and self._held.isascii():
            raise NoSound("text")
        self._check(self.rate, 1)
        return True

    def _begin_wav(self) -> bool:
        at, known = 12, False
        while at + 8 <= len(self._held):
            # The size of the data is not to be trusted: a stream's header is written before its end is known.
            name, size = struct.unpack_from("<4sI", self._held, at)
            at += 8
            if name == b"data":
                if not known:
                    raise NoSound("WAV without a format")
                self._held, self._big_endian = self._held[at:], False
                return True
            if at + size > _HEADER:
                raise NoSound("WAV without sound")
            if name == b"fmt " and at + 16 <= len(self._held):
                form, channels, self.rate, _, _, bits = struct.unpack_from("<HHIIHH", self._held, at)
                if form not in (1, _EXTENSIBLE) or bits != 16:
                    raise NoSound(f"WAV of {bits} bits, format {form}")
                self._check(self.rate, channels)
                self._channels, known = channels, True
            at += size + size % 2
        return False

    def _check(self, rate: int, channels: int) -> None:
        if not (_RATES[0] <= rate <= _RATES[1] and channels in (1, 2)):
            raise NoSound(f"sound of {channels} channels at {rate} Hz")
