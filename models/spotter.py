"""Spots single words in running sound, by PocketSphinx's keyword search against a loop of phones.

It is what hears "stop" over the assistant's own voice: a recogniser that must make words of everything makes "stuff" and
"it's on" of it. Run without a pause, over answers whose echo is as loud at the microphone as the wearer and is subtracted by
``models/kalman.py``, it finds 43 of 56 and takes eleven other places in five minutes for one; whoever acts on it asks voice
activity too, which leaves none of the eleven (``python -m tools.bench.echo``).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from edge.errors import EngineMissing, UsageError
from edge.values import EngineInfo, Pcm, samples

if TYPE_CHECKING:
    from pocketsphinx import Decoder

THRESHOLD: Final = 1e-15
"""Likelihood ratio of the word against the loop of phones."""
LONGEST: Final = samples(20.0)
"""After as much sound the search begins anew, for it remembers all of it."""


class SphinxSpotter:
    """Finds words of the US English dictionary. Implements ``edge.ports.WakeWord``; 4 % of a core a word."""

    def __init__(self, words: Sequence[str] = ("stop",)) -> None:
        self._words = tuple(words)
        self._decoders: dict[str, Decoder] = {}
        self._heard = 0

    @property
    def info(self) -> EngineInfo:
        """Name, version, model and licence."""
        return EngineInfo("pocketsphinx-keyword", version("pocketsphinx"), "en-us", "BSD-2-Clause")

    def open(self) -> None:
        """Loads a decoder for each word. Raises EngineMissing, and UsageError for a word that the dictionary lacks."""
        if self._decoders:
            return
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise EngineMissing("spotting words needs the package pocketsphinx: pip install pocketsphinx") from error
        for word in self._words:
            decoder = Decoder(keyphrase=word, kws_threshold=THRESHOLD, lm=None, loglevel="FATAL")
            if decoder.lookup_word(word) is None:
                self.close()
                raise UsageError(f"{word!r} cannot be spotted: it is not in the dictionary")
            decoder.start_utt()
            self._decoders[word] = decoder

    def close(self) -> None:
        """Frees the decoders."""
        self._decoders.clear()

    def detect(self, pcm: Pcm) -> str | None:
        """Takes the next sound, any length; gives a word that has just ended, or None."""
        self._heard += len(pcm)
        data = pcm.tobytes()
        found = None
        for word, decoder in self._decoders.items():
            decoder.process_raw(data)
            if found is None and decoder.hyp() is not None:
                found = word
        if found is not None or self._heard >= LONGEST:
            self.reset()
        return found

    def reset(self) -> None:
        """Forgets the sound so far."""
        if self._heard:
            self._heard = 0
            for decoder in self._decoders.values():
                decoder.end_utt()
                decoder.start_utt()
