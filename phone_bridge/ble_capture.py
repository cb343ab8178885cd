"""A capture of Bluetooth glasses: a bleak backend over the platform's own that writes down what passes through it.

bleak gives no HCI. What it does give, and what is asked of it, is written as the packets that stand for it (``ble_pdus``).
Handles are those that bleak tells: on BlueZ and macOS the declaration's stands for the value's. bleak does not say why a
connection ended: what this side did not end itself is written as a timeout. A value longer than the MTU is written as one PDU.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from phone_bridge import ble_pdus as pdus
from phone_bridge.ble import BleLink
from phone_bridge.ble_gatt import bleak_package
from phone_bridge.ble_pdus import Att
from phone_bridge.capture import Capture

if TYPE_CHECKING:
    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.client import BaseBleakClient as _Base
else:
    _Base = object

T = TypeVar("T")
PROPERTIES = ("broadcast", "read", "write-without-response", "write", "notify", "indicate", "authenticated-signed-writes")
"""Bit by bit."""


class CapturedBleLink(BleLink):
    """Glasses over Bluetooth, and a capture of all that they and this side send.

    While privacy is on, what they send is left out but for its length.
    """

    captured = True

    def __init__(self, uri: str, capture: Capture, *, client: type[_Base] | None = None, **options: Any) -> None:
        """Arguments are ``BleLink``'s. Raises EngineMissing."""
        super().__init__(uri, client=capturing(client or _platform(), capture), **options)
        self.capture = capture

    def privacy(self, on: bool) -> None:
        """Switches microphone and camera off, and keeps what comes in spite of it out of the capture."""
        self.capture.private = on
        super().privacy(on)

    async def close(self) -> None:
        """Disconnects, and ends the capture."""
        try:
            await super().close()
        finally:
            self.capture.close()


def capturing(base: type[_Base], capture: Capture) -> type[_Base]:
    """Gives a bleak backend that does what ``base`` does and writes it down."""
    return type(f"Captured{base.__name__}", (_Captured, base), {"capture": capture})


def _platform() -> type[_Base]:
    bleak_package()
    from bleak.backends.client import get_platform_client_backend_type

    return get_platform_client_backend_type()[0]


@dataclass(slots=True)
class _Exchange:
    """A request, and the answer once it is there; ``over`` where there will be none."""

    at: float
    request: bytes
    written: bool = False
    answer: bytes | None = None
    over: bool = False


