"""What goes into a SAM 2.1 network: a picture as its square, memories as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.tracks import Floats, Memories
from edge.values import Pixels

MEAN = np.array((0.485, 0.456, 0.406), np.float32)
DEVIATION = np.array((0.229, 0.224, 0.225), np.float32)
"""Of ImageNet, red, green, blue, as in training."""
_SCALE = (1.0 / (255.0 * DEVIATION.astype(np.float64))).astype(np.float32)
_SHIFT = (-MEAN / DEVIATION).astype(np.float32)


def square(pixels: Pixels, size: int) -> Floats:
    """Gives a picture (h, w, 3), BGR, as the network's input (1, 3, size, size), RGB, normalised.

    The reference's video predictor reads JPEG files with Pillow and stretches them with its default filter, bicubic with
    antialiasing on 8 bits; its other paths (a decoder's own scaling for MP4, bilinear for single pictures) differ from that
    and from each other. This is the first, to the bit, up to the rounding of the normalisation (1e-6).
    """
    from PIL import Image

    if pixels.shape[:2] != (size, size):
        pixels = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC))
    planes = np.empty((1, 3, size, size), np.float32)
    for plane, channel in enumerate((2, 1, 0)):  # one at a time: 0.5 ms at 512 pixels, all three transposed take 3
        np.multiply(pixels[:, :, channel], _SCALE[plane], out=planes[0, plane])
        planes[0, plane] += _SHIFT[plane]
    return planes


def stacked(memories: Memories) -> tuple[Floats, NDArray[np.int64], Floats, Floats]:
    """Gives memories as arrays: maps (n, m, 64, f, f), slots (n, m), pointers (n, p, 256), ages (n, p)."""
    n, p = len(memories.maps), len(memories.pointers[0]) if memories.pointers else 0
    maps = np.stack([_stack(of_one) for of_one in memories.maps])
    pointers = np.stack([_stack(of_one) for of_one in memories.pointers]) if p else np.zeros((n, 0, 256), np.float32)
    return maps, memories.slots.astype(np.int64), pointers, memories.ages.astype(np.float32).reshape(n, p)


def _stack(arrays: Any) -> Floats:
    stack: Floats = np.stack(list(arrays)).astype(np.float32, copy=False)
    return stack
