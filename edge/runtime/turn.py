"""One answer: a skill's text, cut into sentences, spoken, played; owned by one task group and cut by one call.

A turn may begin before the wearer has surely finished. It then runs ahead, silently: ``confirm`` gives its sound to the
speaker, ``cut`` throws it away. Skills wait for ``sure`` before they do what can be felt outside.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from edge.channel import Channel, ChannelClosed
from edge.errors import EngineError, EngineFailed, EngineMissing, NearsightError
from edge.events import TurnEnded
from edge.policy.earcons import EARCONS
from edge.policy.sentences import Sentences
from edge.ports import Stop
from edge.runtime.host import Host
from edge.runtime.lane import Lane
from edge.runtime.marks import Marks
from edge.runtime.speaker import Playback
from edge.runtime.written import written_in
from edge.skill import Act, Eyes, Meant, Skill
from edge.translation import Interpret, Rendered
from edge.values import (
    Box,
    Code,
    Exchange,
    Pixels,
    Prompt,
    Reading,
    SceneFacts,
    SpeechChunk,
    TextLine,
    Transcript,
    VideoFrame,
    VoiceStyle,
)

log = logging.getLogger(__name__)

MAX_ANSWER = 4000
"""Characters of the longest answer; a skill or a model that gives more is cut with an error."""
SENTENCES = 64
"""Sentences that may wait for the voice. The model runs ahead of the listening: others wait for it."""


@dataclass(frozen=True, slots=True)
class _Said:
    """A sentence or a clause on its way to the voice."""

    text: str
    language: str = ""
    """Of another voice than the assistant's own."""


