"""When a watch reports: rules on tracks, on what a detector names, and on plain motion.

Every rule is a small state machine that counts media time. What it watches for must last (``hold``) over several pictures;
it is reported on the change and not again before it has ended; after a report the rule is silent for its ``cooldown``, and
what happens meanwhile is part of the same event and is not told late. What is there when a watch begins is not news.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.policy import nouns
from edge.policy import watch_words as words
from edge.policy.motion import Stir
from edge.policy.presence import Changes, Held, Place, Places, Rest
from edge.tracks import Track, TrackState, Watched, WatchRule
from edge.values import Box, Detection

SETTLE_NS = 1_000_000_000
"""What a detector first finds within this time after a watch began was there before."""
QUIET_NS = 1_000_000_000
"""How long nothing may stir before stirring is a new event."""
BLOCKS = 3
"""In so many blocks something must move at once, and in two while it lasts: faint shadows and reflections stir two."""
STIRRED = 0.15
"""The share of a thing's blocks in which something moves from which it counts as touched, and at least two blocks."""
HIDDEN = 0.75
"""A followed thing is covered where less than this share of its usual area can be seen."""
BRIGHTER = 0.6
"""The light goes on or off when the zone's brightness changes by this many powers of two; exposure and mains do less."""
_LIGHT_S = 30.0
"""Time constant with which the usual brightness follows the day."""
_AREA_S = 5.0


@dataclass(frozen=True, slots=True)
class Fired:
    """What was watched for has happened."""

    text: str
    """In one sentence."""
    sure: bool
    since_ns: int
    """Media time of the first picture that showed it."""
    box: Box | None
    """Where, in pixels."""


@dataclass(frozen=True, slots=True)
class Look:
    """One picture, as watches see it."""

    t_ns: int
    width: int
    height: int
    stir: Stir
    tracks: Sequence[Track] = ()
    detections: Sequence[Detection] | None = None
    """None where the detector did not look at this picture."""
    offset: tuple[float, float] = (0.0, 0.0)
    """How far what stands still has gone right and down since the beginning, in pixels: the sum of all shifts."""


@dataclass(frozen=True, slots=True)
class _Hit:
    text: str
    since_ns: int
    box: Box | None = None
    sure: bool = True


class Watch:
    """Watches by one rule. Pictures come in the order of their time, at any rate, with gaps."""

    def __init__(self, rule: WatchRule) -> None:
        self.rule = rule
        self._hold_ns = round(rule.hold * 1e9)
        self._silent_until_ns: int | None = None
        self._began_ns: int | None = None
        self._learnt_ns: int | None = None
        """When the view had been learnt: what stirred until then may have been there before."""
        self._places = Places(self._hold_ns)
        self._thing = _Thing(rule, self._hold_ns)
        self._stirring = _Stirring(self._hold_ns)
        self._light = _Light(self._hold_ns)
        self._counted: int | None = None
        """The number of things told last."""
        self._touches: dict[int, _Stirring] = {}

    def look(self, look: Look) -> Fired | None:
        """Takes the next picture; gives what has happened."""
        hit = self._look(look)
        if hit is None or (self._silent_until_ns is not None and look.t_ns < self._silent_until_ns):
            return None
        self._silent_until_ns = look.t_ns + round(self.rule.cooldown * 1e9)
        if self.rule.what is Watched.COUNT:
            self._counted = len(self._places.there)
        return Fired(hit.text, hit.sure, hit.since_ns, hit.box)

    def _look(self, look: Look) -> _Hit | None:
        rule = self.rule
        if rule.what is Watched.LIGHT:
            return self._light.look(look, rule.zone)
        if rule.object_id is not None:
            track = next((track for track in look.tracks if track.object_id == rule.object_id), None)
            return None if track is None else self._thing.look(look, track)
        if rule.label:
            return None if look.detections is None else self._named(look, look.detections)
        blocks, plain = int(look.stir.within(rule.zone).sum()), look.stir.plainly(rule.zone)
        if not self._stirring.look(look, blocks, plain=plain, ended=rule.what is Watched.STOPS):
            return None
        if rule.what is Watched.STOPS:
            return _Hit("It has stopped moving.", self._stirring.since_ns)
        box = look.stir.box(rule.zone)
        return _Hit(words.stirred(rule), self._stirring.since_ns, _scaled(box, look) if box is not None else None)

    def _named(self, look: Look, detections: Sequence[Detection]) -> _Hit | None:
        if self._began_ns is None:
            self._began_ns = look.t_ns
        label = nouns.spoken(self.rule.label)
        found = [item for item in detections if item.label == self.rule.label and _inside(item.box, self.rule.zone, look)]
        changes = self._places.look(look.t_ns, found, lambda box: look.stir.since(_share(box, look)), look.offset)
        there = self._places.there
        if self._learnt_ns is None and look.stir.steady:
            self._learnt_ns = look.t_ns
        came = [place for place in changes.came if self._is_news(place, look)]
        match self.rule.what:
            case Watched.APPEARS if came:
                return _Hit(words.came(label, len(came)), min(place.first_ns for place in came), came[0].box)
            case Watched.LEAVES if changes.gone:
                gone = changes.gone
                return _Hit(words.went(label, len(gone), len(there)), max(place.seen_ns for place in gone), gone[0].box)
            case Watched.COUNT:
                return self._count(look, changes)
            case Watched.MOVES | Watched.STOPS as what:
                turned = [place for place in changes.turned if place.rest.moving is (what is Watched.MOVES)]
                if turned:
                    does = "is moving" if what is Watched.MOVES else "has stopped"
                    return _Hit(words.sentence(f"the {label} {does}"), turned[0].rest.since_ns, turned[0].box)
            case Watched.TOUCHED:
                return self._touched(look, there, changes.turned)
        return None

    def _is_news(self, place: Place, look: Look) -> bool:
        """Whether what the detector found came while it was watched: later than at once, and with a stir since."""
        assert self._began_ns is not None
        stirred = self._learnt_ns is None or look.stir.since(_share(place.box, look)) > self._learnt_ns
        return place.first_ns - self._began_ns >= SETTLE_NS and stirred

    def _count(self, look: Look, changes: Changes) -> _Hit | None:
        """A change of the number. One that a cooldown swallowed is told at its end, where it still holds."""
        number = len(self._places.there)
        assert self._began_ns is not None
        if self._counted is None or look.t_ns - self._began_ns < SETTLE_NS + self._hold_ns:
            self._counted = number
        else:
            self._counted += len(changes.known)
        if number == self._counted:
            return None
        came, gone = changes.came, changes.gone
        since = max([place.first_ns for place in came] + [place.seen_ns for place in gone], default=look.t_ns)
        return _Hit(words.counted(nouns.spoken(self.rule.label), number), since, came[0].box if came else None)

    def _touched(self, look: Look, there: Sequence[Place], turned: Sequence[Place]) -> _Hit | None:
        label = nouns.spoken(self.rule.label)
        for place in there:
            stirring = self._touches.setdefault(place.number, _Stirring(self._hold_ns, 2))
            moved = place in turned and place.rest.moving
            if stirring.look(look, _stirs(look, place.box)) or moved:
                since = place.rest.since_ns if moved else stirring.since_ns
                return _Hit(words.sentence(f"something touched the {label}"), since, place.box, sure=moved)
        kept = {place.number for place in self._places.all}
        self._touches = {number: stirring for number, stirring in self._touches.items() if number in kept}
        return None


