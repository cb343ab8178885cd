"""The picture an answer is about, small enough for a page: coded on a lane, because it takes some 5 ms of a core."""

from __future__ import annotations

import base64

from edge.errors import InputError
from edge.ports import Stop
from edge.values import EngineInfo, VideoFrame

MAX_SIDE = 640
"""Pixels of the longer side."""
QUALITY = 80


class Coder:
    """Makes JPEGs."""

    info = EngineInfo("jpeg", "1")

    def open(self) -> None:
        """Imports OpenCV."""
        import cv2  # noqa: F401 -- its import takes 0.1 s, which belongs to this thread

    def close(self) -> None:
        """Nothing to free."""

    def code(self, frame: VideoFrame, stop: Stop) -> str:
        """Gives the picture, its longer side at most ``MAX_SIDE``, as the base64 text of a JPEG. Raises InputError."""
        import cv2

        pixels = frame.pixels
        scale = MAX_SIDE / max(1, *pixels.shape[:2])
        try:
            if scale < 1:
                size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
                resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
            else:
                resized = pixels
            _, data = cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        except cv2.error as error:
            raise InputError(f"a picture of shape {pixels.shape} cannot be coded") from error
        return base64.b64encode(data.tobytes()).decode("ascii")
