"""Which picture a question is about: the sharpest one around its end.

The variance of the Laplacian ranks pictures of one scene and says nothing across scenes: a white wall is never sharp, gravel
always is. So frames are compared within a window, and there is no threshold below which a frame counts as blurred.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge.values import Pixels, VideoFrame

CLEARLY = 1.25
"""A frame must be this many times as sharp to be worth reading anew. Between neighbours of a steady camera the measure moves
by a few per cent, a blur that costs letters halves it."""
KNOWN = 2
"""How many windows old a frame may be whose text is known. Reading takes longer than a window where the machine is slow or
busy; a reading that were thrown away whenever its frame left the window would never be ready."""
SLOTS = 24
"""The most frames that are kept. At 1920x1080 each takes 6 MB."""
POINTS = 160
"""Points along each side of the grid on which sharpness is measured."""


def sharpness(pixels: Pixels) -> float:
    """Gives the variance of the Laplacian of green, on a grid of points.

    The arms of the Laplacian grow with the picture (1 pixel for every 640 of its longer side), so that what counts is detail
    of the size of letters and not the sensor's noise. A variance needs no more than some ten thousand points: 0.3 ms for a
    picture of any size.
    """
    height, width = pixels.shape[:2]
    arm = max(1, round(max(height, width) / 640))
    if height <= 2 * arm or width <= 2 * arm:
        return 0.0
    # Uneven steps: a step that is a multiple of a pattern's period would see one phase of it only.
    down, across = (max(1, (side - 2 * arm) // POINTS) | 1 for side in (height, width))

    def at(y: int, x: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
        part = pixels[arm + y : height - arm + y : down, arm + x : width - arm + x : across, 1]
        return part.astype(np.int16)

    return float((4 * at(0, 0) - at(-arm, 0) - at(arm, 0) - at(0, -arm) - at(0, arm)).var())


Known = Callable[[VideoFrame], bool]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A frame and its sharpness."""

    frame: VideoFrame
    sharpness: float


class Ring:
    """The last seconds of the camera, by media time.

    It is bounded in time and in number: the time is divided into ``SLOTS`` slots, and of each slot the sharpest frame stays,
    so that thirty frames a second cost no more memory than six.
    """

    def __init__(self, span_ns: int, slots: int = SLOTS) -> None:
        self.span_ns = span_ns
        self._slots = slots
        self._slot_ns = max(1, span_ns // slots)
        self._kept: deque[Ranked] = deque()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def newest(self) -> Ranked | None:
        """The frame kept last."""
        return self._kept[-1] if self._kept else None

    def add(self, frame: VideoFrame, sharpness: float, known: Known = lambda frame: False) -> None:
        """Takes the next frame. Of equally sharp ones in a slot the newer stays. A frame from the past begins the ring anew.

        A ``known`` frame, one whose text has been read or is being read, gives way only to a clearly sharper one.
        """
        newest = self.newest
        if newest is not None and frame.t_ns < newest.frame.t_ns:
            self._kept.clear()
            newest = None
        if newest is not None and newest.frame.t_ns // self._slot_ns == frame.t_ns // self._slot_ns:
            if sharpness < newest.sharpness * (CLEARLY if known(newest.frame) else 1):
                return
            self._kept.pop()
        self._kept.append(Ranked(frame, sharpness))
        while len(self._kept) > self._slots or self._kept[0].frame.t_ns < frame.t_ns - self.span_ns:
            self._kept.popleft()

    def choose(self, end_ns: int, window_ns: int, known: Known = lambda frame: False) -> Ranked | None:
        """Gives the sharpest frame from ``end_ns - window_ns`` to ``end_ns``, of equals the newest.

        A ``known`` frame wins unless another is clearly sharper: the answer then begins at once. Of several such the newest is
        taken, and it may be up to ``KNOWN`` windows old. With no frame in the window it is the newest before it, with none
        there the oldest after it, and None where the ring has nothing of ``span_ns`` before ``end_ns``: what the camera saw
        a minute ago is not the view.
        """
        first_ns = end_ns - window_ns
        within = [ranked for ranked in self._kept if first_ns <= ranked.frame.t_ns <= end_ns]
        ready = [
            ranked for ranked in self._kept if 0 <= end_ns - ranked.frame.t_ns <= KNOWN * window_ns and known(ranked.frame)
        ]
        if not within:
            before = [ranked for ranked in self._kept if end_ns - self.span_ns <= ranked.frame.t_ns < first_ns]
            after = [ranked for ranked in self._kept if ranked.frame.t_ns > end_ns]
            return before[-1] if before else after[0] if after else None
        best = _sharpest(within)
        good = [ranked for ranked in ready if ranked.sharpness * CLEARLY >= best.sharpness]
        return good[-1] if good else best


def _sharpest(frames: list[Ranked]) -> Ranked:
    return max(frames, key=lambda ranked: (ranked.sharpness, ranked.frame.t_ns))
