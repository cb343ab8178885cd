from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from edge.config import TurnsConfig
from edge.errors import EngineFailed, EngineMissing, LanguageMissing
from edge.events import Failed, Notice, TurnEnded
from edge.policy.signals import State
from edge.ports import RecogniserStream, Stop
from edge.runtime.engines import Engines
from edge.runtime.lane import Lane
from edge.runtime.tongues import Tongues
from edge.skills.how_to_say import HowToSay
from edge.skills.translate import Translate
from edge.translation import Interpret, InterpretingChanged, Rendered, SourceHeard, Translated, TranslationSpoken
from edge.values import SpeechChunk, VoiceStyle
from models.fakes import FakeRecogniser, FakeVoice, silence, tone
from models.fakes_translation import FakeTranslator
from tests.runtime.interpreted import SPANISH
from tests.runtime.stage import Stage, play

TO_SPANISH = Interpret(both=False, target="es")
BOTH = Interpret(theirs="es", both=True)


class EnglishOnly(FakeRecogniser):
    """Knows one language, as pocketsphinx does."""

    def stream(self, *, phrases: Sequence[str] = (), languages: Sequence[str] = ()) -> RecogniserStream:
        if any(tag != "en-us" and not tag.startswith("en") for tag in languages):
            raise LanguageMissing("this recogniser knows English: run nearsight models pull faster-whisper-small")
        return super().stream(phrases=phrases)


def translating(
    questions: Sequence[str], recogniser: Callable[[Sequence[str]], FakeRecogniser] = EnglishOnly
) -> Callable[[Engines], Engines]:
    translator = FakeTranslator(SPANISH, pairs=[("en", "es"), ("es", "en")])

    def engines(built: Engines) -> Engines:
        return replace(
            built,
            recogniser=Lane("recogniser", lambda: recogniser(questions)),
            translator=Lane("translator", lambda: translator),
            tongues=Tongues(lambda language: Lane("voice", lambda: FakeVoice(per_word=0.2))),
        )

    return engines


@asynccontextmanager
async def stage_of(questions: Sequence[str], *, aside: bool = False, turns: TurnsConfig | None = None) -> AsyncIterator[Stage]:
    async with play(engines=translating(questions), aside=aside, turns=turns, skills=[Translate()]) as stage:
        yield stage


async def speech(stage: Stage, seconds: float = 1.2) -> None:
    """Somebody speaks, to nobody of ours, and pauses."""
    end = stage.glasses.say(np.concatenate([tone(seconds), silence(1.4)]))
    await stage.glasses.until(end)


async def test_what_is_said_to_nobody_is_translated_and_heard() -> None:
    async with stage_of(["good day", "good day"]) as stage:
        stage.session.interpreting.begin(TO_SPANISH)
        await asyncio.sleep(0.1)
        await speech(stage)
        assert stage.state() is State.IDLE
        spoken = stage.of(TranslationSpoken)
        assert [(one.text, one.to, one.language) for one in spoken] == [("buen día", "partner", "es")]
        assert np.any(stage.glasses.heard)
        stage.session.interpreting.end()
        await speech(stage)
        assert len(stage.of(TranslationSpoken)) == 1
    assert [one.on for one in stage.of(InterpretingChanged)] == [True, False]
    assert not stage.of(TurnEnded)


async def test_speech_is_no_question_even_where_no_wake_word_is_needed() -> None:
    async with stage_of(["good day"], turns=TurnsConfig(wake=False)) as stage:
        stage.session.interpreting.begin(TO_SPANISH)
        await asyncio.sleep(0.1)
        await speech(stage)
    assert [one.text for one in stage.of(TranslationSpoken)] == ["buen día"]
    assert not stage.of(TurnEnded)


async def test_a_question_is_answered_in_between_and_not_translated() -> None:
    async with stage_of(["how are you", "good day"]) as stage:
        stage.session.interpreting.begin(TO_SPANISH)
        await asyncio.sleep(0.1)
        await stage.say()
        await stage.told.wait(TurnEnded)
        assert not stage.of(SourceHeard)
        await speech(stage)
    assert [one.transcript for one in stage.of(TurnEnded)] == ["how are you"]
    assert [one.text for one in stage.of(TranslationSpoken)] == ["buen día"]


async def test_a_wearer_begins_and_ends_it_by_asking() -> None:
    async with stage_of(["translate to spanish", "good day", "stop translating", "good day"]) as stage:
        await stage.say()
        await stage.told.wait(TurnEnded)
        await asyncio.sleep(0.1)
        await speech(stage)
        await speech(stage)  # "stop translating", to nobody in particular
        assert stage.session.interpreting.wanted is None
        await asyncio.sleep(3.0)
        await speech(stage)
    assert stage.of(TurnEnded)[0].answer == "Translating into Spanish."
    assert [one.text for one in stage.of(TranslationSpoken)] == ["buen día"]
    assert stage.session.interpreting.translations == [Rendered("good day", "buen día", "es")]


