"""Turn-taking, fed with windows of 20 ms: each test is a line of speech (#) and silence (.)."""

from __future__ import annotations

import pytest

from edge.config import TurnsConfig
from edge.policy.turns import BargedIn, Began, Called, Ended, GaveUp, Hinted, Resumed, Said, Signal, State, TurnPolicy

WINDOW = 320
MS = 16


class Line:
    """Feeds a policy and keeps what it says."""

    def __init__(self, **changes: float | bool) -> None:
        self.policy = TurnPolicy(TurnsConfig(**changes))  # type: ignore[arg-type]
        self.at = 0
        self.signals: list[Signal] = []

    def feed(self, score: str) -> list[Signal]:
        new: list[Signal] = []
        for mark in score:
            probability = {"#": 0.9, ".": 0.1, "~": 0.42}[mark]
            new += self.policy.window(probability, self.at, self.at + WINDOW)
            self.at += WINDOW
        self.signals += new
        return new

    def call(self, by: str = "hey_jarvis") -> list[Signal]:
        return self.policy.call(by, self.at)

    def state(self) -> State:
        """For two looks in one test: of a property, the type checker believes that it stays as first seen."""
        return self.policy.state


def kinds(signals: list[Signal]) -> list[type[Signal]]:
    return [type(signal) for signal in signals]


def test_speech_without_a_wake_word_is_nobodys_business() -> None:
    line = Line()
    assert line.feed("#" * 100 + "." * 100) == []
    assert line.policy.state is State.IDLE
    assert not line.policy.wants_voice


def test_a_question_after_the_wake_word() -> None:
    line = Line()
    assert kinds(line.call()) == [Called]
    signals = line.feed("..." + "#" * 20 + "." * 40)
    assert kinds(signals) == [Began, Hinted, Ended]
    began, hinted, ended = signals
    assert began.at == 0, "the pre-roll reaches back to the wake word, not beyond"
    assert isinstance(hinted, Hinted) and hinted.last == 23 * WINDOW
    assert 60 * MS <= hinted.at - hinted.last < 60 * MS + WINDOW
    assert isinstance(ended, Ended) and ended.reason == "silence"
    assert 700 * MS <= ended.at - ended.last < 700 * MS + WINDOW
    assert line.policy.state is State.THINKING


@pytest.mark.parametrize(
    ("verdict", "reason", "silence_ms"), [(0.9, "end_of_turn", 200), (0.1, "silence", 1800), (None, "silence", 700)]
)
def test_how_long_a_pause_ends_the_turn(verdict: float | None, reason: str, silence_ms: int) -> None:
    line = Line()
    line.call()
    line.feed("#" * 20 + "." * 5)
    if verdict is not None:
        assert line.policy.end_of_turn(verdict, line.at) == [], "not before min_silence, whatever the model says"
    ended = line.feed("." * 100)[-1]
    assert isinstance(ended, Ended) and ended.reason == reason
    assert silence_ms * MS <= ended.at - ended.last < silence_ms * MS + WINDOW


def test_a_late_verdict_ends_the_turn_at_once() -> None:
    line = Line()
    line.call()
    line.feed("#" * 20 + "." * 20)
    assert kinds(line.policy.end_of_turn(0.9, line.at)) == [Ended]


def test_a_pause_in_the_middle_is_resumed_and_hinted_again() -> None:
    line = Line()
    line.call()
    assert kinds(line.feed("#" * 20 + "." * 6 + "#" * 10 + "." * 6)) == [Began, Hinted, Resumed, Hinted]
    assert line.policy.state is State.LISTENING


def test_one_noisy_window_does_not_resume() -> None:
    line = Line()
    line.call()
    assert kinds(line.feed("#" * 20 + "." * 6 + "#" + "." * 40)) == [Began, Hinted, Ended]


def test_the_verdict_on_an_earlier_pause_does_not_count() -> None:
    line = Line()
    line.call()
    line.feed("#" * 20 + "." * 6)
    line.policy.end_of_turn(0.9, line.at)
    signals = line.feed("#" * 10 + "." * 15)
    assert kinds(signals) == [Resumed, Hinted], "300 ms of the new pause are not an end without a new verdict"


def test_speech_that_goes_on_before_the_reply_is_the_same_question() -> None:
    line = Line()
    line.call()
    line.feed("#" * 20 + "." * 40)
    assert line.state() is State.THINKING
    assert kinds(line.feed("#" * 6)) == [Resumed]
    assert line.state() is State.LISTENING
    assert kinds(line.feed("#" * 4 + "." * 40)) == [Hinted, Ended]


def speaking(**changes: float | bool) -> Line:
    line = Line(**changes)
    line.call()
    line.feed("#" * 20 + "." * 40)
    line.policy.reply_began()
    assert line.policy.state is State.SPEAKING
    return line