class _Stirring:
    """Something stirs, or has stopped to."""

    def __init__(self, hold_ns: int, most: int = BLOCKS) -> None:
        self.since_ns = 0
        self._most = most
        self._held = Held(hold_ns)
        self._peak = 0
        """The most blocks at once since it began."""
        self._plain = False
        """Whether any of it was plain since it began."""
        self._told = False
        self._last_ns: int | None = None

    def look(self, look: Look, blocks: int, *, plain: bool = True, ended: bool = False) -> bool:
        """Takes in how many blocks something moves; gives whether it has just begun, or with ``ended`` just ended.

        ``plain`` says that in one of them the change is more than a shadow's.
        """
        hit = blocks >= 2
        lasted = self._held.look(look.t_ns, hit)
        self._peak = max(self._peak if self._held.begun else 0, blocks)
        self._plain = plain or (self._plain and self._held.begun)
        if hit or not look.stir.steady:  # nobody can tell while the camera moves
            self._last_ns = look.t_ns
        if self._told and self._last_ns is not None and look.t_ns - self._last_ns >= QUIET_NS:
            self._told = False
            self.since_ns = self._last_ns
            self._held.reset()
            return ended
        if self._told or not lasted or self._peak < self._most or not self._plain:
            return False
        self._told = True
        self.since_ns = self._held.since_ns
        return not ended


class _Light:
    """The brightness of a zone against what is usual there."""

    def __init__(self, hold_ns: int) -> None:
        self._held = Held(hold_ns)
        self._usual: float | None = None
        self._t_ns = 0

    def look(self, look: Look, zone: Box | None) -> _Hit | None:
        now = math.log2(look.stir.brightness(zone) + 4)
        if self._usual is None:
            self._usual, self._t_ns = now, look.t_ns
        passed, self._t_ns = (look.t_ns - self._t_ns) / 1e9, look.t_ns
        change = now - self._usual
        changed = abs(change) > BRIGHTER
        if self._held.look(look.t_ns, changed):
            self._usual = now
            self._held.reset()
            return _Hit(f"The light went {'on' if change > 0 else 'off'}.", self._held.since_ns, sure=look.stir.steady)
        if not changed:
            self._usual += (1 - math.exp(-passed / _LIGHT_S)) * change
        return None


