"""``config check``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge import app
from edge.cli.output import Output
from edge.tables import as_table


def check(file: Path | None, profile: str | None, *, as_json: bool) -> None:
    """Says that a configuration can be used and shows all of it; otherwise raises the ConfigError that says why not."""
    config = app.load_config(profile, file)
    table = as_table(config)
    output = Output(as_json=as_json)
    if as_json:
        output.line({"ok": True, "config": table})
        return
    print(f"# ok: profile {config.profile}" + (f" with {file}" if file is not None else ""))
    for key, value in table.items():
        if isinstance(value, dict):
            print(f"\n[{key}]")
            for name, item in value.items():
                print(f"{name} = {_toml(item)}")
        else:
            print(f"{key} = {_toml(value)}")


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case list():
            return "[" + ", ".join(_toml(item) for item in value) + "]"
        case _:
            return str(value)
