"""What people call things, and what detectors do."""

from __future__ import annotations

import pytest

from edge.policy import nouns
from models.fastestdet import LABELS


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("bottle", {"bottle"}),
        ("my blue water bottle over there", {"bottle"}),
        ("the bottle of water", {"bottle"}),
        ("people", {"person"}),
        ("women", {"person"}),
        ("a glass", {"cup", "wine glass"}),
        ("my glasses", {"cup", "wine glass"}),
        ("wine glasses", {"wine glass"}),
        ("sofa", {"couch"}),
        ("couches", {"couch"}),
        ("my phone", {"cell phone"}),
        ("cell phones", {"cell phone"}),
        ("buses", {"bus"}),
        ("the bus", {"bus"}),
        ("knives", {"knife"}),
        ("scissors", {"scissors"}),
        ("dog in front of me", {"dog"}),
        ("hot dog", {"hot dog"}),
        ("bag", {"handbag", "backpack", "suitcase"}),
        ("keys", set()),
        ("cup holder", set()),
        ("", set()),
        ("answer to life", set()),
    ],
)
def test_words_and_kinds(words: str, kinds: set[str]) -> None:
    assert set(nouns.kinds(words, LABELS)) == kinds


@pytest.mark.parametrize("label", LABELS)
def test_every_name_means_itself_and_is_known_as_it_is_spoken(label: str) -> None:
    assert nouns.kinds(label, LABELS)[0] == label
    assert label in nouns.kinds(nouns.spoken(label), LABELS)
    assert nouns.kinds(label, ()) == ()


def test_a_list_is_spoken() -> None:
    assert nouns.listed(["a cup"]) == "a cup"
    assert nouns.listed(["a cup", "a dog", "two cars"]) == "a cup, a dog and two cars"
