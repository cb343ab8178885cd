"""Measures watches: what they report of the shared videos, how late, and what an hour of nothing makes them say.

    python -m tools.bench.watching [--data FOLDER] [--fps N] [--hours H] [--click]

One JSON object a line on standard output. For each rule: the events ``found`` (reported within a second), ``late``, ``missed``,
the ``false`` reports, and the delay of those found in milliseconds, least, median and most. The times of the events were taken
from the pictures by eye: a thing has come when half of it can be seen, has gone with its last pixel, and stirring begins with
the first picture that shows it. Where a hand brings a thing or takes it away the event lasts as long as the hand holds it, and
the delay counts from its end. ``--click`` adds the rules that follow a thing with the classical segmenter.

``--hours`` watches so much media time of a still view at five pictures a second, 320x240: sensor noise (shot and read noise),
a lamp whose bands roll through the picture, exposure that hunts, a cloud every few minutes, a light switched now and then.
Every report of it is false, but for those of the rule that watches for the light.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.policy.identity import Following, Likeness
from edge.policy.motion import Motion
from edge.policy.watching import Fired, Look, Watch
from edge.policy.witness import Witness
from edge.ports import Stop
from edge.tracks import SegmentPrompt, Track, TrackState, Watched, WatchRule
from edge.values import Box, Detection, Mask, VideoFrame
from models.fastestdet import FastestDet

WITHIN_S = 1.0
"""A report so long after the event has found it."""
LATE_S = 3.0
"""One later than that is late; after this it is false."""
EARLY_S = 0.6
"""By how much a report may come before the time that was taken by eye."""
LEFT, MIDDLE, RIGHT = Box(0, 0, 0.33, 1), Box(0.34, 0, 0.66, 1), Box(0.67, 0, 1, 1)


@dataclass(frozen=True)
class Case:
    """A rule and the seconds at which what it watches for happens: a time, or from when to when it goes on."""

    video: str
    rule: WatchRule
    times: tuple[float | tuple[float, float], ...]
    click: tuple[float, float] | None = None
    """Where the thing to follow is in the first picture, in shares of it; None where nothing is followed."""
    kind: str = ""
    """The detector's name for the thing that is followed."""


def _rule(what: Watched, label: str = "", zone: Box | None = None, object_id: int | None = None) -> WatchRule:
    return WatchRule(what, label, object_id, zone, cooldown=1.5)


PEOPLE = "one-by-one-person-detection"
CASES = (
    Case(PEOPLE, _rule(Watched.APPEARS, "person"), (6.5, 23.0, 50.8, 74.9, 93.6, 123.8)),
    Case(PEOPLE, _rule(Watched.LEAVES, "person"), (19.9, 44.9, 69.9, 86.9, 120.0, 136.0)),
    Case(
        PEOPLE,
        _rule(Watched.MOVES, zone=MIDDLE),
        (6.1, 18.0, 22.8, 43.1, 50.4, 67.7, 74.6, 84.7, 92.2, 117.7, 123.5, 134.0),
    ),
    Case("bottle-detection", _rule(Watched.MOVES, zone=LEFT), (5.7, 11.25, 15.8, 22.5, 27.25)),
    Case("bottle-detection", _rule(Watched.MOVES, zone=MIDDLE), (15.9, 22.0, 31.2, 35.3)),
    Case("bottle-detection", _rule(Watched.MOVES, zone=RIGHT), (30.7, 34.5)),
    Case("bottle-detection", _rule(Watched.LEAVES, "bottle", RIGHT), ((31.3, 32.1),)),
    Case("bottle-detection", _rule(Watched.APPEARS, "bottle", RIGHT), ((34.7, 36.7),)),
    Case("bottle-detection", _rule(Watched.APPEARS, "bottle"), ((11.4, 13.4), (22.2, 24.4), (27.5, 29.0), (34.7, 36.7))),
    Case("bottle-detection", _rule(Watched.LEAVES, "bottle"), ((6.1, 7.2), (16.2, 17.9), (31.3, 32.1))),
    Case("dog", _rule(Watched.LEAVES, "dog"), (2.45,)),
    Case("dog", _rule(Watched.APPEARS, "dog"), (3.65,)),
    Case("bottle-detection", _rule(Watched.TOUCHED, "my bottle", object_id=1), ((31.1, 31.7),), (0.84, 0.6), "bottle"),
    Case("bottle-detection", _rule(Watched.LEAVES, "my bottle", object_id=1), ((31.8, 32.1),), (0.84, 0.6), "bottle"),
    Case("cups", replace(_rule(Watched.MOVES, "the cup", object_id=1), cooldown=60.0), (1.5,), (0.71, 0.57), "cup"),
    Case("dog", _rule(Watched.LEAVES, "the dog", object_id=1), (2.45,), (0.46, 0.63), "dog"),
)


