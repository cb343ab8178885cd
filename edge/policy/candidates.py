"""Which of SAM 2's four masks is meant, as its ``MaskDecoder`` and ``SAM2Base._forward_sam_heads`` decide for SAM 2.1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge.tracks import Candidates, Floats

NO_OBJECT = -1024.0
"""The logit of every pixel of an object that is not in the picture."""
STABILITY_DELTA = 0.05
STABLE = 0.98
"""A mask is stable if its area at +delta is so large a share of its area at -delta."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The mask of one object in one picture."""

    logits: Floats
    """(size / 4, size / 4)."""
    pointer: Floats
    """(256,)."""
    score: float
    """The object score logit."""
    iou: float
    """How good the network thinks the mask is."""

    @property
    def visible(self) -> bool:
        """Whether the object is in the picture."""
        return self.score > 0


def choose(candidates: Candidates, which: int, clicks: int) -> Chosen:
    """Gives the mask of object ``which`` of the batch, pointed out by ``clicks`` points (a box is two, following none).

    Up to one point leaves open whether the whole or a part is meant, so the best of the three masks for such cases is taken.
    With more points the first mask is, or the best of the three where the first is unstable; the pointer is the first's.
    """
    ious = candidates.ious[which]
    best = 1 + int(np.argmax(ious[1:]))
    mask = best if clicks <= 1 or _stability(candidates.logits[which, 0]) < STABLE else 0
    score = float(candidates.scores[which])
    logits = candidates.logits[which, mask].copy() if score > 0 else np.full_like(candidates.logits[which, mask], NO_OBJECT)
    pointer = candidates.pointers[which, best if clicks <= 1 else 0].copy()  # a copy, or the whole batch would stay alive
    return Chosen(logits, pointer, score, float(ious[mask]))


def _stability(logits: Floats) -> float:
    outer = np.count_nonzero(logits > -STABILITY_DELTA)
    return np.count_nonzero(logits > STABILITY_DELTA) / outer if outer else 1.0
