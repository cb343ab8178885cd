"""The detector: its arithmetic against an oracle, its graph against others, its eyes against real pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.errors import EngineFailed, ModelCorrupt, ModelMissing
from edge.values import Box, Detection, VideoFrame
from models.catalog import Catalogue, sha256_of
from models.fastestdet import GRID, LABELS, OVERLAP, FastestDet, Tensor, things
from tests.shared import shared


@pytest.fixture(scope="module")
def detector() -> Iterator[FastestDet]:
    """The real network, open."""
    pytest.importorskip("onnxruntime", reason="THE DETECTOR IS NOT TESTED: pip install onnxruntime")
    engine = FastestDet(shared("models/FastestDet.onnx"))
    engine.open()
    engine.open()
    yield engine
    engine.close()
    engine.close()


def grid(*cells: tuple[int, int, int, float], size: float = 0.2) -> Tensor:
    """An output with things in the middle of cells: row, column, kind, score."""
    out = np.zeros((5 + len(LABELS), GRID, GRID), np.float32)
    out[3:5] = np.log(size / (1 - size))
    for row, column, kind, score in cells:
        out[0, row, column], out[5 + kind, row, column] = score, 1.0
    return out


def test_a_cell_becomes_a_box() -> None:
    ((x0, y0, x1, y1), score, kind), *rest = things(grid((11, 5, 2, 0.8)), 0.5)
    assert rest == []
    assert (x0, y0, x1, y1) == pytest.approx((5 / GRID - 0.1, 0.4, 5 / GRID + 0.1, 0.6), abs=1e-5)
    assert (round(score, 5), LABELS[kind]) == (0.8, "car")


def test_two_of_a_kind_that_overlap_are_one_and_two_kinds_are_two() -> None:
    assert [kind for _, _, kind in things(grid((11, 11, 0, 0.9), (11, 12, 0, 0.7)), 0.5)] == [0]
    assert [kind for _, _, kind in things(grid((11, 11, 0, 0.7), (11, 12, 1, 0.9)), 0.5)] == [1, 0]
    assert len(things(grid((11, 2, 0, 0.9), (11, 20, 0, 0.7)), 0.5)) == 2


def test_boxes_stay_inside_and_weak_ones_are_left_out() -> None:
    assert things(grid((11, 11, 0, 0.4)), 0.5) == []
    ((x0, y0, x1, y1), _, _), *_ = things(grid((0, 21, 0, 0.9), size=0.9), 0.5)
    assert (x0 >= 0, y0, x1) == (True, 0.0, 1.0)
    assert y1 < 1


def oracle(out: Tensor, sure: float) -> list[tuple[float, ...]]:
    """The project's own post-processing, cell by cell, as far as it is given in its example; suppression by kind."""
    found = []
    for row in range(GRID):
        for column in range(GRID):
            data = out[:, row, column]
            kind = int(np.argmax(data[5:]))
            score = float(data[0] * data[5 + kind])
            if score > sure:
                x, y = (column + np.tanh(data[1])) / GRID, (row + np.tanh(data[2])) / GRID
                w, h = 1 / (1 + np.exp(-data[3])), 1 / (1 + np.exp(-data[4]))
                corners = np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0, 1)
                found.append((*map(float, corners), score, kind))
    found.sort(key=lambda one: -one[4])
    kept: list[tuple[float, ...]] = []
    for one in found:
        if all(one[5] != other[5] or _iou(one, other) <= OVERLAP for other in kept):
            kept.append(one)
    return kept


def _iou(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    wide, high = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    inter = max(0.0, wide) * max(0.0, high)
    return inter / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - inter)


@pytest.mark.parametrize("seed", range(8))
def test_any_output_is_read_as_the_project_reads_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    out = rng.normal(0, 1, (5 + len(LABELS), GRID, GRID)).astype(np.float32)
    out[0] = rng.random((GRID, GRID)) ** 4
    out[5:] = rng.dirichlet(np.full(len(LABELS), 0.02), (GRID, GRID)).transpose(2, 0, 1)
    ours = [(*box, score, kind) for box, score, kind in things(out, 0.3)]
    assert np.asarray(ours) == pytest.approx(np.asarray(oracle(out, 0.3)), abs=1e-5)


def overlap(one: Box, other: Box) -> float:
    return _iou((one.x0, one.y0, one.x1, one.y1), (other.x0, other.y0, other.x1, other.y1))


def seen(engine: FastestDet, name: str) -> tuple[Detection, ...]:
    cv2 = pytest.importorskip("cv2")
    return engine.detect(VideoFrame(cv2.imread(str(shared(name))), 0))


def test_people_are_found_in_the_projects_own_picture(detector: FastestDet) -> None:
    found = seen(detector, "photos/fastestdet_3.jpg")
    people = [one for one in found if one.label == "person" and one.sure]
    assert len(people) == 4
    assert max(overlap(one.box, Box(40, 62, 177, 290)) for one in people) > 0.7, "the tall one on the left"
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert all(0 <= one.box.x0 < one.box.x1 <= 500 and 0 <= one.box.y0 < one.box.y1 <= 335 for one in found)


@pytest.mark.parametrize(
    ("name", "label"), [("photos/soccer.jpg", "sports ball"), ("photos/truck.jpg", "truck"), ("photos/cars.jpg", "car")]
)
def test_what_is_in_photographs_is_found(detector: FastestDet, name: str, label: str) -> None:
    assert label in {one.label for one in seen(detector, name)}


@pytest.mark.parametrize("shape", [(1, 1), (480, 640), (3, 2000)])
def test_nothing_is_found_in_nothing(detector: FastestDet, shape: tuple[int, int]) -> None:
    assert detector.detect(VideoFrame(np.zeros((*shape, 3), np.uint8), 0)) == ()


def test_labels_are_the_projects_own_but_for_their_spelling() -> None:
    theirs = shared("models/coco.names").read_text(encoding="utf-8").split("\n")
    spelt = {"motorbike": "motorcycle", "aeroplane": "airplane", "sofa": "couch", "pottedplant": "potted plant"}
    spelt |= {"diningtable": "dining table", "tvmonitor": "tv"}
    assert [spelt.get(name, name) for name in theirs if name] == list(LABELS)
    assert len(set(LABELS)) == 80


def test_the_catalogue_names_the_very_file() -> None:
    path, entry = shared("models/FastestDet.onnx"), Catalogue.load().find("fastestdet")
    assert (entry.files[0].bytes, entry.files[0].sha256) == (path.stat().st_size, sha256_of(path))


def test_another_graph_is_refused_with_both_shapes() -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(
        ModelCorrupt, match=r"gtcrn.*takes .* and gives .*, not one \[1, 3, 352, 352\] and one \[1, 85, 22, 22\]"
    ):
        FastestDet(shared("models/gtcrn_simple.onnx")).open()


def test_no_file_and_no_model_are_told_apart(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(ModelMissing, match="nearsight models pull fastestdet"):
        FastestDet(tmp_path / "FastestDet.onnx").open()
    junk = tmp_path / "junk.onnx"
    junk.write_bytes(b"no model at all")
    with pytest.raises(ModelCorrupt, match=r"junk\.onnx is no ONNX model"):
        FastestDet(junk).open()
    closed = FastestDet(junk)
    closed.close()
    assert closed.info.name == "fastestdet"
    with pytest.raises(EngineFailed, match="not open"):
        closed.detect(VideoFrame(np.zeros((4, 4, 3), np.uint8), 0))
