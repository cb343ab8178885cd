"""``track``: cuts out what is meant in one picture of a video, and follows it to the end.

Three things go on at once: the next picture is decoded while this one is segmented and the masks of the last are written.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge import app
from edge.cli import loop
from edge.cli.masks import PREVIEW, MaskFolder
from edge.cli.output import Output
from edge.config import Config
from edge.errors import InputError, UsageError
from edge.events import MaskSeen, TrackChanged
from edge.policy.identity import Following
from edge.ports import Detector, Segmenter, Stop
from edge.runtime.eyes import whole
from edge.runtime.lane import Lane
from edge.tracks import SegmentPrompt, TrackState
from edge.values import Box, Mask, VideoFrame

PROGRESS_S = 0.5
PATIENCE_S = 600.0
"""How long a picture may take at the least: no wearer waits, and a large network on a small machine takes its time."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is followed through which video."""

    video: Path
    prompts: tuple[SegmentPrompt, ...]
    """One for each object: the first is object 1."""
    frame: int = 0
    """The picture that the prompts are about; the first is 0."""
    out: Path | None = None


def prompts(points: Sequence[str], boxes: Sequence[str]) -> tuple[SegmentPrompt, ...]:
    """Reads what ``--point`` and ``--box`` were given. Raises UsageError."""
    if bool(points) == bool(boxes):
        raise UsageError("give either --point X,Y or --box X0,Y0,X1,Y1")
    if points:
        return tuple(SegmentPrompt(points=((x, y),)) for x, y in (_numbers("--point X,Y", text, 2) for text in points))
    found = [Box(*_numbers("--box X0,Y0,X1,Y1", text, 4)) for text in boxes]
    for text, box in zip(boxes, found, strict=True):
        if not (box.x0 < box.x1 and box.y0 < box.y1):
            raise UsageError(f"--box {text}: is empty: X0 must be less than X1, and Y0 less than Y1")
    return tuple(SegmentPrompt(box=box) for box in found)


def _numbers(what: str, text: str, count: int) -> list[float]:
    parts = text.split(",")
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = []
    if len(values) != count or not all(abs(value) < 1e6 for value in values):  # also where one is not a number
        raise UsageError(f"{what}: {text!r} is not {count} numbers of pixels")
    return values


def track(job: Job, profile: str | None, file: Path | None, *, as_json: bool) -> None:
    """Prints a line for each picture and object, or for people what changed and a table. Raises InputError, StorageError."""
    if not job.video.exists():
        raise UsageError(f"{job.video}: there is no such file")
    config = app.load_config(profile, file)
    loop.run(_track(job, config, Output(as_json=as_json)))


async def _track(job: Job, config: Config, output: Output) -> None:
    patience = max(PATIENCE_S, config.segmenter.time_limit)
    lane: Lane[Segmenter] = Lane("segmenter", lambda: app.segmenter(config), time_limit=patience)
    detector = app.lane("detector", config)
    run = _Run(job, lane, detector, output)
    try:
        await lane.open()
        await run.follow()
    finally:
        await lane.close()
        if detector is not None:
            await detector.close()
        run.summary()


@dataclass
class _Seen:
    """What became of one object."""

    following: Following = field(default_factory=Following)
    losses: list[int] = field(default_factory=list)
    """Pictures at which it was lost."""
    areas: list[int] = field(default_factory=list)
    """Pixels, of the pictures in which it was followed."""

    @property
    def state(self) -> str:
        return TrackState.FOLLOWED.value if self.following.present else TrackState.LOST.value


