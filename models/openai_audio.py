"""Recognition by ``/audio/transcriptions``: speaches, LocalAI, vLLM, whisper.cpp's server and others.

The transcription endpoint hears whole files, so an utterance is sent at its end, once, and there are no partials: to send it
again with every second of speech would multiply what is sent, what is paid and what the server computes.
"""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import RemoteFailed, RemoteRejected
from edge.ports import RecogniserStream, Stop
from edge.values import SAMPLE_RATE, EngineInfo, Pcm, Transcript, Word, samples
from models.ct2_languages import primary
from models.openai_http import USUAL, Ask, Limits, Server, Stopped
from models.whisper_languages import code_of

LONGEST: Final = samples(30.0)
"""Sound in one request: what Whisper hears at once. Longer utterances are sent in parts."""
_SEAM: Final = samples(5.0)
"""In the end of a part, so long, it is cut where it is quietest."""
_FRAME: Final = samples(0.02)
_QUIET_DB: Final = -50.0
"""RMS of the loudest 20 ms, dB of full scale, below which sound is not sent: nothing was said, and Whisper would invent it."""
_NO_SPEECH: Final = 0.6
_LOG_PROBABILITY: Final = -1.0
_MAX_PROMPT: Final = 600
"""Characters of names: Whisper reads 224 tokens of prompt."""


class OpenAiRecogniser:
    """A ``Recogniser`` elsewhere.

    Confidence is the exponential of the segments' mean log-probability where the server tells it (``verbose_json``), else 1.
    Words have times where the server gives them. Segments that Whisper's own rule takes for silence (no-speech probability and
    log-probability together) are left out.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str = "whisper-1",
        language: str = "en-us",
        names: Sequence[str] = (),
        key_env: str = "",
        limits: Limits = USUAL,
    ) -> None:
        """Takes ``http://HOST:PORT/v1``; ``language`` empty lets the server find it. Raises ConfigError.

        ``names`` are the wearer's own, which the server is given as a prompt.
        """
        self.server = Server(url, key_env=key_env, limits=limits)
        self.model = model
        self.timed = True
        """Whether the model is asked for times: some refuse (``gpt-4o-transcribe`` knows ``json`` alone)."""
        self.language = primary(language)
        self._fields = [("model", model), ("temperature", "0")]
        if prompt := ", ".join(names)[:_MAX_PROMPT]:
            self._fields.append(("prompt", prompt))

    @property
    def info(self) -> EngineInfo:
        """What ``doctor`` prints."""
        return self.server.info("audio/transcriptions", self.model)

    def open(self) -> None:
        """Takes the key; the server need not be there. Raises ConfigError where the key is missing."""
        self.server.open()

    def close(self) -> None:
        """Hangs up."""
        self.server.close()

    def stream(self, *, phrases: Sequence[str] = (), languages: Sequence[str] = ()) -> RecogniserStream:
        """Begins an utterance. ``phrases`` are not sent: with a list of commands as prompt Whisper hears commands.

        One of ``languages`` is named to the server; which of several it is, the server finds, and may find another.
        """
        named = primary(languages[0]) if len(languages) == 1 else ""
        return _Stream(self, named if languages else self.language)

    def heard(self, pcm: Pcm, language: str, stop: Stop) -> Mapping[str, Any]:
        """Has sound transcribed; gives the server's answer. Raises Stopped, RemoteFailed, RemoteRefused."""
        try:
            return self._asked(pcm, language, stop)
        except RemoteRejected:
            if not self.timed:
                raise
            self.timed = False
            try:
                return self._asked(pcm, language, stop)
            except RemoteRejected:
                self.timed = True  # it was not that
                raise

    def _asked(self, pcm: Pcm, language: str, stop: Stop) -> Mapping[str, Any]:
        named = [("language", language)] if language else []
        form = [*self._fields, *named, ("response_format", "verbose_json" if self.timed else "json")]
        if self.timed:
            form += [("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")]
        ask = Ask("audio/transcriptions", f"model {self.model!r} for speech", form=form, file=_wav(pcm))
        with self.server.ask(ask, stop) as answer:
            value = answer.json()
        if not isinstance(value, Mapping) or not isinstance(value.get("text"), str):
            raise self.server.failed("answers with JSON that is no transcription")
        return value


