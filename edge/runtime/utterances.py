"""Continuous listening: running sound with its voice activity in, one recogniser stream for each utterance, its words out.

An utterance begins with speech (and some sound before it, which voice activity is late for), ends with a pause, and is cut
where nobody pauses for long: from ``Cutting.soft`` seconds on an ever shorter pause will do, at ``Cutting.hard`` none is
needed. A cut loses no word and doubles none: the sound behind the last word that stands is heard again by the next stream
(not so where the recogniser tells no times: it may lose or double the word in the cut).

What is no speech gets no words: words that lie where voice activity heard nobody are dropped, nothing stands before there was
``Cutting.speech`` of voice, and an utterance whose recogniser does not believe itself ends without any. Voice activity is the
guard that counts: of 65 s of noise and 20 s in a kitchen Silero lets nothing pass, with the gate held open PocketSphinx commits
34 words there, and believes in most of them as much as in real ones.

The recogniser works on its lane. Its errors cost the utterance that they fall into; the next begins after a pause.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from edge.errors import NearsightError
from edge.policy.settling import joined
from edge.policy.source_words import HOLD, Heard, SourceWords
from edge.policy.speech_guards import VoiceGate, length
from edge.ports import Recogniser, RecogniserStream
from edge.runtime import engines
from edge.runtime.engines import Window
from edge.runtime.lane import Lane
from edge.runtime.streaming import StreamingRecogniser
from edge.values import AudioChunk, Pcm, Transcript, Word, samples

EDGE: Final = samples(0.3)
"""A word that ends so shortly before a cut may be cut itself: it is heard again."""
CARRIED: Final = samples(4.0)
"""Sound that is heard again at most: where a recogniser found no words for longer, there is none to lose."""
SLACK: Final = samples(0.1)
"""How far from speech the place of a word may be."""
SMALLEST: Final = 0.1
"""Seconds: the shortest pause that a cut is made in; voice activity shows no shorter one."""
FAINT_DB: Final = -96.0
"""The level of no voice at all."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """Where the sound is cut into utterances. Seconds."""

    pre_roll: float = 0.4
    """Sound before the first speech that belongs to it."""
    onset: float = 0.096
    """Voice that begins an utterance: less of it is a click."""
    feed: float = 0.1
    """How much the recogniser is given at a time."""
    pause: float = 0.6
    """Silence that ends an utterance."""
    soft: float = 15.0
    """From here on an utterance is cut in a shorter pause, the shorter the longer it lasts."""
    hard: float = 28.0
    """Here it is cut wherever it is."""
    speech: float = 0.25
    """Voice below which nothing stands before the end."""
    confidence: float = 0.15
    """An utterance of which nothing stands yet, and that its recogniser trusts less than this, ends without words."""

    def enough(self, lasted: float) -> float:
        """Gives the pause that ends an utterance of that length."""
        share = (lasted - self.soft) / (self.hard - self.soft)
        return self.pause + min(1.0, max(0.0, share)) * (min(SMALLEST, self.pause) - self.pause)


@dataclass(frozen=True, slots=True)
class Began:
    """Somebody speaks."""

    at: int
    """Media time of the first sample that the recogniser hears."""


@dataclass(frozen=True, slots=True)
class Words:
    """More of an utterance, or other words than before."""

    heard: Heard
    at: int
    """Media time up to which the sound was heard."""
    language: str
    """What the recogniser says; empty where it does not tell."""
    level_db: float
    """Median level of the windows with voice, dB of full scale."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An utterance is over: ``heard`` has no tail, and no words where it was no speech or the recogniser failed early."""

    heard: Heard
    at: int
    language: str
    level_db: float
    confidence: float
    """The recogniser's own; 0 where it failed."""


Told = Callable[[Began | Words | Ended], None]


@dataclass
class _Utterance:
    stream: RecogniserStream
    engine: Recogniser
    """The one that made the stream: a lane replaces an engine that hangs."""
    origin: int
    words: SourceWords
    sound: deque[AudioChunk] = field(default_factory=deque)
    """The newest of it."""
    waiting: list[Pcm] = field(default_factory=list)
    """What the recogniser has not been given yet."""
    levels: list[float] = field(default_factory=list)
    partial: Transcript = field(default_factory=lambda: Transcript(""))
    shown: Heard = field(default_factory=Heard)
    at: int = 0


