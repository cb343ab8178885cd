"""Writes SAM 2.1 as ONNX graphs: ``nearsight models export``.

A folder comes into being whole or not at all: it is written beside its place and renamed. Each graph is run by onnxruntime
before that and held against torch on random inputs. Smaller numbers (fp16, int8) are kept only where the masks they make on
pictures agree with those of fp32: SAM 2 was published for bfloat16, and networks like it have been seen to break in fp16.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edge.errors import EngineFailed, EngineMissing, InputError, ModelError, StorageError, UsageError
from edge.values import Pixels
from models.sam2_build import VARIANTS, build
from models.sam2_gate import agreement, drawn_frames
from models.sam2_graphs import graphs_of
from models.sam2_manifest import GRAPHS, MANIFEST, Gate, GraphFile, Manifest, Shape, exported_folder, sha256, sized

if TYPE_CHECKING:
    from torch import Tensor

PREFIX: Final = "sam2.1-hiera-"
WEIGHTS: Final = "https://dl.fbaipublicfiles.com/segment_anything_2/092824"
OPSET: Final = 18
LEAST_IOU: Final = 0.98
"""Mean intersection over union with the masks of fp32 below which smaller numbers are refused."""
PARITY: Final = 1e-4
"""Largest difference to torch with which a graph is written, as a share of the largest value, or of 1 if that is larger."""
HEAVY: Final = ("image_encoder", "memory_attention")
"""The graphs that take the time, 9 parts in 10, and so come in smaller numbers. The mask decoder stays in fp32 everywhere."""

Progress = Callable[[str], None]
"""Told what is being done, a line each."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of it."""

    folder: Path
    manifest: Manifest

    def check(self) -> None:
        """Raises ModelError where smaller numbers were asked for and refused: it states the figures."""
        if refused := {name: gate for name, gate in self.manifest.gates.items() if not gate.kept}:
            figures = "; ".join(
                f"{name} not kept: on {gate.frames} pictures its masks have a mean IoU of {gate.iou:.3f} with those of fp32, "
                f"{gate.least} is needed"
                for name, gate in refused.items()
            )
            raise ModelError(f"{figures} (fp32 is in {self.folder})")


def export_named(
    name: str,
    size: int,
    *,
    cache: Path,
    out: Path | None = None,
    checkpoint: Path | None = None,
    seed: int | None = None,
    smaller: Sequence[str] = (),
    frames: Sequence[Pixels] = (),
    progress: Progress = lambda line: None,
) -> Exported:
    """Builds a network and writes it.

    Args:
        name: ``sam2.1-hiera-tiny``, ``-small``, ``-base-plus`` or ``-large``.
        size: The side of the square input in pixels: 512 or 1024.
        cache: Where ``out`` is, if it is not given: ``<cache>/exported/<name>-<size>``.
        out: The folder to write; what was exported there before is replaced.
        checkpoint: Meta's file.
        seed: Of random weights instead.
        smaller: ``fp16``, ``int8``.
        frames: Successive pictures for the gate of smaller numbers; without any, drawn ones.
        progress: Is told how far it is.

    Raises:
        UsageError: No such network or size; neither a checkpoint nor a seed, or both.
        EngineMissing: torch, sam2 or onnx is not installed.
        InputError: No such checkpoint; or ``out`` holds something else.
        ModelCorrupt: The checkpoint is another one.
        EngineFailed: A graph computes something else than torch.
        StorageError: No space.
    """
    variant = name.removeprefix(PREFIX)
    if variant not in VARIANTS or not name.startswith(PREFIX):
        raise UsageError(f"{name}: cannot be exported; there are {', '.join(PREFIX + each for each in VARIANTS)}")
    if checkpoint is None and seed is None:
        raise UsageError(
            f"no weights: fetch {name.replace('-', '_')}.pt from {WEIGHTS} and name it with --checkpoint, or try --random 0"
        )
    if checkpoint is not None and seed is not None:
        raise UsageError("a checkpoint or random weights, not both")
    _need_packages()
    out = out or exported_folder(cache, f"{name}-{size}")
    _check_place(out)
    progress(f"building {name} for {size} pixels")
    model = build(variant, size, checkpoint=checkpoint, seed=seed or 0)
    source: dict[str, str | int | None] = {"file": None, "sha256": None, "seed": seed}
    if checkpoint is not None:
        source |= {"file": checkpoint.name, "sha256": sha256(checkpoint)}
    return write(model, out, name, source, smaller, frames, progress)


