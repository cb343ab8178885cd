"""Which rows belong together, and what of them is there to translate."""

from __future__ import annotations

import pytest

from edge.policy import layout
from edge.policy.passages import passages
from edge.values import Box, TextLine


def rows(*texts: str | tuple[str, ...], height: int = 30) -> list[TextLine]:
    """Rows one below the other; the cells of a row stand 600 pixels apart."""
    return [
        TextLine(cell, Box(x, 20 + 1.4 * height * at, x + 14 * len(cell), 20 + 1.4 * height * at + height), 0.99)
        for at, row in enumerate(texts)
        for x, cell in zip((20, 620, 1220), (row,) if isinstance(row, str) else row, strict=False)
    ]


def texts(lines: list[TextLine]) -> list[str]:
    return [passage.text for passage in passages(layout.blocks(lines))]


@pytest.mark.parametrize(
    "sign",
    [
        ("Prohibido el paso", "a toda persona", "ajena a la obra"),
        ("NOTICE", "DOUBLE", "PARKING", "PROHIBITED", "AT ALL TIMES"),
        ("Do not", "Enter"),
        ("Keep Off", "The Grass"),
        ("Geöffnet seit", "1987 und länger"),
        ("Cerrado desde 1998", "por obras"),
    ],
)
def test_the_rows_of_a_sign_are_one_sentence(sign: tuple[str, ...]) -> None:
    assert texts(rows(*sign)) == [" ".join(sign)]


def test_the_rows_of_a_list_stand_for_themselves() -> None:
    listed = ("Sopa de ajo", "Tarta de queso", "Flan de la casa", "Agua mineral")
    assert texts(rows(*listed)) == [*listed]
    assert texts(rows("Horario:", "Lunes a viernes")) == ["Horario:", "Lunes a viernes"]


def test_a_row_that_goes_on_in_small_letters_is_joined_whatever_its_width() -> None:
    notice = ("Please keep", "this door closed at all times, also during the day", "and lock it.", "Thank you.")
    assert texts(rows(*notice)) == [" ".join(notice[:3]), notice[3]]


def test_a_price_ends_its_row_and_is_no_part_of_its_words() -> None:
    menu = rows("Sopa de ajo .... 4,50 €", "Pulpo con patatas 12,00", "Vino tinto 3,50 € / 14 €")
    found = passages(layout.blocks(menu))
    assert [passage.parts for passage in found] == [
        ("Sopa de ajo", "4,50 €"),
        ("Pulpo con patatas", "12,00"),
        ("Vino tinto", "3,50 € / 14 €"),
    ]
    assert [passage.as_line().text for passage in found] == [line.text for line in menu]


def test_prices_in_cells_of_their_own_are_not_covered() -> None:
    [soup, cake] = passages(layout.blocks(rows(("Sopa de ajo", "4,50 €"), ("Tarta de queso", "5,20 €"))))
    assert soup.parts == ("Sopa de ajo", "4,50 €") and cake.text == "Tarta de queso 5,20 €"
    assert soup.as_line().text == "Sopa de ajo" and soup.as_line().box.x1 < 600


@pytest.mark.parametrize("figures", ["03/09/2009", "9:00 - 14:00", "4,50 €"])
def test_figures_alone_have_nothing_to_translate(figures: str) -> None:
    [passage] = passages(layout.blocks(rows(figures)))
    assert passage.cells == () and passage.parts == ("", figures) and passage.as_line().text == figures


def test_a_word_broken_at_a_rows_end_is_whole_again() -> None:
    assert texts(rows("Keine Haus-", "tiere im Park")) == ["Keine Haustiere im Park"]
    assert texts(rows("Parking A -", "level 2")) == ["Parking A - level 2"]
    assert passages(()) == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Menu 30 %", ("Menu 30 %", "")),
        ("Room 12", ("Room 12", "")),
        ("€ 4.50", ("", "€ 4.50")),
        ("Tea 2.50 3.10", ("Tea", "2.50 3.10")),
        ("from 4.50 € a day", ("from 4.50 € a day", "")),
        ("", ("", "")),
    ],
)
def test_the_prices_that_a_text_ends_with(text: str, parts: tuple[str, str]) -> None:
    assert layout.priced(text) == parts