class Follower:
    """Follows one clicked thing, and loses, finds and corrects it as a session does (``edge.runtime.eyes``)."""

    def __init__(self, click: tuple[float, float], kind: str) -> None:
        from models.classical import ClassicalSegmenter

        self._click = click
        self._kind = kind
        self._following = Following()
        self._witness = Witness()
        self._engine = ClassicalSegmenter()
        self._engine.open()
        self._box: Box | None = None
        self._seen_ns = 0

    def look(self, frame: VideoFrame, found: tuple[Detection, ...]) -> Track:
        """Gives the track in the next picture, in which the detector has ``found`` things."""
        height, width = frame.pixels.shape[:2]
        if self._box is None:
            point = self._click[0] * width, self._click[1] * height
            mask = self._engine.add(frame, SegmentPrompt(points=(point,)), 1)
        else:
            (mask,) = self._engine.track(frame, Stop())
        self._following.update(frame.pixels, mask, frame.t_ns)
        alike = [item for item in found if item.label == self._kind]
        if mask.box is not None and self._following.present:
            self._box, self._seen_ns = mask.box, frame.t_ns
            word = self._witness.look(frame.t_ns, mask.box, mask.score, alike)
            if word == "gone":
                self._following.deny(frame.t_ns)
                self._seen_ns = self._witness.seen_ns
            elif word is not None and self._like(frame, word.box) is not Likeness.OTHER:
                mask = self._put(frame, word.box)
        elif not self._following.present:
            likely = next((item for item in alike if item.sure and self._like(frame, item.box) is Likeness.SAME), None)
            if likely is not None:
                self._following.take_up(frame.t_ns, sure=True)
                mask = self._put(frame, likely.box)
        state = TrackState.FOLLOWED if self._following.present else TrackState.LOST
        box = self._box or Box(0, 0, 1, 1)
        there = self._following.present and mask.box is not None
        return Track(1, "", state, box, (width, height), frame.t_ns, self._seen_ns, mask if there else None)

    def _put(self, frame: VideoFrame, box: Box) -> Mask:
        mask = self._engine.add(frame, SegmentPrompt(box=box), 1)
        self._box, self._seen_ns = mask.box or self._box, frame.t_ns
        return mask

    def _like(self, frame: VideoFrame, box: Box) -> Likeness:
        mask = self._engine.cut_out(frame, SegmentPrompt(box=box))
        return self._following.identity.judge(frame.pixels, mask) if mask.area else Likeness.OTHER


def pictures(path: Path, fps: float) -> Iterator[VideoFrame]:
    """Gives about ``fps`` pictures a second of a video, at most 640 wide."""
    video = cv2.VideoCapture(str(path))
    rate = video.get(cv2.CAP_PROP_FPS)
    every = max(1, round(rate / fps))
    index = 0
    while True:
        there, pixels = video.read()
        if not there:
            return
        if index % every == 0:
            scale = min(1.0, 640 / pixels.shape[1])
            small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else pixels
            yield VideoFrame(np.asarray(small, np.uint8), round(index / rate * 1e9), index)
        index += 1


def watched(cases: list[Case], path: Path, detector: FastestDet, fps: float) -> tuple[dict[Case, list[Fired]], list[float]]:
    """Runs all rules of one video; gives reports, ``since_ns`` being the time of the report, and costs in ms."""
    motion = Motion()
    watches = {case: Watch(case.rule) for case in cases}
    followers = {case.click: Follower(case.click, case.kind) for case in cases if case.click is not None}
    reports: dict[Case, list[Fired]] = {case: [] for case in cases}
    costs = []
    shifted = (0.0, 0.0)
    for frame in pictures(path, fps):
        found: tuple[Detection, ...] = detector.detect(frame)
        tracks = {click: follower.look(frame, found) for click, follower in followers.items()}
        height, width = frame.pixels.shape[:2]
        began = time.perf_counter()
        things = [item.box for item in found] + [track.box for track in tracks.values()]
        stir = motion.see(frame.pixels, frame.t_ns, things)
        shifted = shifted[0] + stir.shift[0] * width, shifted[1] + stir.shift[1] * height
        for case, watch in watches.items():
            mine = (tracks[case.click],) if case.click is not None else ()
            fired = watch.look(Look(frame.t_ns, width, height, stir, mine, found, shifted))
            if fired is not None:
                reports[case].append(Fired(fired.text, fired.sure, frame.t_ns, fired.box))
        costs.append((time.perf_counter() - began) * 1000)
    return reports, costs


