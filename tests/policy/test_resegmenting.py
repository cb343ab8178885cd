"""Words are dealt out to the reference's sentences with least edits, and by likeness as OmniSTEval does it."""

from __future__ import annotations

import random
from itertools import combinations_with_replacement
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.resegmenting import by_edits, by_likeness

WORDS = st.lists(st.sampled_from("abc"), max_size=6)
SENTENCES = st.lists(st.lists(st.sampled_from("abc"), max_size=4), min_size=1, max_size=3)


def edits(a: list[str], b: list[str]) -> int:
    """Levenshtein's distance, by its definition."""
    row = list(range(len(b) + 1))
    for at, one in enumerate(a, 1):
        before, row[0] = row[0], at
        for to, other in enumerate(b, 1):
            before, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, before + (one != other))
    return row[-1]


def pieces(words: list[str], places: tuple[range, ...]) -> list[list[str]]:
    return [[words[at] for at in place] for place in places]


@given(WORDS, SENTENCES)
def test_no_other_cut_needs_fewer_edits(words: list[str], references: list[list[str]]) -> None:
    found = pieces(words, by_edits(words, references))
    assert [word for piece in found for word in piece] == words and len(found) == len(references)
    best = min(
        sum(edits(words[a:b], sentence) for a, b, sentence in zip((0, *cuts), (*cuts, len(words)), references, strict=True))
        for cuts in combinations_with_replacement(range(len(words) + 1), len(references) - 1)
    )
    assert sum(edits(piece, sentence) for piece, sentence in zip(found, references, strict=True)) == best


def test_a_long_translation_is_cut_where_the_reference_is() -> None:
    references = [["the", "cat", "sat"], ["on", "the", "mat"], ["and", "slept"]]
    words = "the cat sits on a mat mat and he slept".split()
    assert pieces(words, by_edits(words, references)) == [
        ["the", "cat", "sits"],
        ["on", "a", "mat", "mat"],
        ["and", "he", "slept"],
    ]
    assert by_likeness(words, references) == by_edits(words, references)


@given(WORDS, SENTENCES, st.booleans())
def test_by_likeness_gives_each_word_to_one_sentence(words: list[str], references: list[list[str]], characters: bool) -> None:
    found = pieces(words, by_likeness(words, references, characters=characters))
    assert [word for piece in found for word in piece] == words and len(found) == len(references)


def theirs(words: list[str], references: list[list[str]], characters: bool) -> list[list[str]]:
    why = "ORACLE MISSING: pip install sacrebleu, then pip install --no-deps omnisteval==0.1.10"
    alignment: Any = pytest.importorskip("omnisteval.alignment", reason=why)
    tokenize_words = pytest.importorskip("omnisteval.tokenization").tokenize_words
    one = alignment.Word
    reference = [one(word, seq_id=at) for at, sentence in enumerate(references) for word in sentence]
    aligned = alignment.align_sequences(
        tokenize_words([reference], None)[0], tokenize_words([[one(word) for word in words]], None)[0], characters
    )
    found: list[list[str]] = [[] for _ in references]
    for word in alignment.process_alignment(*aligned, characters):
        found[word.seq_id].append(word.original)
    return found


@pytest.mark.parametrize("characters", [False, True])
def test_by_likeness_is_omnistevals(characters: bool) -> None:
    chance = random.Random(7)
    vocabulary = ["la", "casa", "el", "gato", "Está", "sobre", "mesa", "y", "come", "pescado", ".", "grande", "ﬁn"]
    for _ in range(200):
        references = [[chance.choice(vocabulary) for _ in range(chance.randint(1, 6))] for _ in range(chance.randint(1, 4))]
        words = [word for sentence in references for word in sentence if chance.random() < 0.8]
        for _ in range(chance.randint(0, 4)):
            words.insert(chance.randrange(len(words) + 1), chance.choice(vocabulary))
        if "." in (*words[:1], references[0][0]):
            continue  # what comes before all words of the reference and cannot be like the first is lost there, kept here
        assert pieces(words, by_likeness(words, references, characters=characters)) == theirs(words, references, characters)


def test_nothing_to_deal_out() -> None:
    assert by_edits([], [["a"], ["b"]]) == by_likeness([], [["a"], ["b"]]) == (range(0, 0), range(0, 0))
    assert by_edits(["x"], [[], []]) == by_likeness(["x"], [[], []]) == (range(0, 1), range(1, 1))
