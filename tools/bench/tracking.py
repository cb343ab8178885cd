"""Measures a segmenter that follows: how right its masks are, and how fast.

    python -m tools.bench.tracking [--engine classical] [--threads N] [--size HEIGHTxWIDTH] [--frames N] [--real [FOLDER]]

Without ``--real``: the drawn clips of ``tests.clips``, whose every pixel is known. One JSON object a clip on standard output:
``j`` is the mean region similarity J over pictures and objects, from one click each in the first picture; ``ms`` what a
picture costs for each object; then ``mean_j`` over the clips.

With ``--real``: the clips of the shared data that ``tools.bench.clicks`` names, measured against boxes drawn by hand in some
of their pictures. ``iou`` is the mean intersection over union of the mask's box and that box, where the thing can be seen;
``held`` says that it was never below 0.4, and that where nothing can be seen there was no mask, or a score below 0.35;
``honest`` is the share of those pictures in which the score says what is true: at least 0.55 for a right mask, below 0.35 for
a wrong one. ``--sheets FOLDER`` writes contact sheets.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.bench.stats import machine, spread
from edge.policy.identity import GONE, THERE
from edge.ports import Segmenter, Stop
from edge.tracks import SegmentPrompt
from edge.values import Box, Mask, Pixels, VideoFrame
from tests.clips import NAMES, clip, inside, jaccard
from tests.shared import ROOT
from tools.bench.clicks import CLICKS, TUNED, Click


def _classical(threads: int) -> Segmenter:
    from models.classical import ClassicalSegmenter

    return ClassicalSegmenter(threads=threads)


ENGINES: dict[str, Callable[[int], Segmenter]] = {"classical": _classical}
SHEET = (320, 180)
"""Pixels of a contact sheet's picture."""
HELD = 0.4
"""Overlap of boxes from which a mask is on the thing."""


def drawn(engine: Segmenter, name: str, size: tuple[int, int], frames: int) -> dict[str, Any]:
    """Follows everything in a drawn clip."""
    pictures = clip(name, size, frames)
    first, truths = pictures[0]
    engine.reset()
    began = time.perf_counter()
    for object_id, bits in truths.items():
        engine.add(first, SegmentPrompt(points=(inside(bits),)), object_id)
    added = (time.perf_counter() - began) / len(truths)
    scores: list[float] = []
    costs: list[float] = []
    for frame, truth in pictures[1:]:
        began = time.perf_counter()
        masks = engine.track(frame, Stop())
        costs.append((time.perf_counter() - began) * 1000 / len(truth))
        scores += [jaccard(mask.bits, truth[mask.object_id]) for mask in masks]
    return {"clip": name, "j": round(float(np.mean(scores)), 3), "add_ms": round(added * 1000), "ms": spread(costs, 1)}


def real(engine: Segmenter, name: str, folder: Path, sheets: Path | None) -> dict[str, Any]:
    """Follows one thing in a real clip."""
    click = CLICKS[name]
    engine.reset()
    costs: list[float] = []
    shown: list[Pixels] = []
    judged: list[tuple[float | None, float]] = []
    added = 0.0
    for frame in _frames(folder / "video" / click.file, click):
        began = time.perf_counter()
        if not engine.objects:
            mask = engine.add(frame, SegmentPrompt(points=click.points), 1)
            added = time.perf_counter() - began
        else:
            (mask,) = engine.track(frame, Stop())
            costs.append((time.perf_counter() - began) * 1000)
        if frame.index in click.boxes:
            judged.append((overlap(mask.box, click.box(frame.index)), mask.score if mask.bits.any() else 0.0))
        if sheets is not None:
            shown.append(_overlay(frame, mask, click))
    if sheets is not None:
        chosen = [shown[at] for at in np.linspace(0, len(shown) - 1, 20).astype(int)]
        rows = [np.hstack(chosen[row : row + 5]) for row in range(0, 20, 5)]
        cv2.imwrite(str(sheets / f"{name}.png"), np.vstack(rows))
    return {
        "click": name,
        "tuned": name in TUNED,
        **_verdict(judged),
        "frames": len(costs) + 1,
        "add_ms": round(added * 1000),
        "ms": spread(costs, 1),
    }


