"""Where a translation may be cut: by hand, and whatever comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.safe_cut import bound, safe, weighty
from edge.policy.settling import normal
from edge.policy.small_words import KNOWN

BOUND = [
    ("en", "the twenty | five houses"),
    ("en", "3 | 000 people"),
    ("en", "3, | 000 people"),
    ("en", "three | hundred and two"),
    ("en", "three hundred | and two"),
    ("en", "three hundred and | two"),
    ("en", "25 | % of it"),
    ("en", "three | point five"),
    ("en", "twenty | percent"),
    ("en", "I do | not want it"),
    ("en", "I do not | want it"),
    ("en", "I don't | want it"),
    ("en", "then Margaret | Hale said"),
    ("en", "in New | York"),
    ("en", "in new | york"),
    ("en", "mister | smith"),
    ("en", "Ludwig | van Beethoven"),
    ("en", "Dr. | Who"),
    ("en", "the | white house"),
    ("es", "no | tengo"),
    ("es", "la | casa blanca"),
    ("es", "treinta | y cinco"),
    ("es", "treinta y | cinco"),
    ("es", "veinte | por ciento"),
    ("es", "nunca | he comido"),
    ("es", "me | gusta"),
    ("es", "el señor | garcía"),
    ("fr", "je ne | veux pas"),
    ("fr", "je ne veux | pas"),
    ("fr", "je n'ai | pas dit"),
    ("fr", "l' | eau"),
    ("fr", "quatre-vingt | dix-sept"),
    ("de", "ein | Haus"),
    ("de", "nicht | gesehen"),
    ("de", "fünfundzwanzig | tausend"),
    ("de", "ich habe es | nicht gesehen"),
    ("it", "non | ho"),
    ("it", "dell' | acqua"),
    ("it", "trentacinque | mila"),
    ("pt", "não | tenho"),
    ("pt", "vinte | e cinco"),
    ("eo", "5 | 000"),
    ("eo", "Ludoviko | Zamenhof"),
    ("en", "twenty |"),
    ("en", "in Paris |"),
    ("en", "he is |"),
]
FREE = [
    ("en", "twenty five | houses"),
    ("en", "In 1990, | he left"),
    ("en", "the house | of"),
    ("en", "Yes. | Margaret"),
    ("en", "I did not want | it"),
    ("en", "MARGARET | HALE"),
    ("en", "the house |"),
    ("en", "in Paris, |"),
    ("en", "and I | Margaret"),
    ("es", "la casa | blanca"),
    ("es", "no tengo | dinero"),
    ("fr", "je ne veux pas | partir"),
    ("fr", "je n'ai pas | dit"),
    ("de", "das Haus | steht"),
    ("eo", "la | domo"),
]


@pytest.mark.parametrize(("language", "text"), BOUND)
def test_what_belongs_together(language: str, text: str) -> None:
    words, at = cut(text)
    assert bound(words, at, language)
    assert safe(words, at, language) < at


@pytest.mark.parametrize(("language", "text"), FREE)
def test_what_may_stand_alone(language: str, text: str) -> None:
    words, at = cut(text)
    assert safe(words, at, language) == at


def cut(text: str) -> tuple[list[str], int]:
    before, _, behind = text.partition("|")
    return [*before.split(), *behind.split()], len(before.split())


LANGUAGES = st.sampled_from([*KNOWN, "eo"])
WORDS = st.one_of(
    st.sampled_from(
        "the la el de ne pas non not no nicht veux house casa Haus New York Maria 3 3, .5 000 % twenty five y and treinta "
        "cinco l' n'ai mr. señor , . — ¿Qué very white I is una".split()
    ),
    st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=6),
)


@given(st.lists(WORDS, max_size=14), st.integers(0, 16), LANGUAGES)
def test_a_cut_is_safe_and_no_later_than_wished(words: list[str], count: int, language: str) -> None:
    at = safe(words, count, language)
    assert 0 <= at <= min(count, len(words))
    assert not bound(words, at, language)
    assert all(bound(words, later, language) for later in range(at + 1, min(count, len(words)) + 1)), "more might stand"


@given(st.lists(WORDS, min_size=1, max_size=14), st.integers(0, 14), LANGUAGES)
def test_nothing_stands_that_could_turn(words: list[str], count: int, language: str) -> None:
    """What a listener hears ends in no digit that a digit follows, in no negation and in no article."""
    at = safe(words, count, language)
    if at == 0:
        return
    last, following = words[at - 1], words[at : at + 1]
    assert normal(last) not in KNOWN[language].negations if language in KNOWN and last[-1].isalpha() else True
    assert not (last[-1].isdigit() and (not following or following[0][0].isdigit()))
    assert not (language == "en" and last in ("the", "very", "no", "not"))
    assert not (language == "es" and last in ("la", "el", "no", "una"))
    assert not (language == "fr" and last in ("ne", "la", "n'ai"))


def test_what_weighs() -> None:
    assert weighty("I do not have 25 or twenty not".split(), "en") == {"not": 2, "25": 1, "twenty": 1}
    assert weighty("tengo una casa".split(), "es") == {}
