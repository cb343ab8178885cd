"""SAM 2.1 on onnxruntime: the graphs that ``nearsight models export`` wrote, as a ``MaskNetwork``.

TensorRT runs them where onnxruntime has it, else CUDA, else the CPU. TensorRT's engines take minutes to build and fit one GPU
and one version only, so they are kept beside the model in a folder named after all of these.

What goes from graph to graph passes through the host: at 512 pixels 5 MB a picture and 256 kB a map, under a millisecond on
PCIe and a copy within the same memory on a Jetson. It buys that every value is an array on whatever device the next call
runs, so a GPU that runs out of memory in the middle of a stream costs that stream nothing but speed.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edge.errors import EngineFailed, EngineMissing, ModelCorrupt, UsageError
from edge.tracks import Candidates, Cues, Floats, Memories, View
from edge.values import EngineInfo, Pixels
from models.sam2_input import square, stacked
from models.sam2_manifest import GRAPHS, PRECISIONS, RANGES, ROWS, Manifest, Shape, read, sized

if TYPE_CHECKING:
    import onnxruntime as ort

log = logging.getLogger(__name__)

Provider = str | tuple[str, dict[str, str]]
Opener = Callable[[Path, Sequence[Provider], int], "ort.InferenceSession"]
"""Opens a graph with providers, best first, and a number of threads."""

_CPU: Final = "CPUExecutionProvider"
_CUDA: Final = "CUDAExecutionProvider"
_TENSORRT: Final = "TensorrtExecutionProvider"
_NAMES: Final = {_CPU: "cpu", _CUDA: "cuda", _TENSORRT: "tensorrt"}
_WEIGHTS: Final = 1 << 28
"""Bytes that the attention weights of one layer may take at a time."""
_EXHAUSTED: Final = ("out of memory", "failed to allocate memory", "alloc_failed", "outofmemory", "cudaerrormemoryallocation")
"""What the texts of onnxruntime, cuBLAS, cuDNN and TensorRT have in common where a GPU has no memory left; in lower case."""


class Sam2Onnx:
    """The parts of a SAM 2.1 network. Implements ``edge.ports.MaskNetwork``."""

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "auto",
        threads: int = 0,
        precision: str = "fp32",
        opener: Opener | None = None,
    ) -> None:
        """Takes an exported folder.

        Args:
            folder: Where ``manifest.json`` lies.
            device: ``auto`` takes the best there is; ``cuda`` (which TensorRT is part of) raises where there is none.
            threads: On the CPU; 0 leaves it to onnxruntime.
            precision: ``fp32``; or ``fp16``, ``int8`` where the export kept them.
            opener: Opens the graphs in place of onnxruntime.
        """
        if precision not in PRECISIONS:
            raise UsageError(f"no precision is called {precision!r}: there are {', '.join(PRECISIONS)}")
        self._folder, self._device, self._threads, self._precision = folder, device, threads, precision
        self._opener = opener or _open
        self._manifest: Manifest | None = None
        self._sessions: dict[str, ort.InferenceSession] = {}
        self._details: dict[str, str] = {}
        self._nothing: list[Floats] = []

    @property
    def info(self) -> EngineInfo:
        """Name, version of onnxruntime, model, licence; ``details``: device, precision, and ``fallback`` once it has one."""
        model = f"{self._manifest.model}@{self._manifest.size}" if self._manifest else self._folder.name
        return EngineInfo("sam2-onnx", version("onnxruntime"), model, "Apache-2.0", dict(self._details))

    @property
    def size(self) -> int:
        """The side of the square input, in pixels."""
        return self._opened.size

    def open(self) -> None:
        """Loads and checks the graphs. Raises EngineMissing, ModelMissing, ModelCorrupt."""
        if self._manifest is not None:
            return
        manifest = read(self._folder)
        if self._precision != "fp32" and not any(self._precision in files for files in manifest.graphs.values()):
            raise UsageError(f"{self._folder}: exported without {self._precision}")
        providers = choose(self._device)
        for name in GRAPHS:
            manifest.file(name, self._precision).check(self._folder)
        self._load(manifest, providers)
        self._manifest = manifest
        self._details = {"device": _NAMES[providers[0]], "precision": self._precision}
        # What stands for no prompt and for no memory never changes, and most pictures of a stream have no prompt.
        none = Cues(np.zeros((1, 1, 2), np.float32), np.full((1, 1), -1, np.int32))
        self._nothing = self._embed(none)

    def close(self) -> None:
        """Frees the graphs."""
        self._sessions, self._manifest, self._nothing = {}, None, []

    def encode(self, pixels: Pixels) -> View:
        """Gives a picture's features."""
        features, fine, middle = self._run("image_encoder", {"pixels": square(pixels, self.size)})
        return View(features, fine, middle, pixels.shape[0], pixels.shape[1])

    def recall(self, view: View, memories: Memories | None) -> Any:
        """Gives the features as n objects see them, or without any memory (n = 1)."""
        if memories is None:
            return view.features + self._nothing[2]
        maps, slots, pointers, ages = stacked(memories)
        feed = {"features": view.features, "maps": maps, "slots": slots, "pointers": pointers, "ages": ages}
        side = self.size // 16
        weights = 4 * min(ROWS, side * side) * (maps.shape[1] * side * side + 4 * pointers.shape[1])
        return self._run_in_groups("memory_attention", feed, max(1, _WEIGHTS // weights))[0]

    def decode(self, view: View, seen: Any, cues: Cues) -> Candidates:
        """Gives the masks of n objects."""
        sparse, dense = self._prompt(cues)
        feed = {"seen": seen, "fine": view.fine, "middle": view.middle, "sparse": sparse, "dense": dense}
        return Candidates(*self._run_in_groups("mask_decoder", feed))

    def memorise(self, view: View, masks: Floats, scores: Floats) -> Floats:
        """Gives the memory maps of masks."""
        return self._run_in_groups("memory_encoder", {"features": view.features, "masks": masks, "scores": scores})[0]

    def _prompt(self, cues: Cues) -> tuple[Floats, Floats]:
        n = len(cues.points)
        if cues.masks is None and cues.labels.shape[1] == 1 and (cues.labels == -1).all():
            sparse, dense, _ = self._nothing
            return np.repeat(sparse, n, axis=0), np.repeat(dense, n, axis=0)
        sparse, dense, _ = self._embed(cues)
        return sparse, dense

    def _embed(self, cues: Cues) -> list[Floats]:
        n, side, masks = len(cues.points), self.size // 4, cues.masks
        if masks is not None and masks.shape[-1] == self.size:
            (masks,) = self._run_in_groups("mask_downsampler", {"masks": masks})
        masked = np.full(n, masks is not None, np.float32)
        if masks is None:
            masks = np.zeros((n, 1, side, side), np.float32)
        feed = {"points": cues.points, "labels": cues.labels, "masks": masks, "masked": masked}
        return self._run_in_groups("prompt_encoder", feed)

    @property
    def _opened(self) -> Manifest:
        if self._manifest is None:
            raise RuntimeError("Sam2Onnx before open()")
        return self._manifest

    def _run_in_groups(self, name: str, feed: Mapping[str, Any], most: int = RANGES["n"][2]) -> list[Floats]:
        """Runs a graph for so many objects at a time as fit: engines are built for a range, and memory has an end."""
        each = [key for key, shape in GRAPHS[name].inputs.items() if shape[0] == "n"]
        n = len(feed[each[0]])
        if n <= (most := min(most, RANGES["n"][2])):
            return self._run(name, feed)
        parts = [
            self._run(name, {key: value[at : at + most] if key in each else value for key, value in feed.items()})
            for at in range(0, n, most)
        ]
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _run(self, name: str, feed: Mapping[str, Any]) -> list[Floats]:
        manifest = self._opened
        outputs = list(GRAPHS[name].outputs)
        try:
            return self._sessions[name].run(outputs, feed)
        except Exception as error:  # onnxruntime's exceptions share no parent below Exception
            if not self._gives_up(error):
                raise EngineFailed(f"SAM 2's {name} failed: {str(error).splitlines()[0]}") from error
        log.warning("the GPU is out of memory in %s: SAM 2 goes on on the CPU", name)
        self._sessions = {}  # frees the GPU before the CPU is asked
        self._load(manifest, [_CPU])
        self._details |= {"device": "cpu", "fallback": "the GPU ran out of memory"}
        return self._sessions[name].run(outputs, feed)

    def _gives_up(self, error: Exception) -> bool:
        """Whether a GPU has no memory left. On the CPU there is nowhere else to go."""
        text = str(error).lower()
        return self._details["device"] != "cpu" and any(word in text for word in _EXHAUSTED)

    def _load(self, manifest: Manifest, providers: Sequence[str]) -> None:
        sessions = {}
        for name in GRAPHS:
            file = manifest.file(name, self._precision)
            path = self._folder / file.file
            try:
                session = self._opener(path, _configured(providers, name, path, file.sha256, manifest.size), self._threads)
            except ImportError as error:
                raise EngineMissing("SAM 2 needs onnxruntime: pip install onnxruntime") from error
            except Exception as error:  # onnxruntime's exceptions share no parent below Exception
                raise ModelCorrupt(f"{path}: onnxruntime cannot load it: {str(error).splitlines()[0]}") from error
            _check(session, name, path, manifest.size)
            sessions[name] = session
        self._sessions = sessions


def choose(device: str, available: Callable[[], Sequence[str]] | None = None) -> list[str]:
    """Gives the providers for a device, best first. Raises EngineMissing, UsageError."""
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"no device is called {device!r}: there are auto, cpu, cuda")
    if available is None:
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineMissing("SAM 2 needs onnxruntime: pip install onnxruntime") from error
        available = onnxruntime.get_available_providers
    there = available()
    found = [provider for provider in (_TENSORRT, _CUDA) if provider in there and device != "cpu"]
    if device == "cuda" and not found:
        raise EngineMissing("this onnxruntime has no CUDA: pip install 'nearsight[gpu]', or set device = \"cpu\"")
    return [*found, _CPU]


def _open(path: Path, providers: Sequence[Provider], threads: int) -> ort.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Waiting threads spin while a graph runs, which saves a twentieth, and sleep between: the cores are others' then.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=providers)


def _configured(providers: Sequence[str], graph: str, path: Path, digest: str, size: int) -> list[Provider]:
    return [
        (provider, _tensorrt(graph, path.parent, digest, size)) if provider == _TENSORRT else provider for provider in providers
    ]


def _tensorrt(graph: str, folder: Path, digest: str, size: int) -> dict[str, str]:
    """Options for TensorRT: where its engines are kept, and the shapes that they are built for."""
    key = hashlib.sha256("\n".join((gpu_name(), version("onnxruntime"), _tensorrt_version(), digest)).encode()).hexdigest()
    options = {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder / "engines" / key[:16]),
        "trt_timing_cache_enable": "1",
        "trt_fp16_enable": "0",  # smaller numbers only where a gate has let them pass, and those stand in the graph
    }
    inputs = {name: sized(shape, size) for name, shape in GRAPHS[graph].inputs.items()}
    if any(isinstance(dim, str) for shape in inputs.values() for dim in shape):
        for at, which in enumerate(("min", "opt", "max")):
            shapes = ("x".join(str(_dim(dim, at)) for dim in shape) for shape in inputs.values())
            options[f"trt_profile_{which}_shapes"] = ",".join(
                f"{name}:{shape}" for name, shape in zip(inputs, shapes, strict=True)
            )
    return options


