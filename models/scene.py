"""Says what can be said of a picture without a model of it: how bright it is and which colours fill it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import EngineMissing
from edge.values import EngineInfo, Pixels, SceneFacts, VideoFrame

SIDE = 64
"""Colours are counted on a thumbnail of this size squared: a share of a picture needs no more than 4096 samples."""
LEAST = 0.05
"""Smaller shares are not worth a word."""

NAMES: dict[str, tuple[str, ...]] = {
    "black": ("000000", "1c1c1c"),
    "grey": ("404040", "696969", "8c8c8c", "b0b0b0"),
    "white": ("ffffff", "e6e6e6"),
    "red": ("ff0000", "c01818", "8b0000", "e04a4a"),
    "orange": ("ff8c00", "e8742a"),
    "yellow": ("ffff00", "ffd700", "e8d868", "b8a820"),
    "green": ("00c800", "006400", "228b22", "6b8e23", "90d890", "9acd32"),
    "turquoise": ("40e0d0", "008b8b", "00ffff"),
    "blue": ("0000ff", "0000b4", "00007a", "1e6ee6", "1a3ccc", "4682b4", "87b8f0", "1e3264"),
    "purple": ("800080", "7a3cc8", "4b0082", "b088d8"),
    "pink": ("ff69b4", "ffb6c8", "ff00ff", "d0447c"),
    "brown": ("8b4513", "5c3317", "a07040", "3c2414"),
    "beige": ("f0e4c8", "d2b48c"),
}
"""Plain names, each with the sRGB colours that stand for it: one alone cannot, "blue" is navy as well as sky."""


class OpenCvScene:
    """SceneMeter that counts pixels by their nearest named colour in CIE Lab."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._points: NDArray[np.float32] = np.zeros((0, 3), np.float32)

    @property
    def info(self) -> EngineInfo:
        """Name, version and licence."""
        return EngineInfo("opencv scene", "1", "", "Apache-2.0")

    def open(self) -> None:
        """Puts the named colours into Lab. Raises EngineMissing."""
        self._names = [name for name, colours in NAMES.items() for _ in colours]
        colours = [bytes.fromhex(colour)[::-1] for family in NAMES.values() for colour in family]
        self._points = _lab(np.frombuffer(b"".join(colours), np.uint8).reshape(1, -1, 3))[0]

    def close(self) -> None:
        """Nothing to free."""

    def measure(self, frame: VideoFrame) -> SceneFacts:
        """Gives mean luma and the named colours with a share of 5 % or more, largest first."""
        if not self._names:
            self.open()
        thumbnail = _cv2().resize(frame.pixels, (SIDE, SIDE), interpolation=_cv2().INTER_AREA)
        luma = thumbnail.reshape(-1, 3).mean(axis=0) @ (0.114, 0.587, 0.299)  # BT.601, of blue, green, red
        lab = _lab(thumbnail).reshape(-1, 1, 3)
        nearest = ((lab - self._points[None]) ** 2).sum(axis=2).argmin(axis=1)  # (4096,)
        shares: dict[str, float] = {}
        for at, count in enumerate(np.bincount(nearest, minlength=len(self._names)).tolist()):
            shares[self._names[at]] = shares.get(self._names[at], 0.0) + count / len(nearest)
        named = sorted(((name, round(share, 3)) for name, share in shares.items() if share >= LEAST), key=lambda item: -item[1])
        return SceneFacts(round(float(luma) / 255, 4), tuple(named))


def _cv2() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise EngineMissing("OpenCV is not installed: run pip install opencv-python-headless") from error
    return cv2


def _lab(picture: Pixels) -> NDArray[np.float32]:
    """CIE Lab of a BGR picture: L 0 to 100, a and b about -127 to 127."""
    cv2 = _cv2()
    return np.asarray(cv2.cvtColor(picture.astype(np.float32) / np.float32(255), cv2.COLOR_BGR2Lab), np.float32)
