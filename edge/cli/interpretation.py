"""A recording through the interpreter: heard by the ears of a session, at its own pace, spoken into a link's loudspeaker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from edge.config import Config
from edge.errors import EngineMissing, LanguageMissing, NearsightError
from edge.events import Event, Failed
from edge.policy.languages import same
from edge.policy.pacing import Pace
from edge.policy.sides import Sides
from edge.ports import Recogniser, Voice
from edge.runtime.engines import Engines, Heard
from edge.runtime.interpreter import Interpreter, Rules
from edge.runtime.lane import Lane
from edge.runtime.mouth import Mouth
from edge.runtime.speaker import Speaker
from edge.runtime.utterances import Utterances
from edge.translation import Party
from edge.values import AudioChunk, VoiceStyle


@dataclass(frozen=True, slots=True)
class Played:
    """What a recording took."""

    seconds: float
    """Its own length."""
    spent_s: float
    """Processor time of this process and all that it started, from the first sound to the last word spoken."""


class Interpretation:
    """Translates a recording into one language. Whatever is in another is taken for ``source``, unless the recogniser tells."""

    def __init__(
        self,
        config: Config,
        engines: Engines,
        source: str,
        target: str,
        *,
        speak: bool,
        emit: Callable[[Event], None],
    ) -> None:
        self.failures: list[NearsightError] = []
        self._config = config
        self._engines = engines
        self._source = source
        self._target = target
        self._speak = speak
        self._emit = emit
        self._languages: tuple[str, ...] = ()
        self._began = 0.0

    async def open(self) -> None:
        """Loads the engines that are needed; the caller closes all. Raises EngineMissing, LanguageMissing, ModelMissing."""
        config, engines = self._config, self._engines
        if engines.recogniser is None:
            raise EngineMissing(f"the profile {config.profile} has no recogniser")
        if engines.translator is None:
            raise EngineMissing(f"the profile {config.profile} has no translator: sudo apt-get install apertium-eng-spa")
        if why := engines.translator.engine.missing(self._source, self._target):
            raise LanguageMissing(why)
        if engines.speech_translator is None:
            self._languages = await understood(engines.recogniser, self._source, self._target)
        for lane in (engines.ears, engines.translator):
            await lane.open()
        if self._speak:
            await self._voice(self._target)

    async def play(self, link: Any) -> Played:
        """Takes the sound of a file's link (``app.file_link``), and waits until all of it was translated and spoken."""
        self._began = asyncio.get_running_loop().time()
        before = processor_s()
        async with self._speaker(link) as speaker:
            try:
                await self._feed(link, self._interpreter(speaker))
            except* NearsightError as errors:
                raise first(errors) from errors
        return Played(link.content_s, processor_s() - before)

    async def _feed(self, link: Any, interpreter: Interpreter) -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(interpreter.run())
            async with aclosing(link.microphone()) as chunks:
                async for chunk in chunks:
                    if running.done():
                        break
                    if link.finished:
                        interpreter.finish()
                    else:
                        interpreter.hear(await heard(self._engines, chunk))
            interpreter.finish()

    @asynccontextmanager
    async def _speaker(self, link: Any) -> AsyncIterator[Speaker]:
        speaker = Speaker(link.play, link.flush)
        running = asyncio.create_task(speaker.run())
        try:
            yield speaker
        finally:
            speaker.flush()  # after an error or Ctrl-C there is something left
            speaker.queue.close()
            await running

    def _interpreter(self, speaker: Speaker) -> Interpreter:
        chosen, engines = self._config.translator, self._engines
        assert engines.recogniser is not None and engines.translator is not None
        recogniser = engines.speech_translator or engines.recogniser
        mouth = Mouth(
            Party.WEARER,
            lambda: speaker,
            self._voice,
            Pace(chosen.max_rate, chosen.shorten_behind),
            style=VoiceStyle,
            emit=self._emit,
            failed=self._failed,
            now_ns=self._now_ns,
        )
        return Interpreter(
            lambda told: Utterances(recogniser, told, self._failed, languages=self._languages),
            engines.translator,
            Sides(self._target, self._source, both=False, target=self._target),
            {Party.WEARER: mouth} if self._speak else {},
            rules=Rules.of(chosen),
            emit=self._emit,
            failed=self._failed,
            now_ns=self._now_ns,
            heard_in=self._languages[0] if len(self._languages) == 1 else "",
            translated=engines.speech_translator is not None,
        )

    async def _voice(self, language: str) -> Lane[Voice]:
        """The voice for a language, loaded."""
        engines = self._engines
        if engines.voice is not None and same(language, self._config.voice.language):
            await engines.voice.open()
            return engines.voice
        if engines.tongues is None:
            raise EngineMissing(f"the profile {self._config.profile} has no voice: --no-speech does without")
        return await engines.tongues.voice(language)

    def _now_ns(self) -> int:
        return round((asyncio.get_running_loop().time() - self._began) * 1e9)

    def _failed(self, error: NearsightError) -> None:
        self.failures.append(error)
        self._emit(Failed(t_ns=self._now_ns(), code=error.code, text=error.text, retryable=error.retryable))


def first(errors: BaseExceptionGroup[NearsightError]) -> NearsightError:
    """Gives the first of what went wrong."""
    inner: BaseException = errors
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    assert isinstance(inner, NearsightError)
    return inner


async def heard(engines: Engines, chunk: AudioChunk) -> Heard:
    """Gives a chunk with its voice activity."""
    return await engines.ears.call(lambda ears, stop: ears.hear(chunk, voice=True))


async def understood(recogniser: Lane[Recogniser], source: str, target: str) -> tuple[str, ...]:
    """Gives the languages to listen for: both, so that what needs no translation is known; else the source alone.

    Raises LanguageMissing where the recogniser does not know that one.
    """
    try:
        await recogniser.call(lambda engine, stop: engine.stream(languages=(source, target)).close())
    except LanguageMissing:
        await recogniser.call(lambda engine, stop: engine.stream(languages=(source,)).close())
        return (source,)
    return source, target


def processor_s() -> float:
    """Gives the processor seconds of this process and of all that it has started, dead or alive."""
    import psutil

    me = psutil.Process()
    spent = 0.0
    for process in (me, *me.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue  # it has just ended; its parent has its time now
        spent += times.user + times.system + times.children_user + times.children_system
    return spent
