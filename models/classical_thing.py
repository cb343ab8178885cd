"""What the classical segmenter remembers of an object, and how it judges whether what it follows still is the object.

Three witnesses are heard: the flow, which says where the mask goes; the colours, which say whether it looks as it did; and the
 correlation filters, which know the object's place without having followed it there. The object is ``trust``ed as long as
the filters know it where the mask is. One that turns is not known for a while, so trust goes slowly; but it goes, also where
colours and flow are content: a mask that has slipped on to the ground moves as the ground does, and soon looks like itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edge.values import Box, Mask, Pixels, VideoFrame
from models.classical_carry import MOST, Carried, Colours
from models.classical_colour import Bits, alike_in_hue, bins_of, cv, histogram, lab_of, likeness, window_around
from models.classical_filter import Anchor, Answer
from models.classical_find import Found, Look, alike, cut_in, find, look_of

LEAST_AREA = 12
"""Pixels below which nothing can be said of an object any more."""
GONE = 0.06
"""Share of the object's usual area below which it counts as hidden."""
STRANGE = 0.5
"""Likeness to the object's colours below which what was carried on is something else."""
BACK = 0.62
"""Likeness from which something found is the object."""
KNOWN, SHARP = 0.25, 7.0
"""The filters' answer, and its peak to sidelobe ratio, from which they are believed to see the object."""
DECAY, GAIN = 0.06, 0.3
"""How fast trust goes and comes, in shares a picture."""
DISTRUST = 0.37
"""Trust below which what is followed is taken for something else."""
BACK_WORTH, BACK_SHARP = 0.33, 9.5
"""What the filters must say of something found: more than while it is followed, for nothing but its looks speaks for it."""
TURNING, SMOOTH = 0.15, 0.85
"""The filters' answer, and the flow's agreement with itself, from which an object that they do not see is taken to turn:
the learning filter then turns with it."""
MOST_GROWN = 1.05
"""In a picture, across, by the mask alone."""
STILL = 9.0
"""Change of a pixel, of 255, below which it still shows the same."""
AROUND = 0.3
"""How far around something the light on it is judged, in shares of its mean side."""
SAME_PLACE = 0.4
"""Overlap of a mask's box and the filters' box below which one of the two is wrong."""
KEPT_LOOKS = 5
"""How an object looked is remembered so many times; the first for ever."""


@dataclass(slots=True)
class Thing:
    """One followed object."""

    colours: Colours
    looks: list[Look]
    bits: Bits
    box: Box
    """Where it was last seen."""
    pixels: Pixels
    """The picture in which it was last seen."""
    t_ns: int
    anchor: Anchor
    """The filters that know it, and where they saw it."""
    area: float
    """Its usual size in pixels."""
    score: float
    trust: float = 0.9
    """How sure it is that what is followed is the object, from what the pictures of the last second showed, 0 to 1."""
    usual: float = 0.6
    """What the filters usually answer where they see it: what bends is never known as well as what is stiff."""
    speed: tuple[float, float] = (0.0, 0.0)
    """Pixels a nanosecond."""
    fit: float = 0.5
    """How well its colours usually fit where flow takes them."""
    larger: bool = False
    """Whether it was last tried if it is larger than it was, or smaller: trying both costs as much again as following."""
    lost: int = 0
    """For how many pictures it has not been seen."""
    now: Pixels | None = field(default=None)
    """The last picture that was looked at."""


def accepted(thing: Thing, frame: VideoFrame, carried: Carried, bits: Bits, answer: Answer) -> bool:
    """Judges what was carried on, and remembers it where it is still the object."""
    area = int(np.count_nonzero(bits))
    if area < max(LEAST_AREA, GONE * thing.area):
        return False
    valid = carried.window.valid(*bits.shape)
    there = (np.asarray(carried.window.view(bits.astype(np.float32))) > 0.5) & valid
    counted = histogram(carried.bins, there)
    colour = 0.5 * (alike_in_hue(counted, thing.colours.first) + likeness(counted, thing.colours.now))
    if colour < STRANGE or carried.fit < 0.2:
        return False
    known = _ramp(answer.worth, 0.1, float(np.clip(0.7 * thing.usual, 0.3, 0.6))) * _ramp(answer.sharp, 4, 12)
    seen = sees(answer)
    box = Mask(0, bits, 0).box
    assert box is not None, "it has pixels"
    if seen:
        known *= 0.3 + 0.7 * _ramp(_overlap(box, answer.box), 0.15, 0.45)
    # ground of the object's colours is not the object: without the filters colour counts half, in the end too little
    sure = 0.6 * known + 0.2 * (1 + known) * _ramp(colour, STRANGE, 0.85)
    thing.trust += (GAIN if sure > thing.trust else DECAY) * (sure - thing.trust)
    if thing.trust < DISTRUST:
        return False
    before = np.count_nonzero(thing.bits)
    whole = min(1.0, area / (0.35 * thing.area))
    score = float(np.clip(thing.trust * (0.5 + 0.5 * whole), 0.0, 1.0))
    _seen(thing, frame, bits, score)
    thing.fit += 0.2 * (carried.fit - thing.fit)
    if seen:
        thing.anchor.take(answer)
        thing.usual += 0.05 * (answer.worth - thing.usual)
    elif answer.worth > TURNING and carried.agreed > SMOOTH and colour > 0.9 and thing.trust > 0.7:
        # one that shrinks may be on its way behind something: its size is not taken
        thing.anchor.move(0, 0, float(np.clip(np.sqrt(area / before), 1, MOST_GROWN)))
        thing.anchor.learn(frame.pixels, bits, 0.03, thing.colours.logit())
    if seen and score > 0.5 and area > 0.6 * thing.area:
        thing.colours.learn(carried.bins, there, (carried.logit <= -0.5 * MOST) & valid, 0.04 * score)
        if answer.first > KNOWN and known > 0.7:
            thing.anchor.learn(frame.pixels, bits, 0.03, thing.colours.logit())
        if frame.index % 10 == 0:
            _remember(thing)
    return True


