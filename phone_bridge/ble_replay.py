"""Glasses out of a capture: a bleak backend that gives what real ones gave, to the same link and the same adapter.

Where the capture's host asked something, this host is waited for, so that no answer comes before its question; notifications
keep their distances in time. The waiting is bounded: what this host does not ask is passed over, and what it alone asks is
answered from memory. Of what it writes only the first byte is compared. Photos that were asked for are no part of that course:
whoever asks for one, whenever that is, is given the one of this connection that was asked for nearest to that moment.

Captures of phones are read too (Android's btsnoop_hci.log), if they hold the discovery of the glasses' services.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from phone_bridge import ble_pdus as pdus
from phone_bridge.ble import BleLink
from phone_bridge.ble_gatt import bleak_package
from phone_bridge.ble_replay_photos import Photos
from phone_bridge.ble_replay_script import Answered, Asked, Connection, Notified, Replies, connections
from phone_bridge.capture import read_capture

if TYPE_CHECKING:
    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.client import BaseBleakClient
    from bleak.backends.client import BaseBleakClient as _Client
    from bleak.backends.scanner import BaseBleakScanner
    from bleak.backends.scanner import BaseBleakScanner as _Scanner
else:
    _Client = _Scanner = object

GRACE_S = 0.3
"""How long the replay and this host wait for each other. The link's own patience with silent glasses is longer."""
NOT_FOUND = 0x0A
"""Attribute not found."""


class ReplayBleLink(BleLink):
    """The glasses of a capture. Its streams end with it, while the glasses are still there: an answer is played out."""

    def __init__(self, uri: str, path: Path) -> None:
        """Raises InputError, EngineMissing."""
        self._player = Player(connections(read_capture(path), str(path)), self._over)
        client, scanner = self._player.backends()
        super().__init__(uri, address=self._player.address, client=client, scanner=scanner)

    def _over(self) -> None:
        if self._task is not None:
            self._task.cancel()  # nobody is left to be asked for a sign of life
        self._end(None)


class Player:
    """What is left of a capture."""

    def __init__(self, found: list[Connection], over: Callable[[], None]) -> None:
        self.address = found[0].address
        self._left = deque(found)
        self._ended: tuple[float, float] | None = None
        self._tell_over = over

    def backends(self) -> tuple[type[BaseBleakClient], type[BaseBleakScanner]]:
        """Gives the bleak backends by which this is reached. Raises EngineMissing."""
        bleak_package()
        from bleak.backends.client import BaseBleakClient
        from bleak.backends.scanner import BaseBleakScanner

        client = type("ReplayClient", (_Replayed, BaseBleakClient), {"player": self})
        return client, type("ReplayScanner", (_Heard, BaseBleakScanner), {"player": self})

    def until_heard(self, now: float) -> float | None:
        """Gives the seconds until the glasses advertise again, as long as they were away; None where they do not."""
        if not self._left:
            return None
        if self._ended is None:
            return 0.0
        lost_at, ended = self._ended
        return max(0.0, lost_at + self._left[0].began - ended - now)

    def next(self) -> Connection | None:
        """Gives the connection that comes now."""
        return self._left.popleft() if self._left else None

    def finished(self, connection: Connection, now: float) -> bool:
        """Takes that a connection was played to its end; says whether there is more."""
        self._ended = now, connection.ended
        if not self._left:
            self._tell_over()
        return bool(self._left)


class _Heard(_Scanner):
    player: ClassVar[Player]

    def __init__(self, detection_callback: Any, service_uuids: list[str] | None, mode: str, **options: Any) -> None:
        super().__init__(detection_callback, service_uuids)
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        self.seen_devices = {}
        loop = asyncio.get_running_loop()
        seconds = self.player.until_heard(loop.time())
        if seconds is not None:
            self._timer = loop.call_later(seconds, self._hear)

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _hear(self) -> None:
        from bleak.backends.scanner import AdvertisementData

        advertised = AdvertisementData(None, {}, {}, [], None, 0, ())
        address = self.player.address
        self.call_detection_callbacks(self.create_or_update_device(address, address, None, None, advertised), advertised)


Key = tuple[int, int | None]
"""A handle and, of a write, its first byte: that much makes two requests the same."""


def _key(handle: int, value: bytes | None) -> Key:
    return handle, value[0] if value else None


class _Request:
    """What this host asked."""

    def __init__(self, handle: int, value: bytes | None) -> None:
        self.key = _key(handle, value)
        self.value = value
        self.met = asyncio.Event()
        """The capture's host asks the same."""
        self.answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()


