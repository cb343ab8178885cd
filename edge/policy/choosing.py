"""Which of the things in view is meant.

"What is this" means what the wearer looks at; words narrow it down ("the red one", "the second from the left") and a
correction moves from what was taken for it to another of the same picture ("no, the one behind it"). A gaze alone is right
about half the time and a spoken correction saves most of the rest ("Gazeify then Voiceify", arXiv 2601.19281), so every choice
remembers what it passed over, and the next correction does not offer it again.

Depth is read from one picture by the ground: of two things that stand on it, the one whose foot is higher in the picture is
farther away. On a shelf that is wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from edge.policy import nouns
from edge.policy.colours import NAMES
from edge.values import Box, Detection

Point = tuple[float, float]


class Place(Enum):
    """Where in the picture, or how large, among its like."""

    LEFT = "left"
    RIGHT = "right"
    TOP = "top"
    BOTTOM = "bottom"
    MIDDLE = "middle"
    BIGGEST = "biggest"
    SMALLEST = "smallest"
    NEAREST = "nearest"
    FARTHEST = "farthest"


class Relation(Enum):
    """Where, seen from what was meant before."""

    OTHER = "other"
    BEHIND = "behind"
    BEFORE = "in front of"
    BESIDE = "beside"
    ABOVE = "above"
    BELOW = "below"
    LEFT_OF = "left of"
    RIGHT_OF = "right of"
    BIGGER = "bigger"
    SMALLER = "smaller"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing in view."""

    box: Box
    label: str = ""
    score: float = 1.0
    colours: tuple[str, ...] = ()
    """Its main colours, largest first."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What some words ask for. Everything may be left open."""

    kinds: tuple[str, ...] = ()
    """The detector's names for it."""
    colour: str = ""
    place: Place | None = None
    rank: int = 1
    """Counted from ``place``: 2 is the second from the left."""
    relation: Relation | None = None

    @property
    def open(self) -> bool:
        """Whether nothing is said about it, so that only where the wearer looks can tell."""
        return self == Wanted()


@dataclass(frozen=True, slots=True)
class Choice:
    """What is taken to be meant."""

    candidate: Candidate
    sure: bool
    """Whether nothing else fits nearly as well."""


_COLOURS = {"gray": "grey", "violet": "purple", "gold": "yellow", "golden": "yellow", "navy": "blue", "cream": "beige"}
_PLACES: Sequence[tuple[Place, str]] = (
    (Place.MIDDLE, r"\b(?:middle|cent(?:er|re)|central|straight ahead)\b"),
    (Place.LEFT, r"\b(?:left|leftmost)\b"),
    (Place.RIGHT, r"\b(?:right|rightmost)\b"),
    (Place.TOP, r"\b(?:top|upper|highest|topmost)\b"),
    (Place.BOTTOM, r"\b(?:bottom|lower|lowest)\b"),
    (Place.BIGGEST, r"\b(?:biggest|largest|big|large)\b"),
    (Place.SMALLEST, r"\b(?:smallest|small|little|tiny)\b"),
    (Place.NEAREST, r"\b(?:nearest|closest)\b"),
    (Place.FARTHEST, r"\b(?:farthest|furthest)\b"),
)
_RELATIONS: Sequence[tuple[Relation, str]] = (
    (Relation.LEFT_OF, r"\b(?:to the left of|left of)\b"),
    (Relation.RIGHT_OF, r"\b(?:to the right of|right of)\b"),
    (Relation.BEHIND, r"\b(?:behind|farther back|further back|in back of)\b"),
    (Relation.BEFORE, r"\bin front of (?:it|that|this|them|him|her)\b"),
    (Relation.BESIDE, r"\b(?:next to|beside|near|by the side of)\b"),
    (Relation.ABOVE, r"\b(?:above|over|on top of)\b"),
    (Relation.BELOW, r"\b(?:below|under|underneath|beneath)\b"),
    (Relation.BIGGER, r"\b(?:bigger|larger|taller)\b"),
    (Relation.SMALLER, r"\b(?:smaller|shorter)\b"),
    (Relation.OTHER, r"\b(?:other|another|not (?:that|this)|next one|else)\b"),
)
_RANKS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}
_NUDGE = 0.05
"""Share of the picture's diagonal by which a gaze may miss a thing."""
_CLEAR = 1.3
"""A choice is sure when the next best is worse by this factor."""


