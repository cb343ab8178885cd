"""SAM 2.1 on onnxruntime: what it loads, what it refuses, what it does when a GPU is full."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import EngineFailed, EngineMissing, ModelCorrupt, ModelMissing, UsageError
from edge.tracks import Cues, Memories
from models import sam2_onnx
from models.sam2_manifest import GRAPHS, GraphFile, Manifest, read, sha256, sized
from models.sam2_onnx import Sam2Onnx, choose, gpu_name

SIZE, SIDE = 64, 4
PICTURE = np.zeros((48, 80, 3), np.uint8)


@dataclass
class Node:
    name: str
    shape: list[int | str | None]


class Session:
    """A graph that gives zeros of the right shape, and fails when it is told to."""

    def __init__(self, graph: str, providers: Sequence[Any], fails: Callable[[str, str], Exception | None]) -> None:
        self.graph = graph
        self.provider = providers[0] if isinstance(providers[0], str) else providers[0][0]
        self.fails = fails
        self.fed: list[Mapping[str, Any]] = []

    def get_inputs(self) -> list[Node]:
        return [Node(name, list(sized(shape, SIZE))) for name, shape in GRAPHS[self.graph].inputs.items()]

    def get_outputs(self) -> list[Node]:
        return [Node(name, list(sized(shape, SIZE))) for name, shape in GRAPHS[self.graph].outputs.items()]

    def run(self, names: Sequence[str], feed: Mapping[str, Any]) -> list[Any]:
        if (error := self.fails(self.graph, self.provider)) is not None:
            raise error
        self.fed.append(feed)
        free: dict[int | str, int] = {"n": 1, "t": 2}
        for name, shape in GRAPHS[self.graph].inputs.items():
            free |= {dim: feed[name].shape[at] for at, dim in enumerate(shape) if isinstance(dim, str) and dim in "nmpkt"}
        shapes = [sized(GRAPHS[self.graph].outputs[name], SIZE) for name in names]
        return [np.zeros([free.get(dim) or int(dim) for dim in shape], np.float32) for shape in shapes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An exported network whose graphs are a few bytes each."""
    files = {}
    for name in GRAPHS:
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(name.encode())
        files[name] = {"fp32": GraphFile(path.name, path.stat().st_size, sha256(path))}
    Manifest("sam2.1-hiera-tiny", SIZE, 18, {"seed": 0}, {}, files, {}).write(tmp_path)
    return tmp_path


@dataclass
class Opened:
    """Opens fake graphs and keeps them."""

    fails: Callable[[str, str], Exception | None] = lambda graph, provider: None

    def __post_init__(self) -> None:
        self.sessions: list[Session] = []

    def __call__(self, path: Path, providers: Sequence[Any], threads: int) -> Any:
        self.sessions.append(Session(path.stem, providers, self.fails))
        return self.sessions[-1]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    there = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: list(there))


def remembered(n: int, maps: int = 1, pointers: int = 1) -> Memories:
    one = np.zeros((64, SIDE, SIDE), np.float32)
    return Memories(
        [[one] * maps] * n,
        np.zeros((n, maps), np.int64),
        [[np.zeros(256, np.float32)] * pointers] * n,
        np.zeros((n, pointers), np.float32),
    )


def nothing_meant(n: int) -> Cues:
    return Cues(np.zeros((n, 1, 2), np.float32), np.full((n, 1), -1, np.int32))


# -- a GPU without memory


def full(graph: str, provider: str) -> Exception | None:
    if provider == "CPUExecutionProvider" or graph != "memory_attention":
        return None
    return RuntimeError("[ONNXRuntimeError] : 6 : BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer")


