"""Lines come back in the order people read them, whatever order and whichever way up they were found in."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.layout import Priced, arrange, blocks, dates, phone_numbers, prices, sign
from edge.values import Box, Reading, TextLine


def line(text: str, x: float, y: float, height: float = 20.0) -> TextLine:
    """A level line whose letters are half as wide as high."""
    return TextLine(text, Box(x, y, x + len(text) * height / 2, y + height), 0.99)


def turned(lines: list[TextLine], degrees: float, about: tuple[float, float] = (400, 300)) -> list[TextLine]:
    """The same page after the camera was turned: each box encloses its turned line."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    moved = []
    for found in lines:
        box = found.box
        corners = [(x - about[0], y - about[1]) for x in (box.x0, box.x1) for y in (box.y0, box.y1)]
        xs, ys = zip(*((x * cos - y * sin, x * sin + y * cos) for x, y in corners), strict=True)
        around = Box(min(xs) + about[0], min(ys) + about[1], max(xs) + about[0], max(ys) + about[1])
        moved.append(TextLine(found.text, around, found.confidence, (found.angle + degrees + 180) % 360 - 180))
    return moved


NOTICE = [
    line("NOTICE", 100, 50),
    line("DOUBLE PARKING", 100, 80),
    line("PROHIBITED", 100, 110),
    line("AT ALL TIMES", 100, 140),
]
MENU = [
    *(line(name, 100, 100 + 40 * at) for at, name in enumerate(("Espresso", "Latte", "Hot chocolate", "Tea"))),
    *(line(price, 500, 102 + 40 * at) for at, price in enumerate(("2.50", "3.20", "3.80", "2.00"))),
]
LEFT = ["The ferry leaves from", "the northern quay at", "seven in the morning."]
RIGHT = ["Tickets are sold at the", "kiosk beside the café", "until it has sailed."]
PAGE = [
    line("A heading over both of the columns", 100, 40, 28),
    *(line(text, 100, 100 + 30 * at) for at, text in enumerate(LEFT)),
    *(line(text, 420, 104 + 30 * at) for at, text in enumerate(RIGHT)),
    line("And a last line that runs below both of the columns.", 100, 240),
]
TIMETABLE = [
    *(line(text, 100, 100 + 30 * at) for at, text in enumerate(("London", "Leeds", "York"))),
    *(line(text, 300, 100 + 30 * at) for at, text in enumerate(("10:45", "10:52", "11:05"))),
    *(line(text, 450, 100 + 30 * at) for at, text in enumerate(("Platform 1", "Platform 9", "cancelled"))),
]


def rows(lines: list[TextLine]) -> list[str]:
    return [row.text for block in blocks(lines) for row in block.rows]


def shuffled(lines: list[TextLine]) -> list[TextLine]:
    return random.Random(4).sample(lines, len(lines))


def test_a_sign_is_read_from_top_to_bottom() -> None:
    assert rows(shuffled(NOTICE)) == ["NOTICE", "DOUBLE PARKING", "PROHIBITED", "AT ALL TIMES"]
    assert len(blocks(NOTICE)) == 1


def test_a_price_stays_with_its_dish() -> None:
    assert rows(shuffled(MENU)) == ["Espresso 2.50", "Latte 3.20", "Hot chocolate 3.80", "Tea 2.00"]


def test_two_menus_side_by_side_are_read_one_after_the_other() -> None:
    right = [TextLine(found.text.upper(), Box(b.x0 + 600, b.y0, b.x1 + 600, b.y1), 0.9) for found in MENU for b in [found.box]]
    assert rows(shuffled([*MENU, *right])) == [*rows(MENU), *(row.upper() for row in rows(MENU))]


def test_columns_of_running_text_are_read_one_after_the_other() -> None:
    assert rows(shuffled(PAGE)) == [PAGE[0].text, *LEFT, *RIGHT, PAGE[-1].text]


def test_a_timetable_is_read_row_by_row() -> None:
    assert rows(shuffled(TIMETABLE)) == ["London 10:45 Platform 1", "Leeds 10:52 Platform 9", "York 11:05 cancelled"]


