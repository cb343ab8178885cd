"""A camera that sees one picture: it makes the JPEG of the size and the quality that it is asked for."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Camera = Callable[[int, int, int], bytes]
"""Gives a JPEG by width and height, in pixels, and quality, 1 to 100; empty where it fails."""


def camera(jpeg: bytes) -> Camera:
    """Gives a camera that sees a picture, fitted into the size that is asked for."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("no JPEG")
    height, width = picture.shape[:2]

    def taken(wide: int, high: int, quality: int) -> bytes:
        scale = min(wide / width, high / height, 1.0)
        size = round(width * scale), round(height * scale)
        scaled = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        done, encoded = cv2.imencode(".jpg", scaled, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return encoded.tobytes() if done else b""

    return taken
