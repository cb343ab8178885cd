"""What is heard over a reply: only what is meant for the assistant cuts it."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from edge.config import TurnsConfig
from edge.events import BargedIn, LinkChanged, ReplyPaused, ReplyResumed, StateChanged, TurnEnded
from edge.policy.signals import State
from edge.values import SAMPLE_RATE
from models.fakes import tone
from tests.runtime.stage import STOP, Stage, play, wake_mark

ANSWER = "One two three four five six seven eight nine ten. Eleven twelve thirteen."


async def speak_over(stage: Stage, seconds: float, after: float = 1.05) -> float:
    """Asks, lets the reply run for ``after`` seconds and makes a sound over it; gives the second at which that began."""
    await stage.say()
    await stage.told.wait(StateChanged, number=3)
    begun = stage.glasses.heard_runs[0].start / SAMPLE_RATE
    await stage.glasses.until(begun + after)
    return stage.glasses.say(tone(seconds)) - seconds


@pytest.mark.parametrize(
    ("words", "reason"), [("", "no_words"), ("mm hm", "backchannel"), ("three four five", "echo"), ("the", "unsure")]
)
async def test_what_is_no_interruption_pauses_the_reply_and_lets_it_go_on(words: str, reason: str) -> None:
    async with play(questions=("count", words), answers=(ANSWER,)) as stage:
        onset = await speak_over(stage, 0.4)
        turn = await stage.told.wait(TurnEnded)
    assert stage.of(BargedIn) == []
    (pause,), (resume,) = stage.of(ReplyPaused), stage.of(ReplyResumed)
    assert resume.reason == reason
    first, second = stage.glasses.heard_runs
    assert first.end / SAMPLE_RATE - onset < 0.12, "silent as soon as somebody speaks"
    assert resume.t_ns / 1e9 <= second.start / SAMPLE_RATE < resume.t_ns / 1e9 + 0.05
    assert not turn.interrupted and turn.heard == turn.answer == ANSWER
    whole = np.concatenate([first.pcm, second.pcm])
    assert len(np.flatnonzero(whole)) >= 13 * 0.2 * SAMPLE_RATE * 0.9, "nothing of it is lost in the pause"
    assert pause.played_ms == pytest.approx(len(first.pcm) / SAMPLE_RATE * 1000, abs=21)


async def test_one_word_that_means_stop_cuts() -> None:
    async with play(questions=("count", "wait"), answers=(ANSWER, "I wait.")) as stage:
        onset = await speak_over(stage, 0.4)
        turn = await stage.told.wait(TurnEnded)
    assert turn.interrupted
    assert stage.glasses.heard_runs[0].end / SAMPLE_RATE - onset < 0.12
    assert stage.of(BargedIn)[0].heard == turn.heard


async def test_the_wake_word_cuts_without_a_word() -> None:
    async with play(questions=("count", "and you"), answers=(ANSWER, "Fine.")) as stage:
        await stage.say()
        await stage.told.wait(StateChanged, number=3)
        await stage.glasses.until(stage.glasses.heard_runs[0].start / SAMPLE_RATE + 1.0)
        stage.glasses.say(wake_mark())
        turn = await stage.told.wait(TurnEnded)
        assert stage.state() is State.LISTENING
    assert turn.interrupted and stage.of(ReplyPaused) == []


@pytest.mark.parametrize(("words", "cut"), [("tell me more", False), ("stop", True)])
async def test_in_half_duplex_only_stop_cuts(words: str, cut: bool) -> None:
    async with play(questions=("count", words), answers=(ANSWER,), turns=TurnsConfig(barge_in=False)) as stage:
        await speak_over(stage, 0.4)
        turn = await stage.told.wait(TurnEnded)
    assert turn.interrupted is cut
    assert stage.of(ReplyPaused) == []
    assert (turn.heard == ANSWER) is not cut


@pytest.mark.parametrize(("seconds", "skill"), [(0.4, "stop"), (1.5, "ask")])
async def test_a_stop_that_only_the_spotter_hears_cuts_unless_it_is_part_of_something_longer(
    seconds: float, skill: str
) -> None:
    async with play(questions=("count", "next line please"), answers=(ANSWER, "Well.")) as stage:
        await stage.say()
        await stage.told.wait(StateChanged, number=3)
        await stage.glasses.until(stage.glasses.heard_runs[0].start / SAMPLE_RATE + 1.0)
        sound = tone(seconds)
        sound[3200:3520] = STOP
        stage.glasses.say(sound)
        await stage.told.wait(TurnEnded, number=2)
    first, second = stage.of(TurnEnded)
    assert first.interrupted and second.skill == skill


async def test_the_reply_to_a_typed_question_can_be_interrupted_too() -> None:
    async with play(questions=("stop",), answers=(ANSWER,)) as stage:
        asking = asyncio.create_task(stage.session.ask("count"))
        await stage.told.wait(StateChanged, number=2)
        await asyncio.sleep(1.0)
        stage.glasses.say(tone(0.4))
        turn = await asking
        await asyncio.sleep(1.0)
        assert stage.state() is State.IDLE
    assert turn.interrupted and len(stage.of(ReplyPaused)) == 1


async def test_several_sounds_over_one_reply() -> None:
    async with play(questions=("count", "", "mm hm", ""), answers=(ANSWER,)) as stage:
        await speak_over(stage, 0.3, after=0.5)
        for number in (1, 2):
            resumed = await stage.told.wait(ReplyResumed, number=number)
            await stage.glasses.until(resumed.t_ns / 1e9 + 0.4)
            stage.glasses.say(tone(0.3))
        turn = await stage.told.wait(TurnEnded)
    assert len(stage.of(ReplyPaused)) == len(stage.of(ReplyResumed)) == 3
    assert turn.heard == ANSWER


async def test_a_reply_waits_for_glasses_that_are_out_of_reach_and_goes_on_when_they_are_back() -> None:
    async with play(questions=("count",), answers=(ANSWER,)) as stage:
        await stage.say()
        await stage.told.wait(StateChanged, number=3)
        left = stage.glasses.heard_runs[0].start / SAMPLE_RATE + 1.0
        stage.glasses.leave(at=left)
        stage.glasses.come_back(at=left + 5.0)
        turn = await stage.told.wait(TurnEnded)
    gone, back = (event for event in stage.of(LinkChanged) if event.t_ns / 1e9 > 1)
    assert (gone.present, back.present) == (False, True)
    first, second = stage.glasses.heard_runs
    assert first.end / SAMPLE_RATE == pytest.approx(left, abs=0.021)
    assert second.start / SAMPLE_RATE == pytest.approx(left + 5.0, abs=0.021)
    assert turn.heard == ANSWER and not turn.interrupted
    assert [exchange.heard for exchange in stage.session.history] == [ANSWER]


async def test_a_question_that_the_glasses_were_lost_in_is_given_up_and_the_next_one_is_heard() -> None:
    async with play(questions=("how are", "how are you"), answers=("Fine.",)) as stage:
        stage.glasses.say(np.concatenate([wake_mark(), np.zeros(1600, np.int16), tone(2.0)]), at=1.0)
        stage.glasses.leave(at=2.0)
        await stage.glasses.until(2.5)
        assert stage.state() is State.IDLE
        stage.glasses.come_back(at=12.0)
        await stage.glasses.until(12.2)
        await stage.say()
        turn = await stage.told.wait(TurnEnded)
    assert turn.timings_ms.endpoint == pytest.approx(200, abs=0.1), "media time is right after the gap"
    assert stage.told.of(TurnEnded) == [turn]
