"""The shipped profiles are configurations, and name models that the catalogue knows."""

from __future__ import annotations

from typing import Any

import pytest

from edge.config import parse
from edge.errors import ConfigError
from models.catalog import Catalogue
from models.profiles import load_profile, profile_names


@pytest.mark.parametrize("name", ["bundled", "phone", "jetson-orin-nano", "desktop-gpu"])
def test_a_profile_parses_and_its_models_are_known(name: str) -> None:
    table: dict[str, Any] = load_profile(name)
    parse({**table, "profile": name})
    known = Catalogue.load()
    models = [engine["model"] for engine in table.values() if "model" in engine]
    assert models
    for model in models:
        known.find(model)


def test_the_bundled_profile_needs_no_model_hub() -> None:
    known = Catalogue.load()
    models = [engine["model"] for engine in load_profile("bundled").values() if "model" in engine]
    assert all(known.find(model).source.startswith("pypi:") and known.find(model).pinned for model in models)


def test_an_unknown_profile_is_answered_with_the_nearest() -> None:
    assert profile_names() == ["bundled", "desktop-gpu", "jetson-orin-nano", "phone"]
    with pytest.raises(ConfigError, match="did you mean 'jetson-orin-nano'"):
        load_profile("jetson-nano")
