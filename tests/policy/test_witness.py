from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytest

from edge.policy.witness import Witness
from edge.values import Box, Detection

STEP_NS = 125_000_000
TRACK, BESIDE = Box(100, 100, 200, 200), Box(300, 100, 400, 200)
SURE, FAINT = Detection("dog", TRACK, 0.7), Detection("dog", TRACK, 0.35, sure=False)
STRAY = Detection("dog", BESIDE, 0.7)

Word = Detection | Literal["gone"] | None


def words(found: Sequence[Sequence[Detection]], score: float = 0.7) -> list[Word]:
    witness = Witness()
    return [witness.look(n * STEP_NS, TRACK, score, seen) for n, seen in enumerate(found)]


def test_a_track_that_slipped_off_is_told_where_its_thing_is() -> None:
    said = words([[SURE]] * 5 + [[STRAY]] * 5)
    assert said[:6] == [None] * 6 and said[7] == STRAY, "one picture is not enough"


def test_it_is_not_heard_before_it_called_the_track_by_that_name() -> None:
    assert words([[STRAY]] * 20) == [None] * 20
    assert words([[FAINT]] * 5 + [[]] * 20) == [None] * 25, "nor where it was never sure"


def test_of_two_it_does_not_know_which() -> None:
    assert words([[SURE, STRAY]] * 5 + [[STRAY]] * 3) == [None] * 8


@pytest.mark.parametrize(
    "on", [FAINT, Detection("dog", Box(150, 120, 190, 190), 0.6), Detection("dog", Box(90, 40, 240, 220), 0.6)]
)
def test_what_is_partly_or_faintly_on_the_track_is_on_it(on: Detection) -> None:
    assert words([[SURE]] * 5 + [[on, STRAY]] * 20)[:5] == [None] * 5
    assert STRAY not in words([[SURE]] * 5 + [[on, STRAY]] * 20)


def test_what_it_no_longer_sees_is_gone_where_the_segmenter_doubts() -> None:
    said = words([[SURE]] * 20 + [[]] * 8)
    assert said.index("gone") - 19 == 4, "four misses of a thing that is seen nine times of ten"
    assert words([[SURE]] * 20 + [[]] * 8, score=0.95) == [None] * 28


def test_misses_are_no_news_of_a_thing_that_it_often_misses() -> None:
    assert words([[SURE], [], []] * 8) == [None] * 24
