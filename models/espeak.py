"""The voice espeak-ng: any CPU, a hundred languages, a few milliseconds, no download.

The library (wheel ``espeakng-loader``, GPL-3.0-or-later) is never loaded here: ``models.espeak_worker`` speaks in a process of
its own and hands over 22.05 kHz sound with the places of its words. Here the sound becomes 16 kHz in one piece, silence at
both ends is cut away, and a chunk waits until the end of every word that begins in it is known. That wait is one word's
synthesis, a millisecond or so; in return the runtime can tell to the sample which words were heard.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.metadata
import importlib.util
import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from edge.errors import EngineFailed, EngineMissing, UsageError
from edge.ports import Stop
from edge.values import EngineInfo, SpeechChunk, VoiceStyle
from models.utterance import Utterance, utterable
from models.worker import Worker

_AUDIBLE = 33.0
"""int16 amplitude from which sound counts as audible: -60 dB of full scale. espeak-ng's own silence is within 1 of 0, and it
peaks at 0.77 of full scale."""
_NORMAL_WPM = 175


class Espeak:
    """A ``Voice``. It needs no model; languages are BCP 47 tags (``en-us``, ``de``, ``pt-BR``, ``zh``).

    The same text and style give the same samples every time.
    """

    def __init__(self, language: str = "en-us", time_limit: float = 20.0) -> None:
        """``time_limit`` is how many seconds the process may be silent in the middle of a sentence before it is replaced."""
        self._language = language
        self._worker = Worker("models.espeak_worker", time_limit=time_limit)
        self._voice = ""
        self._rate = 0
        self._version = ""

    def open(self) -> None:
        """Starts the process. Raises EngineMissing, EngineFailed, EngineHung, and UsageError for an unknown language."""
        if importlib.util.find_spec("espeakng_loader") is None:
            raise EngineMissing("the voice espeak-ng is not installed: pip install espeakng-loader")
        hello = self._worker.start()
        try:
            self._voice = find_voice(self._language, hello["voices"])
        except UsageError:
            self.close()
            raise
        self._rate = hello["rate"]
        self._version = hello["version"]

    def close(self) -> None:
        """Ends the process."""
        self._worker.close()
        self._voice = ""

    @property
    def info(self) -> EngineInfo:
        """Name, version and licence; the version of the library once it is open, that of its wheel before."""
        try:
            wheel = importlib.metadata.version("espeakng-loader")
        except importlib.metadata.PackageNotFoundError:
            wheel = "not installed"
        details = MappingProxyType({"wheel": f"espeakng-loader {wheel}", "process": "its own", "language": self._language})
        return EngineInfo("espeak-ng", self._version or wheel, self._voice or self._language, "GPL-3.0-or-later", details)

    def synthesize(self, text: str, style: VoiceStyle, stop: Stop) -> Iterator[SpeechChunk]:
        """Gives the speech of ``text``, leading and trailing silence trimmed, in chunks of at most 100 ms at 16 kHz.

        Nothing in the text is markup. It gives nothing where there is nothing to say. Volume is a linear gain, bent above
        0.8 of full scale; pitch is right within a tenth from 0.6 to 1.6, and ends at about 0.55 and 1.7. Raises EngineFailed,
        EngineHung; the next call has a fresh process.
        """
        if not self._voice:
            raise EngineFailed("the voice espeak-ng is not open")
        text = utterable(text)
        if not text.strip():
            return
        # espeak-ng's pitch scales the voice's lowest note (0 is half of it, 50 all, 100 double, evenly in octaves), its range
        # what intonation adds above; but it lowers the lowest note by 0.75 of itself as the range grows (measured).
        base = min(max(style.pitch + 0.75 * (style.pitch - 1), 0.5), 2.0)
        request = {
            "op": "speak",
            "voice": self._voice,
            "wpm": round(min(max(_NORMAL_WPM * style.rate, 80), 450)),
            "pitch": round(50 + 50 * math.log2(base)),
            "range": round(min(50 * style.pitch, 100)),
        }
        utterance = Utterance(text, self._rate, style.volume, _AUDIBLE)
        with contextlib.closing(self._worker.request(request, text.encode(), stop)) as frames:
            for frame in frames:
                for chunk in utterance.add(np.frombuffer(frame.body, np.int16), frame.header["words"]):
                    if stop:
                        return
                    yield chunk
        if stop:
            return
        for chunk in utterance.finish():
            if stop:
                return
            yield chunk


def find_voice(language: str, voices: Sequence[Sequence[str]]) -> str:
    """Gives the identifier of the voice for a BCP 47 tag; the nearest more general one where there is no other.

    ``voices`` are rows of an identifier and the tags it serves, its own first. Raises UsageError, naming the nearest tag.
    """
    own: dict[str, str] = {}
    any_of: dict[str, str] = {}
    for identifier, *tags in voices:
        own.setdefault(tags[0].lower(), identifier)
        for tag in tags:
            any_of.setdefault(tag.lower(), identifier)
    tag = language.lower().replace("_", "-")
    while tag:
        tag = _PREFERRED.get(tag, tag)
        if tag in own or tag in any_of:
            return own.get(tag) or any_of[tag]
        tag = tag.rpartition("-")[0]
    close = difflib.get_close_matches(language.lower(), sorted(any_of), n=1, cutoff=0.0)
    raise UsageError(f"voice: espeak-ng has no language {language!r}; the nearest of its {len(own)} is {close[0]!r}")


_PREFERRED: Mapping[str, str] = MappingProxyType(
    {
        "en": "en-us",  # espeak-ng lists the Caribbean first
        "fr": "fr-fr",
        "pt": "pt-pt",
        "zh": "cmn",
        "zh-hk": "yue",
        "no": "nb",
        "tl": "fil",
        "iw": "he",
        "in": "id",
    }
)
"""Tags that people write, and those espeak-ng means by them."""