@dataclass(eq=False)
class Turn:
    """One question and its answer. It is the ``Asking`` of its skill."""

    host: Host
    skill: Skill
    transcript: str
    slots: Mapping[str, str]
    marks: Marks
    asked_at_ns: int
    """Media time of the question's last sample: the picture is chosen around it."""
    heard_as: Transcript
    """What was heard, as the recogniser wrote it."""
    stop: Stop = field(default_factory=Stop)
    answer: str = ""
    """The text that was given to the voice so far."""
    number: int = 0
    """Counts the confirmed turns of a session; 0 until then."""
    interrupted: bool = False
    acts: list[Act] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.playback = Playback(self.host.speech_bound)
        self.playback.on_first = self._audible
        self._confirmed = asyncio.Event()
        self.done: asyncio.Future[TurnEnded] = asyncio.get_running_loop().create_future()
        """The turn's last event, once it is told."""
        self._task: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None
        self._unannounced: list[str] = []
        self._tongue = ""
        self._frame: VideoFrame | None = None

    # -- life ----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Answers, and ends when the reply has been heard. ``cut`` cancels the task that runs this."""
        self._task = asyncio.current_task()
        if self.interrupted:
            return
        pieces: Channel[_Said] = Channel("sentences", SENTENCES)
        async with asyncio.TaskGroup() as self._group:
            self._group.create_task(self._think(pieces))
            self._group.create_task(self._speak(pieces))
        await self.playback.finished.wait()

    def confirm(self, number: int) -> None:
        """The wearer has surely finished: the reply may be heard. The turn gets its number."""
        if self._confirmed.is_set():
            return
        self.number = number
        self._confirmed.set()
        for text in self._unannounced:
            self.host.spoke(self, text)
        self.host.speaker.give(self.playback)

    def cut(self) -> None:
        """Ends the turn now: raises the engines' stop flag, silences the reply, cancels the task. Synchronous."""
        self.interrupted = True
        self.stop.set()
        self.playback.stop()
        if self._task is not None:
            self._task.cancel()

    @property
    def confirmed(self) -> bool:
        """Whether the reply may be heard."""
        return self._confirmed.is_set()

    @property
    def heard(self) -> str:
        """The words of the answer that were wholly played."""
        return self.playback.heard()

    async def _think(self, pieces: Channel[_Said]) -> None:
        """Runs the skill and hands on what can be spoken; a fault of it costs this answer, with an apology."""
        try:
            await self._answer(pieces)
        except ChannelClosed:
            raise
        except NearsightError as failed:
            await self._apologise(failed, pieces)
        except Exception as raised:  # a skill may come from anywhere
            log.exception("skill %s failed", self.skill.name)
            fault = EngineFailed(f"skill {self.skill.name}: {type(raised).__name__}: {raised}")
            fault.__cause__ = raised
            await self._apologise(fault, pieces)
        finally:
            pieces.close()

    async def _apologise(self, error: NearsightError, pieces: Channel[_Said]) -> None:
        self.host.failed(error)
        await pieces.send(_Said(error.spoken))

    async def _answer(self, pieces: Channel[_Said]) -> None:
        loop = asyncio.get_running_loop()
        sentences = Sentences()
        size = 0

        async def hand_on(texts: list[str]) -> None:
            for text in texts:
                if self.marks.first_sentence is None:
                    self.marks.first_sentence = loop.time()
                await pieces.send(_Said(text, self._tongue))

        async with aclosing(cast(AsyncGenerator[str, None], self.skill.answer(self))) as deltas:
            async for delta in deltas:
                if self.marks.first_token is None:
                    self.marks.first_token = loop.time()
                size += len(delta)
                if size > MAX_ANSWER:
                    raise EngineFailed(f"skill {self.skill.name}: an answer of more than {MAX_ANSWER} characters")
                await hand_on(sentences.push(delta))
        await hand_on(sentences.finish())

    async def _speak(self, pieces: Channel[_Said]) -> None:
        async for said in pieces:
            text = said.text
            self.answer = f"{self.answer} {text}".strip()
            if self.confirmed:
                self.host.spoke(self, text)
            else:
                self._unannounced.append(text)
            await self._say(text, said.language)
        await self._confirmed.wait()
        self.playback.close()

    async def _say(self, text: str, language: str) -> None:
        lane = self.host.engines.voice
        if lane is None:
            return
        if language:
            try:
                lane = await self.host.interpreting.voice(language)
            except NearsightError as error:
                self.host.failed(error)
                return
        style = self.host.style
        # Room for the sentence's first sample is room for all of it: a voice that others wait for is not held by one listener.
        await self.playback.room()
        self.playback.begin()
        try:
            async with aclosing(lane.stream(lambda voice, stop: voice.synthesize(text, style, stop), stop=self.stop)) as chunks:
                async for chunk in chunks:
                    if self.marks.first_audio is None:
                        self.marks.first_audio = asyncio.get_running_loop().time()
                    self.playback.put(chunk)
        except EngineError as error:
            self.host.failed(error)

    def _audible(self) -> None:
        self.marks.audible = None if self.playback.silent else self.playback.first_at
        self.host.reply_began(self)

    # -- what the skill sees ---------------------------------------------------------------------------------------------

    @property
    def history(self) -> Sequence[Exchange]:
        """Earlier exchanges."""
        return self.host.history

    @property
    def style(self) -> VoiceStyle:
        """How the assistant speaks now."""
        return self.host.style

    @property
    def manner(self) -> str:
        """How answers are put."""
        return self.host.manner

    @property
    def eyes(self) -> Eyes:
        """What the session sees beyond one picture."""
        return self.host.eyes

    @property
    def meant(self) -> Meant | None:
        """What the last question about a thing meant."""
        return self.host.meant

    def mean(self, meant: Meant) -> None:
        """Remembers what this question is about."""
        self.host.meant = meant

    @property
    def skills(self) -> Sequence[Skill]:
        """Every skill there is."""
        return self.host.skills

    async def sure(self) -> None:
        """Waits until the wearer has surely finished."""
        await self._confirmed.wait()

    async def frame(self) -> VideoFrame:
        """Gives the picture that the question is about, the same one throughout the turn. Raises NoView."""
        if self._frame is None:
            self._frame = await self.host.sight.choose(self.asked_at_ns)
        return self._frame

    async def reading(self, frame: VideoFrame | None = None) -> Reading:
        """Gives the text in that picture, or in another. Raises NoView."""
        return await self.host.sight.reading(frame if frame is not None else await self.frame())

    async def codes(self) -> tuple[Code, ...]:
        """Gives the codes in that picture. Raises NoView."""
        return await self.host.sight.codes(await self.frame())

    async def scene(self) -> SceneFacts:
        """Gives the brightness and the colours of that picture. Raises NoView."""
        return await self.host.sight.facts(await self.frame())

    async def think(self, prompt: Prompt) -> AsyncIterator[str]:
        """Gives the language model's answer, piece by piece. Raises EngineMissing where the profile has no model."""
        lane = self.host.engines.language_model
        if lane is None:
            raise EngineMissing("this profile has no language model")
        async with aclosing(lane.stream(lambda model, stop: model.generate(prompt, stop), stop=self.stop)) as pieces:
            async for piece in pieces:
                yield piece

    async def look(self, prompt: Prompt, box: Box | None = None, schema: Mapping[str, Any] | None = None) -> AsyncIterator[str]:
        """Gives the vision model's answer about the picture, piece by piece. Raises NoView, EngineMissing."""
        lane = self.host.engines.vision_language
        if lane is None:
            raise EngineMissing("this profile has no vision model: run nearsight models pull smolvlm2-500m")
        whole = (await self.frame()).pixels
        pictures = (whole,) if box is None else (whole, _part(whole, box))
        job = lane.stream(lambda model, stop: model.answer(pictures, prompt, stop, schema), stop=self.stop)
        async with aclosing(job) as pieces:
            async for piece in pieces:
                yield piece

    def speak_as(self, style: VoiceStyle) -> None:
        """Changes how the assistant speaks, from the next sentence on."""
        self.host.restyle(style)

    def speak_in(self, language: str) -> None:
        """What is answered from now on is spoken by a voice of that language."""
        self._tongue = language

    async def keep(self, frame: VideoFrame) -> str:
        """Keeps a picture in the session bundle; gives its name there."""
        return await self.host.keep(frame)

    def act(self, act: Act) -> None:
        """Asks something of the session."""
        self.acts.append(act)
        if act is Act.SHUTTER:
            self.playback.put(SpeechChunk(EARCONS["shutter"]))
        else:
            self.host.act(self, act)

    @property
    def mine(self) -> str:
        """The wearer's language."""
        return self.host.interpreting.mine

    @property
    def interpreting(self) -> Interpret | None:
        """What is translated as it is spoken."""
        return self.host.interpreting.wanted

    def interpret(self, wanted: Interpret | None) -> None:
        """Begins to translate speech once this reply is over, or ends that. Raises LanguageMissing, EngineMissing."""
        if wanted is None:
            self.host.interpreting.end()
        else:
            self.host.interpreting.begin(wanted)

    @property
    def translations(self) -> Sequence[Rendered]:
        """Sentences that were heard, with their translations, newest last."""
        return self.host.interpreting.translations

    async def translate(self, text: str, target: str, source: str = "") -> AsyncIterator[str]:
        """Gives the translation of a text, piece by piece. Raises LanguageMissing, EngineMissing."""
        async with aclosing(self.host.interpreting.translate(text, target, source, self.stop)) as pieces:
            async for piece in pieces:
                yield piece

    def expect_translating(self) -> None:
        """Begins to load what ``language_of`` and ``translate`` need."""
        for lane in (self.host.engines.text_language, self.host.engines.translator):
            if lane is not None and self._group is not None:
                self._group.create_task(_loaded(lane))

    async def language_of(self, text: str) -> str:
        """Gives the language that a text is written in; empty where that is not plain."""
        return await written_in(text, self.host.engines.text_language, self.stop)

    def overlay(self, frame: VideoFrame, language: str, lines: Sequence[tuple[TextLine, str]]) -> None:
        """Shows each line of a picture's text with its translation, where it stands."""
        self.host.overlay(frame, language, lines)

    def wall_time(self) -> datetime:
        """The wearer's local time."""
        return self.host.wall_time()


async def _loaded(lane: Lane[Any]) -> None:
    """Loads an engine; where that fails, whoever asks it something will hear of it."""
    try:
        await lane.open()
    except NearsightError as error:
        log.info("lane %s: not loaded ahead: %s", lane.name, error.text)


def _part(pixels: Pixels, box: Box) -> Pixels:
    """Gives a part of a picture, with a tenth around it: what a thing stands on helps to name it."""
    height, width = pixels.shape[:2]
    across, down = 0.1 * box.width, 0.1 * box.height
    left, top = max(0, int(box.x0 - across)), max(0, int(box.y0 - down))
    part = pixels[
        top : max(top + 1, min(height, round(box.y1 + down))), left : max(left + 1, min(width, round(box.x1 + across)))
    ]
    return part if part.size else pixels
