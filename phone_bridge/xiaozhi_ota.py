"""What a xiaozhi device asks first, at every start: where its server is, and whether it may come in.

The firmware posts what it is to its OTA address and keeps, of the answer, where the WebSocket is and the token to show there. A
device that is not paired is given six digits, which it shows and speaks; its owner lets it in with ``nearsight devices
approve``, or has given it an address with an invitation in it, which needs no digits. The token is the device's own key. It is
given to whoever repeats the device's address and its random client id, until it has been shown once, and then never again: the
firmware keeps it. What firmware it has is confirmed as the newest: updates are not ours to give.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import hdrs, web

from edge.errors import UsageError
from phone_bridge.access import Access, Denied, wall_time
from phone_bridge.guard import address_of, body_of
from phone_bridge.rates import Rate
from phone_bridge.refusal import Refusal

log = logging.getLogger(__name__)

PATH = "/xiaozhi/ota/"
SOCKET = "/xiaozhi/v1/"
BODY = 16 * 1024
KNOCKS_A_MINUTE = 30
"""Questions of devices that are not paired, from one address. One that waits asks every 3 to 10 s."""
NO_VERSION = "0.0.0"
"""Older than any: the device stays as it is."""
_ADDRESS = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_CLIENT = re.compile(r"[0-9A-Fa-f-]{8,64}")
_VERSION = re.compile(r"\d{1,5}(\.\d{1,5}){0,3}")
_BOARD = re.compile(r"[^\w.+-]+", re.ASCII)


class Ota:
    """The handlers of ``/xiaozhi/ota/``."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._knocks = Rate(KNOCKS_A_MINUTE, time.monotonic)

    def routes(self) -> list[web.RouteDef]:
        """What the application serves: with an invitation in the address, and without."""
        found = []
        for path in (PATH, PATH + r"{token:[\w-]{22}}/"):
            found += [
                web.post(path, self._check),
                web.get(path, self._check, allow_head=False),
                web.post(path + "activate", self._activate),
            ]
        return [*found, web.post(PATH.rstrip("/"), self._check)]

    async def _check(self, request: web.Request) -> web.Response:
        claim, name = _claim(request), _name(request)
        version = _version(request, await body_of(request, BODY))
        socket: dict[str, Any] = {"url": f"{_scheme(request)}://{request.host}{SOCKET}", "version": 1}
        answer: dict[str, Any] = {
            "server_time": _server_time(),
            "firmware": {"version": version, "url": ""},
            "websocket": socket,
        }
        self._access.sync()
        admitted = self._access.admitted(claim) or self._invited(request, claim, name)
        if admitted is None:
            answer["activation"] = self._activation(request, claim, name)
        elif admitted[1]:
            socket["token"] = admitted[1]
        return web.json_response(answer)

    async def _activate(self, request: web.Request) -> web.Response:
        """Says whether the device was let in: 200, or 202, upon which it asks again after 3 s."""
        self._access.sync()
        if self._access.admitted(_claim(request)) is not None:
            return web.json_response({"message": "paired"})
        self._bound(request)
        return web.json_response({"message": "waiting"}, status=202)

    def _invited(self, request: web.Request, claim: str, name: str) -> Any:
        token = request.match_info.get("token")
        if token is None:
            return None
        self._bound(request)
        try:
            return self._access.pair(token, name, claim)
        except Denied as error:
            log.info("an invitation is refused: %s", error.reason)  # it may be let in by its digits
            return None

    def _activation(self, request: web.Request, claim: str, name: str) -> Mapping[str, Any]:
        self._bound(request)
        code = self._access.knock(claim, name)
        log.warning("%s waits to be let in: nearsight devices approve %s", name, code)
        return {"code": code, "message": f"nearsight\n{code}", "challenge": secrets.token_hex(16), "timeout_ms": 30_000}

    def _bound(self, request: web.Request) -> None:
        wait = self._knocks.take(address_of(request))
        if wait:
            raise Refusal(429, "too_many", "too many requests", retry_after=wait)


def _claim(request: web.Request) -> str:
    """Gives what a device says of itself: its MAC address and its random id. Raises UsageError."""
    address, client = (request.headers.get(name, "") for name in ("Device-Id", "Client-Id"))
    if not _ADDRESS.fullmatch(address) or not _CLIENT.fullmatch(client):
        raise UsageError("a device says its Device-Id, a MAC address, and its Client-Id")
    return f"{address.lower()} {client.lower()}"


def _name(request: web.Request) -> str:
    """Gives what people know the device by: its board and its address."""
    board = _BOARD.sub(" ", request.headers.get(hdrs.USER_AGENT, "").partition("/")[0]).strip()
    return f"{board[:40] or 'xiaozhi'} {request.headers['Device-Id'].lower()}"


def _version(request: web.Request, body: bytes) -> str:
    """Gives the device's own firmware version, as it came: from its JSON, or from its User-Agent."""
    said: object = request.headers.get(hdrs.USER_AGENT, "").partition("/")[2]
    try:
        about = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        raise Refusal(400, "malformed", "that is not JSON") from None
    if isinstance(about, dict) and isinstance(application := about.get("application"), dict):
        said = application.get("version", said)
    return said if isinstance(said, str) and _VERSION.fullmatch(said) else NO_VERSION


def _scheme(request: web.Request) -> str:
    return "wss" if request.scheme == "https" else "ws"


def _server_time() -> Mapping[str, int]:
    now = wall_time()
    return {"timestamp": round(now * 1000), "timezone_offset": time.localtime(now).tm_gmtoff // 60}