class Utterances:
    """Takes sound, tells of utterances. One task calls it."""

    def __init__(
        self,
        recogniser: Lane[Recogniser],
        told: Told,
        failed: Callable[[NearsightError], None],
        *,
        languages: Sequence[str] = (),
        cutting: Cutting = Cutting(),
        voiced: Callable[[Window], float] = lambda window: window.probability,
        hold: int | None = HOLD,
    ) -> None:
        """``languages`` are those that may be spoken. ``told`` and ``failed`` are called between two waits of ``hear``.

        ``hold`` is for ``SourceWords``: None where the recogniser says itself what stands, as ``StreamingRecogniser`` does.
        ``voiced`` gives the probability of a voice that counts, where not all do (``edge.policy.echo.EchoGate``).
        """
        self._recogniser = recogniser
        self._told = told
        self._failed = failed
        self._languages = tuple(languages)
        self._cutting = cutting
        self._voiced = voiced
        self._hold = None if isinstance(recogniser.engine, StreamingRecogniser) else hold
        self._gate = VoiceGate()
        self._before: deque[AudioChunk] = deque()
        """Sound before the next utterance."""
        self._onset: int | None = None
        """Where the voice began that has not begun an utterance yet."""
        self._at = 0
        self._voice_end = 0
        self._passing = False
        """Whether the utterance that goes on is passed over: it was given up, or the recogniser failed in it."""
        self._now: _Utterance | None = None

    async def hear(self, heard: engines.Heard) -> None:
        """Takes the next sound with its voice activity."""
        sound = heard.sound
        if sound.start != self._at:
            await self.finish()
            self._before.clear()
        self._at = sound.end
        self._listen(heard.windows)
        if self._now is None:
            await self._wait(sound)
        else:
            self._now.sound.append(sound)
            self._now.waiting.append(sound.pcm)
            await self._go_on(self._now)

    async def finish(self) -> None:
        """Ends the utterance under way: no more sound comes."""
        if self._now is not None:
            await self._end(self._now)
        self._onset, self._passing = None, False

    async def abandon(self) -> None:
        """Gives the utterance under way up, untold, with all that is said before the next pause."""
        now, self._now = self._now, None
        self._pass_over()
        if now is not None:
            await self._close(now)

    # -- voice -----------------------------------------------------------------------------------------------------------

    def _listen(self, windows: Sequence[Window]) -> None:
        for window in windows:
            if self._gate.window(self._voiced(window), window.start, window.end):
                self._voice_end = window.end
                if self._onset is None and not self._passing:
                    self._onset = window.start
                if self._now is not None:
                    self._now.levels.append(window.near_db)
        if self._silence >= samples(self._cutting.pause):
            self._onset, self._passing = None, False

    @property
    def _silence(self) -> int:
        return self._at - self._voice_end

    def _pass_over(self) -> None:
        """What is being said does not begin another utterance."""
        self._before.clear()
        self._onset, self._passing = None, True

    def _spoken(self, start: int, end: int) -> int:
        """Samples of voice in a stretch."""
        return length(self._gate.between(start, end))

    # -- an utterance's life -----------------------------------------------------------------------------------------------

    async def _wait(self, sound: AudioChunk) -> None:
        """Keeps the sound until somebody speaks."""
        self._before.append(sound)
        start = (sound.start if self._onset is None else self._onset) - samples(self._cutting.pre_roll)
        while self._before[0].end <= start:
            self._before.popleft()
        self._gate.forget(self._before[0].start)
        if self._onset is not None and self._spoken(self._onset, self._at) >= samples(self._cutting.onset):
            await self._begin()

    async def _begin(self) -> None:
        """Begins an utterance with the sound before it."""
        try:
            stream, engine = await self._recogniser.call(
                lambda engine, stop: (engine.stream(languages=self._languages), engine)
            )
        except NearsightError as error:
            self._pass_over()
            self._failed(error)
            return
        sound, self._before = self._before, deque()
        origin = sound[0].start
        self._now = _Utterance(stream, engine, origin, SourceWords(origin, hold=self._hold), sound, at=origin)
        self._now.waiting = [chunk.pcm for chunk in sound]
        self._told(Began(origin))

    async def _go_on(self, now: _Utterance) -> None:
        if self._at - now.at >= samples(self._cutting.feed):
            await self._feed(now)
        while now.sound[0].end < self._at - CARRIED:
            now.sound.popleft()
        if self._now is not now:
            return
        lasted = (self._at - now.origin) / samples(1.0)
        if self._silence >= samples(self._cutting.enough(lasted)):
            await self._end(now)
        elif lasted >= self._cutting.hard:
            await self._cut(now)

    async def _feed(self, now: _Utterance) -> None:
        """Gives the recogniser what waits, and tells of what has changed."""
        if not now.waiting:
            return
        pcm, at = np.concatenate(now.waiting), self._at
        now.waiting.clear()
        try:
            partial = await self._recogniser.call(lambda engine, stop: now.stream.accept(pcm))
        except NearsightError as error:
            await self._lose(now, error)
            return
        now.at = at
        now.partial = partial or now.partial
        doubted = bool(now.partial.text) and now.partial.confidence < self._cutting.confidence
        if doubted or self._spoken(now.origin, at) < samples(self._cutting.speech):
            return
        heard = now.words.partial(self._believed(now.partial, now.origin), at)
        if heard != now.shown:
            now.shown = heard
            self._told(Words(heard, at, now.partial.language, _median(now.levels)))

    async def _end(self, now: _Utterance) -> None:
        """Tells the last word on the utterance. Half of the pause belongs to the next: voice activity is late."""
        final = await self._finished(now)
        if final is not None:
            self._tell_end(now, final)
            self._before = _from(now.sound, self._voice_end + self._silence // 2)

    async def _cut(self, now: _Utterance) -> None:
        """Cuts in the middle of speech: what stands by then is told, what follows is heard again."""
        final = await self._finished(now)
        if final is None:
            return
        kept = _before(final, now.origin, self._at - EDGE)
        heard = self._tell_end(now, kept)
        end = heard.committed[-1].end if heard.committed and final.words else self._at
        self._before = _from(now.sound, max(end, self._at - CARRIED))
        if self._before:
            await self._begin()

    async def _finished(self, now: _Utterance) -> Transcript | None:
        """Gives the believable part of the final transcript and closes the stream; None where the recogniser failed."""
        await self._feed(now)
        if self._now is not now:
            return None
        try:
            final = await self._recogniser.call(lambda engine, stop: now.stream.final(stop))
        except NearsightError as error:
            await self._lose(now, error)
            return None
        self._now = None
        await self._close(now)
        return self._believed(final, now.origin)

    def _tell_end(self, now: _Utterance, final: Transcript) -> Heard:
        if not now.shown.committed and final.confidence < self._cutting.confidence:
            heard = Heard()
        else:
            heard = now.words.final(final, now.at)
        self._told(Ended(heard, now.at, final.language, _median(now.levels), final.confidence))
        self._onset = None
        return heard

    async def _lose(self, now: _Utterance, error: NearsightError) -> None:
        """Ends an utterance that the recogniser failed in with what stands of it."""
        self._now = None
        self._pass_over()
        self._failed(error)
        self._told(Ended(Heard(now.shown.committed), now.at, now.partial.language, _median(now.levels), 0.0))
        await self._close(now)

    async def _close(self, now: _Utterance) -> None:
        def close(engine: Recogniser) -> None:
            if engine is now.engine:  # else it hangs in a thread of its own, and the stream with it
                now.stream.close()

        try:
            await self._recogniser.call(lambda engine, stop: close(engine))
        except NearsightError as error:
            self._failed(error)

    def _believed(self, heard: Transcript, origin: int) -> Transcript:
        """Gives a transcript without the words that lie where nobody spoke."""
        kept = [self._spoken(w.start + origin - SLACK, w.end + origin + SLACK) > 0 for w in heard.words]
        if all(kept):
            return heard
        words = tuple(word for word, keep in zip(heard.words, kept, strict=True) if keep)
        return _with(heard, words, sum(kept[: heard.settled]))


def _with(heard: Transcript, words: tuple[Word, ...], settled: int) -> Transcript:
    confidence = sum(word.confidence for word in words) / len(words) if words else 0.0
    return replace(heard, words=words, text=joined(words), settled=settled, confidence=confidence)


def _before(heard: Transcript, origin: int, end: int) -> Transcript:
    """Gives a transcript without the words from the first on that ends behind ``end``."""
    words = heard.words
    count = next((at for at, word in enumerate(words) if word.end + origin > end), len(words))
    return _with(heard, words[:count], min(heard.settled, count)) if count < len(words) else heard


def _from(sound: Sequence[AudioChunk], start: int) -> deque[AudioChunk]:
    """Gives the chunks from a sample on."""
    found: deque[AudioChunk] = deque()
    for chunk in sound:
        if chunk.end > start:
            skip = max(0, start - chunk.start)
            found.append(AudioChunk(chunk.pcm[skip:], chunk.start + skip))
    return found


def _median(levels: Sequence[float]) -> float:
    return statistics.median(levels) if levels else FAINT_DB
