"""Follows objects with a SAM 2.1 network, for hours: the streaming memory of ``SAM2VideoPredictor`` without its growth.

The network's parts are functions behind ``edge.ports.MaskNetwork``; what is remembered stands in ``edge.policy.memory``. The
masks are those of the reference predictor, driven as a stream, within the arithmetic of the network's runtime
(``tests/models/test_sam2_parity.py``). What differs from it:

- One picture passes the image encoder once, and objects that remember equally much go through the rest in one batch.
- More than one correction of the picture that an object was first pointed out in goes on counting as pointing out, whether or
  not the picture was tracked meanwhile. The reference shows the corrected mask there and then forgets it.
- A stream is counted in pictures that were given; one that was left out leaves no gap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.policy.candidates import Chosen, choose
from edge.policy.memory import Entry, MemoryBank, MemoryRules, Recalled, batches, together
from edge.policy.resampling import bilinear
from edge.ports import MaskNetwork, Stop
from edge.tracks import Cues, Floats, SegmentPrompt, View
from edge.values import EngineInfo, Mask, Pixels, VideoFrame

BATCH = 4
"""Objects in one call of the network. An attention matrix at 512 pixels takes 30 MB an object, at 1024 half a gigabyte."""
APPEARANCES = 16
"""Newest object pointers that an object's appearance is the mean of."""
SURE = 10.0
"""Logits of a drawn mask, and the object score logit of what was drawn, as in ``SAM2Base._use_mask_as_output``."""
CLAMP = 32.0
"""Bound of the logits of a mask that is to be corrected, as in ``SAM2VideoPredictor.add_new_points_or_box``."""


@dataclass(slots=True)
class _Picture:
    """The newest picture of the stream."""

    pixels: Pixels
    view: View
    index: int


@dataclass(slots=True)
class _Look:
    """What was found of an object in the newest picture."""

    chosen: Chosen
    first: bool
    """Whether the object was pointed out here without help from memory."""
    pointed: bool
    """Whether the picture has yet to be remembered as the wearer's pointing made it."""
    points: Floats = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    """(k, 2), in pixels of the network's input."""
    labels: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))


@dataclass(slots=True)
class _Followed:
    bank: MemoryBank
    pointers: deque[Floats] = field(default_factory=lambda: deque(maxlen=APPEARANCES))
    """Of the newest pictures that it was seen in."""
    look: _Look | None = None


