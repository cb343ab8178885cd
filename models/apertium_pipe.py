"""The programs of one Apertium mode, in a pipe that is kept open.

A request ends with a NUL, and so does its answer: every program flushes there (``-z``). One request is under way at a time.
The programs' standard error shares one pipe that nobody waits for: when it is full, what they say is lost.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Sequence
from typing import Final

from edge.errors import EngineHung, EngineMissing
from edge.ports import Stop

_LOOK: Final = 0.01
"""Seconds between two looks at the stop flag while nothing comes."""
_SETTLE: Final = 0.05
"""Seconds that a request which was given up may take to end before its programs are."""
_GROWTH: Final = 100
_SPARE: Final = 1 << 16
"""An answer has at most a hundred times the bytes of its request, and 64 KiB: some versions of lt-proc write for ever at a
character that they do not know (apertium/lttoolbox issue 112)."""


class Broken(Exception):
    """The pipe broke: a program ended, or wrote for ever."""


class Pipe:
    """One running chain of programs."""

    def __init__(self, name: str, commands: Sequence[Sequence[str]], end: bytes) -> None:
        """Starts them; ``end`` is what every request ends with, and every answer has. Raises EngineMissing."""
        self._name = name
        self._end = end
        self._processes: list[subprocess.Popen[bytes]] = []
        self._complaints, complaints = os.pipe()
        self._open = True
        os.set_blocking(self._complaints, False)
        os.set_blocking(complaints, False)
        try:
            for command in commands:
                self._start(command, complaints)
        except OSError as error:
            self.close()
            raise EngineMissing(f"{error.filename}, a part of Apertium, cannot be started: {error.strerror}") from error
        finally:
            os.close(complaints)
        source, sink = self._processes[0].stdin, self._processes[-1].stdout
        assert source is not None and sink is not None
        self._source, self._sink = source, sink
        self._poll = select.poll()
        self._poll.register(sink, select.POLLIN)

    def _start(self, command: Sequence[str], complaints: int) -> None:
        before = self._processes[-1].stdout if self._processes else subprocess.PIPE
        process = subprocess.Popen(
            command,
            stdin=before,
            stdout=subprocess.PIPE,
            stderr=complaints,
            bufsize=0,
            start_new_session=True,  # Ctrl-C in a terminal goes to all of its foreground group
            env=os.environ | {"LC_ALL": "C.UTF-8"},
        )
        self._processes.append(process)
        if not isinstance(before, int) and before is not None:
            before.close()  # the program's own end is the only one left, so that the pipe breaks when it ends

    @property
    def pids(self) -> tuple[int, ...]:
        """The programs' process ids, in the order of the pipe."""
        return tuple(process.pid for process in self._processes)

    def ask(self, request: bytes, limit: float, stop: Stop) -> bytes | None:
        """Gives the answer to a request, both without their NUL; None once ``stop`` is set.

        Raises Broken, and EngineHung where nothing comes within ``limit`` seconds. After either, or after None where ``alive``
        says so, the pipe is of no use any more.
        """
        self._hear()  # what was said before is not why it breaks now
        deadline = time.monotonic() + limit
        answer = bytearray()
        try:
            self._source.write(request + b"\0")  # into an empty pipe, which takes 64 KiB
            while not answer.endswith(b"\0"):
                if stop and deadline - time.monotonic() > _SETTLE:
                    deadline = time.monotonic() + _SETTLE
                left = deadline - time.monotonic()
                if left <= 0:
                    self.close()
                    if stop:
                        return None
                    raise EngineHung(f"apertium {self._name}: nothing within {limit:g} s")
                if self._poll.poll(1000 * min(left, _LOOK)):
                    answer += self._read()
                if len(answer) > _GROWTH * len(request) + _SPARE:
                    raise Broken(f"{len(answer)} bytes come of {len(request)}")
        except OSError as error:
            raise Broken(self._hear() or error.strerror) from error
        if stop:
            return None
        # A program whose input ends flushes what it has, as if that were all: one that died has killed those behind it softly.
        if answer.count(b"\0") != 1 or self._end not in answer:
            raise Broken("an answer is cut short")
        return bytes(answer[:-1])

    @property
    def alive(self) -> bool:
        """Whether all programs run."""
        return bool(self._processes) and all(process.poll() is None for process in self._processes)

    def close(self) -> None:
        """Ends the programs at once."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        self._processes = []
        if self._open:
            self._open = False
            os.close(self._complaints)

    def _read(self) -> bytes:
        data = os.read(self._sink.fileno(), 1 << 16)
        if not data:
            raise BrokenPipeError(None, "a program ended")
        return data

    def _hear(self) -> str:
        """Gives the last line that the programs complained of since it was asked last."""
        heard = b""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._complaints, 1 << 16):
                heard = data
        lines = heard.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
