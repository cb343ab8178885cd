"""Whether it is there, and whether it is the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge.policy.identity import SAMPLES, Identity, Likeness, Presence, describe, same
from edge.values import Mask, Pixels


def drawn(
    colour: tuple[int, int, int], stripe: tuple[int, int, int], seed: int = 0, light: float = 1.0, size: int = 60
) -> Pixels:
    """A striped bottle on a grey wall, with noise."""
    picture = np.full((120, 160, 3), 120, np.float64)
    picture[20 : 20 + size, 50 : 50 + size // 2] = colour
    picture[20 + size // 3 : 20 + size // 2, 50 : 50 + size // 2] = stripe
    noise = np.random.default_rng(seed).normal(0, 5, picture.shape)
    return np.clip(picture * light + noise, 0, 255).astype(np.uint8)


def around(size: int = 60, appearance: list[float] | None = None) -> Mask:
    bits = np.zeros((120, 160), np.bool_)
    bits[20 : 20 + size, 50 : 50 + size // 2] = True
    return Mask(1, bits, 0.9, None if appearance is None else np.asarray(appearance, np.float32))


RED, BLUE, WHITE = (30, 30, 200), (200, 60, 30), (240, 240, 240)


def test_one_bad_picture_loses_nothing_and_many_do() -> None:
    presence = Presence()
    assert [presence.update(score, 500, at) for at, score in enumerate((0.9, 0.1, 0.1, 0.9, 0.1, 0.9))] == [None] * 6
    assert [presence.update(0.1, 500, at) for at in range(6, 10)] == [None, None, "lost", None]
    assert (presence.present, presence.changed_ns) == (False, 8)


def test_one_good_picture_finds_nothing_and_two_do() -> None:
    presence = Presence()
    presence.lose(0)
    assert [presence.update(score, 500, at) for at, score in enumerate((0.9, 0.1, 0.1, 0.9, 0.9))] == [*[None] * 4, "found"]


def test_a_speck_is_not_the_object() -> None:
    presence = Presence()
    changes = [presence.update(0.99, 3, at) for at in range(4)]
    assert changes == [None, None, None, "lost"]


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1000))))
def test_lost_and_found_take_turns(seen: list[tuple[float, int]]) -> None:
    presence = Presence()
    changes = [change for at, (score, area) in enumerate(seen) if (change := presence.update(score, area, at))]
    assert (
        changes == ["lost", "found"][:1] * (len(changes) % 2)
        or changes == ["lost", "found"] * (len(changes) // 2)
        or (changes == [*["lost", "found"] * (len(changes) // 2), "lost"])
    )


@given(st.lists(st.floats(0.36, 0.54)))
def test_between_the_two_nothing_changes(scores: list[float]) -> None:
    for present in (True, False):
        presence = Presence()
        if not present:
            presence.lose(0)
        assert not any(presence.update(score, 500, at) for at, score in enumerate(scores))


def test_the_same_comes_back_and_another_does_not() -> None:
    identity = Identity()
    assert identity.judge(drawn(RED, WHITE), around()) is Likeness.UNSURE
    identity.learn(drawn(RED, WHITE), around())
    assert identity.judge(drawn(RED, WHITE, seed=1), around()) is Likeness.SAME
    assert identity.judge(drawn(RED, WHITE, seed=1, light=0.85), around()) is not Likeness.OTHER
    assert identity.judge(drawn(BLUE, WHITE, seed=1), around()) is Likeness.OTHER
    assert identity.judge(drawn(RED, WHITE, seed=2, size=90), around(90)) is Likeness.SAME, "nearer is not another"


def test_what_the_engine_doubts_is_unsure_and_never_more_sure() -> None:
    identity = Identity()
    identity.learn(drawn(RED, WHITE), around(appearance=[1, 0]))
    assert identity.judge(drawn(RED, WHITE, 1), around(appearance=[0.9, 0.43])) is Likeness.SAME
    assert identity.judge(drawn(RED, WHITE, 1), around(appearance=[0, 1])) is Likeness.UNSURE
    assert identity.judge(drawn(BLUE, WHITE, 1), around(appearance=[1, 0])) is Likeness.OTHER


def test_looks_are_learnt_as_they_change() -> None:
    identity = Identity()
    for step in range(40):  # it turns slowly from red to blue
        share = step / 39
        colour = tuple(int((1 - share) * one + share * other) for one, other in zip(RED, BLUE, strict=True))
        identity.learn(drawn(colour, WHITE, step), around())  # type: ignore[arg-type]  # three of three
    assert identity.judge(drawn(BLUE, WHITE, 50), around()) is Likeness.SAME
    assert identity.judge(drawn(RED, WHITE, 50), around()) is Likeness.SAME, "the first sight is kept"


def test_nothing_to_see_is_described_by_nothing() -> None:
    pixels = drawn(RED, WHITE)
    assert describe(pixels, Mask(1, np.zeros((120, 160), np.bool_), 0.0)) is None
    assert describe(pixels, Mask(1, np.ones((60, 80), np.bool_), 0.9)) is None, "a mask of another size"
    identity = Identity()
    identity.learn(pixels, Mask(1, np.zeros((120, 160), np.bool_), 0.0))
    assert identity.judge(pixels, around()) is Likeness.UNSURE


@given(arrays.arrays(np.uint8, (30, 40, 3)), st.integers(0, 26), st.integers(0, 36), st.integers(3, 40), st.integers(3, 40))
def test_a_description_has_length_one(pixels: Pixels, top: int, left: int, high: int, wide: int) -> None:
    bits = np.zeros((30, 40), np.bool_)
    bits[top : top + high, left : left + wide] = True
    looks = describe(pixels, Mask(1, bits, 0.9))
    assert looks is not None
    assert float(np.linalg.norm(looks)) == pytest.approx(1, abs=1e-4)
    assert same(float(looks @ looks)) is Likeness.SAME
    assert looks.shape == (4 * 9 * 9 + 4 * 4 * 8,)
    assert SAMPLES == 48
