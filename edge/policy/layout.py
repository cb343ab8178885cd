"""The order in which people read what stands in a picture, and the parts of it that they ask for.

Lines come as boxes. They are laid level first (a page may be tilted, or upside down), gathered into rows, and rows into
blocks: what stands close together, in letters of one size. Side by side stand either columns, which are read one after the
other, or the cells of a row ("Espresso ... 2.50"), which belong together. They are columns where each is running text, or has
figures of its own beside it; all else is rows: a timetable read column by column is of no use to anybody who cannot see it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from edge.values import Reading, TextLine

PROSE = 12
"""Letters a line from which a column counts as running text."""

_MONEY = re.compile(
    r"(?:(?:[€£$¥￥₹]|\b(?:EUR|USD|GBP|CHF|JPY|Rs\.?))\s?\d+(?:[.,\s]\d{3})*(?:[.,]\d{1,2})?)(?![\d.,]*\d)"
    r"|(?<![\d.,])\d+(?:[.,]\d{3})*(?:[.,]\d{1,2})?\s?(?:[€£$¥￥₹%]|(?:EUR|USD|GBP|CHF|kr|p|ct|cents?|pence|euros?|dollars?)\b)",
    re.IGNORECASE,
)
_BARE = re.compile(r"(?<![\d.,:/-])\d{1,4}[.,]\d{2}(?![\d.,:/%-])")
_FIGURES = re.compile(
    r"\W*(?:EUR|USD|GBP|CHF)?\s?[\d.,:/-]*\d[\d.,:/-]*\s?(?:[€£$¥￥₹%]|EUR|USD|GBP|CHF|kr|am|pm)?", re.IGNORECASE
)
_PHONE = re.compile(r"(?<![\w.,])(?:\+|\(|0)[\d\s()./-]{5,20}\d(?![\w])|(?<![\w.,])\d{3}[\s.-]\d{3,4}[\s.-]?\d{0,4}(?![\w.,])")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = re.compile(
    r"(?<!\d)(?:\d{4}-\d{2}-\d{2}|\d{1,2}([./-])\d{1,2}\1(?:\d{4}|\d{2}))(?![\d.]*\d)"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th)?\s+{_MONTH}(?:\s+\d{{4}})?\b|\b{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}})?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Row:
    """What stands side by side and belongs together, left to right."""

    lines: tuple[TextLine, ...]

    @property
    def text(self) -> str:
        """The pieces, a space between them."""
        return " ".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that stand close together, top to bottom."""

    rows: tuple[Row, ...]

    @property
    def lines(self) -> tuple[TextLine, ...]:
        """All its lines, in reading order."""
        return tuple(line for row in self.rows for line in row.lines)

    @property
    def text(self) -> str:
        """Its rows, one below the other."""
        return "\n".join(row.text for row in self.rows)


@dataclass(frozen=True, slots=True)
class Priced:
    """A price, and what it is the price of where that stands beside it."""

    name: str
    amount: str


@dataclass(frozen=True, slots=True)
class _Flat:
    """A line in the level picture: its middle and its own width and height, in pixels."""

    line: TextLine
    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2


# -- reading order ---------------------------------------------------------------------------------------------------------


def arrange(reading: Reading) -> Reading:
    """Gives the same reading with its lines in reading order."""
    return replace(reading, lines=tuple(line for block in blocks(reading.lines) for line in block.lines))


def blocks(lines: Sequence[TextLine]) -> tuple[Block, ...]:
    """Gathers lines into blocks, both in reading order."""
    gathered: list[Block] = []
    for column in _columns(_rows(_level(lines))):
        start = 0
        for end in range(1, len(column) + 1):
            if end == len(column) or _apart(column[end - 1], column[end]):
                gathered.append(Block(tuple(Row(tuple(flat.line for flat in row)) for row in column[start:end])))
                start = end
    return tuple(gathered)