def test_barge_in_needs_a_minimum_of_speech() -> None:
    line = speaking()
    assert line.feed("..###......") == [], "60 ms are a click"
    start = line.at
    signals = line.feed("########")
    assert kinds(signals) == [BargedIn, Began]
    cut, began = signals
    assert isinstance(cut, BargedIn) and cut.onset == start
    assert cut.at - cut.onset == 4 * WINDOW, "64 ms, in windows of 20 ms"
    assert began.at == start - 400 * MS, "the recogniser gets the whole word, pre-roll included"
    assert line.policy.state is State.LISTENING
    assert kinds(line.feed("#" * 20 + "." * 40)) == [Hinted, Ended]


def test_without_barge_in_only_a_call_cuts() -> None:
    line = speaking(barge_in=False)
    assert line.feed("#" * 100) == []
    assert kinds(line.call()) == [BargedIn, Called]


@pytest.mark.parametrize("state", [State.IDLE, State.LISTENING, State.THINKING, State.SPEAKING])
def test_stop_always_wins(state: State) -> None:
    line = Line()
    if state is not State.IDLE:
        line.call()
    if state in (State.THINKING, State.SPEAKING):
        line.feed("#" * 20 + "." * 40)
    if state is State.SPEAKING:
        line.policy.reply_began()
    assert line.policy.state is state
    cut = line.policy.stop(line.at)
    assert kinds(cut) == ([BargedIn] if state in (State.THINKING, State.SPEAKING) else [])
    assert line.policy.state is State.IDLE


def test_an_urgent_word_does_not_wait_for_the_endpoint() -> None:
    line = Line()
    line.call()
    line.feed("#" * 10 + "." * 5)
    (ended,) = line.policy.understood(Said.URGENT, line.at)
    assert isinstance(ended, Ended) and ended.reason == "urgent"


@pytest.mark.parametrize(
    ("verdict", "reason", "silence_ms"), [(0.1, "command", 350), (None, "command", 350), (0.9, "end_of_turn", 200)]
)
def test_the_words_of_a_command_outweigh_its_melody(verdict: float | None, reason: str, silence_ms: int) -> None:
    line = Line()
    line.call()
    line.feed("#" * 20 + "." * 5)
    assert line.policy.understood(Said.COMMAND, line.at) == []
    if verdict is not None:
        line.policy.end_of_turn(verdict, line.at)
    ended = line.feed("." * 100)[-1]
    assert isinstance(ended, Ended) and ended.reason == reason
    assert silence_ms * MS <= ended.at - ended.last < silence_ms * MS + WINDOW


def test_nobody_speaks_after_the_wake_word() -> None:
    line = Line()
    line.call()
    assert kinds(line.feed("." * 299)) == []
    assert kinds(line.feed("..")) == [GaveUp]
    assert line.policy.state is State.IDLE


def test_the_longest_question_is_cut() -> None:
    line = Line(max_speech=2.0)
    line.call()
    signals = line.feed("#" * 200)
    assert kinds(signals)[:3] == [Began, Hinted, Ended]
    assert isinstance(signals[2], Ended) and signals[2].reason == "too_long"


def test_follow_up_needs_no_wake_word() -> None:
    line = speaking(follow_up=5.0)
    line.policy.reply_ended(line.at)
    assert line.policy.state is State.LISTENING
    assert kinds(line.feed("." * 251)) == [GaveUp]


def test_after_asking_back_the_answer_needs_no_wake_word() -> None:
    line = speaking()
    line.policy.reply_ended(line.at, asked_back=True)
    assert kinds(line.feed("..." + "#" * 20 + "." * 40)) == [Began, Hinted, Ended]


def test_muted_hears_nothing_until_unmuted() -> None:
    line = Line(wake=False)
    line.policy.mute()
    assert line.call("tap") == []
    assert line.feed("#" * 50 + "." * 50) == []
    line.policy.unmute()
    assert kinds(line.feed("#" * 20 + "." * 40)) == [Called, Began, Hinted, Ended]


def test_what_was_no_speech_leaves_the_time_that_was_left() -> None:
    line = Line()
    line.call()
    line.feed("#" * 6 + "." * 40)
    line.policy.misheard(line.at)
    assert line.policy.state is State.LISTENING
    assert kinds(line.feed("." * 300)) == [GaveUp]


def test_a_recording_that_ends_in_speech_is_a_question() -> None:
    line = Line(wake=False)
    line.feed("#" * 20)
    signals = line.policy.cut(line.at)
    assert kinds(signals) == [Hinted, Ended]
    assert isinstance(signals[1], Ended) and signals[1].reason == "input"


def test_between_the_thresholds_nothing_changes() -> None:
    line = Line()
    line.call()
    assert kinds(line.feed("#" * 10 + "~" * 100)) == [Began], "an unsure window is no silence"
    assert kinds(line.feed("." * 5 + "~" * 35)) == [Hinted, Ended], "nor does it end one"
