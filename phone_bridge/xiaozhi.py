"""A station for xiaozhi-esp32 devices: stock firmware that is given our address works.

``xiaozhi://HOST:PORT`` serves what the firmware knows: its OTA check (``xiaozhi_ota``), the WebSocket of its conversations at
``/xiaozhi/v1/``, and the pictures of its camera at ``/xiaozhi/vision``. Only the OTA address is entered at the device, in its
own Wi-Fi setup ("advanced") or when the firmware is built; it learns the rest there.

The firmware believes certificates of public authorities alone, so the station speaks plain HTTP unless its owner has given it
one (``serve.certificate``). Without one, whoever shares the network can read what is said, and the device's key with it, and so
pose as that device until it is revoked. At home behind WPA2 that may do; elsewhere it does not.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import BodyPartReader, MultipartReader, WSCloseCode, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from edge.channel import Channel
from edge.config import ServeConfig
from edge.errors import NearsightError, StorageError
from edge.ports import Link
from phone_bridge.access import Access, state_folder, wall_time
from phone_bridge.certificate import Certificate, given, local_addresses, local_names
from phone_bridge.door import Serving, is_loopback, place, url_of
from phone_bridge.guard import BODY_S, Guard, shown_key
from phone_bridge.keys import Device
from phone_bridge.pcapng import PacketCapture
from phone_bridge.refusal import Refusal
from phone_bridge.xiaozhi_capture import CapturedGlasses, taping
from phone_bridge.xiaozhi_glasses import XiaozhiGlasses
from phone_bridge.xiaozhi_ota import PATH, SOCKET, Ota
from phone_bridge.xiaozhi_socket import Socket

log = logging.getLogger(__name__)

PORT = 8000
"""That of the servers which the firmware's users know."""
VISION = "/xiaozhi/vision"
PICTURE_BYTES = 4_000_000
"""The largest camera of the supported boards gives 5 megapixels, a tenth of this as JPEG."""
SOCKETS_A_DEVICE = 4
"""A device that lost its network comes back before its old socket is known to be dead."""
SYNC_S = 1.0
"""How often the keys are looked at: another process may have let a device in, or revoked one."""
FULL_RETRY_S = 30


