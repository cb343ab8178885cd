"""The language of a text, by its commonest words."""

from __future__ import annotations

import pytest

from edge.policy.language_guess import guess
from edge.policy.languages import same
from tests.shared import index


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("¿Dónde está usted?", "es"),
        ("Wo ist der Bahnhof bitte?", "de"),
        ("где вокзал", "ru"),
        ("де є вокзал", "uk"),
        ("駅はどこですか", "ja"),
        ("火车站在哪里", "zh"),
        ("火車站喺邊度", "yue"),
        ("기차역이 어디예요", "ko"),
        ("ایستگاه کجاست چطور", "fa"),
        ("أين المحطة", "ar"),
        ("nobody", ""),
        ("", ""),
        ("12 34", ""),
    ],
)
def test_the_language_of_a_text(text: str, language: str) -> None:
    assert guess(text) == language


def test_a_choice_is_kept_to() -> None:
    assert guess("где вокзал", ("en", "bg")) == "bg"
    assert guess("где вокзал", ("en", "es")) == ""
    assert guess("火车站在哪里", ("zh", "ja")) == "zh"
    assert guess("the station is at the end of the street", ("en", "sw")) == "", "Swahili is not known, so it may be that"
    assert guess("the station is at the end of the street", ("en", "ja")) == "en"


def test_the_language_of_real_sentences() -> None:
    """Figures in the docstring of ``edge.policy.language_guess``."""
    rows = {row["text"]: row["lang"] for row in index() if row["kind"] == "speech" and row.get("ref") != "translation"}
    right = wrong = 0
    for text, language in ((text, language) for text, language in rows.items() if isinstance(text, str) and language):
        rivals = ("es", "fr", "de", "it", "pt") if same(language, "en") else ("en",)
        found = [guess(text, (language, rival)) for rival in rivals if "(" not in text]
        right += sum(same(one, language) for one in found)
        wrong += sum(bool(one) and not same(one, language) for one in found)
    assert wrong == 0
    assert right >= 400
