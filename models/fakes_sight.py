"""Scripted eyes with a declared cost: a segmenter and a detector for drawn pictures, in the manner of ``models.fakes``.

They see exact colours: a thing is a block of pixels of one colour, blocks of a colour being parted where an empty row or
column runs between them. So a test draws what is to be seen and moves it, and needs no model to know what is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.ports import Stop
from edge.tracks import SegmentPrompt
from edge.values import Box, Detection, Mask, Pixels, VideoFrame
from models.fakes import Fake, Spend, spend_real

Bgr = tuple[int, int, int]
Bits = NDArray[np.bool_]

COLOURS: Mapping[str, Bgr] = {
    "cup": (0, 0, 255),
    "bottle": (0, 255, 0),
    "person": (255, 0, 0),
    "chair": (0, 255, 255),
    "dog": (255, 0, 255),
}
"""What a fake detector takes pixels of an exact colour for: red is a cup."""
SCORE = 0.9
"""How sure a fake is of what it sees."""
DOUBTFUL = 0.7
"""How sure a segmenter is that doubts."""


def blocks(bits: Bits) -> list[Box]:
    """Gives the boxes around the parts of a mask that empty rows or columns keep apart, left to right, top to bottom."""
    found = [
        (rows, columns)
        for columns in _runs(np.asarray(bits.any(axis=0)))
        for rows in _runs(np.asarray(bits[:, columns].any(axis=1)))
    ]
    boxes: list[Box] = []
    for rows, columns in found:
        part = bits[rows, columns]
        if part.any(axis=0).all():  # no column is empty any more: it is one block
            boxes.append(Box(float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)))
        else:
            boxes += [
                Box(box.x0 + columns.start, box.y0 + rows.start, box.x1 + columns.start, box.y1 + rows.start)
                for box in blocks(part)
            ]
    return boxes


def _runs(filled: Bits) -> Iterator[slice]:
    """Gives the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], filled, [False]))))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        yield slice(start, end)


class _Seeing(Fake):
    """What both share."""

    def __init__(self, cost: float, spend: Spend) -> None:
        super().__init__(spend)
        self.cost = cost
        """Seconds that a picture costs."""
        self.seen: list[VideoFrame] = []
        """The pictures that were looked at."""


