"""A recogniser that streams, made of a decoder that does not: ``StreamingRecogniser``.

The sound of an utterance is cut into runs of speech at silences of five seconds. Within a run the decoder is given the newest
seconds again and again, and a policy decides which words stand (``edge.policy.settling``); guards see to it that nothing is
told which nobody said (``edge.policy.speech_guards``). Nothing is decoded twice without new speech in between. A pause of a
second makes all words stand that were said before it, after one thorough decode, which the endpointer may have asked for
already; what follows is decoded together with them, for a decoder hears the rest of a sentence better with its beginning.

All of it runs inside the decoder's lane.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from edge.decoding import Decoded, DecodeRequest
from edge.errors import LanguageMissing
from edge.policy.settling import StreamingPolicy, Told, joined, shifted
from edge.policy.speech_guards import Guards, VoiceGate, believed, length, worth_decoding
from edge.ports import RecogniserStream, SpeechDecoder, Stop, VoiceActivity
from edge.values import EngineInfo, Pcm, Transcript, Word, samples

PRE_ROLL: Final = samples(0.5)
"""Sound before the first speech that is decoded with it: voice activity is late, and decoders want no cold start."""
BEHIND: Final = samples(0.5)
"""Silence behind the last sound in the last pass: a word that ends with the sound would count as cut."""
IDENTIFY: Final = samples(2.0)
"""Speech that tells its language well enough to be held to it (WhisperLiveKit's measure)."""
WINDOW: Final = 512
"""Samples that are judged at a time where there is no voice activity, by level alone."""

_SAME: Final = {"nb": "no", "fil": "tl", "iw": "he", "in": "id", "cmn": "zh"}
"""Languages that go by two names."""


@dataclass(frozen=True, slots=True)
class Streaming:
    """How a ``StreamingRecogniser`` works."""

    languages: Sequence[str] = ()
    """BCP 47 tags: one is held to; of several the likeliest is found; with none every language of the decoder is possible."""
    hotwords: str = ""
    """Names that may occur, separated by blanks: the wearer's own list."""
    task: str = "transcribe"
    """``transcribe``, or ``translate`` for English words of speech in any language; its policy is then not ``timed``."""
    first_s: float = 0.3
    """Seconds of speech before the first decode of a run, and between two as long as nothing was heard in it."""
    update_s: float = 1.0
    """Seconds of new speech between two decodes; more where a decode takes longer than that."""
    pause_s: float = 1.0
    """Seconds of silence after which all words that were said stand for good."""
    guards: Guards = field(default_factory=Guards)


class StreamingRecogniser:
    """Implements ``edge.ports.Recogniser`` over a ``SpeechDecoder`` and a policy for each run of speech.

    A transcript's confidence is the mean of its words'. In a partial, ``settled`` words stand for good. Its language is the one
    that was spoken, in a translation too.
    """

    def __init__(
        self,
        decoder: SpeechDecoder,
        policy: Callable[[], StreamingPolicy],
        voice: VoiceActivity | None = None,
        settings: Streaming = Streaming(),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Takes ``voice`` for itself; without one, what is louder than the guards' floor counts as speech.

        ``clock`` gives seconds: a decoder that is slower than ``settings.update_s`` is asked more seldom.
        """
        self.decoder = decoder
        self.policy = policy
        self.voice = voice
        self.settings = settings
        self.clock = clock
        self.language = ""
        """The language of the last utterance that was long enough to tell."""

    @property
    def info(self) -> EngineInfo:
        """The decoder's."""
        return self.decoder.info

    def open(self) -> None:
        """Loads decoder and voice activity.

        Raises what they raise, LanguageMissing for a language that the decoder lacks, UsageError for such a task.
        """
        self.decoder.open()
        if self.voice is not None:
            self.voice.open()
        self._check(self.settings.languages)
        if self.settings.task != "transcribe":  # without any sound: what it cannot do is told now, not in an utterance
            self.decoder.decode(np.zeros(0, np.int16), DecodeRequest(task=self.settings.task), Stop())

    def close(self) -> None:
        """Frees both."""
        self.decoder.close()
        if self.voice is not None:
            self.voice.close()

    def stream(self, *, phrases: Sequence[str] = (), languages: Sequence[str] = ()) -> RecogniserStream:
        """Begins an utterance. ``phrases`` are not used: a list of commands as hotwords makes Whisper hear commands.

        Of several ``languages`` the likeliest is found from the first words on: two speakers take turns, and what the last one
        spoke tells nothing of the next. Raises LanguageMissing.
        """
        self._check(languages)
        if self.voice is not None:
            self.voice.reset()
        return _Stream(self, tuple(languages))

    def _check(self, languages: Sequence[str]) -> None:
        known = {_primary(tag) for tag in self.decoder.languages}
        for tag in languages:
            if _primary(tag) not in known:
                more = " (run nearsight models pull faster-whisper-small for others)" if len(known) == 1 else ""
                has = ", ".join(sorted(known))
                raise LanguageMissing(f"{self.info.name} {self.info.model} knows no {tag!r}: it has {has}{more}")


@dataclass
class _Run:
    """Speech between two long silences."""

    policy: StreamingPolicy
    origin: int
    """First sample that is decoded; the policy counts from there."""
    voiced_to: int = 0
    unheard: int = 0
    """Samples of speech since the last decode."""
    told: Told = field(default_factory=Told)
    last: tuple[Word, ...] | None = None
    """What the last pass gave, until there is new speech."""
    paused: bool = False
    """Whether all of that stands."""


class _Stream:
    """One utterance."""

    def __init__(self, engine: StreamingRecogniser, languages: tuple[str, ...]) -> None:
        self._engine = engine
        self._settings = engine.settings
        self._wanted = languages or tuple(engine.settings.languages)
        self._turns = len(languages) > 1
        self._sound = _Sound()
        self._gate = VoiceGate()
        self._judged = 0
        self._run: _Run | None = None
        self._closed: list[Word] = []
        self._cost = 0
        self._language = self._wanted[0] if len(self._wanted) == 1 else ""
        self._spoken = self._language
        self._news = False  # whether what can be told may have changed
        self._shown = "", 0
        self._final: Transcript | None = None

    def accept(self, pcm: Pcm) -> Transcript | None:
        """Takes the next sound, any length; decodes when there is enough new speech; gives a new partial when it has changed.

        It has changed, too, when more of its words stand for good.
        """
        if not len(pcm):
            return None
        self._final = None
        self._sound.add(pcm)
        self._listen()
        run = self._run
        if run is None:
            self._sound.forget(self._judged - PRE_ROLL)
            self._gate.forget(self._judged - PRE_ROLL)
        if not self._news:
            return None
        self._news = False
        partial = self._transcript(() if run is None else shifted(run.told.words, run.origin), final=False)
        if (partial.text, partial.settled) == self._shown:
            return None
        self._shown = partial.text, partial.settled
        return partial

    def final(self, stop: Stop) -> Transcript:
        """Gives the last word on all sound so far, with one decode where there was speech since the last.

        With ``stop`` set it gives what was known before, or what the decoder had by then.
        """
        if self._final is not None:
            return self._final
        words = self._last_words(self._run, self._sound.end, stop) if self._run else ()
        transcript = self._transcript(words, final=True)
        self._shown = transcript.text, transcript.settled
        if not stop:
            self._final = transcript
        return transcript

    def close(self) -> None:
        """Gives the utterance up."""
        self._sound = _Sound()
        self._run = None

    def _listen(self) -> None:
        """Judges what has come, window by window: speech begins runs and has them decoded, pauses end them."""
        voice = self._engine.voice
        window = WINDOW if voice is None else voice.window
        while self._judged + window <= self._sound.end:
            start, self._judged = self._judged, self._judged + window
            pcm = self._sound.between(start, self._judged)
            loud = voice.probability(pcm) if voice else float(worth_decoding(pcm, [(0, window)], self._floor))
            run = self._run
            if self._gate.window(loud, start, self._judged):
                run = self._run = run or self._begin(start)
                run.voiced_to = self._judged
                run.unheard += window
                run.last, run.paused = None, False
                if run.unheard >= self._due(run):
                    self._update(run)
            elif run is not None:
                self._wait(run, self._judged - run.voiced_to)

    @property
    def _floor(self) -> Guards:
        return replace(self._settings.guards, speech_s=0.0)

    def _begin(self, start: int) -> _Run:
        said_to = self._closed[-1].end if self._closed else 0
        return _Run(self._engine.policy(), max(start - PRE_ROLL, said_to, self._sound.start))

    def _wait(self, run: _Run, silence: int) -> None:
        """Lets the words of a run stand after a pause, and ends it after a long one: what was said is no prompt any more."""
        if silence >= samples(self._settings.pause_s) and not run.paused:
            words = shifted(self._last_words(run, self._judged, Stop()), -run.origin)
            run.policy.settle(words)
            run.told = Told(words)
            run.paused = self._news = True
        if run.paused and silence >= samples(self._settings.guards.forget_s):
            self._closed += shifted(run.told.words, run.origin)
            self._run = None

    def _due(self, run: _Run) -> int:
        """Samples of new speech before the next decode: a slow decoder must not fall behind the speaker."""
        return max(samples(self._settings.update_s if run.told.words else self._settings.first_s), self._cost)

    def _update(self, run: _Run) -> None:
        at = self._judged - run.origin
        found = self._decode(run, at, Stop(), last=False)
        run.unheard = 0
        if found is not None:
            run.told = run.policy.update(*found, at)
            self._news = True

    def _last_words(self, run: _Run, end: int, stop: Stop) -> tuple[Word, ...]:
        if run.last is None:
            at = end - run.origin
            found = None if stop else self._decode(run, at, stop, last=True)
            if stop:
                return shifted(run.told.words, run.origin)
            run.last = run.told.words if found is None else run.policy.finish(*found, at + BEHIND)
            settled = len(run.told.committed)
            run.told = Told(run.last[:settled], run.last[settled:])
            run.unheard = 0
        return shifted(run.last, run.origin)

    def _decode(self, run: _Run, at: int, stop: Stop, *, last: bool) -> tuple[Decoded, tuple[int, ...] | None] | None:
        """Gives what can be believed of the run's buffer up to ``at``, and what was looked at; None where nobody spoke."""
        engine, guards = self._engine, self._settings.guards
        ask = run.policy.request(at)
        start = run.origin + ask.start
        self._sound.forget(start)
        self._gate.forget(start)
        pcm = self._sound.between(start, run.origin + at)
        spans = self._gate.between(start, run.origin + at)
        if not worth_decoding(pcm, spans, guards):
            return None
        size = len(pcm)
        if last:
            pcm = np.concatenate([pcm, np.zeros(BEHIND, np.int16)])
        request = replace(
            ask.request,
            task=self._settings.task,
            language=self._tell_language(pcm, length(spans), stop),
            hotwords="" if ask.request.prefix else self._settings.hotwords,
            thorough=last,
        )
        began = engine.clock()
        decoded = believed(engine.decoder.decode(pcm, request, stop), spans, size, guards)
        self._spoken = request.language or decoded.language
        attended = engine.decoder.attend(pcm, decoded, stop) if run.policy.attends else None
        self._cost = samples(engine.clock() - began)
        return decoded, attended

    def _tell_language(self, pcm: Pcm, voiced: int, stop: Stop) -> str:
        """Gives the language to decode in: told by the first seconds of speech, then kept.

        Before that it is the last utterance's, for a short command tells little of its language.
        """
        engine, wanted = self._engine, self._wanted
        if self._language:
            return self._language
        if voiced < IDENTIFY and not self._turns and (engine.language or not wanted):
            return engine.language
        likely = [tag for tag, _ in engine.decoder.identify(pcm, stop)]
        allowed = {_primary(tag): tag for tag in wanted}
        found = next((allowed.get(_primary(tag), tag) for tag in likely if not wanted or _primary(tag) in allowed), "")
        if not found and wanted:
            found = wanted[0]
        if voiced >= IDENTIFY and not stop:
            self._language = engine.language = found
        return found

    def _transcript(self, words: tuple[Word, ...], *, final: bool) -> Transcript:
        settled = len(self._closed) + (len(self._run.told.committed) if self._run else 0)
        everything = (*self._closed, *words)
        confidence = sum(word.confidence for word in everything) / len(everything) if everything else 0.0
        spoken = self._spoken if everything else ""
        return Transcript(joined(everything), everything, confidence, final, self._engine.info.name, settled, spoken)


class _Sound:
    """The newest sound of an utterance, by the samples from its start."""

    def __init__(self) -> None:
        self.start = 0
        self.end = 0
        self._pieces: deque[Pcm] = deque()

    def add(self, pcm: Pcm) -> None:
        self._pieces.append(pcm)
        self.end += len(pcm)

    def between(self, start: int, end: int) -> Pcm:
        """Gives the samples that are still there of a stretch."""
        parts, at = [], self.end
        for piece in reversed(self._pieces):
            if at <= start:
                break
            at -= len(piece)
            if at < end:
                parts.append(piece[max(0, start - at) : end - at])
        return np.concatenate(parts[::-1]) if parts else np.zeros(0, np.int16)

    def forget(self, before: int) -> None:
        while self._pieces and self.start + len(self._pieces[0]) <= before:
            self.start += len(self._pieces.popleft())


def _primary(tag: str) -> str:
    """Gives the language of a tag, by the name that decoders have for it."""
    language = tag.replace("_", "-").partition("-")[0].lower()
    return _SAME.get(language, language)
