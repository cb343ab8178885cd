"""From microphone to understood question: the ears, the turn policy and the recogniser, as two stages.

Speech is recognised while it is spoken. At the first hint of silence the policy opens an ``Attempt``: the recogniser's final
pass and the end-of-turn model start side by side, and whoever owns the listener may begin to answer. The attempt is then
either confirmed (``ended``) or thrown away (``resumed``).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from edge.channel import Channel
from edge.config import Config
from edge.errors import EngineError, EngineHung
from edge.events import PartialHeard
from edge.policy.echo import FLOOR_DB, EchoGate, Loudspeakers, level_db
from edge.policy.interruption import Verdict
from edge.policy.signals import BargedIn, Began, Called, Ended, GaveUp, Hinted, Paused, Released, Resumed, Said, Signal, State
from edge.policy.turns import TurnPolicy
from edge.ports import EndOfTurn, RecogniserStream
from edge.runtime.attempt import Attempt
from edge.runtime.engines import Engines, Heard
from edge.runtime.lane import Lane
from edge.values import NS_PER_SAMPLE, SAMPLE_RATE, AudioChunk, Pcm, Transcript, Word, samples

log = logging.getLogger(__name__)

RING_SAMPLES = samples(8.5)
"""Sound that is kept, for the pre-roll of a question and the end-of-turn model."""
FEED_SAMPLES = 960
"""The recogniser is fed 60 ms at a time: partials no rarer than anybody can read, a third of the thread hops."""
IDLE_CHUNKS = 4
"""While only a wake word is listened for, 80 ms are heard at a time: an open microphone all day is what a battery feels."""
SHORT_S = 0.9
"""Seconds of speech that may be a spotted word alone: longer speech is for the recogniser."""
TURN_MEMORY = samples(8.0)
"""The end-of-turn model judges at most the last 8 s."""


class Owner(Protocol):
    """What a listener tells its session. All of it is synchronous: nothing can slip in between."""

    def called(self, by: str) -> None:
        """The wearer called."""

    def understood(self, attempt: Attempt) -> Said:
        """The attempt's transcript is there; tells what its words say about the question's end."""

    def resumed(self, attempt: Attempt) -> None:
        """The attempt is thrown away."""

    def ended(self, attempt: Attempt, reason: str, silence: int) -> None:
        """The attempt is confirmed."""

    def barged_in(self, onset: int) -> None:
        """The reply is to be cut now."""

    def paused(self) -> None:
        """The reply is to be silent now, and may go on."""

    def released(self, reason: str) -> None:
        """The reply is to go on."""

    def spotted(self, word: str) -> None:
        """A word that ends the reply was heard over it, whatever else can be made out."""

    def overheard(self, transcript: Transcript, speech_s: float) -> Verdict:
        """Judges words that were spoken over the reply, partial or final."""

    def gave_up(self) -> None:
        """Nobody spoke."""

    def state_changed(self, state: State) -> None:
        """Turn-taking moved."""

    def failed(self, error: EngineError) -> None:
        """An engine failed while listening."""

    def partial(self, event: PartialHeard) -> None:
        """The recogniser's guess changed."""


