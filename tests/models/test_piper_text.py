import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.piper_text import CLAUSE_WORDS, LONGEST, SHORT, parts, shares, word_starts


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in parts(text)]


@given(st.text(alphabet=st.sampled_from("ab ,.;!\n。é–"), max_size=600))
def test_parts_are_the_text(text: str) -> None:
    assert "".join(cut(text)) == text
    assert all(0 < len(part) <= LONGEST for part in cut(text)[:-1])
    assert all(any(map(str.isalnum, part)) for part in cut(text)[1:][-1:]), "the last part makes a sound"
    assert all(not any(map(str.isalnum, part[LONGEST:])) for part in cut(text))
    assert len(text) > SHORT or len(cut(text)) <= 1


def test_the_first_part_of_a_long_text_is_a_clause() -> None:
    text = "Well, turn to the left at the door, then walk on until you come to the lift, and go up to the third floor."
    assert cut(text)[0] == "Well, turn to the left at the door,"
    assert len(cut(text)[0].split()) >= CLAUSE_WORDS
    assert len(cut(text)) == 2


def test_a_short_text_is_one_part() -> None:
    assert len(cut("Turn to the left at the door, then go on.")) == 1


def test_long_parts_end_with_sentences_where_they_can() -> None:
    text = "One two three four five, six. " + "A sentence of nine words that says nothing more. " * 6
    assert all(part.rstrip().endswith((".", ",")) for part in cut(text))
    assert all(len(part) <= LONGEST for part in cut(text))


def starts(words: str, spoken: str) -> list[str | None]:
    """What lies behind each start."""
    found = word_starts([list(word) for word in words.split("|")], list(spoken))
    return [None if at is None else spoken[at : at + 4] for at in found]


@pytest.mark.parametrize(
    ("words", "spoken", "expected"),
    [
        ("ðə|sˈaɪn|sˈɛz", "ðə sˈaɪn sˈɛz", ["ðə s", "sˈaɪ", "sˈɛz"]),
        ("ɪt|ˈaʊt|ʌv|ðə|dˈɔːɹ", "ɪɾ ˌaʊɾəv ðə dˈɔːɹ", ["ɪɾ ˌ", "ˌaʊɾ", "əv ð", "ðə d", "dˈɔː"]),
        ("dˈɔːɹ||nˈaʊ?", "dˈɔːɹ; nˈaʊ?", ["dˈɔː", None, "nˈaʊ"]),
        ("ˈæftɚ|twˈɛlv θˈɜːɾi.|ɪz", "ˈæftɚ twˈɛlv θˈɜːɾi. ɪz", ["ˈæft", "twˈɛ", "ɪz"]),
        ("ˈeɪ|kˈæt", "ɐ kˈæt", ["ɐ kˈ", "kˈæt"]),
        ("", "", [None]),
    ],
)
def test_where_words_start(words: str, spoken: str, expected: list[str | None]) -> None:
    assert starts(words, spoken) == expected


phoneme = st.sampled_from("aɪsnztdkˈː")


@given(st.lists(st.lists(phoneme, max_size=6), min_size=1, max_size=8))
def test_words_said_as_they_are_alone_start_where_they_are(words: list[list[str]]) -> None:
    """Whatever the words, even the same one many times: each start lies behind the space that is its own."""
    sounding = [word for word in words if any(p not in "ˈ" for p in word)]
    spoken: list[str] = []
    expected = []
    for word in sounding:
        expected.append(len(spoken))
        spoken += [*word, " "]
    found = [at for at in word_starts(words, spoken) if at is not None]
    assert found == expected


@given(st.lists(st.lists(phoneme, max_size=6), max_size=8), st.lists(st.sampled_from("aɪs ,.ˈ"), max_size=40))
def test_starts_never_go_back(words: list[list[str]], spoken: list[str]) -> None:
    found = [at for at in word_starts(words, spoken) if at is not None]
    assert found == sorted(found)
    assert all(0 <= at < len(spoken) for at in found)


def test_shares() -> None:
    np.testing.assert_array_equal(shares(list("tˈuː,")), [1, 0, 1, 0.5, 3])
    assert shares([]).shape == (0,)