def test_a_full_gpu_costs_the_stream_its_speed_only(folder: Path, gpu: None, caplog: pytest.LogCaptureFixture) -> None:
    opened = Opened(full)
    network = Sam2Onnx(folder, device="auto", opener=opened)
    network.open()
    assert network.info.details == {"device": "tensorrt", "precision": "fp32"}
    view = network.encode(PICTURE)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert network.recall(view, remembered(2)).shape == (2, 256, SIDE, SIDE)
    assert [record.getMessage() for record in caplog.records] == [
        "the GPU is out of memory in memory_attention: SAM 2 goes on on the CPU"
    ]
    assert network.info.details["device"] == "cpu"
    assert network.info.details["fallback"] == "the GPU ran out of memory"
    assert len(opened.sessions) == 2 * len(GRAPHS)
    assert network.decode(view, network.recall(view, remembered(2)), nothing_meant(2)).logits.shape == (2, 4, 16, 16)


def test_what_the_cpu_has_no_memory_for_is_an_error(folder: Path) -> None:
    network = Sam2Onnx(folder, device="cpu", opener=Opened(lambda graph, _: full(graph, "cpu")))
    network.open()
    view = network.encode(PICTURE)
    with pytest.raises(EngineFailed, match="memory_attention failed: .*Failed to allocate"):
        network.recall(view, remembered(1))


def test_another_failure_of_a_gpu_is_an_error(folder: Path, gpu: None) -> None:
    broken = RuntimeError("CUDNN_STATUS_EXECUTION_FAILED\nat some line")
    network = Sam2Onnx(folder, opener=Opened(lambda graph, _: broken if graph == "image_encoder" else None))
    network.open()
    with pytest.raises(EngineFailed, match=r"image_encoder failed: CUDNN_STATUS_EXECUTION_FAILED$") as caught:
        network.encode(PICTURE)
    assert caught.value.__cause__ is broken


# -- what is asked of the graphs


def test_objects_are_one_batch_up_to_what_engines_are_built_for(folder: Path) -> None:
    opened = Opened()
    network = Sam2Onnx(folder, device="cpu", opener=opened)
    network.open()
    view = network.encode(PICTURE)
    seen = network.recall(view, remembered(40, maps=7, pointers=16))
    found = network.decode(view, seen, nothing_meant(40))
    maps = network.memorise(view, np.zeros((40, 1, SIZE, SIZE), np.float32), np.ones(40, np.float32))
    assert (seen.shape[0], found.scores.shape, maps.shape) == (40, (40,), (40, 64, SIDE, SIDE))
    batches = {s.graph: [len(feed[_each(s.graph)]) for feed in s.fed] for s in opened.sessions if s.graph != "image_encoder"}
    assert batches["memory_attention"] == batches["mask_decoder"] == batches["memory_encoder"] == [16, 16, 8]
    assert batches["prompt_encoder"] == [1]  # at the start: what has no prompt has it once for all


def _each(graph: str) -> str:
    return next(name for name, shape in GRAPHS[graph].inputs.items() if shape[0] == "n")


def test_large_pictures_share_the_memory_for_attention_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Opened()
    network = Sam2Onnx(folder, device="cpu", opener=opened)
    network.open()
    view = network.encode(PICTURE)
    one = 4 * SIDE**2 * (7 * SIDE**2 + 4 * 16)
    monkeypatch.setattr(sam2_onnx, "_WEIGHTS", 3 * one - 1)
    network.recall(view, remembered(5, maps=7, pointers=16))
    (attention,) = (s for s in opened.sessions if s.graph == "memory_attention")
    assert [len(feed["maps"]) for feed in attention.fed] == [2, 2, 1]


