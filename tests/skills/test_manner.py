"""Loudness and pace move in steps, within bounds, and the confirmation is spoken in the new manner."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.phrases import plain, variants
from edge.skills.manner import FASTEST, LOUDEST, SLOWEST, SOFTEST, Manner, changed
from edge.values import VoiceStyle
from tests.skills.asking import FakeAsking, said

WAYS = [plain(way) for phrase in Manner.phrases for way in variants(phrase)]


@pytest.mark.parametrize(
    ("request_", "answer", "volume", "rate"),
    [
        ("louder", "Louder.", 1.414, 1.0),
        ("speak up", "Louder.", 1.414, 1.0),
        ("turn it down", "Softer.", 0.707, 1.0),
        ("quieter", "Softer.", 0.707, 1.0),
        ("that is too loud", "Softer.", 0.707, 1.0),
        ("a bit louder", "Louder.", 1.189, 1.0),
        ("faster", "Faster.", 1.0, 1.2),
        ("speak much faster", "Faster.", 1.0, 1.44),
        ("slow down", "Slower.", 1.0, 0.833),
        ("too fast", "Slower.", 1.0, 0.833),
        ("too slow", "Faster.", 1.0, 1.2),
    ],
)
async def test_a_step(request_: str, answer: str, volume: float, rate: float) -> None:
    asking = FakeAsking(request_)
    assert await said(Manner(), asking) == answer
    assert asking.style.volume == pytest.approx(volume, abs=1e-3)
    assert asking.style.rate == pytest.approx(rate, abs=1e-3)


async def test_the_new_style_holds_before_the_confirmation_is_given() -> None:
    asking = FakeAsking("louder")
    answer = Manner().answer(asking)
    assert await anext(answer) == "Louder."
    assert asking.styles == [asking.style]
    assert asking.style.volume > 1
    assert [piece async for piece in answer] == []


@pytest.mark.parametrize(
    ("request_", "end"),
    [
        ("louder", "This is as loud as I can speak."),
        ("softer", "This is as soft as I can speak."),
        ("faster", "This is as fast as I can speak."),
        ("slower", "This is as slow as I can speak."),
    ],
)
async def test_it_says_when_there_is_no_more_to_give(request_: str, end: str) -> None:
    asking = FakeAsking(request_)
    answers = [await said(Manner(), asking) for _ in range(12)]
    assert answers[0] != end
    assert answers[-1] == end
    assert asking.styles[-1] == asking.styles[-2]


async def test_back_to_normal() -> None:
    odd = VoiceStyle(rate=2.0, pitch=1.3, volume=0.5)
    assert changed(odd, set("normal voice".split())) == (VoiceStyle(), "Back to normal.")
    assert changed(odd, set("normal speed".split()))[0] == VoiceStyle(1.0, 1.3, 0.5)
    assert changed(odd, set("normal volume".split()))[0] == VoiceStyle(2.0, 1.3, 1.0)


@given(st.lists(st.sampled_from(WAYS), max_size=30), st.floats(0.5, 2.5), st.floats(0.0, 2.0))
def test_no_run_of_requests_leaves_the_bounds(requests: list[str], rate: float, volume: float) -> None:
    style = VoiceStyle(rate=rate, volume=volume)
    for request in requests:
        before = style
        style, answer = changed(style, set(request.split()))
        assert SLOWEST <= style.rate <= FASTEST
        assert min(SOFTEST, volume) <= style.volume <= LOUDEST
        if answer in ("Louder.", "Softer."):
            assert (style.volume > before.volume) == (answer == "Louder.")
        assert answer.startswith("This is") <= (style == before)


def test_every_phrase_changes_something() -> None:
    odd = VoiceStyle(rate=1.1, volume=1.1)
    assert [way for way in WAYS if changed(odd, set(way.split()))[0] == odd] == []
