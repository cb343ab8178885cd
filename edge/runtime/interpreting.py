"""Translation as a mode of a session: begun and ended by asking, beside the wake word and everything else.

While it is on, what nobody says to the assistant is translated: the listener hands its sound over here whenever no question is
being asked or answered. A wake word or a tap opens a question as ever; what was being said then is not translated.

Each listener has a mouth. The wearer's is the glasses' loudspeaker; the other's is the loudspeaker turned to them where there
is one (``Link.aside``), else the same. Whoever has begun to speak is not spoken to meanwhile: what waits for them waits on. An
interpreter talks while the speaker does, so the other listener goes on hearing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from edge.config import Config
from edge.errors import EngineMissing, LanguageMissing, NearsightError
from edge.events import Event, Notice
from edge.policy.languages import name_of, same
from edge.policy.pacing import Pace
from edge.policy.sides import Sides
from edge.policy.translate_words import stops
from edge.ports import Stop, Translator, Voice
from edge.runtime.device import Device
from edge.runtime.engines import Engines
from edge.runtime.interpreter import KEPT, Interpreter, Rules
from edge.runtime.lane import Lane
from edge.runtime.listener import Listener
from edge.runtime.mouth import Mouth
from edge.runtime.speaker import Speaker
from edge.runtime.utterances import Utterances
from edge.translation import Interpret, InterpretingChanged, Party, Rendered, TranslateRequest
from edge.values import VoiceStyle

log = logging.getLogger(__name__)

PUSH = {"speak:wearer": Party.WEARER, "speak:partner": Party.PARTNER, "speak:end": None}
"""Names of taps: a button that is held down while somebody speaks."""


class Interpreting:
    """The mode of one session. ``run`` is one of its tasks."""

    def __init__(
        self,
        config: Config,
        engines: Engines,
        device: Device,
        listener: Listener,
        speaker: Speaker,
        *,
        style: Callable[[], VoiceStyle],
        emit: Callable[[Event], None],
        failed: Callable[[NearsightError], None],
        tell: Callable[[str], None],
        now_ns: Callable[[], int],
    ) -> None:
        self.wanted: Interpret | None = None
        self._config = config
        self._engines = engines
        self._device = device
        self._listener = listener
        self._speaker = speaker
        self._beside = Speaker(device.play_aside, device.flush_aside)
        self._style = style
        self._emit = emit
        self._failed = failed
        self._tell = tell
        self._now_ns = now_ns
        self._interpreter: Interpreter | None = None
        self._changed = asyncio.Event()
        self._past: list[Rendered] = []

    # -- asked by a skill ------------------------------------------------------------------------------------------------------

    def begin(self, wanted: Interpret) -> None:
        """Begins, or goes on otherwise. Raises LanguageMissing, EngineMissing."""
        translator = self._translator()
        wanted = self._resolved(wanted)
        if self._engines.recogniser is None:
            raise EngineMissing(f"the profile {self._config.profile} has no recogniser")
        for source, target in directions(wanted):
            if why := translator.engine.missing(source, target):
                raise LanguageMissing(why)
        self.wanted = wanted
        self._changed.set()
        self._announce()

    def _resolved(self, wanted: Interpret) -> Interpret:
        """Puts the configuration's languages where none is named."""
        mine = wanted.mine or self.mine
        theirs = wanted.theirs or (self._config.translator.theirs if wanted.both else "")
        target = "" if wanted.both else wanted.target or mine
        return Interpret(mine, theirs, wanted.both, target)

    def end(self) -> None:
        """Ends: what was not spoken is not spoken any more."""
        if self.wanted is not None:
            self.wanted = None
            self._changed.set()
            self._announce()

    def _announce(self) -> None:
        wanted = self.wanted
        event = InterpretingChanged(t_ns=self._now_ns(), on=False)
        if wanted is not None:
            event = InterpretingChanged(
                t_ns=self._now_ns(),
                on=True,
                mine=wanted.mine,
                theirs=wanted.theirs,
                both=wanted.both,
                target=wanted.target,
            )
        self._emit(event)

    async def translate(self, text: str, target: str, source: str, stop: Stop) -> AsyncGenerator[str, None]:
        """Gives the translation of a text; without a source it is in the wearer's language."""
        lane = self._translator()
        request = TranslateRequest(text, source or self.mine, target)
        if why := lane.engine.missing(request.source, target):
            raise LanguageMissing(why)
        async with aclosing(lane.stream(lambda engine, stop: engine.translate(request, stop), stop=stop)) as pieces:
            async for piece in pieces:
                yield piece

    @property
    def mine(self) -> str:
        """The wearer's language."""
        return self._config.translator.mine or self._config.recogniser.language

    def _translator(self) -> Lane[Translator]:
        if self._engines.translator is None:
            raise EngineMissing("there is no translator here: sudo apt-get install apertium-eng-spa, or choose another profile")
        return self._engines.translator

    @property
    def translations(self) -> Sequence[Rendered]:
        """Sentences with their translations, newest last."""
        return [*self._past, *(self._interpreter.done if self._interpreter is not None else ())]

    # -- told by the session ---------------------------------------------------------------------------------------------------

    def called(self) -> None:
        """Somebody calls the assistant: what was being said is not for translation, what is being spoken is cut."""
        if self._interpreter is not None:
            self._interpreter.hush()
            self._interpreter.interrupt()

    def pushed(self, name: str) -> bool:
        """Takes a button held down to speak; says whether the tap was one."""
        if name in PUSH and self._interpreter is not None:
            self._interpreter.push(PUSH[name])
        return name in PUSH

    async def run(self) -> None:
        """Runs an interpreter while one is wanted, until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beside.run())
            while True:
                self._changed.clear()
                if self.wanted is None:
                    await self._changed.wait()
                    continue
                await self._interpret(self.wanted)

    async def _interpret(self, wanted: Interpret) -> None:
        try:
            languages = await self._understood(wanted)
            await self._load(wanted)
        except NearsightError as error:
            self._failed(error)
            self._tell(error.spoken)
            self.end()
            return
        interpreter = self._interpreter = self._make(wanted, languages)
        self._listener.overhear, self._listener.policy.calls_only = interpreter.hear, True
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(interpreter.run())
                changed = group.create_task(self._changed.wait())
                await asyncio.wait((running, changed), return_when=asyncio.FIRST_COMPLETED)
                running.cancel()
                changed.cancel()
        finally:
            self._listener.overhear, self._listener.policy.calls_only = None, False
            self._past = [*self._past, *interpreter.done][-KEPT:]
            self._interpreter = None
            for speaker in (self._speaker, self._beside):
                speaker.release("listener speaks")

    async def _load(self, wanted: Interpret) -> None:
        """Loads translator and voices before the first word needs them. Raises what they raise."""
        await self._translator().open()
        for _, target in directions(wanted) if self._config.translator.speak else ():
            await self.voice(target)

    async def _understood(self, wanted: Interpret) -> tuple[str, ...]:
        """Gives the languages that are listened for, without one that the recogniser does not know, which is told."""
        theirs = wanted.theirs or wanted.target
        languages = tuple(dict.fromkeys(tag for tag in (wanted.mine, theirs) if tag))
        lane = self._engines.recogniser
        assert lane is not None
        if self._engines.speech_translator is not None:
            return ()
        if wanted.both and not wanted.theirs:
            return ()
        try:
            await lane.call(lambda engine, stop: engine.stream(languages=languages).close())
        except LanguageMissing as error:
            if wanted.both or not same(wanted.target, theirs):
                log.warning("%s", error.text)
                self._emit(Notice(t_ns=self._now_ns(), code=error.code, text=error.text))
                self._tell(f"I only understand {name_of(wanted.mine)} here.")
            return (wanted.mine,)
        return languages

    def _make(self, wanted: Interpret, languages: tuple[str, ...]) -> Interpreter:
        chosen, engines = self._config.translator, self._engines
        assert engines.recogniser is not None and engines.translator is not None
        recogniser = engines.speech_translator or engines.recogniser
        mouths = {}
        for party in Party if chosen.speak else ():
            mouths[party] = Mouth(
                party,
                lambda party=party: self._speaker_for(party),  # type: ignore[misc]  # the loop's own value
                self.voice,
                Pace(chosen.max_rate, chosen.shorten_behind),
                style=self._style,
                emit=self._emit,
                failed=self._failed,
                now_ns=self._now_ns,
            )
        return Interpreter(
            lambda told: Utterances(recogniser, told, self._failed, languages=languages),
            engines.translator,
            Sides(wanted.mine, wanted.theirs, both=wanted.both, target=wanted.target),
            mouths,
            rules=Rules.of(chosen),
            emit=self._emit,
            failed=self._failed,
            now_ns=self._now_ns,
            heard_in=languages[0] if len(languages) == 1 else "",
            translated=engines.speech_translator is not None,
            command=self._commanded,
            began=self._began,
            ended=self._ended,
        )

    # -- told by the interpreter -----------------------------------------------------------------------------------------------

    def _commanded(self, text: str, final: bool) -> bool:
        """Whether an utterance is, or may become, the command that ends the mode. "Stop" alone only hushes."""
        said = stops(text)
        if said is None or not final:
            return said is not None
        if said:
            self._tell("I have stopped translating.")
            self.end()
        elif text.strip(" .!").lower() == "stop" and self._interpreter is not None:
            self._interpreter.hush()
            for speaker in (self._speaker, self._beside):
                speaker.flush()
            return True
        return said

    def _began(self, party: Party | None) -> None:
        """Somebody has the word: nobody speaks to them meanwhile."""
        if party is not None:
            self._speaker_for(party).hold("listener speaks")

    def _ended(self) -> None:
        for speaker in (self._speaker, self._beside):
            speaker.release("listener speaks")

    def _speaker_for(self, party: Party) -> Speaker:
        aside = self._device.link.aside
        if party is Party.WEARER or aside is None or not aside.present:
            return self._speaker
        self._beside.sink_delay_s = aside.sink_delay_s
        return self._beside

    async def voice(self, language: str) -> Lane[Voice]:
        """Gives the voice for a language, loaded. Raises LanguageMissing, EngineMissing, and what voices raise."""
        engines, chosen = self._engines, self._config.voice
        if engines.voice is not None and same(language, chosen.language):
            return engines.voice
        if engines.tongues is None:
            raise EngineMissing(f"no voice speaks {name_of(language)}")
        return await engines.tongues.voice(language)


def directions(wanted: Interpret) -> list[tuple[str, str]]:
    """The directions that will surely be needed: source and target."""
    if wanted.both:
        return [(wanted.mine, wanted.theirs), (wanted.theirs, wanted.mine)] if wanted.theirs else []
    source = wanted.theirs if same(wanted.target, wanted.mine) else wanted.mine
    return [(source, wanted.target)] if source else []