class _Replayed(_Client):
    player: ClassVar[Player]

    def __init__(self, address_or_ble_device: Any, **options: Any) -> None:
        super().__init__(address_or_ble_device, **options)
        self._connection: Connection | None = None
        self._replies = Replies(Connection("", 0.0))
        self._photos = Photos(Connection("", 0.0))
        self._coming: set[asyncio.TimerHandle] = set()
        """The notifications of a photo that is on its way."""
        self._origin = 0.0
        """Loop time of the capture's beginning."""
        self._playing: asyncio.Task[None] | None = None
        self._subscribed: dict[int, Callable[[bytearray], None]] = {}
        self._requests: deque[_Request] = deque()
        self._asked = asyncio.Event()
        self._open: deque[tuple[int, _Request | None]] = deque()
        """Requests of the capture's host that wait for their answer, by handle, with ours where there is one."""
        self._known: dict[int, bytes] = {}

    @property
    def name(self) -> str:
        return self.address

    @property
    def mtu_size(self) -> int:
        return self._connection.mtu if self._connection is not None else pdus.DEFAULT_MTU

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    async def connect(self, pair: bool, **options: Any) -> None:
        bleak = bleak_package()
        connection = self.player.next()
        if connection is None:
            raise bleak.exc.BleakDeviceNotFoundError(self.address, "the capture is over")
        self._connection = connection
        self._replies, self._photos = Replies(connection), Photos(connection)
        self.services = _collection(connection)
        self._playing = asyncio.create_task(self._play(connection), name=f"replay {self.address}")

    async def disconnect(self) -> None:
        playing, self._playing = self._playing, None
        connection, self._connection = self._connection, None
        self.services = None
        if playing is not None:
            if connection is not None and not playing.done():
                self.player.finished(connection, asyncio.get_running_loop().time())
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
        self._give_up()

    async def pair(self, *args: Any, **options: Any) -> None:
        """Nothing: what the capture's host was let read, it gives."""

    async def unpair(self) -> None:
        """Nothing."""

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, **options: Any) -> bytearray:
        return bytearray(await self._ask(characteristic.handle))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: Any, response: bool) -> None:
        if response:
            await self._ask(characteristic.handle, bytes(data))

    async def read_gatt_descriptor(self, descriptor: Any, **options: Any) -> bytearray:
        return bytearray(await self._ask(descriptor.handle))

    async def write_gatt_descriptor(self, descriptor: Any, data: Any) -> None:
        await self._ask(descriptor.handle, bytes(data))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: Callable[[bytearray], None], **options: Any
    ) -> None:
        self._subscribed[characteristic.handle] = callback
        await self._ask(characteristic.obj.control, b"\1\0")

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        self._subscribed.pop(characteristic.handle, None)
        await self._ask(characteristic.obj.control, b"\0\0")

    async def _ask(self, handle: int, value: bytes | None = None) -> bytes:
        """Reads, or writes ``value``."""
        errors = bleak_package().exc
        if self._connection is None:
            raise errors.BleakError("not connected")
        loop = asyncio.get_running_loop()
        photo = self._photos.asked(handle, value, loop.time() - self._origin)
        if photo is not None:
            self._coming = {loop.call_later(after, self._notify, *part) for after, part in photo}
            return b""
        request = _Request(handle, value)
        self._requests.append(request)
        self._asked.set()
        try:
            async with asyncio.timeout(GRACE_S):
                await request.met.wait()
        except TimeoutError:
            return self._remembered(handle, value)
        finally:
            if request in self._requests:
                self._requests.remove(request)
        answered = await request.answer
        if answered.refused:
            raise errors.BleakGATTProtocolError(answered.refused)
        return answered.value

    def _remembered(self, handle: int, value: bytes | None) -> bytes:
        """The answer to what the capture's host did not ask."""
        if value is None and handle not in self._known:
            raise bleak_package().exc.BleakGATTProtocolError(NOT_FOUND)
        if value is None:
            return self._known[handle]
        reply = self._replies.remembered(value) if handle == self._replies.handle else None
        if reply is not None:
            asyncio.get_running_loop().call_soon(self._notify, handle, reply)
        return b""

    def _notify(self, handle: int, value: bytes) -> None:
        callback = self._subscribed.get(handle)
        if callback is not None:
            callback(bytearray(value))

    async def _play(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        self._origin = loop.time() - connection.began
        for item in self._photos.rest:
            await asyncio.sleep(self._origin + item.at - loop.time())
            match item:
                case Notified(_, handle, value):
                    ours = self._replies.replied(value) if handle == self._replies.handle else value
                    if ours is not None:
                        self._notify(handle, ours)
                case Asked():
                    await self._meet(item)
                    self._origin = max(self._origin, loop.time() - item.at)
                case Answered() if self._open:
                    self._answer(item)
        await asyncio.sleep(self._origin + connection.ended - loop.time())
        self._connection = None if self.player.finished(connection, loop.time()) else connection
        if self._connection is None:
            self.services = None
            self._give_up()
            if self._disconnected_callback is not None:
                self._disconnected_callback()

    async def _meet(self, asked: Asked) -> None:
        """Waits a little until this host asks what the capture's did."""
        found, key = None, _key(asked.handle, asked.value)
        try:
            async with asyncio.timeout(GRACE_S):
                while (found := next((each for each in self._requests if each.key == key), None)) is None:
                    self._asked.clear()
                    await self._asked.wait()
            self._requests.remove(found)
            found.met.set()
        except TimeoutError:
            pass
        self._open.append((asked.handle, found))
        if asked.value is not None and asked.handle == self._replies.handle:
            self._replies.asked(asked.value, found.value if found is not None else None)

    def _answer(self, answered: Answered) -> None:
        """Answers the oldest request. ATT has one at a time."""
        handle, request = self._open.popleft()
        if answered.value:
            self._known[handle] = answered.value
        if request is not None and not request.answer.done():
            request.answer.set_result(answered)

    def _give_up(self) -> None:
        """Ends what waits for an answer, and a photo that is on its way."""
        for coming in self._coming:
            coming.cancel()
        while self._open:
            _, request = self._open.popleft()
            if request is not None and not request.answer.done():
                request.answer.set_exception(bleak_package().exc.BleakError("disconnected"))


def _collection(connection: Connection) -> Any:
    """The services as bleak gives them."""
    from bleak.assigned_numbers import gatt_char_props_to_strs
    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection

    found = BleakGATTServiceCollection()
    for service in connection.services:
        ours = BleakGATTService(service, service.handle, service.uuid)
        found.add_service(ours)
        for each in service.characteristics:
            properties = list(gatt_char_props_to_strs(each.properties))
            found.add_characteristic(
                BleakGATTCharacteristic(each, each.handle, each.uuid, properties, lambda: connection.mtu - 3, ours)
            )
    return found
