"""Writes what follows from the table of the glasses profile: ``python -m tools.profile_table [--check]``.

``firmware_stubs/profile.toml`` is the one place where a number of the profile stands. From it come the constants and messages
of ``phone_bridge/wire``, the C header and layout table of ``firmware_stubs``, and the tables between the markers of PROFILE.md.
``--check`` writes nothing and fails where a file differs.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools.profile_c import header, source
from tools.profile_markdown import filled
from tools.profile_python import constants, control, layouts, messages

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "firmware_stubs" / "profile.toml"
DOCUMENT = ROOT / "firmware_stubs" / "PROFILE.md"

SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "bytes16": 16}
Table = Mapping[str, Any]


def read(path: Path = TABLE) -> Table:
    """Gives the table. Raises ValueError where a message is longer than a value of the smallest MTU."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    heads = {channel["name"]: channel["head"] for channel in table["channel"]}
    for message in table["message"]:
        fields = heads[message["channel"]] + message["fields"]
        size = sum(SIZES.get(field["type"], field.get("min", 0)) for field in fields)
        if size > 20:
            raise ValueError(f"{message['name']} takes {size} bytes, a value of MTU 23 has 20")
    return table


def formatted(text: str) -> str:
    """Gives Python source as the formatter leaves it."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--stdin-filename", "phone_bridge/wire/x.py", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return done.stdout


def outputs(table: Table) -> dict[Path, str]:
    """Gives every generated file with its text."""
    python: dict[str, Callable[[Table], str]] = {
        "profile": constants,
        "control": control,
        "messages": messages,
        "layouts": layouts,
    }
    found = {ROOT / "phone_bridge" / "wire" / f"{name}.py": formatted(make(table)) for name, make in python.items()}
    found[ROOT / "firmware_stubs" / "include" / "nearsight" / "profile.h"] = header(table)
    found[ROOT / "firmware_stubs" / "src" / "profile.c"] = source(table)
    if DOCUMENT.exists():
        found[DOCUMENT] = filled(table, DOCUMENT.read_text(encoding="utf-8"))
    return found


def stale(table: Table) -> list[Path]:
    """Gives the files that do not say what the table says."""
    return [path for path, text in outputs(table).items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def main(arguments: list[str]) -> int:
    """Writes the files, or with ``--check`` names those that are stale."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m tools.profile_table [--check]", file=sys.stderr)
        return 2
    table = read()
    wrong = stale(table)
    texts = outputs(table)
    for path in wrong:
        print("stale:" if arguments else "written:", path.relative_to(ROOT))
        if not arguments:
            path.write_text(texts[path], encoding="utf-8")
    return int(bool(arguments and wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
