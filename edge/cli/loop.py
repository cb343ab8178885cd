"""Runs a command's coroutine: in real time, as fast as the machine can, or in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar, TypeVar

from edge.errors import NearsightError
from edge.runtime import virtual

T = TypeVar("T")


class Interrupted(NearsightError):
    """Ctrl-C. By the time it is raised everything has been closed."""

    code = "interrupted"
    exit_code: ClassVar[int] = 130


def run(main: Coroutine[Any, Any, T], *, fast: bool = False) -> T:
    """Runs to the end; ``fast`` skips waiting and charges work. Raises Interrupted after Ctrl-C."""
    try:
        return virtual.run(main, charge=True) if fast else asyncio.run(main)
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None