def understand(words: str, names: Sequence[str] = ()) -> Wanted:
    """Reads what is asked for out of ``plain`` words; ``names`` are those that the detector knows."""
    relation = next((one for one, said in _RELATIONS if re.search(said, words)), None)
    rest = words
    for _, said in _RELATIONS[:2]:  # "left of it" is a relation, "on the left" a place
        rest = re.sub(said, " ", rest)
    parts = rest.split()
    colour = next((_COLOURS.get(part, part) for part in parts if _COLOURS.get(part, part) in NAMES), "")
    # "The orange" is a fruit and "the orange cup" a colour.
    kinds = nouns.kinds(words, names)
    if colour in kinds and not parts[-1:] == ["one"]:
        colour = ""
    place = next((one for one, said in _PLACES if re.search(said, rest)), None)
    rank = next((_RANKS[part] for part in parts if part in _RANKS), 1)
    if rank > 1 and place is None:
        place = Place.LEFT
    return Wanted(kinds, colour, place, rank, relation)


def choose(
    candidates: Sequence[Candidate],
    wanted: Wanted,
    width: int,
    height: int,
    point: Point | None = None,
    before: Box | None = None,
    passed_over: Sequence[Box] = (),
) -> Choice | None:
    """Gives the candidate that is meant, None where none fits.

    ``point`` is where the wearer looks or points, in pixels, the middle of the picture where nothing is known. ``before`` is
    what the last question was taken to mean; it and what was ``passed_over`` are not offered again to a ``relation``.
    """
    fit = [one for one in candidates if not wanted.kinds or one.label in wanted.kinds]
    if wanted.colour:
        fit = [one for one in fit if wanted.colour in one.colours]
    if wanted.relation is not None:
        fit = [one for one in fit if not any(alike(one.box, box) for box in (*passed_over, *((before,) if before else ())))]
        if before is not None and not (wanted.relation is Relation.OTHER and wanted.place):
            return _related(fit, wanted.relation, before, width, height)
    if wanted.place is not None and wanted.place is not Place.MIDDLE:
        ranked = sorted(fit, key=_order(wanted.place))
        return Choice(ranked[wanted.rank - 1], True) if len(ranked) >= wanted.rank else None
    at = point or (width / 2, height / 2)
    named = not (wanted.open or wanted.place is Place.MIDDLE)
    return _looked_at(fit, at, width, height, anywhere=named)


def alike(one: Box, other: Box) -> bool:
    """Whether two boxes are of one thing: they share more than half of what they cover together."""
    wide, high = min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)
    shared = max(0.0, wide) * max(0.0, high)
    return shared > 0.5 * (_area(one) + _area(other) - shared)


def grown(box: Box, share: float, width: int, height: int) -> Box:
    """Gives a box with a margin of ``share`` of its sides, inside the picture."""
    x, y = box.width * share, box.height * share
    return Box(max(0.0, box.x0 - x), max(0.0, box.y0 - y), min(float(width), box.x1 + x), min(float(height), box.y1 + y))


def _area(box: Box) -> float:
    return max(0.0, box.width) * max(0.0, box.height)


def _order(place: Place) -> Callable[[Candidate], float]:
    keys: dict[Place, Callable[[Candidate], float]] = {
        Place.LEFT: lambda one: one.box.centre[0],
        Place.RIGHT: lambda one: -one.box.centre[0],
        Place.TOP: lambda one: one.box.centre[1],
        Place.BOTTOM: lambda one: -one.box.centre[1],
        Place.BIGGEST: lambda one: -_area(one.box),
        Place.SMALLEST: lambda one: _area(one.box),
        Place.NEAREST: lambda one: -one.box.y1,
        Place.FARTHEST: lambda one: one.box.y1,
    }
    return keys[place]


