"""The two pipes between nearsight and an engine in a process of its own: frames, and the child's end.

``models.worker`` is the parent's end and tells the protocol. This module imports nothing heavy: a child has to start within
the time that a listener takes for a pause.

A frame is two big-endian 32-bit lengths, a JSON object and raw bytes. Both lengths are bounded, so a child gone mad costs at
most one buffer.
"""

from __future__ import annotations

import json
import os
import select
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_HEADER = 1 << 16
"""Bytes of JSON in one frame."""
MAX_BODY = 1 << 20
"""Raw bytes in one frame."""
_LENGTHS = struct.Struct("!II")


class BadFrame(Exception):
    """The other side speaks something else."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message between parent and child."""

    header: Mapping[str, Any]
    body: bytes = b""

    def encode(self) -> bytes:
        """Gives the bytes for the pipe. Raises BadFrame when a bound is passed."""
        header = json.dumps(self.header, ensure_ascii=False, separators=(",", ":")).encode()
        if len(header) > MAX_HEADER or len(self.body) > MAX_BODY:
            raise BadFrame(f"{len(header)} + {len(self.body)} bytes are too many for one frame")
        return _LENGTHS.pack(len(header), len(self.body)) + header + self.body


class Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        """Takes the next bytes, however they were cut."""
        self._bytes += data

    def next(self) -> Frame | None:
        """Gives the next whole frame, or None. Raises BadFrame."""
        if len(self._bytes) < _LENGTHS.size:
            return None
        header_size, body_size = _LENGTHS.unpack_from(self._bytes)
        if header_size > MAX_HEADER or body_size > MAX_BODY:
            raise BadFrame(f"a frame of {header_size} + {body_size} bytes is announced")
        body_at = _LENGTHS.size + header_size
        end = body_at + body_size
        if len(self._bytes) < end:
            return None
        try:
            header = json.loads(self._bytes[_LENGTHS.size : body_at])
        except ValueError as error:
            raise BadFrame("a header is not JSON") from error
        if not isinstance(header, dict):
            raise BadFrame("a header is not an object")
        body = bytes(self._bytes[body_at:end])
        del self._bytes[:end]
        return Frame(header, body)


class Parent:
    """The child's end of the pipes."""

    def __init__(self) -> None:
        # A library that prints (espeak-ng does, on bad data files) must not print between two frames: what it takes for the
        # standard output becomes the log.
        self._in = os.dup(0)
        self._out = os.dup(1)
        os.dup2(2, 1)
        self._frames = Frames()
        self._poll = select.poll()
        self._poll.register(self._in, select.POLLIN)

    def receive(self) -> Frame | None:
        """Waits for the next request; None when the parent is gone."""
        while True:
            frame = self._frames.next()
            if frame is None:
                data = os.read(self._in, 1 << 16)
                if not data:
                    return None
                self._frames.feed(data)
            elif frame.header.get("op") != "cancel":  # one that crossed the request's end
                return frame

    def send(self, header: Mapping[str, Any], body: bytes = b"") -> None:
        """Sends a frame. Raises OSError when the parent is gone."""
        view = memoryview(Frame(header, body).encode())
        while view:
            view = view[os.write(self._out, view) :]

    def cancelled(self) -> bool:
        """Whether to give the request up: while one is under way, the parent sends nothing but ``cancel``, or goes away."""
        return bool(self._poll.poll(0))
