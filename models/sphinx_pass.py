"""One search of PocketSphinx over a run of sound, and the cepstral mean that it needs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.values import Pcm, samples
from models.sphinx_grammar import Segment

FRAME: Final = 160
"""Samples a frame."""
UPDATE: Final = samples(1.0)
"""Sound between two estimates of the cepstral mean."""
PRIOR_FRAMES: Final = 100
"""How many frames the mean of the last utterance counts for: one second of sound."""
WINDOW: Final = 500
"""Frames for which PocketSphinx counts a mean that was set (CMN_WIN in its cmn.h)."""
LEVEL: Final = "level"
"""Name of a keyphrase search that costs next to nothing: it is there for the front end alone."""

Mean = NDArray[np.float64]
"""Mean of the cepstrum, shape (13,)."""

_PRONUNCIATION = re.compile(r"\(\d+\)$")


class PathSegment(Protocol):
    """A word of a decoder's path."""

    word: str
    start_frame: int
    end_frame: int
    ascore: float
    """Acoustic likelihood."""
    prob: float


class Decoder(Protocol):
    """What is used here of ``pocketsphinx.Decoder``."""

    def start_utt(self) -> None:
        """Begins an utterance."""

    def process_raw(self, data: bytes, no_search: bool = False, full_utt: bool = False) -> None:
        """Takes sound; without a search only the features are made; a full utterance has the mean of its whole."""

    def end_utt(self) -> None:
        """Ends the utterance and searches its lattice."""

    def seg(self) -> Iterable[PathSegment] | None:
        """Gives the best path so far."""

    def get_cmn(self, update: bool = False) -> str:
        """Gives the cepstral mean, 13 numbers with commas; ``update`` takes in what was heard since it was set."""

    def set_cmn(self, cmn: str) -> None:
        """Sets the cepstral mean."""

    def activate_search(self, search_name: str | None = None) -> None:
        """Chooses what the next utterance is searched with."""

    def current_search(self) -> str:
        """Names the search that is chosen."""


class CepstralMean:
    """Estimates the cepstral mean of an utterance from its first sound on, and keeps the decoder's in step.

    The decoder tells only a running mean in which the mean that was set counts as 500 frames; the sum of the frames since
    then follows from it.
    """

    def __init__(self, decoder: Decoder, prior: Mean | None) -> None:
        """``decoder`` has a search called ``LEVEL``; ``prior`` is the mean of the last utterance."""
        self.value: Mean | None = None
        self._decoder = decoder
        self._prior = prior
        self._sum: Mean = np.zeros(13)
        self._frames = 0
        self._since = 0

    def begin(self, sound: Pcm) -> None:
        """Estimates the mean of ``sound``, with which decoding is to begin. The decoder must be between utterances."""
        search = self._decoder.current_search()
        self._decoder.activate_search(LEVEL)
        self.value = np.zeros(13)
        self.set()
        self._decoder.start_utt()
        self._decoder.process_raw(sound.tobytes(), no_search=True)
        self._take(len(sound))
        self._decoder.end_utt()
        self._decoder.activate_search(search)
        # The same sound is counted again, and for good, when it is decoded.
        self._sum, self._frames = np.zeros(13), 0

    def set(self) -> None:
        """Sets the decoder's mean: at the start of every utterance."""
        if self.value is not None:
            self._decoder.set_cmn(as_text(self.value))
            self._since = 0

    def heard(self, count: int) -> bool:
        """Says that ``count`` more samples were decoded; gives True where the mean was estimated anew."""
        self._since += count
        if self._since < UPDATE:
            return False
        self._take(self._since)
        self.set()
        return True

    def _take(self, count: int) -> None:
        if self.value is None or count < FRAME:
            return
        frames = count // FRAME
        running = np.array([float(value) for value in self._decoder.get_cmn(True).split(",")])
        self._sum += running * (WINDOW + frames) - self.value * WINDOW
        self._frames += frames
        weight = 0 if self._prior is None else PRIOR_FRAMES
        known = 0.0 if self._prior is None else self._prior
        self.value = (weight * known + self._sum) / (weight + self._frames)


def as_text(mean: Mean) -> str:
    """Gives the mean in the form that ``Decoder.set_cmn`` takes."""
    return ",".join(f"{value:.3f}" for value in mean)


class Pass:
    """One utterance of a decoder, begun by its first sound."""

    def __init__(self, decoder: Decoder, start: int = 0) -> None:
        """``start`` is the sample of the stream at which this run begins."""
        self.decoder = decoder
        self.length = 0
        """Samples taken."""
        self._frame = start // FRAME
        self._running = False

    def feed(self, pcm: Pcm) -> None:
        """Decodes the next sound."""
        if not self._running:
            self.decoder.start_utt()
            self._running = True
        self.length += len(pcm)
        self.decoder.process_raw(np.ascontiguousarray(pcm).tobytes())

    def whole(self, pcm: Pcm) -> list[Segment]:
        """Decodes an utterance that is all there; gives its path."""
        self.decoder.start_utt()
        self.length = len(pcm)
        self.decoder.process_raw(np.ascontiguousarray(pcm).tobytes(), full_utt=True)
        self.decoder.end_utt()
        return self.path()

    def path(self) -> list[Segment]:
        """Gives the best path so far, fillers included, in frames from the stream's start."""
        if not self.length:
            return []
        return [
            Segment(
                _PRONUNCIATION.sub("", segment.word),
                self._frame + segment.start_frame,
                self._frame + segment.end_frame + 1,
                math.log(max(segment.ascore, 1e-300)),
                min(1.0, segment.prob),
            )
            for segment in self.decoder.seg() or ()
            if segment.word != "(NULL)"
        ]

    def finish(self) -> list[Segment]:
        """Ends the run; gives its path."""
        if not self._running:
            return []
        self.decoder.end_utt()
        self._running = False
        return self.path()

    def abandon(self) -> None:
        """Ends the run without a look at it."""
        if self._running:
            self.decoder.end_utt()
            self._running = False