def judged(case: Case, reports: list[Fired]) -> dict[str, Any]:
    """Compares reports with the events."""
    at = [report.since_ns / 1e9 for report in reports]
    delays, late, wanted, used = [], 0, list(case.times), set()
    for event in wanted:
        start, end = (event, event) if isinstance(event, float) else event
        match = next((n for n, t in enumerate(at) if n not in used and start - EARLY_S <= t <= end + LATE_S), None)
        if match is None:
            continue
        used.add(match)
        if at[match] <= end + WITHIN_S:
            delays.append(round((at[match] - end) * 1000))
        else:
            late += 1
    return {
        "video": case.video,
        "rule": f"{case.rule.what.value} {case.rule.label or 'motion'}" + (" in a zone" if case.rule.zone else ""),
        "events": len(wanted),
        "found": len(delays),
        "late": late,
        "missed": len(wanted) - len(used),
        "false": len(at) - len(used),
        "delay_ms": [min(delays), round(statistics.median(delays)), max(delays)] if delays else [],
        "reported": [f"{t:.2f} {report.text}" for t, report in zip(at, reports, strict=True)],
    }


class StillView:
    """A still view under bad light. Noise is drawn once, and shifted anew for each picture: drawing it would cost the most."""

    RATE = 5

    def __init__(self, seed: int = 7) -> None:
        chance = np.random.default_rng(seed)
        coarse = chance.uniform(20, 220, (12, 16)).astype(np.float32)
        scene = cv2.GaussianBlur(cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_NEAREST), (0, 0), 1.0)
        self._scene = np.asarray(scene, np.float32) + chance.normal(0, 8, (240, 320)).astype(np.float32)
        self._noise = chance.standard_normal((480, 640)).astype(np.float32)
        self._chance = chance
        self.switches: list[float] = []
        """Seconds at which the light was switched."""
        self._on = True

    def picture(self, index: int) -> VideoFrame:
        """Gives the picture number ``index``."""
        t = index / self.RATE
        if index and index % (self.RATE * 600) == 0:
            self._on = not self._on
            self.switches.append(t)
        light = (1.0 if self._on else 0.35) * (1 + 0.08 * np.sin(t / 3) + 0.02 * self._chance.standard_normal())
        light *= 1 - 0.35 * max(0.0, np.sin(2 * np.pi * t / 240)) ** 4
        bands = 1 + 0.10 * np.sin(2 * np.pi * (np.arange(240) / 160 + self._chance.uniform()))
        grey = self._scene * (light * bands)[:, None].astype(np.float32)
        y, x = self._chance.integers(0, (240, 320))
        grey += self._noise[y : y + 240, x : x + 320] * np.sqrt(9 + grey / 4)
        pixels = np.clip(grey, 0, 255).astype(np.uint8)[:, :, None].repeat(3, axis=2)
        return VideoFrame(pixels, round(t * 1e9), index)


def still(hours: float) -> dict[str, Any]:
    """Watches a still view."""
    view = StillView()
    rules = {
        "motion": _rule(Watched.MOVES),
        "motion in the middle": _rule(Watched.MOVES, zone=Box(0.25, 0.25, 0.75, 0.75)),
        "touched": _rule(Watched.TOUCHED, "my bag", object_id=1),
        "moves": _rule(Watched.MOVES, "my bag", object_id=1),
        "light": _rule(Watched.LIGHT),
    }
    watches = {name: Watch(rule) for name, rule in rules.items()}
    motion, box, reports = Motion(), Box(100, 80, 180, 170), dict.fromkeys(rules, 0)
    began = time.perf_counter()
    stirred = 0
    for index in range(round(hours * 3600 * view.RATE)):
        frame = view.picture(index)
        stir = motion.see(frame.pixels, frame.t_ns, [box])
        stirred += bool(stir.moved.any())
        track = Track(1, "my bag", TrackState.FOLLOWED, box, (320, 240), frame.t_ns, frame.t_ns)
        look = Look(frame.t_ns, 320, 240, stir, (track,), ())
        for name, watch in watches.items():
            reports[name] += watch.look(look) is not None
    passed = time.perf_counter() - began
    pictures_ = round(hours * 3600 * view.RATE)
    return {
        "still_hours": hours,
        "pictures": pictures_,
        "pictures_that_stirred": stirred,
        "reports": reports,
        "light_switched": len(view.switches),
        "seconds": round(passed, 1),
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    default = os.environ.get("NEARSIGHT_DATA", Path(__file__).parents[3] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--fps", type=float, default=8.0, help="pictures a second that are looked at")
    parser.add_argument("--hours", type=float, default=0.0, help="hours of a still view")
    parser.add_argument("--click", action="store_true", help="also the rules on things that are followed")
    options = parser.parse_args()
    if options.hours:
        print(json.dumps(still(options.hours)), flush=True)
        return
    detector = FastestDet(options.data / "models" / "FastestDet.onnx")
    detector.open()
    for video in dict.fromkeys(case.video for case in CASES):
        cases = [case for case in CASES if case.video == video and (options.click or case.click is None)]
        if not cases:
            continue
        reports, costs = watched(cases, options.data / "video" / f"{video}.mp4", detector, options.fps)
        for case in cases:
            print(json.dumps(judged(case, reports[case])), flush=True)
        print(json.dumps({"video": video, "rules": len(cases), "ms_a_picture": round(statistics.median(costs), 2)}), flush=True)
    detector.close()


if __name__ == "__main__":
    main()
