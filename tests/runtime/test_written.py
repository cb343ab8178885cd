"""Whom a text's language is asked of, and that nothing is loaded for it before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from edge.errors import EngineFailed, EngineMissing
from edge.events import TurnEnded
from edge.ports import Stop, TextLanguage, Translator
from edge.runtime.engines import Ears, Engines
from edge.runtime.lane import Lane
from edge.runtime.virtual import VirtualLoop
from edge.runtime.written import written_in
from edge.skill import Asking
from models.fakes import Spend
from models.fakes_translation import FakeTextLanguage, FakeTranslator
from tests.runtime.stage import play

PLAIN = "El museo está cerrado los lunes"
SHORT = "Zuppa inglese"


@asynccontextmanager
async def lane_of(engine: FakeTextLanguage) -> AsyncIterator[Lane[TextLanguage]]:
    lane: Lane[TextLanguage] = Lane("text_language", lambda: engine)
    try:
        yield lane
    finally:
        await lane.close()


async def test_only_what_its_words_do_not_tell_is_asked_of_the_engine() -> None:
    engine = FakeTextLanguage({SHORT: {"la": 0.2, "it": 0.4, "lij": 0.3}, "Menu": {"fr": 0.2, "en": 0.19}})
    async with lane_of(engine) as lane:
        assert await written_in(PLAIN, lane) == "es" and engine.opened == 0
        assert await written_in(SHORT, lane) == "it"
        assert await written_in("Menu", lane) == await written_in("4,50", lane) == ""
        assert engine.asked == [SHORT, "Menu", "4,50"] and engine.opened == 1
    assert await written_in(SHORT, None) == ""


@pytest.mark.parametrize("failure", [EngineFailed("it fell"), EngineMissing("py3langid is not installed")])
async def test_an_engine_that_fails_costs_nobody_the_answer(failure: EngineFailed | EngineMissing) -> None:
    async with lane_of(FakeTextLanguage(failure=failure)) as lane:
        assert await written_in(SHORT, lane) == ""


async def test_it_is_not_loaded_with_the_other_engines() -> None:
    engine, translator, ears = FakeTextLanguage(), FakeTranslator(), Ears(None, None)
    engines = Engines(
        ears=Lane("ears", lambda: ears),
        text_language=Lane("text_language", lambda: engine),
        translator=Lane("translator", lambda: translator),
    )
    await engines.open()
    assert engine.opened == translator.opened == 0
    await engines.close()


class Tell:
    """Says which language a text is in, having waited for something else."""

    name = "tell"
    summary = "tell languages"
    phrases: Sequence[str] = ("which language",)
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        asking.expect_translating()
        await asyncio.sleep(1.0)
        self.waited_from = asyncio.get_running_loop().time()
        yield f"It is {await asking.language_of(SHORT)}."
        self.waited_until = asyncio.get_running_loop().time()


async def test_a_turn_loads_it_while_something_else_is_awaited() -> None:
    skill, translator = Tell(), FakeTranslator()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    engine = SlowToLoad(loop.spend)

    def with_engines(engines: Engines) -> Engines:
        identifying: Lane[TextLanguage] = Lane("text_language", lambda: engine)
        translating: Lane[Translator] = Lane("translator", lambda: translator)
        return replace(engines, text_language=identifying, translator=translating)

    async with play(questions=("which language",), skills=(skill,), engines=with_engines) as stage:
        assert engine.opened == translator.opened == 0
        await stage.say()
        await asyncio.sleep(5)
        assert [turn.answer for turn in stage.of(TurnEnded)] == ["It is it."]
        assert engine.opened == translator.opened == 1 and skill.waited_until == skill.waited_from


class SlowToLoad(FakeTextLanguage):
    """Takes 0.8 s to load."""

    def __init__(self, spend: Spend) -> None:
        super().__init__({SHORT: {"it": 0.9}}, spend=spend)

    def open(self) -> None:
        super().open()
        self.spend(0.8, Stop())
