"""A xiaozhi device out of a capture: a socket that gives what the real one sent.

A device that listens again by itself once we stop speaking does so here as well, when this host stops.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aiohttp import WSMessage, WSMsgType

from edge.errors import InputError, LinkError
from phone_bridge.keys import Device
from phone_bridge.pcapng import JPEG, JSON, LONGEST_S, Connection, Packet
from phone_bridge.replay import Answered, Pace, nearest
from phone_bridge.xiaozhi_glasses import XiaozhiGlasses
from phone_bridge.xiaozhi_socket import Socket

log = logging.getLogger(__name__)

REFUSAL = {"code": -32601, "message": "the capture has no answer to this"}
AGAIN_S = 2.0
"""What begins to listen within so long after we stopped speaking does so because of it."""
Key = tuple[str, str]
"""A method of MCP, and which tool or page it is asked for: that much makes two requests the same."""


class XiaozhiPlayer:
    """Plays a device's connections to its wearer's link."""

    def __init__(self, wearer: str, uri: str) -> None:
        self.glasses = XiaozhiGlasses(wearer, keep=LONGEST_S, uri=uri)

    async def play(self, connection: Connection, began: float, over: Callable[[], Awaitable[None]]) -> None:
        """Plays one, as the station does with a device's."""
        messages = _Replayed(connection, began, over, self.glasses.photo)
        device = Device("replay", str(connection.facts.get("device", "")), self.glasses.wearer, "wearer", 0.0, 0.0)
        socket = Socket(messages, device, str(connection.facts.get("version", "")), "http://replay")
        hello = await socket.greet()
        if hello is None:
            return
        self.glasses.attach(socket, hello)
        try:
            await socket.run(self.glasses)
        finally:
            self.glasses.detach(socket)


class _Replayed:
    """Stands where a device's WebSocket stood."""

    def __init__(
        self,
        connection: Connection,
        began: float,
        over: Callable[[], Awaitable[None]],
        photo: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self._over = over
        self._photo = photo
        self._pace: Pace[Packet | None] = Pace(began)
        """None at the end."""
        self._answers = dict(_answers(connection.packets))
        self._again, rest = _again(connection.packets)
        for packet in rest:
            if packet.received and packet.kind != JPEG and (packet.kind != JSON or _payload(packet.data) is None):
                self._pace.put(packet.at, packet)
        self._pace.put(connection.ended if connection.ended is not None else connection.packets[-1].at, None)

    @property
    def closed(self) -> bool:
        """Whether nothing is sent any more."""
        return self._pace.closed

    async def receive(self) -> WSMessage:
        """Gives the next message, at its time."""
        while not self._pace.closed:
            packet = await self._pace.next()
            if packet is None:
                if not self._pace.closed:
                    await self._over()
                break
            if packet.kind == JPEG:
                await self._post(packet.data)
            elif packet.size == len(packet.data):  # what was left out for privacy is nothing
                text = packet.kind == JSON
                data = packet.data.decode("utf-8", "replace") if text else packet.data
                return WSMessage(WSMsgType.TEXT if text else WSMsgType.BINARY, data, None)
        return WSMessage(WSMsgType.CLOSED, None, None)

    async def send_str(self, data: str) -> None:
        """Answers a request to the device's tools, and listens again when we stop speaking; the rest is heard by nobody."""
        if self._again and _is(data.encode(), "tts", "stop"):
            seconds, packet = self._again
            self._pace.put(self._pace.now + seconds, packet)
        payload = _payload(data.encode())
        if payload is None or "id" not in payload or "method" not in payload:
            return
        found = nearest(self._answers.get(_key(payload), ()), self._pace.now)
        if found is None:
            refused = {"jsonrpc": "2.0", "error": REFUSAL, "id": payload["id"]}
            self._pace.put(self._pace.now, _text(self._pace.now, refused))
            return
        for seconds, packet in found.came:
            reply = _payload(packet.data) if packet.kind == JSON else None
            ours = packet if reply is None else _text(packet.at, reply | {"id": payload["id"]})
            self._pace.put(self._pace.now + seconds, ours)

    async def send_bytes(self, data: bytes) -> None:
        """Nobody hears it."""

    async def close(self, *, code: int) -> bool:
        """Ends."""
        was_open = not self._pace.closed
        self._pace.close()
        return was_open

    async def _post(self, jpeg: bytes) -> None:
        try:
            await self._photo(jpeg)
        except (InputError, LinkError) as error:
            log.info("a picture of the capture is not taken: %s", error.text)


def _answers(packets: list[Packet]) -> Iterator[tuple[Key, list[Answered[Packet]]]]:
    """Gives the requests to the device's tools that were answered, with what came of each, the pictures included."""
    asked: dict[Any, tuple[Packet, Key, list[tuple[float, Packet]]]] = {}
    answered: dict[Key, list[Answered[Packet]]] = {}
    for packet in packets:
        if packet.kind == JPEG:
            for request, key, came in asked.values():
                if key[0] == "tools/call":
                    came.append((packet.at - request.at, packet))
            continue
        payload = _payload(packet.data) if packet.kind == JSON else None
        number = payload.get("id") if payload is not None else None
        if payload is None or not isinstance(number, int):
            continue
        if not packet.received and "method" in payload:
            asked[number] = packet, _key(payload), []
        elif packet.received and number in asked:
            request, key, came = asked.pop(number)
            came.append((packet.at - request.at, packet))
            answered.setdefault(key, []).append(Answered(request.at, tuple(came)))
    yield from answered.items()


def _again(packets: list[Packet]) -> tuple[tuple[float, Packet] | None, list[Packet]]:
    """Gives how a device listens again by itself once we stop speaking, and how many seconds after; and all other packets.

    It does so in auto mode, after a reply as after the sound that says that it was called.
    """
    again: tuple[float, Packet] | None = None
    stopped: float | None = None
    rest = []
    for packet in packets:
        if packet.kind == JSON and not packet.received and _is(packet.data, "tts", "stop"):
            stopped = packet.at
        elif packet.kind == JSON and packet.received and _is(packet.data, "listen", "start"):
            if stopped is not None and packet.at - stopped < AGAIN_S:
                again = again or (packet.at - stopped, packet)
                stopped = None
                continue
            stopped = None
        rest.append(packet)
    return again, rest


def _is(data: bytes, kind: str, state: str) -> bool:
    message = _message(data)
    return message is not None and (message.get("type"), message.get("state")) == (kind, state)


def _key(payload: dict[str, Any]) -> Key:
    params = payload.get("params")
    which = params.get("name", params.get("cursor", "")) if isinstance(params, dict) else ""
    return str(payload["method"]), str(which)


def _message(data: bytes) -> dict[str, Any] | None:
    """A message of the device's or ours; None where it is none."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _payload(data: bytes) -> dict[str, Any] | None:
    """The JSON-RPC message in a message; None where there is none."""
    message = _message(data)
    if message is None or message.get("type") != "mcp" or not isinstance(message.get("payload"), dict):
        return None
    payload: dict[str, Any] = message["payload"]
    return payload


def _text(at: float, payload: dict[str, Any]) -> Packet:
    data = json.dumps({"type": "mcp", "payload": payload}).encode()
    return Packet(at, JSON, data, True, len(data))
