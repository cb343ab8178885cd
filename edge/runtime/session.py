"""One wearer: a link, its engines, and one answer at a time.

The session owns every task of a wearer in one task group. Barge-in is a call, not a message: the speaker is flushed, the
turn cut and the engines' stop flag raised with no await between them, so that nothing can slip a sound in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime

from edge import __version__
from edge.config import Config
from edge.errors import EngineError, LinkError, NearsightError
from edge.events import (
    BargedIn,
    EndpointReached,
    Event,
    Failed,
    Notice,
    PartialHeard,
    PhotoTaken,
    ReplyPaused,
    ReplyResumed,
    SessionEnded,
    SessionStarted,
    Speaking,
    StateChanged,
    TurnEnded,
    Woke,
    final_heard,
    link_changed,
)
from edge.policy.dialog import History
from edge.policy.ending import unfinished
from edge.policy.interruption import Verdict, overheard, verdict
from edge.policy.phrases import commands
from edge.policy.router import Route, Router
from edge.policy.signals import Said, State
from edge.ports import Link, Notifier
from edge.runtime.aside import chime, say
from edge.runtime.attempt import Attempt
from edge.runtime.device import Device, Recording
from edge.runtime.elsewhere import Elsewhere
from edge.runtime.engines import Engines
from edge.runtime.eyes import SessionEyes
from edge.runtime.interpreting import Interpreting
from edge.runtime.listener import Listener
from edge.runtime.marks import Marks
from edge.runtime.measures import Measures, measure
from edge.runtime.sight import Sight
from edge.runtime.speaker import Speaker
from edge.runtime.turn import Turn
from edge.runtime.watching import Watching
from edge.skill import Act, Meant, Skill
from edge.translation import text_translated
from edge.values import (
    NS_PER_SAMPLE,
    SAMPLE_RATE,
    Condition,
    Exchange,
    Prompt,
    TextLine,
    Transcript,
    VideoFrame,
    VoiceStyle,
    samples,
)

log = logging.getLogger(__name__)

LAG_S = 1.0
"""How much older than now the newest sound is at most while it comes."""
TYPED = "ask:"
"""How a tap begins that brings the words of a page's button."""

SHOWN_ONLY = "These glasses have no loudspeaker: replies are shown only."


