"""What a xiaozhi device tells of itself by its tools: pictures when they are wanted, its battery now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from edge.errors import LinkError
from phone_bridge import xiaozhi_wire as wire
from phone_bridge.xiaozhi_mcp import CAMERA, STATUS, Tools, battery
from phone_bridge.xiaozhi_socket import Socket

log = logging.getLogger(__name__)

BATTERY_S = 60.0
USUAL_S = 4.0
"""How long a question may wait for its picture: an ESP32 takes one to three seconds to take, encode and upload it."""
PHOTO_S = 15.0
"""How long one may take to come at all."""
FRESH_S = 2.0
"""A picture asked for so recently is of what the question is about."""
QUESTION = "What is in view?"
"""The tool wants a question, which comes back with the picture and is of no use here: the session has its own."""


class Senses:
    """The tools of one connection, at work until ``close``."""

    def __init__(self, socket: Socket, *, known: Callable[..., None], count: Callable[[str], None]) -> None:
        """``known`` is told fields of a ``Condition``: the battery, and that there is a camera, by what it may take.

        ``count`` is told ``lost_photos`` for a picture that will not come.
        """
        self.tools = Tools(lambda payload: socket.send(wire.mcp(socket.session, payload)))
        self.photographing = False
        """Whether a picture is awaited now."""
        self._socket = socket
        self._known = known
        self._count = count
        self._loop = asyncio.get_running_loop()
        self._snapped_at = float("-inf")
        self._wanted = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"xiaozhi tools {socket.device.id}")

    def snap(self) -> None:
        """Wants a picture; one that is on its way already will do."""
        if not self.photographing:
            self._wanted.set()

    def refresh(self) -> None:
        """Wants a picture unless the last one is fresh: the wearer may have been silent for long since the call."""
        if self._loop.time() - self._snapped_at > FRESH_S:
            self.snap()

    def received(self, payload: Mapping[str, Any]) -> None:
        """Takes a message of the tools."""
        self.tools.received(payload)

    def close(self) -> None:
        """Ends: the connection is over."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            await self.tools.learn(self._socket.vision_url, self._socket.vision_token)
        except LinkError as error:
            log.warning("device %s: %s: it is used without its tools", self._socket.device.id, error.text)
            return
        async with asyncio.TaskGroup() as group:
            if CAMERA in self.tools.names:
                self._known(photo_s=USUAL_S)
                group.create_task(self._photograph())
            if STATUS in self.tools.names:
                group.create_task(self._look_at_battery())

    async def _photograph(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self.photographing = True
            self._snapped_at = self._loop.time()
            try:
                await self.tools.call(CAMERA, {"question": QUESTION}, PHOTO_S)
            except LinkError as error:
                log.warning("device %s: %s", self._socket.device.id, error.text)
                self._count("lost_photos")
            finally:
                self.photographing = False

    async def _look_at_battery(self) -> None:
        while True:
            try:
                level, charging = battery(await self.tools.call(STATUS, {}))
                self._known(battery=level, charging=charging)
            except LinkError as error:
                log.info("device %s: %s", self._socket.device.id, error.text)
            await asyncio.sleep(BATTERY_S)
