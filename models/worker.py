"""An engine in a process of its own, behind two pipes.

Two kinds of engine live this way: those under the GPL (espeak-ng, Piper), which nearsight runs beside itself and never loads
into itself, and those whose crash must cost one sentence and not the session. The child is a module of this package, run as
``python -m models.<name>_worker``; it reads requests from its standard input and answers on its standard output.

One request is under way at a time::

    child  -> {"op": "hello", ...}                      once, when it is ready
    parent -> {"op": ..., ...} + bytes                  a request
    child  -> {"op": ..., ...} + bytes                  any number of items
    child  -> {"op": "end"} or {"op": "error", "text"}  exactly one, last
    parent -> {"op": "cancel"}                          at any time in between; the child then ends early

A child whose standard input ends, ends: no orphan outlives a parent that was killed.

The child is started in a session of its own, because Ctrl-C in a terminal goes to the whole foreground group, and the parent
needs its engine to finish in order.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from edge.errors import EngineFailed, EngineHung
from edge.ports import Stop
from models.pipe import BadFrame, Frame, Frames

log = logging.getLogger(__name__)

_LOOK = 0.01
"""Seconds between two looks at the stop flag while the child is silent: no thread can wait for a pipe and an Event at once."""
_SETTLE = 0.05
"""Seconds that a cancelled request may take to end before its lane is freed without it; the next request waits for the rest."""


class Worker:
    """The parent's end: starts the child when it is needed, and a fresh one after a crash or a hang.

    It belongs to one lane; only ``close()`` may be called from another thread, and then ends a request under way as a crash
    of the child would.
    """

    def __init__(self, module: str, arguments: Sequence[str] = (), *, time_limit: float) -> None:
        """``time_limit`` is how many seconds the child may be silent while a request is under way, or while it starts.

        ``arguments`` are the child's: what it loads, so that a fresh one loads it again.
        """
        self._module = module
        self._arguments = tuple(arguments)
        self._limit = time_limit
        self._child: _Child | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id, or None while there is none."""
        return self._child.process.pid if self._child else None

    def start(self) -> Mapping[str, Any]:
        """Starts the child unless one runs; gives what it said of itself. Raises EngineFailed, EngineHung."""
        return self._ready().hello

    def close(self) -> None:
        """Ends the child."""
        child, self._child = self._child, None
        if child:
            child.end()

    def request(self, header: Mapping[str, Any], body: bytes, stop: Stop) -> Generator[Frame, None, None]:
        """Gives the child's answers to one request; ends early, without an error, once ``stop`` is set.

        Leaving the iteration cancels the request too. Raises EngineFailed (the child reported an error, or crashed) and
        EngineHung; after a crash or a hang the next request has a fresh child.
        """
        if stop:
            return
        try:
            data = Frame(header, body).encode()
        except BadFrame as error:
            raise EngineFailed(f"{self._module}: {error}") from error
        child = self._ready()
        try:
            child.write(data)
            while (frame := child.read(self._limit, stop)) is not None:
                if frame.header.get("op") == "end":
                    return
                if frame.header.get("op") == "error":
                    raise EngineFailed(f"{self._module}: {frame.header.get('text', 'failed')}")
                yield frame
        except (OSError, BadFrame, EngineHung) as error:
            self._drop(child)
            if isinstance(error, EngineHung):
                raise
            raise EngineFailed(f"{self._module}: {error}") from error
        finally:
            if child is self._child and child.busy:
                self._cancel(child)

    def _ready(self) -> _Child:
        child = self._child
        if child and child.process.poll() is not None:
            log.warning("%s ended by itself with status %s; a fresh one is started", self._module, child.process.returncode)
            self._drop(child)
            child = None
        if child:
            try:
                child.settle(self._limit)
                return child
            except (OSError, BadFrame, EngineHung) as error:
                log.warning("%s did not recover from a cancelled request: %s", self._module, error)
                self._drop(child)
        self._child = child = _Child(self._module, self._arguments)
        try:
            child.greet(self._limit)
        except (OSError, BadFrame) as error:
            self._drop(child)
            raise EngineFailed(f"{self._module} did not start: {error}") from error
        except EngineHung:
            self._drop(child)
            raise
        return child

    def _cancel(self, child: _Child) -> None:
        try:
            child.write(Frame({"op": "cancel"}).encode())
            child.settle(_SETTLE)
        except EngineHung:
            log.info("%s is still busy with a cancelled request", self._module)
        except (OSError, BadFrame) as error:
            log.warning("%s broke while a request was cancelled: %s", self._module, error)
            self._drop(child)

    def _drop(self, child: _Child) -> None:
        if self._child is child:
            self._child = None
        child.kill()


