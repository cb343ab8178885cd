"""The exported SAM 2.1 networks that tests use: written once, and read from there afterwards.

``python -m tests.models.exports FOLDER`` writes them beforehand, as CI does: with torch on two cores they take two minutes.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

_SOURCES = (
    "models/sam2_attention.py",
    "models/sam2_build.py",
    "models/sam2_export.py",
    "models/sam2_graphs.py",
    "models/sam2_hiera.py",
    "models/sam2_manifest.py",
    "models/sam2_parts.py",
    "tests/models/exports.py",
    "tests/models/sam2_tiny.py",
)


def reduced(root: Path) -> Path:
    """Gives the folder of the reduced network at 256 pixels, with fp16 and int8 where these pass."""
    from tests.models.sam2_tiny import predictor

    return exported(root, "reduced", predictor, ("fp16", "int8"))


def tiny_512_model() -> Any:
    """Gives SAM 2.1 tiny at 512 pixels with random weights, in torch: everything is in the picture."""
    from models.sam2_build import build
    from tests.models.sam2_tiny import amplify, set_visible

    model = build("tiny", 512, seed=0)
    amplify(model)
    set_visible(model, 20.0)
    return model


def tiny_512(root: Path) -> Path:
    """Gives the folder of the same, exported."""
    return exported(root, "tiny-512", tiny_512_model)


def exported(root: Path, name: str, build: Callable[[], Any], smaller: tuple[str, ...] = ()) -> Path:
    """Gives the folder of an exported network; its name changes with everything that it was made from."""
    from models.sam2_export import write

    checkout = Path(__file__).parents[2]
    parts = [version("torch"), version("onnxscript"), *((checkout / each).read_text() for each in _SOURCES)]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    folder = root / f"{name}-{key}"
    if not (folder / "manifest.json").is_file():
        write(build(), folder, name, {"file": None, "sha256": None, "seed": 0}, smaller)
    return folder


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    for made in (reduced(place), tiny_512(place)):
        print(made)
