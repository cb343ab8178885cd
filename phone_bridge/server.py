"""A station: the place on the network where phones, browsers and WebRTC glasses come and go.

``webrtc://HOST:PORT`` serves the page at ``/``, WHIP at ``/whip``, the dashboard at ``/simulate``. On a loopback address it
speaks plain HTTP, which browsers trust there; everywhere else TLS, because a page without it gets neither microphone nor
camera. ``0.0.0.0`` is every address of this machine, ``[::]`` those of IPv6 as well.

What a client can hold is bounded: connections in all and from one address, seconds for a header, a body or a TLS handshake,
bytes of each, offers that are not connections yet, event streams, downloads.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from edge import __version__
from edge.config import ServeConfig
from edge.errors import LinkError, StorageError, UsageError
from edge.ports import Link
from phone_bridge.access import Access, state_folder, wall_time
from phone_bridge.certificate import Certificate, ensure, given, local_addresses, local_names
from phone_bridge.desk import Desk
from phone_bridge.guard import Guard, http_log
from phone_bridge.impair import Impairment
from phone_bridge.peer import Peer
from phone_bridge.routes import Routes
from phone_bridge.wearers import Answer, Wearers
from phone_bridge.webrtc import WebRtcGlasses
from phone_bridge.whip import Whip

log = logging.getLogger(__name__)

TLS_PORT = 8443
PLAIN_PORT = 8080
CONNECTIONS = 256
CONNECTIONS_AN_ADDRESS = 64
IDLE_S = 15.0
"""Seconds that a connection may be open without a request, the time for a request's header included."""
HANDSHAKE_S = 10.0
GOODBYE_S = 2.0
"""Seconds for requests that are being answered when the station closes."""
SYNC_S = 1.0
"""How often the keys are looked at: another process may have revoked one."""
ANYWHERE = ("0.0.0.0", "::")