@pytest.mark.parametrize("degrees", [-12, -5, 4, 15, 86, 90, 171, 180, -90])
@pytest.mark.parametrize("page", [NOTICE, MENU, PAGE, TIMETABLE], ids=["notice", "menu", "page", "timetable"])
def test_a_turned_page_is_read_like_a_level_one(page: list[TextLine], degrees: float) -> None:
    assert rows(shuffled(turned(page, degrees))) == rows(page)


def test_letters_of_another_size_and_wide_gaps_part_blocks() -> None:
    page = [
        line("EXIT", 100, 20, 80),
        line("in case of fire", 100, 110),
        line("use the stairs", 100, 136),
        line("Ground floor", 100, 400),
    ]
    assert [block.text for block in blocks(page)] == ["EXIT", "in case of fire\nuse the stairs", "Ground floor"]


boxes = st.tuples(st.floats(0, 2000), st.floats(0, 2000), st.floats(0, 900), st.floats(0, 900))


@given(st.lists(st.tuples(boxes, st.floats(-180, 180), st.text(min_size=1, max_size=30)), max_size=25))
def test_no_line_is_lost_or_doubled(found: list[tuple[tuple[float, float, float, float], float, str]]) -> None:
    lines = tuple(TextLine(text, Box(x, y, x + w, y + h), 0.9, angle) for (x, y, w, h), angle, text in found)
    arranged = arrange(Reading(lines, blurred=True))
    assert sorted(map(id, arranged.lines)) == sorted(map(id, lines))
    assert arranged.blurred


def test_the_sign_is_the_large_one_near_the_middle() -> None:
    page = [*NOTICE, line("The Post", 20, 560, 14), line("Some shop far off in the corner", 560, 4, 16)]
    found = sign(page, 800, 600)
    assert found is not None
    assert found.text == "NOTICE\nDOUBLE PARKING\nPROHIBITED\nAT ALL TIMES"
    assert sign([], 800, 600) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Espresso 2.50", [("Espresso", "2.50")]),
        ("Total: €12,90 incl. 19% VAT", [("Total", "€12,90")]),
        ("Tea ....... $ 3", [("Tea", "$ 3")]),
        ("Was £1,299.00 now 999 GBP", [("Was", "£1,299.00"), ("now", "999 GBP")]),
        ("5 € each", [("", "5 €")]),
        ("Open 9.30 to 17:00", [("Open", "9.30")]),
        ("03/09/2009", []),
        ("20% off", []),
        ("Platform 9", []),
        ("12.05.2026", []),
    ],
)
def test_prices(text: str, found: list[tuple[str, str]]) -> None:
    assert prices([line(text, 0, 0)]) == tuple(Priced(*one) for one in found)


def test_numbers_without_a_currency_are_no_prices_beside_those_with_one() -> None:
    assert prices([line("Bread 500.00 g", 0, 0), line("€ 3.40", 0, 40)]) == (Priced("", "€ 3.40"),)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Call 020 7946 0958 now", ("020 7946 0958",)),
        ("+49 (30) 901820", ("+49 (30) 901820",)),
        ("555-0123", ("555-0123",)),
        ("Open 9:00-17:00", ()),
        ("2026-11-22", ()),
        ("€ 12,90", ()),
        ("4006381333931", ()),
    ],
)
def test_phone_numbers(text: str, found: tuple[str, ...]) -> None:
    assert phone_numbers([line(text, 0, 0)]) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("best before 03/09/2009", ("03/09/2009",)),
        ("EXP 22.11.26 L204", ("22.11.26",)),
        ("2026-11-22T10:00", ("2026-11-22",)),
        ("Sunday 22nd November 2026", ("22nd November 2026",)),
        ("Nov. 22, 2026", ("Nov. 22, 2026",)),
        ("Version 1.2.3", ()),
        ("10:45 Platform 9", ()),
    ],
)
def test_dates(text: str, found: tuple[str, ...]) -> None:
    assert dates([line(text, 0, 0)]) == found
