"""What every request passes before a handler sees it, and what every response carries.

A page of another site that a paired browser has open must not reach this server with that browser's key. Three things see
to it: the cookie goes with our own pages only (SameSite=Strict), a request that names another origin is refused, and so is
one that came here by a name that is not ours, which is how DNS rebinding makes another site's page look like our own. An
address written as digits cannot be rebound.

Logs have the request's number, the device, the route and the outcome: never a path, a key, a token, SDP or a body.
aiohttp's own log is kept from quoting requests that it cannot parse: the line at fault may be the one with the key.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from edge.errors import EngineMissing, InputError, LinkError, ModelMissing, NearsightError, StorageError, UsageError
from phone_bridge.access import Access, Denied
from phone_bridge.keys import ROLES, Device
from phone_bridge.rates import Rate
from phone_bridge.refusal import Refusal

log = logging.getLogger(__name__)

COOKIE = "nearsight_key"
NUMBER = web.RequestKey("number", str)
"""What a request is called in logs."""
DEVICE = web.RequestKey("device", Device)
"""Whose key it showed; not there before it showed one."""
JSON_BYTES = 16 * 1024
BODY_S = 10.0
"""Seconds in which a body must have come."""
REQUESTS_A_MINUTE = 1200
FAILED_KEYS_A_MINUTE = 60
OPEN_TO_OTHERS = ("/whip",)
"""What pages of ``ServeConfig.origins`` may use: the rest is for our own pages."""

POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), screen-wake-lock=(self), geolocation=()",
    "Server": "nearsight",
}


class _Unquoted(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
            record.exc_info = None
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


http_log = logging.getLogger(f"{__name__}.http")
"""What aiohttp's server is to log to."""
http_log.addFilter(_Unquoted())

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """The checks of one station."""

    def __init__(self, access: Access, hosts: Collection[str], origins: Collection[str]) -> None:
        """``hosts`` are the names and addresses of this machine, ``origins`` the other sites whose pages may use WHIP."""
        self._access = access
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._requests = Rate(REQUESTS_A_MINUTE, time.monotonic)
        self._failures = Rate(FAILED_KEYS_A_MINUTE, time.monotonic)

    @property
    def middleware(self) -> Any:
        """What the application is made with."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            request[NUMBER] = secrets.token_hex(4)
            code = ""
            try:
                self._check(request)
                response = await handler(request)
            except NearsightError as error:
                response = refused(error)
                code = getattr(error, "reason", error.code)
            except web.HTTPException as error:
                # The router's own: no such path, not this method. A redirect among our handlers would also come here.
                response = refused(Refusal(error.status, "http", error.reason, headers=_kept(error)))
                code = "http"
            self._log(request, response, code)
            return response

        return guarded

    async def prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Puts on a response what every one carries: a signal of the application."""
        for name, value in HEADERS.items():
            response.headers[name] = value
        response.headers.setdefault("Cache-Control", "no-store")
        origin = request.headers.get(hdrs.ORIGIN)
        if _for_others(request):
            response.headers["Vary"] = "Origin"
            if origin is not None and origin.lower() in self._origins:
                response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
                response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = "Location, ETag, Retry-After, Accept-Patch"
        else:
            response.headers["Cross-Origin-Resource-Policy"] = "same-origin"

    def needs(self, role: str, handler: Handler) -> Handler:
        """Lets only devices of a role, or of one that may more, into a handler."""

        async def checked(request: web.Request) -> web.StreamResponse:
            self.device(request, role)
            return await handler(request)

        return checked

    def device(self, request: web.Request, role: str = "wearer") -> Device:
        """Gives the device whose key a request shows; its role is ``role`` or one that may more.

        Raises Refusal 401, 403 for a role that may not, or 429 after too many keys that open nothing.
        """
        key = shown_key(request)
        device = self._access.check(key, partner=True) if key else None
        if device is None:
            wait = self._failures.take(address_of(request)) if key else 0
            if wait:
                raise Refusal(429, "too_many", "too many wrong keys", retry_after=wait)
            challenge = 'Bearer realm="nearsight"' + (', error="invalid_token"' if key else "")
            text = "this device is not paired, or was revoked" if key else "pair this device first"
            raise Refusal(401, "no_key", text, headers={hdrs.WWW_AUTHENTICATE: challenge})
        request[DEVICE] = device
        if ROLES.index(device.role) > ROLES.index(role):
            text = "this is for the owner of this machine" if role == "owner" else "a partner's page may not do this"
            raise Refusal(403, f"{role}_only", text)
        return device

    def _check(self, request: web.Request) -> None:
        wait = self._requests.take(address_of(request))
        if wait:
            raise Refusal(429, "too_many", "too many requests", retry_after=wait)
        if not self._is_ours(request):
            raise Refusal(403, "host", "this machine is not known by that name: see serve.hosts in the configuration")
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin.lower() == f"{request.scheme}://{request.host}".lower():
            return
        if not (_for_others(request) and origin.lower() in self._origins):
            raise Refusal(403, "origin", "pages of that origin may not connect: see serve.origins in the configuration")

    def _is_ours(self, request: web.Request) -> bool:
        name = host_name(request.headers.get(hdrs.HOST, ""))
        if name in self._hosts:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name == "localhost"
        # An address that this machine has got since the start is the one at which the request came in.
        came_in = request.transport.get_extra_info("sockname") if request.transport is not None else None
        return address.is_loopback or (came_in is not None and str(address) == came_in[0].partition("%")[0])

    def _log(self, request: web.Request, response: web.StreamResponse, code: str) -> None:
        device = request.get(DEVICE)
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "-"
        level = logging.WARNING if response.status >= 500 else logging.INFO if code else logging.DEBUG
        who = device.id if device is not None else "-"
        log.log(level, "request %s device %s: %s %s %d %s", request[NUMBER], who, request.method, route, response.status, code)


