"""What every voice does with the sound of its engine: 16 kHz, no silence at the ends, short chunks, words with their places."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import soxr
from numpy.typing import NDArray

from edge.values import SAMPLE_RATE, Pcm, SpeechChunk, WordMark

MAX_CHUNK = SAMPLE_RATE // 10
"""Samples in the longest chunk: 100 ms."""
MAX_TEXT = 20_000
"""Characters in one utterance; the rest is dropped. It is about a quarter of an hour of speech."""
_KNEE = 0.8 * 32767
"""Above this, only under a gain above 1, the amplitude is bent instead of clipped. Engines here peak below it."""

WORD = re.compile(r"\S+")
"""A word, as marks count them: a run of text between white space."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]")
"""Among them U+0001, which begins an espeak-ng command inside the text, and NUL, which ends it."""


def utterable(text: str) -> str:
    """Gives the text without control characters, one for one, so that places in it stay true; at most ``MAX_TEXT``."""
    return _CONTROLS.sub(" ", text[:MAX_TEXT])


class Utterance:
    """Makes chunks of one utterance out of raw sound with word events.

    All places inside are samples at 16 kHz, counted from the first sample that the engine gave. ``words`` are the runs of
    ``text`` between white space. A run that the engine speaks as several words ("12:30") is one mark; a run that makes no
    sound of its own (a dash, or "the" where "of the" is one event) is a mark of no length, at the end of the run before it.
    """

    def __init__(self, text: str, rate: float, gain: float, audible: float) -> None:
        """``rate`` is the engine's, in Hz; from the int16 amplitude ``audible`` on, sound is no silence."""
        self._runs = [(match.start(), match.group()) for match in WORD.finditer(text)]
        self._rate = rate
        self._gain = gain
        self._threshold = audible
        self._resampler = self._new_resampler()
        self._origin = 0  # where the sound since the last pause begins
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
        """Takes raw sound and the words that begin in it as (sample, character); gives the chunks that are settled.

        ``sample`` counts from the first one that the engine gave, or from the first one after the last ``pause``.
        """
        for sample, character in words:
            self._events.append((self._origin + round(sample * SAMPLE_RATE / self._rate), character))
        self._take(self._resampler.resample_chunk(pcm.astype(np.float32)))
        while self._open and min(self._open[0], self._audible) - self._given >= MAX_CHUNK:
            yield self._cut(MAX_CHUNK)

    def pause(self, said: int) -> Iterator[SpeechChunk]:
        """Gives all that is audible: the text up to the character ``said`` has been spoken, and more may be long in coming."""
        self._flush()
        self._end_word(sum(start < said for start, _ in self._runs))
        yield from self._rest()

    def finish(self) -> Iterator[SpeechChunk]:
        """Gives the rest."""
        self._flush()
        self._end_word(len(self._runs))
        yield from self._rest()

    def _new_resampler(self) -> soxr.ResampleStream:
        # float32, because soxr dithers what it gives as int16
        return soxr.ResampleStream(self._rate, SAMPLE_RATE, 1, dtype="float32")

    def _flush(self) -> None:
        self._take(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        self._resampler = self._new_resampler()
        for _, character in self._events:
            self._begin_word(self._end, character)
        self._events.clear()
        self._origin = self._end

    def _rest(self) -> Iterator[SpeechChunk]:
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
        loud = np.flatnonzero(np.abs(sound) >= self._threshold)
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
        self._next_run = max(self._next_run, next_run)

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
