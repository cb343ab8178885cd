"""Exported SAM 2.1 networks, for all tests of this folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.models import exports


@pytest.fixture(scope="session")
def exported(pytestconfig: pytest.Config) -> Path:
    """Where the networks lie: ``NEARSIGHT_TEST_EXPORTS``, else pytest's cache."""
    for package in ("torch", "sam2", "onnxscript"):
        pytest.importorskip(package, reason=f"{package.upper()} MISSING: pip install 'nearsight[sam2]'")
    given = os.environ.get("NEARSIGHT_TEST_EXPORTS")
    return Path(given) if given else Path(pytestconfig.cache.mkdir("sam2"))


@pytest.fixture(scope="session")
def reduced_folder(exported: Path) -> Path:
    """The reduced network at 256 pixels, with fp16 and int8 where these pass."""
    return exports.reduced(exported)


@pytest.fixture(scope="session")
def tiny_512_model(exported: Path) -> Any:
    """SAM 2.1 tiny at 512 pixels with random weights, in torch."""
    return exports.tiny_512_model()


@pytest.fixture(scope="session")
def tiny_512(exported: Path) -> Path:
    """The same, exported."""
    return exports.tiny_512(exported)
