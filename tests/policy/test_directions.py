"""Where a box is, in words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy import directions
from edge.values import Box

WIDE, HIGH = 640, 480


def box(x: float, y: float = 240, width: float = 60, height: float = 60) -> Box:
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


@pytest.mark.parametrize(
    ("x", "plain", "blind"),
    [
        (320, "straight ahead", "straight ahead, at twelve o'clock"),
        (220, "a little to the left", "at twelve o'clock, a little to the left"),
        (80, "to the left", "at eleven o'clock"),
        (600, "to the right", "at one o'clock"),
    ],
)
def test_directions(x: float, plain: str, blind: str) -> None:
    found = directions.where(box(x), WIDE, HIGH)
    assert directions.direction(found, "plain") == plain
    assert directions.direction(found, "blind") == blind


@pytest.mark.parametrize(
    ("bearing", "hour"), [(0, "twelve"), (-16, "eleven"), (44, "one"), (46, "two"), (-60, "ten"), (80, "three"), (-170, "nine")]
)
def test_the_clock_has_thirty_degrees_an_hour(bearing: float, hour: str) -> None:
    assert directions.clock(bearing) == f"at {hour} o'clock"


def test_a_wide_camera_turns_farther() -> None:
    wide = directions.where(box(620), WIDE, HIGH, field_of_view=120)
    assert directions.clock(wide.bearing) == "at two o'clock"


@pytest.mark.parametrize("metres", [1, 2, 5, 9])
def test_distance_is_that_of_a_pinhole_camera(metres: int) -> None:
    focal = WIDE / 2 / math.tan(math.radians(33))
    person = box(320, 240, 40, min(470, focal * 1.65 / metres))
    found = directions.where(person, WIDE, HIGH, "person")
    if metres == 1:  # at one metre a person does not fit: the height says no more than "near"
        assert found.distance is None or found.distance < 2
    else:
        assert found.distance == pytest.approx(metres, rel=0.01)
        assert str(directions.distance(found)).startswith("about ")


@pytest.mark.parametrize(
    ("thing", "label", "words"),
    [
        (box(320, 240, 600, 400), "book", "very close"),
        (box(320, 240, 600, 400), "truck", "about three metres away"),
        (box(320, 240, 20, 120), "bottle", "about one metre away"),
        (box(320, 240, 60, 200), "bottle", "within reach"),
        (box(320, 240, 10, 30), "person", "more than ten metres away"),
        (box(320, 240, 10, 30), "book", ""),
        (box(320, 240, 10, 30), "", ""),
    ],
)
def test_distances_in_words(thing: Box, label: str, words: str) -> None:
    assert directions.distance(directions.where(thing, WIDE, HIGH, label)) == words


def test_up_and_down_are_told_to_who_cannot_see() -> None:
    high = directions.where(box(80, 20), WIDE, HIGH)
    low = directions.where(box(80, 460), WIDE, HIGH)
    assert directions.direction(high, "blind") == "at eleven o'clock, above you"
    assert directions.direction(low, "blind") == "at eleven o'clock, low down"
    assert not high.centred


@given(st.floats(-2000, 3000), st.floats(-2000, 3000), st.floats(0, 3000), st.floats(0, 3000), st.sampled_from(["", "person"]))
def test_any_box_has_words(x: float, y: float, width: float, height: float, label: str) -> None:
    found = directions.where(Box(x, y, x + width, y + height), WIDE, HIGH, label)
    for manner in ("plain", "blind"):
        assert directions.said(found, manner)
    mirrored = directions.where(Box(WIDE - x - width, y, WIDE - x, y + height), WIDE, HIGH, label)
    assert mirrored.bearing == pytest.approx(-found.bearing, abs=1e-6)
