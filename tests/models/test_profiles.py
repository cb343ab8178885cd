"""The shipped profiles are configurations, and name models that the catalogue knows."""

from __future__ import annotations

from typing import Any

import pytest

from edge.app import models_of
from edge.config import parse
from edge.errors import ConfigError
from models.catalog import Catalogue
from models.profiles import load_profile, profile_names


@pytest.mark.parametrize("name", ["bundled", "phone", "jetson-orin-nano", "desktop-gpu"])
def test_a_profile_parses_and_its_models_are_known(name: str) -> None:
    table: dict[str, Any] = load_profile(name)
    parse({**table, "profile": name})
    known = Catalogue.load()
    models = [engine["model"] for engine in table.values() if "model" in engine and engine["engine"] != "sam2-onnx"]
    assert models
    for model in models:
        known.find(model)


def test_the_bundled_profile_needs_no_model_hub() -> None:
    known = Catalogue.load()
    config = parse({**load_profile("bundled"), "profile": "bundled"})
    needed = [known.find(name) for name in models_of(config, needed=True)]
    assert needed and all(entry.kind == "pypi" and entry.pinned for entry in needed)
    assert all(known.find(name).pinned for name in models_of(config))


def test_an_unknown_profile_is_answered_with_the_nearest() -> None:
    assert profile_names() == ["bundled", "desktop-gpu", "jetson-orin-nano", "phone"]
    with pytest.raises(ConfigError, match="did you mean 'jetson-orin-nano'"):
        load_profile("jetson-nano")
