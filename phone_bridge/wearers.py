"""Who is here: the glasses of every wearer, and the connections by which they are reached.

A wearer's glasses outlive their connections. An offer is answered at once, and the peer gives it some seconds to become a
connection; until then nothing is taken from the device that is connected already, and a wearer who is new here has not
arrived. So an offer that nobody means costs one half-open connection for a while, and of those there is a bounded number.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from edge.channel import Channel
from edge.ports import Link
from phone_bridge.keys import Device
from phone_bridge.refusal import Refusal

if TYPE_CHECKING:
    from phone_bridge.peer import Peer
    from phone_bridge.webrtc import WebRtcGlasses

ANSWER_S = 10.0
"""Seconds that answering an offer may take; gathering addresses takes most of it."""
HALF_OPEN = 64
HALF_OPEN_A_DEVICE = 8
RETRY_S = 5
FULL_RETRY_S = 30


class Answer(Protocol):
    """How an offer becomes a connection; ``Peer.answer`` is it."""

    def __call__(self, offer_sdp: str, sink: WebRtcGlasses, /, *, device: str) -> Awaitable[tuple[Peer, str]]:
        """Gives the connection and the answer's SDP. Raises InputError."""


class Place:
    """A wearer's glasses, and how many offers for them are no connections yet."""

    __slots__ = ("arrived", "glasses", "latest", "pending", "wearer")

    def __init__(self, wearer: str, glasses: WebRtcGlasses) -> None:
        self.wearer = wearer
        self.glasses = glasses
        self.pending = 0
        self.arrived = False
        self.latest: Connection | None = None
        """The newest one that came through. It may be over: many WHIP clients close first and say DELETE then."""


class Connection:
    """One connection, which WHIP calls a session and names by a URL."""

    __slots__ = ("device", "etag", "half_open", "id", "lock", "peer", "place")

    def __init__(self, device: Device, place: Place, peer: Peer) -> None:
        self.id = secrets.token_urlsafe(12)
        self.device = device
        self.place = place
        self.peer = peer
        self.etag = fresh_etag()
        self.half_open = True
        self.lock = asyncio.Lock()
        """Held while a PATCH changes it: two at once would mix their candidates."""


def fresh_etag() -> str:
    """Makes a strong entity tag, quotes included; it names one ICE session."""
    return f'"{secrets.token_urlsafe(9)}"'