def _looked_at(fit: Sequence[Candidate], at: Point, width: int, height: int, *, anywhere: bool) -> Choice | None:
    """The thing at a point. Of several that hold it the smallest, for the large ones hold the small; else the nearest."""
    nudge = _NUDGE * math.hypot(width, height)
    costs = []
    for one in fit:
        away = _distance(one.box, at)
        if away > nudge and not anywhere:
            continue
        # A big box around the point may be the table under the cup; a middle far from the point makes it less likely meant.
        off = math.dist(one.box.centre, at) / math.hypot(width, height)
        costs.append((away / nudge + math.sqrt(_area(one.box) / (width * height)) + off, one))
    if not costs:
        return None
    costs.sort(key=lambda cost: cost[0])
    return Choice(costs[0][1], len(costs) == 1 or costs[1][0] > _CLEAR * costs[0][0])


def _distance(box: Box, at: Point) -> float:
    """Pixels from a point to a box, 0 inside it."""
    return math.hypot(max(box.x0 - at[0], 0.0, at[0] - box.x1), max(box.y0 - at[1], 0.0, at[1] - box.y1))


def _related(fit: Sequence[Candidate], relation: Relation, before: Box, width: int, height: int) -> Choice | None:
    costs = sorted(
        ((cost, one) for one in fit if (cost := _cost(one.box, relation, before)) is not None), key=lambda cost: cost[0]
    )
    if not costs:
        return None
    size = math.hypot(width, height)
    return Choice(costs[0][1], len(costs) == 1 or costs[1][0] + 0.02 * size > _CLEAR * (costs[0][0] + 0.02 * size))


def _cost(box: Box, relation: Relation, before: Box) -> float | None:
    """How far a box is from being what the relation says, in pixels; None where it is not."""
    (x, y), (was_x, was_y) = box.centre, before.centre
    gap_x = max(before.x0 - box.x1, box.x0 - before.x1, 0.0)
    gap_y = max(before.y0 - box.y1, box.y0 - before.y1, 0.0)
    away = math.hypot(gap_x, gap_y)
    middles = math.dist((x, y), (was_x, was_y))
    holds: dict[Relation, tuple[bool, float]] = {
        Relation.OTHER: (True, middles),
        Relation.BEHIND: (box.y1 < before.y1, 2 * gap_x + gap_y + abs(x - was_x)),
        Relation.BEFORE: (box.y1 > before.y1, 2 * gap_x + gap_y + abs(x - was_x)),
        Relation.BESIDE: (True, away + 2 * abs(box.y1 - before.y1)),
        Relation.ABOVE: (y < was_y and box.y0 < before.y0, away + 2 * abs(x - was_x)),
        Relation.BELOW: (y > was_y and box.y1 > before.y1, away + 2 * abs(x - was_x)),
        Relation.LEFT_OF: (x <= before.x0, away + abs(y - was_y)),
        Relation.RIGHT_OF: (x >= before.x1, away + abs(y - was_y)),
        Relation.BIGGER: (_area(box) > _area(before), middles),
        Relation.SMALLER: (_area(box) < _area(before), middles),
    }
    fits, cost = holds[relation]
    return cost if fits else None


WHOLE = 4.0
"""A detector's box around a point means the whole of which a part was cut out there, if it is at most so many times as large.
Of the clicks on the shared videos the dog's is 1.5, the cup's 1.05, a child's shirt 3.8, and a ball before a juggler 22."""


def whole(point: tuple[float, float], part: Box, things: Sequence[Detection]) -> Detection | None:
    """Gives the thing that is meant by a point where ``part`` was cut out; None where the detector knows none there."""
    x, y = point
    around = [one for one in things if one.box.x0 <= x < one.box.x1 and one.box.y0 <= y < one.box.y1]
    size = part.width * part.height
    fitting = [one for one in around if one.box.width * one.box.height <= WHOLE * size]
    return min(fitting, key=lambda one: one.box.width * one.box.height, default=None)
