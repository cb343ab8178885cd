"""What is drawn over a picture, as data: every overlay is ``{"kind", "label", "score"}`` with a shape.

============  ====================================================================================================
shape         meaning, in pixels of the picture that was looked at
============  ====================================================================================================
``box``       ``[x0, y0, x1, y1]``, upright
``polygon``   ``[[x, y], ...]``, closed
``rle``       ``{"size": [height, width], "counts": [...]}``: COCO's run lengths, down the columns, background first
============  ====================================================================================================

``kind`` is ``text``, ``code``, ``detection``, ``mask`` or ``track``; ``label`` is what stands there, and data, never markup. A
``track``, a followed object, has ``id``, ``state`` and ``sure`` instead of a score, a ``box`` and, while it can be seen, an
``rle``, which may be smaller than the picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edge.tracks import Track
from edge.values import Box, Code, Detection, Mask, TextLine

LEVEL_DEGREES = 2.0
"""A line that is turned by less is drawn as its upright box."""

Overlay = Mapping[str, Any]


def text_overlay(line: TextLine) -> Overlay:
    """A line of text: its box, or the turned rectangle that the box encloses."""
    overlay: dict[str, Any] = {"kind": "text", "label": line.text, "score": round(line.confidence, 3)}
    turned = _turned(line.box, line.angle)
    return {**overlay, "polygon": turned} if turned is not None else {**overlay, "box": line.box.corners()}


def code_overlay(code: Code) -> Overlay:
    """A code with what it encodes."""
    return {"kind": "code", "label": f"{code.kind} {code.data}", "score": 1.0, "box": code.box.corners()}


def detection_overlay(detection: Detection) -> Overlay:
    """An object with a name."""
    return {
        "kind": "detection",
        "label": detection.label,
        "score": round(detection.score, 3),
        "box": detection.box.corners(),
    }


def mask_overlay(mask: Mask) -> Overlay:
    """The pixels of a followed object."""
    size = [int(side) for side in mask.bits.shape]
    rle = {"size": size, "counts": run_lengths(mask)}
    return {"kind": "mask", "label": f"object {mask.object_id}", "score": round(mask.score, 3), "rle": rle}


def track_overlay(track: Track, longest: int) -> Overlay:
    """A followed object, its mask with its longer side at most ``longest``; while it is lost, where it was seen last."""
    overlay = {
        "kind": "track",
        "id": track.object_id,
        "label": track.label,
        "state": track.state.value,
        "sure": track.sure,
        "box": track.box.corners(),
    }
    if track.mask is None:
        return overlay
    step = -(-max(track.mask.bits.shape) // longest)
    bits = np.ascontiguousarray(track.mask.bits[::step, ::step])
    size = [int(side) for side in bits.shape]
    return {**overlay, "rle": {"size": size, "counts": run_lengths(replace(track.mask, bits=bits))}}


def run_lengths(mask: Mask) -> list[int]:
    """Gives COCO's uncompressed run lengths: down the columns, the first run is background and may be 0."""
    flat = mask.bits.flatten(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]]))
    return [0, *counts.tolist()] if flat.size and flat[0] else counts.tolist()


def _turned(box: Box, angle: float) -> list[list[float]] | None:
    """The rectangle turned by ``angle`` that ``box`` encloses; None where it is level or cannot be told from the box.

    The box of a rectangle w x h is w|cos| + h|sin| wide and w|sin| + h|cos| high. Near 45 degrees both are alike, and w and h
    cannot be told apart.
    """
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    if min(abs(angle), abs(abs(angle) - 180)) < LEVEL_DEGREES or abs(abs(cos) - abs(sin)) < 0.15:
        return None
    spread = cos * cos - sin * sin
    width = (box.width * abs(cos) - box.height * abs(sin)) / spread
    height = (box.height * abs(cos) - box.width * abs(sin)) / spread
    if width <= 0 or height <= 0:
        return None
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    corners = ((-width, -height), (width, -height), (width, height), (-width, height))
    return [[round(x + (u * cos - v * sin) / 2, 1), round(y + (u * sin + v * cos) / 2, 1)] for u, v in corners]
