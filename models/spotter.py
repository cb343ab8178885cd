"""Spots single words in an utterance, by PocketSphinx's keyword search against a loop of phones.

It is what hears "stop" over the assistant's own voice: a recogniser that must make words of everything makes "stuff" and
"it's on" of it. The whole utterance is judged at once, its level and colour normalised over all of it, by each way in which
the word is said: the dictionary knows only the American vowel, with which a Scottish or a British "stop" is a poor one.

The threshold is low, for an utterance over a reply is short, louder than the echo and likely to be meant. Over answers from
which ``models/kalman.py`` has taken the echo, "stop" as loud as the echo is found 35 times of 43, in seventeen synthetic
voices of which three cannot be told from other words even alone. The price: a cleared throat as loud is "stop" four times of
twelve (no cough, bang or hum of 36), and so is one other word of eleven ("start", "top", "what").
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from edge.errors import EngineMissing, UsageError
from edge.values import EngineInfo, Pcm

if TYPE_CHECKING:
    from pocketsphinx import Decoder

THRESHOLD: Final = 1e-22
"""Likelihood ratio of the word against the loop of phones."""
ALSO_SAID: Final = {"stop": ("S T AO P",)}
"""Other ways of saying a word than the dictionary's first, in its phones."""


class SphinxSpotter:
    """Finds words of the US English dictionary. Implements ``edge.ports.Spotter``; 4 % of a core a way of saying a word."""

    def __init__(self, words: Sequence[str] = ("stop",)) -> None:
        self._words = tuple(words)
        self._decoders: list[tuple[str, Decoder]] = []

    @property
    def info(self) -> EngineInfo:
        """Name, version, model and licence."""
        return EngineInfo("pocketsphinx-keyword", version("pocketsphinx"), "en-us", "BSD-2-Clause")

    def open(self) -> None:
        """Loads the decoders. Raises EngineMissing, and UsageError for a word that the dictionary lacks."""
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
            self._decoders.append((word, decoder))
            for phones in ALSO_SAID.get(word, ()):
                other = Decoder(kws_threshold=THRESHOLD, lm=None, loglevel="FATAL")
                other.add_word(f"{word}_", phones, True)
                other.add_keyphrase(word, f"{word}_")
                other.activate_search(word)
                self._decoders.append((word, other))

    def close(self) -> None:
        """Frees the decoders."""
        self._decoders.clear()

    def spot(self, pcm: Pcm) -> str | None:
        """Takes an utterance; gives the first of the words that stands in it, or None."""
        if not len(pcm):
            return None
        data = pcm.tobytes()
        return next((word for word, decoder in self._decoders if _found(decoder, data)), None)


def _found(decoder: Decoder, data: bytes) -> bool:
    decoder.start_utt()
    decoder.process_raw(data, full_utt=True)
    decoder.end_utt()
    return decoder.hyp() is not None
