"""The exported graphs of the reduced network, on onnxruntime."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edge.tracks import Cues, Memories
from models.sam2_onnx import Sam2Onnx
from tests.models.test_sam2_onnx import nothing_meant


def test_the_exported_graphs_compute_what_torch_computes(reduced_folder: Path) -> None:
    from models.sam2_graphs import TorchNetwork
    from tests.models.sam2_tiny import pictures, predictor

    ours, theirs = Sam2Onnx(reduced_folder, device="cpu", threads=1), TorchNetwork(predictor())
    for network in (ours, theirs):
        network.open()
    frame = pictures(1)[0].pixels
    made = []
    for network in (ours, theirs):
        view = network.encode(frame)
        first = network.decode(
            view, network.recall(view, None), Cues(np.array([[[90.0, 80.0]]], np.float32), np.ones((1, 1), np.int32))
        )
        whole = np.zeros((1, 1, 256, 256), np.float32)
        whole[..., 40:120, 60:140] = 1
        given = network.decode(view, view.features, Cues(np.zeros((1, 1, 2), np.float32), np.full((1, 1), -1, np.int32), whole))
        maps = network.memorise(view, whole, first.scores)
        memories = Memories(
            [[maps[0], maps[0] * 0.5]] * 2,
            np.array([[0, 1]] * 2),
            [[first.pointers[0, 1]], [first.pointers[0, 2]]],
            np.array([[1.0]] * 2, np.float32),
        )
        seen = network.recall(view, memories)
        second = network.decode(view, seen, nothing_meant(2))
        made.append(
            [view.features, first.logits, first.ious, first.pointers, given.pointers, maps, seen, second.logits, second.scores]
        )
        network.close()
    for ours_, theirs_ in zip(*made, strict=True):
        assert ours_.shape == theirs_.shape
        assert np.abs(ours_ - theirs_).max() < 1e-4
    assert np.ptp(made[0][1]) > 1  # there is something to compare


def test_opening_and_closing_twice_is_harmless(reduced_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(reduced_folder, tmp_path / "copy")
    network = Sam2Onnx(copy, device="cpu", threads=1)
    network.open()
    network.open()
    assert network.size == 256
    network.close()
    network.close()
    with pytest.raises(RuntimeError, match="before open"):
        network.encode(np.zeros((48, 80, 3), np.uint8))
