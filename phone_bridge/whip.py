"""WHIP, RFC 9725: an offer is posted, and the connection that it becomes is a resource, patched and deleted by its URL.

The same handler serves our page, which shows its key in a cookie, and any WHIP client, which shows it as a bearer token.
A PATCH carries candidates (trickle ICE) or new credentials (ICE restart) in a fragment of RFC 8840. Entity tags tell the ICE
sessions apart: candidates go with the tag of theirs, a restart with ``*``.
"""

from __future__ import annotations

import logging
import time

from aiohttp import hdrs, web

from edge.errors import InputError, UsageError
from phone_bridge.access import Access
from phone_bridge.guard import NUMBER, Guard, address_of, body_of
from phone_bridge.rates import Rate
from phone_bridge.refusal import Refusal
from phone_bridge.wearers import Connection, Wearers, fresh_etag

log = logging.getLogger(__name__)

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
SDP_BYTES = 64 * 1024
OFFERS_A_MINUTE = 30
PREFLIGHT: dict[str, str] = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "POST, PATCH, DELETE, OPTIONS",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Content-Type, If-Match",
    hdrs.ACCESS_CONTROL_MAX_AGE: "600",
}


class Whip:
    """The endpoint and its resources."""

    def __init__(self, guard: Guard, access: Access, wearers: Wearers) -> None:
        self._guard = guard
        self._access = access
        self._wearers = wearers
        self._offers = Rate(OFFERS_A_MINUTE, time.monotonic)

    def routes(self) -> list[web.RouteDef]:
        """What the application serves. Every other method is answered 405 with what is allowed."""
        return [
            web.post("/whip", self._offer),
            web.options("/whip", self._options),
            web.patch("/whip/{id}", self._patch),
            web.delete("/whip/{id}", self._delete),
            web.options("/whip/{id}", self._options),
        ]

    async def _options(self, request: web.Request) -> web.Response:
        """Says what is taken here. A browser's preflight shows no key, so that this needs none."""
        takes = {"Accept-Patch": FRAGMENT} if "id" in request.match_info else {"Accept-Post": SDP}
        return web.Response(status=204, headers=PREFLIGHT | takes)

    async def _offer(self, request: web.Request) -> web.Response:
        device = self._guard.device(request)
        wait = self._offers.take(address_of(request))
        if wait:
            raise Refusal(429, "too_many", "too many offers from this address", retry_after=wait)
        if not accepts(request.headers.getall(hdrs.ACCEPT, []), SDP):
            raise Refusal(406, "not_acceptable", f"answers are {SDP}")
        offer = await self._sdp(request, SDP, "Accept-Post")
        if not offer.startswith("v=0"):
            raise Refusal(400, "malformed", "that is not SDP: it does not begin with v=0")
        try:
            connection, answer = await self._wearers.offer(device, offer)
        except InputError as error:
            raise Refusal(406, "offer", error.text) from error
        if self._access.device(device.id) is None:
            # Revoked while the offer was answered.
            await self._wearers.end(connection)
            raise Refusal(401, "no_key", "this device was revoked", headers={hdrs.WWW_AUTHENTICATE: "Bearer"})
        log.info("request %s: connection %s for device %s", request[NUMBER], connection.id, device.id)
        headers = {hdrs.LOCATION: f"/whip/{connection.id}", hdrs.ETAG: connection.etag, "Accept-Patch": FRAGMENT}
        return web.Response(status=201, body=answer.encode(), content_type=SDP, headers=headers)

    async def _patch(self, request: web.Request) -> web.Response:
        connection = self._connection(request)
        if connection.peer.closed:
            raise Refusal(404, "no_connection", "the connection has ended")
        fragment = await self._sdp(request, FRAGMENT, "Accept-Patch")
        if_match = request.headers.get(hdrs.IF_MATCH)
        if if_match is None:
            raise Refusal(428, "if_match", "send If-Match: the ETag of the ICE session, or * to restart it")
        async with connection.lock:
            try:
                return await self._patched(connection, fragment, if_match)
            except (InputError, UsageError) as error:
                raise Refusal(422, "fragment", error.text) from error

    async def _patched(self, connection: Connection, fragment: str, if_match: str) -> web.Response:
        anything = if_match.strip() == "*"
        if not (anything or connection.etag in (tag.strip() for tag in if_match.split(","))):
            raise Refusal(412, "etag", "that is not the ICE session of now", headers={hdrs.ETAG: connection.etag})
        if not connection.peer.is_restart(fragment):
            await connection.peer.add_candidates(fragment)
            return web.Response(status=204, headers={hdrs.ETAG: connection.etag})
        if not anything:
            raise Refusal(422, "restart", "an ICE restart goes with If-Match: *")
        answer = await connection.peer.restart_ice(fragment)
        connection.etag = fresh_etag()
        return web.Response(status=200, body=answer.encode(), content_type=FRAGMENT, headers={hdrs.ETAG: connection.etag})

    async def _delete(self, request: web.Request) -> web.Response:
        await self._wearers.end(self._connection(request))
        return web.Response(status=200)

    def _connection(self, request: web.Request) -> Connection:
        return self._wearers.find(request.match_info["id"], self._guard.device(request))

    async def _sdp(self, request: web.Request, kind: str, takes: str) -> str:
        # content_type is lower-case and without parameters (charset and the like), which change nothing in SDP.
        if request.content_type != kind:
            raise Refusal(415, "media_type", f"send {kind}", headers={takes: kind})
        try:
            return (await body_of(request, SDP_BYTES)).decode()
        except UnicodeDecodeError:
            raise Refusal(400, "malformed", "that is not UTF-8 text") from None


def accepts(headers: list[str], kind: str) -> bool:
    """Tells whether Accept headers allow a media type (RFC 9110 section 12.5.1); without any everything is allowed."""
    ranges = [item.strip().lower() for header in headers for item in header.split(",") if item.strip()]
    best: tuple[int, bool] | None = None
    for item in ranges:
        name, *parameters = (part.strip() for part in item.split(";"))
        if name not in ("*/*", f"{kind.partition('/')[0]}/*", kind):
            continue
        weight = next((part.partition("=")[2] for part in parameters if part.startswith("q=")), "1")
        # The most specific range decides; "q=0" means: not this.
        found = (("*/*", f"{kind.partition('/')[0]}/*", kind).index(name), weight.strip("0.") != "")
        best = max(best or found, found)
    return best[1] if best is not None else not ranges
