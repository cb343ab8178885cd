"""The way of the pictures: a slot for the newest frame, turned into pixels only when somebody takes it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.channel import Channel, Overflow
from edge.values import Pixels, VideoFrame

MIN_SIDE = 16
MAX_PIXELS = 16_000_000
GIVEN = 12
"""Pictures that are kept after they were given, in case that one is chosen; a session keeps most of them too."""
IN_PLACE = 1_000_000
"""Frames up to so many pixels are converted on the loop: it takes 2 ms, a thread's hop costs more under load."""


class Decoded(Protocol):
    """A frame as PyAV decodes it."""

    @property
    def width(self) -> int:
        """Pixels across."""

    @property
    def height(self) -> int:
        """Pixels down."""

    @property
    def rotation(self) -> int:
        """Degrees, counter-clockwise, by which the picture is to be turned to stand upright."""

    def to_ndarray(self, *, format: str) -> NDArray[Any]:
        """The pixels; ``bgr24`` gives shape (height, width, 3)."""


class View:
    """Takes decoded frames at the camera's pace and gives pictures at the reader's, at most ``fps`` a second."""

    def __init__(self, fps: float) -> None:
        self.absurd = 0
        """Frames of a size that cannot be meant."""
        self.skipped = 0
        """Frames that gave way to a newer one."""
        self._period = 1.0 / fps
        self._loop = asyncio.get_running_loop()
        self.chosen: VideoFrame | None = None
        """The picture that was chosen last of those that were given."""
        self._given: deque[VideoFrame] = deque(maxlen=GIVEN)
        self._latest: tuple[Decoded, int] | None = None
        self._stills: deque[tuple[Pixels, int]] = deque(maxlen=2)
        self._due = 0.0
        self._ready: Channel[None] = Channel("camera", 1, Overflow.DROP_OLDEST)
        self._timer: asyncio.TimerHandle | None = None

    def frame(self, frame: Decoded, t_ns: int) -> None:
        """Takes a frame with the media time of its exposure. Only the newest one is kept."""
        if min(frame.width, frame.height) < MIN_SIDE or frame.width * frame.height > MAX_PIXELS:
            self.absurd += 1
            return
        self.skipped += self._latest is not None
        self._latest = frame, t_ns
        if self._timer is None:
            # In the loop's next turn at the earliest: of frames that came in a heap the last one counts.
            self._timer = self._loop.call_at(max(self._due, self._loop.time()), self._wake)

    def still(self, pixels: Pixels, t_ns: int) -> None:
        """Takes a photograph; it waits for nothing."""
        self._stills.append((pixels, t_ns))
        self._wake()

    def choose(self, index: int) -> None:
        """Keeps one of the pictures that were given lately, to be shown with what is said of it."""
        self.chosen = next((frame for frame in self._given if frame.index == index), None)

    def forget(self) -> None:
        """Drops what nobody has taken yet, and what was kept."""
        self._latest = self.chosen = None
        self._stills.clear()
        self._given.clear()

    def close(self, error: BaseException | None = None) -> None:
        """Ends ``frames``, with an error or without."""
        self.forget()
        if self._timer is not None:
            self._timer.cancel()
        self._ready.close(error)

    async def frames(self) -> AsyncIterator[VideoFrame]:
        """Gives the pictures, upright, their times never falling."""
        index = last = 0
        async for _ in self._ready:
            for pixels, t_ns in await self._taken():
                last = max(last, t_ns)
                frame = VideoFrame(pixels, last, index)
                self._given.append(frame)
                yield frame
                index += 1

    async def _taken(self) -> list[tuple[Pixels, int]]:
        pictures = list(self._stills)
        self._stills.clear()
        latest, self._latest = self._latest, None
        if latest is not None:
            self._due = self._loop.time() + self._period
            frame, t_ns = latest
            in_place = frame.width * frame.height <= IN_PLACE
            pixels = upright(frame) if in_place else await asyncio.to_thread(upright, frame)
            pictures.append((pixels, t_ns))
        return pictures

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._ready.closed:
            self._ready.send_nowait(None)


def upright(frame: Decoded) -> Pixels:
    """Turns a decoded frame into BGR pixels, shape (height, width, 3), by the quarter turns that it carries."""
    pixels: Pixels = frame.to_ndarray(format="bgr24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90))) if frame.rotation else pixels
