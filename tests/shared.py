"""Finds the real recordings and pictures that lie beside the checkout and are never part of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(os.environ.get("NEARSIGHT_DATA", Path(__file__).parents[2] / "shared" / "data"))


def shared(name: str) -> Path:
    """Gives a file of the shared data; skips the test, loudly, where it is missing."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"SHARED DATA MISSING: {path} (set NEARSIGHT_DATA to its folder)")
    return path


def index() -> list[dict[str, Any]]:
    """Gives the rows of the data's index; skips the test, loudly, where it is missing."""
    return [json.loads(line) for line in shared("index.jsonl").read_text(encoding="utf-8").splitlines()]
