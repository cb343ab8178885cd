"""Whether the masks of a reduced SAM 2 are still those of the whole one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.tracks import Cues, Memories
from edge.values import Pixels
from models.sam2_onnx import Sam2Onnx

_PLACES: Final = ((0.5, 0.5), (0.3, 0.4), (0.7, 0.6))
"""Where the objects are clicked, in shares of the picture."""


def agreement(folder: Path, precision: str, frames: Sequence[Pixels]) -> float:
    """Gives the mean intersection over union of a precision's masks with those of fp32, over pictures and objects.

    Three points are clicked in the first picture, and what they mean is followed through the others by its first and its
    last memory. Each precision follows its own masks, so what goes wrong adds up, as it would in use. Whether an object is
    called hidden is left out of it: two empty masks would agree whatever the networks do.
    """
    whole, reduced = (_masks(Sam2Onnx(folder, device="cpu", precision=each), frames) for each in ("fp32", precision))
    both = np.count_nonzero(whole & reduced, axis=(-2, -1))
    either = np.count_nonzero(whole | reduced, axis=(-2, -1))
    return float(np.where(either, both / np.maximum(either, 1), 1.0).mean())


def _masks(network: Sam2Onnx, frames: Sequence[Pixels]) -> NDArray[np.bool_]:  # (frames, objects, side, side)
    network.open()
    try:
        size, n = network.size, len(_PLACES)
        points = np.array(_PLACES, np.float32)[:, None] * size
        cues = Cues(points, np.ones((n, 1), np.int32))
        masks: list[NDArray[np.bool_]] = []
        kept: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        for index, frame in enumerate(frames):
            view = network.encode(frame)
            if index == 0:
                seen = np.repeat(network.recall(view, None), n, axis=0)
            else:
                seen = network.recall(view, _told(kept, index))
                cues = Cues(np.zeros((n, 1, 2), np.float32), np.full((n, 1), -1, np.int32))
            found = network.decode(view, seen, cues)
            best = 1 + found.ious[:, 1:].argmax(axis=1)
            bits = found.logits[np.arange(n), best] > 0
            masks.append(bits)
            whole = np.repeat(np.repeat(bits, 4, axis=1), 4, axis=2)[:, None].astype(np.float32)
            kept.append((network.memorise(view, whole, np.ones(n, np.float32)), found.pointers[np.arange(n), best]))
        return np.stack(masks)
    finally:
        network.close()


def _told(kept: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]], index: int) -> Memories:
    used = [kept[0], *([kept[-1]] if index > 1 else [])]
    n = len(kept[0][0])
    slots, ages = ([0], [index]) if index == 1 else ([0, 1], [index, 1])
    return Memories(
        [[maps[i] for maps, _ in used] for i in range(n)],
        np.array([slots] * n, np.int64),
        [[pointers[i] for _, pointers in used] for i in range(n)],
        np.array([ages] * n, np.float32),
    )


def drawn_frames(count: int = 6, height: int = 360, width: int = 480) -> list[Pixels]:
    """Gives pictures of three shapes of different colours that move over a shaded ground."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    ground = np.stack((90 + columns / 8, 110 + rows / 8, 100 + (rows + columns) / 12), axis=-1)
    frames = []
    for t in range(count):
        picture = ground.copy()
        discs = ((0.5, 0.5, 0.16, (40, 60, 210)), (0.3, 0.4, 0.12, (200, 80, 30)), (0.7, 0.6, 0.1, (30, 190, 90)))
        for place, (x, y, radius, colour) in enumerate(discs):
            dx = columns - (x + 0.008 * t * (place - 1)) * width
            dy = rows - (y + 0.006 * t) * height
            inside = (
                (dx * dx + dy * dy < (radius * height) ** 2) if place != 1 else (np.maximum(abs(dx), abs(dy)) < radius * height)
            )
            picture[inside] = colour
        frames.append(picture.round().clip(0, 255).astype(np.uint8))
    return frames
