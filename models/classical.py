"""A Segmenter for machines without any network: OpenCV alone.

What it is good for: things with a colour or a texture of their own, from one click, at many times the speed of SAM 2 on a CPU.
What it is not: things like their surroundings, and twins that pass before each other, are beyond it, and so are the limits of
a thing that is many things (a person in a striped shirt may be the shirt). Its score falls in such cases, not always enough.

``models.classical_cut`` cuts out, ``models.classical_carry`` carries on, ``models.classical_find`` finds again. Here is what is
remembered of each object, and the judgement whether what was carried on is still the object.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge.errors import InputError
from edge.ports import Stop
from edge.tracks import SegmentPrompt
from edge.values import Box, EngineInfo, Mask, Pixels, VideoFrame
from models.classical_carry import MOST, Carried, Colours, carry, displaced, flow_engine
from models.classical_colour import Bits, Floats, Window, alike_in_hue, bins_of, cv, histogram, lab_of, likeness, window_around
from models.classical_cut import amend, cut_out
from models.classical_find import Look, alike, find, look_of

LEAST_AREA = 12
"""Pixels below which nothing can be said of an object any more."""
GONE = 0.06
"""Share of the object's usual area below which it counts as hidden."""
PARTIAL = 0.75
"""Share of its usual area below which a part of it is thought to be hidden."""
STRANGE = 0.5
"""Likeness to the object's colours below which what was carried on is something else."""
DOUBT, AGREED = 0.8, 0.65
"""Of the usual fit, and of the flow's agreement with itself: below either the object may have jumped."""
BACK = 0.62
"""Likeness from which something found is the object."""
SEARCH_EVERY = 2
"""A lost object is looked for in every second picture: a search costs as much as following."""
KEPT_LOOKS = 5
"""How an object looked is remembered so many times; the first for ever."""


@dataclass(slots=True)
class _Thing:
    """One followed object."""

    colours: Colours
    looks: list[Look]
    bits: Bits
    box: Box
    """Where it was last seen."""
    pixels: Pixels
    """The picture in which it was last seen."""
    t_ns: int
    area: float
    """Its usual size in pixels."""
    score: float
    speed: tuple[float, float] = (0.0, 0.0)
    """Pixels a nanosecond."""
    fit: float = 0.5
    """How well its colours usually fit where flow takes them."""
    lost: int = 0
    """For how many pictures it has not been seen."""
    now: Pixels | None = field(default=None)
    """The last picture that was looked at."""


