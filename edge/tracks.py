"""What it takes to cut out, name and follow things in a stream of pictures.

Two ports stand behind it. A ``Segmenter`` follows objects by itself. A ``MaskNetwork`` is the parts of SAM 2 (Ravi et al.,
"SAM 2: Segment Anything in Images and Videos", 2024) without its memory; what is remembered, and for how long, is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.values import Box, Mask

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SegmentPrompt:
    """What is meant, in pixels of one picture: points, a box, both, or a mask."""

    points: tuple[tuple[float, float], ...] = ()
    """Each (x, y)."""
    wanted: tuple[bool, ...] = ()
    """For each point whether it lies on the object (True) or beside it; empty: all do."""
    box: Box | None = None
    mask: NDArray[np.bool_] | None = None
    """Shape (height, width) of the picture; it stands alone."""

    def check(self, height: int, width: int) -> None:
        """Raises InputError where the prompt does not fit a picture of this size: it says what and by how much."""
        if self.mask is not None:
            self._check_mask(self.mask, height, width)
        elif not self.points and self.box is None:
            raise InputError("nothing to segment: give a point, a box or a mask")
        if self.wanted and len(self.wanted) != len(self.points):
            raise InputError(f"{len(self.points)} points, but {len(self.wanted)} say whether they lie on the object")
        for x, y in self.points:
            if not (0 <= x < width and 0 <= y < height):  # also where one is not a number
                raise InputError(f"the point ({x:g}, {y:g}) lies outside the picture of {width}x{height} pixels")
        if (box := self.box) is not None:
            named = f"the box ({box.x0:g}, {box.y0:g}, {box.x1:g}, {box.y1:g})"
            if not (box.x0 < box.x1 and box.y0 < box.y1):
                raise InputError(f"{named} is empty")
            if box.x1 <= 0 or box.y1 <= 0 or box.x0 >= width or box.y0 >= height:
                raise InputError(f"{named} lies outside the picture of {width}x{height} pixels")

    def _check_mask(self, mask: NDArray[np.bool_], height: int, width: int) -> None:
        if self.points or self.box is not None:
            raise InputError("a mask stands alone: give no points and no box with it")
        if mask.shape != (height, width):
            size = "x".join(str(side) for side in reversed(mask.shape))
            raise InputError(f"the mask is {size} pixels, the picture {width}x{height}")
        if not mask.any():
            raise InputError("the mask is empty")


class TrackState(Enum):
    """Whether a followed object can be seen."""

    FOLLOWED = "followed"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Track:
    """One followed object, as of the last picture that was looked at."""

    object_id: int
    label: str
    """What it is called: "bottle", "the red one"; may be empty."""
    state: TrackState
    box: Box
    """Around it, where it was last seen, in pixels."""
    size: tuple[int, int]
    """Width and height of the picture that ``box`` counts in."""
    t_ns: int
    """Media time of the last picture that was looked at."""
    seen_ns: int
    """Media time of the last picture that it was seen in."""
    mask: Mask | None = None
    """None while it is lost."""
    sure: bool = True
    """False where something has come back that may be another object of the kind."""


class Watched(Enum):
    """What is watched for."""

    APPEARS = "appears"
    LEAVES = "leaves"
    MOVES = "moves"
    STOPS = "stops"
    TOUCHED = "touched"
    """Something else covers a part of it or comes to lie against it, or it is moved by someone."""
    COUNT = "count"
    """The number of things of a name changes."""
    LIGHT = "light"
    """The light in the zone goes on or off."""


@dataclass(frozen=True, slots=True)
class WatchRule:
    """One thing to watch over."""

    what: Watched
    label: str = ""
    """A detector's name for the kind of thing ("person"), or what the wearer calls the followed object."""
    object_id: int | None = None
    """The followed object; None: whatever the detector calls ``label``, and for an empty label any motion in the zone."""
    zone: Box | None = None
    """In shares of the picture, 0 to 1; None is all of it."""
    hold: float = 0.3
    """Seconds that it must last."""
    cooldown: float = 10.0
    """Seconds after a report before the next."""
    words: str = ""
    """As the wearer said it."""


@dataclass(frozen=True, slots=True)
class View:
    """One picture through the image encoder. What the fields hold is the network's affair (arrays, or handles on a GPU)."""

    features: Any
    """(1, 256, f, f), f = size / 16, without memory."""
    fine: Any
    """(1, 32, 4 f, 4 f)."""
    middle: Any
    """(1, 64, 2 f, 2 f)."""
    height: int
    """Of the picture, in pixels."""
    width: int


@dataclass(frozen=True, slots=True)
class Cues:
    """The prompts of n objects for the mask decoder, padded to the same number k of points.

    A box is two points with labels 2 (top left) and 3 (bottom right), before all others, as in SAM.
    """

    points: Floats
    """(n, k, 2): x, y in pixels of the network's square input."""
    labels: NDArray[np.int32]
    """(n, k): 1 on the object, 0 beside it, 2 and 3 a box, -1 none."""
    masks: Floats | None = None
    """(n, 1, size / 4, size / 4): logits of a mask to be corrected; or (n, 1, size, size): a drawn mask, 0 or 1."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the mask decoder makes of n objects: four masks each, the first for when there is no doubt what is meant."""

    logits: Floats
    """(n, 4, size / 4, size / 4), before any choice; above 0 is object."""
    ious: Floats
    """(n, 4): how good the network thinks each mask is."""
    pointers: Floats
    """(n, 4, 256): an object pointer for each mask, those of hidden objects already mixed with SAM 2.1's ``no_obj_ptr``."""
    scores: Floats
    """(n,): the object score logit; above 0 the object is in the picture."""


@dataclass(frozen=True, slots=True)
class Memories:
    """What n objects that have equally much to remember bring to memory attention."""

    maps: Sequence[Sequence[Floats]]
    """n lists of m maps (64, f, f), as ``MaskNetwork.memorise`` gave them."""
    slots: NDArray[np.int64]
    """(n, m): the temporal slot of each map: 0 for a prompted picture, else how many pictures ago, 1 to 6."""
    pointers: Sequence[Sequence[Floats]]
    """n lists of p object pointers (256,)."""
    ages: Floats
    """(n, p): how many pictures ago each pointer was made; negative for one that is yet to come."""
