"""What has no words that need a translation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.language_guess import guess
from edge.policy.wordless import wordless


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "Ha ha ha!",
        "Hahaha",
        "hehe",
        "Mm-hm.",
        "mhm",
        "uh",
        "Um, uh",
        "uh-huh",
        "Oh!",
        "Hmm",
        "OK",
        "Okay, okay.",
        "[laughter]",
    ]
    + [
        "(applause)",
        "<sil>",
        "♪",
        "Maria",
        "Maria?",
        "John!",
        "Mr. Smith",
        "Señora López",
        "Anna Martin",
        "ah oh",
        "Wow",
        "哈哈哈",
    ],
)
def test_nothing_to_translate(text: str) -> None:
    assert wordless(text, "zh" if "哈" in text else "")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("no", ""),
        ("sí", "es"),
        ("si", "it"),
        ("ja", "de"),
        ("ja ja", "de"),
        ("yes", "en"),
        ("da", "ru"),
        ("er", "de"),
        ("gracias", "es"),
    ]
    + [("Hello", "en"), ("five", "en"), ("5", "en"), ("I am Maria", "en"), ("ha dicho", "es"), ("hot", "en"), ("あの人", "ja")]
    + [("ok but where", "en"), ("he", "en"), ("him", "en"), ("Mother", "en")],
)
def test_words_are_words(text: str, language: str) -> None:
    assert not wordless(text, language)


def test_laughter_is_spelt_as_the_language_spells_it() -> None:
    assert wordless("ja ja ja", "es")
    assert not wordless("ja ja ja", "de")
    assert wordless("kkkk", "pt-BR")
    assert wordless("555", "th")
    assert not wordless("555", "en")


@given(st.text(max_size=40), st.sampled_from(["", "en", "es", "th", "zz"]))
def test_any_text_is_judged(text: str, language: str) -> None:
    assert wordless(text, language) in (True, False)
    assert guess(text, ("en", language)) in ("", "en", language)
