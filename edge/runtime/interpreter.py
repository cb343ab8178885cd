"""Speech in one language, spoken in another while it goes on: the stages between the ears and two mouths.

::

    sound with voice activity -> Utterances -> SourceWords -> Sides -> Simultaneous <-> translator -> Phrasing -> Mouth
                                 (recogniser)               who, which way                            (voice, pace)

Three tasks share the work: one hears, one translates, one speaks for each listener. What they decide by is pure
(``edge.policy.{source_words,sides,simultaneous,phrasing,pacing}``); here are the waiting, the engines and the failures. A
failure costs a sentence at most.

Who is translated into what is decided for each utterance, once, before anything of it is given out (``Sides``). Each direction
has a ``Simultaneous`` of its own; an utterance belongs to one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from edge.channel import Channel, Overflow
from edge.config import TranslatorConfig
from edge.errors import NearsightError
from edge.events import Event
from edge.policy.interruption import overheard
from edge.policy.languages import same
from edge.policy.phrasing import Phrasing
from edge.policy.settling import joined
from edge.policy.sides import Decision, Evidence, Sides
from edge.policy.simultaneous import Policy, Simultaneous, suited
from edge.policy.source_words import Heard
from edge.ports import Translator
from edge.runtime import engines
from edge.runtime.lane import Lane
from edge.runtime.mouth import Mouth, Piece
from edge.runtime.teller import Direction, Teller
from edge.runtime.utterances import Began, Ended, Utterances, Words
from edge.translation import Ask, Party, PassedOver, Progress, Rendered, TranslateRequest
from edge.values import Word

HEARING: Final = 1500
"""Chunks of sound that may wait for a slow recogniser: thirty seconds."""
CONTEXT: Final = 3
"""Sentences before the one that is translated that an engine may look at."""
KEPT: Final = 200
"""Sentences that are remembered."""
INSTANT: Final = ("apertium",)
"""Engines whose answers cost milliseconds: they are asked about words that do not stand yet, too."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a translation stands."""

    policy: Policy | None = None
    """None takes what suits the source's language."""
    ahead: bool = False
    """Whether words that do not stand yet are translated too, to know sooner what will."""

    @classmethod
    def of(cls, config: TranslatorConfig) -> Rules:
        """Gives those of a configuration."""
        named: dict[str, Policy] = {"agreement": "agreement", "clause": "clause", "sentence": "sentence"}
        return cls(named.get(config.policy), config.engine in INSTANT)


@dataclass(frozen=True, slots=True)
class _Push:
    """A button was pressed, or with None let go."""

    party: Party | None


@dataclass
class _Way:
    """One direction's work."""

    direction: Direction
    policy: Simultaneous
    numbers: dict[int, int] = field(default_factory=dict)
    """From the policy's count of sentences to the interpreter's."""
    phrasings: dict[int, Phrasing] = field(default_factory=dict)
    done: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _Utterance:
    """What is being said now."""

    way: _Way | None = None
    over: bool = False
    """Whether it is passed over for good."""
    committed: tuple[Word, ...] = ()
    """What stands of it."""
    at: int = 0
    """Media time up to which it was heard."""
    pushed: Party | None = None
    """Who held a button down to say it."""


