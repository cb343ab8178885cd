import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.heard import Utterance, heard, heard_words
from edge.values import WordMark

FIRST = Utterance((WordMark("The", 0, 100), WordMark("sign", 100, 300), WordMark("says", 320, 500)), 0)
SECOND = Utterance((WordMark("no", 0, 150), WordMark("–", 150, 150), WordMark("parking.", 200, 400)), 600)


@pytest.mark.parametrize(
    ("played", "text"),
    [
        (0, ""),
        (99, ""),
        (100, "The"),
        (299, "The"),
        (300, "The sign"),
        (499, "The sign"),
        (500, "The sign says"),
        (600, "The sign says"),  # the pause between two utterances belongs to no word
        (749, "The sign says"),
        (750, "The sign says no –"),
        (999, "The sign says no –"),
        (1000, "The sign says no – parking."),
        (9999, "The sign says no – parking."),
    ],
)
def test_a_word_counts_from_its_last_sample(played: int, text: str) -> None:
    assert heard([FIRST, SECOND], played) == text


def test_nothing_played_is_nothing_heard_even_of_a_word_without_sound() -> None:
    assert heard([Utterance((WordMark("–", 0, 0), WordMark("Hello", 0, 50)), 0)], 0) == ""


@given(st.lists(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 400)), max_size=6), max_size=4), st.integers(-10, 6000))
def test_it_is_the_longest_prefix_that_ends_by_then(lengths: list[list[tuple[int, int]]], played: int) -> None:
    utterances: list[Utterance] = []
    ends: list[int] = []
    start = 0
    for words in lengths:
        at, marks = 0, []
        for gap, length in words:
            marks.append(WordMark(f"w{len(ends)}", at + gap, at + gap + length))
            at += gap + length
            ends.append(start + at)
        utterances.append(Utterance(tuple(marks), start))
        start += at
    assert len(heard_words(utterances, played)) == sum(end <= played for end in ends)
