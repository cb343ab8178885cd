"""Translations that are none."""

from __future__ import annotations

import pytest

from edge.policy.target_words import words_of
from edge.policy.translation_guards import fault

TEN = "we went to the old house by the long river"


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        (TEN, "fuimos a la vieja casa por el río largo", ""),
        ("ok", "estoy de acuerdo con usted señor mío", ""),
        ("no no no no no no no no no", "no no no no no no no no no", ""),
        (TEN, "我们沿着长河去了那座老房子。", ""),
        ("我们沿着长河去了那座老房子。", TEN, ""),
        (TEN, "", "empty"),
        (TEN, "...", "empty"),
        (TEN, "fuimos", "short"),
        (TEN, "la casa vieja " * 3, "loop"),
        (TEN, "fuimos " * 9, "loop"),
        (TEN, "uno dos tres cuatro cinco seis siete ocho nueve diez once " * 3, "long"),
        (TEN, "我们沿着长河去了那座老房子" * 5, "long"),
    ],
)
def test_faults(source: str, target: str, why: str) -> None:
    assert fault(words_of(source), words_of(target)) == why