def write(
    model: Any,
    out: Path,
    name: str,
    source: Mapping[str, str | int | None],
    smaller: Sequence[str] = (),
    frames: Sequence[Pixels] = (),
    progress: Progress = lambda line: None,
) -> Exported:
    """Writes a ``SAM2Base`` into the folder ``out``. Raises like ``export_named``."""
    _need_packages()
    _check_place(out)
    with _beside(out) as folder:
        parity, graphs = {}, {}
        for graph, part in graphs_of(model).items():
            progress(f"writing {graph}")
            parity[graph] = _write_graph(part, model, graph, folder / f"{graph}.onnx")
            graphs[graph] = {"fp32": _described(folder / f"{graph}.onnx")}
        manifest = Manifest(name, int(model.image_size), OPSET, source, _versions(), graphs, parity)
        manifest.write(folder)
        if smaller:
            manifest = _with_smaller(manifest, folder, smaller, frames, progress)
            manifest.write(folder)
    return Exported(out, manifest)


def _need_packages() -> None:
    for package in ("torch", "sam2", "onnx", "onnxscript"):
        try:
            version(package)
        except PackageNotFoundError as error:
            raise EngineMissing(f"export needs the package {package}: install nearsight[sam2]") from error


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("nearsight", "onnx", "onnxruntime", "sam2", "torch") if _there(name)}


