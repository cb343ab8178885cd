"""Sentences and clauses in what is heard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.clauses import LONG, LONGEST, clause_end, divide, marked
from edge.policy.settling import joined
from edge.values import Word, samples


def spoken(text: str, word_s: float = 0.36) -> tuple[Word, ...]:
    """Words of a text one after the other; ``/1.5`` is a pause of so many seconds."""
    words, at = [], 0
    for piece in text.split():
        if piece[0] == "/":
            at += samples(float(piece[1:]))
        else:
            words.append(Word(piece, at, at + samples(word_s)))
            at += samples(word_s)
    return tuple(words)


def divided(text: str, language: str = "en", *, ended: bool = False) -> list[str]:
    """The sentences that are over, then what surely belongs to the next, then what may."""
    words = spoken(text)
    division = divide(words, language, punctuated=marked(words), ended=ended)
    bounds = [0, *division.ends, division.sure, len(words)]
    return [joined(words[a:b]) for a, b in zip(bounds, bounds[1:], strict=False)]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "I am here. Where are", ["I am here.", "Where are", ""]),
        ("en", "I am here.", ["I am here.", "", ""]),
        ("en", "Really? Yes! I", ["Really?", "Yes!", "I", ""]),
        ("en", "Mr. Quilter is the apostle", ["Mr. Quilter is the apostle", ""]),
        ("en", "I saw J. R. Hartley", ["I saw J. R. Hartley", ""]),
        ("en", "eggs, milk etc. and", ["eggs, milk etc. and", ""]),
        ("en", "eggs, milk etc. We", ["eggs, milk etc.", "We", ""]),
        ("de", "Am 3. Mai kam er", ["Am 3. Mai kam er", ""]),
        ("de", "Es war 1990. Er kam", ["Es war 1990.", "Er kam", ""]),
        ("de", "Das war am 3. nicht so", ["Das war am 3. nicht so", ""]),
        ("en", "I have been /0.5 waiting here", ["I have been waiting here", ""]),
        ("en", "we are done here /0.8 come home now", ["we are done here", "come home now", ""]),
        ("en", "he went to the /0.8 old house", ["he went to the old house", ""]),
        ("en", "he went to the /2.1 old house", ["he went to the", "old house", ""]),
        ("en", "Yes, it is done /0.8 at last", ["Yes, it is done at last", ""]),
        ("zh", "你好。 我", ["你好。", "我", ""]),
    ],
)
def test_sentences(language: str, text: str, expected: list[str]) -> None:
    assert divided(text, language) == expected


@pytest.mark.parametrize(
    ("language", "before", "behind"),
    [
        ("en", "w " * LONG, "because it rained"),
        ("en", "w " * LONG, "and they left"),
        ("en", "w " * (LONG + 5), "which was old"),
        ("es", "w " * LONG, "porque llovía"),
        ("es", "w " * LONG, "y ellos salieron"),
        ("fr", "w " * LONG, "parce que tout"),
        ("fr", "w " * LONG, "et nous partons"),
        ("de", "w " * LONG, "und dann gingen"),
        ("it", "w " * LONG, "quando pioveva"),
        ("pt", "w " * LONG, "mas não vinha"),
        ("eo", "w " * LONG, "/0.3 kaj poste"),
        ("eo", "w " * LONGEST, "w w"),
    ],
)
def test_long_sentences_end_at_a_clause(language: str, before: str, behind: str) -> None:
    assert divided(before + behind, language)[0] == before.strip()
    assert len(divided("w " * 5 + behind, language)) == 2, "short ones go on"


def test_what_may_be_of_the_next_sentence_is_held_back() -> None:
    twenty = "w " * LONG
    assert divided(twenty + "and") == [twenty.strip(), "and"]
    assert divided(twenty + "and dogs") == [twenty + "and dogs", ""]
    assert divided(twenty + "and", ended=True)[0] == twenty + "and"


def test_no_sentence_is_cut_within_a_name_or_a_number() -> None:
    assert divided("w " * (LONGEST - 1) + "twenty five w w")[0] == ("w " * (LONGEST - 1) + "twenty five").strip()


@pytest.mark.parametrize(
    ("language", "text", "clause"),
    [
        ("en", "when it rains tomorrow, we stay", "when it rains tomorrow,"),
        ("en", "we stay at home because it", "we stay at home"),
        ("en", "we stay at home and he", "we stay at home"),
        ("en", "we stay at home and dogs", ""),
        ("en", "we stay at home and", ""),
        ("en", "we stay at home and when it", "we stay at home"),
        ("en", "we stay /0.4 at home", ""),
        ("en", "we will stay here /0.4 at home", "we will stay here"),
        ("en", "we stay at the /0.4 old home", ""),
        ("de", "ich stehe nicht gern auf weil", "ich stehe nicht gern auf"),
        ("de", "ich kenne diesen mann nicht weil er", "ich kenne diesen mann nicht"),
        ("es", "no quiero ir allí porque hace", "no quiero ir allí"),
    ],
)
def test_clauses(language: str, text: str, clause: str) -> None:
    words = spoken(text)
    assert joined(words[: clause_end(words, language)]) == clause


TEXTS = st.lists(
    st.sampled_from(
        "and but because he they dogs the twenty five mr. Smith here. well, what? /0.1 /0.3 /0.9 /2.5 w w w w w".split()
    ),
    max_size=70,
)


@given(TEXTS, st.sampled_from(["en", "es", "eo"]), st.booleans())
def test_what_was_decided_stays(pieces: list[str], language: str, marks: bool) -> None:
    """Each beginning is divided as the whole is, as far as it was sure of."""
    words = spoken(" ".join(pieces))
    whole = divide(words, language, punctuated=marks, ended=True)
    assert not words or whole.ends[-1] == len(words)
    for count in range(len(words)):
        part = divide(words[:count], language, punctuated=marks)
        assert part.ends == whole.ends[: len(part.ends)]
        following = next(iter(whole.ends[len(part.ends) :]), len(words))
        assert part.sure <= following
        assert clause_end(words[:count], language) <= clause_end(words, language)