def _seen(thing: Thing, frame: VideoFrame, bits: Bits, score: float) -> None:
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


def search(thing: Thing, frame: VideoFrame, taken: Bits | None) -> None:
    """Looks for a lost object: at first near the place where it was, the longer it is gone, the farther away."""
    height, width = frame.pixels.shape[:2]
    # the last that was seen of it may have been a sliver: its usual size counts
    reach = max(thing.box.width, thing.box.height, 1.5 * float(np.sqrt(thing.area)), 0.05 * width) * (1 + 0.4 * thing.lost)
    x, y = thing.box.centre
    near = Box(x - reach, y - reach, x + reach, y + reach) if reach < max(height, width) else None
    found = find(frame.pixels, thing.colours, thing.looks, thing.area, taken, near)
    places = [thing.anchor.sweep(frame.pixels)]
    if found is not None and (box := Mask(0, found.bits, 0).box) is not None:
        places.append(box.centre)
    seen = [_proved(thing, frame.pixels, taken, place, found) for place in places]
    best = max((one for one in seen if one is not None), key=lambda one: min(one[0].worth, 0.6) + one[1].alike, default=None)
    if best is not None:
        answer, found = best
        thing.trust = 0.6
        _seen(thing, frame, found.bits, min(0.6, found.alike))
        thing.anchor.take(answer)


def _proved(
    thing: Thing, pixels: Pixels, taken: Bits | None, place: tuple[float, float], found: Found | None
) -> tuple[Answer, Found] | None:
    """Gives what the filters say of a place and what is cut out there, where both are the object; ``found`` may be it."""
    answer = thing.anchor.seek(pixels, place)
    if answer.worth < BACK_WORTH or answer.sharp < BACK_SHARP:
        return None
    if found is None or elsewhere(found.bits, answer.box):
        found = cut_in(pixels, thing.colours, thing.looks, thing.area, taken, answer.box)
    if found is None or found.alike < BACK or elsewhere(found.bits, answer.box) or _stood(thing, pixels, found.bits):
        return None
    return answer, found


def _stood(thing: Thing, pixels: Pixels, bits: Bits) -> bool:
    """Whether what was found stood there already while the object was seen elsewhere: it is then something else."""
    away = bits & ~(cv().dilate(thing.bits.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)
    if np.count_nonzero(away) < 0.5 * np.count_nonzero(bits):
        return False
    now, before = (cv().blur(picture, (5, 5)).astype(np.float32) for picture in (pixels, thing.pixels))
    side = 2 * round(AROUND * float(np.sqrt(np.count_nonzero(away)))) + 3
    around = (cv().dilate(bits.astype(np.uint8), np.ones((side, side), np.uint8)) > 0) & ~bits & ~thing.bits
    if around.any():  # a camera that adapts to the light as the object leaves changes what stands, too
        before *= np.median((now[around] + 1) / (before[around] + 1), axis=0)
    changed = np.abs(now - before).max(axis=2)
    return float(np.median(changed[away])) < STILL


def _remember(thing: Thing) -> None:
    """Keeps how the object looks now, where it does not look as before."""
    look = look_of(thing.pixels, thing.bits, thing.box)
    if max(alike(look, other) for other in thing.looks) < 0.85:
        thing.looks = [thing.looks[0], *thing.looks[1:][-(KEPT_LOOKS - 2) :], look]


def begun(frame: VideoFrame, bits: Bits, sure: float) -> Thing:
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
    anchor = Anchor(frame.pixels, bits, box, colours.logit())
    area = float(np.count_nonzero(bits))
    return Thing(colours, looks, bits, box, frame.pixels, frame.t_ns, anchor, area, sure, now=frame.pixels)


def sees(answer: Answer) -> bool:
    """Whether the filters see the object."""
    return answer.worth > KNOWN and answer.sharp > SHARP


def from_to(first: Box, second: Box) -> tuple[float, float]:
    """Gives the way between the middles of two boxes, dx and dy."""
    return second.centre[0] - first.centre[0], second.centre[1] - first.centre[1]


def elsewhere(bits: Bits, box: Box) -> bool:
    """Whether a mask is not where the filters see the object."""
    own = Mask(0, bits, 0).box
    return own is None or _overlap(own, box) < SAME_PLACE


def _overlap(one: Box, other: Box) -> float:
    """Gives the intersection over union of two boxes."""
    across = max(0.0, min(one.x1, other.x1) - max(one.x0, other.x0))
    both = across * max(0.0, min(one.y1, other.y1) - max(one.y0, other.y0))
    return both / (one.width * one.height + other.width * other.height - both)


def _ramp(value: float, low: float, high: float) -> float:
    return float(np.clip((value - low) / (high - low), 0, 1))
