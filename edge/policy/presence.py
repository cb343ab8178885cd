"""What is there, and whether it moves: what a detector says of single pictures and a tracker of single objects, made steady.

A detector misses a thing in one picture of ten, or of two, and sees one where there is none. So what it sees is joined from
picture to picture into places: what it is sure of begins one, and what it sees faintly goes on with one (ByteTrack, Zhang et
al. 2022). A place counts once it has lasted, and is gone once a run of misses is too long to be chance
for a thing that is seen as often as this one was. And nothing comes or goes without a stir in the picture: where there was
none, it is the detector that changed its mind, and the thing has been there all along, or still is.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge.values import Box, Detection

CHANCE = 1e-3
"""A thing is gone when so many misses in a row would happen by chance less often than this."""
GONE_NS = 400_000_000
"""The least time that it must be missed, and the most below."""
LONG_GONE_NS = 2_500_000_000
STIR_NS = 3_000_000_000
"""What comes has stirred where it shows, at most so long before the detector first sees it there."""
LEFT_NS = 1_500_000_000
"""What goes has stirred where it was, at most so long before it was last seen there."""
LAPSE_NS = 500_000_000
"""A gap from which something that began to show begins anew."""
MOST = 0.9
"""The share of pictures in which a thing is seen counts as no more than this: misses come in runs."""
MOVED = 0.2
"""A thing has moved when its middle has gone this share of its size (the root of its box's area)."""
GROWN = 1.3
"""Or when its size has grown so many times: it comes nearer."""
STILL_NS = 700_000_000
"""A thing stands still when it has stayed within half of ``MOVED`` for this long."""
_ANCHOR_NS = 400_000_000
_NOW_NS = 250_000_000
_DRIFT_S = 10.0
"""Time constant with which the place of a resting thing follows it: trackers drift."""
_PLACES = 256
"""The most places that are kept; the oldest go."""


class Held:
    """Whether something has lasted, though not every picture shows it."""

    def __init__(self, hold_ns: int) -> None:
        self._hold_ns = hold_ns
        self.since_ns = 0
        """Media time of the first picture that showed it."""
        self._last_ns = 0
        self._hits = 0
        self._looks = 0

    @property
    def begun(self) -> bool:
        """Whether it shows, for however short."""
        return self._hits > 0

    def look(self, t_ns: int, hit: bool) -> bool:
        """Takes whether the next picture shows it; gives whether it has lasted: two pictures at least, and two of three."""
        if self._hits and (
            t_ns - self._last_ns > max(LAPSE_NS, self._hold_ns) or self._looks > 3 and self._hits * 2 < self._looks
        ):
            self.reset()
        if hit:
            if not self._hits:
                self.since_ns = t_ns
            self._hits += 1
            self._last_ns = t_ns
        if self._hits:
            self._looks += 1
        enough = self._hits >= (2 if self._hold_ns else 1) and self._hits * 3 >= self._looks * 2
        return hit and enough and t_ns - self.since_ns >= self._hold_ns

    def reset(self) -> None:
        """Begins anew."""
        self._hits = self._looks = 0


class Rest:
    """Whether one thing moves. What the camera does (``Stir.shift``) is taken out by the caller's ``offset``."""

    def __init__(self, hold_ns: int) -> None:
        self.moving = False
        self.since_ns = 0
        """Since when it moves, or rests."""
        self._away = Held(hold_ns)
        self._path: deque[tuple[int, float, float, float]] = deque()
        """Media time, middle and size, of the last seconds."""
        self._anchor: tuple[float, float, float] | None = None

    def look(self, t_ns: int, box: Box, offset: tuple[float, float] = (0.0, 0.0)) -> bool:
        """Takes where it is now; gives whether that made it begin to move, or stop: ``moving`` has changed."""
        x, y = box.centre
        size = math.sqrt(max(box.width * box.height, 1.0))
        passed = (t_ns - self._path[-1][0]) / 1e9 if self._path else 0.0
        self._path.append((t_ns, x - offset[0], y - offset[1], size))
        while self._path[0][0] < t_ns - 2 * STILL_NS:
            self._path.popleft()
        if self._anchor is None:
            if t_ns - self._path[0][0] >= _ANCHOR_NS and len(self._path) >= 3:
                self._settle(t_ns, self._still(t_ns - _ANCHOR_NS, t_ns))
            return False
        return self._halted(t_ns) if self.moving else self._left(t_ns, passed)

    def _settle(self, t_ns: int, still: bool) -> None:
        self.moving = not still
        self.since_ns = t_ns
        self._anchor = _median(self._path)

    def _left(self, t_ns: int, passed: float) -> bool:
        """Whether a resting thing has gone from where it rested."""
        assert self._anchor is not None
        x, y, size = _median(entry for entry in self._path if entry[0] >= t_ns - _NOW_NS)
        x0, y0, size0 = self._anchor
        away = math.hypot(x - x0, y - y0) > MOVED * size0 or size > GROWN * size0
        if self._away.look(t_ns, away):
            self.moving, self.since_ns = True, self._away.since_ns
            self._away.reset()
            return True
        if not away:
            share = 1 - math.exp(-passed / _DRIFT_S)
            self._anchor = x0 + share * (x - x0), y0 + share * (y - y0), size0 + share * (size - size0)
        return False

    def _halted(self, t_ns: int) -> bool:
        """Whether a moving thing has come to rest."""
        if self._path[0][0] > t_ns - STILL_NS or not self._still(t_ns - STILL_NS, t_ns):
            return False
        self._anchor = _median(entry for entry in self._path if entry[0] >= t_ns - STILL_NS)
        self.moving, self.since_ns = False, t_ns - STILL_NS
        return True

    def _still(self, since_ns: int, t_ns: int) -> bool:
        path = [entry for entry in self._path if since_ns <= entry[0] <= t_ns]
        x, y, size = _median(path)
        return all(math.hypot(entry[1] - x, entry[2] - y) <= MOVED / 2 * size for entry in path)


def _median(path: Iterable[tuple[int, float, float, float]]) -> tuple[float, float, float]:
    x, y, size = np.median([entry[1:] for entry in path], axis=0).tolist()
    return x, y, size


@dataclass(slots=True, eq=False)
class Place:
    """Where a detector sees a thing."""

    number: int
    box: Box
    first_ns: int
    seen_ns: int
    held: Held
    rest: Rest
    there: bool = False
    """Whether it has lasted, so that it counts."""
    hits: int = 1
    looks: int = 1
    missed: int = 0
    """Pictures since it was last seen."""

    @property
    def rate(self) -> float:
        """The share of pictures in which it is seen, while it is there."""
        return min((self.hits + 1) / (self.looks + 2), MOST)

    def gone(self, t_ns: int) -> bool:
        """Whether it has been missed for too long for chance."""
        away_ns = t_ns - self.seen_ns
        return away_ns >= GONE_NS and ((1 - self.rate) ** self.missed < CHANCE or away_ns >= LONG_GONE_NS)


@dataclass(slots=True)
class Changes:
    """What one picture changed."""

    came: list[Place] = field(default_factory=list)
    known: list[Place] = field(default_factory=list)
    """Those that the detector sees only now, though they were there before."""
    gone: list[Place] = field(default_factory=list)
    turned: list[Place] = field(default_factory=list)
    """Those whose ``rest.moving`` changed."""


class Places:
    """The things of one name."""

    def __init__(self, hold_ns: int) -> None:
        self._hold_ns = hold_ns
        self._numbers = itertools.count(1)
        self.all: list[Place] = []

    @property
    def there(self) -> list[Place]:
        """Those that have lasted and are not gone."""
        return [place for place in self.all if place.there]

    def look(
        self,
        t_ns: int,
        found: Sequence[Detection],
        stirred: Callable[[Box], int],
        offset: tuple[float, float] = (0.0, 0.0),
    ) -> Changes:
        """Takes what the detector calls by the name in the next picture; ``stirred`` says when a box last stirred."""
        changes = Changes()
        pairs, new = _pair(self.all, found)
        for place in self.all:
            detection = pairs.get(place.number)
            if detection is None:
                place.missed += 1
                place.held.look(t_ns, False)
                continue
            place.hits += 1
            place.looks += 1 + place.missed
            place.box, place.seen_ns, place.missed = detection.box, t_ns, 0
            if place.held.look(t_ns, True) and not place.there:
                _come(place, stirred, changes)
            if place.rest.look(t_ns, place.box, offset) and place.there:
                changes.turned.append(place)
        gone = [
            place
            for place in self.all
            if place.gone(t_ns) and not (place.there and stirred(place.box) < place.seen_ns - LEFT_NS)
        ]
        changes.gone = [place for place in gone if place.there]
        self.all = [place for place in self.all if place not in gone]
        for detection in new:
            place = Place(next(self._numbers), detection.box, t_ns, t_ns, Held(self._hold_ns), Rest(self._hold_ns))
            place.rest.look(t_ns, place.box, offset)
            if place.held.look(t_ns, True):
                _come(place, stirred, changes)
            self.all.append(place)
        del self.all[:-_PLACES]
        return changes


def _come(place: Place, stirred: Callable[[Box], int], changes: Changes) -> None:
    place.there = True
    (changes.came if stirred(place.box) >= place.first_ns - STIR_NS else changes.known).append(place)


def _pair(places: Sequence[Place], found: Sequence[Detection]) -> tuple[dict[int, Detection], list[Detection]]:
    """Gives each place its detection, the sure ones and the nearest first, and the sure ones that belong to none.

    What lies mostly inside a thing that is there is a part of it, half hidden, and not another.
    """
    costs = sorted(
        (not detection.sure, cost, at, place.number)
        for at, detection in enumerate(found)
        for place in places
        if (cost := _apart(place.box, detection.box)) < 1
    )
    pairs: dict[int, Detection] = {}
    taken: set[int] = set()
    for _, _, at, number in costs:
        if at not in taken and number not in pairs:
            pairs[number] = found[at]
            taken.add(at)
    rest = [detection for at, detection in enumerate(found) if at not in taken and detection.sure]
    return pairs, [item for item in rest if not any(place.there and covered(item.box, place.box) > 0.7 for place in places)]


def _apart(one: Box, other: Box) -> float:
    """How far two boxes are from being the same thing a moment later: below 1 they may be."""
    size = math.sqrt(max(max(one.width * one.height, other.width * other.height), 1.0))
    (x, y), (u, v) = one.centre, other.centre
    return math.hypot(x - u, y - v) / (0.8 * size)


def covered(box: Box, by: Box) -> float:
    """Gives the share of a box that another covers."""
    width = min(box.x1, by.x1) - max(box.x0, by.x0)
    height = min(box.y1, by.y1) - max(box.y0, by.y0)
    return max(width, 0.0) * max(height, 0.0) / max(box.width * box.height, 1e-9)