class ClassicalSegmenter:
    """Segmenter of GrabCut, dense flow and colour histograms."""

    def __init__(self, threads: int = 0) -> None:
        """``threads``: how many OpenCV may use in the whole process; 0 leaves that to it."""
        self._threads = threads
        self._flow: Any = None
        self._things: dict[int, _Thing] = {}
        self._size: tuple[int, int] | None = None

    @property
    def info(self) -> EngineInfo:
        """Name, version and licence."""
        return EngineInfo("classical", "1", "", "Apache-2.0")

    @property
    def objects(self) -> tuple[int, ...]:
        """The ids of everything followed, in the order in which it was added."""
        return tuple(self._things)

    def open(self) -> None:
        """Makes the dense flow. Raises EngineMissing."""
        if self._flow is None:
            if self._threads:
                cv().setNumThreads(self._threads)
            self._flow = flow_engine()

    def close(self) -> None:
        """Forgets everything."""
        self.reset()
        self._flow = None

    def reset(self) -> None:
        """Forgets everything that was followed."""
        self._things.clear()
        self._size = None

    def remove(self, object_id: int) -> None:
        """Stops following one object; one that is not followed is passed over."""
        self._things.pop(object_id, None)
        if not self._things:
            self._size = None

    def add(self, frame: VideoFrame, prompt: SegmentPrompt, object_id: int) -> Mask:
        """Begins to follow what is meant, or corrects it. Raises InputError."""
        self._fit(frame)
        height, width = frame.pixels.shape[:2]
        prompt.check(height, width)
        self.open()
        old = self._things.get(object_id)
        if old is not None and old.now is not frame.pixels:
            self._follow(old, frame, self._taken(object_id))
        if old is not None and not old.lost and (amended := amend(frame.pixels, prompt, old.bits)) is not None:
            bits, sure = amended
        else:
            bits, sure = cut_out(frame.pixels, prompt)
        self._things[object_id] = thing = _begun(frame, bits, sure)
        self._size = height, width
        return _mask(object_id, thing)

    def track(self, frame: VideoFrame, stop: Stop) -> tuple[Mask, ...]:
        """Gives the masks of everything followed, by ``objects``. Raises InputError."""
        self._fit(frame)
        self.open()
        for object_id, thing in self._things.items():
            if stop:
                return ()
            if thing.now is not frame.pixels:
                self._follow(thing, frame, self._taken(object_id, frame.pixels))
        return tuple(_mask(object_id, thing) for object_id, thing in self._things.items())

    def cut_out(self, frame: VideoFrame, prompt: SegmentPrompt) -> Mask:
        """Gives the mask (id 0) of what is meant in one picture; what is followed stays as it is. Raises InputError."""
        prompt.check(*frame.pixels.shape[:2])
        self.open()
        return _mask(0, _begun(frame, *cut_out(frame.pixels, prompt)))

    def _fit(self, frame: VideoFrame) -> None:
        height, width = frame.pixels.shape[:2]
        if self._size is not None and (height, width) != self._size:
            before = f"{self._size[1]}x{self._size[0]}"
            self.reset()
            raise InputError(f"the picture has {width}x{height} pixels, those before it had {before}")

    def _taken(self, but: int, pixels: Pixels | None = None) -> Bits | None:
        """Gives what other objects cover, as far as is known of this picture; None where it is nothing."""
        others = [
            thing.bits
            for one, thing in self._things.items()
            if one != but and not thing.lost and (pixels is None or thing.pixels is pixels)
        ]
        return np.logical_or.reduce(others) if others else None

    def _follow(self, thing: _Thing, frame: VideoFrame, taken: Bits | None) -> None:
        """Carries an object on to a picture, or finds it there, or loses it."""
        thing.now = frame.pixels
        if not thing.lost and self._carried(thing, frame, taken):
            return
        thing.lost += 1
        thing.score = 0.0
        if thing.lost == 1 or thing.lost % SEARCH_EVERY == 0:
            _search(thing, frame, taken)

    def _carried(self, thing: _Thing, frame: VideoFrame, taken: Bits | None) -> bool:
        height, width = frame.pixels.shape[:2]
        before = window_around(thing.box, height, width)
        passed = max(0, frame.t_ns - thing.t_ns)
        carried = self._moved(thing, frame, before, thing.speed[0] * passed, thing.speed[1] * passed)
        if carried.fit < DOUBT * thing.fit or carried.agreed < AGREED:
            jump = displaced(thing.pixels, frame.pixels, thing.bits, thing.box)
            other = self._moved(thing, frame, before, *jump)
            carried = max(carried, other, key=lambda one: one.fit * (0.5 + one.agreed))
        bits = carried.window.paste(carried.logit, height, width)
        if taken is not None:
            bits &= ~taken
        return _accepted(thing, frame, carried, bits)

    def _moved(self, thing: _Thing, frame: VideoFrame, before: Window, dx: float, dy: float) -> Carried:
        after = before.moved(*_within(before, dx, dy, *frame.pixels.shape[:2]))
        partial = np.count_nonzero(thing.bits) < PARTIAL * thing.area
        return carry(self._flow, before, after, thing.pixels, frame.pixels, thing.bits, thing.colours, partial=bool(partial))


def _accepted(thing: _Thing, frame: VideoFrame, carried: Carried, bits: Bits) -> bool:
    """Judges what was carried on, and remembers it where it is still the object."""
    area = int(np.count_nonzero(bits))
    if area < max(LEAST_AREA, GONE * thing.area):
        return False
    valid = carried.window.valid(*bits.shape)
    there = (carried.logit > 0) & valid
    counted = histogram(carried.bins, there)
    colour = 0.5 * (alike_in_hue(counted, thing.colours.first) + likeness(counted, thing.colours.now))
    if colour < STRANGE or carried.fit < 0.2:
        return False
    whole = min(1.0, area / (0.5 * thing.area))
    score = float(np.clip(colour * (0.4 + 0.6 * whole) * (0.6 + 0.4 * carried.fit), 0.0, 1.0))
    _seen(thing, frame, bits, score)
    thing.fit += 0.2 * (carried.fit - thing.fit)
    if score > 0.5:
        thing.colours.learn(carried.bins, there, (carried.logit <= -0.5 * MOST) & valid, 0.04 * score)
        if frame.index % 10 == 0:
            _remember(thing)
    return True