class _Child:
    """One running child. ``busy`` from a request until its last frame has been read."""

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        root = str(Path(__file__).parents[1])
        # -P keeps the working directory off the path: a folder named "models" is what everybody who trains networks has.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            env=environment,
        )
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self._stdin: IO[bytes] = self.process.stdin
        self._stdout: IO[bytes] = self.process.stdout
        self._stderr: IO[bytes] = self.process.stderr
        self._poll = select.poll()
        self._poll.register(self._stdout, select.POLLIN)
        self._pipes = threading.Lock()  # held while a pipe is used, so that close() from another thread cannot pull it away
        self._frames = Frames()
        self._module = module
        self._log = threading.Thread(target=self._copy_log, name=f"{module} log", daemon=True)
        self._log.start()
        self.busy = False
        self.hello: Mapping[str, Any] = {}

    def greet(self, limit: float) -> None:
        """Waits for the first frame. Raises OSError, BadFrame, EngineHung."""
        frame = self.read(limit, Stop())
        if frame is None or frame.header.get("op") != "hello":
            raise BadFrame(str(frame.header.get("text", "its first frame is no hello")) if frame else "silent")
        self.hello = frame.header

    def write(self, data: bytes) -> None:
        """Sends a frame. The child reads when it is idle, so a request never meets a full pipe that nobody empties."""
        view = memoryview(data)
        self.busy = True
        with self._pipes:
            if self._stdin.closed:
                raise BrokenPipeError("closed")
            while view:
                view = view[self._stdin.write(view) :]

    def read(self, limit: float, stop: Stop) -> Frame | None:
        """Gives the next frame, or None once ``stop`` is set. Raises OSError, BadFrame, EngineHung."""
        deadline = time.monotonic() + limit
        while not stop:
            frame = self._frames.next()
            if frame is not None:
                self.busy = self.busy and frame.header.get("op") not in ("end", "error")
                return frame
            left = deadline - time.monotonic()
            if left <= 0:
                raise EngineHung(f"{self._module}: nothing for {limit:g} s")
            with self._pipes:
                if self._stdout.closed:
                    raise BrokenPipeError("closed")
                data = os.read(self._stdout.fileno(), 1 << 16) if self._poll.poll(1000 * min(left, _LOOK)) else None
            if data == b"":
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(0.2)
                raise BrokenPipeError(f"its process ended with status {self.process.returncode}")
            self._frames.feed(data or b"")
        return None

    def settle(self, limit: float) -> None:
        """Reads what is left of a cancelled request. Raises OSError, BadFrame, EngineHung."""
        deadline = time.monotonic() + limit
        never = Stop()
        while self.busy:
            self.read(max(0.0, deadline - time.monotonic()), never)

    def end(self) -> None:
        """Lets the child finish by itself, half a second at most."""
        with contextlib.suppress(OSError), self._pipes:
            self._stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.5)
        self.kill()

    def kill(self) -> None:
        """Ends the child, and what it forked, at once; frees the pipes."""
        if self.process.poll() is None:  # while it is not reaped, nobody else can have its process group
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._log.join(1)
        with self._pipes:
            for pipe in (self._stdin, self._stdout, self._stderr):
                with contextlib.suppress(OSError):
                    pipe.close()

    def _copy_log(self) -> None:
        for line in iter(lambda: self._stderr.readline(4096), b""):
            log.warning("%s: %s", self._module, line.decode(errors="replace").rstrip())
