"""Where a station's HTTP comes in: its place in a URI, its port, and how many connections fit through at once.

What a client can hold is bounded here: connections in all and from one address, seconds for a request's header, seconds for a
TLS handshake.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import ssl
from urllib.parse import urlsplit

from aiohttp import web

from edge.errors import LinkError, UsageError
from phone_bridge.certificate import local_addresses
from phone_bridge.guard import http_log

log = logging.getLogger(__name__)

CONNECTIONS = 256
CONNECTIONS_AN_ADDRESS = 64
IDLE_S = 15.0
"""Seconds that a connection may be open without a request, the time for a request's header included."""
HANDSHAKE_S = 10.0
GOODBYE_S = 2.0
"""Seconds for requests that are being answered when the station closes."""
ANYWHERE = ("0.0.0.0", "::")


def place(uri: str) -> tuple[str, int | None]:
    """Gives host and port of ``SCHEME://HOST:PORT``; None where it names no port. Raises UsageError."""
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{uri!r}: {error}") from None
    if not host or parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        raise UsageError(f"{uri!r} names no place: write {parts.scheme}://HOST:PORT, with an IPv6 address in brackets")
    return host, port


def is_loopback(host: str) -> bool:
    """Says whether only this machine can reach a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def url_of(host: str, port: int, *, secure: bool) -> str:
    """Gives where others reach a station: for one that listens anywhere, by the address that they reach first."""
    if host in ANYWHERE:
        host = next((address for address in local_addresses() if host == "::" or ":" not in address), "127.0.0.1")
    return f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"


class Serving:
    """An application that takes connections at a port."""

    def __init__(self, runner: web.AppRunner, server: asyncio.Server) -> None:
        self._runner = runner
        self._server = server

    @classmethod
    async def begin(
        cls, uri: str, application: web.Application, host: str, port: int, context: ssl.SSLContext | None
    ) -> Serving:
        """Begins. Raises LinkError, in the name of ``uri``, for a port or a host that cannot be had."""
        runner = web.AppRunner(
            application,
            access_log=None,
            logger=http_log,
            keepalive_timeout=IDLE_S,
            shutdown_timeout=GOODBYE_S,
            lingering_time=1.0,
            auto_decompress=False,  # nothing that is sent here is large, and a bomb is small
        )
        await runner.setup()
        try:
            return cls(runner, await _listen(runner, host, port, context))
        except OSError as error:
            await runner.cleanup()
            raise LinkError(f"{uri}: {_why(error, port)}") from error

    @property
    def port(self) -> int:
        """The port's number, where 0 was asked for."""
        return int(self._server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        """Takes no more connections."""
        self._server.close()

    async def end(self) -> None:
        """Ends those that there are."""
        await self._runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int, context: ssl.SSLContext | None) -> asyncio.Server:
    server = runner.server
    assert server is not None, "setup() made it"
    # asyncio keeps IPv4 out of an IPv6 socket: every address of both kinds is what no host at all stands for.
    at = None if host == "::" else host
    timeout = HANDSHAKE_S if context is not None else None
    return await asyncio.get_running_loop().create_server(
        lambda: _Door(server), at, port, ssl=context, ssl_handshake_timeout=timeout, backlog=64
    )


def _why(error: OSError, port: int) -> str:
    """Gives the reason for which a port cannot be had, in words."""
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} is in use: another program, or another nearsight, serves there"
        case errno.EACCES | errno.EPERM:
            return f"port {port} is for privileged programs: take one above 1023"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address"
    return error.strerror or str(error)


class _Door(asyncio.Protocol):
    """Takes a new connection while there is room, and hands it to the HTTP server."""

    def __init__(self, server: web.Server) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        others = [handler.transport for handler in self._server.connections if handler.transport is not None]
        address = _address(transport)
        if len(others) >= CONNECTIONS or sum(_address(other) == address for other in others) >= CONNECTIONS_AN_ADDRESS:
            log.warning("a connection is refused: %d are open", len(others))
            transport.abort()
            return
        handler = self._server()
        transport.set_protocol(handler)
        handler.connection_made(transport)


def _address(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else "?"