def _there(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _check_place(out: Path) -> None:
    if out.exists() and not (out / MANIFEST).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: holds something else than an exported model; name another folder")


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """Gives an empty folder that takes the place of ``out`` at the end, or goes without a trace."""
    out = out.absolute()
    fresh = out.with_name(f".{out.name}.{os.getpid()}.new")
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    try:
        fresh.mkdir(parents=True)
        yield fresh
        if out.exists():
            out.rename(old)
        fresh.rename(out)
    except OSError as error:
        raise StorageError(f"{out}: {error.strerror or error}") from error
    finally:
        if old.exists() and not out.exists():
            old.rename(out)
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(fresh, ignore_errors=True)


def _described(path: Path) -> GraphFile:
    return GraphFile(path.name, path.stat().st_size, sha256(path))


def _write_graph(part: Any, model: Any, graph: str, path: Path) -> float:
    """Writes one graph; gives its largest difference to torch."""
    import torch

    class Part(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.part = model, part

        def forward(self, *inputs: Tensor) -> Any:
            return self.part(*inputs)

    signature = GRAPHS[graph]
    shapes = {name: sized(shape, model.image_size) for name, shape in signature.inputs.items()}
    inputs = tuple(torch.from_numpy(x) for x in samples(shapes, seed=0).values())
    free = tuple({at: dim for at, dim in enumerate(shape) if isinstance(dim, str)} for shape in shapes.values())
    with torch.no_grad(), _quiet():
        program: Any = torch.onnx.export(
            Part().eval(),
            inputs,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(signature.inputs),
            output_names=list(signature.outputs),
            dynamic_shapes=(free,),
            custom_translation_table={torch.ops.aten.gelu.default: _gelu},
            optimize=False,  # onnxruntime does that itself when it loads a graph; here it would double the time
            verbose=False,
        )
        proto = program.model_proto
        for node in proto.graph.node:
            del node.metadata_props[:]  # where each line of torch lies on this machine
        path.write_bytes(proto.SerializeToString())
        return max(_difference(part, shapes, path, seed) for seed in (1, 2))


def _gelu(x: Any, approximate: str = "none") -> Any:
    """Writes GELU as onnxruntime knows it: it makes one operation of these five, on every device.

    torch's own way works out the square root of 2 in the graph, and so hides what it is.
    """
    from onnx import TensorProto
    from onnx.helper import make_tensor
    from onnxscript import opset18 as op

    def constant(value: float) -> Any:  # a tensor, which the reduction to fp16 knows to reduce; not a plain number
        return op.Constant(value=make_tensor("", TensorProto.FLOAT, (), [value]))

    share = op.Erf(op.Div(x, constant(math.sqrt(2.0))))
    return op.Mul(op.Mul(x, op.Add(share, constant(1.0))), constant(0.5))


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells of its own steps, and of functions of its own that are deprecated."""
    loggers = [logging.getLogger(name) for name in ("", "torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def samples(shapes: Mapping[str, Shape], seed: int) -> dict[str, Any]:
    """Gives random inputs of a graph; free sizes are drawn from 2 to 4, the same letter the same size."""
    random = np.random.default_rng(seed)
    free = {letter: int(random.integers(2, 5)) for letter in "nmpkt"}
    made: dict[str, Any] = {}
    for name, shape in shapes.items():
        dims = tuple(free[dim] if isinstance(dim, str) else dim for dim in shape)
        match name:
            case "slots":
                made[name] = random.integers(0, 7, dims)
            case "labels":
                made[name] = random.integers(-1, 4, dims).astype(np.int32)
            case "points":
                made[name] = random.uniform(0, 500, dims).astype(np.float32)
            case "ages":
                made[name] = random.uniform(-2, 40, dims).astype(np.float32)
            case "masked":
                made[name] = random.integers(0, 2, dims).astype(np.float32)
            case _:
                made[name] = random.standard_normal(dims).astype(np.float32)
    return made


def _difference(part: Any, shapes: Mapping[str, Shape], path: Path, seed: int) -> float:
    import onnxruntime
    import torch

    feed = samples(shapes, seed)
    wanted = part(*(torch.from_numpy(x) for x in feed.values()))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    found = session.run(None, feed)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    pairs = [(float(np.abs(a - b.numpy()).max()), float(b.abs().max())) for a, b in zip(found, wanted, strict=True)]
    if not all(difference <= PARITY * max(1.0, largest) for difference, largest in pairs):  # nor where it is not a number
        figures = ", ".join(f"{difference:.1e} of {largest:.1e}" for difference, largest in pairs)
        raise EngineFailed(f"{path.stem} differs from torch ({figures}; {PARITY:.0e} is allowed): not exported")
    return max(difference for difference, _ in pairs)


def _with_smaller(
    manifest: Manifest, folder: Path, smaller: Sequence[str], frames: Sequence[Pixels], progress: Progress
) -> Manifest:
    graphs = {name: dict(files) for name, files in manifest.graphs.items()}
    gates = {}
    frames = frames or drawn_frames()
    for precision in smaller:
        progress(f"reducing to {precision}")
        paths = {graph: folder / f"{graph}.{precision}.onnx" for graph in HEAVY}
        for graph, path in paths.items():
            with _quiet():
                _REDUCE[precision](folder / f"{graph}.onnx", path)
        trial = {
            name: {**files, **({precision: _described(paths[name])} if name in paths else {})} for name, files in graphs.items()
        }
        proposed = Manifest(**{**_fields(manifest), "graphs": trial})
        proposed.write(folder)
        progress(f"comparing masks of {precision} with those of fp32 on {len(frames)} pictures")
        iou = agreement(folder, precision, frames)
        gates[precision] = Gate(round(iou, 6), LEAST_IOU, len(frames), iou >= LEAST_IOU)
        if gates[precision].kept:
            graphs = trial
        else:
            for path in paths.values():
                path.unlink()
    return Manifest(**{**_fields(manifest), "graphs": graphs, "gates": gates})


def _fields(manifest: Manifest) -> dict[str, Any]:
    return {name: getattr(manifest, name) for name in Manifest.__slots__}


def _to_fp16(source: Path, target: Path) -> None:
    """What sums over many channels stays in fp32: layer norms and softmax overflow or lose their small terms in fp16."""
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    kept = [*DEFAULT_OP_BLOCK_LIST, "LayerNormalization", "Softmax", "ReduceMean", "Pow", "Sqrt", "Sin", "Cos"]
    model = convert_float_to_float16(onnx.load(source), keep_io_types=True, op_block_list=kept)
    # A constant that two of those read is cast back once for each, under one name.
    once = {tuple(node.output): node for node in reversed(model.graph.node)}
    nodes = [node for node in model.graph.node if once[tuple(node.output)] is node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, target)


def _to_int8(source: Path, target: Path) -> None:
    """Weights of matrix products in 8 bits, one scale a column; what is multiplied with them is reduced as it comes."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8)


_REDUCE: Final[Mapping[str, Callable[[Path, Path], None]]] = {"fp16": _to_fp16, "int8": _to_int8}