class _Run:
    def __init__(self, job: Job, lane: Lane[Segmenter], detector: Lane[Detector] | None, output: Output) -> None:
        self._job = job
        self._lane = lane
        self._detector = detector
        self._output = output
        self._objects = {number: _Seen() for number in range(1, len(job.prompts) + 1)}
        self._folder = MaskFolder(job.out) if job.out is not None else None
        self._size: tuple[int, ...] | None = None
        self._frames = 0
        self._took: list[float] = []
        self._began = self._told_at = self._now = 0.0
        self._progress = sys.stderr.isatty()

    async def follow(self) -> None:
        """Goes through the video."""
        if self._folder is not None:
            self._folder.open()
        writing: asyncio.Task[None] | None = None
        latest = -1
        try:
            async with aclosing(_pictures(self._job.video)) as pictures:
                async for frame in pictures:
                    latest = frame.index
                    if latest < self._job.frame:
                        continue
                    self._check_size(frame)
                    masks = await self._masks(frame)
                    if writing is not None:
                        await writing
                    masks = self._tell(frame, masks)
                    if self._folder is not None:
                        writing = _in_thread(self._folder.write, frame, masks, self._captions())
            if latest < self._job.frame:
                count = f"{latest + 1} pictures, the first is 0"
                raise InputError(f"{self._job.video}: there is no picture {self._job.frame}: it has {count}")
            if writing is not None:
                await writing
        finally:
            if self._folder is not None:
                if writing is not None:
                    await asyncio.gather(writing, return_exceptions=True)
                await asyncio.to_thread(self._folder.close)

    def _check_size(self, frame: VideoFrame) -> None:
        size = frame.pixels.shape
        if self._size is not None and size != self._size:
            (height, width), (h, w) = self._size[:2], size[:2]
            change = f"the picture's size changes from {width}x{height} to {w}x{h}"
            raise InputError(f"{self._job.video}: {change} at picture {frame.index}: following ends there")
        self._size = size

    async def _masks(self, frame: VideoFrame) -> tuple[Mask, ...]:
        began = asyncio.get_running_loop().time()
        if not self._frames:
            for prompt in self._job.prompts:
                prompt.check(*frame.pixels.shape[:2])
            prompts = [await self._meant(frame, prompt) for prompt in self._job.prompts]
            masks = tuple([await self._lane.call(_adding(frame, n, p)) for n, p in enumerate(prompts, 1)])
            for mask in masks:
                if not mask.area:
                    raise InputError(f"object {mask.object_id}: nothing could be told apart there")
        else:
            masks = await self._lane.call(lambda engine, stop: engine.track(frame, stop))
        self._now = asyncio.get_running_loop().time()
        if not self._frames:
            self._began = self._now
        self._frames += 1
        self._took.append(self._now - began)
        return masks

    async def _meant(self, frame: VideoFrame, prompt: SegmentPrompt) -> SegmentPrompt:
        return prompt if self._detector is None else await whole(self._lane, self._detector, frame, prompt)

    def _tell(self, frame: VideoFrame, masks: Sequence[Mask]) -> tuple[Mask, ...]:
        """Prints what was seen; gives the masks to write: what is lost has none, whatever the engine guesses."""
        told = tuple([self._told(frame, mask) for mask in masks])
        self.say_progress()
        return told

    def _told(self, frame: VideoFrame, mask: Mask) -> Mask:
        seen, area = self._objects[mask.object_id], mask.area
        change: str | None = seen.following.update(frame.pixels, mask, frame.t_ns)
        if self._frames == 1:
            change = "started"
        if change is not None:
            self._changed(frame, mask.object_id, change, sure=seen.following.sure)
        if change == "lost":
            seen.losses.append(frame.index)
        if not seen.following.present:
            mask, area = replace(mask, bits=np.zeros_like(mask.bits)), 0
        elif area:
            seen.areas.append(area)
        if self._output.as_json:
            self._output.line(self._seen(frame, mask, area).as_json())
        return mask

    def _seen(self, frame: VideoFrame, mask: Mask, area: int) -> MaskSeen:
        box = mask.box
        return MaskSeen(
            t_ns=frame.t_ns,
            frame=frame.index,
            object=mask.object_id,
            label="",
            state=self._objects[mask.object_id].state,
            score=round(mask.score, 3),
            box=(box.x0, box.y0, box.x1, box.y1) if box is not None else (),
            area=area,
            age_ms=round(self._took[-1] * 1000, 1),
            file=str(self._folder.file(frame, mask)) if self._folder is not None else "",
        )

    def _changed(self, frame: VideoFrame, number: int, change: str, *, sure: bool) -> None:
        self._clear()
        told = TrackChanged(t_ns=frame.t_ns, object=number, label="", change=change, sure=sure)
        what = change if sure else f"{change}, or another that looks like it"
        self._output.line(told.as_json(), f"[{frame.t_ns / 1e9:7.2f} s] picture {frame.index:<6} object {number} {what}")

    def _captions(self) -> dict[int, str]:
        return {number: f"{number} {seen.state}" for number, seen in self._objects.items()}

    # -- how it goes -------------------------------------------------------------------------------------------------------

    def say_progress(self) -> None:
        """Says on a terminal's standard error how far it is."""
        if self._progress and self._now - self._told_at >= PROGRESS_S:
            self._told_at = self._now
            print(f"\r{self._frames} pictures, {self._pace():.1f} a second ", end="", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._progress:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _pace(self) -> float:
        """Pictures a second since the first: decoding, segmenting, writing."""
        return (self._frames - 1) / (self._now - self._began) if self._frames > 1 else 0.0

    def summary(self) -> None:
        """Prints what became of each object, as far as it came."""
        self._clear()
        if not self._frames:
            return
        objects = [
            {
                "object": number,
                "state": seen.state,
                "followed": len(seen.areas),
                "lost_at": seen.losses,
                "mean_area": round(statistics.fmean(seen.areas)) if seen.areas else 0,
            }
            for number, seen in self._objects.items()
        ]
        engine_ms = round(statistics.median(self._took[1:] or self._took) * 1000, 1)
        row = {"event": "tracked", "frames": self._frames, "frames_per_second": round(self._pace(), 1), "engine_ms": engine_ms}
        if self._output.as_json:
            self._output.line({**row, "objects": objects})
            return
        print(f"\n{'object':<8}{'at the end':<12}{'followed in':>14}{'times lost':>12}{'mean pixels':>13}")
        for found, seen in zip(objects, self._objects.values(), strict=True):
            share = f"{len(seen.areas)} of {self._frames}"
            print(f"{found['object']:<8}{found['state']:<12}{share:>14}{len(seen.losses):>12}{found['mean_area']:>13}")
        print(f"\n{self._frames} pictures, {self._pace():.1f} a second ({engine_ms:g} ms each for the segmenter)")
        if self._folder is not None:
            print(f"masks and {PREVIEW} in {self._folder.folder}")


def _adding(frame: VideoFrame, number: int, prompt: SegmentPrompt) -> Callable[[Segmenter, Stop], Mask]:
    return lambda engine, stop: engine.add(frame, prompt, number)


def _in_thread(work: Callable[..., Any], *given: object) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(asyncio.to_thread(work, *given))


async def _pictures(path: Path) -> AsyncGenerator[VideoFrame, None]:
    """Gives a video's pictures, the next one being decoded meanwhile. Raises InputError."""
    decoded = app.read_video(path)
    coming = _in_thread(next, decoded, None)
    try:
        index = 0
        while (found := await asyncio.shield(coming)) is not None:
            coming = _in_thread(next, decoded, None)
            yield VideoFrame(found[1], found[0], index)
            index += 1
    finally:
        await asyncio.gather(coming, return_exceptions=True)  # a thread cannot be stopped, and the file is in its hands