class MemoryTracker:
    """Follows objects with a SAM 2.1 network. Implements ``edge.ports.Segmenter``; one thread at a time."""

    def __init__(self, network: MaskNetwork, rules: MemoryRules | None = None, *, batch: int = BATCH) -> None:
        """``rules`` bound what is remembered of prompted pictures; ``batch`` is how many objects share one call."""
        self._network = network
        self._rules = rules or MemoryRules()
        self._batch = batch
        self._followed: dict[int, _Followed] = {}
        self._picture: _Picture | None = None
        self._aside: tuple[Pixels, View] | None = None
        self._count = 0

    @property
    def info(self) -> EngineInfo:
        """What the network says of itself."""
        return self._network.info

    def open(self) -> None:
        """Loads the network."""
        self._network.open()

    def close(self) -> None:
        """Forgets everything and frees the network."""
        self.reset()
        self._network.close()

    @property
    def objects(self) -> tuple[int, ...]:
        """The ids of everything followed, in the order in which it was added."""
        return tuple(self._followed)

    @property
    def logits(self) -> Mapping[int, Floats]:
        """The mask logits (size / 4, size / 4) of everything that was looked for in the newest picture."""
        return {name: one.look.chosen.logits for name, one in self._followed.items() if one.look is not None}

    @property
    def held(self) -> Mapping[int, int]:
        """How many memory maps each object holds."""
        return {name: one.bank.maps for name, one in self._followed.items()}

    def reset(self) -> None:
        """Forgets everything."""
        self._followed.clear()
        self._picture = self._aside = None
        self._count = 0

    def remove(self, object_id: int) -> None:
        """Stops following one object; one that is not followed is passed over."""
        self._followed.pop(object_id, None)

    def add(self, frame: VideoFrame, prompt: SegmentPrompt, object_id: int) -> Mask:
        """Begins to follow what is meant, or corrects it where the id is followed already.

        Points on a picture that the object was already pointed out in join the earlier ones; a box or a mask replaces them.
        Raises InputError where the prompt does not fit, or the picture has another size than those before.
        """
        self._fits(frame.pixels)
        prompt.check(*frame.pixels.shape[:2])
        picture = self._turn_to(frame.pixels)
        one = self._followed.get(object_id) or _Followed(MemoryBank(self._rules))
        one.look = self._point_out(picture, one, prompt)
        if one.look.chosen.visible:
            one.pointers.append(one.look.chosen.pointer)
        self._followed[object_id] = one
        return self._mask(object_id, one, picture)

    def cut_out(self, frame: VideoFrame, prompt: SegmentPrompt) -> Mask:
        """Gives the mask (id 0) of what is meant in one picture; what is followed stays as it is. Raises InputError."""
        height, width = frame.pixels.shape[:2]
        prompt.check(height, width)
        view = self._known(frame.pixels)
        if view is None:
            view = self._network.encode(frame.pixels)
            self._aside = (frame.pixels, view)  # "what is this" is often followed by "follow it"
        one = _Followed(MemoryBank(self._rules))
        picture = _Picture(frame.pixels, view, 0)
        one.look = self._point_out(picture, one, prompt)
        one.pointers.append(one.look.chosen.pointer)
        return self._mask(0, one, picture)

    def track(self, frame: VideoFrame, stop: Stop) -> tuple[Mask, ...]:
        """Gives the masks of everything followed in a picture, by ``objects``; an empty one, its score low, for what is hidden.

        Ends early with no masks once ``stop`` is set; the same picture may be given again. Raises InputError where it has
        another size than those before.
        """
        self._fits(frame.pixels)
        if not self._followed or stop:
            return ()
        picture = self._turn_to(frame.pixels)
        new = ((name, one.bank.recall(picture.index)) for name, one in self._followed.items() if one.look is None)
        for batch in batches(new, self._batch):
            if stop or not self._follow(picture, batch, stop):
                return ()
        return tuple(self._mask(name, one, picture) for name, one in self._followed.items())

    def _fits(self, pixels: Pixels) -> None:
        if self._picture is not None and self._picture.pixels.shape[:2] != pixels.shape[:2]:
            (height, width), (old_height, old_width) = pixels.shape[:2], self._picture.pixels.shape[:2]
            self.reset()
            raise InputError(
                f"the pictures are {width}x{height} pixels now and were {old_width}x{old_height}: nothing is followed any more"
            )

    def _known(self, pixels: Pixels) -> View | None:
        if self._picture is not None and self._picture.pixels is pixels:
            return self._picture.view
        return self._aside[1] if self._aside is not None and self._aside[0] is pixels else None

    def _turn_to(self, pixels: Pixels) -> _Picture:
        """Makes a picture the newest one. What was pointed out in the one before is remembered first: it needs its view."""
        if self._picture is not None and self._picture.pixels is pixels:
            return self._picture
        self._settle()
        view = self._known(pixels) or self._network.encode(pixels)
        self._aside = None
        self._picture = _Picture(pixels, view, self._count)
        self._count += 1
        for one in self._followed.values():
            one.look = None
            one.bank.forget(self._picture.index)
        return self._picture

    def _settle(self) -> None:
        """Remembers what was pointed out in the newest picture, now that nobody can correct it any more."""
        for one in self._followed.values():
            if self._picture is None or one.look is None or not one.look.pointed:
                continue
            # The mask as the wearer saw it, so 0 or 1: ``binarize_mask_from_pts_for_mem_enc``.
            drawn = (self._full(one.look.chosen.logits[None]) > 0).astype(np.float32)
            entry = self._entry(self._picture, drawn, [one.look.chosen])[0]
            if one.look.first:
                one.bank.prompt(entry)
            else:
                one.bank.keep(entry, one.look.chosen.score, one.look.chosen.iou)
            one.look.pointed = False

    def _follow(self, picture: _Picture, batch: list[tuple[int, Recalled]], stop: Stop) -> bool:
        """Looks for objects that remember equally much; gives False where it was stopped on the way."""
        network = self._network
        seen = network.recall(picture.view, together(recalled for _, recalled in batch))
        if stop:
            return False
        candidates = network.decode(picture.view, seen, _nothing_said(len(batch)))
        if stop:
            return False
        chosen = [choose(candidates, which, clicks=0) for which in range(len(batch))]
        soft = _sigmoid(self._full(np.stack([each.logits for each in chosen])))
        for (name, _), each, entry in zip(batch, chosen, self._entry(picture, soft, chosen), strict=True):
            one = self._followed[name]
            one.look = _Look(each, first=False, pointed=False)
            one.bank.keep(entry, each.score, each.iou)
            if each.visible:
                one.pointers.append(each.pointer)
        return True

    def _point_out(self, picture: _Picture, one: _Followed, prompt: SegmentPrompt) -> _Look:
        """Gives what a prompt makes of the picture, together with what was pointed out and found in it before."""
        network, before = self._network, one.look
        first = before is None or before.first or one.bank.prompted(picture.index)
        if prompt.mask is not None:
            return _Look(self._draw(picture.view, prompt.mask), first, pointed=True)
        points, labels = self._cues(prompt, picture.view)
        if before is not None and prompt.box is None:
            points, labels = np.concatenate([before.points, points]), np.concatenate([before.labels, labels])
        logits = None if before is None else np.clip(before.chosen.logits, -CLAMP, CLAMP)[None, None]
        memories = None if first else together([one.bank.recall(picture.index)])
        seen = network.recall(picture.view, memories)
        candidates = network.decode(picture.view, seen, Cues(points[None], labels[None], logits))
        return _Look(choose(candidates, 0, len(labels)), first, True, points, labels)

    def _draw(self, view: View, mask: NDArray[np.bool_]) -> Chosen:
        """Takes a drawn mask for what it is, and asks the decoder for its object pointer alone."""
        size = self._network.size
        drawn = (bilinear(mask.astype(np.float32), size, size, antialias=True) >= 0.5).astype(np.float32)
        if not drawn.any():
            raise InputError(f"the mask of {np.count_nonzero(mask)} pixels is too small to be seen in {size}x{size}")
        nothing = _nothing_said(1)
        cues = Cues(nothing.points, nothing.labels, drawn[None, None])
        # The features come without the "no memory" of a first picture: so SAM 2 was trained.
        pointer = self._network.decode(view, view.features, cues).pointers[0, 0].copy()
        logits = bilinear(drawn * (2 * SURE) - SURE, size // 4, size // 4, antialias=True)
        return Chosen(logits, pointer, SURE, 1.0)

    def _cues(self, prompt: SegmentPrompt, view: View) -> tuple[Floats, NDArray[np.int32]]:
        """Gives points (k, 2) in pixels of the network's input, and their labels (k,): a box first, as two of them."""
        box = () if prompt.box is None else ((prompt.box.x0, prompt.box.y0), (prompt.box.x1, prompt.box.y1))
        wanted = prompt.wanted or (True,) * len(prompt.points)
        picture = np.array([view.width, view.height], np.float32)
        points = np.array([*box, *prompt.points], np.float32).reshape(-1, 2) / picture * np.float32(self._network.size)
        labels: NDArray[np.int32] = np.array([2, 3][: len(box)] + [int(each) for each in wanted], np.int32)
        return points.astype(np.float32), labels

    def _full(self, logits: Floats) -> Floats:
        """Scales logits (n, size / 4, size / 4) to the network's input, (n, 1, size, size)."""
        return bilinear(logits[:, None], self._network.size, self._network.size)

    def _entry(self, picture: _Picture, masks: Floats, chosen: list[Chosen]) -> list[Entry]:
        scores = np.array([each.score for each in chosen], np.float32)
        maps = _as_kept(self._network.memorise(picture.view, masks, scores))
        return [Entry(picture.index, one.copy(), each.pointer) for one, each in zip(maps, chosen, strict=True)]

    def _mask(self, name: int, one: _Followed, picture: _Picture) -> Mask:
        """Gives the mask in pixels of the picture."""
        assert one.look is not None
        chosen, view = one.look.chosen, picture.view
        if chosen.logits.max() > 0:
            bits = bilinear(chosen.logits, view.height, view.width) > 0
        else:
            bits = np.zeros((view.height, view.width), np.bool_)
        return Mask(name, bits, float(1 / (1 + np.exp(-chosen.score))), _mean(one.pointers))


def _nothing_said(n: int) -> Cues:
    """The cues of n objects that are followed: SAM's decoder wants one point at least, so it gets one that is none."""
    return Cues(np.zeros((n, 1, 2), np.float32), np.full((n, 1), -1, np.int32))


def _sigmoid(logits: Floats) -> Floats:
    shares: Floats = np.reciprocal(1 + np.exp(-np.maximum(logits, np.float32(-80))))  # e^89 is beyond float32
    return shares


def _as_kept(maps: Floats) -> Floats:
    """Rounds to bfloat16, which is how the reference keeps its maps: half of the last bit kept, ties to even."""
    bits = np.ascontiguousarray(maps, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


def _mean(pointers: deque[Floats]) -> Floats | None:
    """Gives the direction of the mean; None where there is none."""
    if not pointers:
        return None
    mean = np.mean(pointers, axis=0)
    length = float(np.linalg.norm(mean))
    return (mean / length).astype(np.float32) if length > 0 else None
