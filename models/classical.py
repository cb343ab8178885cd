"""A Segmenter for machines without any network: OpenCV alone.

What it is good for: things with a colour or a texture of their own, from one click, at many times the speed of SAM 2 on a CPU.
What it is not: things like their surroundings, and twins that pass before each other, are beyond it, and so are the limits of
a thing that is many things (a person in a striped shirt may be the shirt). Its score falls in such cases, not always enough.

``models.classical_cut`` cuts out, ``models.classical_carry`` carries on, ``models.classical_filter`` knows the object's place,
``models.classical_find`` finds again, and ``models.classical_thing`` judges whether what was carried on is still the object.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edge.errors import InputError
from edge.ports import Stop
from edge.tracks import SegmentPrompt
from edge.values import Box, EngineInfo, Mask, Pixels, VideoFrame
from models.classical_carry import MOST, Carried, carry, displaced, flow_engine
from models.classical_colour import Bits, Floats, Window, cv, window_around
from models.classical_cut import amend, cut_out
from models.classical_filter import Answer
from models.classical_find import cut_in
from models.classical_thing import KNOWN, Thing, accepted, begun, elsewhere, from_to, search, sees

PARTIAL = 0.75
"""Share of its usual area below which a part of it is thought to be hidden."""
DOUBT, AGREED = 0.8, 0.65
"""Of the usual fit, and of the flow's agreement with itself: below either the object may have jumped."""
ROOM = 0.15
"""How far outside its box a part of the object may lie, in shares of the box's mean side; where the filters do not see it,
twice that."""
SEARCH_EVERY = 2
"""A lost object is looked for in every second picture: a search costs as much as following."""


class ClassicalSegmenter:
    """Segmenter of GrabCut, dense flow, colour histograms and correlation filters."""

    def __init__(self, threads: int = 0) -> None:
        """``threads``: how many OpenCV may use in the whole process; 0 leaves that to it."""
        self._threads = threads
        self._flow: Any = None
        self._things: dict[int, Thing] = {}
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
        self._things[object_id] = thing = begun(frame, bits, sure)
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
        return _mask(0, begun(frame, *cut_out(frame.pixels, prompt)))

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

    def _follow(self, thing: Thing, frame: VideoFrame, taken: Bits | None) -> None:
        """Carries an object on to a picture, or finds it there, or loses it."""
        thing.now = frame.pixels
        if not thing.lost and self._carried(thing, frame, taken):
            return
        thing.lost += 1
        thing.score = 0.0
        if thing.lost == 1 or thing.lost % SEARCH_EVERY == 0:
            search(thing, frame, taken)

    def _carried(self, thing: Thing, frame: VideoFrame, taken: Bits | None) -> bool:
        height, width = frame.pixels.shape[:2]
        before = window_around(thing.box, height, width)
        passed = max(0, frame.t_ns - thing.t_ns)
        answer = _asked(thing, frame.pixels, (thing.speed[0] * passed, thing.speed[1] * passed))
        if seen := sees(answer):
            shift = from_to(thing.anchor.box, answer.box)
        else:
            shift = thing.speed[0] * passed, thing.speed[1] * passed
        carried = self._moved(thing, frame, before, *shift)
        if carried.fit < DOUBT * thing.fit or carried.agreed < AGREED:
            jump = displaced(thing.pixels, frame.pixels, thing.bits, thing.box)
            if not seen or _far(jump, shift) < 0.5 * float(np.sqrt(thing.area)):
                other = self._moved(thing, frame, before, *jump)
                carried = max(carried, other, key=lambda one: one.fit * (0.5 + one.agreed))
        if not seen:
            thing.anchor.move(*carried.gone)
        carried = _limited(carried, answer.box, ROOM) if seen else _limited(carried, thing.anchor.box, 2 * ROOM)
        bits = carried.window.paste(carried.logit, height, width)
        if taken is not None:
            bits &= ~taken
        if seen and answer.worth > 1.4 * KNOWN and elsewhere(bits, answer.box):
            again = cut_in(frame.pixels, thing.colours, thing.looks, thing.area, taken, answer.box)
            bits = bits if again is None or elsewhere(again.bits, answer.box) else again.bits
        return accepted(thing, frame, carried, bits, answer)

    def _moved(self, thing: Thing, frame: VideoFrame, before: Window, dx: float, dy: float) -> Carried:
        after = before.moved(*_within(before, dx, dy, *frame.pixels.shape[:2]))
        partial = np.count_nonzero(thing.bits) < PARTIAL * thing.area
        return carry(self._flow, before, after, thing.pixels, frame.pixels, thing.bits, thing.colours, partial=bool(partial))


def _asked(thing: Thing, pixels: Pixels, speed: tuple[float, float]) -> Answer:
    """Asks the filters where the object is: where it should be, and, if it is not there, where else it may have gone."""
    x, y = thing.anchor.box.centre
    thing.larger = not thing.larger
    best = thing.anchor.look(pixels, (x + speed[0], y + speed[1]), (0, 1 if thing.larger else -1))
    if not sees(best):
        jump = displaced(thing.pixels, pixels, thing.bits, thing.box)
        for dx, dy in ((0.0, 0.0), jump):
            if _far((dx, dy), speed) > 0.2 * float(np.sqrt(thing.area)):
                best = max(best, thing.anchor.look(pixels, (x + dx, y + dy), (0,)), key=lambda one: one.worth)
    return best


def _far(first: tuple[float, float], second: tuple[float, float]) -> float:
    return float(np.hypot(first[0] - second[0], first[1] - second[1]))


def _limited(carried: Carried, box: Box, room: float) -> Carried:
    """Takes away what lies outside the object's box by more than ``room``, in shares of the box's mean side."""
    window = carried.window
    x = window.x0 + (np.arange(window.width) + 0.5) / window.scale
    y = window.y0 + (np.arange(window.height) + 0.5) * (window.y1 - window.y0) / window.height
    side = float(np.sqrt(box.width * box.height))
    beyond_x = np.maximum(np.abs(x - box.centre[0]) - box.width / 2, 0) / side
    beyond_y = np.maximum(np.abs(y - box.centre[1]) - box.height / 2, 0) / side
    beyond = np.maximum(np.maximum(beyond_x[None], beyond_y[:, None]) - room, 0)
    return replace(carried, logit=np.asarray(carried.logit - 2 * MOST * beyond / room, np.float32))


def _within(window: Window, dx: float, dy: float, height: int, width: int) -> tuple[float, float]:
    """Keeps a move from taking the window's middle out of the picture."""
    x, y = (window.x0 + window.x1) / 2, (window.y0 + window.y1) / 2
    return float(np.clip(dx, -x, width - 1 - x)), float(np.clip(dy, -y, height - 1 - y))


def _mask(object_id: int, thing: Thing) -> Mask:
    bits = np.zeros_like(thing.bits) if thing.lost else thing.bits.copy()
    return Mask(object_id, bits, thing.score, None if thing.lost else _appearance(thing.colours.now))


def _appearance(counted: Floats) -> Floats:
    """The root of a coarser histogram, (512,), of length 1: the inner product of two is their Bhattacharyya coefficient."""
    coarse = counted.reshape(8, 2, 8, 2, 8, 2).sum(axis=(1, 3, 5)).ravel()
    return np.asarray(np.sqrt(coarse / max(float(coarse.sum()), 1e-6)), np.float32)
