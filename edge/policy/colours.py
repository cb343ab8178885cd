"""What colour something is, in plain words.

Colours are named in CIE Lab by lightness, chroma and hue, whose steps are about even to the eye. The borders follow how people
name colours (Berlin and Kay, 1969: eleven words that all speakers of English share, and "beige" and "turquoise", which they
use of things): brown is dark orange, pink is light red or purple, and what has little chroma is black, grey or white.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.values import Pixels

Lab = NDArray[np.float32]
"""CIE Lab under D65, last axis L (0 to 100), a and b."""

NAMES = (
    "black", "grey", "white", "red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink", "brown", "beige"
)  # fmt: skip
SHARE = 0.22
"""A second colour with less than this share of a thing is not worth a word."""
MOST_SAMPLES = 4096
_NEUTRAL = 11.0
"""Chroma below which there is no hue: paper under a warm lamp has 8."""


def lab(bgr: NDArray[np.float32] | Pixels) -> Lab:
    """Gives sRGB values from 0 to 255, last axis blue, green, red, in CIE Lab."""
    rgb = np.asarray(bgr, np.float32)[..., ::-1] / np.float32(255)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


_RGB_TO_XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
_TO_XYZ = (np.array(_RGB_TO_XYZ) / np.array([[0.95047], [1.0], [1.08883]])).astype(np.float32)
"""Linear sRGB to XYZ, relative to the white of D65."""


def shares(pixels: Pixels, bits: NDArray[np.bool_] | None = None) -> tuple[tuple[str, float], ...]:
    """Gives the colours of a picture (height, width, 3), or of its masked part, with their shares of it, largest first."""
    thin = max(1, math.isqrt(pixels.shape[0] * pixels.shape[1] // (16 * MOST_SAMPLES)))  # a small thing keeps enough of them
    pixels, bits = pixels[::thin, ::thin], None if bits is None else bits[::thin, ::thin]
    chosen = pixels.reshape(-1, 3) if bits is None else pixels[bits]  # (n, 3)
    if not len(chosen):
        return ()
    chosen = chosen[:: max(1, len(chosen) // MOST_SAMPLES)]
    counts = np.bincount(_named(lab(chosen)), minlength=len(NAMES)) / len(chosen)
    return tuple((NAMES[at], float(counts[at])) for at in np.argsort(-counts, kind="stable") if counts[at] > 0)


def main(found: Sequence[tuple[str, float]]) -> tuple[str, ...]:
    """Gives the one or two names that a thing of these ``shares`` is called by."""
    return tuple(name for at, (name, share) in enumerate(found[:2]) if at == 0 or share >= SHARE)


def _named(colours: Lab) -> NDArray[np.intp]:
    """The place in NAMES of each of (n, 3) colours."""
    light, a, b = colours[:, 0], colours[:, 1], colours[:, 2]
    chroma = np.hypot(a, b)
    hue = np.degrees(np.arctan2(b, a)) % 360
    warm = (hue >= 45) & (hue < 105)
    red = (hue >= 345) | (hue < 47)
    rules = [
        ("black", ((light < 12) & (chroma < 30)) | ((chroma < _NEUTRAL) & (light < 22))),
        ("beige", warm & (chroma >= 8) & (chroma < 40) & (light >= 68)),
        ("white", (chroma < _NEUTRAL) & (light >= 85)),
        ("grey", chroma < _NEUTRAL),
        ("pink", ((hue >= 325) | (hue < 40)) & (light >= 60) & (chroma < 60)),
        ("pink", (hue >= 318) & (light >= 45)),
        ("brown", (hue >= 30) & (hue < 82) & (light < 55) & (chroma < 52)),
        ("red", red),
        ("orange", hue < 75),
        ("yellow", hue < 108),
        ("green", hue < 165),
        ("turquoise", hue < 225),
        ("blue", hue < 308),
        ("purple", hue < 330),
        ("red", hue >= 330),
    ]
    places = np.select([rule for _, rule in rules], [NAMES.index(name) for name, _ in rules], default=1)
    return np.asarray(places, np.intp)