class Session:
    """Serves one wearer until the microphone ends or ``end`` is called.

    ``emit`` is called with every event, synchronously; it must not wait. ``wall_time`` gives local time for those who ask.
    ``notifier``, closed by the caller, is told what watches see.
    """

    def __init__(
        self,
        config: Config,
        link: Link,
        engines: Engines,
        skills: Sequence[Skill],
        *,
        emit: Callable[[Event], None],
        wall_time: Callable[[], datetime],
        notifier: Notifier | None = None,
    ) -> None:
        self.config = config
        self.engines = engines
        self.skills = skills
        self.style = VoiceStyle(config.voice.rate, config.voice.pitch, config.voice.volume)
        self.manner = config.answers.manner
        self.meant: Meant | None = None
        self.speech_bound = samples(config.speaker.queue)
        self.device = Device(link, tapped=self._tapped, changed=self._condition, lost=self._lost)
        self._emit = emit
        self._wall_time = wall_time
        self._history = History()
        self._router = Router(skills)
        self.speaker = Speaker(self.device.play, self.device.flush, sink_delay_s=link.sink_delay_s)
        self.watching = Watching(
            config.watch,
            engines.clips,
            notifier,
            emit=self.emit,
            say=self.say_when_idle,
            now_ns=self.now_ns,
            wall_time=wall_time,
            describe=self._describe if engines.vision_language is not None else None,
            models={lane.name: lane.engine.info.name for lane in (engines.detector, engines.segmenter) if lane is not None},
        )
        self.eyes = SessionEyes(
            config,
            engines.segmenter,
            engines.detector,
            self.watching,
            emit=self.emit,
            failed=self.failed,
            tell=self._tell,
            now_ns=self.now_ns,
        )
        self.sight = Sight(
            config.sight,
            engines.text_reader,
            engines.code_reader,
            engines.scene_meter,
            engines.vision_language,
            emit=self.emit,
            taken=self.eyes.take,
        )
        phrases = tuple(commands(phrase for skill in skills for phrase in skill.phrases))
        self.listener = Listener(config, engines, self, self.device.reference, phrases)
        self.interpreting = Interpreting(
            config,
            engines,
            self.device,
            self.listener,
            self.speaker,
            style=lambda: self.style,
            emit=self.emit,
            failed=self.failed,
            tell=self._tell,
            now_ns=self.now_ns,
        )
        self._elsewhere = Elsewhere(engines, emit=self.emit, tell=self._tell, now_ns=self.now_ns)
        self._turn: Turn | None = None
        self._turns = 0
        self._attempts: dict[Attempt, Turn] = {}
        self._group: asyncio.TaskGroup | None = None
        self._ending = asyncio.Event()
        self._end_reason = "link"
        self._begun = asyncio.Event()
        self._gone = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    # -- life ----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serves until the end. The link and the engines are opened by the caller. Raises nothing that a wearer could cause."""
        self.device.start()
        self.emit(SessionStarted(t_ns=0, profile=self.config.profile, link=self.device.link.uri, version=__version__))
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._begun.set()
                services = [
                    group.create_task(self.speaker.run()),
                    group.create_task(self.listener.recognise()),
                    group.create_task(self.sight.run(self.device.camera)),
                    group.create_task(self.eyes.run()),
                    group.create_task(self.watching.run()),
                    group.create_task(self.interpreting.run()),
                    group.create_task(self.device.look()),
                    group.create_task(self.device.feel()),
                    group.create_task(self.device.attend()),
                ]
                sources = [
                    group.create_task(self.device.listen()),
                    group.create_task(self.listener.run(self.device.microphone)),
                ]
                group.create_task(self._warm_up())
                self._announce_recording()
                self._elsewhere.look()
                ending = group.create_task(self._ending.wait())
                await asyncio.wait([ending, sources[-1]], return_when=asyncio.FIRST_COMPLETED)
                if not self._ending.is_set() and self.device.condition.present:  # a reply to glasses that are away is held
                    await self._idle.wait()
                for task in (ending, *sources, *services):
                    task.cancel()
                if self._turn is not None:
                    self._cut()
        finally:
            self._group = None
            self._gone.set()
            self.emit(SessionEnded(t_ns=self.now_ns(), reason=self._end_reason, drops=self.measures().drops))

    async def _warm_up(self) -> None:
        try:
            await self.engines.warm_up()
        except EngineError as error:
            self.failed(error)

    def end(self, reason: str) -> None:
        """Ends the session; what is being said is cut."""
        self._end_reason = reason
        self._ending.set()

    async def begun(self) -> None:
        """Waits until the session listens."""
        await self._begun.wait()

    async def over(self) -> None:
        """Waits for the session's end."""
        await self._gone.wait()

    def record(self, recording: Recording | None) -> None:
        """Hands everything that happens to a recorder from now on, and says so aloud; None ends that."""
        self.device.recording = recording
        self._announce_recording()

    def _announce_recording(self) -> None:
        kept = self.device.recording is not None or self.device.captured
        if kept and self.config.recording.announce and self._group is not None:
            self.emit(Notice(t_ns=self.now_ns(), code="recording", text="This session is being recorded."))
            self._group.create_task(self.say("Recording."))

    async def idle(self) -> None:
        """Waits until no question is being answered."""
        await self._idle.wait()

    async def ask(self, text: str) -> TurnEnded:
        """Answers a typed question as if it had been spoken just now."""
        return await self._answer_now(text, "text").done

    def _answer_now(self, text: str, source: str) -> Turn:
        route = self._router.route(text, 1.0, source)
        now = asyncio.get_running_loop().time()
        self._cut()
        self.listener.settled()
        self.listener.policy.asked()
        marks = Marks(spoken=now, endpoint=now, asr_final=now)
        turn = self._begin(route, Transcript(text, final=True, source=source), marks)
        self._confirm(turn)
        return turn

    async def say(self, text: str) -> None:
        """Speaks outside a turn: a notice."""
        if self.engines.voice is not None:
            try:
                await say(self.speaker, self.engines.voice, text, self.style)
            except EngineError as error:
                self.failed(error)

    async def say_when_idle(self, text: str) -> None:
        """Speaks outside a turn, once no question is being answered."""
        await self._idle.wait()
        await self.say(text)

    async def _describe(self, pictures: Sequence[VideoFrame], prompt: Prompt) -> str:
        """Gives the vision model's answer about some pictures. Raises EngineError."""
        lane = self.engines.vision_language
        assert lane is not None
        job = lane.stream(lambda model, stop: model.answer([frame.pixels for frame in pictures], prompt, stop))
        async with aclosing(job) as pieces:
            return "".join([piece async for piece in pieces]).strip()

    def _tell(self, text: str) -> None:
        if self._group is not None:
            self._group.create_task(self.say_when_idle(text))

    def measures(self) -> Measures:
        """What dropped, and how fast the engines let go."""
        device = self.device
        return measure((device.microphone, device.camera, self.listener.commands, self.speaker.queue), self.engines.lanes())

    def now_ns(self) -> int:
        """Media time now."""
        return self.device.now_ns()

    def emit(self, event: Event) -> None:
        """Tells the world, and the recording."""
        if self.device.recording is not None:
            self.device.recording.event(event)
        self.device.link.tell(event)
        self._emit(event)

    # -- the link --------------------------------------------------------------------------------------------------------

    def _lost(self, error: LinkError) -> None:
        self._end_reason = "lost"
        self.failed(error)

    def _tapped(self, name: str) -> None:
        policy, now = self.listener.policy, self._touched_at()
        if self.interpreting.pushed(name):
            return
        if name.startswith(TYPED):
            self._answer_now(name.removeprefix(TYPED), "text")
            return
        match name:
            case "tap" | "hold" if policy.state is State.MUTED:
                self.unmute()
            case "tap" if policy.state in (State.THINKING, State.SPEAKING, State.PAUSED):
                self.listener.act(policy.stop(now))
            case "tap" | "hold":
                self.listener.act(policy.call(name, now))
            case "release":
                self.listener.act(policy.cut(now))

    def _touched_at(self) -> int:
        """Media time of a touch: that of the newest sound, unless none has come for a while."""
        heard, clock = self.listener.now, self.now_ns() // NS_PER_SAMPLE
        return clock if clock - heard > samples(LAG_S) else heard

    def _condition(self, condition: Condition) -> None:
        before, self.device.condition = self.device.condition, condition
        self.speaker.sink_delay_s, self.speaker.silent = condition.sink_delay_s, condition.silent
        self.listener.cancelling = not condition.echo_cancelled
        self.sight.patience_s = condition.photo_s
        if (before.device, before.echo_cancelled) != (condition.device, condition.echo_cancelled) and self._group is not None:
            self._group.create_task(self.listener.sound_path_changed())
        if before.present and not condition.present:
            self.speaker.hold("absent")
            self.listener.lost()
        elif condition.present and not before.present:
            self.speaker.release("absent")
        if replace(condition, sink_delay_s=before.sink_delay_s) != before:  # the delay moves all the time
            self.emit(link_changed(condition, self.now_ns()))
        if condition.silent and not before.silent:
            self.emit(Notice(t_ns=self.now_ns(), code="no_loudspeaker", text=SHOWN_ONLY))

    def unmute(self) -> None:
        """Microphone and camera on again."""
        self.device.link.privacy(False)
        self.listener.policy.unmute()
        self.listener.notice_state()
        chime(self.speaker, "unmute")

    # -- what the listener tells ------------------------------------------------------------------------------------------

    def called(self, by: str) -> None:
        """The wearer called: the camera's pictures begin to matter."""
        self.interpreting.called()
        self.emit(Woke(t_ns=self.now_ns(), by=by))
        self.device.link.snap()
        self.sight.prefetch(self.now_ns())

    def partial(self, event: PartialHeard) -> None:
        """The recogniser's guess changed."""
        self.emit(event)

    def understood(self, attempt: Attempt) -> Said:
        """Begins to answer, silently, before it is sure that the question has ended."""
        transcript = attempt.transcript
        assert transcript is not None
        route = self._router.route(transcript.text, transcript.confidence, transcript.source)
        if not transcript.text.strip() and not self._long_enough(attempt):
            if attempt.confirmed:
                self._misheard()
            return Said.OPEN
        marks = Marks(spoken=self.device.loop_time(attempt.last), endpoint=attempt.ended_at, asr_final=attempt.understood_at)
        turn = self._attempts[attempt] = self._begin(route, transcript, marks)
        turn.asked_at_ns = attempt.last * NS_PER_SAMPLE
        if attempt.confirmed:
            self._confirm(turn)
        if turn.skill.urgent:
            return Said.URGENT
        if route.score >= 1 and route.skill.phrases:
            return Said.COMMAND
        return Said.UNFINISHED if unfinished(transcript.text) else Said.OPEN

    def ended(self, attempt: Attempt, reason: str, silence: int) -> None:
        """The question has ended: what was begun may be heard."""
        turn = self._attempts.get(attempt)
        if turn is None and attempt.transcript is not None:
            self._misheard()
            return
        self.emit(EndpointReached(t_ns=self.now_ns(), reason=reason, silence_ms=round(silence * 1000 / SAMPLE_RATE, 1)))
        if turn is not None:
            turn.marks.endpoint = attempt.ended_at
            self._confirm(turn)

    def resumed(self, attempt: Attempt) -> None:
        """The wearer goes on: throws away what was begun, and looks again."""
        self.sight.prefetch(self.now_ns())
        turn = self._attempts.pop(attempt, None)
        if turn is not None and turn is self._turn:
            self._drop()

    def barged_in(self, onset: int) -> None:
        """Falls silent, now; what comes is a question."""
        self._cut()
        self.device.link.snap()
        self.sight.prefetch(self.now_ns())

    def paused(self) -> None:
        """Falls silent, now; what was not heard may yet be."""
        self.speaker.hold("speech")
        if self._turn is not None:
            played = round(self._turn.playback.played * 1000 / SAMPLE_RATE, 1)
            self.emit(ReplyPaused(t_ns=self.now_ns(), turn=self._turn.number, played_ms=played))

    def released(self, reason: str) -> None:
        """Goes on where it fell silent."""
        self.speaker.release("speech")
        if self._turn is not None:
            self.emit(ReplyResumed(t_ns=self.now_ns(), turn=self._turn.number, reason=reason))

    def spotted(self, word: str) -> None:
        """Does what a single word asks for, unless the assistant is just saying it itself."""
        if self._turn is not None and not overheard(word, [self._turn.answer]):
            self._answer_now(word, "grammar")

    def overheard(self, transcript: Transcript, speech_s: float) -> Verdict:
        """Judges words spoken over the reply. Without barge-in only what cannot wait counts."""
        turns = self.config.turns
        if not turns.barge_in:
            route = self._router.route(transcript.text, transcript.confidence, transcript.source)
            return Verdict.CUT if route.skill.urgent else Verdict.UNSURE
        return verdict(
            transcript.text,
            confidence=transcript.confidence,
            source=transcript.source,
            speech_s=speech_s,
            being_said=[self._turn.answer] if self._turn is not None else [],
            min_words=turns.barge_in_words + (not transcript.final),  # a guess may yet lose a word
        )

    def gave_up(self) -> None:
        """Nobody spoke after the wake word."""
        self.sight.relax()
        chime(self.speaker, "timeout")

    def state_changed(self, state: State) -> None:
        """Turn-taking moved."""
        self.emit(StateChanged(t_ns=self.now_ns(), state=state.value))

    def failed(self, error: NearsightError) -> None:
        """One face for every failure: an event, a log line with the cause, and the session goes on."""
        log.warning("%s: %s", error.code, error.text, exc_info=error.__cause__)
        self.emit(Failed(t_ns=self.now_ns(), code=error.code, text=error.text, retryable=error.retryable))

    # -- turns ---------------------------------------------------------------------------------------------------------

    def _long_enough(self, attempt: Attempt) -> bool:
        """Whether silence in the transcript means that speech was not understood, rather than that there was none."""
        return attempt.last - attempt.began > samples(1.2)

    def _misheard(self) -> None:
        self.listener.settled()
        self.listener.policy.misheard(self.listener.now)
        self.listener.notice_state()

    def _begin(self, route: Route, transcript: Transcript, marks: Marks) -> Turn:
        self._drop()
        turn = Turn(
            host=self,
            skill=route.skill,
            transcript=route.text,
            slots=route.slots,
            marks=marks,
            asked_at_ns=self.now_ns(),
            heard_as=transcript,
        )
        self._turn = turn
        self._idle.clear()
        assert self._group is not None, "a turn begins inside a running session"
        self._group.create_task(self._follow(turn))
        return turn

    async def _follow(self, turn: Turn) -> None:
        """Waits for a turn's own end; one that was cut or dropped has been dealt with by then."""
        try:
            await turn.run()
        except asyncio.CancelledError:
            if not turn.interrupted:
                raise
            return
        if turn is self._turn:
            self._close(turn)
            policy = self.listener.policy
            policy.reply_ended(self.listener.now, asked_back=Act.LISTEN_ON in turn.acts)
            if Act.MUTE in turn.acts:
                policy.mute()
                self.device.link.privacy(True)
            self.listener.settled()
            self.listener.notice_state()

    def _confirm(self, turn: Turn) -> None:
        self._turns += 1
        self.emit(final_heard(turn.heard_as, self.now_ns()))
        turn.confirm(self._turns)

    def _cut(self) -> None:
        """Barge-in: no await from the first line to the last."""
        self.speaker.flush()
        turn = self._turn
        if turn is None:
            return
        turn.cut()
        if turn.confirmed:
            played = turn.playback.played * 1000 / SAMPLE_RATE
            self.emit(BargedIn(t_ns=self.now_ns(), turn=turn.number, played_ms=round(played, 1), heard=turn.heard))
            self._close(turn)
        self._turn = None
        self._idle.set()

    def _drop(self) -> None:
        """Throws away a turn that nobody has heard of."""
        if self._turn is not None:
            if self._turn.confirmed:
                self.speaker.flush()
                self.speaker.release("speech")
            self._turn.cut()
            self._turn.done.cancel()
            self._turn = None
            self._idle.set()

    def _close(self, turn: Turn) -> None:
        heard = turn.heard
        if turn.confirmed:
            self._history.add(Exchange(turn.transcript, turn.answer if turn.playback.silent else heard, turn.answer))
        ended = TurnEnded(
            t_ns=self.now_ns(),
            turn=turn.number,
            transcript=turn.heard_as.text,
            skill=turn.skill.name,
            answer=turn.answer,
            heard=heard,
            interrupted=turn.interrupted,
            timings_ms=turn.marks.timings(),
        )
        self.emit(ended)
        self.speaker.release("speech")
        self._turn = None
        self._idle.set()
        self._elsewhere.look()
        if not turn.done.done():
            turn.done.set_result(ended)

    # -- what a turn needs -------------------------------------------------------------------------------------------------

    @property
    def history(self) -> Sequence[Exchange]:
        """Earlier exchanges."""
        return self._history.exchanges

    def spoke(self, turn: Turn, text: str) -> None:
        """A sentence of a confirmed turn goes to the loudspeaker."""
        self.emit(Speaking(t_ns=self.now_ns(), turn=turn.number, text=text))

    def reply_began(self, turn: Turn) -> None:
        """The first sample leaves: from now on speech is a barge-in, not the rest of the question."""
        self._attempts.clear()
        self.listener.settled()
        self.listener.policy.reply_began()
        self.listener.notice_state()

    def act(self, turn: Turn, act: Act) -> None:
        """Does what a skill asks for."""
        match act:
            case Act.STOP:
                self.listener.policy.stop(self.listener.now)
                self.listener.settled()
                self.listener.notice_state()
            case Act.UNMUTE:
                self.unmute()

    def restyle(self, style: VoiceStyle) -> None:
        """Changes how the assistant speaks."""
        self.style = style

    async def keep(self, frame: VideoFrame) -> str:
        """Keeps a picture in the recording."""
        path = self.device.recording.photo(frame) if self.device.recording is not None else ""
        self.emit(PhotoTaken(t_ns=self.now_ns(), path=path))
        return path

    def overlay(self, frame: VideoFrame, language: str, lines: Sequence[tuple[TextLine, str]]) -> None:
        """Tells of translated text where it stands."""
        self.emit(text_translated(frame, language, lines, self.now_ns()))

    def wall_time(self) -> datetime:
        """Local time."""
        return self._wall_time()
