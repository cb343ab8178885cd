"""Reads the text in a picture: PP-OCRv6 as the rapidocr wheel carries it, on onnxruntime.

Of rapidocr only the three model files are used. Its pipeline stands here in short (and is the oracle of the tests), because
in a turn that somebody waits for it

- cannot be stopped: here the running network is ended within ``POLL_S`` of the stop flag (``RunOptions.terminate``);
- lets onnxruntime's threads spin: with both cores busy, a line takes 72 ms so and 25 ms without, detection twice as long;
- pads every line to 320 columns and batches six of them: on a CPU the price is columns, whatever the batch, so a line alone
  in its own width costs 8 to 25 ms instead of 25, and the flag can be looked at after each;
- fetches a model that is missing, and takes 0.9 s to import.

Detection is differentiable binarisation (Liao et al., 2020): a network gives for each pixel the probability that it lies in
the shrunk core of a text line; cores are cut out, boxed and grown back. Recognition is CTC over 48-pixel-high strips.
"""

from __future__ import annotations

import importlib.util
import math
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge.errors import EngineFailed, EngineMissing, ModelCorrupt, ModelMissing
from edge.ports import Stop
from edge.values import Box, EngineInfo, Pixels, Reading, TextLine, VideoFrame

if TYPE_CHECKING:
    import onnxruntime as ort

DETECT = "PP-OCRv6_det_small.onnx"
RECOGNISE = "PP-OCRv6_rec_small.onnx"
TURN = "ch_ppocr_mobile_v2.0_cls_mobile.onnx"

POLL_S = 0.02
"""How often a running network's stop flag is looked at, in seconds."""
MAX_LINES = 120
"""The largest places are read, the rest is left: a wall of small print must not hold the lane for half a minute."""
STRIP = 48
"""Rows of the strip that recognition sees."""
MAX_STRIP = 2048
"""Columns of the longest strip: about 200 letters."""

CORE = 0.3
"""A pixel belongs to a line's core from this probability of text on (PP-OCR's own)."""
GROW = 1.6
"""How far a core is grown back, as a share of area / perimeter (PP-OCR's own "unclip ratio")."""
SURE = 0.9
"""Recognition scores from here on are believed of anything, and need no second look for text upside down."""
READ = 0.8
"""The same for a place that detection is sure of. What comes of a blurred line scores 0.2 to 0.8, of a clear one over 0.9."""
SEEN = 0.4
"""Detection is sure enough here that something is written to say "too blurred" where it cannot be read. Photographs without
text stay under 0.3, blurred writing over 0.4, as a line or, when blurred more, as one great blot."""

Quad = NDArray[np.float32]
"""A rectangle that may be turned: shape (4, 2), x and y in pixels, clockwise from the corner where the text begins."""
Tensor = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Spot:
    """A place that looks like a line of text."""

    quad: Quad
    score: float
    """Mean probability of text within its core, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What recognition made of a place."""

    spot: Spot
    text: str
    score: float
    """Mean probability of its letters, 0 to 1."""
    turned: bool
    """Whether it was read upside down."""


def judge(attempts: Sequence[Attempt], shape: tuple[int, ...]) -> Reading:
    """Keeps the lines that were really read; says "blurred" where more is written than could be read, by area.

    There is no measure of blur in it, which would depend on the scene: small print can be too blurred to read in a sharp
    picture. A picture so blurred that detection sees one great blot counts as well: nobody can tell what is written in it.
    ``shape`` is the picture's.
    """
    read, unread, lines = 0.0, 0.0, []
    for attempt in attempts:
        if _believable(attempt):
            read += _area(attempt.spot.quad)
            lines.append(_line(attempt, shape))
        elif attempt.spot.score >= SEEN:
            unread += _area(attempt.spot.quad)
    lines.sort(key=lambda line: (line.box.y0, line.box.x0))
    return Reading(tuple(lines), blurred=unread > read)


def _believable(attempt: Attempt) -> bool:
    letters = sum(letter.isalnum() for letter in attempt.text)
    if letters == 0:
        return False
    # A single letter is what noise looks like, and so is a faint place: window frames, branches, stars.
    wanted = READ if attempt.spot.score >= 0.5 and letters > 1 and not attempt.turned else SURE
    return attempt.score >= wanted and (letters > 1 or attempt.spot.score >= 0.5)


def _line(attempt: Attempt, shape: tuple[int, ...]) -> TextLine:
    quad = attempt.spot.quad
    (x0, y0), (x1, y1) = quad.min(axis=0), quad.max(axis=0)
    box = Box(float(max(x0, 0)), float(max(y0, 0)), float(min(x1, shape[1])), float(min(y1, shape[0])))
    angle = math.degrees(math.atan2(*(quad[1] - quad[0])[::-1])) + 90 * _stands(quad) + 180 * attempt.turned
    return TextLine(attempt.text, box, attempt.score, (angle + 180) % 360 - 180)