class Wearers:
    """Keeps glasses and connections. All of it belongs to the loop."""

    def __init__(self, limit: int, make: Callable[[str], WebRtcGlasses], answer: Answer) -> None:
        """``make`` makes the glasses of a wearer; at most ``limit`` wearers are served at once."""
        self._limit = limit
        self._make = make
        self._answer = answer
        self._places: dict[str, Place] = {}
        self._connections: dict[str, Connection] = {}
        self._peers: set[Peer] = set()
        """All that are not freed yet, of connections that are forgotten too."""
        self._half_open: Counter[str] = Counter()
        self._closing: set[asyncio.Task[None]] = set()
        self._over = False
        self.arrivals: Channel[Link] = Channel("arrivals", limit)

    @property
    def glasses(self) -> Mapping[str, WebRtcGlasses]:
        """The glasses of the wearers who are here."""
        return {wearer: place.glasses for wearer, place in self._places.items() if place.arrived}

    @property
    def half_open(self) -> int:
        """Offers that are not connections yet."""
        return self._half_open.total()

    def connected(self, device_id: str) -> bool:
        """Whether a device is the one by which its wearer is reached now."""
        reached = (place.latest for place in self._places.values() if place.glasses.connected)
        return any(connection is not None and connection.device.id == device_id for connection in reached)

    async def offer(self, device: Device, sdp: str) -> tuple[Connection, str]:
        """Answers an offer. Raises Refusal where there is no room, InputError for an offer that cannot be used."""
        place = self._room(device)
        place.pending += 1
        self._half_open[device.id] += 1
        peer = None
        try:
            async with asyncio.timeout(ANSWER_S):
                peer, answer = await self._answer(sdp, place.glasses, device=device.id)
        except TimeoutError:
            raise Refusal(503, "busy", "this took too long; try again", retry_after=RETRY_S) from None
        finally:
            if peer is None:
                self._settle(device, place)
        connection = Connection(device, place, peer)
        self._connections[connection.id] = connection
        self._peers.add(peer)
        peer.on_connected = lambda peer: self._connected(connection)
        peer.on_closed = lambda peer: self._ended(connection)
        if self._over or peer.closed or place.glasses.closed:
            await peer.close()
            self._ended(connection)
            raise Refusal(503, "over", "this visit has just ended; try again", retry_after=RETRY_S)
        return connection, answer

    def find(self, connection_id: str, device: Device) -> Connection:
        """Gives a device's own connection. Raises Refusal 404 for one that is not there or is somebody else's."""
        connection = self._connections.get(connection_id)
        if connection is None or connection.device.id != device.id:
            raise Refusal(404, "no_connection", "there is no such connection, or it has ended")
        return connection

    async def end(self, connection: Connection) -> None:
        """Ends a connection, and with it its wearer's visit where no other device has taken over."""
        if connection.place.latest is connection:
            await connection.place.glasses.close()
        await connection.peer.close()

    async def revoke(self, device_id: str) -> None:
        """Ends all connections of a device. Its wearer may come back by another one."""
        for connection in list(self._connections.values()):
            if connection.device.id == device_id:
                await connection.peer.close()

    async def close(self) -> None:
        """Sends everybody away."""
        self._over = True
        for place in list(self._places.values()):
            await place.glasses.close()
        for peer in list(self._peers):
            await peer.close()
        await asyncio.gather(*self._closing)
        self.arrivals.close()

    def _room(self, device: Device) -> Place:
        if self._over:
            raise Refusal(503, "closing", "this station is closing")
        if self._half_open[device.id] >= HALF_OPEN_A_DEVICE:
            raise Refusal(429, "too_many", "this device has too many offers open", retry_after=RETRY_S)
        if self.half_open >= HALF_OPEN:
            raise Refusal(503, "busy", "too many offers are open; try again", retry_after=RETRY_S)
        place = self._places.get(device.wearer)
        if place is None:
            if len(self._places) >= self._limit:
                served = f"{self._limit} wearers are" if self._limit > 1 else "1 wearer is"
                raise Refusal(503, "full", f"{served} served already, and there is no room for more", retry_after=FULL_RETRY_S)
            place = self._places[device.wearer] = Place(device.wearer, self._make(device.wearer))
            place.glasses.on_attached = lambda glasses: self._arrive(place)
            place.glasses.on_closed = lambda glasses: self._gone(place)
        return place

    def _arrive(self, place: Place) -> None:
        """Hands new glasses on, when the first of their connections is through."""
        if place.arrived or self._over:
            return
        place.arrived = self.arrivals.send_nowait(place.glasses)
        assert place.arrived, "there are no more places than fit into the channel"

    def _connected(self, connection: Connection) -> None:
        self._through(connection)
        before, connection.place.latest = connection.place.latest, connection
        if before is not None and before.peer.closed:
            self._connections.pop(before.id, None)

    def _ended(self, connection: Connection) -> None:
        self._peers.discard(connection.peer)
        self._through(connection)
        if connection.place.latest is not connection or connection.place.glasses.closed:
            self._connections.pop(connection.id, None)

    def _through(self, connection: Connection) -> None:
        if connection.half_open:
            connection.half_open = False
            self._settle(connection.device, connection.place)

    def _settle(self, device: Device, place: Place) -> None:
        """One offer is no longer half open: it is a connection, or over."""
        self._half_open[device.id] -= 1
        if not self._half_open[device.id]:
            del self._half_open[device.id]
        place.pending -= 1
        if not place.pending and not place.arrived and self._places.get(place.wearer) is place:
            # Who never arrived is forgotten.
            del self._places[place.wearer]
            task = asyncio.create_task(place.glasses.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _gone(self, place: Place) -> None:
        if self._places.get(place.wearer) is place:
            del self._places[place.wearer]
        if place.arrived and not self.arrivals.closed:
            # Whom nobody has taken yet needs no taking any more.
            for waiting in self.arrivals.flush():
                if waiting is not place.glasses:
                    self.arrivals.send_nowait(waiting)
        for connection in [connection for connection in self._connections.values() if connection.place is place]:
            if connection.half_open:
                connection.peer.close_soon("the visit is over")
            elif connection.peer.closed:
                del self._connections[connection.id]
