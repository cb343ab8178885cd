"""How a partner comes: the wearer's page asks for an invitation, the partner's page opens a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import WSMsgType, hdrs, web

from edge.channel import Channel
from phone_bridge.guard import DEVICE, Guard
from phone_bridge.invite import svg_qr
from phone_bridge.partner import PING_S, Page, Partners
from phone_bridge.refusal import Refusal

T = TypeVar("T")
PAGES = 4
"""Pages of one wearer's partners at once."""
SEND_S = 10.0
"""Seconds that a page may take to read what is sent to it; one that takes longer is dropped."""
UNSENT_BYTES = 8192
"""Of sound that may wait in the server's own buffer, a quarter of a second: more of it would only come late."""


class PartnerRoutes:
    """The handlers."""

    def __init__(self, guard: Guard, partners: Partners, invite: Callable[[str, str], str]) -> None:
        self._guard = guard
        self._partners = partners
        self._invite = invite
        self._sockets: dict[asyncio.Transport, str] = {}

    def routes(self) -> list[web.RouteDef]:
        """What the application serves."""
        return [
            web.get("/partner/live", self._guard.needs("partner", self._live)),
            web.post("/partner/invite", self._guard.needs("wearer", self._invited)),
        ]

    def drop(self, device_id: str | None = None) -> None:
        """Ends the sockets of a device, or all."""
        for transport, device in list(self._sockets.items()):
            if device_id is None or device == device_id:
                transport.abort()

    async def _invited(self, request: web.Request) -> web.Response:
        """Makes an address that lets one partner in, once, as a QR code for their camera."""
        url = f"{self._invite('partner', request[DEVICE].wearer)}&to=partner"
        return web.json_response({"url": url, "svg": svg_qr(url)})

    async def _live(self, request: web.Request) -> web.StreamResponse:
        partner = self._partners.of(request[DEVICE].wearer)
        if partner.pages >= PAGES:
            raise Refusal(503, "busy", f"{PAGES} pages of this partner are open already", retry_after=5)
        # Sound does not get smaller, and two tasks write: without compression each message is written whole.
        socket = web.WebSocketResponse(heartbeat=20.0, max_msg_size=4096, timeout=2.0, compress=False)
        if not socket.can_prepare(request):
            raise Refusal(426, "websocket", "a partner's page comes by a WebSocket", headers={hdrs.UPGRADE: "websocket"})
        await socket.prepare(request)
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            return socket  # it went away meanwhile
        transport.set_write_buffer_limits(high=UNSENT_BYTES)
        self._sockets[transport] = request[DEVICE].id
        page = partner.join()
        try:
            async with asyncio.TaskGroup() as group:
                sending = [
                    group.create_task(_send(page.texts, socket.send_str, transport)),
                    group.create_task(_send(page.sound, socket.send_bytes, transport)),
                    group.create_task(_ping(page)),
                ]
                await _receive(socket, page)
                for task in sending:
                    task.cancel()
        finally:
            del self._sockets[transport]
            partner.leave(page)
        return socket


async def _send(waiting: Channel[T], send: Callable[[T], Awaitable[None]], transport: asyncio.Transport) -> None:
    try:
        async for message in waiting:
            async with asyncio.timeout(SEND_S):
                await send(message)
    except (TimeoutError, ConnectionError):
        transport.abort()


async def _ping(page: Page) -> None:
    while True:
        await asyncio.sleep(PING_S)
        page.ping()


async def _receive(socket: web.WebSocketResponse, page: Page) -> None:
    """Takes what the page says until it goes, or says too much."""
    async for message in socket:
        if message.type is WSMsgType.ERROR or (message.type is WSMsgType.TEXT and not page.received(message.data)):
            return