def clean(text: str) -> str:
    """Takes out control and format characters, which no picture shows: the text goes to voices, prompts and terminals."""
    kept = ("" if unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp") else letter for letter in text)
    return " ".join("".join(kept).split())


class RapidReader:
    """TextReader on PP-OCRv6 small: Latin, Chinese and Japanese.

    ``folder`` holds the three models; by default the installed rapidocr wheel does.
    """

    def __init__(self, threads: int = 2, side: int = 960, folder: Path | None = None) -> None:
        """``side`` is the longest side, in pixels, of the picture that detection sees; strips are cut from the whole one."""
        self._threads = threads
        self._side = side
        self._folder = folder
        self._nets: dict[str, ort.InferenceSession] = {}
        self._letters: list[str] = []

    @property
    def info(self) -> EngineInfo:
        """Name, version, model and licence."""
        try:
            release = version("rapidocr")
        except PackageNotFoundError:
            release = ""
        return EngineInfo("rapidocr", release, "PP-OCRv6-small", "Apache-2.0")

    def open(self) -> None:
        """Loads the models and runs each once, so that the first call is as quick as the next.

        Raises EngineMissing, ModelMissing, ModelCorrupt. Nothing is ever fetched.
        """
        if self._nets:
            return
        folder = self._folder or _wheel()
        nets = {name: _load(folder / name, self._threads) for name in (DETECT, RECOGNISE, TURN)}
        letters = nets[RECOGNISE].get_modelmeta().custom_metadata_map.get("character")
        if letters is None:
            raise ModelCorrupt(f"{folder / RECOGNISE} does not say which letters it knows: run nearsight models verify")
        # Index 0 is CTC's blank; a space follows the letters of the file.
        self._letters = ["", *letters.splitlines(), " "]
        self._nets = nets
        blank = np.zeros((480, 640, 3), np.uint8)
        with _stoppable(Stop()) as run:
            self.spots(blank, run)
            self._recognise(blank[:STRIP], run)
            self._upside_down(blank[:STRIP], run)

    def close(self) -> None:
        """Frees the models."""
        self._nets = {}

    def read(self, frame: VideoFrame, stop: Stop) -> Reading:
        """Gives the lines, top to bottom by their first corners; nothing once ``stop`` is set.

        Columns and rows are policy (``edge.policy.layout``), not known here.
        """
        try:
            with _stoppable(stop) as run:
                return self._read(frame.pixels, run)
        except _Stopped:
            return Reading()

    def _read(self, pixels: Pixels, run: ort.RunOptions) -> Reading:
        tried = []
        for spot in self.spots(pixels, run)[:MAX_LINES]:
            strip = _cut(pixels, spot.quad)
            text, score = self._recognise(strip, run)
            turned = False
            if score < SURE and self._upside_down(strip, run):
                other, better = self._recognise(strip[::-1, ::-1], run)
                if turned := better > score:
                    text, score = other, better
            tried.append(Attempt(spot, clean(text), score, turned))
        reading = judge(tried, pixels.shape)
        if reading == Reading():
            # Half as large, a picture is half as blurred: writing that had dissolved is seen again, though not read.
            again = self.spots(pixels, run, 0.5)
            return Reading(blurred=any(spot.score >= SEEN for spot in again))
        return reading

    def spots(self, pixels: Pixels, run: ort.RunOptions, share: float = 1.0) -> list[Spot]:
        """Gives the places that look like text, largest first, looking at a picture of this share of the usual size."""
        import cv2

        height, width = pixels.shape[:2]
        scale = min(1.0, self._side / max(height, width)) * share
        columns, rows = (max(32, round(side * scale / 32) * 32) for side in (width, height))
        small = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        text = self._run(DETECT, _tensor(np.asarray(small, np.uint8)), run)[0, 0]  # (rows, columns), probability of text
        found = _spots(text, np.array([width / columns, height / rows], np.float32))
        if not found and max(height, width) <= 2 * STRIP:
            # Cut so close around a word that no margin is left: it is its own strip.
            return [Spot(np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32), 0.5)]
        return found

    def _recognise(self, strip: Pixels, run: ort.RunOptions) -> tuple[str, float]:
        # (1, steps, letters): at each step, one to eight columns, the probability of each letter.
        chances = self._run(RECOGNISE, _tensor(_strip(strip, MAX_STRIP)), run)[0]
        best = chances.argmax(axis=1)
        # CTC: what repeats is one letter, blanks are none.
        kept = (best != 0) & np.concatenate(([True], best[1:] != best[:-1]))
        if not kept.any():
            return "", 0.0
        return "".join(self._letters[at] for at in best[kept]), float(chances.max(axis=1)[kept].mean())

    def _upside_down(self, strip: Pixels, run: ort.RunOptions) -> bool:
        chances = self._run(TURN, _tensor(_strip(strip, 192), 192), run)[0]  # (2,): upright, turned
        return bool(chances[1] > chances[0])

    def _run(self, name: str, picture: Tensor, run: ort.RunOptions) -> Tensor:
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail

        net = self._nets.get(name)
        if net is None:
            raise EngineFailed("the text reader is not open")
        if run.terminate:
            raise _Stopped
        try:
            output: Tensor = net.run(None, {net.get_inputs()[0].name: picture}, run)[0]
        except Fail:
            if run.terminate:
                raise _Stopped from None
            raise
        return output