class _Thing:
    """One followed object."""

    def __init__(self, rule: WatchRule, hold_ns: int) -> None:
        self._what = rule.what
        self._zone = rule.zone
        self._called = words.whose(rule.label)
        self._there = Held(hold_ns)
        self._away = Held(hold_ns)
        self._hold_ns = hold_ns
        self._present: bool | None = None
        self._rest = Rest(hold_ns)
        self._covered = Held(hold_ns)
        self._stirring = _Stirring(hold_ns, 2)
        self._area: float | None = None
        self._t_ns = 0
        self._looked = 0

    def look(self, look: Look, track: Track) -> _Hit | None:
        if track.t_ns == self._looked:
            return None  # the tracker did not look at this picture
        self._looked = track.t_ns
        seen = track.state is TrackState.FOLLOWED
        inside = seen and _inside(track.box, self._zone, look)
        match self._what:
            case Watched.APPEARS | Watched.LEAVES | Watched.COUNT:
                return self._presence(look, track, inside)
            case Watched.TOUCHED:
                return self._touched(look, track) if seen else self._lost(look, track)
            case _:
                turned = inside and self._rest.look(look.t_ns, track.box, look.offset)
                if not turned or self._rest.moving is not (self._what is Watched.MOVES):
                    return None
                does = "is moving" if self._rest.moving else "has stopped"
                return _Hit(words.sentence(f"{self._called} {does}"), self._rest.since_ns, track.box, track.sure)

    def _presence(self, look: Look, track: Track, inside: bool) -> _Hit | None:
        came, went = self._there.look(look.t_ns, inside), self._gone(look, track, not inside)
        before = self._present
        if came or went:
            self._present = came
        if before is None or before is self._present:
            return None
        if self._present:
            text = words.sentence(f"{self._called} is {'back' if self._zone is None else 'there'}")
            return _Hit(text, self._there.since_ns, track.box, track.sure) if self._what is not Watched.LEAVES else None
        text = words.sentence(f"{self._called} is gone" if self._zone is None else f"{self._called} has left its place")
        return _Hit(text, self._away.since_ns, track.box) if self._what is not Watched.APPEARS else None

    def _gone(self, look: Look, track: Track, away: bool) -> bool:
        """Whether it has been away for long enough; one that is lost has been so since it was last seen."""
        lasted = self._away.look(look.t_ns, away)
        return lasted or (track.state is TrackState.LOST and look.t_ns - track.seen_ns >= self._hold_ns)

    def _lost(self, look: Look, track: Track) -> _Hit | None:
        """Out of sight: taken away, or hidden wholly."""
        lasted = self._gone(look, track, True)
        before, self._present = self._present, not lasted
        if lasted and before is True:
            return _Hit(words.sentence(f"{self._called} was taken, or something is in front of it"), self._away.since_ns, None)
        return None

    def _touched(self, look: Look, track: Track) -> _Hit | None:
        self._away.look(look.t_ns, False)
        self._present = True
        moved = self._rest.look(look.t_ns, track.box, look.offset) and self._rest.moving
        covered = self._covered.look(look.t_ns, self._hides(look.t_ns, track))
        stirs = self._stirring.look(look, max(_stirs(look, track.box), 2 * covered))
        if moved:
            return _Hit(words.sentence(f"{self._called} was moved"), self._rest.since_ns, track.box, track.sure)
        if stirs:
            since = min(self._stirring.since_ns, self._covered.since_ns) if covered else self._stirring.since_ns
            return _Hit(words.sentence(f"something touched {self._called}"), since, track.box, sure=covered and track.sure)
        return None

    def _hides(self, t_ns: int, track: Track) -> bool:
        """Whether much less of it can be seen than usual."""
        if track.mask is None:
            return False
        area = float(track.mask.area)
        passed, self._t_ns = (t_ns - self._t_ns) / 1e9, t_ns
        if self._area is None:
            self._area = area
        hides = area < HIDDEN * self._area
        if not hides:
            self._area += (1 - math.exp(-passed / _AREA_S)) * (area - self._area)
        return hides


def _inside(box: Box, zone: Box | None, look: Look) -> bool:
    if zone is None:
        return True
    x, y = box.centre
    return zone.x0 <= x / look.width <= zone.x1 and zone.y0 <= y / look.height <= zone.y1


def _stirs(look: Look, box: Box) -> int:
    """In how many blocks of a thing's box something moves; none where it is a small share of them."""
    moved = look.stir.within(_share(box, look))
    blocks = int(moved.sum())
    if blocks < STIRRED * moved.size:
        return 0
    return 2 if 0 < moved.size == blocks else blocks


def _share(box: Box, look: Look) -> Box:
    return Box(box.x0 / look.width, box.y0 / look.height, box.x1 / look.width, box.y1 / look.height)


def _scaled(box: Box, look: Look) -> Box:
    return Box(box.x0 * look.width, box.y0 * look.height, box.x1 * look.width, box.y1 * look.height)
