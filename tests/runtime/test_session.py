"""Whole sessions, in virtual time: what is said, what is heard, what is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from edge.config import TurnsConfig
from edge.errors import EngineFailed
from edge.events import (
    BargedIn,
    EndpointReached,
    Event,
    Failed,
    FinalHeard,
    PartialHeard,
    ReplyPaused,
    SessionEnded,
    SessionStarted,
    Speaking,
    StateChanged,
    TurnEnded,
    Woke,
)
from edge.policy.signals import State
from edge.ports import RecogniserStream, Stop
from edge.runtime import virtual
from edge.runtime.engines import Engines
from edge.runtime.lane import Lane
from edge.values import SAMPLE_RATE, Pcm, SpeechChunk, Transcript, VoiceStyle
from models.fakes import FakeRecogniser, FakeVoice, tone
from tests.runtime.stage import Stage, play


async def answered(stage: Stage, number: int = 1) -> TurnEnded:
    return await stage.told.wait(TurnEnded, number=number)


async def test_a_question_is_heard_answered_and_told() -> None:
    async with play() as stage:
        end = await stage.say()
        turn = await answered(stage)
    assert turn.transcript == "how are you"
    assert turn.answer == turn.heard == "I am well. Thank you for asking."
    assert not turn.interrupted
    told = [type(event) for event in stage.events if not isinstance(event, PartialHeard | StateChanged)]
    assert told == [SessionStarted, Woke, EndpointReached, FinalHeard, Speaking, Speaking, TurnEnded, SessionEnded]
    assert [event.state for event in stage.of(StateChanged)] == ["listening", "thinking", "speaking", "idle"]
    partials = [event.text for event in stage.of(PartialHeard)]
    assert partials == ["how", "how are"], "partials come while speech goes on"
    (reply,) = stage.glasses.heard_runs
    assert len(reply.pcm) == round(7 * 0.2 * SAMPLE_RATE), "the reply is played whole and gapless"
    assert turn.timings_ms.voice_to_voice == pytest.approx((reply.start / SAMPLE_RATE - end) * 1000, abs=0.1)


async def test_the_runtime_adds_nothing_to_what_the_engines_cost() -> None:
    async with play() as stage:
        end = await stage.say()
        turn = await answered(stage)
    # The hint comes 60 ms after the speech; recognition 100, first token 150, two more to "I am well.", first sound 80.
    critical = 60 + 100 + 150 + 2 * 10 + 80
    assert (stage.glasses.heard_runs[0].start / SAMPLE_RATE - end) * 1000 == pytest.approx(critical, abs=0.1)
    assert turn.timings_ms.endpoint == pytest.approx(200, abs=0.1)
    assert turn.timings_ms.asr_final == pytest.approx(160, abs=0.1), "recognition began before the endpoint"


async def test_without_the_wake_word_nothing_happens() -> None:
    async with play() as stage:
        await stage.say(wake=False)
        await asyncio.sleep(3)
    assert [type(event).__name__ for event in stage.events] == ["SessionStarted", "SessionEnded"]
    assert stage.glasses.heard_runs == ()


@pytest.mark.parametrize("after", [0.5, 1.05, 1.62, 2.4])
async def test_barge_in_leaves_the_words_that_were_played(after: float) -> None:
    answers = ("One two three four five six seven eight nine ten. Eleven twelve thirteen.", "Fine.")
    async with play(questions=("count", "and you"), answers=answers) as stage:
        await stage.say()
        await stage.told.wait(StateChanged, number=3)
        begun = stage.glasses.heard_runs[0].start / SAMPLE_RATE
        await stage.glasses.until(begun + after)
        onset = stage.glasses.say(tone(1.0)) - 1.0
        turn = await answered(stage)
        await answered(stage, 2)
    reply = stage.glasses.heard_runs[0]
    (cut,), (pause,) = stage.of(BargedIn), stage.of(ReplyPaused)
    silence_after = reply.end / SAMPLE_RATE - onset
    assert 0.064 <= silence_after <= 0.12, "silent after the least speech that pauses, and one chunk"
    assert abs(reply.end / SAMPLE_RATE - pause.t_ns / 1e9) <= 0.02, "the last sample is at most a chunk late"
    words = answers[0].split()
    whole = int(len(reply.pcm) / SAMPLE_RATE / 0.2 + 1e-9)
    assert turn.heard == cut.heard == " ".join(words[:whole])
    assert turn.interrupted
    assert [exchange.heard for exchange in stage.session.history] == [turn.heard, "Fine."]
    assert stage.of(TurnEnded)[1].transcript == "and you", (
        "what was said over the reply is the next question, without a wake word"
    )


async def test_engines_are_free_and_nothing_is_generated_after_a_barge_in() -> None:
    async with play(questions=("count",), answers=("word " * 400,)) as stage:
        await stage.say()
        await asyncio.sleep(1.0)
        stage.glasses.tap()
        await answered(stage)
        tokens = stage.model.tokens
        lane = stage.engines.language_model
        assert lane is not None
        await asyncio.sleep(0.1)
        assert not lane.busy
        assert stage.engines.voice is not None and not stage.engines.voice.busy
        await asyncio.sleep(5)
    assert stage.model.tokens == tokens < 400


async def test_a_pause_in_the_question_throws_the_early_answer_away() -> None:
    async with play(end_of_turn=(0.1, 1.0)) as stage:
        await stage.say(0.5)
        await asyncio.sleep(0.3)
        await stage.say(0.5, wake=False)
        await answered(stage)
        await asyncio.sleep(2)
    assert len(stage.of(TurnEnded)) == 1
    assert len(stage.of(FinalHeard)) == 1
    assert len(stage.model.prompts) >= 2, "the answer had been begun at the first pause"
    assert len(stage.glasses.heard_runs) == 1, "and was never heard"


async def test_speech_that_goes_on_after_the_endpoint_is_the_same_question() -> None:
    async with play(end_of_turn=(1.0, 1.0), recognition=0.5) as stage:
        await stage.say(0.5)
        await asyncio.sleep(0.3)
        assert stage.state() is State.THINKING
        await stage.say(0.5, wake=False)
        await answered(stage)
        await asyncio.sleep(1)
    assert len(stage.of(TurnEnded)) == 1
    assert len(stage.glasses.heard_runs) == 1


async def test_stop_acts_before_the_endpoint_and_says_nothing() -> None:
    async with play(questions=("count", "stop"), answers=("word " * 50,), end_of_turn=None) as stage:
        await stage.say()
        await asyncio.sleep(1.5)
        stage.glasses.say(tone(0.4))
        await answered(stage, 2)
        await asyncio.sleep(2)
    endpoint = stage.of(EndpointReached)[-1]
    assert endpoint.reason == "urgent"
    assert endpoint.silence_ms <= 300, "judged after 0.2 s over a reply, and 0.1 s of recognition"
    assert stage.of(TurnEnded)[1].skill == "stop"
    assert len(stage.glasses.heard_runs) == 1
    assert stage.state() is State.IDLE


async def test_private_mode_hears_nothing_until_a_tap() -> None:
    async with play(questions=("private mode", "how are you")) as stage:
        await stage.say()
        await answered(stage)
        assert stage.glasses.private
        await stage.say()
        await asyncio.sleep(2)
        assert len(stage.of(TurnEnded)) == 1
        stage.glasses.tap()
        await asyncio.sleep(1)
        assert not stage.glasses.private
        await stage.say()
        await answered(stage, 2)
    assert stage.of(TurnEnded)[0].heard == "Private until you tap."


async def test_a_tap_over_the_reply_stops_it() -> None:
    async with play(answers=("word " * 50,)) as stage:
        await stage.say()
        await asyncio.sleep(1.5)
        stage.glasses.tap()
        turn = await answered(stage)
        assert turn.interrupted
        await asyncio.sleep(1)
        assert stage.state() is State.IDLE


async def test_a_skill_that_fails_costs_one_answer() -> None:
    async with play(questions=("break something", "how are you")) as stage:
        await stage.say()
        turn = await answered(stage)
        await stage.say()
        await answered(stage, 2)
    assert turn.answer == "Sorry, I could not work that out."
    (error,) = stage.of(Failed)
    assert error.code == "engine_failed" and "RuntimeError: no such luck" in error.text
    assert stage.of(TurnEnded)[1].heard == "I am well. Thank you for asking."


class HalfVoice(FakeVoice):
    """Loses every second sentence."""

    calls = 0

    def synthesize(self, text: str, style: VoiceStyle, stop: Stop) -> Iterator[SpeechChunk]:
        self.calls += 1
        if self.calls % 2:
            raise EngineFailed("the voice's process ended")
        return super().synthesize(text, style, stop)


async def test_a_voice_that_fails_costs_one_sentence() -> None:
    def half(engines: Engines) -> Engines:
        return replace(engines, voice=Lane("voice", HalfVoice))

    async with play(engines=half) as stage:
        await stage.say()
        turn = await answered(stage)
    assert turn.answer == "I am well. Thank you for asking."
    assert turn.heard == "Thank you for asking."
    assert [error.code for error in stage.of(Failed)] == ["engine_failed"]


class DeafRecogniser(FakeRecogniser):
    """Fails once."""

    failed = False

    def stream(self, *, phrases: Sequence[str] = (), languages: Sequence[str] = ()) -> RecogniserStream:
        if not self.failed:
            self.failed = True
            raise RuntimeError("decoder lost")
        return super().stream()


async def test_a_recogniser_that_fails_costs_one_question() -> None:
    def deaf(engines: Engines) -> Engines:
        return replace(engines, recogniser=Lane("recogniser", lambda: DeafRecogniser(["how are you"])))

    async with play(engines=deaf) as stage:
        await stage.say()
        await asyncio.sleep(8)
        assert [error.code for error in stage.of(Failed)] == ["engine_failed"]
        await stage.say()
        await asyncio.sleep(3)
    assert stage.of(TurnEnded)[-1].heard == "I am well. Thank you for asking."


async def test_lost_glasses_end_the_session_and_say_why() -> None:
    async with play() as stage:
        stage.glasses.disconnect()
        await asyncio.sleep(1)
        assert stage.of(SessionEnded)
    assert [error.code for error in stage.of(Failed)] == ["link"], "told once, though every stream broke"


async def test_a_typed_question_needs_no_microphone() -> None:
    async with play() as stage:
        turn = await stage.session.ask("how are you")
    assert turn.heard == "I am well. Thank you for asking."
    assert turn.timings_ms.endpoint == 0


async def test_a_click_is_no_question() -> None:
    async with play(questions=("",)) as stage:
        await stage.say(0.12)
        await asyncio.sleep(1)
        assert stage.state() is State.LISTENING, "still waiting for the question"
        await asyncio.sleep(8)
        assert stage.state() is State.IDLE
    assert stage.of(TurnEnded) == []


def test_two_runs_tell_the_same_to_the_nanosecond() -> None:
    async def run() -> list[Event]:
        async with play(questions=("count", "and you", "how are you"), answers=("word " * 30, "Fine.")) as stage:
            await stage.say()
            await asyncio.sleep(1.5)
            stage.glasses.say(tone(1.0))
            await answered(stage, 2)
            await stage.say()
            await answered(stage, 3)
        return stage.events

    first, second = virtual.run(run()), virtual.run(run())
    assert [event.line() for event in first] == [event.line() for event in second]
    assert len(first) > 20


@pytest.mark.real_time
async def test_an_engine_that_hangs_is_replaced_and_the_session_goes_on() -> None:
    class Stuck(FakeRecogniser):
        stuck = True

        def stream(self, *, phrases: Sequence[str] = (), languages: Sequence[str] = ()) -> RecogniserStream:
            owner = super().stream()

            class Hanging:
                def accept(self, pcm: Pcm) -> None:
                    return None

                def final(self, stop: Stop) -> Transcript:
                    if Stuck.stuck:
                        Stuck.stuck = False
                        Stop().wait(1.5)
                    return Transcript("how are you", final=True)

                def close(self) -> None:
                    owner.close()

            return Hanging()

    def stuck(engines: Engines) -> Engines:
        return replace(engines, recogniser=Lane("recogniser", lambda: Stuck([]), time_limit=0.4))

    async with play(engines=stuck, turns=TurnsConfig(no_speech_timeout=1.0)) as stage:
        await stage.say(0.5)
        await asyncio.sleep(2.5)
        assert [error.code for error in stage.of(Failed)] == ["engine_hung"]
        await stage.say(0.5)
        turn = await answered(stage)
    assert turn.transcript == "how are you"
    assert stage.session.measures().engines_replaced == {"recogniser": 1}