def _level(lines: Sequence[TextLine]) -> list[_Flat]:
    """Turns the page about the origin until most of its text is level."""
    if not lines:
        return []
    # Lines vote for one of four ways up with their letters; within it, the median of their angles is the page's.
    votes = [0, 0, 0, 0]
    for line in lines:
        votes[round(line.angle / 90) % 4] += len(line.text)
    quarter = votes.index(max(votes))
    lean = median(_lean(line.angle) for line in lines if round(line.angle / 90) % 4 == quarter)
    turn = math.radians(quarter * 90 + lean)
    flats = []
    for line in lines:
        x, y = (line.box.x0 + line.box.x1) / 2, (line.box.y0 + line.box.y1) / 2
        width, height = _size(line)
        if (round(line.angle / 90) - quarter) % 2:
            width, height = height, width
        level_x = x * math.cos(turn) + y * math.sin(turn)
        flats.append(_Flat(line, level_x, y * math.cos(turn) - x * math.sin(turn), width, height))
    return flats


def _lean(angle: float) -> float:
    return angle - 90 * round(angle / 90)


def _size(line: TextLine) -> tuple[float, float]:
    """The line's own width and height, from the box around it: W = w cos + h sin, H = w sin + h cos."""
    lean = math.radians(abs(_lean(line.angle)))
    wide, high = line.box.width, line.box.height
    if round(line.angle / 90) % 2:
        wide, high = high, wide
    cos, sin = math.cos(lean), math.sin(lean)
    if math.degrees(lean) > 40:  # near 45 degrees the two equations are one; letters are taken to be half as wide as high
        height = high / (sin * max(1, len(line.text)) / 2 + cos)
        return max(1.0, (wide - height * sin) / cos), max(1.0, height)
    scale = cos * cos - sin * sin
    return max(1.0, (wide * cos - high * sin) / scale), max(1.0, (high * cos - wide * sin) / scale)


def _rows(flats: Iterable[_Flat]) -> list[list[_Flat]]:
    """Gathers what stands on one level, within half the height of the smaller letters; rows top to bottom."""
    rows: list[list[_Flat]] = []
    for flat in sorted(flats, key=lambda flat: flat.y):
        for row in reversed(rows[-3:]):
            if all(abs(flat.y - other.y) < min(flat.height, other.height) / 2 for other in row):
                row.append(flat)
                break
        else:
            rows.append([flat])
    return [sorted(row, key=lambda flat: flat.x) for row in rows]


def _columns(rows: list[list[_Flat]]) -> list[list[list[_Flat]]]:
    """Cuts rows into columns where there are any, one after the other; what is in none stays whole. Each is a list of rows."""
    columns: list[list[list[_Flat]]] = []
    whole: list[list[_Flat]] = []
    start = 0
    while start < len(rows):
        end, gaps = _shared_gaps(rows, start)
        parts = _parts(rows[start:end], gaps)
        if len(parts) > 1:
            columns += [whole, *parts]
            whole = []
        else:
            whole += rows[start:end]
        start = end
    return [column for column in (*columns, whole) if column]


def _shared_gaps(rows: list[list[_Flat]], start: int) -> tuple[int, list[tuple[float, float]]]:
    """Follows the rows from ``start`` down for as long as a gap goes through all of them; gives their end and the gaps."""
    gaps = [(-math.inf, math.inf)]
    last = start
    for end in range(start, len(rows)):
        narrowed = _free(gaps, rows[end])
        seen = [flat for row in rows[start : end + 1] for flat in row]
        if end > start and not _inner(narrowed, seen):
            break
        gaps, last = narrowed, end
    seen = [flat for row in rows[start : last + 1] for flat in row]
    return last + 1, _inner(gaps, seen)


def _free(gaps: list[tuple[float, float]], row: list[_Flat]) -> list[tuple[float, float]]:
    """What is left of gaps when a row's lines are taken out."""
    for flat in row:
        cut = []
        for left, right in gaps:
            cut += [(left, min(right, flat.left)), (max(left, flat.right), right)]
        gaps = [(left, right) for left, right in cut if right - left > flat.height / 2]
    return gaps


def _inner(gaps: list[tuple[float, float]], flats: list[_Flat]) -> list[tuple[float, float]]:
    """The gaps with text on both sides."""
    left, right = min(flat.left for flat in flats), max(flat.right for flat in flats)
    return [gap for gap in gaps if gap[0] > left and gap[1] < right]


