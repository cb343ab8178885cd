"""A session with scripted engines and glasses in memory: the stage on which runtime tests play."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np

from edge.config import Config, TurnsConfig
from edge.events import Event
from edge.policy.signals import State
from edge.runtime.engines import Ears, Engines
from edge.runtime.lane import Lane
from edge.runtime.session import Session
from edge.runtime.told import Told
from edge.runtime.virtual import VirtualLoop
from edge.skill import Act, Asking, Skill
from edge.values import Message, Pcm, Prompt
from models.fakes import (
    FakeEndOfTurn,
    FakeLanguageModel,
    FakeRecogniser,
    FakeVoice,
    FakeVoiceActivity,
    FakeWake,
    spend_real,
    tone,
)
from phone_bridge.sim import SimGlasses

E = TypeVar("E", bound=Event)


STOP = 30_000
"""Samples of this value are a "stop" that only a spotter hears."""


def wake_mark() -> Pcm:
    """The sound that the fake wake word fires on."""
    return np.full(320, FakeWake.MARK, np.int16)


class FakeSpotter(FakeWake):
    """Hears "stop" in an utterance with its mark."""

    def __init__(self) -> None:
        super().__init__(STOP, "stop")

    def spot(self, pcm: Pcm) -> str | None:
        """Fires on the mark."""
        return self.detect(pcm)


class Ask:
    """Passes the question to the language model."""

    name = "ask"
    summary = "answer questions"
    phrases: Sequence[str] = ()
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        async for piece in asking.think(Prompt((Message("user", asking.transcript),))):
            yield piece


class Quit:
    """Falls silent."""

    name = "stop"
    summary = "stop"
    phrases: Sequence[str] = ("stop",)
    urgent = True

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        await asking.sure()
        asking.act(Act.STOP)
        return
        yield ""


class Hide:
    """Switches microphone and camera off."""

    name = "mute"
    summary = "be private"
    phrases: Sequence[str] = ("private mode",)
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        yield "Private until you tap."
        await asking.sure()
        asking.act(Act.MUTE)


class Broken:
    """Fails."""

    name = "broken"
    summary = "fail"
    phrases: Sequence[str] = ("break something",)
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        raise RuntimeError("no such luck")
        yield ""


@dataclass
class Stage:
    """What a test looks at."""

    session: Session
    glasses: SimGlasses
    told: Told
    model: FakeLanguageModel
    engines: Engines

    @property
    def events(self) -> list[Event]:
        """All that was told."""
        return self.told.events

    def state(self) -> State:
        """Where turn-taking is. A call, because the type checker believes that a property stays as first seen."""
        return self.session.listener.policy.state

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind."""
        return self.told.of(kind)

    async def say(self, seconds: float = 1.0, *, wake: bool = True) -> float:
        """Calls and asks; gives the media time, in seconds, at which the question ends."""
        sound = tone(seconds)
        if wake:
            sound = np.concatenate([wake_mark(), np.zeros(1600, np.int16), sound])
        end = self.glasses.say(sound)
        await self.glasses.until(end)
        return end


@asynccontextmanager
async def play(
    *,
    questions: Sequence[str] = ("how are you",),
    answers: Sequence[str] = ("I am well. Thank you for asking.",),
    turns: TurnsConfig | None = None,
    recognition: float = 0.1,
    end_of_turn: Sequence[float] | None = (1.0,),
    engines: Callable[[Engines], Engines] = lambda engines: engines,
    aside: bool = False,
    skills: Sequence[Skill] = (),
) -> AsyncIterator[Stage]:
    """Runs a session; engines cost what they declare in the time of the running loop."""
    loop = asyncio.get_running_loop()
    spend = loop.spend if isinstance(loop, VirtualLoop) else spend_real
    model = FakeLanguageModel(answers, first_token=0.15, per_token=0.01, spend=spend)
    built = engines(
        Engines(
            ears=Lane("ears", lambda: Ears(FakeWake(), FakeVoiceActivity(), spotter=FakeSpotter())),
            end_of_turn=Lane("end_of_turn", lambda: FakeEndOfTurn(end_of_turn)) if end_of_turn is not None else None,
            recogniser=Lane("recogniser", lambda: FakeRecogniser(questions, cost=recognition, spend=spend)),
            language_model=Lane("language_model", lambda: model),
            voice=Lane("voice", lambda: FakeVoice(first_audio=0.08, per_word=0.2, spend=spend)),
        )
    )
    glasses = SimGlasses(aside=aside)
    told = Told()
    config = Config(turns=turns or TurnsConfig())
    session = Session(
        config,
        glasses,
        built,
        [Ask(), Quit(), Hide(), Broken(), *skills],
        emit=told,
        wall_time=lambda: datetime(2026, 11, 22, 16, 20, tzinfo=UTC),
    )
    await built.open()
    running = asyncio.create_task(session.run())
    try:
        await asyncio.sleep(0.2)
        yield Stage(session, glasses, told, model, built)
    finally:
        session.end("test")
        await running
        await built.close()