class _Tape:
    """One connection's way into the capture."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._open = False
        self._exchanges: deque[_Exchange] = deque()

    def begin(self, address: str, services: list[pdus.Service], mtu: int) -> None:
        """A connection was made, and its services found."""
        self._open = True
        self._write(pdus.connected(address), received=True)
        for request, answer in pdus.discovery(services, mtu):
            self.sent(request)
            self._write(pdus.acl(answer, received=True), received=True)

    def end(self, reason: int) -> None:
        """It ended; a second call changes nothing."""
        if self._open:
            self._write(pdus.disconnected(reason), received=True)
            self._open = False
            self._exchanges.clear()
            self._capture.flush()

    def sent(self, att: bytes) -> None:
        """Takes what needs no answer."""
        self._write(pdus.acl(att, received=False), received=False)

    def notified(self, att: bytes) -> None:
        """Takes a notification: its opcode and handle alone while privacy is on."""
        keep = pdus.ACL_HEAD + 3 if self._capture.private else None
        self._write(pdus.acl(att, received=True), received=True, keep=keep)

    def ask(self, request: bytes) -> _Exchange:
        """Takes a request. ATT has one at a time: it is written once those before it are answered, or given up."""
        exchange = _Exchange(asyncio.get_running_loop().time(), request)
        self._exchanges.append(exchange)
        self._go_on()
        return exchange

    def answer(self, exchange: _Exchange, answer: bytes | None) -> None:
        """Takes its answer; None where none came."""
        exchange.answer, exchange.over = answer, True
        self._go_on()

    def _go_on(self) -> None:
        while self._exchanges:
            first = self._exchanges[0]
            if not first.written:
                self.sent(first.request)
                first.written = True
            if not first.over:
                return
            self._exchanges.popleft()
            if first.answer is not None:
                self._write(pdus.acl(first.answer, received=True), received=True)

    def _write(self, packet: bytes, *, received: bool, keep: int | None = None) -> None:
        if self._open:
            self._capture.write(asyncio.get_running_loop().time(), packet, received=received, keep=keep)


class _Captured(_Base):
    """Stands before a backend in the order of its classes."""

    capture: ClassVar[Capture]

    def __init__(self, address_or_ble_device: Any, **options: Any) -> None:
        self._tape = _Tape(self.capture)
        told: Callable[[], None] | None = options.pop("disconnected_callback", None)

        def lost() -> None:
            self._tape.end(pdus.TIMED_OUT)
            if told is not None:
                told()

        super().__init__(address_or_ble_device, disconnected_callback=lost, **options)

    @property
    def _below(self) -> Any:
        """The same connection as the backend itself has it."""
        return super()

    async def connect(self, pair: bool, **options: Any) -> None:
        await self._below.connect(pair, **options)
        assert self.services is not None
        sizes = [found.max_write_without_response_size for found in self.services.characteristics.values()]
        self._tape.begin(self.address, _services(self.services), max(sizes, default=20) + 3)

    async def disconnect(self) -> None:
        self._tape.end(pdus.HUNG_UP)
        await self._below.disconnect()

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, **options: Any) -> bytearray:
        request = struct.pack("<BH", Att.READ_REQUEST, characteristic.handle)
        value = self._below.read_gatt_char(characteristic, **options)
        return await self._taped(request, value, lambda value: bytes([Att.READ]) + value)

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: Any, response: bool) -> None:
        written = self._below.write_gatt_char(characteristic, data, response)
        if response:
            await self._taped(struct.pack("<BH", Att.WRITE_REQUEST, characteristic.handle) + bytes(data), written)
            return
        await written
        self._tape.sent(struct.pack("<BH", Att.WRITE_COMMAND, characteristic.handle) + bytes(data))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: Callable[[bytearray], None], **options: Any
    ) -> None:
        indicated = "notify" not in characteristic.properties
        head = struct.pack("<BH", Att.INDICATION if indicated else Att.NOTIFICATION, characteristic.handle)

        def notified(value: bytearray) -> None:
            self._tape.notified(head + value)
            if indicated:
                self._tape.sent(bytes([Att.CONFIRMATION]))
            callback(value)

        request = struct.pack("<BHH", Att.WRITE_REQUEST, _control(characteristic), 2 if indicated else 1)
        await self._taped(request, self._below.start_notify(characteristic, notified, **options))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        request = struct.pack("<BHH", Att.WRITE_REQUEST, _control(characteristic), 0)
        await self._taped(request, self._below.stop_notify(characteristic))

    async def _taped(
        self, request: bytes, asked: Coroutine[Any, Any, T], answer: Callable[[T], bytes] = lambda _: bytes([Att.WRITTEN])
    ) -> T:
        errors = bleak_package().exc
        exchange = self._tape.ask(request)
        told = None
        try:
            value = await asked
            told = answer(value)
            return value
        except errors.BleakGATTProtocolError as error:
            told = struct.pack("<BBHB", Att.ERROR, request[0], int.from_bytes(request[1:3], "little"), error.args[0] & 0xFF)
            raise
        finally:
            self._tape.answer(exchange, told)


def _services(found: Any) -> list[pdus.Service]:
    """What bleak discovered, in the order of handles, with the handles that it does not tell."""
    services = sorted(found.services.values(), key=lambda service: int(service.handle))
    ends = [max(1, service.handle - 1) for service in services[1:]] + [0xFFFF]
    return [
        pdus.Service(service.handle, end, service.uuid, [_characteristic(each) for each in service.characteristics])
        for service, end in zip(services, ends, strict=True)
    ]


def _characteristic(found: BleakGATTCharacteristic) -> pdus.Characteristic:
    properties = sum(1 << bit for bit, name in enumerate(PROPERTIES) if name in found.properties)
    subscribes = properties & (pdus.NOTIFY | pdus.INDICATE)
    return pdus.Characteristic(found.handle, found.uuid, properties, _control(found) if subscribes else 0)


def _control(found: BleakGATTCharacteristic) -> int:
    """The handle by which one subscribes; next to the value where the backend does not tell."""
    told = (each.handle for each in found.descriptors if each.uuid.startswith("00002902-"))
    return next(told, found.handle + 1)
