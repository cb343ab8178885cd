"""A station: the place on the network where phones, browsers and WebRTC glasses come and go.

``webrtc://HOST:PORT`` serves the page at ``/``, WHIP at ``/whip``, the dashboard at ``/simulate``. On a loopback address it
speaks plain HTTP, which browsers trust there; everywhere else TLS, because a page without it gets neither microphone nor
camera. ``0.0.0.0`` is every address of this machine, ``[::]`` those of IPv6 as well.

What a client can hold is bounded, beside what ``door`` bounds: bytes of a request, seconds for a body, offers that are not
connections yet, event streams, downloads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from aiohttp import web

from edge import __version__
from edge.config import ServeConfig
from edge.errors import StorageError
from edge.ports import Link
from phone_bridge.access import Access, state_folder, wall_time
from phone_bridge.certificate import Certificate, ensure, given, local_addresses, local_names
from phone_bridge.desk import Desk
from phone_bridge.door import ANYWHERE, Serving, is_loopback, place, url_of
from phone_bridge.guard import Guard
from phone_bridge.impair import Impairment
from phone_bridge.partner import Partners
from phone_bridge.partner_routes import PartnerRoutes
from phone_bridge.pcapng import PacketCapture
from phone_bridge.peer import Peer
from phone_bridge.relayed import RelayedGlasses
from phone_bridge.routes import Routes
from phone_bridge.wearers import Answer, Wearers
from phone_bridge.webrtc import WebRtcGlasses
from phone_bridge.webrtc_capture import captured
from phone_bridge.whip import Whip

log = logging.getLogger(__name__)

TLS_PORT = 8443
PLAIN_PORT = 8080
SYNC_S = 1.0
"""How often the keys are looked at: another process may have revoked one."""


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
        capture: PacketCapture | None = None,
    ) -> None:
        """``state`` is the folder of keys and certificate, where it is not that of ``serve``; ``capture`` is where packets go.

        Raises UsageError where ``uri`` names no place.
        """
        self.uri = uri
        self.desk = desk
        self.host, port = place(uri)
        self.port = port if port is not None else PLAIN_PORT if is_loopback(self.host) else TLS_PORT
        """Port 0 takes one that is free; ``open`` puts its number here."""
        self.secure = not is_loopback(self.host)
        self.certificate: Certificate | None = None
        """What the station shows, once it is open; None without TLS."""
        self._serve = serve or ServeConfig()
        self._state = state or state_folder(self._serve)
        self.access = Access(self._state)
        self._capture = capture
        self._wearers = Wearers(self._serve.wearers, self._glasses, answer if capture is None else captured(answer, capture))
        self._serving: Serving | None = None
        self._partners = Partners()
        self._routes: Routes | None = None
        self._partner_routes: PartnerRoutes | None = None
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
        return url_of(self.host, self.port, secure=self.secure)

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
        self._partner_routes = PartnerRoutes(guard, self._partners, self.invite)
        application = web.Application(middlewares=[guard.middleware])
        application.on_response_prepare.append(guard.prepare)
        application.add_routes([*self._routes.routes(), *self._partner_routes.routes(), *whip.routes()])
        self._serving = await Serving.begin(self.uri, application, self.host, self.port, context)
        self.port = self._serving.port
        self._watch = asyncio.create_task(self._sync())

    async def close(self) -> None:
        """Sends everybody away and ends ``arrivals``."""
        if self._serving is not None:
            self._serving.stop()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        await self._wearers.close()
        if self._capture is not None:
            self._capture.close()
        self._drop()
        if self._serving is not None:
            await self._serving.end()

    async def arrivals(self) -> AsyncIterator[Link]:
        """Gives the glasses of each wearer when the first connection to them stands."""
        async for glasses in self._wearers.arrivals:
            yield glasses

    def invite(self, role: str, wearer: str) -> str:
        """Gives a URL that pairs one device within ten minutes. Raises UsageError for an unknown role or a bad name."""
        return f"{self.url}pair#{self.access.invite(role, wearer)}"

    def _glasses(self, wearer: str) -> WebRtcGlasses:
        partner = self._partners.of(wearer)
        uri = f"webrtc:{wearer}"
        glasses = RelayedGlasses(wearer, keep=self._serve.keep, uri=uri, version=__version__, partner=partner)
        glasses.captured = self._capture is not None
        if self.desk is not None:  # its sliders move it
            glasses.impairment = Impairment()
        return glasses

    def _drop(self, device_id: str | None = None) -> None:
        """Ends the sockets of a device, or all."""
        for routes in (self._routes, self._partner_routes):
            if routes is not None:
                routes.drop(device_id)

    def _certificate(self, hosts: tuple[str, ...]) -> Certificate:
        if self._serve.certificate:
            chain, key = Path(self._serve.certificate), Path(self._serve.certificate_key)
            return given(chain.expanduser(), key.expanduser(), wall_time())
        named = hosts if self.host in (*ANYWHERE, *hosts) else (*hosts, self.host)
        return ensure(self._state, named, wall_time())

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
                self._drop(device_id)
            known = present
