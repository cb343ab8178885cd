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
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import soxr
from numpy.typing import NDArray

from edge.errors import EngineFailed, EngineMissing, UsageError
from edge.ports import Stop
from edge.values import SAMPLE_RATE, EngineInfo, Pcm, SpeechChunk, VoiceStyle, WordMark
from models.worker import Worker

MAX_CHUNK = SAMPLE_RATE // 10
"""Samples in the longest chunk: 100 ms."""
_AUDIBLE = 33.0
"""int16 amplitude from which sound counts as audible: -60 dB of full scale. espeak-ng's own silence is within 1 of 0."""
_KNEE = 0.8 * 32767
"""Above this, only under a gain above 1, the amplitude is bent instead of clipped: espeak-ng peaks at 0.77 of full scale."""
_NORMAL_WPM = 175
_MAX_TEXT = 20_000
"""Characters in one utterance; the rest is dropped. It is about a quarter of an hour of speech."""

_WORD = re.compile(r"\S+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]")
"""Among them U+0001, which begins an espeak-ng command inside the text, and NUL, which ends it."""


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
        text = _CONTROLS.sub(" ", text[:_MAX_TEXT])  # one for one, so that places in the text stay true
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
        utterance = Utterance(text, self._rate, style.volume)
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


class Utterance:
    """Makes chunks of one utterance out of raw sound with word events.

    All places inside are samples at 16 kHz, counted from the first sample that the engine gave. ``words`` are the runs of
    ``text`` between white space. A run that the engine speaks as several words ("12:30") is one mark; a run that makes no
    sound of its own (a dash, or "the" where "of the" is one event) is a mark of no length, at the end of the run before it.
    """

    def __init__(self, text: str, rate: int, gain: float) -> None:
        self._runs = [(match.start(), match.group()) for match in _WORD.finditer(text)]
        self._scale = SAMPLE_RATE / rate
        self._gain = gain
        # float32, because soxr dithers what it gives as int16
        self._resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
        self._sound: deque[NDArray[np.float32]] = deque()
        self._given = 0  # place of the first sample in _sound
        self._end = 0  # one past the last sample in _sound
        self._first: int | None = None  # the first audible sample: the utterance's own zero
        self._audible = 0  # one past the last audible sample
        self._events: deque[tuple[int, int]] = deque()  # (place, run) beyond _end
        self._open: tuple[int, int] | None = None  # (place, run) of the word whose end is not known
        self._next_run = 0
        self._marks: deque[tuple[int, int, int]] = deque()  # (run, start, end) not given yet
        self._last_end = 0

    def add(self, pcm: NDArray[np.int16], words: Sequence[tuple[int, int]]) -> Iterator[SpeechChunk]:
        """Takes raw sound and the words that begin in it as (sample, character); gives the chunks that are settled."""
        for sample, character in words:
            self._events.append((round(sample * self._scale), character))
        self._take(self._resampler.resample_chunk(pcm.astype(np.float32)))
        while self._open and min(self._open[0], self._audible) - self._given >= MAX_CHUNK:
            yield self._cut(MAX_CHUNK)

    def finish(self) -> Iterator[SpeechChunk]:
        """Gives the rest."""
        self._take(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        for _, character in self._events:
            self._begin_word(self._end, character)
        self._end_word(len(self._runs))
        while self._audible > self._given:
            yield self._cut(min(MAX_CHUNK, self._audible - self._given))

    def _take(self, sound: NDArray[np.float32]) -> None:
        while self._events and self._events[0][0] < self._end + len(sound):
            place, character = self._events.popleft()
            before = max(0, place - self._end)
            self._append(sound[:before])
            self._begin_word(place, character)
            sound = sound[before:]
        self._append(sound)

    def _append(self, sound: NDArray[np.float32]) -> None:
        loud = np.flatnonzero(np.abs(sound) >= _AUDIBLE)
        if self._first is None and len(loud):
            self._first = self._given = self._end + int(loud[0])
            self._sound.append(sound[int(loud[0]) :])
        elif self._first is not None:
            self._sound.append(sound)
        if len(loud):
            self._audible = self._end + int(loud[-1]) + 1
        self._end += len(sound)

    def _begin_word(self, place: int, character: int) -> None:
        # Between two runs espeak-ng means the next one: it is off by one there.
        run = next(
            (run for run in range(self._next_run, len(self._runs)) if character < self._run_end(run)), len(self._runs) - 1
        )
        if self._open and run <= self._open[1]:
            return  # the same run, spelt out
        self._end_word(run)
        self._open = (place, run)
        self._next_run = run

    def _run_end(self, run: int) -> int:
        start, word = self._runs[run]
        return start + len(word)

    def _end_word(self, next_run: int) -> None:
        """Closes the open word, if there is one, and the silent ones between it and ``next_run``."""
        if self._open:
            start, run = self._open
            self._last_end = max(start, self._audible)
            self._marks.append((run, start, self._last_end))
            self._open = None
            self._next_run = run + 1
        for run in range(self._next_run, next_run):
            self._marks.append((run, self._last_end, self._last_end))

    def _cut(self, count: int) -> SpeechChunk:
        parts = []
        self._given += count
        while count > 0:
            part = self._sound.popleft()
            if len(part) > count:
                self._sound.appendleft(part[count:])
                part = part[:count]
            count -= len(part)
            parts.append(part)
        zero = self._first or 0
        words = []
        while self._marks and (self._marks[0][1] < self._given or self._given == self._audible):
            run, start, end = self._marks.popleft()
            words.append(WordMark(self._runs[run][1], max(0, start - zero), max(0, end - zero)))
        return SpeechChunk(_amplify(np.concatenate(parts), self._gain), tuple(words))


def _amplify(sound: NDArray[np.float32], gain: float) -> Pcm:
    sound = sound * np.float32(gain)
    if gain > 1:
        room = 32767 - _KNEE
        over = np.abs(sound) - _KNEE
        bent = np.sign(sound) * (_KNEE + room * np.tanh(over / room))
        sound = np.where(over > 0, bent, sound)
    return np.rint(sound).clip(-32768, 32767).astype(np.int16)
