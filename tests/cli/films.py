"""Films drawn by the tests: a red cup wanders over grey, hidden for a while."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

from edge.values import Pixels

FPS = 10
SIZE = (96, 64)
"""Width and height."""
CUP = 16
"""Its side in pixels."""
HIDDEN = range(6, 14)


def cup_at(index: int) -> tuple[int, int]:
    """Its upper left corner in a picture."""
    return 4 + 2 * index, 10 + index


def wandering(count: int = 24, size: tuple[int, int] = SIZE) -> list[Pixels]:
    """The pictures: the cup of the fakes' red, and a bottle of their green that stands still."""
    pictures = []
    for index in range(count):
        picture = np.full((size[1], size[0], 3), 90, np.uint8)
        picture[44:60, 70:86] = (0, 255, 0)
        if index not in HIDDEN:
            x, y = cup_at(index)
            picture[y : y + CUP, x : x + CUP] = (0, 0, 255)
        pictures.append(picture)
    return pictures


def film(path: Path, pictures: Sequence[Pixels]) -> Path:
    """Writes a video without loss, as FFV1 in Matroska."""
    with av.open(str(path), "w", format="matroska") as file:
        stream = file.add_stream("ffv1", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "bgr0"
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = index
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def elementary(path: Path, pictures: Sequence[Pixels]) -> Path:
    """Writes a bare H.264 stream: two of them, one behind the other, are a video whose size changes."""
    with av.open(str(path), "w", format="h264") as file:
        stream = file.add_stream("libx264", rate=FPS, options={"qp": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuv444p"
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        file.mux(stream.encode())
    return path
