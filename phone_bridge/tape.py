"""One connection's way into a capture: what passes over it is written down as it passes."""

from __future__ import annotations

import asyncio
from typing import Any

from phone_bridge.pcapng import DATA, ENDED, JSON, PacketCapture

RTP_HEAD = 12
"""Bytes of a packet of media that say nothing of what is in it."""


class Tape:
    """Writes a connection down. While privacy is on, what holds sound or pictures is left out but for its length."""

    def __init__(self, capture: PacketCapture, name: str, **facts: Any) -> None:
        """``name`` is the link's URI; ``facts`` are what a replay needs and the packets do not say."""
        self._capture = capture
        self._loop = asyncio.get_running_loop()
        self._number = capture.begin(self._loop.time(), name, facts)

    def message(self, data: str | bytes, *, received: bool, private: bool = False) -> None:
        """Takes a text, which is written in any case, or a binary message."""
        if isinstance(data, str):
            self.took(JSON, data.encode("utf-8", "surrogatepass"), received=received)
        else:
            self.took(DATA, data, received=received, keep=0 if private and received else None)

    def took(self, kind: str, data: bytes, *, received: bool, keep: int | None = None) -> None:
        """Takes a packet, or its first ``keep`` bytes."""
        if self._number is not None:
            self._capture.write(self._loop.time(), self._number, kind, data, received=received, keep=keep)

    def close(self) -> None:
        """Takes that the connection has ended; a second call changes nothing."""
        number, self._number = self._number, None
        if number is not None:
            self._capture.write(self._loop.time(), number, DATA, b"", received=True, comment=ENDED)
            self._capture.flush()
