"""A replay in a process of its own: virtual time and the live sessions' loop do not go together.

The process loads engines of its own, so it needs their memory once more while it runs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

MAX_LINES = 1000
"""Lines of output that are shown; what comes after is counted."""
MAX_LINE = 64 * 1024
"""Bytes; a longer line is not shown."""
TERM_S = 2.0
"""Seconds that the process may take to end when asked."""


def replay_command(bundle: Path) -> tuple[str, ...]:
    """Gives the command that replays a bundle with this interpreter."""
    return (sys.executable, "-m", "edge.cli.main", "replay", str(bundle), "--json")


class Replay:
    """One replay. ``tell`` gets ``{"bundle"}`` with ``line``, an event; with ``text``, a remark; and last with ``exit``."""

    def __init__(self, name: str, command: Sequence[str], tell: Callable[[Mapping[str, Any]], None]) -> None:
        self.name = name
        self._command = tuple(command)
        self._tell = tell
        self._lines = 0

    async def run(self) -> None:
        """Runs it to its end; a cancelled task ends the process first."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=MAX_LINE,
            )
        except OSError as error:
            self._say({"text": f"replay cannot start: {error.strerror or error}"})
            self._say({"exit": 1})
            return
        assert process.stdout is not None and process.stderr is not None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(process.stdout, as_json=True))
                group.create_task(self._read(process.stderr, as_json=False))
            code = await process.wait()
        finally:
            await _end(process)
        if self._lines > MAX_LINES:
            self._say({"text": f"{self._lines - MAX_LINES} more lines are not shown"})
        self._say({"exit": code})

    async def _read(self, pipe: asyncio.StreamReader, *, as_json: bool) -> None:
        while True:
            try:
                line = await pipe.readline()
            except ValueError:  # longer than MAX_LINE: asyncio has dropped it, and goes on behind it
                line = b"(a line that is too long to show)\n"
            if not line:
                return
            self._lines += 1
            if self._lines <= MAX_LINES:
                self._say(_row(line, as_json=as_json))

    def _say(self, row: Mapping[str, Any]) -> None:
        self._tell({"bundle": self.name, **row})


def _row(line: bytes, *, as_json: bool) -> Mapping[str, Any]:
    text = line.decode("utf-8", "replace").rstrip()
    if as_json:
        try:
            value = json.loads(text)
        except ValueError:
            return {"text": text}
        if isinstance(value, dict):
            return {"line": value}
    return {"text": text}


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends a process that still runs: asks first, then kills."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(TERM_S):
            await process.wait()
    except TimeoutError:
        log.warning("replay %d did not end when asked: killed", process.pid)
        process.kill()
        await process.wait()
