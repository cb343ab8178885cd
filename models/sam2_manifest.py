"""What an exported SAM 2.1 looks like: the names and shapes of its graphs, and the manifest that lies beside them.

A folder holds one ONNX file a graph and precision, and ``manifest.json``::

    {"format": 1, "model": "sam2.1-hiera-tiny", "size": 512, "opset": 18,
     "source": {"file": "sam2.1_hiera_tiny.pt", "sha256": "...", "seed": null},
     "versions": {"nearsight": "...", "onnx": "...", "sam2": "...", "torch": "..."},
     "graphs": {"image_encoder": {"fp32": {"file": "image_encoder.onnx", "bytes": 1, "sha256": "..."}, "fp16": {...}}, ...},
     "parity": {"image_encoder": 3.3e-06, ...},
     "gates": {"fp16": {"iou": 0.994, "least": 0.98, "frames": 6, "kept": true}}}

``parity`` is the largest absolute difference to torch on random inputs; ``gates`` is how well the masks of smaller numbers
agree with those of fp32, whether or not they were kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from edge.errors import ModelCorrupt, ModelError, ModelMissing

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
PRECISIONS: Final = ("fp32", "fp16", "int8")

Shape = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """The tensors of one graph.

    In a shape ``S`` is the side of the input picture, ``f`` a sixteenth of it; the letters in ``RANGES`` are free.
    """

    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]


RANGES: Final[Mapping[str, tuple[int, int, int]]] = MappingProxyType(
    {"n": (1, 1, 16), "m": (1, 7, 16), "p": (1, 16, 32), "k": (1, 1, 16), "t": (2, 2, 17)}
)
"""Least, usual and largest number of objects, maps, pointers, points and point tokens that an engine is built for."""

ROWS: Final = 1024
"""Places that attend to memory at a time. At 1024 pixels, with 7 maps, the weights of all 4,096 take 470 MB an object."""

_FEATURES: Final[Shape] = (1, 256, "f", "f")
_FINE: Final[Shape] = (1, 32, "4f", "4f")
_MIDDLE: Final[Shape] = (1, 64, "2f", "2f")
_SEEN: Final[Shape] = ("n", 256, "f", "f")
_WHOLE: Final[Shape] = ("n", 1, "S", "S")
_LOGITS: Final[Shape] = ("n", 1, "4f", "4f")

GRAPHS: Final[Mapping[str, Signature]] = MappingProxyType(
    {
        "image_encoder": Signature(
            {"pixels": (1, 3, "S", "S")},
            {"features": _FEATURES, "fine": _FINE, "middle": _MIDDLE},
        ),
        "memory_attention": Signature(
            {
                "features": _FEATURES,
                "maps": ("n", "m", 64, "f", "f"),
                "slots": ("n", "m"),
                "pointers": ("n", "p", 256),
                "ages": ("n", "p"),
            },
            {"seen": _SEEN},
        ),
        "prompt_encoder": Signature(
            {"points": ("n", "k", 2), "labels": ("n", "k"), "masks": _LOGITS, "masked": ("n",)},
            {"sparse": ("n", "t", 256), "dense": _SEEN, "no_memory": (1, 256, 1, 1)},
        ),
        "mask_downsampler": Signature({"masks": _WHOLE}, {"logits": _LOGITS}),
        "mask_decoder": Signature(
            {"seen": _SEEN, "fine": _FINE, "middle": _MIDDLE, "sparse": ("n", "t", 256), "dense": _SEEN},
            {"logits": ("n", 4, "4f", "4f"), "ious": ("n", 4), "pointers": ("n", 4, 256), "scores": ("n",)},
        ),
        "memory_encoder": Signature(
            {"features": _FEATURES, "masks": _WHOLE, "scores": ("n",)},
            {"maps": ("n", 64, "f", "f")},
        ),
    }
)
"""The mask downsampler has 17 weights; it stands alone because only a mask given as the truth goes through it."""


def sized(shape: Shape, size: int) -> Shape:
    """Gives a shape with numbers in place of what the side of the picture decides."""
    known = {"S": size, "f": size // 16, "2f": size // 8, "4f": size // 4}
    return tuple(known.get(dim, dim) if isinstance(dim, str) else dim for dim in shape)


@dataclass(frozen=True, slots=True)
class GraphFile:
    """One graph in one precision."""

    file: str
    bytes: int
    sha256: str

    def check(self, folder: Path) -> Path:
        """Gives the file's place. Raises ModelMissing, or ModelCorrupt where its bytes or hash are others."""
        path = folder / self.file
        if not path.is_file():
            raise ModelMissing(f"{path}: missing, though {MANIFEST} names it: export the model again")
        if (size := path.stat().st_size) != self.bytes:
            raise ModelCorrupt(f"{path}: {size} bytes, {MANIFEST} says {self.bytes}: export the model again")
        if sha256(path) != self.sha256:
            raise ModelCorrupt(f"{path}: not the file that {MANIFEST} describes (SHA-256 differs): export the model again")
        return path


