"""``nearsight read`` with ``--to``: real reading and real translation of drawn signs, and what is told when it cannot be."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.cli.command import Command
from tests.models.apertium_here import needs_apertium

pytestmark = pytest.mark.real_time


def draw(path: Path, *rows: tuple[int, int, str], size: tuple[int, int] = (900, 500)) -> Path:
    """Draws texts, each with the x and y of its lower left corner, in letters 40 pixels high."""
    picture = np.full((size[1], size[0], 3), 245, np.uint8)
    for x, y, text in rows:
        cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (10, 10, 10), 3, cv2.LINE_AA)
    assert cv2.imwrite(str(path), picture)
    return path


@pytest.fixture
def sign(tmp_path: Path) -> Path:
    rows = ("Prohibido el paso", "a toda persona", "ajena a la obra")
    return draw(tmp_path / "sign.png", *((40, 100 + 70 * at, row) for at, row in enumerate(rows)))


def test_a_sentence_on_three_rows_is_translated_as_one(nearsight: Command, sign: Path) -> None:
    needs_apertium()
    done = nearsight("read", sign, "--to", "English")
    assert done.status == 0, done.err
    whole, translation = done.out.splitlines()
    assert whole == "Prohibido el paso a toda persona ajena a la obra"
    assert translation.startswith("    ") and "person" in translation


def test_a_menu_keeps_its_prices_and_the_place_of_each_row(nearsight: Command, tmp_path: Path) -> None:
    needs_apertium()
    rows = (("Sopa de ajo", "4.50"), ("Ensalada mixta", "6.00"), ("Agua mineral", "1.80"))
    cells = [(x, 100 + 80 * at, text) for at, row in enumerate(rows) for x, text in zip((40, 700), row, strict=True)]
    menu = draw(tmp_path / "menu.png", *cells)
    done = nearsight("read", menu, "--to", "en", "--from", "Spanish", "--json")
    assert [row["event"] for row in done.rows] == ["text"] * 6 + ["overlay"]
    [overlay] = done.of("overlay")
    assert (overlay["language"], overlay["width"], overlay["height"]) == ("en", 900, 500)
    assert [line["text"] for line in overlay["lines"]] == [name for name, _ in rows]
    assert overlay["lines"][2]["translation"] == "Mineral water"
    tops = [line["box"][1] for line in overlay["lines"]]
    assert tops == sorted(tops) and all(line["box"][2] < 700 for line in overlay["lines"])
    said = nearsight("read", menu, "--to", "en", "--from", "es").out.splitlines()
    assert [line[-4:] for line in said if line.startswith("    ")] == [price for _, price in rows]


def test_what_is_in_the_wanted_language_is_said_to_be(nearsight: Command, sign: Path) -> None:
    needs_apertium()
    done = nearsight("read", sign, "--to", "es")
    assert done.status == 0 and done.out.splitlines()[-1] == "(The text is Spanish already.)"
    assert [row["code"] for row in nearsight("read", sign, "--to", "es", "--json").of("notice")] == ["same_language"]


def test_what_cannot_be_translated_is_refused_before_anything_is_read(nearsight: Command, sign: Path) -> None:
    for words, why in (
        (("--to", "spannnish", "--from", "spanish"), "both Spanish"),
        (("--to", "qqqq"), "no language 'qqqq'"),
        (("--from", "es"), "--to"),
    ):
        done = nearsight("read", sign, *words)
        assert done.status == 2 and why in done.err and not done.out, (words, done)
    needs_apertium()
    done = nearsight("read", sign, "--to", "ja", "--from", "es")
    assert done.status == 2 and "nearsight models pull --translate" in done.err and not done.out


def test_what_was_read_is_shown_where_no_translation_can_be(nearsight: Command, sign: Path, tmp_path: Path) -> None:
    needs_apertium()
    done = nearsight("read", sign, "--to", "ja")
    assert done.status == 2 and "--translate es-ja" in done.err and done.out.startswith("Prohibido el paso\n")
    word = draw(tmp_path / "word.png", (40, 200, "Empujar"))
    done = nearsight("read", word, "--to", "en")
    assert done.status == 2 and "--from" in done.err and done.out == "Empujar\n"
    assert nearsight("read", word, "--to", "en", "--from", "es").out.startswith("Empujar\n    Push")


def test_nothing_and_figures_alone_need_no_language(nearsight: Command, tmp_path: Path) -> None:
    needs_apertium()
    assert nearsight("read", draw(tmp_path / "empty.png"), "--to", "en").out == "(no text)\n"
    assert nearsight("read", draw(tmp_path / "date.png", (40, 200, "03/09/2009")), "--to", "en").out == "03/09/2009\n"