def _dim(dim: int | str, at: int) -> int:
    return RANGES[dim][at] if isinstance(dim, str) else dim


def _tensorrt_version() -> str:
    from importlib.metadata import PackageNotFoundError

    for package in ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return "system"


def gpu_name(root: Path = Path("/proc")) -> str:
    """Gives the name of the first GPU as the driver (or a Jetson's device tree) tells it; empty without one."""
    for path in sorted(root.glob("driver/nvidia/gpus/*/information")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("Model:"):
                return line.removeprefix("Model:").strip()
    board = root / "device-tree" / "model"
    return board.read_text(encoding="utf-8", errors="replace").strip("\0 \n") if board.is_file() else ""


def _check(session: ort.InferenceSession, graph: str, path: Path, size: int) -> None:
    """Raises ModelCorrupt where a graph's tensors are not those that this file feeds and reads: it names both."""
    signature = GRAPHS[graph]
    for kind, expected, nodes in (
        ("inputs", signature.inputs, session.get_inputs()),
        ("outputs", signature.outputs, session.get_outputs()),
    ):
        found = {node.name: tuple(node.shape) for node in nodes}
        wanted = {name: sized(shape, size) for name, shape in expected.items()}
        if found.keys() == wanted.keys() and all(_fits(found[name], wanted[name], kind) for name in wanted):
            continue
        raise ModelCorrupt(f"{path.name}: {kind} {_listed(found)}; expected {_listed(wanted)}: export the model again")


def _fits(found: tuple[int | str | None, ...], wanted: Shape, kind: str) -> bool:
    """A free size must be free; what the exporter could not work out of an output is None or a formula."""
    if len(found) != len(wanted):
        return False
    loose = kind == "outputs"
    return all(
        not isinstance(there, int) if isinstance(dim, str) else there == dim or (loose and not isinstance(there, int))
        for there, dim in zip(found, wanted, strict=True)
    )


def _listed(shapes: Mapping[str, Sequence[Any]]) -> str:
    return ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in shapes.items())
