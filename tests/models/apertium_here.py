"""Apertium as it is installed, and pipes of programs that behave as Apertium's may."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import pytest

from models.apertium_modes import find, installed

_PROGRAM: Final = """#!{python} -I
import os, sys, time

def requests():
    held = b""
    while data := os.read(0, 1 << 16):
        held += data
        *whole, held = held.split(b"\\0")
        yield from whole

for number, request in enumerate(requests()):
{body}
"""


def needs_apertium() -> None:
    """Skips the test, loudly, where Apertium's English and Spanish are not installed."""
    if find("en", "es", installed()) is None:
        pytest.skip("APERTIUM MISSING: sudo apt-get install apertium-eng-spa")


def mode(folder: Path, name: str, body: str) -> Path:
    """Writes a mode of one program, whose loop over requests has ``body``; gives the folder of modes."""
    program = folder / f"{name}-program"
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    program.write_text(_PROGRAM.format(python=sys.executable, body=lines))
    program.chmod(0o755)
    (folder / f"{name}.mode").write_text(f"'{program}' $1 $2")
    return folder


ECHO: Final = "os.write(1, request.upper() + b'\\0')"
"""A program that answers at once."""
