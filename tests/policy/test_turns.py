"""Turn-taking, fed with windows of 20 ms: each test is a line of speech (#) and silence (.)."""

from __future__ import annotations

import pytest

from edge.config import TurnsConfig
from edge.policy.signals import BargedIn, Began, Called, Ended, GaveUp, Hinted, Paused, Released, Resumed, Said, Signal, State
from edge.policy.turns import TurnPolicy

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


def paused() -> Line:
    line = speaking()
    line.feed("..########")
    assert line.policy.state is State.PAUSED
    return line


def test_speech_over_the_reply_pauses_it() -> None:
    line = speaking()
    assert line.feed("..###......") == [], "60 ms are a click"
    start = line.at
    signals = line.feed("########")
    assert kinds(signals) == [Paused, Began]
    pause, began = signals
    assert isinstance(pause, Paused) and pause.onset == start
    assert pause.at - pause.onset == 4 * WINDOW, "64 ms, in windows of 20 ms"
    assert began.at == start - 400 * MS, "the recogniser gets the whole word, pre-roll included"
    assert kinds(line.feed("#" * 20 + "." * 60)) == [Hinted], "nothing ends before the words are known"
    assert line.policy.state is State.PAUSED


def test_words_for_the_assistant_cut_the_reply_and_are_a_question() -> None:
    line = paused()
    (cut,) = line.policy.interrupted(line.at)
    assert isinstance(cut, BargedIn) and cut.spoken
    assert line.state() is State.LISTENING
    assert kinds(line.feed("#" * 20 + "." * 40)) == [Hinted, Ended]


def test_what_was_not_meant_for_the_assistant_lets_the_reply_go_on() -> None:
    line = paused()
    line.feed("." * 5)
    (released,) = line.policy.released(line.at, "backchannel")
    assert isinstance(released, Released) and released.reason == "backchannel"
    assert line.state() is State.SPEAKING
    assert line.policy.interrupted(line.at) == [], "too late"
    assert kinds(line.feed("." * 10 + "#" * 4)) == [Paused, Began], "the next one is judged anew"


def test_a_sound_without_words_does_not_hold_the_reply_for_ever() -> None:
    line = paused()
    signals = line.feed("#" * 300)
    assert kinds(signals) == [Released]
    assert 3.0 <= signals[0].at / 16000 - 1.2 <= 3.2
    assert line.state() is State.SPEAKING, "and it is not judged again while it goes on"
    assert kinds(line.feed("." + "#" * 4)) == [Paused, Began]


def test_in_half_duplex_nothing_pauses_but_words_can_still_cut() -> None:
    line = speaking(barge_in=False)
    assert kinds(line.feed("#" * 10 + "." * 12)) == [Began, Hinted]
    assert line.policy.state is State.SPEAKING
    (cut,) = line.policy.interrupted(line.at)
    assert isinstance(cut, BargedIn)
    assert kinds(line.policy.understood(Said.URGENT, line.at)) == [Ended]
    line = speaking(barge_in=False)
    line.feed("#" * 10)
    assert kinds(line.call()) == [BargedIn, Called]


def test_speech_that_outlasts_the_reply_is_a_question() -> None:
    line = speaking(barge_in=False)
    line.feed("#" * 10)
    line.policy.reply_ended(line.at)
    assert line.policy.state is State.LISTENING
    assert kinds(line.feed("#" * 10 + "." * 40)) == [Hinted, Ended]


def test_a_recording_that_ends_over_the_reply_waits_for_the_words() -> None:
    line = paused()
    assert kinds(line.policy.cut(line.at)) == [Hinted]
    line.policy.interrupted(line.at)
    (ended,) = line.policy.understood(Said.OPEN, line.at)
    assert isinstance(ended, Ended) and ended.reason == "input"


def test_glasses_out_of_reach_end_a_question_and_keep_a_reply() -> None:
    line = Line()
    line.call()
    line.feed("#" * 20)
    line.policy.lost()
    assert line.state() is State.IDLE
    line = paused()
    line.policy.lost()
    assert line.state() is State.SPEAKING


def test_speech_does_not_go_on_with_a_typed_question() -> None:
    line = Line()
    line.policy.asked()
    assert line.feed("#" * 20) == []
    assert line.state() is State.THINKING
    line.policy.reply_began()
    assert kinds(line.feed("." + "#" * 5)) == [Paused, Began]


def test_a_word_that_asks_for_another_is_waited_for() -> None:
    line = Line()
    line.call()
    line.feed("#" * 20 + "." * 5)
    line.policy.understood(Said.UNFINISHED, line.at)
    line.policy.end_of_turn(0.9, line.at)
    signals = line.feed("." * 60)
    (ended,) = signals
    assert isinstance(ended, Ended) and 900 * MS <= ended.at - ended.last < 900 * MS + WINDOW


@pytest.mark.parametrize("state", [State.IDLE, State.LISTENING, State.THINKING, State.SPEAKING, State.PAUSED])
def test_stop_always_wins(state: State) -> None:
    line = Line()
    if state is not State.IDLE:
        line.call()
    answering = (State.THINKING, State.SPEAKING, State.PAUSED)
    if state in answering:
        line.feed("#" * 20 + "." * 40)
    if state in (State.SPEAKING, State.PAUSED):
        line.policy.reply_began()
    if state is State.PAUSED:
        line.feed("#" * 5)
    assert line.policy.state is state
    cut = line.policy.stop(line.at)
    assert kinds(cut) == ([BargedIn] if state in answering else [])
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