class Listener:
    """Runs the policy over the microphone's sound. ``run`` is one task, ``recognise`` another."""

    def __init__(self, config: Config, engines: Engines, owner: Owner, reference: Loudspeakers, phrases: Sequence[str]) -> None:
        self.policy = TurnPolicy(config.turns)
        self.commands: Channel[_Begin | _Sound | _Final] = Channel("recogniser", 4096)
        self.now = 0
        """Media time of the newest sample heard."""
        self.cancelling = True
        """Whether the loudspeaker's sound is taken out of the microphone's here; off where the device does it."""
        self.level_db = self.raw_level_db = FLOOR_DB
        """Level of the newest sound, dB of full scale: without the echo, and as it came."""
        self.voice = 0.0
        """The newest voice-activity probability that was let through."""
        self.overhear: Callable[[Heard], None] | None = None
        """Takes the sound while nobody asks the assistant anything: whoever translates what is said."""
        self._reference = reference
        self._gate = EchoGate(config.echo.margin_db, subtracted=config.echo.subtract)
        self._engines = engines
        self._owner = owner
        self._phrases = phrases
        self._ring: deque[AudioChunk] = deque()
        self._unheard: list[AudioChunk] = []
        self._fed: int | None = None
        self._attempt: Attempt | None = None
        self._verdicts: set[asyncio.Task[None]] = set()
        self._state = self.policy.state
        self._began = 0

    # -- the microphone's stage ------------------------------------------------------------------------------------------

    async def run(self, microphone: Channel[AudioChunk]) -> None:
        """Listens until the channel ends; speech that is under way then is a question as it stands."""
        try:
            async for chunk in microphone:
                await self._hear(chunk)
            self.act(self.policy.cut(self.now))
        finally:
            self.commands.close()
            for task in self._verdicts:
                task.cancel()

    async def _hear(self, chunk: AudioChunk) -> None:
        self.now = chunk.end
        if self.policy.state is State.MUTED:
            self._unheard.clear()
            return
        if self._unheard and self._unheard[-1].end != chunk.start:  # the glasses were away: what came before stands alone
            self._unheard.clear()
        voice = self.policy.wants_voice or self.overhear is not None
        self._unheard.append(chunk)
        if not voice and len(self._unheard) < IDLE_CHUNKS:
            return
        sound = AudioChunk(np.concatenate([part.pcm for part in self._unheard]), self._unheard[0].start)
        self._unheard.clear()
        far = self._reference.between(sound.start, sound.end) if self.cancelling else None
        if moved := self._reference.moved(sound.end):
            self._gate.moved()
        try:
            heard = await self._engines.ears.call(lambda ears, stop: ears.hear(sound, voice=voice, far=far, moved=moved))
        except EngineError as error:
            self._keep(sound)
            self._owner.failed(error)
            return
        self._keep(heard.sound)
        self.raw_level_db, self.level_db = level_db(sound.pcm), level_db(heard.sound.pcm)
        self._judge_heard(heard, sound.end, gated=far is not None)
        if self._fed is not None and self._attempt is None and self.now - self._fed >= FEED_SAMPLES:
            await self.commands.send(_Sound(self._take(self._fed)))

    def _judge_heard(self, heard: Heard, end: int, *, gated: bool) -> None:
        if heard.wake is not None:
            self.act(self.policy.call(heard.wake, end))
        believed = []
        for window in heard.windows:
            self.voice = window.probability
            if gated:
                levels = window.near_db, window.plain_db, window.far_db
                self.voice = self._gate.judge(window.probability, *levels, window.start, window.end)
            believed.append(replace(window, probability=self.voice))
            self.act(self.policy.window(self.voice, window.start, window.end))
        if self.overhear is not None and self.policy.state is State.IDLE:
            self.overhear(replace(heard, windows=tuple(believed)))

    def _keep(self, sound: AudioChunk) -> None:
        self._ring.append(sound)
        while self._ring[0].end < sound.end - RING_SAMPLES:
            self._ring.popleft()

    def lost(self) -> None:
        """The glasses are out of reach: a question under way is given up."""
        self._forget()
        self.policy.lost()
        self.notice_state()

    async def sound_path_changed(self) -> None:
        """Another device, or another canceller: what was learnt of the echo does not hold any more."""
        self._gate.reset()
        await self._engines.ears.call(lambda ears, stop: ears.forget_echo())

    def act(self, signals: list[Signal]) -> None:
        """Does what the policy says, in order, without waiting for anything."""
        for signal in signals:
            match signal:
                case Began(at=at):
                    self._fed = at
                    self._began = at
                    self.commands.send_nowait(_Begin(at))
                case Hinted(last=last):
                    self._hint(last)
                case Resumed():
                    self._resume()
                case Ended(at=at, last=last, reason=reason):
                    self._end(at - last, reason)
                case _:
                    self._hand_over(signal)
        self.notice_state()

    def _hand_over(self, signal: Signal) -> None:
        """What the owner must do at once; what was heard so far is then done with, except where it begins a question."""
        if not (isinstance(signal, BargedIn) and signal.spoken):
            self._forget()
        match signal:
            case Called(by=by):
                self._owner.called(by)
            case BargedIn(onset=onset):
                self._owner.barged_in(onset)
            case Paused():
                self._owner.paused()
            case Released(reason=reason):
                self._owner.released(reason)
            case GaveUp():
                self._owner.gave_up()

    def notice_state(self) -> None:
        """Tells the owner when turn-taking has moved."""
        if self.policy.state is not self._state:
            self._state = self.policy.state
            self._owner.state_changed(self._state)

    def _forget(self) -> None:
        self._resume()
        self._fed = None

    def _resume(self) -> None:
        if self._attempt is not None:
            attempt, self._attempt = self._attempt, None
            attempt.dropped = True
            attempt.stop.set()
            self._owner.resumed(attempt)

    def _hint(self, last: int) -> None:
        attempt = self._attempt = Attempt(last, self._began)
        if self._fed is not None:
            self.commands.send_nowait(_Sound(self._take(self._fed)))
        self.commands.send_nowait(_Final(attempt))
        lane = self._engines.end_of_turn
        if lane is not None:
            self._beside(self._judge(lane, attempt))
        if self.policy.over_reply and self._spoken(last) <= SHORT_S:
            attempt.spotting = self._beside(self._spot(attempt))

    def _beside(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Lets work about an attempt run beside the recogniser; it ends with the microphone."""
        task = asyncio.get_running_loop().create_task(work)
        self._verdicts.add(task)
        task.add_done_callback(self._verdicts.discard)
        return task

    def _end(self, silence: int, reason: str) -> None:
        if (attempt := self._attempt) is not None:
            attempt.confirmed = True
            attempt.ended_at = asyncio.get_running_loop().time()
            self._owner.ended(attempt, reason, silence)

    def settled(self) -> None:
        """The owner has taken the confirmed attempt over; speech from now on is a new question."""
        self._attempt = None
        self._fed = None

    def _take(self, since: int) -> Pcm:
        """The sound since the last call."""
        self._fed = self.now
        return self._since(since)

    def _since(self, sample: int) -> Pcm:
        parts = [chunk.pcm[max(0, sample - chunk.start) :] for chunk in self._ring if chunk.end > sample]
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    async def _judge(self, lane: Lane[EndOfTurn], attempt: Attempt) -> None:
        pcm = self._since(max(attempt.began, self.now - TURN_MEMORY))
        try:
            probability = await lane.call(lambda engine, stop: engine.probability(pcm), stop=attempt.stop)
        except EngineError as error:
            self._owner.failed(error)
            return
        if attempt is self._attempt and not attempt.dropped:
            self.act(self.policy.end_of_turn(probability, self.now))

    async def _spot(self, attempt: Attempt) -> None:
        """Looks for a word that ends the reply in what was said over it, beside the recogniser and before its verdict."""
        said = AudioChunk(self._since(attempt.began), attempt.began)
        try:
            word = await self._engines.ears.call(lambda ears, stop: ears.spot(said))
        except EngineError as error:
            self._owner.failed(error)
            return
        if word is not None and self.policy.over_reply and not attempt.dropped:
            self._owner.spotted(word)
            attempt.dropped = not self.policy.over_reply  # the assistant may just be saying the word itself

    # -- the recogniser's stage ------------------------------------------------------------------------------------------

    async def recognise(self) -> None:
        """Feeds the recogniser in order; a failure costs the question, not the session."""
        lane = self._engines.recogniser
        stream: RecogniserStream | None = None
        origin = 0
        async for command in self.commands:
            if lane is None:
                continue
            try:
                match command:
                    case _Begin(at=at):
                        if stream is not None:
                            old = stream
                            await lane.call(lambda engine, stop: old.close())  # noqa: B023 - awaited in this very turn
                        stream = await lane.call(lambda engine, stop: engine.stream(phrases=self._phrases))
                        origin = at
                    case _Sound(pcm=pcm):
                        await self._accept(stream, pcm)
                    case _Final(attempt=attempt):
                        await self._finish(stream, attempt, origin)
            except EngineError as error:
                if isinstance(error, EngineHung) or not isinstance(command, _Final):
                    stream = None  # told once: what else belongs to this utterance is passed over
                self._owner.failed(error)
                if isinstance(command, _Final) and not command.attempt.dropped:
                    self._deliver(command.attempt, Transcript("", final=True, confidence=0.0))

    async def _accept(self, stream: RecogniserStream | None, pcm: Pcm) -> None:
        lane = self._engines.recogniser
        if stream is None or lane is None or not len(pcm):
            return
        partial = await lane.call(lambda engine, stop: stream.accept(pcm))
        if partial is None or not partial.text:
            return
        if self.policy.over_reply:
            if self._owner.overheard(partial, self._spoken(self.now)) is not Verdict.CUT:
                return
            self.act(self.policy.interrupted(self.now))
        self._owner.partial(PartialHeard(t_ns=self.now * NS_PER_SAMPLE, text=partial.text))

    def _spoken(self, until: int) -> float:
        """Seconds of speech, about: from the beginning of the question, less its pre-roll."""
        return max(0.0, (until - self._began) / SAMPLE_RATE - self.policy.config.pre_roll)

    async def _finish(self, stream: RecogniserStream | None, attempt: Attempt, origin: int) -> None:
        lane = self._engines.recogniser
        if attempt.dropped or lane is None:
            return
        transcript = Transcript("", final=True, confidence=0.0)
        if stream is not None:
            transcript = await lane.call(lambda engine, stop: stream.final(stop), stop=attempt.stop)
        words = tuple(Word(word.text, word.start + origin, word.end + origin, word.confidence) for word in transcript.words)
        if attempt.spotting is not None:
            await asyncio.wait([attempt.spotting])
        self._deliver(attempt, replace(transcript, words=words))

    def _deliver(self, attempt: Attempt, transcript: Transcript) -> None:
        if attempt.dropped:
            return
        if self.policy.over_reply:
            verdict = self._owner.overheard(transcript, self._spoken(attempt.last))
            if verdict is not Verdict.CUT:
                self.act(self.policy.released(self.now, verdict.value))
                return
            self.act(self.policy.interrupted(self.now))
        attempt.transcript = transcript
        attempt.understood_at = asyncio.get_running_loop().time()
        said = self._owner.understood(attempt)
        if not attempt.confirmed:
            self.act(self.policy.understood(said, self.now))


@dataclass(frozen=True, slots=True)
class _Begin:
    at: int


@dataclass(frozen=True, slots=True)
class _Sound:
    pcm: Pcm


@dataclass(frozen=True, slots=True)
class _Final:
    attempt: Attempt
