"""A xiaozhi device as its protocol describes it, on aiohttp's client: what stock firmware sends, and when.

It keeps the state machine of the firmware: idle, listening, speaking; it sends sound only while it listens, drops sound that
comes while it does not speak, and listens again by itself after a reply, unless a button holds its turn.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from PIL import Image

from edge.config import ServeConfig
from edge.values import SAMPLE_RATE, Pcm
from phone_bridge.opus import Decoder, Encoder
from phone_bridge.xiaozhi import XiaozhiStation
from phone_bridge.xiaozhi_wire import frame, unframe

PACKET = 960
FRAME_S = PACKET / SAMPLE_RATE
MAC, CLIENT = "aa:bb:cc:00:11:22", "6f1c2f6e-0d7d-4f6c-9a25-6f3f3c9d1a55"


@asynccontextmanager
async def serving(folder: Path, **settings: Any) -> AsyncIterator[XiaozhiStation]:
    station = XiaozhiStation("xiaozhi://127.0.0.1:0", ServeConfig(**settings), state=folder / "state")
    await station.open()
    try:
        yield station
    finally:
        await station.close()


def key_of(station: XiaozhiStation, wearer: str = "ada") -> str:
    return station.access.pair(station.access.invite("wearer", wearer), f"{wearer}'s box")[1]


def jpeg(width: int = 64, height: int = 48) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), (10, 200, 30), np.uint8)).save(out, "JPEG")
    return out.getvalue()


async def until(true: Callable[[], object], patience: float = 8.0) -> None:
    async with asyncio.timeout(patience):
        while not true():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.005)


class StockDevice:
    """One device. ``async with`` connects it; ``call`` is its wake word, ``press`` and ``let_go`` are its button."""

    def __init__(
        self, station: XiaozhiStation, key: str, *, version: int = 1, mcp: bool = True, mode: str = "auto", aec: bool = False
    ) -> None:
        self.key = key
        self.version = version
        self.mode = mode
        self.state = "idle"
        self.session_id = ""
        self.hello: Mapping[str, Any] = {}
        self.said: list[Mapping[str, Any]] = []
        """All text messages, in order."""
        self.heard: list[Pcm] = []
        """What the loudspeaker played."""
        self.heard_at: list[float] = []
        self.wasted = 0
        """Packets of sound that came while it did not speak."""
        self.picture: bytes | None = jpeg()
        self.battery = 62
        self.photo_status = 0
        self.stubborn = False
        """Whether it answers nothing to its tools."""
        self.hello_s = 0.0
        self.close_code: int | None = None
        self._station = station
        self._features = {**({"mcp": True} if mcp else {}), **({"aec": True} if aec else {})}
        self._vision: Mapping[str, str] = {}
        self._encoder, self._decoder = Encoder(24_000, 0, PACKET), Decoder()
        self._says: list[Pcm] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> StockDevice:
        self.http = aiohttp.ClientSession()
        try:
            await self.connect()
        except BaseException:
            await self.http.close()
            raise
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.hang_up()
        await self.http.close()
        self._encoder.close()
        self._decoder.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._station.port}"

    async def connect(self) -> None:
        await self._stop()
        # Its WebSocket library leaves the port out of the Host.
        headers = {"Protocol-Version": str(self.version), "Device-Id": MAC, "Client-Id": CLIENT, "Host": "127.0.0.1"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        began = self._loop.time()
        self.socket = await self.http.ws_connect(f"{self.url}/xiaozhi/v1/", headers=headers)
        sound = {"format": "opus", "sample_rate": 16000, "channels": 1, "frame_duration": 60}
        await self.tell("hello", version=self.version, features=self._features, transport="websocket", audio_params=sound)
        self.hello = json.loads((await self.socket.receive(timeout=5)).data)
        self.hello_s = self._loop.time() - began
        self.session_id = self.hello["session_id"]
        self._tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._talk())]

    async def vanish(self) -> None:
        """Loses its network: no word of goodbye."""
        connection = self.socket._conn
        assert connection is not None and connection.transport is not None
        connection.transport.abort()
        await self._stop()
        self.state = "idle"

    async def hang_up(self) -> None:
        await self.socket.close()
        await self._stop()
        self.state = "idle"

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def open(self) -> bool:
        return not self.socket.closed

    # What its wearer does.

    async def call(self) -> None:
        """The wake word was heard: what was recorded of it goes first, as the firmware does."""
        if self.state == "speaking":
            await self.tell("abort", session_id=self.session_id, reason="wake_word_detected")
            return
        for _ in range(5):
            await self._send(np.full(PACKET, 900, np.int16))
        await self.tell("listen", session_id=self.session_id, state="detect", text="hi there")
        await self._listen()

    async def press(self) -> None:
        self.mode = "manual"
        if self.state == "speaking":
            await self.tell("abort", session_id=self.session_id)
        await self._listen()

    async def let_go(self) -> None:
        if self.state == "listening":
            await self.tell("listen", session_id=self.session_id, state="stop")
            self.state = "idle"

    def say(self, pcm: Pcm) -> None:
        """Is said into the microphone from now on, as far as that is open."""
        whole = np.pad(pcm, (0, -len(pcm) % PACKET))
        self._says = [whole[at : at + PACKET] for at in range(0, len(whole), PACKET)]

    async def spoken(self) -> None:
        await until(lambda: not self._says)

    # What it says and hears.

    async def tell(self, kind: str, **fields: Any) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **fields}))

    def of(self, kind: str, state: str | None = None) -> list[Mapping[str, Any]]:
        return [message for message in self.said if message["type"] == kind and state in (None, message.get("state"))]

    @property
    def sound(self) -> Pcm:
        return np.concatenate(self.heard) if self.heard else np.zeros(0, np.int16)

    async def _listen(self) -> None:
        self.state = "listening"
        await self.tell("listen", session_id=self.session_id, state="start", mode=self.mode)

    async def _send(self, pcm: Pcm) -> None:
        await self.socket.send_bytes(frame(self._encoder.encode(pcm), self.version, round(self._loop.time() * 1000)))

    async def _talk(self) -> None:
        due = self._loop.time()
        quiet = np.zeros(PACKET, np.int16)
        while True:
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            if self.state == "listening" or (self.mode == "realtime" and self.state == "speaking"):
                await self._send(self._says.pop(0) if self._says else quiet)

    async def _receive(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                if self.state == "speaking":
                    self.heard.append(self._decoder.decode(unframe(message.data, self.version).payload))
                    self.heard_at.append(self._loop.time())
                else:
                    self.wasted += 1
            else:
                await self._told(json.loads(message.data))
        self.close_code = self.socket.close_code
        self.state = "idle"

    async def _told(self, message: Mapping[str, Any]) -> None:
        self.said.append(message)
        match message["type"], message.get("state"):
            case "tts", "start":
                self.state = "speaking"
            case "tts", "stop" if self.state == "speaking":
                if self.mode == "manual":
                    self.state = "idle"
                elif self.mode == "realtime":
                    self.state = "listening"  # its microphone was never off: it says nothing
                else:
                    await self._listen()
            case "mcp", _ if not self.stubborn:
                await self._tool(message["payload"])

    # Its tools.

    async def _tool(self, asked: Mapping[str, Any]) -> None:
        match asked["method"]:
            case "initialize":
                self._vision = asked["params"]["capabilities"]["vision"]
                info = {"name": "box", "version": "2.0.3"}
                await self._answer(asked, {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}, "serverInfo": info})
            case "tools/list" if asked["params"]["cursor"] == "":
                tools = [{"name": "self.get_device_status", "inputSchema": {}}]
                camera = {"nextCursor": "self.camera.take_photo"} if self.picture is not None else {}
                await self._answer(asked, {"tools": tools, **camera})
            case "tools/list":
                await self._answer(asked, {"tools": [{"name": "self.camera.take_photo", "inputSchema": {}}]})
            case "tools/call" if asked["params"]["name"] == "self.get_device_status":
                status = {"audio_speaker": {"volume": 70}, "battery": {"level": self.battery, "charging": False}}
                await self._answer(asked, {"content": [{"type": "text", "text": json.dumps(status)}], "isError": False})
            case "tools/call":
                question = asked["params"]["arguments"]["question"]
                self.photo_status, text = await self.upload(self.picture or b"", question)
                result = {"content": [{"type": "text", "text": text}], "isError": False}
                await self._answer(asked, result if self.photo_status == 200 else None)

    async def _answer(self, asked: Mapping[str, Any], result: Mapping[str, Any] | None) -> None:
        answer = {"error": {"message": "Failed to upload photo"}} if result is None else {"result": result}
        await self.tell("mcp", session_id=self.session_id, payload={"jsonrpc": "2.0", "id": asked["id"], **answer})

    async def upload(self, picture: bytes, question: str, token: str | None = None) -> tuple[int, str]:
        """Posts a picture as the firmware does: chunked, the question before the file."""
        edge = "----ESP32_CAMERA_BOUNDARY"
        head = f'--{edge}\r\nContent-Disposition: form-data; name="question"\r\n\r\n{question}\r\n'
        head += f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="camera.jpg"\r\n'
        head += "Content-Type: image/jpeg\r\n\r\n"

        async def body() -> AsyncIterator[bytes]:
            yield head.encode()
            for at in range(0, len(picture), 512):
                yield picture[at : at + 512]
            yield f"\r\n--{edge}--\r\n".encode()

        headers = {
            "Authorization": f"Bearer {self._vision['token'] if token is None else token}",
            "Content-Type": f"multipart/form-data; boundary={edge}",
        }
        async with self.http.post(self._vision["url"], data=body(), headers=headers) as response:
            return response.status, await response.text()


async def ask_ota(station: XiaozhiStation, path: str = "/xiaozhi/ota/", client: str = CLIENT, **body: Any) -> tuple[int, Any]:
    """What the firmware asks at its start; gives the status and the answer."""
    headers = {"Device-Id": MAC, "Client-Id": client, "User-Agent": "bread-compact-wifi/2.0.3", "Activation-Version": "1"}
    about = body or {"version": 2, "mac_address": MAC, "uuid": client, "application": {"name": "xiaozhi", "version": "2.0.3"}}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{station.port}") as http:
        async with http.post(path, json=about, headers=headers) as response:
            return response.status, await response.json()
