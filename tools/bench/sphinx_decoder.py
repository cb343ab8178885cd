"""PocketSphinx as a decoder that knows no streams: a real one, always there, for the policies that stream Whisper."""

from __future__ import annotations

from typing import Final

import pocketsphinx

from edge.decoding import Decoded, DecodeRequest, Segment
from edge.errors import UsageError
from edge.ports import Stop
from edge.values import EngineInfo, Pcm, Word, samples
from models.sphinx_pass import FRAME, Pass

PAUSE: Final = samples(0.3)
"""A filler of that length ends a segment."""
SHORTEST: Final = samples(0.1)
"""Less sound than this is not searched."""


class SphinxDecoder:
    """Decodes English buffers. Implements ``edge.ports.SpeechDecoder``; prompts, prefixes and names mean nothing to it.

    A ``thorough`` decode searches twice, as a recording is searched (``models/sphinx_whole.py``), another one only once.
    """

    languages = ("en",)

    def __init__(self) -> None:
        self._decoders: tuple[pocketsphinx.Decoder, pocketsphinx.Decoder] | None = None

    @property
    def info(self) -> EngineInfo:
        """Names it."""
        return EngineInfo("pocketsphinx", "", "en-us", "BSD-2-Clause")

    def open(self) -> None:
        """Loads the model, once for each way to search."""
        if self._decoders is None:
            quick = pocketsphinx.Decoder(loglevel="FATAL", fwdflat=False)
            self._decoders = quick, pocketsphinx.Decoder(loglevel="FATAL")

    def close(self) -> None:
        """Frees it."""
        self._decoders = None

    def decode(self, pcm: Pcm, request: DecodeRequest, stop: Stop) -> Decoded:
        """Gives the words of the best path; one call that cannot be stopped."""
        if self._decoders is None:
            raise UsageError("SphinxDecoder.decode before open()")
        if stop or len(pcm) < SHORTEST:
            return Decoded((), "en", 1.0)
        segments: list[list[Word]] = [[]]
        for part in Pass(self._decoders[request.thorough]).whole(pcm):
            start, end = part.start * FRAME, min(part.end * FRAME, len(pcm))
            if not part.filler and end > start:
                segments[-1].append(Word(part.word, start, end, part.confidence))
            elif part.filler and end - start >= PAUSE and segments[-1]:
                segments.append([])
        found = tuple(Segment(tuple(words), words[0].start, words[-1].end) for words in segments if words)
        return Decoded(found, "en", 1.0)

    def attend(self, pcm: Pcm, decoded: Decoded, stop: Stop) -> tuple[int, ...]:
        """Gives the end of each word: what comes later can only have changed it through the language model."""
        return tuple(word.end for word in decoded.words)

    def identify(self, pcm: Pcm, stop: Stop) -> tuple[tuple[str, float], ...]:
        """Knows one language."""
        return (("en", 1.0),)
