"""Which thing is meant: boxes and words in, one box out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy import choosing
from edge.policy.choosing import Candidate, Place, Relation, Wanted, understand
from edge.values import Box

WIDE, HIGH = 640, 480
NAMES = ("person", "bottle", "cup", "wine glass", "chair", "couch", "cell phone", "orange", "dining table")


def at(x: float, y: float, size: float = 60, label: str = "cup", *colours: str) -> Candidate:
    return Candidate(Box(x - size / 2, y - size / 2, x + size / 2, y + size / 2), label, 0.9, colours)


LEFT = at(100, 300, 60, "cup", "red")
MIDDLE = at(320, 240, 80, "bottle", "blue")
RIGHT = at(540, 300, 100, "cup", "green")
FAR = at(330, 120, 40, "chair", "brown")
ALL = (LEFT, MIDDLE, RIGHT, FAR)


def chosen(words: str, things: tuple[Candidate, ...] = ALL, **rest: object) -> Candidate | None:
    choice = choosing.choose(things, understand(words, NAMES), WIDE, HIGH, **rest)  # type: ignore[arg-type]
    return choice.candidate if choice else None


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("what is this", MIDDLE),
        ("what is the red one", LEFT),
        ("the green thing", RIGHT),
        ("the left one", LEFT),
        ("what is on the right", RIGHT),
        ("the top one", FAR),
        ("the second from the left", MIDDLE),
        ("the third from the left", FAR),
        ("the biggest one", RIGHT),
        ("the smallest thing", FAR),
        ("the nearest one", RIGHT),
        ("my mug on the left", LEFT),
        ("the second cup from the left", RIGHT),
        ("the bottle", MIDDLE),
        ("the thing in the middle", MIDDLE),
        ("the purple one", None),
        ("the person", None),
        ("the fifth from the left", None),
    ],
)
def test_words_choose(words: str, meant: Candidate | None) -> None:
    assert chosen(words) == meant


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("the one behind it", FAR),
        ("the one in front of it", RIGHT),
        ("the other one", FAR),
        ("not that one", FAR),
        ("the one to the left of it", LEFT),
        ("the one to the right of it", RIGHT),
        ("the other one on the right", RIGHT),
        ("the bigger one", RIGHT),
        ("the smaller one", FAR),
        ("the one above it", FAR),
        ("the other red one", LEFT),
        ("the other bottle", None),
    ],
)
def test_a_correction_moves_from_what_was_meant(words: str, meant: Candidate | None) -> None:
    assert chosen(words, before=MIDDLE.box) == meant


def test_a_correction_offers_nothing_twice() -> None:
    before, passed, offered = MIDDLE.box, list[Box](), []
    while (one := chosen("the other one", before=before, passed_over=tuple(passed))) is not None:
        offered.append(one)
        passed.append(before)
        before = one.box
    assert sorted(offered, key=id) == sorted((LEFT, RIGHT, FAR), key=id)


def test_of_things_one_in_the_other_the_small_one_is_looked_at() -> None:
    table, person = at(320, 300, 500, "dining table"), at(320, 200, 380, "person")
    assert chosen("what is this", (table, person, MIDDLE)) == MIDDLE


def test_what_is_not_looked_at_is_not_meant_by_this() -> None:
    assert chosen("what is this", (LEFT, RIGHT)) is None
    assert chosen("what is this", (LEFT, RIGHT), point=(110.0, 290.0)) == LEFT


def test_two_that_fit_as_well_make_it_unsure() -> None:
    twins = (at(300, 240), at(350, 240))
    choice = choosing.choose(twins, Wanted(), WIDE, HIGH)
    assert choice is not None
    assert not choice.sure
    alone = choosing.choose(twins[:1], Wanted(), WIDE, HIGH)
    assert alone is not None
    assert alone.sure


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("what is this", Wanted()),
        ("the orange", Wanted(("orange",))),
        ("the orange cup", Wanted(("cup",), "orange")),
        ("the orange one", Wanted((), "orange")),
        ("the gray couch", Wanted(("couch",), "grey")),
        ("the sofa to the left of it", Wanted(("couch",), relation=Relation.LEFT_OF)),
        ("my phone on the left", Wanted(("cell phone",), place=Place.LEFT)),
        ("the second one", Wanted(place=Place.LEFT, rank=2)),
        ("what is in front of me", Wanted()),
        ("the second from the right", Wanted(place=Place.RIGHT, rank=2)),
    ],
)
def test_words_are_understood(words: str, wanted: Wanted) -> None:
    assert understand(words, NAMES) == wanted


SIDES = st.floats(0, 600)
BOXES = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), SIDES, SIDES, st.floats(1, 200), st.floats(1, 200))
WORDS = st.lists(
    st.sampled_from("the other second red cup left biggest one behind it in front of next to bottle orange not that".split())
).map(" ".join)


@given(WORDS, st.lists(BOXES, max_size=6), st.one_of(st.none(), BOXES))
def test_any_words_choose_one_of_the_things_or_none(words: str, boxes: list[Box], before: Box | None) -> None:
    things = [Candidate(box, "cup", 0.9, ("red",)) for box in boxes]
    choice = choosing.choose(things, understand(words, NAMES), WIDE, HIGH, None, before, tuple(boxes[:1]))
    assert choice is None or choice.candidate in things


@given(BOXES, st.floats(0, 2))
def test_a_grown_box_holds_the_box_and_stays_inside(box: Box, share: float) -> None:
    wide = choosing.grown(box, share, 800, 800)
    assert 0 <= wide.x0 <= box.x0 and 0 <= wide.y0 <= box.y0
    assert box.x1 <= wide.x1 <= 800 and box.y1 <= wide.y1 <= 800