class _Stream:
    """One utterance: parts that are settled, and the sound since."""

    def __init__(self, engine: OpenAiRecogniser, language: str) -> None:
        self._engine = engine
        self._language = language
        self._sound: list[Pcm] = []
        self._length = 0
        self._start = 0  # of the sound that is kept, from the stream's start
        self._settled = Transcript("", source="openai", confidence=0.0)
        self._last: Transcript | None = None

    def accept(self, pcm: Pcm) -> Transcript | None:
        """Takes the next sound; after each half a minute gives what was said in it. Raises RemoteFailed then."""
        if not len(pcm):
            return None
        self._sound.append(pcm.copy())
        self._length += len(pcm)
        self._last = None
        before = self._settled.text
        while self._length > LONGEST:
            sound = np.concatenate(self._sound)
            cut = _quietest(sound)
            start, self._start = self._start, self._start + cut
            # First: a part that fails is lost, not sent again with each further chunk.
            self._sound, self._length = [sound[cut:]], len(sound) - cut
            self._settled = _joined(self._settled, self._transcribed(sound[:cut], start, Stop()))
        return self._settled if self._settled.text != before else None

    def final(self, stop: Stop) -> Transcript:
        """Gives the last word on all sound so far; without more sound the same is not sent again.

        Once ``stop`` is set it gives what earlier parts held. Raises RemoteFailed, RemoteRefused.
        """
        if self._last is not None:
            return self._last
        sound = np.concatenate(self._sound) if self._sound else np.zeros(0, np.int16)
        try:
            heard = _joined(self._settled, self._transcribed(sound, self._start, stop))
        except RemoteFailed:
            if not stop:
                raise
            return _final(self._settled)
        except Stopped:
            return _final(self._settled)
        self._last = _final(heard)
        return self._last

    def close(self) -> None:
        """Gives the utterance up."""
        self._sound.clear()
        self._length = 0

    def _transcribed(self, sound: Pcm, start: int, stop: Stop) -> Transcript:
        if _is_quiet(sound):
            return Transcript("", source="openai", confidence=0.0)
        told = self._engine.heard(sound, self._language, stop)
        heard = _transcript(told, start, len(sound))
        return replace(heard, language=self._language or code_of(told.get("language"))) if heard.text else heard


def _wav(pcm: Pcm) -> bytes:
    # Not FLAC, though it has half the bytes: every server reads WAV, and whisper.cpp's nothing else.
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm.astype("<i2").tobytes())
    return buffer.getvalue()


def _powers(pcm: Pcm) -> NDArray[np.float64]:
    """Gives the mean power of each whole 20 ms, full scale being 1."""
    whole = pcm[: len(pcm) // _FRAME * _FRAME].reshape(-1, _FRAME).astype(np.float64) / 32768
    return np.asarray((whole**2).mean(axis=1), np.float64)


def _is_quiet(pcm: Pcm) -> bool:
    powers = _powers(pcm)
    return not len(powers) or float(powers.max()) < 10 ** (_QUIET_DB / 10)


def _quietest(pcm: Pcm) -> int:
    """Gives the place in the last five seconds before ``LONGEST`` where a cut does least harm: the quietest 100 ms there."""
    start = LONGEST - _SEAM
    smooth = np.convolve(_powers(pcm[start:LONGEST]), np.ones(5), "valid")
    last = len(smooth) - 1 - int(smooth[::-1].argmin())
    return start + (last + 2) * _FRAME


def _transcript(told: Mapping[str, Any], start: int, length: int) -> Transcript:
    segments = [one for one in _rows(told.get("segments")) if isinstance(one.get("text"), str)]
    spoken = [one for one in segments if not _is_invented(one)]
    text = told["text"] if len(spoken) == len(segments) else " ".join(one["text"] for one in spoken)
    text = " ".join(text.replace("\ufffd", "").split())
    if not text:
        return Transcript("", source="openai", confidence=0.0)
    logs = [log for one in spoken if (log := _number(one.get("avg_logprob"))) is not None]
    confidence = math.exp(min(0.0, max(-20.0, sum(logs) / len(logs)))) if logs else 1.0
    words = _words(text, _rows(told.get("words")), start, length) if len(spoken) == len(segments) else ()
    return Transcript(text, words, confidence, source="openai")


def _is_invented(segment: Mapping[str, Any]) -> bool:
    silent, log = _number(segment.get("no_speech_prob")), _number(segment.get("avg_logprob"))
    return silent is not None and log is not None and silent > _NO_SPEECH and log < _LOG_PROBABILITY


def _words(text: str, rows: Sequence[Mapping[str, Any]], start: int, length: int) -> tuple[Word, ...]:
    """Gives the words of ``text`` with their times, none where the server's words are not those of its text.

    Its text has the punctuation, its words have the times.
    """
    written = text.split()
    times = [(_number(row.get("start")), _number(row.get("end"))) for row in rows]
    if len(times) != len(written):
        return ()
    words, before = [], 0
    for at, (word, (begin, end)) in enumerate(zip(written, times, strict=True)):
        if begin is None or end is None or not (0 <= begin <= end <= 86_400):
            return ()
        left = len(written) - at - 1  # each of those that follow has a sample at least
        first = min(max(before, samples(begin)), length - 1 - left)
        before = min(max(first + 1, samples(end)), length - left)
        words.append(Word(word, start + first, start + before))
    return tuple(words)


def _joined(a: Transcript, b: Transcript) -> Transcript:
    if not a.text or not b.text:
        return a if a.text else b
    words = a.words + b.words if a.words and b.words else ()
    confidence, language = min(a.confidence, b.confidence), b.language or a.language
    return Transcript(f"{a.text} {b.text}", words, confidence, source="openai", language=language)


def _final(heard: Transcript) -> Transcript:
    return replace(heard, final=True)


def _rows(value: object) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
