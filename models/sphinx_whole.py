"""An utterance of a recording: heard in one piece at its end, by PocketSphinx nearly as it comes.

With all of the sound at hand the batch cepstral mean is right from the first frame on, and the second search (``fwdflat``)
costs nobody a wait. Partials, pauses and commands are what a live stream has instead (``models/sphinx.py``).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edge.ports import Stop
from edge.values import Pcm, Transcript, Word, samples
from models.sphinx_pass import FRAME, Decoder, Pass

LANGUAGE: Final = "en"
"""What the model of PocketSphinx's wheel knows."""
LONGEST: Final = samples(120.0)
"""Sound of one utterance that is kept; what comes after it is not heard."""


class WholeStream:
    """One utterance, kept until ``final``."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._sound: list[Pcm] = []
        self._heard = 0

    def accept(self, pcm: Pcm) -> Transcript | None:
        """Keeps the sound. There are no partials."""
        if len(pcm) and self._heard < LONGEST:
            self._sound.append(pcm)
            self._heard += len(pcm)
        return None

    def final(self, stop: Stop) -> Transcript:
        """Decodes all sound so far, in one call that cannot be stopped: a tenth to half of its length."""
        if not self._heard or stop:
            return Transcript("", final=True, confidence=0.0, source="general", language=LANGUAGE)
        path = Pass(self._decoder).whole(np.concatenate(self._sound))
        words = tuple(
            Word(part.word, part.start * FRAME, part.end * FRAME, part.confidence) for part in path if not part.filler
        )
        confidence = sum(word.confidence for word in words) / len(words) if words else 0.0
        return Transcript(
            " ".join(word.text for word in words), words, confidence, final=True, source="general", language=LANGUAGE
        )

    def close(self) -> None:
        """Gives the sound up."""
        self._sound.clear()
        self._heard = 0