def _seen(thing: _Thing, frame: VideoFrame, bits: Bits, score: float) -> None:
    """Takes the object's new place."""
    box = Mask(0, bits, score).box
    assert box is not None, "an object of no pixels is not seen"
    passed = frame.t_ns - thing.t_ns
    if passed > 0 and not thing.lost:
        measured = [(new - old) / passed for new, old in zip(box.centre, thing.box.centre, strict=True)]
        thing.speed = 0.5 * thing.speed[0] + 0.5 * measured[0], 0.5 * thing.speed[1] + 0.5 * measured[1]
    else:
        thing.speed = 0.0, 0.0
    area = float(np.count_nonzero(bits))
    thing.area += (0.1 if area > thing.area else 0.02) * (area - thing.area)
    thing.bits, thing.box, thing.pixels, thing.t_ns, thing.score, thing.lost = bits, box, frame.pixels, frame.t_ns, score, 0


def _search(thing: _Thing, frame: VideoFrame, taken: Bits | None) -> None:
    """Looks for a lost object: at first near the place where it was, the longer it is gone, the farther away."""
    height, width = frame.pixels.shape[:2]
    # the last that was seen of it may have been a sliver: its usual size counts
    reach = max(thing.box.width, thing.box.height, 1.5 * float(np.sqrt(thing.area)), 0.05 * width) * (1 + 0.4 * thing.lost)
    x, y = thing.box.centre
    near = Box(x - reach, y - reach, x + reach, y + reach) if reach < max(height, width) else None
    free = np.zeros((height, width), np.bool_) if taken is None else taken
    found = find(frame.pixels, thing.colours, thing.looks, thing.area, free, near)
    if found is not None and found.alike >= BACK:
        _seen(thing, frame, found.bits, found.alike)


def _remember(thing: _Thing) -> None:
    """Keeps how the object looks now, where it does not look as before."""
    look = look_of(thing.pixels, thing.bits, thing.box)
    if max(alike(look, other) for other in thing.looks) < 0.85:
        thing.looks = [thing.looks[0], *thing.looks[1:][-(KEPT_LOOKS - 2) :], look]


def _begun(frame: VideoFrame, bits: Bits, sure: float) -> _Thing:
    """Gives what there is to remember of an object that was just pointed out."""
    height, width = bits.shape
    box = Mask(0, bits, sure).box
    assert box is not None, "what is cut out has pixels"
    window = window_around(box, height, width)
    bins = bins_of(lab_of(np.asarray(window.view(frame.pixels), np.uint8)))
    on = np.asarray(window.view(bits.astype(np.float32))) > 0.5
    first = histogram(bins, on if on.any() else np.ones_like(on))
    colours = Colours(first, first, histogram(bins, ~on & window.valid(height, width)))
    looks = [look_of(frame.pixels, bits, box)]
    area = float(np.count_nonzero(bits))
    return _Thing(colours, looks, bits, box, frame.pixels, frame.t_ns, area, sure, now=frame.pixels)


def _within(window: Window, dx: float, dy: float, height: int, width: int) -> tuple[float, float]:
    """Keeps a move from taking the window's middle out of the picture."""
    x, y = (window.x0 + window.x1) / 2, (window.y0 + window.y1) / 2
    return float(np.clip(dx, -x, width - 1 - x)), float(np.clip(dy, -y, height - 1 - y))


def _mask(object_id: int, thing: _Thing) -> Mask:
    bits = np.zeros_like(thing.bits) if thing.lost else thing.bits.copy()
    return Mask(object_id, bits, thing.score, None if thing.lost else _appearance(thing.colours.now))


def _appearance(counted: Floats) -> Floats:
    """The root of a coarser histogram, (512,), of length 1: the inner product of two is their Bhattacharyya coefficient."""
    coarse = counted.reshape(8, 2, 8, 2, 8, 2).sum(axis=(1, 3, 5)).ravel()
    return np.asarray(np.sqrt(coarse / max(float(coarse.sum()), 1e-6)), np.float32)