class _Stopped(Exception):
    """The stop flag was set while a network ran."""


@contextmanager
def _stoppable(stop: Stop) -> Iterator[ort.RunOptions]:
    """Gives options under which every network run ends soon after ``stop`` is set."""
    import onnxruntime

    run = onnxruntime.RunOptions()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(POLL_S):
            if stop:
                run.terminate = True
                return

    run.terminate = bool(stop)
    watcher = threading.Thread(target=watch, name="reader-stop", daemon=True)
    watcher.start()
    try:
        yield run
    finally:
        done.set()
        watcher.join()


def _wheel() -> Path:
    """Gives the folder of the models in the rapidocr wheel, without importing it: its import alone costs 0.9 s."""
    found = importlib.util.find_spec("rapidocr")
    if found is None or found.origin is None:
        raise EngineMissing("the text reader's package is not installed: run pip install rapidocr")
    return Path(found.origin).parent / "models"


def _load(path: Path, threads: int) -> ort.InferenceSession:
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineMissing("onnxruntime is not installed: run pip install onnxruntime") from error
    if not path.is_file():
        raise ModelMissing(f"{path.name} not installed: run nearsight models pull rapidocr")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena keeps the largest picture's buffers for ever: 380 MB with it, 200 MB without, for the same time.
    options.enable_cpu_mem_arena = False
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no parent below Exception
        raise ModelCorrupt(f"{path.name} cannot be loaded: run nearsight models verify rapidocr") from error


def _tensor(picture: Pixels, columns: int = 0) -> Tensor:
    """Shape (1, 3, height, width), -1 to 1, filled up with 0 on the right to at least ``columns``."""
    height, width = picture.shape[:2]
    tensor = np.zeros((1, 3, height, max(width, columns)), np.float32)
    tensor[0, :, :, :width] = picture.transpose(2, 0, 1) / np.float32(127.5) - 1
    return tensor


def _strip(picture: Pixels, most: int) -> Pixels:
    """Scales a line to the height of a strip, its width in proportion, at most ``most``."""
    import cv2

    height, width = picture.shape[:2]
    columns = min(most, max(8, math.ceil(STRIP * width / height)))
    return np.asarray(cv2.resize(picture, (columns, STRIP)), np.uint8)


def _spots(text: NDArray[np.float32], scale: NDArray[np.float32]) -> list[Spot]:
    """Cuts lines out of the map ``text``, shape (height, width), and scales them to the picture by ``scale`` (x, y)."""
    import cv2

    core = cv2.dilate((text > CORE).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(core, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    spots = []
    for contour in contours:
        centre, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < 3:
            continue
        score = _mean_within(text, np.asarray(cv2.boxPoints((centre, (width, height), angle)), np.float32))
        if score < CORE:
            continue
        # The core was trained to be the line shrunk by area / perimeter x GROW on every side.
        grow = GROW * width * height / (width + height)
        quad = cv2.boxPoints((centre, (width + grow, height + grow), angle)) * scale
        spots.append(Spot(_upright(quad.astype(np.float32)), score))
    return sorted(spots, key=lambda spot: -_area(spot.quad))


def _mean_within(text: NDArray[np.float32], quad: Quad) -> float:
    import cv2

    x, y, width, height = cv2.boundingRect(quad)
    x0, y0 = max(x, 0), max(y, 0)
    part = text[y0 : y + height, x0 : x + width]
    mask = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(mask, [(quad - (x0, y0)).astype(np.int32)], 1)
    return float(cv2.mean(part, mask)[0])


def _upright(quad: Quad) -> Quad:
    """Turns the corners so that the first is where text begins that leans by less than 45 degrees."""
    by_x = quad[np.argsort(quad[:, 0], kind="stable")]
    left, right = by_x[:2], by_x[2:]
    top_left, bottom_left = left[np.argsort(left[:, 1], kind="stable")]
    top_right, bottom_right = right[np.argsort(right[:, 1], kind="stable")]
    return np.stack([top_left, top_right, bottom_right, bottom_left])


def _sides(quad: Quad) -> tuple[float, float]:
    """Width and height of the rectangle, in pixels."""
    return float(np.hypot(*(quad[1] - quad[0]))), float(np.hypot(*(quad[3] - quad[0])))


def _stands(quad: Quad) -> bool:
    """Whether the line stands on end. It is read downwards."""
    width, height = _sides(quad)
    return height >= 1.5 * width


def _area(quad: Quad) -> float:
    width, height = _sides(quad)
    return width * height


def _cut(picture: Pixels, quad: Quad) -> Pixels:
    """Cuts a line out and lays it level; one that stands on end is turned."""
    import cv2

    width, height = (max(1, round(side)) for side in _sides(quad))
    level = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    turn = cv2.getPerspectiveTransform(quad, level)
    strip = cv2.warpPerspective(picture, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(np.rot90(strip) if _stands(quad) else strip, np.uint8)
