"""A station without WebRTC: connections that do as they are told, the real HTTP around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
from aiohttp import web

from edge.errors import InputError, UsageError
from phone_bridge.access import Access
from phone_bridge.desk import Desk
from phone_bridge.guard import Guard
from phone_bridge.partner import Partners
from phone_bridge.partner_routes import PartnerRoutes
from phone_bridge.peer import Peer
from phone_bridge.routes import Routes
from phone_bridge.wearers import Wearers
from phone_bridge.webrtc import WebRtcGlasses
from phone_bridge.whip import Whip

LINGERING_S = 0.2
"""How long the server reads on after it has refused a body. Its task for that outlives the connection."""
OFFER = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n"
ANSWER = "v=0\r\nanswer\r\n"
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


class FakePeer:
    def __init__(self, sink: FakeGlasses, device: str) -> None:
        self.sink = sink
        self.device = device
        self.on_connected: Callable[[FakePeer], None] | None = None
        self.on_closed: Callable[[FakePeer], None] | None = None
        self.connected = self.closed = False
        self.fragments: list[str] = []
        self.restarts = True

    def connect(self) -> None:
        self.connected = True
        self.sink.attach(self)
        if self.on_connected is not None:
            self.on_connected(self)

    async def close(self) -> None:
        if not self.closed:
            self.connected, self.closed = False, True
            if self.sink.peer is self:
                self.sink.peer = None
            if self.on_closed is not None:
                self.on_closed(self)

    def close_soon(self, reason: str, last: Mapping[str, Any] | None = None) -> None:
        self.closing = asyncio.create_task(self.close())

    def is_restart(self, fragment: str) -> bool:
        if "a=" not in fragment:
            raise InputError("malformed fragment: no attribute in it")
        return "ufrag:new" in fragment

    async def add_candidates(self, fragment: str) -> None:
        self.fragments.append(fragment)

    async def restart_ice(self, fragment: str) -> str:
        if not self.restarts:
            raise UsageError("not supported")
        self.fragments.append(fragment)
        return "a=ice-ufrag:ours\r\n"


class FakeGlasses:
    def __init__(self, wearer: str) -> None:
        self.wearer = wearer
        self.on_attached: Callable[[FakeGlasses], None] | None = None
        self.on_closed: Callable[[FakeGlasses], None] | None = None
        self.peer: FakePeer | None = None
        self.replaced: list[FakePeer] = []
        self.closed = False

    @property
    def connected(self) -> bool:
        return self.peer is not None

    def attach(self, peer: FakePeer) -> None:
        if self.peer is not None:
            self.replaced.append(self.peer)
        self.peer = peer
        if self.on_attached is not None:
            self.on_attached(self)

    async def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        if self.peer is not None:
            await self.peer.close()
        if self.on_closed is not None:
            self.on_closed(self)


class Stage:
    """The application of a station, served on a free port of loopback, and a client of it."""

    def __init__(self, folder: Path, limit: int = 2, desk: Desk | None = None) -> None:
        self.peers: list[FakePeer] = []
        self.failing: Exception | None = None
        self.access = Access(folder)
        self.access.open()
        make = cast(Callable[[str], WebRtcGlasses], FakeGlasses)
        self.wearers = Wearers(limit, make, cast(Any, self.answer))
        self.guard = Guard(self.access, {"127.0.0.1"}, {"https://glasses.example"})
        self.partners = Partners()
        self.desk = desk
        self.url = ""

    async def answer(self, offer: str, sink: FakeGlasses, *, device: str) -> tuple[Peer, str]:
        await asyncio.sleep(0)
        if self.failing is not None:
            raise self.failing
        self.peers.append(FakePeer(sink, device))
        return cast(Peer, self.peers[-1]), ANSWER

    def key(self, wearer: str = "ada", role: str = "wearer", name: str = "a phone") -> str:
        return self.access.pair(self.access.invite(role, wearer), name)[1]

    def bearer(self, wearer: str = "ada", role: str = "wearer") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key(wearer, role)}"}

    def invite(self, role: str, wearer: str) -> str:
        return f"{self.url}/pair#{self.access.invite(role, wearer)}"

    @asynccontextmanager
    async def served(self) -> AsyncIterator[aiohttp.ClientSession]:
        routes = Routes(self.guard, self.access, self.wearers, self.invite, lambda: self.desk, "0")
        partner = PartnerRoutes(self.guard, self.partners, self.invite)
        whip = Whip(self.guard, self.access, self.wearers)
        application = web.Application(middlewares=[self.guard.middleware])
        application.on_response_prepare.append(self.guard.prepare)
        application.add_routes([*routes.routes(), *partner.routes(), *whip.routes()])
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2, lingering_time=LINGERING_S)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with aiohttp.ClientSession(self.url) as client:
                yield client
        finally:
            await self.wearers.close()
            routes.drop()
            partner.drop()
            await runner.cleanup()
