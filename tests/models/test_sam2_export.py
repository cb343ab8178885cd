"""The export of SAM 2.1: what it writes, what it refuses, and that nothing half written stays."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="TORCH MISSING: pip install 'nearsight[sam2]'")
pytest.importorskip("sam2", reason="SAM2 MISSING: pip install 'nearsight[sam2]'")
onnx = pytest.importorskip("onnx", reason="ONNX MISSING: pip install 'nearsight[sam2]'")

from edge.errors import (  # noqa: E402  # behind the skip
    EngineFailed,
    EngineMissing,
    InputError,
    ModelCorrupt,
    ModelError,
    StorageError,
    UsageError,
)
from models import sam2_export  # noqa: E402
from models.sam2_build import build  # noqa: E402
from models.sam2_export import export_named, write  # noqa: E402
from models.sam2_gate import agreement, drawn_frames  # noqa: E402
from models.sam2_manifest import GRAPHS, Manifest, read, sha256  # noqa: E402
from models.sam2_onnx import Sam2Onnx  # noqa: E402
from tests.models.sam2_tiny import predictor  # noqa: E402

SOURCE: dict[str, str | int | None] = {"file": None, "sha256": None, "seed": 0}
HEAVY = ("image_encoder", "memory_attention")


def test_the_manifest_says_what_lies_there(reduced_folder: Path) -> None:
    manifest = read(reduced_folder)
    assert (manifest.model, manifest.size, manifest.opset) == ("reduced", 256, 18)
    assert manifest.source == SOURCE
    assert {"nearsight", "onnx", "onnxruntime", "sam2", "torch"} <= manifest.versions.keys() | {"nearsight"}
    assert manifest.graphs.keys() == manifest.parity.keys() == GRAPHS.keys()
    assert all(0 <= difference <= 1e-4 for difference in manifest.parity.values())
    files = [one for files in manifest.graphs.values() for one in files.values()]
    for one in files:
        path = reduced_folder / one.file
        assert (one.bytes, one.sha256) == (path.stat().st_size, sha256(path))
    assert {path.name for path in reduced_folder.iterdir()} == {"manifest.json", *(one.file for one in files)}


def test_the_graphs_are_of_the_stated_opset_and_tell_nothing_of_this_machine(reduced_folder: Path) -> None:
    for name in GRAPHS:
        data = (reduced_folder / f"{name}.onnx").read_bytes()
        opsets = {each.domain: each.version for each in onnx.load_from_string(data).opset_import}
        assert opsets.get("", 0) == 18
        assert b"site-packages" not in data and str(Path(__file__).parents[2]).encode() not in data


def test_smaller_numbers_are_kept_with_their_figure(reduced_folder: Path) -> None:
    manifest = read(reduced_folder)
    assert manifest.gates.keys() == {"fp16", "int8"}
    for precision, gate in manifest.gates.items():
        assert gate.kept and 0.98 <= gate.iou <= 1 and gate.frames == 6
        assert all(precision in manifest.graphs[graph] for graph in HEAVY)
        assert precision not in manifest.graphs["mask_decoder"]
    attention = manifest.graphs["memory_attention"]
    assert attention["fp16"].bytes < 0.6 * attention["fp32"].bytes
    network = Sam2Onnx(reduced_folder, device="cpu", threads=1, precision="fp16")
    network.open()
    assert network.encode(np.zeros((20, 30, 3), np.uint8)).features.dtype == np.float32


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, reduced_folder: Path) -> None:
    """Graphs are copied where torch would take half a minute to write them."""

    def copied(part: Any, model: Any, graph: str, path: Path) -> float:
        shutil.copy(reduced_folder / path.name, path)
        return 0.0

    monkeypatch.setattr(sam2_export, "_write_graph", copied)


def damaged(source: Path, target: Path) -> None:
    """Half of what each large tensor holds is lost."""
    model = onnx.load(source)
    random = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        value = onnx.numpy_helper.to_array(tensor)
        if value.dtype == np.float32 and value.size > 1000:
            kept = (value * random.integers(0, 2, value.shape)).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(kept, tensor.name))
    onnx.save(model, target)


def test_numbers_that_spoil_the_masks_are_refused_with_the_figure(
    quick: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sam2_export, "_REDUCE", {**sam2_export._REDUCE, "fp16": damaged})
    done = write(predictor(), tmp_path / "out", "reduced", SOURCE, ("fp16",), drawn_frames(3))
    gate = done.manifest.gates["fp16"]
    assert not gate.kept and gate.iou < 0.98 and gate.frames == 3
    with pytest.raises(ModelError, match=rf"fp16 not kept: on 3 pictures .* mean IoU of {gate.iou:.3f} .*0.98 is needed"):
        done.check()
    assert read(tmp_path / "out") == done.manifest
    assert not list((tmp_path / "out").glob("*fp16*"))
    with pytest.raises(UsageError, match="exported without fp16"):
        Sam2Onnx(tmp_path / "out", precision="fp16").open()


def test_a_network_agrees_with_itself(reduced_folder: Path) -> None:
    assert agreement(reduced_folder, "fp32", drawn_frames(2)) == 1.0


# -- all or nothing


def fails_at(graph: str, error: Exception) -> Callable[..., float]:
    def written(part: Any, model: Any, name: str, path: Path) -> float:
        path.write_bytes(b"half")
        if name == graph:
            raise error
        return 0.0

    return written


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (EngineFailed("differs"), EngineFailed),
        (OSError(errno.ENOSPC, "No space left on device"), StorageError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
@pytest.mark.parametrize("before", [False, True])
def test_a_failure_leaves_everything_as_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, seen: type[Exception], before: bool
) -> None:
    out = tmp_path / "out"
    if before:
        out.mkdir()
        (out / "manifest.json").write_text("the one before")
    monkeypatch.setattr(sam2_export, "_write_graph", fails_at("mask_decoder", error))
    with pytest.raises(seen):
        write(predictor(), out, "reduced", SOURCE)
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if before else [])
    assert not before or (out / "manifest.json").read_text() == "the one before"


def test_an_export_takes_the_place_of_the_one_before(quick: None, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    write(predictor(), out, "first", SOURCE)
    (out / "engines").mkdir()  # built for the first
    write(predictor(), out, "second", SOURCE)
    assert read(out).model == "second"
    assert not (out / "engines").exists()
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_other_people_s_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds something else than an exported model"):
        write(predictor(), tmp_path, "reduced", SOURCE)
    with pytest.raises(InputError, match="holds something else"):
        write(predictor(), tmp_path / "letter.txt", "reduced", SOURCE)
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_a_graph_that_differs_from_torch_is_not_written(tmp_path: Path) -> None:
    class Drifts:
        """Adds a tenth more at each call, as something that tracing cannot see would."""

        def __init__(self) -> None:
            self.calls = 0.0

        def __call__(self, masks: Any) -> Any:
            self.calls += 0.1
            return masks[:, :, ::4, ::4] + self.calls

    with pytest.raises(EngineFailed, match=r"mask_downsampler differs from torch \(.* is allowed\): not exported"):
        sam2_export._write_graph(Drifts(), predictor(), "mask_downsampler", tmp_path / "mask_downsampler.onnx")


# -- what is asked for


@pytest.mark.parametrize(
    ("name", "more", "error", "says"),
    [
        ("sam2.1-hiera-huge", {"seed": 0}, UsageError, "there are sam2.1-hiera-tiny, "),
        ("tiny", {"seed": 0}, UsageError, "cannot be exported"),
        ("sam2.1-hiera-base-plus", {}, UsageError, r"fetch sam2.1_hiera_base_plus.pt from .*--checkpoint"),
        ("sam2.1-hiera-tiny", {"seed": 0, "checkpoint": Path("x.pt")}, UsageError, "not both"),
        ("sam2.1-hiera-tiny", {"checkpoint": Path("/no/such.pt")}, InputError, "no such file"),
        ("sam2.1-hiera-tiny", {"seed": 0, "size": 768}, UsageError, "512 or 1024 pixels, not for 768"),
    ],
)
def test_orders_that_cannot_be_met(tmp_path: Path, name: str, more: dict[str, Any], error: type[Exception], says: str) -> None:
    size = more.pop("size", 512)
    with pytest.raises(error, match=says):
        export_named(name, size, cache=tmp_path, **more)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("absent", ["torch", "sam2", "onnx", "onnxscript"])
def test_without_the_extra_it_says_which_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, absent: str) -> None:
    def version(package: str) -> str:
        if package == absent:
            raise PackageNotFoundError(package)
        return "1"

    monkeypatch.setattr(sam2_export, "version", version)
    with pytest.raises(EngineMissing, match=rf"the package {absent}: install nearsight\[sam2\]"):
        export_named("sam2.1-hiera-tiny", 512, cache=tmp_path, seed=0)


def test_the_folder_s_default_is_among_the_models(monkeypatch: pytest.MonkeyPatch, quick: None, tmp_path: Path) -> None:
    monkeypatch.setattr(sam2_export, "build", lambda *args, **more: predictor())
    said: list[str] = []
    done = export_named("sam2.1-hiera-tiny", 512, cache=tmp_path, seed=7, progress=said.append)
    assert done.folder == tmp_path / "exported" / "sam2.1-hiera-tiny-512"
    assert isinstance(done.manifest, Manifest) and done.manifest.source["seed"] == 7
    done.check()
    assert said[0] == "building sam2.1-hiera-tiny for 512 pixels" and len(said) == 1 + len(GRAPHS)


# -- checkpoints


def test_a_checkpoint_is_read_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    random = build("tiny", 512, seed=3)
    weights = random.state_dict()
    torch.save({"model": weights}, tmp_path / "right.pt")
    read_back = build("tiny", 512, checkpoint=tmp_path / "right.pt").state_dict()
    assert all(torch.equal(value, read_back[name]) for name, value in weights.items())
    del weights["no_obj_ptr"]
    torch.save({"model": weights}, tmp_path / "old.pt")
    with pytest.raises(ModelCorrupt, match="not the weights of sam2.1-hiera-tiny: 1 differ, first no_obj_ptr"):
        build("tiny", 512, checkpoint=tmp_path / "old.pt")


class Trap:
    """Runs code when it is unpickled the ordinary way."""

    sprung = False

    def __reduce__(self) -> Any:
        return setattr, (Trap, "sprung", True)


@pytest.mark.parametrize("content", [{"model": Trap()}, {"weights": {}}, {"model": {"a": 1}}, [1, 2], b"text", b""])
def test_a_checkpoint_that_is_none_is_refused_and_runs_nothing(tmp_path: Path, content: Any) -> None:
    from models.sam2_build import _read

    path = tmp_path / "model.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ModelCorrupt, match="model.pt: (no checkpoint|holds no weights)"):
        _read(path)
    assert not Trap.sprung


def test_random_weights_are_those_of_their_seed() -> None:
    state = torch.random.get_rng_state()
    one, same, other = (predictor(seed).state_dict()["no_obj_ptr"] for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(state, torch.random.get_rng_state())


# -- the full tiny network


def test_the_full_tiny_network_at_512_is_exported_and_runs(tiny_512: Path) -> None:
    manifest = read(tiny_512)
    assert manifest.size == 512 and max(manifest.parity.values()) < 1e-4
    network = Sam2Onnx(tiny_512, device="cpu", threads=1)
    network.open()
    masks = _first_masks(network)
    assert masks.shape == (1, 4, 128, 128) and np.isfinite(masks).all() and np.ptp(masks) > 0.1


def _first_masks(network: Sam2Onnx) -> np.ndarray[Any, np.dtype[np.float32]]:
    from edge.tracks import Cues

    view = network.encode(drawn_frames(1)[0])
    cues = Cues(np.array([[[256.0, 256.0]]], np.float32), np.ones((1, 1), np.int32))
    return network.decode(view, network.recall(view, None), cues).logits
