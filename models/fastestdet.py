"""Finds things it has names for: FastestDet (dog-qiuqiu, BSD-3-Clause) on onnxruntime, the eighty kinds of COCO.

The network has 240 thousand parameters and one 22 x 22 grid: each cell says how likely it holds a thing's middle, where the
middle lies from the cell (tanh, in cells), how large the thing is (sigmoid, in shares of the picture) and which of the eighty
kinds it is. The picture is stretched to the network's square and stays BGR from 0 to 1, as in its training. Its authors give an
AP50 of 25 on COCO: large things are found and named rightly most of the time, small ones are missed, two of a kind that stand
close become one. So what comes of it is worded as "I think", and nothing is built on its silence.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge.errors import EngineFailed, EngineMissing, ModelCorrupt, ModelMissing
from edge.values import Box, Detection, EngineInfo, Pixels, VideoFrame

if TYPE_CHECKING:
    import onnxruntime as ort

LABELS = (
    "person",
    *"bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter".split(","),
    *"bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase".split(","),
    *"frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket".split(","),
    *"bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza".split(","),
    *"donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone".split(","),
    *"microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush".split(","),
)
"""The kinds of COCO 2017, in the order of the network's outputs."""
SIDE = 352
"""Rows and columns of the network's input."""
GRID = 22
"""Rows and columns of its output."""
SURE = 0.5
"""Scores from here on are sure. Judged by eye on 8 photographs and 40 frames of 8 videos, 84 of 99 things were
then right; of those from 0.35 to 0.5 about half were."""
FAINT = 0.3
"""Scores from here on are reported: a thing that is often seen with 0.6 has moments of 0.35."""
OVERLAP = 0.45
"""Two boxes of one kind that overlap more (intersection over union) are one thing; FastestDet's own figure."""

Tensor = NDArray[np.float32]


class FastestDet:
    """Detector on a graph of FastestDet for COCO. Implements ``edge.ports.Detector``."""

    def __init__(self, path: Path, threads: int = 1, sure: float = SURE) -> None:
        """``sure`` is the least score, 0 to 1, of what is not faint."""
        self._path = path
        self._threads = threads
        self._sure = sure
        self._session: ort.InferenceSession | None = None

    @property
    def info(self) -> EngineInfo:
        """Name, version of onnxruntime, model and licence."""
        return EngineInfo("fastestdet", version("onnxruntime"), self._path.name, "BSD-3-Clause")

    @property
    def labels(self) -> tuple[str, ...]:
        """The eighty kinds."""
        return LABELS

    def open(self) -> None:
        """Loads the network. Raises EngineMissing, ModelMissing, and ModelCorrupt for a graph that is not FastestDet's."""
        if self._session is not None:
            return
        if not self._path.is_file():
            raise ModelMissing("fastestdet is not installed: run nearsight models pull fastestdet")
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineMissing("naming things needs the package onnxruntime: pip install onnxruntime") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning threads would take the cores of everything else that runs between two pictures.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(str(self._path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a class of its own for each fault that a file can have.
            raise ModelCorrupt(f"{self._path.name} is no ONNX model that onnxruntime can load: {_first_line(error)}") from error
        _check(session, self._path.name)
        self._session = session

    def close(self) -> None:
        """Frees the network."""
        self._session = None

    def detect(self, frame: VideoFrame) -> tuple[Detection, ...]:
        """Gives the things with their names, surest first; boxes lie inside the picture."""
        if self._session is None:
            raise EngineFailed("the detector is not open")
        name = self._session.get_inputs()[0].name
        grid = np.asarray(self._session.run(None, {name: _input(frame.pixels)})[0], np.float32)[0]  # (85, 22, 22)
        height, width = frame.pixels.shape[:2]
        return tuple(
            Detection(LABELS[kind], Box(x0 * width, y0 * height, x1 * width, y1 * height), score, score > self._sure)
            for (x0, y0, x1, y1), score, kind in things(grid, min(FAINT, self._sure))
        )


def things(grid: Tensor, sure: float) -> list[tuple[tuple[float, float, float, float], float, int]]:
    """Gives the boxes (shares of the picture), scores and kinds of a network's output, surest first.

    ``grid`` has shape (5 + kinds, rows, columns): objectness, x, y, width, height, then the probability of each kind.
    """
    rows, columns = grid.shape[1:]
    kinds = grid[5:].argmax(axis=0)
    scores = grid[0] * grid[5:].max(axis=0)
    at_y, at_x = np.nonzero(scores > sure)
    x = (at_x + np.tanh(grid[1][at_y, at_x])) / columns
    y = (at_y + np.tanh(grid[2][at_y, at_x])) / rows
    width, height = (_sigmoid(grid[side][at_y, at_x]) for side in (3, 4))
    boxes = np.clip(np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1), 0, 1)  # (n, 4)
    left = np.argsort(-scores[at_y, at_x], kind="stable")
    found = []
    while len(left):
        best = left[0]
        kind = int(kinds[at_y[best], at_x[best]])
        found.append((tuple(map(float, boxes[best])), float(scores[at_y[best], at_x[best]]), kind))
        same = kinds[at_y[left], at_x[left]] == kind
        left = left[~(same & (_overlap(boxes[best], boxes[left]) > OVERLAP)) & (left != best)]
    return [one for one in found if one[0][0] < one[0][2] and one[0][1] < one[0][3]]  # type: ignore[misc]  # four of four


def _overlap(box: Tensor, boxes: Tensor) -> Tensor:
    """Intersection over union of one box (4,) with many (n, 4)."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    return np.asarray(shared / np.maximum(areas - shared, 1e-9), np.float32)


def _sigmoid(values: Tensor) -> Tensor:
    return np.asarray(1 / (1 + np.exp(-values)), np.float32)


def _input(pixels: Pixels) -> Tensor:
    """The picture as the network takes it: (1, 3, SIDE, SIDE), BGR, 0 to 1."""
    import cv2

    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def _check(session: ort.InferenceSession, name: str) -> None:
    """Raises ModelCorrupt, which names what the graph has and what FastestDet has, for another graph."""
    inputs = [(one.name, list(one.shape)) for one in session.get_inputs()]
    outputs = [(one.name, list(one.shape)) for one in session.get_outputs()]
    want_in, want_out = [1, 3, SIDE, SIDE], [1, 5 + len(LABELS), GRID, GRID]
    if [shape for _, shape in inputs] != [want_in] or [shape for _, shape in outputs] != [want_out]:
        raise ModelCorrupt(
            f"{name} is not FastestDet for COCO: it takes {_named(inputs)} and gives {_named(outputs)}, "
            f"not one {want_in} and one {want_out}"
        )


def _named(ports: list[tuple[str, list[int | str | None]]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in ports) or "nothing"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
