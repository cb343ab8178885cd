"""Glasses out of a capture of a socket or of WebRTC: what they sent is given again, at its pace, to the same link.

What they sent by themselves (sound, touches, words) comes when it came. What they sent because they were asked (pictures, the
answers of tools) comes to whoever asks for it, whenever that is, after as long as it took then: of several the one that was
asked for nearest to that moment. Nobody waits for a host that asks for less, and one that asks for more than the capture ever
had is told that there is none.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from edge.channel import Channel, Overflow
from edge.errors import InputError, LinkError
from edge.events import Event
from edge.ports import Link
from edge.values import AudioChunk, Condition, Pcm, VideoFrame
from phone_bridge.pcapng import LONGEST_S, Connection, read_connections

log = logging.getLogger(__name__)

T = TypeVar("T")


class Pace(Generic[T]):
    """What is still to come of a connection, each at its time."""

    def __init__(self, began: float) -> None:
        """``began`` is the loop time that stands for the capture's beginning."""
        self.closed = False
        self._began = began
        self._loop = asyncio.get_running_loop()
        self._left: list[tuple[float, int, T]] = []
        self._order = itertools.count()
        self._more = asyncio.Event()

    @property
    def now(self) -> float:
        """Seconds since the capture's beginning."""
        return self._loop.time() - self._began

    def put(self, at: float, item: T) -> None:
        """Gives an item at a time of the capture."""
        heapq.heappush(self._left, (at, next(self._order), item))
        self._more.set()

    async def next(self) -> T | None:
        """Waits for the next item; None once the pace is closed."""
        while not self.closed:
            self._more.clear()
            wait = self._left[0][0] - self.now if self._left else None
            if wait is not None and wait <= 0:
                return heapq.heappop(self._left)[2]
            try:
                async with asyncio.timeout(wait):
                    await self._more.wait()
            except TimeoutError:
                pass
        return None

    def close(self) -> None:
        """Gives no more."""
        self.closed = True
        self._more.set()


@dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """Something that was asked for, and what came of it."""

    at: float
    """When it was asked for."""
    came: tuple[tuple[float, T], ...]
    """What came, and how many seconds after."""


def nearest(answers: Iterable[Answered[T]], now: float) -> Answered[T] | None:
    """Gives what was asked for nearest to a moment."""
    return min(answers, key=lambda answered: abs(answered.at - now), default=None)


class Counted(Link, Protocol):
    """A link with figures."""

    def counters(self) -> Mapping[str, int | float]:
        """Gives figures for a dashboard."""


class Player(Protocol):
    """Plays connections to the link of one wearer."""

    @property
    def glasses(self) -> Counted:
        """The link."""

    async def play(self, connection: Connection, began: float, over: Callable[[], Awaitable[None]]) -> None:
        """Plays one; ``over`` is called when all has come, and returns when the connection is to be let go."""


