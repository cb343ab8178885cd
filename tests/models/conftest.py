"""Exported SAM 2.1 networks, for all tests of this folder.

An export takes half a minute, so what a run has written lies in pytest's cache for the next, under a name that changes with
everything that it was made from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

_SOURCES = (
    "models/sam2_build.py",
    "models/sam2_export.py",
    "models/sam2_graphs.py",
    "models/sam2_hiera.py",
    "models/sam2_manifest.py",
)
_OWN = ("tests/models/conftest.py", "tests/models/sam2_tiny.py")


def _needs_torch() -> None:
    pytest.importorskip("torch", reason="TORCH MISSING: pip install 'nearsight[sam2]'")
    pytest.importorskip("sam2", reason="SAM2 MISSING: pip install 'nearsight[sam2]'")
    pytest.importorskip("onnxscript", reason="ONNXSCRIPT MISSING: pip install 'nearsight[sam2]'")


def _exported(config: pytest.Config, name: str, build: Callable[[], Any], smaller: tuple[str, ...] = ()) -> Path:
    from models.sam2_export import write

    root = Path(__file__).parents[2]
    parts = [version("torch"), version("onnxscript"), *((root / each).read_text() for each in (*_SOURCES, *_OWN))]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    folder = Path(config.cache.mkdir("sam2")) / f"{name}-{key}"
    if not (folder / "manifest.json").is_file():
        write(build(), folder, name, {"file": None, "sha256": None, "seed": 0}, smaller)
    return folder


@pytest.fixture(scope="session")
def reduced_folder(pytestconfig: pytest.Config) -> Path:
    """The reduced network at 256 pixels, with fp16 and int8 where these pass."""
    _needs_torch()
    from tests.models.sam2_tiny import predictor

    return _exported(pytestconfig, "reduced", predictor, ("fp16", "int8"))


@pytest.fixture(scope="session")
def tiny_512_model() -> Any:
    """SAM 2.1 tiny at 512 pixels with random weights, in torch: everything is in the picture."""
    _needs_torch()
    from models.sam2_build import build
    from tests.models.sam2_tiny import amplify, set_visible

    model = build("tiny", 512, seed=0)
    amplify(model)
    set_visible(model, 20.0)
    return model


@pytest.fixture(scope="session")
def tiny_512(pytestconfig: pytest.Config, tiny_512_model: Any) -> Path:
    """The same, exported."""
    return _exported(pytestconfig, "tiny-512", lambda: tiny_512_model)