def overlap(one: Box | None, other: Box | None) -> float | None:
    """Gives the intersection over union of two boxes, 0 to 1; None where ``other``, the truth, is nothing."""
    if other is None:
        return None
    if one is None:
        return 0.0
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.y1, other.y1) - max(one.y0, other.y0)
    both = max(0.0, across) * max(0.0, down)
    return both / (one.width * one.height + other.width * other.height - both)


def _verdict(judged: list[tuple[float | None, float]]) -> dict[str, Any]:
    """Sums up pairs of overlap (None: nothing to be seen) and score (0: no mask)."""
    seen = [share for share, _ in judged if share is not None]
    right = [share is not None and share >= HELD for share, _ in judged]
    held = [yes or (share is None and score < GONE) for yes, (share, score) in zip(right, judged, strict=True)]
    honest = [score >= THERE if yes else score < GONE for yes, (_, score) in zip(right, judged, strict=True)]
    return {
        "iou": round(float(np.mean(seen)), 3),
        "held": all(held),
        "held_in": f"{sum(held)}/{len(held)}",
        "honest": round(float(np.mean(honest)), 2),
        "each": [(None if share is None else round(share, 2), round(score, 2)) for share, score in judged],
    }


def _frames(path: Path, click: Click) -> Iterator[VideoFrame]:
    video = cv2.VideoCapture(str(path))
    pace = 1e9 / video.get(cv2.CAP_PROP_FPS)
    for index in range(click.start + click.frames):
        there, pixels = video.read()
        if not there:
            break
        if index >= click.start:
            yield VideoFrame(np.asarray(pixels, np.uint8), round(index * pace), index)
    video.release()


def _overlay(frame: VideoFrame, mask: Mask, click: Click) -> Pixels:
    pixels = frame.pixels.copy()
    pixels[mask.bits] = pixels[mask.bits] // 3 + np.array([0, 160, 0], np.uint8)
    if click.boxes.get(frame.index) is not None:
        x0, y0, x1, y1 = click.boxes[frame.index] or (0, 0, 0, 0)
        cv2.rectangle(pixels, (x0, y0), (x1, y1), (0, 255, 255), 3)
    small = cv2.resize(pixels, SHEET)
    cv2.putText(small, f"{frame.index} {mask.score:.2f}", (5, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 255), 1)
    return np.asarray(small, np.uint8)


def main() -> None:
    """Measures what the arguments name."""
    parser = argparse.ArgumentParser(prog="tools.bench.tracking", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--engine", choices=sorted(ENGINES), default="classical")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))), default=(480, 854))
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--only", nargs="*", help="these clips or clicks alone")
    parser.add_argument("--real", nargs="?", type=Path, const=ROOT, help="the shared data's folder")
    parser.add_argument("--sheets", type=Path, help="where contact sheets of real clips are written")
    asked = parser.parse_args()
    engine = ENGINES[asked.engine](asked.threads)
    engine.open()
    print(json.dumps({"engine": engine.info.name, "machine": machine()}), flush=True)
    if asked.real:
        rows = []
        for name in asked.only or CLICKS:
            rows.append(real(engine, name, asked.real, asked.sheets))
            print(json.dumps(rows[-1]), flush=True)
        for tuned in (True, False):
            if part := [row for row in rows if row["tuned"] == tuned]:
                mean = round(float(np.mean([row["iou"] for row in part])), 3)
                print(json.dumps({"tuned": tuned, "mean_iou": mean, "held": f"{sum(row['held'] for row in part)}/{len(part)}"}))
    else:
        rows = []
        for name in asked.only or NAMES:
            rows.append(drawn(engine, name, asked.size, asked.frames))
            print(json.dumps(rows[-1]), flush=True)
        print(json.dumps({"mean_j": round(float(np.mean([row["j"] for row in rows])), 3)}), flush=True)
    engine.close()


if __name__ == "__main__":
    main()