class FakeSegmenter(_Seeing):
    """Follows the block of the prompt's colour that is nearest to where its object was, no block for two objects.

    The colour is that of the first point that is wanted, else of the box's or the mask's middle. An object of ``script`` has
    instead the box that the script has for the picture's ``index`` (the last one for ever), and none where that is None.
    """

    def __init__(
        self, script: Mapping[int, Sequence[Box | None]] | None = None, *, cost: float = 0.0, spend: Spend = spend_real
    ) -> None:
        super().__init__(cost, spend)
        self.script = dict(script or {})
        self.doubt = False
        """Whether its scores are as low as those of one that is not sure of what it follows."""
        self.prompts: list[tuple[int, SegmentPrompt]] = []
        """Every prompt taken, with its object's id."""
        self._size: tuple[int, ...] | None = None
        self._followed: dict[int, tuple[Bgr, tuple[float, float]]] = {}

    @property
    def objects(self) -> tuple[int, ...]:
        """The ids of everything followed, in the order in which it was added."""
        return tuple(self._followed)

    def close(self) -> None:
        """Counts and forgets."""
        super().close()
        self.reset()

    def add(self, frame: VideoFrame, prompt: SegmentPrompt, object_id: int) -> Mask:
        """Takes the colour of the prompt. Raises InputError."""
        self._fit(frame)
        prompt.check(*frame.pixels.shape[:2])
        self._size = frame.pixels.shape
        self.spend(self.cost, Stop())
        x, y = _pointed(prompt, *frame.pixels.shape[:2])
        self.prompts.append((object_id, prompt))
        blue, green, red = frame.pixels[int(y), int(x)].tolist()
        self._followed[object_id] = (blue, green, red), (x, y)
        return self._masks(frame, (object_id,))[0]

    def track(self, frame: VideoFrame, stop: Stop) -> tuple[Mask, ...]:
        """Gives the masks, by ``objects``. Raises InputError."""
        self._fit(frame)
        self.seen.append(frame)
        self.spend(self.cost, stop)
        return () if stop else self._masks(frame, self.objects)

    def cut_out(self, frame: VideoFrame, prompt: SegmentPrompt) -> Mask:
        """Gives the block of the prompt's colour in one picture. Raises InputError."""
        prompt.check(*frame.pixels.shape[:2])
        alone = FakeSegmenter(spend=self.spend, cost=self.cost)
        return alone.add(frame, prompt, 0)

    def remove(self, object_id: int) -> None:
        """Stops following one object."""
        self._followed.pop(object_id, None)
        if not self._followed:
            self._size = None

    def reset(self) -> None:
        """Forgets everything but the script."""
        self._followed.clear()
        self._size = None

    def _fit(self, frame: VideoFrame) -> None:
        if self._size is not None and frame.pixels.shape != self._size:
            (height, width), (h, w) = self._size[:2], frame.pixels.shape[:2]
            self.reset()
            raise InputError(f"the picture has {w}x{h} pixels, those before it had {width}x{height}")

    def _masks(self, frame: VideoFrame, ids: Sequence[int]) -> tuple[Mask, ...]:
        boxes = self._assigned(frame.pixels, [one for one in ids if one not in self.script])
        boxes |= {one: row[min(frame.index, len(row) - 1)] for one in ids if (row := self.script.get(one))}
        return tuple(self._mask(frame.pixels, one, boxes.get(one)) for one in ids)

    def _assigned(self, pixels: Pixels, ids: Sequence[int]) -> dict[int, Box | None]:
        pairs = []
        for one in ids:
            colour, (x, y) = self._followed[one]
            for box in blocks((pixels == colour).all(axis=2)):
                pairs.append((abs(box.centre[0] - x) + abs(box.centre[1] - y), one, (box.x0, box.y0), box))
        given: dict[int, Box | None] = {}
        taken = set()
        for _, one, corner, box in sorted(pairs, key=lambda pair: pair[0]):
            if one not in given and corner not in taken:
                given[one] = box
                taken.add(corner)
        return given

    def _mask(self, pixels: Pixels, one: int, box: Box | None) -> Mask:
        bits = np.zeros(pixels.shape[:2], np.bool_)
        colour, _ = self._followed[one]
        if box is None:
            return Mask(one, bits, 0.0)
        rows, columns = slice(max(0, int(box.y0)), int(box.y1)), slice(max(0, int(box.x0)), int(box.x1))
        bits[rows, columns] = True if one in self.script else (pixels[rows, columns] == colour).all(axis=2)
        self._followed[one] = colour, box.centre
        score = DOUBTFUL if self.doubt else SCORE
        return Mask(one, bits, score if bits.any() else 0.0, _appearance(colour))


class FakeDetector(_Seeing):
    """Finds the blocks of pure colour, calls them by ``colours``' names; or gives the script's entries, the last for ever."""

    def __init__(
        self,
        script: Sequence[Sequence[Detection]] | None = None,
        *,
        colours: Mapping[str, Bgr] = COLOURS,
        cost: float = 0.0,
        spend: Spend = spend_real,
    ) -> None:
        super().__init__(cost, spend)
        self.script = [tuple(entry) for entry in script or ()]
        self._colours = dict(colours)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the colours, and those of the script."""
        return tuple(dict.fromkeys([*self._colours, *(found.label for entry in self.script for found in entry)]))

    def detect(self, frame: VideoFrame) -> tuple[Detection, ...]:
        """Gives the script's next, or what is drawn in the picture: the larger, the surer."""
        self.seen.append(frame)
        self.spend(self.cost, Stop())
        if self.script:
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]
        found = [
            Detection(label, box, SCORE + 0.09 * box.width * box.height / frame.pixels[..., 0].size)
            for label, colour in self._colours.items()
            for box in blocks((frame.pixels == colour).all(axis=2))
        ]
        return tuple(sorted(found, key=lambda one: -one.score))


def _pointed(prompt: SegmentPrompt, height: int, width: int) -> tuple[float, float]:
    """Gives the place in a prompt that is surely on the object: x, y."""
    wanted = prompt.wanted or (True,) * len(prompt.points)
    on = [point for point, yes in zip(prompt.points, wanted, strict=True) if yes]
    if on:
        return on[0]
    if prompt.box is not None:
        x, y = prompt.box.centre
        return min(max(0.0, x), width - 1), min(max(0.0, y), height - 1)
    if prompt.mask is not None:
        rows, columns = np.nonzero(prompt.mask)
        middle = len(rows) // 2
        return float(columns[middle]), float(rows[middle])
    return prompt.points[0]


def _appearance(colour: Bgr) -> NDArray[np.float32]:
    """A vector of length 1, the same for alike colours only: (64,), four steps a channel."""
    blue, green, red = (value // 64 for value in colour)
    one = np.zeros(64, np.float32)
    one[16 * blue + 4 * green + red] = 1.0
    return one
