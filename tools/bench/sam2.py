"""Our streaming SAM 2 beside the reference predictor: ``python -m tools.bench.sam2 [--frames N] [--size 512] [--objects 1 2]``.

Both follow the same objects through the same pictures in the same run, picture by picture in turn, with the same weights (the
tiny architecture, random) and the same number of threads. Counted are pictures that find all 7 memory maps there are. Prints

- pictures a second of both and their ratio, by the clock and by processor time (which other work on the machine disturbs less);
- the time of each graph and its share, and what one more object costs;
- with ``--memory N``: the resident memory over N pictures of the reduced network of the tests, and the reference's over the
  first ``--reference-memory`` of the same pictures, as it comes (nothing dropped) and as it is driven here.

The graphs are written under ``--model`` once for each state of their sources, which takes a minute or two.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from edge.policy.memory import MemoryRules
from edge.ports import Stop
from edge.runtime.tracker import MemoryTracker
from edge.tracks import Candidates, Cues, Floats, Memories, SegmentPrompt, View
from edge.values import Box, EngineInfo, Pixels, VideoFrame
from models.sam2_build import build
from models.sam2_export import write
from models.sam2_onnx import Sam2Onnx
from models.sam2_torch import Sam2Torch
from tests.models.exports import exported
from tests.models.sam2_tiny import amplify, pictures, predictor, set_visible

WARM = 8
"""Pictures before the first that counts: then there are a prompted one and six others to remember."""
EXACT = MemoryRules(prompted=None, anchor_every=None)

Taken = tuple[float, float]
"""Seconds by the clock, and of processor time."""


@dataclass
class _Timed:
    """A ``MaskNetwork`` that writes down how long its parts take."""

    network: Any
    taken: dict[str, list[Taken]] = field(default_factory=lambda: defaultdict(list))

    @property
    def info(self) -> EngineInfo:
        found: EngineInfo = self.network.info
        return found

    @property
    def size(self) -> int:
        return int(self.network.size)

    def open(self) -> None:
        self.network.open()

    def close(self) -> None:
        self.network.close()

    def encode(self, pixels: Pixels) -> View:
        view: View = self._time("image encoder", lambda: self.network.encode(pixels))
        return view

    def recall(self, view: View, memories: Memories | None) -> Any:
        return self._time("memory attention", lambda: self.network.recall(view, memories))

    def decode(self, view: View, seen: Any, cues: Cues) -> Candidates:
        found: Candidates = self._time("mask decoder", lambda: self.network.decode(view, seen, cues))
        return found

    def memorise(self, view: View, masks: Floats, scores: Floats) -> Floats:
        maps: Floats = self._time("memory encoder", lambda: self.network.memorise(view, masks, scores))
        return maps

    def _time(self, name: str, call: Callable[[], Any]) -> Any:
        result, taken = timed(call)
        self.taken[name].append(taken)
        return result


CALM_S = 0.2
"""OpenMP's threads, torch's and OpenBLAS's, spin on after a call, on the cores of whoever comes next."""


def timed(call: Callable[[], Any]) -> tuple[Any, Taken]:
    """Gives what a call gives and what it took."""
    clock, work = time.perf_counter(), time.process_time()
    result = call()
    return result, (time.perf_counter() - clock, time.process_time() - work)


def median(taken: Sequence[Taken], which: int) -> float:
    """Gives the median in milliseconds, by the clock (0) or of processor time (1)."""
    return statistics.median(each[which] for each in taken) * 1000


def prompts(objects: int, height: int, width: int) -> Iterator[tuple[int, SegmentPrompt]]:
    """Gives a box for each object, side by side."""
    step = width / objects
    for name in range(objects):
        yield name, SegmentPrompt(box=Box(name * step + 4, height / 4, (name + 1) * step - 4, height * 3 / 4))


@dataclass
class Race:
    """What came of both with one number of objects."""

    ours: list[Taken] = field(default_factory=list)
    reference: list[Taken] = field(default_factory=list)
    parts: dict[str, list[Taken]] = field(default_factory=dict)
    furthest: float = 0.0
    """Largest difference between mask logits of the two."""

    def report(self, objects: int) -> None:
        """Prints it."""
        for which, name in ((0, "clock"), (1, "processor")):
            ours, reference = median(self.ours, which), median(self.reference, which)
            ratios = sorted(b[which] / a[which] for a, b in zip(self.ours, self.reference, strict=True))
            quarter = len(ratios) // 4
            print(
                f"{objects} object(s), {name:9}: ours {ours:7.0f} ms a picture ({1000 / ours:5.2f}/s), "
                f"reference {reference:7.0f} ms ({1000 / reference:5.2f}/s), ratio {statistics.median(ratios):.2f} "
                f"(quartiles {ratios[quarter]:.2f} to {ratios[-1 - quarter]:.2f})"
            )
        print(f"  mask logits differ by at most {self.furthest:.1e} over {len(self.ours)} pictures")
        for part, taken in self.parts.items():
            share = sum(each[1] for each in taken) / sum(each[1] for each in self.ours)
            print(f"  {part:17} {median(taken, 0):7.1f} ms by the clock, {median(taken, 1):7.1f} ms of processor, {share:5.0%}")
        known = sum(each[1] for taken in self.parts.values() for each in taken) / sum(each[1] for each in self.ours)
        print(f"  {'the rest':17} {'':46}{1 - known:5.0%}")


