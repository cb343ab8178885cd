"""Speech by ``/audio/speech``: speaches, LocalAI, Kokoro-FastAPI, OpenAI and others, played as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import RemoteFailed
from edge.ports import Stop
from edge.values import EngineInfo, SpeechChunk, VoiceStyle
from models.openai_http import USUAL, Answer, Ask, Limits, Server, Stopped
from models.openai_sound import NoSound, SoundReader
from models.utterance import WORD, Utterance, utterable

_AUDIBLE: Final = 104.0
"""int16 amplitude from which sound counts as audible: -50 dB of full scale."""
_TAIL: Final = 0.1
"""Seconds of sound kept back, so that a word never begins in the silence at the end."""
_CHARACTERS_PER_S: Final = 14.0
"""A voice's pace until it was heard once."""
_SPEEDS: Final = (0.25, 4.0)
_PITCHES: Final = (0.7, 1.4)
_MOST: Final = 64_000_000
"""Bytes of the longest speech. It is handed on as it comes."""


class OpenAiVoice:
    """A ``Voice`` elsewhere.

    Volume is a linear gain. There is no pitch: another pitch is made by asking for slower or faster speech and playing it
    faster or slower, from 0.7 to 1.4. The endpoint says nothing of words: their places are estimated from the number of
    characters, at the pace of the utterances before (``info.details["word_times"]``).
    """

    def __init__(
        self,
        url: str,
        *,
        model: str = "tts-1",
        voice: str = "alloy",
        form: str = "wav",
        key_env: str = "",
        limits: Limits = USUAL,
    ) -> None:
        """Takes ``http://HOST:PORT/v1``. Raises ConfigError.

        ``form`` is ``wav``, whose header says how fast it is, or ``pcm`` for a server that streams only that; a WAV header is
        heeded either way, and bare samples are taken for 24 kHz unless their media type says otherwise.
        """
        self._server = Server(url, key_env=key_env, limits=limits)
        self._model = model
        self._voice = voice
        self._form = form
        self._pace = _CHARACTERS_PER_S

    @property
    def info(self) -> EngineInfo:
        """What ``doctor`` prints."""
        return self._server.info("audio/speech", self._model, voice=self._voice, word_times="estimated")

    def open(self) -> None:
        """Takes the key; the server need not be there. Raises ConfigError where the key is missing."""
        self._server.open()

    def close(self) -> None:
        """Hangs up."""
        self._server.close()

    def synthesize(self, text: str, style: VoiceStyle, stop: Stop) -> Iterator[SpeechChunk]:
        """Gives the speech of ``text``, leading and trailing silence trimmed, in chunks of at most 100 ms at 16 kHz.

        They come as the server sends them; once ``stop`` is set, the line is cut. It gives nothing where there is nothing to
        say. Raises RemoteFailed, RemoteRefused.
        """
        text = utterable(text)
        if not text.strip() or stop:
            return
        pitch = min(max(style.pitch, _PITCHES[0]), _PITCHES[1])
        speed = min(max(min(max(style.rate, 0.5), 2.5) / pitch, _SPEEDS[0]), _SPEEDS[1])
        body: dict[str, Any] = {"model": self._model, "input": text, "voice": self._voice, "response_format": self._form}
        if speed != 1.0:
            body["speed"] = round(speed, 3)
        ask = Ask("audio/speech", f"model {self._model!r} or voice {self._voice!r}", body, most=_MOST)
        try:
            with self._server.ask(ask, stop) as answer:
                for chunk in self._spoken(answer, text, style, pitch, speed):
                    if stop:
                        return
                    yield chunk
        except Stopped:
            return
        except RemoteFailed:
            if not stop:
                raise

    def _spoken(self, answer: Answer, text: str, style: VoiceStyle, pitch: float, speed: float) -> Iterator[SpeechChunk]:
        answer.check_page()
        utterance: Utterance | None = None
        marks = _Marks(text, self._pace * speed)
        sound = np.zeros(0, np.int16)
        try:
            reader = SoundReader(answer.kind, answer.parameters.get("rate", ""))
            for data in answer.chunks():
                sound = np.concatenate([sound, reader.add(data)])
                if marks.given + len(sound) > (10 + len(text) / 2) * reader.rate:
                    raise self._server.failed("does not end its speech")
                if not (ready := _settled_length(sound, round(_TAIL * reader.rate))):
                    continue
                utterance = utterance or Utterance(text, reader.rate * pitch, style.volume, _AUDIBLE)
                answer.useful()
                marks.begin(sound)
                yield from utterance.add(sound[:ready], marks.within(ready, reader.rate))
                sound = sound[ready:]
        except NoSound as error:
            raise self._server.failed(f"answers with {error} instead of 16-bit WAV or samples") from error
        audible = _settled_length(sound, 0)
        if utterance is None and not audible:
            if not any(map(str.isalnum, text)):
                return
            raise self._server.failed("answers with silence instead of speech")
        utterance = utterance or Utterance(text, reader.rate * pitch, style.volume, _AUDIBLE)
        marks.begin(sound)
        yield from utterance.add(sound[:audible], marks.within(audible, reader.rate, last=True))
        yield from utterance.finish()
        self._pace = (self._pace + marks.pace(reader.rate) / speed) / 2


class _Marks:
    """Where words begin in sound of unknown length, were every character to take the same time."""

    def __init__(self, text: str, pace: float) -> None:
        """``pace`` is in characters a second."""
        self.given = 0
        """Samples given out."""
        self._length = len(text)
        self._pace = pace
        self._places = [match.start() for match in WORD.finditer(text)]
        self._first = self._places[0]
        self._lead: int | None = None

    def begin(self, sound: NDArray[np.int16]) -> None:
        """Takes sound; the first that is audible is where the first word begins."""
        if self._lead is None:
            self._lead = self.given + int(np.flatnonzero(_loud(sound))[0])

    def within(self, count: int, rate: int, *, last: bool = False) -> list[tuple[int, int]]:
        """Gives (sample, character) of the words that begin in the next ``count`` samples; ``last`` leaves the rest out."""
        end, marks = self.given + count, []
        bound = end - round(_TAIL * rate / 2) if last else end
        while self._places and (place := self._place(rate)) < bound:
            marks.append((place, self._places.pop(0)))
        self.given = end
        return marks

    def _place(self, rate: int) -> int:
        """Where the next word begins: the first at the very beginning, so that none of its sound is anybody else's."""
        behind = self._places[0] - self._first
        return (self._lead or 0) + round(behind / self._pace * rate) if behind else 0

    def pace(self, rate: int) -> float:
        """Gives the pace that the speech really had, in characters a second."""
        return min(max(self._length / max((self.given - (self._lead or 0)) / rate, 0.1), 4.0), 40.0)


def _settled_length(sound: NDArray[np.int16], tail: int) -> int:
    """Gives how much of the sound lies before its last audible sample, less ``tail`` samples."""
    loud = np.flatnonzero(_loud(sound))
    return max(0, int(loud[-1]) + 1 - tail) if len(loud) else 0


def _loud(sound: NDArray[np.int16]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(sound.astype(np.int32)) >= _AUDIBLE, np.bool_)
