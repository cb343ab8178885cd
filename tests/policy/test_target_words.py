"""Words of a translation, and where a new one goes on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.target_words import continues, same_words, text_of, unfinished, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("¿Dónde está  la casa?", ("¿Dónde", "está", "la", "casa?")),
        ("我很好，谢谢。", ("我", "很", "好，", "谢", "谢。")),
        ("iPhone很好", ("iPhone", "很", "好")),
        ("", ()),
    ],
)
def test_words(text: str, words: tuple[str, ...]) -> None:
    assert words_of(text) == words
    assert words_of(text_of(words)) == words


@given(st.text(max_size=30))
def test_words_and_text_are_each_others_inverse(text: str) -> None:
    words = words_of(text)
    assert "".join(words) == "".join(text.split())
    assert "".join(text_of(words).split()) == "".join(text.split())


def test_an_unfinished_sentence_has_no_end() -> None:
    assert unfinished(("Si", "llueve.")) == ("Si", "llueve")
    assert unfinished(("Ja", "。")) == ("Ja",)
    assert unfinished(()) == ()


@pytest.mark.parametrize(
    ("spoken", "heard", "rest"),
    [
        ("la casa", "La casa, blanca es", "blanca es"),
        ("la casa", "la casa", ""),
        ("el coche rojo", "el carro rojo es mío", "es mío"),
        ("el coche", "el gran coche es mío", "es mío"),
        ("el muy gran coche", "el coche es mío", "es mío"),
        ("la casa blanca", "la blanca casa es mía", "es mía"),
        ("a b c", "x y z u v", "u v"),
        ("a b c d", "a b", ""),
        ("no no no", "no no no no sé", "no sé"),
        ("", "todo es nuevo", "todo es nuevo"),
        ("nada", "", ""),
    ],
)
def test_what_follows_what_was_spoken(spoken: str, heard: str, rest: str) -> None:
    words = heard.split()
    assert " ".join(words[continues(spoken.split(), words) :]) == rest


LINES = st.lists(st.sampled_from("abcde"), max_size=8)


@given(LINES, LINES)
def test_a_continuation_is_all_that_is_new(spoken: list[str], rest: list[str]) -> None:
    assert continues(spoken, [*spoken, *rest]) == len(spoken)


@given(LINES, LINES)
def test_any_answer_goes_on_somewhere(spoken: list[str], heard: list[str]) -> None:
    at = continues(spoken, heard)
    assert min(same_words(spoken, heard), len(heard)) <= at <= len(heard)
    if spoken and heard and not set(spoken) & set(heard):
        assert at == min(len(spoken), len(heard)), "words in others' places"
