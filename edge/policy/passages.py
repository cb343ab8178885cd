"""What belongs together of the rows that a reader found: a sentence broken to fit a sign, or one item of a list.

A row that fills its block's width runs on into the next and is joined to it; rows that are short or end in a price, as in a
menu, stand for themselves, and so do the rows of a list, which nearly all begin with a capital. A row that begins with a small
letter goes on with the one above it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from edge.policy.layout import Block, Row, figures, priced
from edge.values import Box, TextLine

LISTED: Final = 0.8
"""Share of rows that begin with a capital, from which a block is a list. Prose broken into rows has one in three or so."""
STOPS: Final = (".", "!", "?", "。", "！", "？")
_ENDS: Final = (*STOPS, ":", "：")
_SIGN_ROWS: Final = 5
_SIGN_LETTERS: Final = 24
"""A block of at most so many rows, all shorter than so many letters, is a sign."""
_FEW: Final = 3
"""Rows of a sign that are one sentence whatever they begin with: "Do not" and "Enter" must not come apart."""
_FULL: Final = 0.6
"""Share of the widest row from which a row of running text is full."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Rows that are one sentence, or part of one."""

    rows: tuple[Row, ...]

    @property
    def text(self) -> str:
        """The rows, one after the other; a word that was broken at a row's end is whole again."""
        return _joined(row.text for row in self.rows)

    @property
    def cells(self) -> tuple[TextLine, ...]:
        """What there is to translate: everything but the cells of figures behind it. Empty where nothing has letters."""
        lines = [line for row in self.rows for line in row.lines]
        while lines and figures(lines[-1].text):
            lines.pop()
        return tuple(lines) if any(sign.isalpha() for line in lines for sign in line.text) else ()

    @property
    def parts(self) -> tuple[str, str]:
        """The words, and the price or the figures behind them; empty words where nothing has letters."""
        cells = self.cells
        if not cells:
            return "", self.text
        words, price = priced(_joined(line.text for line in cells))
        behind = [line.text for row in self.rows for line in row.lines][len(cells) :]
        return words, " ".join([*([price] if price else []), *behind])

    def as_line(self) -> TextLine:
        """Gives ``cells`` as one line, in a box around all of them; of figures alone, those."""
        lines = self.cells or tuple(line for row in self.rows for line in row.lines)
        box = Box(
            min(line.box.x0 for line in lines),
            min(line.box.y0 for line in lines),
            max(line.box.x1 for line in lines),
            max(line.box.y1 for line in lines),
        )
        text = _joined(line.text for line in lines)
        return TextLine(text, box, min(line.confidence for line in lines), median(line.angle for line in lines))


def passages(blocks: Iterable[Block]) -> list[Passage]:
    """Gives the passages of blocks, in reading order."""
    found: list[Passage] = []
    for block in blocks:
        widest = max((len(row.text) for row in block.rows), default=0)
        small = len(block.rows) <= _SIGN_ROWS and widest < _SIGN_LETTERS
        listed = _capitals(block.rows) >= LISTED
        # Three rows of a sign are one sentence, however they were broken to fit.
        sign = small and (len(block.rows) <= _FEW or not listed)
        begun: list[Row] = []
        for at, row in enumerate(block.rows):
            begun.append(row)
            full = sign or (len(row.text) > _FULL * widest and not listed)
            if at + 1 == len(block.rows) or _ended(row, block.rows[at + 1], full=full, cased=_begins(block.rows[0])):
                found.append(Passage(tuple(begun)))
                begun = []
    return found


def _ended(row: Row, after: Row, *, full: bool, cased: bool) -> bool:
    """Whether a row is the last of its passage. ``cased``: the block begins as a sentence does, so small letters tell."""
    if row.text.endswith(_ENDS) or priced(row.text)[1]:
        return True
    if cased and after.text[0].islower():
        return False
    return row.text[-1].isdigit() or not full


def _capitals(rows: Sequence[Row]) -> float:
    return sum(map(_begins, rows)) / len(rows)


def _begins(row: Row) -> bool:
    """Whether a row begins as a sentence does: a capital, and small letters behind it."""
    return row.text[:1].isupper() and not row.text.isupper()


def _joined(texts: Iterable[str]) -> str:
    whole = ""
    for text in texts:
        broken = whole[-1:] == "-" and whole[-2:-1].isalpha() and text[:1].islower()
        whole = whole[:-1] + text if broken else f"{whole} {text}".strip()
    return whole
