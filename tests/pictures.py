"""Reads pictures back, for tests that look at what was written or at real photographs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.values import Pixels


def load(path: Path) -> Pixels:
    """Gives the picture of a file, (height, width, 3) BGR."""
    return decode(path.read_bytes())


def decode(data: bytes) -> Pixels:
    """Gives the picture of an encoded file's bytes, (height, width, 3) BGR."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None, "no picture"
    return as_pixels(picture)


def as_pixels(picture: cv2.typing.MatLike) -> Pixels:
    """Narrows the type of what OpenCV made of a picture."""
    assert picture.dtype == np.uint8
    return np.asarray(picture, np.uint8)
