"""Words that ask for another word."""

from __future__ import annotations

import pytest

from edge.policy.ending import unfinished


@pytest.mark.parametrize(
    "text", ["tell me about the", "what is the price of milk and", "my number is five five one", "it is spelt j o", "call 0 7"]
)
def test_more_is_to_come(text: str) -> None:
    assert unfinished(text)


@pytest.mark.parametrize("text", ["", "and", "what does it say", "read line one", "who are you", "is this gate seven"])
def test_nothing_more_needs_to_come(text: str) -> None:
    assert not unfinished(text)
