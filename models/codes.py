"""Reads QR and bar codes with OpenCV: no model, no extra package."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from edge.errors import EngineFailed, EngineMissing
from edge.values import Box, Code, EngineInfo, Pixels, VideoFrame

SIDE = 1600
"""Longest side, in pixels, of the picture that is searched. A larger one is searched smaller: 12 megapixels take a second."""
LEAST = 21
"""A QR code has at least 21 modules a side, and a picture no smaller."""


class OpenCvCodes:
    """CodeReader on OpenCV's QR and bar-code detectors."""

    def __init__(self) -> None:
        self._readers: tuple[Callable[[Pixels], Iterator[Code]], ...] = ()

    @property
    def info(self) -> EngineInfo:
        """Name, version and licence."""
        import cv2

        return EngineInfo("opencv codes", cv2.__version__, "", "Apache-2.0")

    def open(self) -> None:
        """Makes the detectors. Raises EngineMissing."""
        try:
            import cv2
        except ImportError as error:
            raise EngineMissing("OpenCV is not installed: run pip install opencv-python-headless") from error
        self._readers = (_qr(cv2.QRCodeDetectorAruco()), _bars(cv2.barcode.BarcodeDetector()))

    def close(self) -> None:
        """Frees the detectors."""
        self._readers = ()

    def scan(self, frame: VideoFrame) -> tuple[Code, ...]:
        """Gives the codes, top to bottom, left to right."""
        import cv2

        if not self._readers:
            raise EngineFailed("the code reader is not open")
        pixels = frame.pixels
        if min(pixels.shape[:2]) < LEAST:
            return ()
        scale = max(1.0, max(pixels.shape[:2]) / SIDE)
        if scale > 1:
            size = round(pixels.shape[1] / scale), round(pixels.shape[0] / scale)
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        codes: list[Code] = []
        for read in self._readers:
            try:
                codes += read(pixels)
            except cv2.error:
                continue  # a pattern that looked like a code and breaks an assertion in the decoder is no code
        placed = (Code(code.kind, code.data, _scaled(code.box, scale)) for code in codes)
        return tuple(sorted(placed, key=lambda code: (code.box.y0, code.box.x0)))


def _qr(detector: Any) -> Callable[[Pixels], Iterator[Code]]:
    def read(pixels: Pixels) -> Iterator[Code]:
        found, texts, corners, _ = detector.detectAndDecodeMulti(pixels)
        for text, quad in zip(texts, corners, strict=False) if found else ():
            if data := clean(text):
                yield Code("qr", data, _box(quad))

    return read


def _bars(detector: Any) -> Callable[[Pixels], Iterator[Code]]:
    def read(pixels: Pixels) -> Iterator[Code]:
        found, texts, kinds, corners = detector.detectAndDecodeWithType(pixels)
        for text, kind, quad in zip(texts, kinds, corners, strict=False) if found else ():
            if data := clean(text):
                yield Code(kind.replace("_", "").lower(), data, _box(quad))

    return read


def clean(text: str) -> str:
    """Takes out control and format characters but for line feeds, which part the fields of a contact."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    kept = (letter for letter in text if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Co", "Cs"))
    return "".join(kept).strip()


def _box(quad: Any) -> Box:
    points = np.asarray(quad, np.float64).reshape(-1, 2)
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return Box(float(x0), float(y0), float(x1), float(y1))


def _scaled(box: Box, scale: float) -> Box:
    return Box(box.x0 * scale, box.y0 * scale, box.x1 * scale, box.y1 * scale)
