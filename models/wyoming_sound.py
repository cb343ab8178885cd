"""What a Wyoming voice sends, as the runtime wants it: 16 kHz, mono, trimmed, in short chunks, with the places of words.

Wyoming does not tell when which word is spoken. The places are an estimate: a word begins where its letters would, at the
pace that this voice has had so far; the first reply takes ``PACE``. What was heard of a reply that is cut is then right to a
word or two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.values import SpeechChunk
from models.utterance import WORD, Utterance

PACE: Final = 1 / 15
"""Seconds a character of text takes, blanks included: about 170 words a minute."""
RATES: Final = (4_000, 192_000)
_AUDIBLE: Final = 104.0
"""int16 amplitude from which sound counts as audible: -50 dB of full scale; neural voices are not quite silent in pauses."""


class Speech:
    """Makes chunks of one reply. Raises ValueError for a format that is none."""

    def __init__(self, text: str, rate: int, width: int, channels: int, gain: float, pace: float) -> None:
        """``pace``: seconds a character."""
        if not all(isinstance(value, int) for value in (rate, width, channels)):
            raise ValueError("a format that is no number")
        if not (RATES[0] <= rate <= RATES[1] and 1 <= width <= 4 and 1 <= channels <= 8):
            raise ValueError(f"sound of {rate} Hz, {width} bytes, {channels} channels")
        self.format = (rate, width, channels)
        self._text = text
        self._pace = pace
        self._utterance = Utterance(text, rate, gain, _AUDIBLE)
        self._rest = b""
        self._frames = 0
        self._audible = [-1, -1]  # the first and the last audible frame

    @property
    def seconds(self) -> float:
        """Sound so far."""
        return self._frames / self.format[0]

    @property
    def pace(self) -> float | None:
        """Seconds a character took, once all of a text of some length was spoken."""
        first, last = self._audible
        return (last - first) / self.format[0] / len(self._text) if first >= 0 and len(self._text) >= 16 else None

    def add(self, data: bytes) -> Iterator[SpeechChunk]:
        """Takes the next bytes; frames may be torn anywhere."""
        _, width, channels = self.format
        data = self._rest + data
        whole = len(data) - len(data) % (width * channels)
        self._rest = data[whole:]
        pcm = mono(data[:whole], width, channels)
        loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) >= _AUDIBLE)
        words: list[tuple[int, int]] = []
        if len(loud):
            self._audible[1] = self._frames + int(loud[-1])
            if self._audible[0] < 0:
                self._audible[0] = self._frames + int(loud[0])
                words = self._words(self._audible[0])
        self._frames += len(pcm)
        yield from self._utterance.add(pcm, words)

    def finish(self) -> Iterator[SpeechChunk]:
        """Gives the rest."""
        yield from self._utterance.finish()

    def _words(self, first: int) -> list[tuple[int, int]]:
        letter = self._pace * self.format[0]
        return [(first + round(match.start() * letter), match.start()) for match in WORD.finditer(self._text)]


def mono(data: bytes, width: int, channels: int) -> NDArray[np.int16]:
    """Gives interleaved little-endian PCM of 1 (unsigned) to 4 bytes a sample as one channel of int16."""
    if width == 2:
        frames = np.frombuffer(data, "<i2")
    elif width == 1:
        frames = (np.frombuffer(data, np.uint8).astype(np.int16) - 128) * 256
    else:  # the two highest bytes of each sample
        frames = np.frombuffer(data, np.uint8).reshape(-1, width)[:, -2:].copy().view("<i2")[:, 0]
    if channels == 1:
        return frames.astype(np.int16)
    mixed: NDArray[np.int16] = frames.reshape(-1, channels).mean(axis=1).astype(np.int16)
    return mixed