class Interpreter:
    """Interprets what was heard until ``finish``, or until ``run`` is cancelled. Engines are opened by the caller."""

    def __init__(
        self,
        utterances: Callable[[Callable[[Began | Words | Ended], None]], Utterances],
        translator: Lane[Translator],
        sides: Sides,
        mouths: Mapping[Party, Mouth],
        *,
        rules: Rules = Rules(),
        emit: Callable[[Event], None],
        failed: Callable[[NearsightError], None],
        now_ns: Callable[[], int],
        heard_in: str = "",
        translated: bool = False,
        command: Callable[[str, bool], bool] = lambda text, final: False,
        began: Callable[[Party | None], None] = lambda party: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """``mouths`` speak to the parties named; who has none reads.

        ``heard_in`` is the language of words whose recogniser does not tell one. ``translated`` says that the recogniser writes
        the target language of whatever it hears: its words are no source then, and are shown as the translation alone.
        ``command(text, final)`` is told what an utterance says so far and may take it for itself. ``began`` and ``ended``
        frame an utterance whose speaker, where known, has the word.
        """
        self.sides = sides
        self.done: list[Rendered] = []
        """Sentences with their translations, newest last."""
        self.sound: Channel[engines.Heard | _Push] = Channel("interpreter", HEARING, Overflow.DROP_OLDEST)
        self._utterances = utterances(self._take)
        self._translator = translator
        self._mouths = mouths
        self._rules = rules
        self._heard_in = heard_in
        self._translated = translated
        self._emit = emit
        self._failed = failed
        self._now_ns = now_ns
        self._command = command
        self._teller = Teller(emit, now_ns, sources=not translated)
        self._tell_began = began
        self._tell_ended = ended
        self._ways: dict[Direction, _Way] = {}
        self._sentences = 0
        self._now = _Utterance()
        self._news = asyncio.Event()
        self._heard_out = False
        self._interrupted = False
        self._pushed: Party | None = None

    # -- life ------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Interprets until everything of a finished input was spoken."""
        async with asyncio.TaskGroup() as group:
            speaking = [group.create_task(mouth.run()) for mouth in self._mouths.values()]
            group.create_task(self._hear_on())
            await self._translate_on()
            for mouth in self._mouths.values():
                await mouth.silent()
            for task in speaking:
                task.cancel()

    def hear(self, heard: engines.Heard) -> None:
        """Takes the next sound with its voice activity, without waiting."""
        if not self.sound.closed:
            self.sound.send_nowait(heard)

    def finish(self) -> None:
        """No more sound will come: ``run`` ends once all that was said has been spoken."""
        self.sound.close()

    def interrupt(self) -> None:
        """What is being said now is not to be translated: somebody called the assistant."""
        self.sound.flush()
        self._interrupted = True

    def push(self, party: Party | None) -> None:
        """Somebody holds a button down to speak; with None it is let go, and what was said is over."""
        if not self.sound.closed:
            self.sound.send_nowait(_Push(party))  # in its place among the sound, which a slow recogniser hears later

    def hush(self) -> None:
        """Gives up what was not spoken yet."""
        for mouth in self._mouths.values():
            mouth.drop()

    async def _hear_on(self) -> None:
        async for heard in self.sound:
            if self._interrupted:
                self._interrupted = False
                await self._utterances.abandon()
                self._end_utterance(None)
            if not isinstance(heard, _Push):
                await self._utterances.hear(heard)
                continue
            if heard.party is None and self._pushed is not None:
                await self._utterances.finish()
            self._pushed = heard.party
            self._now.pushed = heard.party or self._now.pushed
        await self._utterances.finish()
        self._heard_out = True
        self._news.set()

    # -- what is heard -----------------------------------------------------------------------------------------------------

    def _take(self, event: Began | Words | Ended) -> None:
        match event:
            case Began():
                self._now = _Utterance(pushed=self._pushed)
                self.sides.begin()
                self._tell_began(self._pushed)
            case Words():
                self._words(event.heard, event, final=False)
            case Ended():
                self._words(event.heard, event, final=True)
                self._end_utterance(event.heard.committed)

    def _words(self, heard: Heard, event: Words | Ended, *, final: bool) -> None:
        now = self._now
        now.committed, now.at = heard.committed, event.at
        text = joined((*heard.committed, *heard.tail))
        if now.over or not text:
            return
        if self._command(text, final) or self._own_words(text, final):
            now.over = now.over or final
            return
        if now.way is None and (final or self._plain):
            evidence = Evidence(
                language=event.language or self._heard_in,
                level_db=event.level_db,
                pushed=now.pushed,
                text="" if self._translated else text,
                final=final,
                confidence=event.confidence if isinstance(event, Ended) else 1.0,
            )
            self._decide(self._foreign(evidence) if self._translated else self.sides.decide(evidence), text, final=final)
        if now.way is not None:
            self._progress(now.way, now.way.policy.hear(heard.committed, heard.tail))
            self._news.set()

    def _foreign(self, evidence: Evidence) -> Decision:
        """The decision where the words are English whatever was spoken: only the recogniser knows what that was."""
        target = self.sides.target
        if same(evidence.language, target):
            return Decision(None, evidence.language, "", "same_language", sure=evidence.final)
        return Decision(None, evidence.language, target, sure=bool(evidence.language))

    @property
    def _plain(self) -> bool:
        """Whether words can be believed before they are all there.

        A recogniser that knows one of two languages makes words of it out of the other's speech; how little it believes them
        itself is known at the end.
        """
        return self._now.pushed is not None or not (self.sides.both and self._heard_in)

    def _own_words(self, text: str, final: bool) -> bool:
        """Whether a microphone hears what a mouth says; judged when it is all there, shown to nobody until then."""
        said = [text for mouth in self._mouths.values() for text in mouth.lately()]
        return self._now.way is None and bool(said) and overheard(text, said)

    def _decide(self, decision: Decision, text: str, *, final: bool) -> None:
        now = self._now
        if decision.target:
            if decision.sure or final:
                now.way = self._way(Direction(decision.source, decision.target, decision.speaker))
                self._tell_began(decision.speaker)
        elif final or decision.sure:
            now.over = True
            speaker = decision.speaker.value if decision.speaker is not None else ""
            self._emit(PassedOver(t_ns=self._now_ns(), speaker=speaker, reason=decision.why, text=text if final else ""))

    def _end_utterance(self, committed: tuple[Word, ...] | None) -> None:
        """The utterance is over; with None it was broken off, and what stands of it is all there is."""
        way = self._now.way
        if way is not None:
            self._progress(way, way.policy.hear(self._now.committed if committed is None else committed, ended=True))
        self._now = _Utterance(over=True, at=self._now.at)
        self._news.set()
        self._tell_ended()

    def _way(self, direction: Direction) -> _Way:
        if direction not in self._ways:
            policy = Simultaneous(
                direction.source,
                direction.target,
                policy=self._rules.policy or suited(direction.source),
                forces=self._translator.engine.forces,
                ahead=self._rules.ahead,
            )
            self._ways[direction] = _Way(direction, policy)
        return self._ways[direction]

    # -- what is translated ------------------------------------------------------------------------------------------------

    async def _translate_on(self) -> None:
        while True:
            self._news.clear()
            asked = False
            for way in list(self._ways.values()):
                ask = way.policy.ask()
                if ask is not None:
                    asked = True
                    await self._answer(way, ask)
            if not asked:
                if self._heard_out:
                    return
                await self._news.wait()

    async def _answer(self, way: _Way, ask: Ask) -> None:
        direction = way.direction
        request = TranslateRequest(
            ask.text,
            direction.source,
            direction.target,
            prefix=ask.prefix,
            whole=ask.whole,
            before=tuple(way.done[-CONTEXT:]),
        )
        try:
            async with aclosing(self._translator.stream(lambda engine, stop: engine.translate(request, stop))) as pieces:
                text = "".join([piece async for piece in pieces])
        except NearsightError as error:
            self._failed(error)
            self._progress(way, way.policy.failed(ask))
            return
        self._progress(way, way.policy.answer(ask, text))

    # -- what is told --------------------------------------------------------------------------------------------------------

    def _progress(self, way: _Way, steps: tuple[Progress, ...]) -> None:
        for step in steps:
            if step.sentence not in way.numbers:
                self._sentences += 1
                way.numbers[step.sentence] = self._sentences
            number = way.numbers[step.sentence]
            self._teller.tell(way.direction, number, step, self._now.at)
            self._say(way, number, step)
            if step.final:
                self._close(way, step)

    def _say(self, way: _Way, number: int, step: Progress) -> None:
        listener = self._listener(way.direction)
        mouth = self._mouths.get(listener)
        if mouth is None:
            return
        phrasing = way.phrasings.setdefault(step.sentence, Phrasing())
        text = phrasing.add(step.added, last=step.final)
        if text:
            mouth.say(Piece(number, way.direction.target, text, step.covered))

    def _listener(self, direction: Direction) -> Party:
        """In a conversation who does not speak; else, and where nobody can tell, whoever understands the translation."""
        if direction.speaker is not None and self.sides.both:
            return direction.speaker.other
        return self.sides.listener(direction.target)

    def _close(self, way: _Way, step: Progress) -> None:
        for table in (way.numbers, way.phrasings):
            table.pop(step.sentence, None)
        if step.text:
            pair = ("" if self._translated else step.source, step.record or step.text)
            way.done.append(pair)
            self.done.append(Rendered(*pair, way.direction.target))
            del way.done[:-CONTEXT], self.done[:-KEPT]
