"""Measures the text reader: what it gets right, how long it takes, and what blur does to it.

    python -m tools.bench.reading [--data FOLDER] [--side PIXELS] [--threads N] [--rounds N] [--blur]

One JSON object a picture on standard output. ``found`` is the share of the reference's lines that were read letter for letter;
``cer`` the letters wrong per letter of the reference, where the reference is the whole text; ``ms`` median, least and most.
With ``--blur`` each picture is blurred more and more (Gaussian sigma, length of a slanted motion), and of every step stands
there how much of what was read in the clear picture is still read, what else was read, and the verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import jiwer
import numpy as np

from edge.policy.layout import arrange
from edge.ports import Stop
from edge.values import Pixels, Reading, VideoFrame
from models.reader import RapidReader

UNCOVERED = ("sr", "fa")
"""Languages of the data that PP-OCRv6 small does not read."""


def gaussian(picture: Pixels, sigma: float) -> Pixels:
    """A lens out of focus."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def motion(picture: Pixels, length: float) -> Pixels:
    """A head that turns while the shutter is open: a slanted line of so many pixels."""
    size = int(length) | 1
    kernel = np.zeros((size, size), np.float32)
    cv2.line(kernel, (0, size // 2 + size // 6), (size - 1, size // 2 - size // 6), 1.0)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.uint8)


STEPS: tuple[tuple[Callable[[Pixels, float], Pixels], tuple[float, ...]], ...] = (
    (gaussian, (1, 2, 3, 4, 6, 9)),
    (motion, (5, 9, 17, 31)),
)


def pictures(folder: Path) -> Iterator[tuple[str, Pixels, Any]]:
    """Gives name, picture and index row of everything with text that the model covers, then the photographs without."""
    for line in (folder / "index.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        name = row["file"]
        if name.startswith(("text/", "photos/")) and not name.startswith("photos/exif") and row.get("lang") not in UNCOVERED:
            picture = cv2.imread(str(folder / name))
            if picture is not None:
                yield name, np.asarray(picture, np.uint8), row


def read(reader: RapidReader, picture: Pixels) -> tuple[Reading, float]:
    """Gives the reading in reading order and the milliseconds it took."""
    began = time.perf_counter()
    reading = arrange(reader.read(VideoFrame(picture, 0), Stop()))
    return reading, (time.perf_counter() - began) * 1000


def scored(reading: Reading, row: dict[str, Any]) -> dict[str, Any]:
    """Compares with the index's reference, which gives all lines, some lines, or one word."""
    wanted = row.get("text")
    if not wanted:
        return {}
    lines = [wanted] if isinstance(wanted, str) else wanted
    got = _squeezed(" ".join(line.text for line in reading.lines))
    scores: dict[str, Any] = {"found": round(sum(_squeezed(line) in got for line in lines) / len(lines), 2)}
    if row.get("ref") in ("line", "word"):
        scores["cer"] = round(float(jiwer.cer(_squeezed(lines[0]), got)), 3)
    return scores


def _squeezed(text: str) -> str:
    return "".join(text.split()).lower()


def blurring(reader: RapidReader, picture: Pixels) -> list[dict[str, Any]]:
    """Gives what is left of the clear picture's words at each step of blur."""
    clear = {word for line in read(reader, picture)[0].lines for word in line.text.split()}
    steps = []
    for blur, amounts in STEPS:
        for amount in amounts:
            reading, _ = read(reader, blur(picture, amount))
            words = [word for line in reading.lines for word in line.text.split()]
            kept = len(clear & set(words)) / len(clear) if clear else 0.0
            wrong = sum(word not in clear for word in words)
            steps.append({blur.__name__: amount, "kept": round(kept, 2), "wrong": wrong, "blurred": reading.blurred})
    return steps


def main() -> None:
    """Runs the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(os.environ.get("NEARSIGHT_DATA", Path(__file__).parents[3] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=shared)
    parser.add_argument("--side", type=int, default=960)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--blur", action="store_true")
    options = parser.parse_args()
    reader = RapidReader(options.threads, options.side)
    reader.open()
    for name, picture, row in pictures(options.data):
        result: dict[str, Any] = {"file": name, "size": [picture.shape[1], picture.shape[0]]}
        if options.blur:
            if not name.startswith("text/") or max(picture.shape) < 300:
                continue
            result["steps"] = blurring(reader, picture)
        else:
            rounds = [read(reader, picture) for _ in range(options.rounds)]
            times = [took for _, took in rounds]
            reading = rounds[0][0]
            result |= scored(reading, row)
            result |= {"lines": len(reading.lines), "blurred": reading.blurred}
            result["ms"] = [round(median(times)), round(min(times)), round(max(times))]
        print(json.dumps(result, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