class XiaozhiStation:
    """Serves wearers of xiaozhi devices; ``open`` begins, ``arrivals`` gives them."""

    def __init__(
        self, uri: str, serve: ServeConfig | None = None, *, state: Path | None = None, capture: PacketCapture | None = None
    ) -> None:
        """``state`` is the folder of the keys, where it is not that of ``serve``; ``capture`` is where messages go.

        Raises UsageError where ``uri`` names no place.
        """
        self.uri = uri
        self.host, port = place(uri)
        self.port = PORT if port is None else port
        """Port 0 takes one that is free; ``open`` puts its number here."""
        self._serve = serve or ServeConfig()
        self.secure = bool(self._serve.certificate) and not is_loopback(self.host)
        self.access = Access(state or state_folder(self._serve))
        self._certificate: Certificate | None = None
        self._guard: Guard | None = None
        self._glasses: dict[str, XiaozhiGlasses] = {}
        self._capture = capture
        self._sockets: dict[Socket, XiaozhiGlasses | None] = {}
        self._arrivals: Channel[Link] = Channel("arrivals", self._serve.wearers)
        self._serving: Serving | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def glasses(self) -> Mapping[str, XiaozhiGlasses]:
        """The devices of the wearers who are here, by the wearers' names."""
        return dict(self._glasses)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, once the station is open; empty without TLS."""
        return self._certificate.fingerprint if self._certificate is not None else ""

    @property
    def url(self) -> str:
        """The OTA address that a device is given."""
        return url_of(self.host, self.port, secure=self.secure) + PATH.lstrip("/")

    async def open(self) -> None:
        """Begins to serve. Raises LinkError for a port or a host that cannot be had, StorageError, ConfigError."""
        self.access.open()
        context = None
        if self.secure:
            self._certificate = await asyncio.to_thread(self._given)
            context = self._certificate.context()
        elif not is_loopback(self.host):
            log.warning("%s: without serve.certificate, what is said can be read by whoever shares the network", self.uri)
        hosts = {*local_names(), *local_addresses(), *self._serve.hosts, self.host}
        self._guard = Guard(self.access, hosts, ())
        application = web.Application(middlewares=[self._guard.middleware])
        application.on_response_prepare.append(self._guard.prepare)
        application.add_routes([*Ota(self.access).routes(), web.get(SOCKET, self._talk), web.post(VISION, self._look)])
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
        for glasses in list(self._glasses.values()):
            await glasses.close()
        for socket in list(self._sockets):
            socket.close_soon(WSCloseCode.GOING_AWAY)
        self._arrivals.close()
        if self._serving is not None:
            await self._serving.end()
        if self._capture is not None:
            self._capture.close()

    async def arrivals(self) -> AsyncIterator[Link]:
        """Gives the glasses of each wearer whose device opens its first socket."""
        async for glasses in self._arrivals:
            yield glasses

    def invite(self, role: str, wearer: str) -> str:
        """Gives an OTA address that pairs one device within ten minutes, without digits. Raises UsageError."""
        return f"{self.url}{self.access.invite(role, wearer)}/"

    def _given(self) -> Certificate:
        chain, key = Path(self._serve.certificate), Path(self._serve.certificate_key)
        return given(chain.expanduser(), key.expanduser(), wall_time())

    # Conversations.

    async def _talk(self, request: web.Request) -> web.StreamResponse:
        assert self._guard is not None, "open() made it"
        device = self._guard.device(request)
        self._bound(device)
        response = await Socket.upgrade(request)
        version = request.headers.get("Protocol-Version", "")
        taped = taping(self._capture, response, device, version) if self._capture is not None else None
        socket = Socket(taped or response, device, version, self._vision_url(request))
        self._sockets[socket] = None
        try:
            hello = await socket.greet()
            glasses = self._place(device.wearer) if hello is not None else None
            if hello is None or glasses is None:
                await socket.end(WSCloseCode.TRY_AGAIN_LATER)
                return response
            self._sockets[socket] = glasses
            if isinstance(glasses, CapturedGlasses) and taped is not None:
                glasses.tape_on(taped)
            glasses.attach(socket, hello)
            try:
                await socket.run(glasses)
            finally:
                glasses.detach(socket)
        finally:
            del self._sockets[socket]
            if taped is not None:
                taped.tape.close()
        return response

    def _vision_url(self, request: web.Request) -> str:
        """Gives where pictures go: to the host by which the device found us, whose port the firmware's WebSocket leaves out."""
        host = request.host
        named = urlsplit(f"//{host}").port is not None
        return f"{request.scheme}://{host if named else f'{host}:{self.port}'}{VISION}"

    def _bound(self, device: Device) -> None:
        if Counter(socket.device.id for socket in self._sockets)[device.id] >= SOCKETS_A_DEVICE:
            raise Refusal(429, "too_many", "this device has too many connections", retry_after=FULL_RETRY_S)
        if device.wearer not in self._glasses and len(self._glasses) >= self._serve.wearers:
            raise Refusal(503, "full", "there is no room for more wearers", retry_after=FULL_RETRY_S)

    def _place(self, wearer: str) -> XiaozhiGlasses | None:
        """Gives a wearer's glasses, new ones on arrival; None where there is no room."""
        glasses = self._glasses.get(wearer)
        if glasses is None and len(self._glasses) < self._serve.wearers and not self._arrivals.closed:
            kind = XiaozhiGlasses if self._capture is None else CapturedGlasses
            glasses = kind(wearer, keep=self._serve.keep, uri=f"xiaozhi:{wearer}")
            glasses.on_closed = self._gone
            if self._arrivals.send_nowait(glasses):
                self._glasses[wearer] = glasses
        return self._glasses.get(wearer)

    def _gone(self, glasses: XiaozhiGlasses) -> None:
        if self._glasses.get(glasses.wearer) is glasses:
            del self._glasses[glasses.wearer]
        if not self._arrivals.closed:  # whom nobody has taken yet needs no taking any more
            for waiting in self._arrivals.flush():
                if waiting is not glasses:
                    self._arrivals.send_nowait(waiting)

    # Pictures.

    async def _look(self, request: web.Request) -> web.Response:
        shown = shown_key(request)
        glasses = None
        for socket, belongs in self._sockets.items():
            if hmac.compare_digest(socket.vision_token.encode(), shown.encode("utf-8", "surrogatepass")):
                glasses = belongs
        if glasses is None:
            raise Refusal(401, "no_key", "this picture comes without a token that is good now")
        try:
            await glasses.photo(await _picture(request))
        except NearsightError as error:
            log.info("%s: a picture is refused: %s", glasses.uri, error.text)
            raise
        return web.json_response({"success": True, "result": "The picture has arrived."})

    # Keys.

    async def _sync(self) -> None:
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
            for socket in self._sockets:
                if self.access.device(socket.device.id) is None:
                    socket.close_soon(WSCloseCode.POLICY_VIOLATION)


async def _picture(request: web.Request) -> bytes:
    """Reads the file of a form that a camera posts. Raises Refusal 400, 408, 413, 415."""
    if request.content_type != "multipart/form-data" or "boundary" not in request.headers.get(hdrs.CONTENT_TYPE, ""):
        raise Refusal(415, "media_type", "send multipart/form-data")
    try:
        async with asyncio.timeout(BODY_S):
            return await _file_in(await request.multipart())
    except TimeoutError:
        raise Refusal(408, "too_slow", f"the picture did not come within {BODY_S:.0f} s") from None
    except (ValueError, HttpProcessingError, web.RequestPayloadError):  # what aiohttp raises for a form that is none
        raise Refusal(400, "malformed", "that is no form with a file in it") from None


async def _file_in(form: MultipartReader) -> bytes:
    left = PICTURE_BYTES
    while (part := await form.next()) is not None:
        body = bytearray()
        if not isinstance(part, BodyPartReader):
            break
        while piece := await part.read_chunk():
            left -= len(piece)
            if left < 0:
                raise Refusal(413, "too_large", f"at most {PICTURE_BYTES} bytes")
            body += piece
        if part.name == "file":
            return bytes(body)
    raise ValueError("no file")
