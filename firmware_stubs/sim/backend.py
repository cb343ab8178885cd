"""bleak on the virtual radio: backends by which bleak's own ``BleakClient`` and ``BleakScanner`` reach simulated devices.

::

    client, scanner = backends(radio.device("edge", "F0:F0:F0:F0:F0:F0"))
    found = await BleakScanner.find_device_by_name("Omi", backend=scanner)
    async with BleakClient(found, backend=client) as glasses: ...
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from bleak.args import SizedBuffer
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bumble import att, core, hci
from bumble.device import Advertisement, Connection, Device, Peer
from bumble.gatt_client import CharacteristicProxy, ServiceProxy

T = TypeVar("T")


Central = Device | Callable[[], Awaitable[Device]]
"""A device, or what makes one when it is first needed, on the loop that is there then."""


def backends(central: Central, *, mtu: int = 517) -> tuple[type[BaseBleakClient], type[BaseBleakScanner]]:
    """Gives the client and the scanner of one central, which asks for an MTU of so many bytes (23 to 517)."""

    async def powered() -> Device:
        device = central if isinstance(central, Device) else await central()
        if not device.powered_on:
            await device.power_on()
        return device

    client = type("BumbleClient", (_Client,), {"powered": staticmethod(powered), "asked_mtu": mtu})
    scanner = type("BumbleScanner", (_Scanner,), {"powered": staticmethod(powered)})
    return client, scanner


class _Scanner(BaseBleakScanner):
    central: Device

    def __init__(
        self, detection_callback: AdvertisementDataCallback | None, service_uuids: list[str] | None, mode: str, **options: Any
    ) -> None:
        super().__init__(detection_callback, service_uuids)

    @staticmethod
    async def powered() -> Device:
        """Gives the central, switched on; each backend has its own."""
        raise NotImplementedError

    async def start(self) -> None:
        self.seen_devices = {}
        self.central = await self.powered()
        self.central.on(Device.EVENT_ADVERTISEMENT, self._heard)
        await self.central.start_scanning(active=False)

    async def stop(self) -> None:
        self.central.remove_listener(Device.EVENT_ADVERTISEMENT, self._heard)
        await self.central.stop_scanning()

    def _heard(self, heard: Advertisement) -> None:
        name = heard.data.get(core.AdvertisingData.Type.COMPLETE_LOCAL_NAME)
        lists = (
            core.AdvertisingData.Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
            core.AdvertisingData.Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
        )
        found: list[Any] = [heard.data.get(kind) or () for kind in lists]
        uuids = [_uuid(uuid) for listed in found for uuid in listed]
        if not self.is_allowed_uuid(uuids):
            return
        advertised = AdvertisementData(name, {}, {}, uuids, None, heard.rssi, ())
        address = heard.address.to_string(False)
        device = self.create_or_update_device(address, address, name, heard.address, advertised)
        self.call_detection_callbacks(device, advertised)


class _Client(BaseBleakClient):
    central: Device
    asked_mtu: ClassVar[int]

    def __init__(self, address_or_ble_device: BLEDevice | str, **options: Any) -> None:
        super().__init__(
            address_or_ble_device, disconnected_callback=options["disconnected_callback"], timeout=options["timeout"]
        )
        self._connection: Connection | None = None
        self._peer: Peer | None = None
        self._subscribers: dict[int, Callable[[bytes], None]] = {}

    @staticmethod
    async def powered() -> Device:
        """Gives the central, switched on; each backend has its own."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        return self.address

    @property
    def mtu_size(self) -> int:
        return int(self._gatt().gatt_client.mtu)

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    async def connect(self, pair: bool, **options: Any) -> None:
        self.central = await self.powered()
        try:
            self._connection = await self.central.connect(hci.Address(self.address), timeout=self._timeout)
        except (core.TimeoutError, core.ConnectionError) as error:
            raise BleakDeviceNotFoundError(self.address, f"{self.address} cannot be connected: {error}") from error
        self._connection.on(Connection.EVENT_DISCONNECTION, self._disconnected)
        self._peer = Peer(self._connection)
        try:
            await self._ask(self._encrypt())
            await self._ask(self._discover())
            if pair:
                await self.pair()
        except BaseException:  # a connection that was only half made is nobody's
            await self.disconnect()
            raise

    async def disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.disconnect()
            except (core.BaseBumbleError, hci.HCI_Error):
                pass  # it has ended by itself
        self.services = None

    async def pair(self, *args: Any, **options: Any) -> None:
        connection = self._gatt().connection
        try:
            await self._ask(connection.pair())
        except core.ProtocolError as error:
            raise BleakError(f"pairing failed: {error}") from error

    async def unpair(self) -> None:
        keys = (await self.powered()).keystore
        if keys is not None:
            await keys.delete(self.address)

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **options: Any
    ) -> bytearray:
        return bytearray(await self._ask(self._gatt().gatt_client.read_value(characteristic.obj)))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **options: Any
    ) -> bytearray:
        return bytearray(await self._ask(self._gatt().gatt_client.read_value(descriptor.handle)))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        await self._ask(self._gatt().gatt_client.write_value(characteristic.obj, bytes(data), response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        await self._ask(self._gatt().gatt_client.write_value(descriptor.handle, bytes(data), True))

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **options: Any) -> None:
        def notified(value: bytes) -> None:
            callback(bytearray(value))

        self._subscribers[characteristic.handle] = notified
        await self._ask(self._gatt().gatt_client.subscribe(characteristic.obj, notified))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        subscriber = self._subscribers.pop(characteristic.handle, None)
        await self._ask(self._gatt().gatt_client.unsubscribe(characteristic.obj, subscriber))

    def _gatt(self) -> Peer:
        if self._connection is None or self._peer is None:
            raise BleakError("not connected")
        return self._peer

    def _disconnected(self, reason: int) -> None:
        told, self._connection = self._connection, None
        self.services = None
        if told is not None and self._disconnected_callback is not None:
            self._disconnected_callback()

    async def _ask(self, request: Coroutine[Any, Any, T]) -> T:
        """Gives the answer; bumble's errors become bleak's, and so does its way of cancelling what a disconnection ends."""
        try:
            return await request
        except att.ATT_Error as error:
            raise BleakGATTProtocolError(error.error_code) from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._connection is None and task is not None and not task.cancelling():
                raise BleakError("disconnected") from None
            raise
        except (core.BaseBumbleError, hci.HCI_Error) as error:
            raise BleakError(str(error)) from error

    async def _encrypt(self) -> None:
        """Takes up a bond that there is, as operating systems do by themselves."""
        connection, keys = self._gatt().connection, self.central.keystore
        if keys is not None and await keys.get(str(connection.peer_address)) is not None:
            await connection.encrypt()

    async def _discover(self) -> None:
        """Asks for the characteristics of all services at once, as BlueZ does: a round trip or two less for each."""
        peer = self._gatt()
        if self.asked_mtu > att.ATT_DEFAULT_MTU:
            await peer.request_mtu(self.asked_mtu)
        services = await peer.discover_services()
        found = BleakGATTServiceCollection()
        left: deque[CharacteristicProxy[Any]] = deque()
        if services:
            first, last = services[0], services[-1]
            table: Any = ServiceProxy(  # type: ignore[no-untyped-call]  # bumble's own
                peer.gatt_client, first.handle, last.end_group_handle, first.uuid, True
            )
            left.extend(await peer.gatt_client.discover_characteristics([], table))
        for service in services:
            ours = BleakGATTService(service, service.handle, _uuid(service.uuid))
            found.add_service(ours)
            service.characteristics = []
            while left and left[0].handle <= service.end_group_handle:
                characteristic = left.popleft()
                characteristic.end_group_handle = min(characteristic.end_group_handle, service.end_group_handle)
                service.characteristics.append(characteristic)
                found.add_characteristic(self._characteristic(characteristic, ours))
        self.services = found

    def _characteristic(self, found: CharacteristicProxy[Any], service: BleakGATTService) -> BleakGATTCharacteristic:
        properties = list(gatt_char_props_to_strs(found.properties))
        return BleakGATTCharacteristic(found, found.handle, _uuid(found.uuid), properties, lambda: self.mtu_size - 3, service)


def _uuid(uuid: core.UUID) -> str:
    """As bleak writes it: 128 bits, in lower case."""
    text = uuid.to_hex_str("-").lower()
    return text if len(uuid.uuid_bytes) == 16 else f"0000{text}-0000-1000-8000-00805f9b34fb"
