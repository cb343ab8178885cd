"""The tools of a xiaozhi device: a client of the Model Context Protocol (2024-11-05) over messages of its WebSocket.

The device is the MCP server. It takes ``initialize``, ``tools/list`` with a cursor and ``tools/call``, with numbers as ids, and
never asks anything itself. One thing is its own: ``capabilities.vision`` tells it where to post what its camera took.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from edge import __version__
from edge.errors import LinkError

PROTOCOL = "2024-11-05"
ANSWER_S = 5.0
"""How long an answer may take, unless the caller knows better."""
PAGES = 16
"""Pages of the list of tools: one holds 8000 bytes, a dozen tools."""
TOOLS = 128
ASKED = 8
"""Requests that may wait for their answer at once."""
CAMERA = "self.camera.take_photo"
STATUS = "self.get_device_status"


class Tools:
    """What a device can do, asked of it over one connection."""

    def __init__(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        """``send`` takes a JSON-RPC message and does not wait."""
        self.names: frozenset[str] = frozenset()
        """The tools that it has, once ``learn`` is through."""
        self.stray = 0
        """Messages that answered nothing."""
        self._send = send
        self._asked: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._id = 0

    async def learn(self, vision_url: str, token: str) -> None:
        """Begins, tells where pictures go and with which token, and reads which tools there are. Raises LinkError."""
        vision = {"url": vision_url, "token": token}
        client = {"name": "nearsight", "version": __version__}
        await self._ask(
            "initialize", {"protocolVersion": PROTOCOL, "capabilities": {"vision": vision}, "clientInfo": client}, ANSWER_S
        )
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        found: set[str] = set()
        cursor = ""
        for _ in range(PAGES):
            page = await self._ask("tools/list", {"cursor": cursor}, ANSWER_S)
            tools = page.get("tools")
            if not isinstance(tools, list):
                raise LinkError("the device's list of tools is none")
            found |= {tool["name"] for tool in tools if isinstance(tool, dict) and isinstance(tool.get("name"), str)}
            following = page.get("nextCursor", "")
            if len(found) > TOOLS or not isinstance(following, str) or not following or following == cursor:
                break
            cursor = following
        self.names = frozenset(found)

    async def call(self, name: str, arguments: Mapping[str, Any], limit: float = ANSWER_S) -> str:
        """Lets the device do something; gives the text that it answers, within ``limit`` seconds. Raises LinkError."""
        result = await self._ask("tools/call", {"name": name, "arguments": dict(arguments)}, limit)
        content = result.get("content")
        texts = [part.get("text") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
        text = "".join(text for text in texts if isinstance(text, str))
        if result.get("isError") is True:
            raise LinkError(f"{name}: the device could not")
        return text

    def received(self, payload: Mapping[str, Any]) -> None:
        """Takes a message of the device."""
        key = payload.get("id")
        waiting = self._asked.get(key) if isinstance(key, int) else None
        if waiting is None or waiting.done():
            self.stray += 1
        elif isinstance(result := payload.get("result"), dict):
            waiting.set_result(result)
        else:
            waiting.set_exception(LinkError(f"the device refuses: {_reason(payload.get('error'))}"))

    async def _ask(self, method: str, params: Mapping[str, Any], limit: float) -> Mapping[str, Any]:
        if len(self._asked) >= ASKED:
            raise LinkError(f"{method}: the device has {ASKED} requests to answer already")
        self._id += 1
        key = self._id
        waiting: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[key] = waiting
        self._send({"jsonrpc": "2.0", "id": key, "method": method, "params": dict(params)})
        try:
            async with asyncio.timeout(limit):
                return await waiting
        except TimeoutError:
            raise LinkError(f"{method}: the device did not answer within {limit:g} s") from None
        finally:
            del self._asked[key]


def battery(status: str) -> tuple[float | None, bool | None]:
    """Reads the answer of ``STATUS``: the battery's level, 0 to 1, and whether it charges; None for what it does not say."""
    try:
        found = json.loads(status)
    except (ValueError, RecursionError):
        return None, None
    held = found.get("battery") if isinstance(found, dict) else None
    if not isinstance(held, dict):
        return None, None
    level, charging = held.get("level"), held.get("charging")
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 <= level <= 100:
        level = None
    return level / 100 if level is not None else None, charging if isinstance(charging, bool) else None


def _reason(error: object) -> str:
    message = error.get("message") if isinstance(error, dict) else None
    return message[:200] if isinstance(message, str) else "it does not say why"