class _Pair:
    """Both, with one number of objects."""

    def __init__(self, model: Any, folder: Path, objects: int, first: VideoFrame, threads: int) -> None:
        self.race = Race()
        self.network = _Timed(Sam2Onnx(folder, device="cpu", threads=threads))
        self.ours, self.reference = MemoryTracker(self.network, EXACT), Sam2Torch(lambda: model)
        for segmenter in (self.ours, self.reference):
            segmenter.open()
            for name, prompt in prompts(objects, *first.pixels.shape[:2]):
                segmenter.add(first, prompt, name)

    def track(self, frame: VideoFrame, *, counts: bool) -> None:
        """Follows through the next picture."""
        time.sleep(CALM_S)
        _, one = timed(lambda: self.ours.track(frame, Stop()))
        time.sleep(CALM_S)
        _, other = timed(lambda: self.reference.track(frame, Stop()))
        if counts:
            self.race.ours.append(one)
            self.race.reference.append(other)
        else:
            self.network.taken.clear()
        theirs = self.reference.logits
        differences = (float(np.abs(logits - theirs[name]).max()) for name, logits in self.ours.logits.items())
        self.race.furthest = max(self.race.furthest, *differences)

    def close(self) -> Race:
        """Gives what came of it."""
        self.race.parts = dict(self.network.taken)
        self.ours.close()
        self.reference.close()
        return self.race


def race(model: Any, folder: Path, counts: Sequence[int], frames: Sequence[VideoFrame], threads: int) -> dict[int, Race]:
    """Follows each number of objects through the pictures with both, all in turn: a machine's speed changes by the minute."""
    pairs = {objects: _Pair(model, folder, objects, frames[0], threads) for objects in counts}
    for i, frame in enumerate(frames):
        for pair in pairs.values():
            pair.track(frame, counts=i >= WARM)
    return {objects: pair.close() for objects, pair in pairs.items()}


def speed(options: argparse.Namespace) -> None:
    """Prints who is how fast, and with what the time goes."""
    import torch

    torch.set_num_threads(options.threads)
    model = build("tiny", options.size)
    amplify(model)
    set_visible(model, 20.0)
    folder = exported(options.model, f"tiny-{options.size}", lambda: model)
    frames = pictures(WARM + options.frames, 480, 640)
    races = race(model, folder, options.objects, frames, options.threads)
    for objects, found in races.items():
        found.report(objects)
    if {1, 2} <= races.keys():
        for which, name in ((0, "clock"), (1, "processor")):
            ours, theirs = (
                statistics.median(b[which] / a[which] for a, b in zip(one, two, strict=True))
                for one, two in ((races[1].ours, races[2].ours), (races[1].reference, races[2].reference))
            )
            print(f"a second object, {name:9}: {ours:.2f} times the cost of one; reference {theirs:.2f}")


@dataclass(frozen=True)
class Growth:
    """How the resident memory grew."""

    name: str
    pictures: int
    slope: float
    """MB for each 1,000 pictures, over the last three quarters of them."""

    def __str__(self) -> str:
        return f"{self.name}: {self.slope:+.2f} MB a 1,000 pictures (over {self.pictures})"


def growth(segmenter: Any, count: int, name: str) -> Growth:
    """Follows two objects through ``count`` pictures, and prints the resident memory on the way."""
    segmenter.open()
    process = psutil.Process()
    base = pictures(60)  # the memory does not care that they come again
    at, resident = [], []
    for i in range(count):
        frame = VideoFrame(base[i % len(base)].pixels.copy(), i, i)
        if i == 0:
            segmenter.add(frame, SegmentPrompt(points=((60.0, 60.0),)), 1)
            segmenter.add(frame, SegmentPrompt(points=((160.0, 90.0),)), 2)
        segmenter.track(frame, Stop())
        if i % max(1, count // 100) == 0:
            gc.collect()
            at.append(i)
            resident.append(process.memory_info().rss / 1e6)
        if i % max(1, count // 10) == 0:
            print(f"  {name}: picture {i}, {resident[-1]:.1f} MB, maps held {dict(segmenter.held)}", flush=True)
    late = len(at) // 4
    slope = float(np.polyfit(at[late:], resident[late:], 1)[0]) * 1000
    segmenter.close()
    return Growth(name, count, slope)


def memory(options: argparse.Namespace) -> None:
    """Prints what an endless stream costs."""
    import torch

    torch.set_num_threads(options.threads)
    model = predictor()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reduced"
        write(model, path, "reduced", {"seed": 0, "file": None, "sha256": None})
        network = Sam2Onnx(path, device="cpu", threads=options.threads)
        found = [growth(MemoryTracker(network), options.memory, "ours")]
    found.append(growth(Sam2Torch(lambda: model), options.reference_memory, "reference, old entries dropped"))
    found.append(growth(Sam2Torch(lambda: model, bounded=False), options.reference_memory, "reference, as it comes"))
    print("2 objects, 256 pixels, the same pictures:", *found, sep="\n  ")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10, help="pictures that count, for each number of objects; 0: no race")
    parser.add_argument("--size", type=int, default=512, choices=(512, 1024))
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--model", type=Path, default=Path(tempfile.gettempdir()) / "nearsight-bench-sam2")
    parser.add_argument("--memory", type=int, default=0, help="pictures to watch our memory over")
    parser.add_argument("--reference-memory", type=int, default=300, help="how many of them for the reference")
    options = parser.parse_args(arguments)
    if options.frames:
        speed(options)
    if options.memory:
        memory(options)


if __name__ == "__main__":
    main()