class ReplayLink:
    """The glasses of a capture. Its streams end with it, while the glasses are still there: an answer is played out."""

    captured, aside = False, None

    def __init__(self, uri: str, path: Path) -> None:
        """Raises InputError."""
        self.uri = uri
        found = [connection for connection in read_connections(path) if connection.packets]
        if not found:
            raise InputError(f"{path} holds no connection of glasses")
        self._kind, _, self._wearer = found[0].name.partition(":")
        if self._kind not in ("xiaozhi", "webrtc"):
            raise InputError(f"{path} was captured of {found[0].name!r}, which cannot be replayed")
        self._connections: Sequence[Connection] = [each for each in found if each.name == found[0].name]
        if len(self._connections) < len(found):
            log.warning("%s: %s is replayed, and no other wearer", uri, found[0].name)
        self._player: Player | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._sound: Channel[AudioChunk] = Channel("microphone", 250, Overflow.DROP_OLDEST)
        self._pictures: Channel[VideoFrame] = Channel("camera", 2, Overflow.DROP_OLDEST)
        self._taps: Channel[str] = Channel("taps", 16, Overflow.DROP_OLDEST)
        self._conditions: Channel[Condition] = Channel("conditions", 16, Overflow.DROP_OLDEST)

    @property
    def sink_delay_s(self) -> float:
        """Seconds from ``play`` until the sound could be heard."""
        return self._player.glasses.sink_delay_s if self._player is not None else 0.0

    async def open(self) -> None:
        """Begins."""
        self._player = self._make()
        glasses = self._player.glasses
        await glasses.open()
        pumps = (
            _pump(glasses.microphone(), self._sound),
            _pump(glasses.camera(), self._pictures),
            _pump(glasses.taps(), self._taps),
            _pump(glasses.conditions(), self._conditions),
        )
        self._tasks = [asyncio.create_task(pump, name=f"replay {self.uri}") for pump in pumps]
        self._tasks.append(asyncio.create_task(self._play(self._player), name=f"replay {self.uri}"))

    async def close(self) -> None:
        """Ends every stream."""
        if self._player is not None:
            await self._player.glasses.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._end()

    def microphone(self) -> AsyncIterator[AudioChunk]:
        """Gives the sound, at its pace."""
        return self._sound

    def camera(self) -> AsyncIterator[VideoFrame]:
        """Gives the pictures."""
        return self._pictures

    def taps(self) -> AsyncIterator[str]:
        """Gives the touches."""
        return self._taps

    def conditions(self) -> AsyncIterator[Condition]:
        """Gives how the glasses are."""
        return self._conditions

    def play(self, pcm: Pcm) -> None:
        """Takes the next 20 ms; nobody hears it."""
        if self._player is not None:
            self._player.glasses.play(pcm)

    def flush(self) -> int:
        """Drops what was not sent; gives the samples."""
        return self._player.glasses.flush() if self._player is not None else 0

    def privacy(self, on: bool) -> None:
        """Drops what comes."""
        if self._player is not None:
            self._player.glasses.privacy(on)

    def snap(self) -> None:
        """Asks for a picture: one of the capture's comes."""
        if self._player is not None:
            self._player.glasses.snap()

    def tell(self, event: Event) -> None:
        """Follows the turns, as the link does."""
        if self._player is not None:
            self._player.glasses.tell(event)

    def counters(self) -> Mapping[str, int | float]:
        """Gives figures for a dashboard."""
        return self._player.glasses.counters() if self._player is not None else {}

    def _make(self) -> Player:
        if self._kind == "xiaozhi":
            from phone_bridge.xiaozhi_replay import XiaozhiPlayer

            return XiaozhiPlayer(self._wearer, self.uri)
        from phone_bridge.webrtc_replay import WebRtcPlayer

        return WebRtcPlayer(self._wearer, self.uri)

    async def _play(self, player: Player) -> None:
        began = asyncio.get_running_loop().time() - self._connections[0].packets[0].at
        last = self._connections[-1]
        async with asyncio.TaskGroup() as group:
            for connection in self._connections:
                group.create_task(self._connected(player, connection, began, last=connection is last))
        # This host may have let the glasses rest before their capture ended.
        await asyncio.sleep(began + last.packets[-1].at - asyncio.get_running_loop().time())
        self._end()

    async def _connected(self, player: Player, connection: Connection, began: float, *, last: bool) -> None:
        async def over() -> None:
            if last:
                self._end()
                await asyncio.sleep(LONGEST_S)

        await asyncio.sleep(began + connection.packets[0].at - asyncio.get_running_loop().time())
        await player.play(connection, began, over)

    def _end(self) -> None:
        for channel in (self._sound, self._pictures, self._taps):
            channel.close()
        self._conditions.close()


async def _pump(stream: AsyncIterator[T], channel: Channel[T]) -> None:
    error: LinkError | None = None
    try:
        async for item in stream:
            if channel.closed:
                return
            channel.send_nowait(item)
    except LinkError as lost:
        error = lost
    channel.close(error)