@dataclass(frozen=True, slots=True)
class Gate:
    """How well the masks of a precision agree with those of fp32."""

    iou: float
    """Mean intersection over union, 0 to 1."""
    least: float
    frames: int
    kept: bool


@dataclass(frozen=True, slots=True)
class Manifest:
    """What lies in a folder, and where it came from."""

    model: str
    size: int
    opset: int
    source: Mapping[str, str | int | None]
    versions: Mapping[str, str]
    graphs: Mapping[str, Mapping[str, GraphFile]]
    parity: Mapping[str, float]
    gates: Mapping[str, Gate] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Writes ``manifest.json``. Raises OSError."""
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")

    def file(self, graph: str, precision: str) -> GraphFile:
        """Gives a graph in a precision, else in fp32: only those that take time exist in others."""
        files = self.graphs[graph]
        return files.get(precision, files["fp32"])


def exported_folder(cache: Path, name: str) -> Path:
    """Gives the place of an exported model that is called by name, such as ``sam2.1-hiera-tiny-512``."""
    return cache / "exported" / name


def all_exported(cache: Path) -> list[tuple[str, Manifest]]:
    """Gives the exported models that are called by name, with their manifests; what is damaged is passed over."""
    found = []
    for folder in sorted((cache / "exported").glob("*")):
        try:
            found.append((folder.name, read(folder)))
        except ModelError:
            continue
    return found


def read(folder: Path) -> Manifest:
    """Gives the manifest of a folder. Raises ModelMissing, or ModelCorrupt where it cannot be understood."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ModelMissing(f"{folder}: no exported SAM 2 ({MANIFEST}) lies here: run nearsight models export")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ModelCorrupt(f"{path}: written by another version of nearsight: export the model again")
        return _manifest(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelCorrupt(f"{path}: not a manifest ({type(error).__name__}: {error}): export the model again") from error


def _manifest(content: dict[str, Any]) -> Manifest:
    graphs = {
        name: {precision: GraphFile(**one) for precision, one in files.items()} for name, files in content.pop("graphs").items()
    }
    if absent := [name for name in GRAPHS if "fp32" not in graphs.get(name, {})]:
        raise ValueError(f"no graph {', '.join(absent)}")
    if any(Path(one.file).name != one.file for files in graphs.values() for one in files.values()):
        raise ValueError("a file that lies elsewhere")
    gates = {precision: Gate(**gate) for precision, gate in content.pop("gates").items()}
    manifest = Manifest(graphs=graphs, gates=gates, **content)
    if not isinstance(manifest.size, int) or manifest.size <= 0 or manifest.size % 64:
        raise ValueError(f"size {manifest.size!r}")
    return manifest


def sha256(path: Path) -> str:
    """Gives a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
