"""Whole sessions with a stock xiaozhi device: scripted engines, a real station, real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.config import Config, TurnsConfig
from edge.events import BargedIn, FinalHeard, LinkChanged, SessionEnded, Speaking, TurnEnded, Woke
from edge.household import session
from edge.ports import Link, Station
from edge.runtime.engines import Ears, Engines
from edge.runtime.lane import Lane
from edge.runtime.session import Session
from edge.runtime.told import Told
from models.fakes import FakeEndOfTurn, FakeLanguageModel, FakeRecogniser, FakeVoice, FakeVoiceActivity, FakeWake, tone
from phone_bridge import xiaozhi_glasses
from phone_bridge.xiaozhi import XiaozhiStation
from phone_bridge.xiaozhi_glasses import XiaozhiGlasses
from tests.phone_bridge.xiaozhi_device import StockDevice, key_of, serving, until
from tests.runtime.stage import Ask, FakeSpotter, Hide, Quit

pytestmark = pytest.mark.real_time

LONG = "One two three four five six seven eight nine ten."
QUESTION = tone(0.3)
WORD_S = 0.12


class Stage:
    """A station, the session of the wearer who comes to it, and what was told."""

    def __init__(self, station: XiaozhiStation, told: Told) -> None:
        self.station = station
        self.told = told
        self.session: Session | None = None
        self.link: Link | None = None
        self.key = key_of(station)

    def device(self, **options: Any) -> StockDevice:
        return StockDevice(self.station, self.key, **options)

    def turns(self) -> int:
        return len(self.told.of(TurnEnded))


@asynccontextmanager
async def household(
    folder: Path,
    questions: Sequence[str] = ("how are you",) * 4,
    answers: Sequence[str] = ("I am well.",) * 4,
    *,
    keep: float = 60.0,
    turns: TurnsConfig | None = None,
) -> AsyncIterator[Stage]:
    engines = Engines(
        ears=Lane("ears", lambda: Ears(FakeWake(), FakeVoiceActivity(), spotter=FakeSpotter())),
        end_of_turn=Lane("end_of_turn", lambda: FakeEndOfTurn((1.0,))),
        recogniser=Lane("recogniser", lambda: FakeRecogniser(questions, cost=0.02)),
        language_model=Lane("language_model", lambda: FakeLanguageModel(answers, first_token=0.02)),
        voice=Lane("voice", lambda: FakeVoice(first_audio=0.02, per_word=WORD_S)),
    )
    told = Told()
    config = Config(turns=turns or TurnsConfig(no_speech_timeout=0.6))

    async def attend(stage: Stage) -> None:
        async for link in stage.station.arrivals():
            stage.link = link
            async with session(config, link, engines=engines, skills=[Ask(), Quit(), Hide()], emit=told) as served:
                stage.session = served
                await served.over()

    async with serving(folder, keep=keep) as station:
        assert isinstance(station, Station)
        stage = Stage(station, told)
        attending = asyncio.create_task(attend(stage))
        try:
            yield stage
        finally:
            attending.cancel()
            await asyncio.gather(attending, return_exceptions=True)


def order(device: StockDevice) -> list[str]:
    """The messages about a turn, in their order."""
    return [f"{m['type']} {m.get('state', '')}".strip() for m in device.said if m["type"] in ("stt", "tts")]


@pytest.mark.parametrize("version", [1, 3])
async def test_a_question_is_answered_and_the_conversation_goes_on(tmp_path: Path, version: int) -> None:
    async with household(tmp_path) as stage, stage.device(version=version) as device:
        assert device.hello["transport"] == "websocket" and device.hello["audio_params"]["sample_rate"] == 24_000
        await device.call()
        device.say(QUESTION)
        await until(lambda: stage.turns() == 1)
        await until(lambda: device.state == "listening")
        assert order(device)[:4] == ["stt", "tts start", "tts sentence_start", "tts stop"]
        assert device.of("stt")[0]["text"] == "how are you"
        assert device.of("tts", "sentence_start")[0]["text"] == "I am well."
        assert [message["emotion"] for message in device.of("llm")] == ["thinking", "neutral"]
        heard = device.sound
        spoken = 3 * WORD_S * 16_000
        assert np.count_nonzero(np.abs(heard.astype(int)) > 3000) > 0.5 * spoken, "three words"
        assert spoken <= len(heard) <= spoken + 2 * 960 and device.wasted == 0
        if version > 1:
            return
        device.say(QUESTION)  # without another call
        await until(lambda: stage.turns() == 2)
        (turn, _) = stage.told.of(TurnEnded)
        assert turn.heard == "I am well." and not turn.interrupted
        assert [woke.by for woke in stage.told.of(Woke)][:2] == ["tap", "tap"]
        assert stage.session is not None and not stage.session.listener.cancelling, "it does not hear itself"
        assert isinstance(stage.link, XiaozhiGlasses)
        counts = stage.link.counters()
        assert counts["stray_sound"] == 5 and counts["refused"] == counts["not_opus"] == 0, "the sound of the wake word"


async def test_who_says_nothing_more_lets_the_device_rest_and_may_come_back(tmp_path: Path) -> None:
    async with household(tmp_path) as stage, stage.device() as device:
        await device.call()
        device.say(QUESTION)
        await until(lambda: stage.turns() == 1)
        await until(lambda: not device.open)
        assert device.close_code == 1000 and device.state == "idle"
        assert order(device)[4:] == ["tts start"], "the sound that says so; it would listen again if it were told of its end"
        await until(lambda: stage.told.of(LinkChanged)[-1].present is False)
        await asyncio.sleep(0.7)  # longer than one has to begin to speak, after a call
        served = stage.session
        assert served is not None
        before = served.now_ns()
        await device.connect()
        await device.call()
        device.say(QUESTION)
        await until(lambda: stage.turns() == 2)
        assert stage.session is served and served.now_ns() > before, "the same session, its time went on"
        assert not stage.told.of(SessionEnded)


async def test_a_button_is_held_while_one_speaks(tmp_path: Path) -> None:
    async with household(tmp_path) as stage, stage.device() as device:
        await device.press()
        device.say(QUESTION)
        await device.spoken()
        await device.let_go()
        await until(lambda: stage.turns() == 1 and device.state == "idle")
        await asyncio.sleep(xiaozhi_glasses.REST_S + 0.2)
        assert device.open, "calling again is quicker over an open socket"
        await device.press()
        device.say(QUESTION[:4800])
        await device.spoken()
        await device.let_go()
        await until(lambda: stage.turns() == 2)


async def test_a_button_let_go_without_a_word(tmp_path: Path) -> None:
    async with household(tmp_path) as stage, stage.device() as device:
        await device.press()
        await asyncio.sleep(0.2)
        await device.let_go()
        assert stage.session is not None
        await until(lambda: stage.session is not None and stage.session.listener.policy.state.value == "listening")
        await until(lambda: stage.session is not None and stage.session.listener.policy.state.value == "idle")
        assert not stage.turns()


async def test_the_wake_word_over_a_reply_ends_it_and_asks_anew(tmp_path: Path) -> None:
    async with household(tmp_path, answers=[LONG, "Yes."]) as stage, stage.device() as device:
        await device.call()
        device.say(QUESTION)
        await until(lambda: len(device.heard) > 6)
        assert device.state == "speaking"
        await device.call()
        await until(lambda: device.state == "listening")
        (cut,) = stage.told.of(BargedIn)
        assert 0 < cut.played_ms < 1200 and len(device.sound) < 10 * WORD_S * 16_000
        device.say(QUESTION)
        await until(lambda: stage.turns() == 2)
        assert stage.told.of(TurnEnded)[-1].answer == "Yes."


async def test_a_device_that_listens_always(tmp_path: Path) -> None:
    """It says ``aec`` where the server is to cancel the echo; where it does that itself it says nothing."""
    always = {"mode": "realtime", "aec": True, "version": 2}
    async with household(tmp_path, answers=["Fine.", LONG]) as stage, stage.device(**always) as device:
        await device.call()
        device.say(QUESTION)
        await until(lambda: stage.turns() == 1)
        assert stage.session is not None and stage.session.listener.cancelling
        device.say(QUESTION)  # it does not say anew that it listens
        await until(lambda: device.state == "speaking" and len(device.heard) > 8)
        await device.tell("abort", session_id=device.session_id, reason="wake_word_detected")
        await until(lambda: stage.turns() == 2 and device.state == "listening")
        assert stage.told.of(TurnEnded)[-1].interrupted
        await until(lambda: len(stage.told.of(Woke)) == 3)


async def test_a_device_lost_in_a_reply_does_not_hear_the_rest_of_it(tmp_path: Path) -> None:
    async with household(tmp_path, answers=[LONG, "Yes."]) as stage, stage.device() as device:
        await device.call()
        device.say(QUESTION)
        await until(lambda: len(device.heard) > 4)
        await device.vanish()
        await until(lambda: stage.told.of(LinkChanged)[-1].present is False)
        device.heard.clear()
        await device.connect()
        await device.call()
        await asyncio.sleep(0.3)
        assert not device.heard
        device.say(QUESTION)
        await until(lambda: stage.turns() == 2)
        assert stage.told.of(TurnEnded)[-1].answer == "Yes." and stage.told.of(Speaking)[-1].text == "Yes."


async def test_private_mode_lets_the_device_rest_and_a_call_ends_it(tmp_path: Path) -> None:
    patient = TurnsConfig(no_speech_timeout=3.0)
    async with household(tmp_path, ["private mode", "how are you"], turns=patient) as stage, stage.device() as device:
        await device.call()
        device.say(QUESTION)
        await until(lambda: not device.open)
        assert stage.session is not None and stage.session.listener.policy.state.value == "muted"
        assert device.of("tts", "stop") == [], "it would have listened again"
        assert len(device.sound) >= 4 * WORD_S * 16_000, "four words were heard out"
        await device.connect()
        await device.call()
        await until(lambda: device.of("tts", "stop") and device.state == "listening")  # the sound that says so
        device.say(QUESTION)
        await until(lambda: len(stage.told.of(FinalHeard)) == 2)


async def test_stop_ends_the_conversation_and_who_stays_away_is_forgotten_without_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xiaozhi_glasses, "REST_S", 0.1)
    async with household(tmp_path, ["stop"], keep=0.2) as stage, stage.device() as device:
        await device.call()
        device.say(QUESTION)
        await until(lambda: stage.told.of(SessionEnded))
        assert stage.told.of(SessionEnded)[0].reason == "link" and not stage.station.glasses
        await until(lambda: not device.open)
        assert not device.heard and stage.told.of(FinalHeard)[0].text == "stop"
        await device.connect()
        await until(lambda: stage.station.glasses)


async def test_who_vanishes_in_a_reply_and_stays_away_is_forgotten_too(tmp_path: Path) -> None:
    async with household(tmp_path, answers=[LONG], keep=0.2) as stage, stage.device() as device:
        await device.call()
        device.say(QUESTION)
        await until(lambda: device.heard)
        await device.vanish()
        await until(lambda: stage.told.of(SessionEnded))
        assert stage.told.of(SessionEnded)[0].reason == "lost" and not stage.station.glasses
