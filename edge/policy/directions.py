"""Where a thing is, in words: which way to turn, and about how far it is.

The direction is the bearing from the camera: 30 degrees an hour of the clock, twelve being straight ahead. The distance comes
from how high the thing stands in the picture and how high such things usually are (the pinhole camera: d = f H / h). Both rest
on an assumed field of view and on usual sizes, so both are approximate and worded so: a child is taken for an adult twice as
far away, and a camera of 80 degrees instead of 66 puts everything a quarter too far.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.values import Box

FIELD_OF_VIEW = 66.0
"""Degrees across the longer side of the picture: a 26 mm lens, as in most phones and about what glasses have."""
CENTRED = 6.0
"""Degrees within which a thing is straight ahead."""
_EDGE = 0.02
"""Share of the picture's side; a box nearer to its edge is taken to go on beyond it."""

_HOURS = {-3: "nine", -2: "ten", -1: "eleven", 0: "twelve", 1: "one", 2: "two", 3: "three"}
_NUMBERS = "zero one two three four five six seven eight nine ten".split()

HEIGHTS = {
    "person": 1.65, "bicycle": 1.0, "car": 1.5, "motorcycle": 1.1, "bus": 3.0, "train": 3.8, "truck": 2.8, "boat": 1.5,
    "traffic light": 0.9, "fire hydrant": 0.75, "stop sign": 0.75, "parking meter": 1.3, "bench": 0.85, "bird": 0.2,
    "cat": 0.28, "dog": 0.5, "horse": 1.7, "sheep": 0.85, "cow": 1.45, "elephant": 2.8, "bear": 1.2, "zebra": 1.4,
    "giraffe": 4.5, "backpack": 0.45, "umbrella": 0.8, "handbag": 0.28, "suitcase": 0.6, "sports ball": 0.22,
    "bottle": 0.24, "wine glass": 0.2, "cup": 0.1, "bowl": 0.08, "chair": 0.85, "couch": 0.8, "potted plant": 0.5,
    "bed": 0.6, "dining table": 0.75, "toilet": 0.75, "tv": 0.55, "laptop": 0.23, "microwave": 0.3, "oven": 0.8,
    "refrigerator": 1.7, "clock": 0.3, "vase": 0.3, "teddy bear": 0.35,
}  # fmt: skip
"""Usual heights in metres as things stand. What lies about any way up (fork, phone, book) is not here and has no distance."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where a thing is, as far as one picture tells."""

    bearing: float
    """Degrees to the right of straight ahead; negative to the left."""
    elevation: float
    """Degrees above the middle of the view."""
    distance: float | None
    """Metres, approximate; None where it cannot be told."""
    share: float
    """Of the picture that its box covers, 0 to 1."""

    @property
    def centred(self) -> bool:
        """Whether it is straight ahead."""
        return abs(self.bearing) <= CENTRED and abs(self.elevation) <= 2 * CENTRED

    @property
    def close(self) -> bool:
        """Whether it can be reached, or fills the view."""
        return self.share > 0.45 if self.distance is None else self.distance < 0.8


def where(box: Box, width: int, height: int, label: str = "", field_of_view: float = FIELD_OF_VIEW) -> Where:
    """Says where the thing in a box of a picture of ``width`` times ``height`` pixels is."""
    focal = max(width, height) / 2 / math.tan(math.radians(field_of_view) / 2)  # in pixels
    x, y = box.centre
    share = max(0.0, box.width) * max(0.0, box.height) / (width * height)
    cut = box.y0 < _EDGE * height and box.y1 > (1 - _EDGE) * height
    tall = HEIGHTS.get(label)
    # A thing that goes on below or above the picture is higher than its box, and so nearer than its box says: an upper bound.
    distance = focal * tall / box.height if tall and box.height >= 2 and not cut else None
    return Where(
        math.degrees(math.atan2(x - width / 2, focal)), math.degrees(math.atan2(height / 2 - y, focal)), distance, share
    )


def clock(bearing: float) -> str:
    """Gives a bearing as an hour: "at two o'clock"."""
    hour = _HOURS[max(-3, min(3, round(bearing / 30)))]
    return f"at {hour} o'clock"


def side(bearing: float) -> str:
    """Gives a bearing as people with sight say it: "a little to the left"."""
    if abs(bearing) <= CENTRED:
        return "straight ahead"
    return f"{'a little ' if abs(bearing) < 15 else ''}to the {'left' if bearing < 0 else 'right'}"


def direction(found: Where, manner: str) -> str:
    """Gives the direction: a clock hour, with the small turn that it leaves out, in the manner ``blind``; else a side."""
    if manner != "blind":
        return side(found.bearing)
    if found.centred:
        return "straight ahead, at twelve o'clock"
    height = ", above you" if found.elevation > 18 else ", low down" if found.elevation < -18 else ""
    hour = clock(found.bearing)
    # An hour is thirty degrees and a camera sees two of them: within twelve o'clock the side still matters.
    finer = f", {side(found.bearing)}" if hour.startswith("at twelve") and abs(found.bearing) > CENTRED else ""
    return f"{hour}{finer}{height}"


def distance(found: Where) -> str:
    """Gives "about two metres away", "within reach", or nothing where it cannot be told."""
    if found.distance is None:
        return "very close" if found.share > 0.45 else ""
    if found.distance < 0.8:
        return "within reach"
    if found.distance >= 10.5:
        return "more than ten metres away"
    metres = round(found.distance)
    return "about one metre away" if metres <= 1 else f"about {_NUMBERS[metres]} metres away"


def said(found: Where, manner: str) -> str:
    """Gives direction and distance as one phrase."""
    return ", ".join(part for part in (direction(found, manner), distance(found)) if part)