def refused(error: NearsightError) -> web.Response:
    """Makes the response that tells a failure: ``{"code", "text"}``."""
    match error:
        case Refusal():
            status, code, headers = error.status, error.reason, error.headers
        case Denied():
            status, code, headers = 403, error.reason, {}
        case _:
            status, code, headers = status_of(error), error.code, {}
    response = web.json_response({"code": code, "text": error.text}, status=status, headers=headers)
    if status in (408, 413):
        response.force_close()  # the rest of its body is not waited for
    return response


def status_of(error: NearsightError) -> int:
    """Gives the HTTP status of an error that has none of its own."""
    match error:
        case UsageError() | InputError():
            return 400
        case LinkError() | ModelMissing() | EngineMissing():
            return 409
        case StorageError():
            return 507
        case _:
            return 500


def shown_key(request: web.Request) -> str:
    """Gives the key that a request shows, by ``Authorization: Bearer`` or by our cookie; empty where it shows none."""
    scheme, _, key = request.headers.get(hdrs.AUTHORIZATION, "").strip().partition(" ")
    if scheme:
        return key.strip() if scheme.lower() == "bearer" else ""
    return request.cookies.get(COOKIE, "")


def address_of(request: web.Request) -> str:
    """Gives the address a request came from."""
    return request.remote or "?"


def host_name(host: str) -> str:
    """Gives the name or address in a Host header, without its port and brackets, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")


async def body_of(request: web.Request, limit: int) -> bytes:
    """Reads a body of at most ``limit`` bytes. Raises Refusal 408, 413."""
    if request.content_length is not None and request.content_length > limit:
        raise Refusal(413, "too_large", f"at most {limit} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > limit:
                    raise Refusal(413, "too_large", f"at most {limit} bytes")
    except TimeoutError:
        raise Refusal(408, "too_slow", f"the body did not come within {BODY_S:.0f} s") from None
    return bytes(body)


async def json_of(request: web.Request) -> dict[str, Any]:
    """Reads a JSON object. Raises Refusal 400, 408, 413, 415."""
    if request.content_type != "application/json":
        raise Refusal(415, "media_type", "send application/json")
    try:
        value = json.loads(await body_of(request, JSON_BYTES))
    except (ValueError, RecursionError):
        raise Refusal(400, "malformed", "that is not JSON") from None
    if not isinstance(value, dict):
        raise Refusal(400, "malformed", "send a JSON object")
    return value


def text_in(value: dict[str, Any], key: str) -> str:
    """Gives a text of a JSON object. Raises Refusal 400."""
    found = value.get(key)
    if not isinstance(found, str):
        raise Refusal(400, "malformed", f"{key}: must be a text")
    return found


def _for_others(request: web.Request) -> bool:
    return request.path.startswith(OPEN_TO_OTHERS)


def _kept(error: web.HTTPException) -> dict[str, str]:
    return {name: value for name, value in error.headers.items() if name in (hdrs.ALLOW, hdrs.LOCATION)}
