"""Asks a page for a still, takes it in and decodes it beside the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edge.errors import InputError, NearsightError
from edge.values import Pixels
from phone_bridge.control import Still, StillChunk
from phone_bridge.stills import StillAssembly, decode_still


class Photos:
    """One still at a time, from the request to its pixels."""

    def __init__(self, send: Callable[..., bool], give: Callable[[Pixels, float], None]) -> None:
        """``send(type, **fields)`` sends a message; ``give`` gets the pixels and the loop time of the still's announcement."""
        self._send = send
        self._give = give
        self._loop = asyncio.get_running_loop()
        self._assembly = StillAssembly()
        self._announced = 0.0
        self._id = 0

    def snap(self) -> None:
        """Asks for a still, unless one is on its way."""
        now = self._loop.time()
        if self._assembly.busy and not self._assembly.expired(now):
            return
        self._id += 1
        if self._send("snap", id=self._id):
            self._assembly.want(self._id, now)

    def forget(self) -> None:
        """Waits for none; one that is being decoded is dropped."""
        self._assembly.forget()
        self._id += 1

    def failed(self, still: int) -> None:
        """Takes that the page has none to give."""
        if still == self._id:
            self.forget()

    def begin(self, header: Still) -> None:
        """Takes a still's announcement."""
        self._announced = self._loop.time()
        try:
            self._assembly.begin(header)
        except InputError as error:
            self._refuse(error)

    def add(self, chunk: StillChunk) -> None:
        """Takes the next piece."""
        try:
            whole = self._assembly.add(chunk)
        except InputError as error:
            self._refuse(error)
            return
        if whole is not None:
            still, at = self._id, self._announced
            decoding = self._loop.run_in_executor(None, decode_still, whole)
            decoding.add_done_callback(lambda done: self._decoded(done, still, at))

    def _decoded(self, decoding: asyncio.Future[Pixels], still: int, at: float) -> None:
        if decoding.cancelled():
            return
        error = decoding.exception()
        if isinstance(error, NearsightError):
            self._refuse(error)
        elif error is not None:
            raise error
        elif still == self._id:
            self._give(decoding.result(), at)

    def _refuse(self, error: NearsightError) -> None:
        self._send("error", code=error.code, text=error.text)