def test_logits_and_whole_masks_are_told_apart_by_their_size(folder: Path) -> None:
    opened = Opened()
    network = Sam2Onnx(folder, device="cpu", opener=opened)
    network.open()
    view = network.encode(PICTURE)
    plain = nothing_meant(1)
    for side in (SIZE // 4, SIZE):
        cues = Cues(plain.points, plain.labels, np.ones((1, 1, side, side), np.float32))
        network.decode(view, network.recall(view, None), cues)
    fed = {s.graph: s.fed for s in opened.sessions}
    assert len(fed["mask_downsampler"]) == 1
    assert [feed["masked"].tolist() for feed in fed["prompt_encoder"]] == [[0.0], [1.0], [1.0]]
    assert [float(feed["masks"].max()) for feed in fed["prompt_encoder"]] == [0.0, 1.0, 0.0]  # the fake reduces to zeros


# -- what is refused


def test_a_graph_of_other_names_is_refused_with_both(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "get_inputs", lambda self: [Node("image", [1, 3, SIZE, SIZE])])
    with pytest.raises(ModelCorrupt) as caught:
        Sam2Onnx(folder, device="cpu", opener=Opened()).open()
    assert caught.value.text == (
        "image_encoder.onnx: inputs image (1, 3, 64, 64); expected pixels (1, 3, 64, 64): export the model again"
    )


@pytest.mark.parametrize(
    ("graph", "name", "shape", "fine"),
    [
        ("memory_attention", "maps", ["n", "m", 64, SIDE, SIDE], True),
        ("memory_attention", "maps", ["batch", "count", 64, SIDE, SIDE], True),
        ("memory_attention", "maps", [1, "m", 64, SIDE, SIDE], False),
        ("memory_attention", "maps", ["n", 7, 64, SIDE, SIDE], False),
        ("memory_attention", "maps", ["n", "m", 64, 64, 64], False),
        ("memory_attention", "maps", ["n", "m", 64, SIDE * SIDE], False),
        ("image_encoder", "pixels", [1, 3, 1024, 1024], False),
    ],
)
def test_a_free_size_must_be_free_and_a_fixed_one_right(
    folder: Path, monkeypatch: pytest.MonkeyPatch, graph: str, name: str, shape: list[int | str | None], fine: bool
) -> None:
    own = Session.get_inputs

    def inputs(self: Session) -> list[Node]:
        return [Node(node.name, shape) if (self.graph, node.name) == (graph, name) else node for node in own(self)]

    monkeypatch.setattr(Session, "get_inputs", inputs)
    network = Sam2Onnx(folder, device="cpu", opener=Opened())
    if fine:
        network.open()
    else:
        with pytest.raises(ModelCorrupt, match=rf"{graph}.onnx: inputs .*{name} \({', '.join(map(str, shape))}\).*; expected "):
            network.open()


def test_an_output_s_size_may_be_a_formula(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def outputs(self: Session) -> list[Node]:
        shapes = {name: list(sized(shape, SIZE)) for name, shape in GRAPHS[self.graph].outputs.items()}
        return [Node(name, [f"2*{dim}" if isinstance(dim, str) else None for dim in shape]) for name, shape in shapes.items()]

    monkeypatch.setattr(Session, "get_outputs", outputs)
    Sam2Onnx(folder, device="cpu", opener=Opened()).open()


def test_changed_bytes_are_never_loaded(folder: Path) -> None:
    opened = Opened()
    (folder / "mask_decoder.onnx").write_bytes(b"edoced_ksam!"[:12])
    with pytest.raises(ModelCorrupt, match=r"mask_decoder.onnx: not the file that manifest.json describes"):
        Sam2Onnx(folder, device="cpu", opener=opened).open()
    (folder / "mask_decoder.onnx").write_bytes(b"")
    with pytest.raises(ModelCorrupt, match=r"mask_decoder.onnx: 0 bytes, manifest.json says 12"):
        Sam2Onnx(folder, device="cpu", opener=opened).open()
    (folder / "mask_decoder.onnx").unlink()
    with pytest.raises(ModelMissing, match=r"mask_decoder.onnx: missing"):
        Sam2Onnx(folder, device="cpu", opener=opened).open()
    assert opened.sessions == []


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="run nearsight models export"):
        Sam2Onnx(tmp_path, device="cpu").open()


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": None},
        {"size": "512"},
        {"size": 500},
        {"graphs": {}},
        {"graphs": []},
        {"gates": {"fp16": {"iou": 1}}},
        {"surprise": 1},
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(folder: Path, change: dict[str, Any]) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelCorrupt, match="manifest.json"):
        read(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "\x00", '{"format": 1}'])
