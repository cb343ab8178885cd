"""Pages, pairing, the devices and the developer's desk over HTTP. ``whip`` has the connections, ``guard`` the checks."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, hdrs, web

from edge.errors import UsageError
from phone_bridge.access import Access
from phone_bridge.desk import Desk
from phone_bridge.guard import COOKIE, DEVICE, Guard, address_of, json_of, text_in
from phone_bridge.invite import svg_qr
from phone_bridge.rates import Rate
from phone_bridge.refusal import Refusal
from phone_bridge.stills import encode_still
from phone_bridge.wearers import Wearers
from phone_bridge.zipped import zipped

WEB = Path(__file__).parent / "web"
OPEN = frozenset("pair.js device.js messages.js tokens.css pair.css icon.svg icon-192.png icon-512.png".split())
"""Files of ``web`` that are served without a key: what the pairing page needs, and what an installed page is shown with."""
KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
    ".json": "application/json",
    ".woff2": "font/woff2",
    ".wav": "audio/wav",
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
    ".txt": "text/plain",
}
PAIRINGS_A_MINUTE = 10
WATCHERS = 16
"""Event streams at once."""
DOWNLOADS = 2
SEND_S = 10.0
"""Seconds that a client may take to read what is sent to it; who takes longer is dropped."""
COOKIE_S = 400 * 24 * 3600
"""The longest that browsers keep a cookie. It is set anew with each visit of the page."""


class Routes:
    """The handlers of one station."""

    def __init__(
        self,
        guard: Guard,
        access: Access,
        wearers: Wearers,
        invite: Callable[[str, str], str],
        desk: Callable[[], Desk | None],
        version: str,
    ) -> None:
        self._guard = guard
        self._access = access
        self._wearers = wearers
        self._invite = invite
        self._desk = desk
        self._version = version
        self._pairings = Rate(PAIRINGS_A_MINUTE, time.monotonic)
        self._downloads = 0
        self._watchers: dict[asyncio.Transport, str] = {}
        self._files = {path.relative_to(WEB).as_posix(): path for path in sorted(WEB.rglob("*")) if path.suffix in KINDS}

    def routes(self) -> list[web.RouteDef]:
        """What the application serves."""
        anyone, owner = self._needs("partner"), self._needs("owner")
        return [
            web.get("/healthz", self._health),
            web.get("/pair", self._pair_page),
            web.post("/pair", self._pair),
            web.get("/favicon.ico", self._icon),
            web.get("/", self._page("index.html", "wearer")),
            web.get("/partner", self._page("partner.html", "partner")),
            web.get("/simulate", self._page("simulate.html", "owner")),
            web.get("/web/{name:.+}", self._asset),
            web.get("/me", anyone(self._me)),
            web.get("/picture/{index:[0-9]+}", self._needs("wearer")(self._picture)),
            web.get("/devices", owner(self._devices)),
            web.post("/devices", owner(self._invited)),
            web.post("/devices/invite", owner(self._invited)),
            web.delete("/devices/{id}", owner(self._revoke)),
            web.get("/events", owner(self._events)),
            web.post("/desk", owner(self._command)),
            web.get("/bundles", owner(self._bundles)),
            web.get("/bundles/{name}.zip", owner(self._bundle)),
            web.get("/kept/{name}", owner(self._kept)),
            web.get("/kept/{name}/{file}", owner(self._kept_file)),
        ]

    def drop(self, device_id: str | None = None) -> None:
        """Ends the event streams of a device, or all."""
        for transport, watcher in list(self._watchers.items()):
            if device_id is None or watcher == device_id:
                transport.abort()

    def _needs(self, role: str) -> Callable[[Any], Any]:
        return lambda handler: self._guard.needs(role, handler)

    # Pages.

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _pair_page(self, request: web.Request) -> web.StreamResponse:
        return self._file("pair.html")

    async def _icon(self, request: web.Request) -> web.StreamResponse:
        return self._file("icon.svg")

    def _page(self, name: str, role: str) -> Callable[[web.Request], Any]:
        async def page(request: web.Request) -> web.StreamResponse:
            try:
                self._guard.device(request, role)
            except Refusal as refusal:
                elsewhere = "/pair" if refusal.status == 401 else "/partner" if refusal.reason == "wearer_only" else ""
                if elsewhere and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
                    return web.Response(status=303, headers={hdrs.LOCATION: elsewhere})
                raise
            response = self._file(name)
            if key := request.cookies.get(COOKIE):
                self._keep(request, response, key)
            return response

        return page

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in OPEN:
            self._guard.device(request, "partner")
        return self._file(name)

    def _file(self, name: str) -> web.StreamResponse:
        path = self._files.get(name)
        if path is None:
            raise Refusal(404, "no_file", "there is no such file")
        response = web.FileResponse(path, headers={hdrs.CACHE_CONTROL: "no-cache"})
        response.content_type = KINDS[path.suffix]
        return response

    # Devices.

    async def _pair(self, request: web.Request) -> web.Response:
        wait = self._pairings.take(address_of(request))
        if wait:
            raise Refusal(429, "too_many", "too many tries from this address", retry_after=wait)
        value = await json_of(request)
        device, key = self._access.pair(text_in(value, "token"), text_in(value, "name"))
        request[DEVICE] = device
        response = web.json_response({"device": device.id, "wearer": device.wearer, "role": device.role, "key": key})
        self._keep(request, response, key)
        return response

    @staticmethod
    def _keep(request: web.Request, response: web.StreamResponse, key: str) -> None:
        response.set_cookie(COOKIE, key, max_age=COOKIE_S, httponly=True, samesite="Strict", secure=request.secure, path="/")

    async def _me(self, request: web.Request) -> web.Response:
        device = request[DEVICE]
        shown = {"device": device.id, "name": device.name, "wearer": device.wearer, "role": device.role}
        return web.json_response({**shown, "version": self._version})

    async def _picture(self, request: web.Request) -> web.Response:
        """Gives the picture that the wearer asked about, for what is painted over it."""
        glasses = self._wearers.glasses.get(request[DEVICE].wearer)
        chosen = glasses.view.chosen if glasses is not None else None
        if chosen is None or chosen.index != int(request.match_info["index"]):
            raise Refusal(404, "no_picture", "that picture is no longer kept")
        return web.Response(body=await asyncio.to_thread(encode_still, chosen.pixels), content_type="image/jpeg")

    async def _devices(self, request: web.Request) -> web.Response:
        devices = self._access.devices()
        rows = [{**dataclasses.asdict(device), "connected": self._wearers.connected(device.id)} for device in devices]
        return web.json_response({"devices": rows})

    async def _invited(self, request: web.Request) -> web.Response:
        value = await json_of(request)
        url = self._invite(text_in(value, "role"), text_in(value, "wearer"))
        return web.json_response({"url": url, "svg": svg_qr(url)})

    async def _revoke(self, request: web.Request) -> web.Response:
        try:
            device = self._access.revoke(request.match_info["id"])
        except UsageError:
            raise Refusal(404, "no_device", "there is no such device") from None
        await self._wearers.revoke(device.id)
        self.drop(device.id)
        return web.json_response({})

    # The desk.

    def _the_desk(self) -> Desk:
        desk = self._desk()
        if desk is None:
            raise Refusal(404, "no_desk", "this station has no dashboard")
        return desk

    async def _command(self, request: web.Request) -> web.Response:
        value = await json_of(request)
        arguments = value.get("arguments", {})
        if not isinstance(arguments, Mapping):
            raise Refusal(400, "malformed", "arguments: must be an object")
        return web.json_response(dict(await self._the_desk().command(text_in(value, "name"), arguments)))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        desk = self._the_desk()
        since = request.query.get("since", "0")
        if not (since.isascii() and since.isdigit() and len(since) < 18):
            raise Refusal(400, "malformed", "since: must be a whole number")
        if len(self._watchers) >= WATCHERS:
            raise Refusal(503, "busy", f"{WATCHERS} event streams are open already", retry_after=5)
        socket = web.WebSocketResponse(heartbeat=20.0, max_msg_size=4096, timeout=2.0)
        if not socket.can_prepare(request):
            raise Refusal(426, "websocket", "events come by a WebSocket", headers={hdrs.UPGRADE: "websocket"})
        await socket.prepare(request)
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            return socket  # it went away meanwhile
        self._watchers[transport] = request[DEVICE].id
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._send(socket, transport, desk.events(int(since))))
                await _closed(socket)
                sending.cancel()
        finally:
            del self._watchers[transport]
        return socket

    @staticmethod
    async def _send(
        socket: web.WebSocketResponse, transport: asyncio.Transport, rows: AsyncIterator[Mapping[str, Any]]
    ) -> None:
        try:
            async for row in rows:
                async with asyncio.timeout(SEND_S):
                    await socket.send_str(json.dumps(row, ensure_ascii=False))
            await socket.close()
        except (TimeoutError, ConnectionError):
            transport.abort()
        finally:
            if isinstance(rows, AsyncGenerator):
                await rows.aclose()

    async def _bundles(self, request: web.Request) -> web.Response:
        return web.json_response({"bundles": list(self._the_desk().bundles())})

    async def _bundle(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        desk = self._the_desk()
        folder = desk.bundle(name) if name in desk.bundles() else None
        if folder is None:
            raise Refusal(404, "no_bundle", "there is no such recording")
        if self._downloads >= DOWNLOADS:
            raise Refusal(503, "busy", f"{DOWNLOADS} downloads are running already", retry_after=5)
        self._downloads += 1
        try:
            return await self._download(request, folder)
        finally:
            self._downloads -= 1

    async def _kept(self, request: web.Request) -> web.Response:
        files = self._the_desk().kept(request.match_info["name"])
        return web.json_response({"files": list(files)})

    async def _kept_file(self, request: web.Request) -> web.StreamResponse:
        files = self._the_desk().kept(request.match_info["name"])
        path = files.get(request.match_info["file"])
        if path is None or path.suffix not in KINDS:
            raise Refusal(404, "no_file", "there is no such file")
        response = web.FileResponse(path)  # which answers ranges too: players jump
        response.content_type = KINDS[path.suffix]
        if path.suffix == ".txt":
            response.charset = "utf-8"
        return response

    @staticmethod
    async def _download(request: web.Request, folder: Path) -> web.StreamResponse:
        kept = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in folder.name)
        headers = {hdrs.CONTENT_DISPOSITION: f'attachment; filename="{kept}.zip"', hdrs.CONTENT_TYPE: "application/zip"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        pieces = zipped(folder)
        try:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                async with asyncio.timeout(SEND_S):
                    await response.write(piece)
            await response.write_eof()
        except (TimeoutError, OSError):
            # Its length was not announced: cutting the connection is what tells the client that the archive is not whole.
            if request.transport is not None:
                request.transport.abort()
        return response


async def _closed(socket: web.WebSocketResponse) -> None:
    """Waits until a client goes. What it says is not asked for, and is passed over."""
    async for message in socket:
        if message.type is WSMsgType.ERROR:
            return
