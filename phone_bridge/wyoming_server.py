"""nearsight as a Wyoming server: Home Assistant, or whoever else speaks Wyoming, uses its ears and its voice.

The engines come in as ``Engines``: three functions from one asynchronous iterator to another, so that this file knows no lane
and no model. A connection has one request at a time; while it is served the connection is still read, so that a client that
goes away, which is how Wyoming cancels, ends its work. wyoming's own ``AsyncServer`` listens and its ``async_read_event``
reads, from a reader that refuses lengths out of bounds: by itself it gathers whatever a header promises.

Wyoming knows no passwords: whoever reaches the port can use it. So it is meant for the loopback interface, or a network whose
every machine is trusted.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from edge.errors import EngineMissing, LinkError, UsageError
from phone_bridge.wyoming_offer import Engines
from phone_bridge.wyoming_talk import Talk

if TYPE_CHECKING:
    from wyoming.event import Event
    from wyoming.server import AsyncEventHandler, AsyncServer

CLIENTS: Final = 16
"""Connections at once; one more is sent away."""
CLOSE_S: Final = 5.0


class WyomingServer:
    """Serves ``engines`` at ``tcp://HOST:PORT`` or ``unix:///PATH``."""

    def __init__(self, uri: str, engines: Engines) -> None:
        """Raises UsageError for a malformed address, and EngineMissing where the package ``wyoming`` is not installed."""
        try:
            from wyoming.server import AsyncServer
        except ModuleNotFoundError as error:
            raise EngineMissing("a Wyoming server needs the package wyoming: pip install 'nearsight[wyoming]'") from error
        parts = urlsplit(uri)
        try:
            usable = parts.scheme == "unix" and len(parts.path) > 1 or (parts.scheme == "tcp" and parts.port is not None)
            if not usable:
                raise ValueError
            self._server: AsyncServer = AsyncServer.from_uri(uri)
        except ValueError:
            raise UsageError(f"{uri!r} is no address for a Wyoming server: tcp://HOST:PORT or unix:///PATH") from None
        self.uri = uri
        self._path = Path(parts.path) if parts.scheme == "unix" else None
        self._engines = engines
        self._talks: dict[Talk, asyncio.Task[Any]] = {}

    @property
    def port(self) -> int:
        """Where it listens; 0 for a socket of the file system."""
        listening = getattr(self._server, "_server", None)
        return 0 if self._path or listening is None else int(listening.sockets[0].getsockname()[1])

    async def open(self) -> None:
        """Begins to serve. Raises LinkError where the address cannot be had."""
        if self._path is not None and self._path.exists() and not self._path.is_socket():
            raise LinkError(f"{self._path} is there already, and is no socket")  # wyoming would delete it
        try:
            await self._server.start(self._handler)
        except OSError as error:
            raise LinkError(f"cannot serve at {self.uri}: {error.strerror or error}") from error
        if self._path is None:
            self.uri = f"{self.uri.rpartition(':')[0]}:{self.port}"

    async def close(self) -> None:
        """Sends everybody away."""
        await self._server.stop()
        tasks = list(self._talks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)

    def _handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AsyncEventHandler:
        from wyoming.server import AsyncEventHandler

        server = self

        class Handler(AsyncEventHandler):
            """wyoming's own, but that it reads within bounds and ends with its task."""

            async def run(self) -> None:
                talk = Talk(self.reader, self.writer, server._engines, busy=len(server._talks) >= CLIENTS)
                task = asyncio.current_task()
                assert task is not None
                server._talks[talk] = task
                try:
                    await talk.run()
                finally:
                    del server._talks[talk]

            async def handle_event(self, event: Event) -> bool:
                return False  # ``run`` does not come here

        return Handler(reader, writer)