class WebRtcStation:
    """Serves wearers who come over the network; ``open`` begins, ``arrivals`` gives them."""

    def __init__(
        self,
        uri: str,
        serve: ServeConfig | None = None,
        *,
        desk: Desk | None = None,
        state: Path | None = None,
        answer: Answer = Peer.answer,
    ) -> None:
        """``state`` is the folder of keys and certificate, where it is not that of ``serve``.

        Raises UsageError where ``uri`` names no place.
        """
        self.uri = uri
        self.desk = desk
        self.host, self.port = _place(uri)
        """Port 0 takes one that is free; ``open`` puts its number here."""
        self.secure = not _is_loopback(self.host)
        self.certificate: Certificate | None = None
        """What the station shows, once it is open; None without TLS."""
        self._serve = serve or ServeConfig()
        self._state = state or state_folder(self._serve)
        self.access = Access(self._state)
        self._wearers = Wearers(self._serve.wearers, self._glasses, answer)
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._routes: Routes | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def glasses(self) -> Mapping[str, WebRtcGlasses]:
        """The glasses of the wearers who are here, by their names."""
        return self._wearers.glasses

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, once the station is open; empty without TLS."""
        return self.certificate.fingerprint if self.certificate is not None else ""

    @property
    def url(self) -> str:
        """Where the page is, for a browser: of all our addresses the one that others reach first."""
        host = self.host
        if host in ANYWHERE:
            host = next((address for address in local_addresses() if host == "::" or ":" not in address), "127.0.0.1")
        return f"{'https' if self.secure else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}/"

    async def open(self) -> None:
        """Begins to serve. Raises LinkError for a port or a host that cannot be had, StorageError, ConfigError."""
        self.access.open()
        context = None
        hosts = (*local_names(), *local_addresses(), *self._serve.hosts)
        if self.secure:
            self.certificate = await asyncio.to_thread(self._certificate, hosts)
            context = self.certificate.context()
        guard = Guard(self.access, {*hosts, self.host}, self._serve.origins)
        whip = Whip(guard, self.access, self._wearers)
        self._routes = Routes(guard, self.access, self._wearers, self.invite, lambda: self.desk, __version__)
        application = web.Application(middlewares=[guard.middleware])
        application.on_response_prepare.append(guard.prepare)
        application.add_routes([*self._routes.routes(), *whip.routes()])
        self._runner = web.AppRunner(
            application,
            access_log=None,
            logger=http_log,
            keepalive_timeout=IDLE_S,
            shutdown_timeout=GOODBYE_S,
            lingering_time=1.0,
            auto_decompress=False,  # nothing that is sent here is large, and a bomb is small
        )
        await self._runner.setup()
        try:
            self._server = await self._listen(self._runner, context)
        except OSError as error:
            await self._runner.cleanup()
            raise LinkError(f"{self.uri}: {_why(error, self.port)}") from error
        self.port = self._server.sockets[0].getsockname()[1]
        self._watch = asyncio.create_task(self._sync())

    async def close(self) -> None:
        """Sends everybody away and ends ``arrivals``."""
        if self._server is not None:
            self._server.close()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        await self._wearers.close()
        if self._routes is not None:
            self._routes.drop()
        if self._runner is not None:
            await self._runner.cleanup()

    async def arrivals(self) -> AsyncIterator[Link]:
        """Gives the glasses of each wearer when the first connection to them stands."""
        async for glasses in self._wearers.arrivals:
            yield glasses

    def invite(self, role: str, wearer: str) -> str:
        """Gives a URL that pairs one device within ten minutes. Raises UsageError for an unknown role or a bad name."""
        return f"{self.url}pair#{self.access.invite(role, wearer)}"

    def _glasses(self, wearer: str) -> WebRtcGlasses:
        glasses = WebRtcGlasses(wearer, keep=self._serve.keep, uri=f"webrtc:{wearer}", version=__version__)
        if self.desk is not None:  # its sliders move it
            glasses.impairment = Impairment()
        return glasses

    def _certificate(self, hosts: tuple[str, ...]) -> Certificate:
        if self._serve.certificate:
            chain, key = Path(self._serve.certificate), Path(self._serve.certificate_key)
            return given(chain.expanduser(), key.expanduser(), wall_time())
        named = hosts if self.host in (*ANYWHERE, *hosts) else (*hosts, self.host)
        return ensure(self._state, named, wall_time())

    async def _listen(self, runner: web.AppRunner, context: ssl.SSLContext | None) -> asyncio.Server:
        server = runner.server
        assert server is not None, "setup() made it"
        # asyncio keeps IPv4 out of an IPv6 socket: every address of both kinds is what no host at all stands for.
        host = None if self.host == "::" else self.host
        timeout = HANDSHAKE_S if context is not None else None
        return await asyncio.get_running_loop().create_server(
            lambda: _Door(server), host, self.port, ssl=context, ssl_handshake_timeout=timeout, backlog=64
        )

    async def _sync(self) -> None:
        """Sends devices away whose keys another process has revoked."""
        known = {device.id for device in self.access.devices()}
        told = ""
        while True:
            await asyncio.sleep(SYNC_S)
            try:
                self.access.sync()
                told = ""
            except StorageError as error:
                if error.text != told:
                    log.warning("%s", error.text)
                told = error.text
            present = {device.id for device in self.access.devices()}
            for device_id in known - present:
                await self._wearers.revoke(device_id)
                if self._routes is not None:
                    self._routes.drop(device_id)
            known = present


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


def _place(uri: str) -> tuple[str, int]:
    """Gives host and port of a URI. Raises UsageError."""
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{uri!r}: {error}") from None
    if not host or parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        raise UsageError(f"{uri!r} names no place: write webrtc://HOST:PORT, with an IPv6 address in brackets")
    if port is None:
        port = PLAIN_PORT if _is_loopback(host) else TLS_PORT
    return host, port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _why(error: OSError, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} is in use: another program, or another nearsight, serves there"
        case errno.EACCES | errno.EPERM:
            return f"port {port} is for privileged programs: take one above 1023"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address"
    return error.strerror or str(error)
