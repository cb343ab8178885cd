"""Tables of TOML: read, laid over one another, and made into frozen values that were checked once.

An unknown key is an error that names the nearest known key, because a typing error that is silently ignored costs a field
tester an afternoon.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from edge.errors import ConfigError


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file. Raises ConfigError with the file's name and the line of the fault."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Lays ``change`` over ``base``, table by table; neither is altered."""
    merged = dict(base)
    for key, value in change.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def as_table(config: Any) -> dict[str, Any]:
    """Gives the configuration back as a TOML table, everything spelt out."""
    table: dict[str, Any] = dataclasses.asdict(config)
    return _listed(table)


def _listed(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _listed(value) if isinstance(value, dict) else list(value) if isinstance(value, tuple) else value
        for key, value in table.items()
    }


def nearest(name: str, known: Mapping[str, Any] | list[str] | tuple[str, ...]) -> str:
    """Gives a half-sentence that names the nearest known name, or all of them.

    A name's beginning, up to one of its hyphens, counts as the name: of ``smollm2-135m-instruct`` people type ``smollm2``.
    """
    names = {whole[: hyphen.start()]: whole for whole in reversed(list(known)) for hyphen in re.finditer("-", whole)}
    names.update({whole: whole for whole in known})
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {names[close[0]]!r}?" if close else "known are " + ", ".join(sorted(known))


def build(kind: Any, table: Mapping[str, Any], prefix: str = "") -> Any:
    """Makes a dataclass from a table, checking every key and type; ``prefix`` is where it stands. Raises ConfigError."""
    hints = get_type_hints(kind)
    known = {item.name: item for item in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        if key not in known:
            raise ConfigError(f"unknown key {name!r}: {nearest(key, list(known))}")
        values[key] = _value(hints[key], value, name)
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(error.text if not prefix or error.text.startswith(prefix) else prefix + error.text) from None


def _value(kind: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{name}: must be a table, like [{name}]")
        return build(kind, value, f"{name}.")
    origin = get_origin(kind)
    if origin is tuple:
        item = get_args(kind)[0]
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{name}: must be a list")
        return tuple(_value(item, entry, f"{name}[{at}]") for at, entry in enumerate(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"{name}: must be {_words[kind]}, not {value!r}")
    return value


_words: Mapping[type, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
