"""Each guard lets speech pass and refuses what it is there for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.decoding import Decoded, Segment
from edge.policy.speech_guards import (
    INVENTED,
    Guards,
    VoiceGate,
    believed,
    length,
    unlooped,
    within_voice,
    without_doubted,
    without_loops,
    without_phrases,
    without_torrent,
    worth_decoding,
)
from edge.values import Word, samples
from models.fakes import silence, tone
from models.fakes_speech import spoken

GUARDS = Guards()
SECOND = samples(1.0)


def decoded(text: str, *, start: float = 0.0, no_speech: float = 0.0, log_probability: float = 0.0) -> Decoded:
    words = tuple(spoken(text, start))
    return Decoded((Segment(words, words[0].start, words[-1].end, no_speech, log_probability),), "en", 1.0)


def texts(found: Decoded) -> str:
    return " ".join(word.text for word in found.words)


def test_the_gate_joins_windows_and_leaves_later_than_it_enters() -> None:
    gate = VoiceGate()
    for at, probability in enumerate((0.1, 0.4, 0.6, 0.4, 0.3, 0.4, 0.5)):
        gate.window(probability, at * 100, at * 100 + 100)
    assert gate.spans == [(200, 400), (600, 700)]
    assert gate.between(300, 650) == ((0, 100), (300, 350))
    assert length(gate.between(300, 650)) == 150
    gate.forget(400)
    assert gate.spans == [(600, 700)]


def test_a_quarter_of_a_second_of_speech_is_needed() -> None:
    pcm = tone(1.0)
    assert not worth_decoding(pcm, [], GUARDS)
    assert not worth_decoding(pcm, [(0, samples(0.24))], GUARDS)
    assert worth_decoding(pcm, [(0, samples(0.1)), (8000, 8000 + samples(0.15))], GUARDS)


def test_the_level_is_that_of_the_speech_not_of_the_pauses() -> None:
    pcm = np.concatenate([silence(10.0), tone(0.3, amplitude=1000)])
    assert worth_decoding(pcm, [(10 * SECOND, len(pcm))], GUARDS)
    assert not worth_decoding(pcm, [(0, 9 * SECOND)], GUARDS), "voice activity alone is not believed"
    assert not worth_decoding(tone(1.0, amplitude=300), [(0, SECOND)], GUARDS)


@pytest.mark.parametrize(
    ("no_speech", "log_probability", "kept"), [(0.9, -0.5, True), (0.3, -1.5, True), (0.9, -1.5, False), (0.0, 0.0, True)]
)
def test_a_segment_must_be_doubted_twice(no_speech: float, log_probability: float, kept: bool) -> None:
    found = without_doubted(decoded("hello", no_speech=no_speech, log_probability=log_probability), GUARDS)
    assert bool(found.words) is kept


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("no no no no", "no no no no"),
        ("no " * 8, "no"),
        ("well I want I want to go", "well I want I want to go"),
        ("so I want I want I want to go", "so I want to go"),
        ("Thank you. thank you! Thank you, thank you", "Thank you."),
        ("我 们 " * 5, "我 们"),
        ("a b c a b d a b e a b f", "a b c"),
        ("the cat and the dog and the cow and the hen", "the cat and the dog and the cow and the hen"),
        ("bye bye bye bye bye bye", "bye bye bye bye bye bye"),
    ],
)
def test_loops_leave_one_round(said: str, left: str) -> None:
    assert texts(without_loops(decoded(said))) == left


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_unlooping_keeps_the_order_and_the_first_word(words: list[str]) -> None:
    kept = unlooped(words)
    assert kept == sorted(set(kept))
    assert kept[:1] == [0][: len(words)]
    assert all(0 <= index < len(words) for index in kept)


def test_nobody_says_that_much_in_so_little_speech() -> None:
    half = [(0, SECOND // 2)]
    assert without_torrent(decoded("one two three four five six"), half, GUARDS).words
    assert not without_torrent(decoded("one two three four five six seven"), half, GUARDS).words
    assert without_torrent(decoded("我 们 要 去 火 车 站 吗"), half, GUARDS).words, "signs are shorter than words"


def test_words_outside_speech_and_behind_the_sound_are_dropped() -> None:
    said = decoded("a b c d e f", start=0.0)  # 0.35 s each
    found = within_voice(said, [(samples(0.7), samples(1.0))], samples(1.15), GUARDS)
    assert texts(found) == "b c d", "0.3 s around the speech, and not behind 1.15 s"
    assert found.words[-1].end == samples(1.15)
    assert not within_voice(said, [], 2 * SECOND, GUARDS).words


@pytest.mark.parametrize("phrase", INVENTED)
def test_a_phrase_is_dropped_only_where_it_stands_alone(phrase: str) -> None:
    assert not without_phrases(decoded(f"{phrase.capitalize()}!"), GUARDS).words
    assert without_phrases(decoded(f"he said {phrase}"), GUARDS).words


def test_what_wearers_say_is_on_no_list() -> None:
    assert without_phrases(decoded("Thank you."), GUARDS).words


def test_plain_speech_passes_all_guards() -> None:
    said = decoded("where is the next train to the airport please")
    spans = [(0, said.words[-1].end)]
    assert believed(said, spans, said.words[-1].end, GUARDS) == said
    assert believed(Decoded(), (), 0, GUARDS) == Decoded()


def test_a_word_without_letters_harms_nothing() -> None:
    words = (Word("", 0, 100), Word("...", 100, 200), Word("yes", 200, 4000))
    found = believed(Decoded((Segment(words, 0, 4000),)), [(0, 4000)], 4000, GUARDS)
    assert found.words == words