def _parts(rows: list[list[_Flat]], gaps: list[tuple[float, float]]) -> list[list[list[_Flat]]]:
    """Cuts rows at the gaps; columns of figures stay with what stands to their left. One part where these are no columns."""
    edges = [-math.inf, *((left + right) / 2 for left, right in gaps), math.inf]
    parts = []
    for left, right in zip(edges, edges[1:], strict=False):
        part = [[flat for flat in row if left < flat.x <= right] for row in rows]
        parts.append([row for row in part if row])
    merged: list[list[list[_Flat]]] = []
    paired: list[bool] = []
    for part in parts:
        if merged and _figures(part):
            flats = [flat for row in (*merged[-1], *part) for flat in row]
            merged[-1] = _rows(flats)
            paired[-1] = True
        else:
            merged.append(part)
            paired.append(False)
    readable = all(len(part) > 1 and (pair or _prose(part)) for part, pair in zip(merged, paired, strict=True))
    return merged if readable else [rows]


def _figures(part: list[list[_Flat]]) -> bool:
    lines = [flat.line for row in part for flat in row]
    return sum(figures(line.text) for line in lines) * 2 > len(lines)


def _prose(part: list[list[_Flat]]) -> bool:
    return sum(len(flat.line.text) for row in part for flat in row) >= PROSE * len(part)


def _apart(above: list[_Flat], below: list[_Flat]) -> bool:
    """Whether a new block begins: by a wide gap, or letters of another size."""
    high, low = (median(flat.height for flat in row) for row in (above, below))
    middle_above, middle_below = (median(flat.y for flat in row) for row in (above, below))
    gap = (middle_below - low / 2) - (middle_above + high / 2)
    return gap > 1.2 * min(high, low) or max(high, low) > 1.8 * min(high, low)


# -- what people ask for -----------------------------------------------------------------------------------------------------


def sign(lines: Sequence[TextLine], width: float, height: float) -> Block | None:
    """Gives the block that a wearer means by "the sign": large letters near the middle of a picture of that size.

    Each line weighs its area, as the eye sees it, times 1 in the middle falling to 0.4 in a corner.
    """

    def weight(block: Block) -> float:
        total = 0.0
        for line in block.lines:
            box = line.box
            off = math.hypot(((box.x0 + box.x1) / width - 1) / 2, ((box.y0 + box.y1) / height - 1) / 2)
            total += box.width * box.height * (1 - 0.6 * min(1.0, off / math.sqrt(0.5)))
        return total

    return max(blocks(lines), key=weight, default=None)


def prices(lines: Sequence[TextLine]) -> tuple[Priced, ...]:
    """Gives the prices with their names, in reading order: with a currency where any has one, else numbers like 2.50."""
    rows = [row for block in blocks(lines) for row in block.rows]
    for pattern in (_MONEY, _BARE):
        found = []
        for row in rows:
            at = 0
            for match in pattern.finditer(row.text):
                if not match.group().endswith("%"):
                    found.append(Priced(row.text[at : match.start()].strip(" .,:-–—…·"), match.group().strip()))
                at = match.end()
        if found:
            return tuple(found)
    return ()


def priced(text: str) -> tuple[str, str]:
    """Gives what stands before the prices that a text ends with, and these; empty where there are none."""
    end = len(text.rstrip(" ."))
    start = end
    found = [match.span() for pattern in (_MONEY, _BARE) for match in pattern.finditer(text)]
    for left, right in sorted(found, key=lambda span: (-span[1], span[0])):
        if right <= start and not text[right:start].strip(" /-|") and not text[left:right].endswith("%"):
            start = left
    return (text[:start].rstrip(" .:…·_-–—"), text[start:end]) if start < end else (text, "")


def figures(text: str) -> bool:
    """Says whether a text is nothing but figures: a price, a time, a date."""
    return _FIGURES.fullmatch(text) is not None


def phone_numbers(lines: Sequence[TextLine]) -> tuple[str, ...]:
    """Gives the telephone numbers, of seven digits or more, in reading order."""
    rows = [row.text for block in blocks(lines) for row in block.rows]
    found = [match.group().strip() for row in rows for match in _PHONE.finditer(_DATE.sub(" ", row))]
    return tuple(number for number in found if 7 <= sum(letter.isdigit() for letter in number) <= 15)


def dates(lines: Sequence[TextLine]) -> tuple[str, ...]:
    """Gives the dates, as they are written, in reading order."""
    rows = [row.text for block in blocks(lines) for row in block.rows]
    return tuple(match.group() for row in rows for match in _DATE.finditer(row))