def test_a_manifest_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ModelCorrupt, match="manifest.json"):
        read(folder)


def test_a_manifest_cannot_name_a_file_elsewhere(folder: Path) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content["graphs"]["mask_decoder"]["fp32"]["file"] = "../mask_decoder.onnx"
    path.write_text(json.dumps(content))
    with pytest.raises(ModelCorrupt, match="elsewhere"):
        read(folder)


def test_a_precision_that_was_not_kept_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="exported without fp16"):
        Sam2Onnx(folder, device="cpu", precision="fp16", opener=Opened()).open()
    with pytest.raises(UsageError, match="no precision is called 'fp8'"):
        Sam2Onnx(folder, precision="fp8")


def test_a_file_that_is_no_graph_is_refused(folder: Path) -> None:
    with pytest.raises(ModelCorrupt, match="image_encoder.onnx: onnxruntime cannot load it"):
        Sam2Onnx(folder, device="cpu").open()


# -- devices


def test_the_best_provider_that_is_there_comes_first() -> None:
    trt, cuda, cpu = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"
    assert choose("auto", lambda: [cpu]) == [cpu]
    assert choose("auto", lambda: [cpu, cuda]) == [cuda, cpu]
    assert choose("cuda", lambda: [cuda, trt, cpu]) == [trt, cuda, cpu]
    assert choose("cpu", lambda: [cuda, trt, cpu]) == [cpu]
    with pytest.raises(EngineMissing, match=r"nearsight\[gpu\]"):
        choose("cuda", lambda: [cpu])
    with pytest.raises(UsageError, match="no device is called 'tpu'"):
        choose("tpu", lambda: [cpu])


def test_tensorrt_keeps_engines_by_gpu_versions_and_model(folder: Path, gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def engines() -> dict[str, dict[str, str]]:
        found = {}

        def opener(path: Path, providers: Sequence[Any], threads: int) -> Any:
            found[path.stem] = dict(providers[0][1])
            return Session(path.stem, providers, lambda graph, provider: None)

        network = Sam2Onnx(folder, opener=opener)
        network.open()
        return found

    monkeypatch.setattr(sam2_onnx, "gpu_name", lambda: "Orin (nvgpu)")
    orin = engines()
    monkeypatch.setattr(sam2_onnx, "gpu_name", lambda: "NVIDIA GeForce RTX 4090")
    other = engines()
    paths = {options["trt_engine_cache_path"] for found in (orin, other) for options in found.values()}
    assert len(paths) == 2 * len(GRAPHS) and all(Path(path).parent == folder / "engines" for path in paths)
    attention = orin["memory_attention"]
    assert attention["trt_profile_max_shapes"] == (
        "features:1x256x4x4,maps:16x16x64x4x4,slots:16x16,pointers:16x32x256,ages:16x32"
    )
    assert attention["trt_profile_min_shapes"].startswith("features:1x256x4x4,maps:1x1x64x4x4")
    assert "trt_profile_max_shapes" not in orin["image_encoder"]
    assert all(options["trt_fp16_enable"] == "0" for options in orin.values())


def test_a_gpu_s_name_is_read_from_the_driver_or_the_board(tmp_path: Path) -> None:
    assert gpu_name(tmp_path) == ""
    (tmp_path / "device-tree").mkdir()
    (tmp_path / "device-tree" / "model").write_text("NVIDIA Jetson Orin Nano Developer Kit\0")
    assert gpu_name(tmp_path) == "NVIDIA Jetson Orin Nano Developer Kit"
    card = tmp_path / "driver" / "nvidia" / "gpus" / "0000:01:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t\t NVIDIA H200\nIRQ: 1\n")
    assert gpu_name(tmp_path) == "NVIDIA H200"