async def test_the_partner_hears_their_own_loudspeaker() -> None:
    async with stage_of(["good day"], aside=True) as stage:
        stage.session.interpreting.begin(TO_SPANISH)
        await asyncio.sleep(0.1)
        await speech(stage)
        aside = stage.glasses.aside
        assert aside is not None
        assert np.any(aside.heard)
        assert not np.any(stage.glasses.heard)


async def test_a_recogniser_that_knows_one_of_two_languages_says_so_once() -> None:
    async with stage_of(["good day"]) as stage:
        stage.session.interpreting.begin(BOTH)
        await asyncio.sleep(3.0)
        await speech(stage)
    notices = [one for one in stage.of(Notice) if one.code == "language_missing"]
    assert len(notices) == 1
    assert "nearsight models pull" in notices[0].text
    assert [one.text for one in stage.of(TranslationSpoken)] == ["buen día"]


async def test_both_ways_each_hears_the_other() -> None:
    questions = ["(asked whether it knows both languages)", "good day", "hola"]
    async with play(engines=translating(questions, FakeRecogniser), aside=True) as stage:
        stage.session.interpreting.begin(BOTH)
        await asyncio.sleep(0.1)
        stage.glasses.tap(name="speak:wearer")
        await speech(stage)
        stage.glasses.tap(name="speak:partner")
        await speech(stage)
        stage.glasses.tap(name="speak:end")
    assert [(one.to, one.language, one.text) for one in stage.of(TranslationSpoken)] == [
        ("partner", "es", "buen día"),
        ("wearer", "en-us", "hola"),
    ]


async def test_nothing_is_translated_while_the_microphone_is_off() -> None:
    async with stage_of(["private mode", "good day"]) as stage:
        stage.session.interpreting.begin(TO_SPANISH)
        await asyncio.sleep(0.1)
        await stage.say()
        await stage.told.wait(TurnEnded)
        await speech(stage)
        assert stage.state() is State.MUTED
    assert not stage.of(Translated)


async def test_what_is_not_here_is_refused_with_the_command_that_adds_it() -> None:
    async with stage_of([]) as stage:
        with pytest.raises(LanguageMissing, match="models pull --translate en-de"):
            stage.session.interpreting.begin(Interpret(both=False, target="de"))
        assert stage.session.interpreting.wanted is None
    async with play() as stage:
        with pytest.raises(EngineMissing, match="no translator"):
            stage.session.interpreting.begin(TO_SPANISH)


async def test_a_button_of_the_page_says_its_words() -> None:
    async with stage_of(["good day"]) as stage:
        stage.glasses.tap(name="ask:translate to spanish")
        await stage.told.wait(TurnEnded)
        await asyncio.sleep(0.1)
        await speech(stage)
        stage.glasses.tap(name="ask:stop translating")
        await stage.told.wait(TurnEnded, number=2)
    assert [one.on for one in stage.of(InterpretingChanged)] == [True, False]
    assert [one.text for one in stage.of(TranslationSpoken)] == ["buen día"]


async def test_one_phrase_is_spoken_by_the_voice_of_its_language() -> None:
    spoken = []

    class Listed(FakeVoice):
        def __init__(self, language: str) -> None:
            super().__init__()
            self._language = language

        def synthesize(self, text: str, style: VoiceStyle, stop: Stop) -> Iterator[SpeechChunk]:
            spoken.append((self._language, text))
            return super().synthesize(text, style, stop)

    def engines(built: Engines) -> Engines:
        tongues = Tongues(lambda language: Lane("voice", lambda: Listed(language)))
        return replace(translating([])(built), tongues=tongues, voice=Lane("voice", lambda: Listed("en")))

    async with play(engines=engines, skills=[HowToSay()]) as stage:
        await stage.session.ask("how do you say good day in spanish")
        await stage.session.ask("how do you say good day in klingon")
    assert spoken[0] == ("es", "buen día")
    assert {language for language, _ in spoken[1:]} == {"en"}


async def test_a_translator_that_cannot_be_loaded_ends_the_mode_and_says_so() -> None:
    class Unloadable(FakeTranslator):
        def open(self) -> None:
            raise EngineFailed("the model's file is gone")

    def engines(built: Engines) -> Engines:
        return replace(translating(["good day"])(built), translator=Lane("translator", lambda: Unloadable(SPANISH)))

    async with play(engines=engines) as stage:
        stage.session.interpreting.begin(TO_SPANISH)
        await asyncio.sleep(2.0)
        assert stage.session.interpreting.wanted is None
        await speech(stage)
    assert [one.text for one in stage.of(Failed)] == ["the model's file is gone"]
    assert [one.on for one in stage.of(InterpretingChanged)] == [True, False]
