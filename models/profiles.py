"""The profiles that are shipped: TOML files of the shape of a configuration, in the folder ``profiles`` beside this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge.errors import ConfigError
from edge.tables import nearest, read_toml

_FOLDER = Path(__file__).with_name("profiles")


def profile_names() -> list[str]:
    """Gives the names of the profiles, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_profile(name: str) -> dict[str, Any]:
    """Gives a profile as a TOML table. Raises ConfigError, which names the nearest profile."""
    names = profile_names()
    if name not in names:
        raise ConfigError(f"unknown profile {name!r}: {nearest(name, names)}")
    return read_toml(_FOLDER / f"{name}.toml")
