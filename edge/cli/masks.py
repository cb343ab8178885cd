"""The files of ``nearsight track --out``: a PNG for each picture and object, and a preview to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import StorageError
from edge.values import Mask, Pixels, VideoFrame

PREVIEW = "preview.mp4"
PREVIEW_SIDE = 960
"""Pixels of the preview's longer side, at most."""
COLOURS = ((204, 102, 47), (91, 122, 29), (181, 73, 127), (29, 50, 179), (0, 112, 208), (150, 140, 0))
"""BGR, by object id; the dashboard's (phone_bridge/web/sheet.js)."""


class MaskFolder:
    """Writes masks and the preview. Blocking; its methods belong to one thread at a time. All raise StorageError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._container: Any = None
        self._stream: Any = None
        self._latest_ms = -1
        self._broken = False

    def open(self) -> None:
        """Makes the folder; what an earlier run left in it is written over."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{self.folder}: {error.strerror}") from error

    def file(self, frame: VideoFrame, mask: Mask) -> Path:
        """Gives where a mask is written: ``000123_1.png``, picture and object."""
        return self.folder / f"{frame.index:06d}_{mask.object_id}.png"

    def write(self, frame: VideoFrame, masks: Sequence[Mask], captions: Mapping[int, str]) -> None:
        """Writes the masks of one picture: 8 bits, 0 and 255, of the picture's size. ``captions`` stand on the preview."""
        import cv2

        for mask in masks:
            # Level 1: a mask is some kB at any level, and the higher ones take four times as long.
            _, data = cv2.imencode(".png", mask.bits.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_COMPRESSION, 1])
            path = self.file(frame, mask)
            try:
                path.write_bytes(data.tobytes())
            except OSError as error:
                raise StorageError(f"{path}: {error.strerror}") from error
        self._show(frame, _drawn(frame.pixels, masks, captions))

    def close(self) -> None:
        """Ends the preview."""
        if self._container is None:
            return
        container, self._container = self._container, None
        with _Storing(self.folder / PREVIEW):
            try:
                if not self._broken:
                    container.mux(self._stream.encode())
            finally:
                container.close()

    def _show(self, frame: VideoFrame, picture: Pixels) -> None:
        import av

        with _Storing(self.folder / PREVIEW):
            if self._container is None:
                self._container = av.open(str(self.folder / PREVIEW), "w", format="mp4")
                self._stream = self._container.add_stream("libx264", rate=30, options={"preset": "ultrafast", "crf": "24"})
                self._stream.height, self._stream.width = picture.shape[:2]
                self._stream.pix_fmt = "yuv420p"
                self._stream.codec_context.time_base = Fraction(1, 1000)
            shown = av.VideoFrame.from_ndarray(picture, format="bgr24")
            self._latest_ms = shown.pts = max(self._latest_ms + 1, frame.t_ns // 1_000_000)
            shown.time_base = Fraction(1, 1000)
            self._broken = True  # until it has been written: FFmpeg crashes when given more after a failure
            self._container.mux(self._stream.encode(shown))
            self._broken = False


class _Storing:
    """Turns what FFmpeg and the disk raise into StorageError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from av.error import FFmpegError

        if isinstance(error, OSError | FFmpegError):
            raise StorageError(f"{self._path}: {error.strerror}") from error


def _drawn(pixels: Pixels, masks: Sequence[Mask], captions: Mapping[int, str]) -> Pixels:
    """Gives the picture, its sides even and at most ``PREVIEW_SIDE``, with tinted masks and captions."""
    import cv2

    scale = min(1.0, PREVIEW_SIDE / max(pixels.shape[:2]))
    width, height = (max(2, 2 * round(side * scale / 2)) for side in (pixels.shape[1], pixels.shape[0]))
    picture = np.array(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    for mask in masks:
        colour = COLOURS[(mask.object_id - 1) % len(COLOURS)]
        bits = cv2.resize(mask.bits.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        where = bits.astype(bool)
        picture[where] = (0.5 * picture[where] + 0.5 * np.array(colour)).astype(np.uint8)
        edges, _ = cv2.findContours(bits, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(picture, edges, -1, colour, 2)
    for row, (number, text) in enumerate(captions.items()):
        place, colour = (8, 22 + 22 * row), COLOURS[(number - 1) % len(COLOURS)]
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 4, cv2.LINE_AA)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, 1, cv2.LINE_AA)
    return picture
