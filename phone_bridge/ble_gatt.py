"""bleak behind the adapters' ``Gatt``: all that may wait waits for a bounded time, all errors are ours.

bleak says nothing of how long an answer may take, and its errors are its own, D-Bus's and the operating system's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from edge.errors import EngineMissing, LinkError
from phone_bridge.ble_adapters import Unpaired
from phone_bridge.ble_later import Later

if TYPE_CHECKING:
    from bleak import BleakClient
    from bleak.backends.client import BaseBleakClient
    from bleak.backends.device import BLEDevice

logger = logging.getLogger(__name__)

T = TypeVar("T")
CONNECT_S = 12.0
"""Connection and discovery; BlueZ takes a second or two, more where it must look again."""
ANSWER_S = 5.0
"""One read, write or subscription. The protocol's own limit is 30 s (Core 5.4, vol 3, part F, 3.3.3)."""
PAIR_S = 30.0
"""The wearer may have to press something."""
UNKNOWN_PAYLOAD = 20
"""What BlueZ tells before 5.62 and until an MTU was agreed on: nothing can be concluded from it."""


class BleakGatt(Later):
    """One connection through bleak."""

    def __init__(
        self,
        device: BLEDevice,
        *,
        backend: type[BaseBleakClient] | None = None,
        alive: Callable[[], None] = lambda: None,
        lost: Callable[[LinkError], None] = lambda error: None,
    ) -> None:
        """``alive`` is called for each notification; ``lost``, once, when the connection ends without ``close``."""
        super().__init__("ble")
        self.address = device.address
        self._device = device
        self._backend = backend
        self._alive = alive
        self._tell_lost = lost
        self._client: BleakClient | None = None
        self._pairing = False
        self._over = False

    @property
    def services(self) -> frozenset[str]:
        """The UUIDs of the services that were found."""
        return frozenset(service.uuid for service in self._connected().services)

    async def connect(self) -> None:
        """Connects and discovers. Raises LinkError; what was half made is undone."""
        bleak = bleak_package()
        self._client = bleak.BleakClient(
            self._device, disconnected_callback=self._disconnected, timeout=CONNECT_S, backend=self._backend
        )
        try:
            await self._within(self._client.connect(), CONNECT_S, "cannot be connected")
            if not self._client.is_connected:
                raise LinkError(f"{self.address} was lost while connecting")
        except BaseException:
            await self.close()
            raise
        self._begin_work(f"ble {self.address}", self._end)

    async def close(self) -> None:
        """Disconnects; waits at most ``ANSWER_S``. A second call changes nothing."""
        self._over = True
        await self._end_work()
        client, self._client = self._client, None
        if client is not None:
            try:
                await self._within(client.disconnect(), ANSWER_S, "does not disconnect")
            except LinkError as error:
                logger.info("%s", error.text)

    # The adapters' side.

    def has(self, uuid: str) -> bool:
        """Says whether the glasses have a characteristic."""
        return self._client is not None and self._client.is_connected and self._found(uuid) is not None

    def payload(self) -> int | None:
        """The most bytes of a notification, as far as the system tells (BlueZ only since 5.62)."""
        sizes = {found.max_write_without_response_size for found in self._connected().services.characteristics.values()}
        known = max(sizes, default=UNKNOWN_PAYLOAD)
        return known if known > UNKNOWN_PAYLOAD else None

    async def read(self, uuid: str) -> bytes:
        """Gives a characteristic's value. Raises LinkError, Unpaired."""
        return bytes(await self._ask(lambda client, found: client.read_gatt_char(found), uuid))

    async def write(self, uuid: str, data: bytes, *, response: bool = True) -> None:
        """Writes a characteristic, in the way that it allows. Raises LinkError, Unpaired."""
        found = self._found(uuid)
        if found is not None and "write" not in found.properties:
            response = False
        await self._ask(lambda client, found: client.write_gatt_char(found, data, response=response), uuid)

    async def subscribe(self, uuid: str, notified: Callable[[bytes], None]) -> None:
        """Has each notification handed on. Raises LinkError, Unpaired."""

        def received(_: Any, value: bytearray) -> None:
            if not self._over:
                self._alive()
                notified(bytes(value))

        await self._ask(lambda client, found: client.start_notify(found, received), uuid)

    async def unsubscribe(self, uuid: str) -> None:
        """Ends a subscription. Raises LinkError."""
        await self._ask(lambda client, found: client.stop_notify(found), uuid)

    # Inside.

    def _connected(self) -> BleakClient:
        if self._client is None or not self._client.is_connected:
            raise LinkError(f"{self.address} is not connected")
        return self._client

    def _found(self, uuid: str) -> Any:
        # A device that has a characteristic twice is answered with its first.
        characteristics = self._connected().services.characteristics.values()
        return next((found for found in characteristics if found.uuid == uuid), None)

    async def _ask(self, request: Callable[[BleakClient, Any], Coroutine[Any, Any, T]], uuid: str) -> T:
        client, found = self._connected(), self._found(uuid)
        if found is None:
            raise LinkError(f"{self.address} has no characteristic {uuid}")
        try:
            return await self._within(request(client, found), ANSWER_S, "does not answer")
        except _Unauthorised as error:
            if self._pairing:
                raise Unpaired(f"{self.address} wants a bond: remove it from this computer's Bluetooth, pair anew") from error
        self._pairing = True
        try:
            await self._within(client.pair(), PAIR_S, "does not pair")
        except LinkError as error:
            raise Unpaired(f"{self.address} wants a bond and refused one: {error.text}") from error
        try:
            return await self._ask(request, uuid)
        finally:
            self._pairing = False

    async def _within(self, waiting: Coroutine[Any, Any, T], seconds: float, what: str) -> T:
        errors = bleak_package().exc
        try:
            async with asyncio.timeout(seconds):
                return await waiting
        except TimeoutError:
            raise LinkError(f"{self.address} {what} within {seconds:g} s") from None
        except errors.BleakGATTProtocolError as error:
            code = errors.BleakGATTProtocolErrorCode
            bond = code.INSUFFICIENT_AUTHENTICATION, code.INSUFFICIENT_ENCRYPTION, code.INSUFFICIENT_ENCRYPTION_KEY_SIZE
            kind = _Unauthorised if error.code in bond else LinkError
            raise kind(f"{self.address} {what}: {error.args[-1]}") from error
        except (errors.BleakError, OSError, EOFError) as error:
            raise LinkError(f"{self.address} {what}: {error}") from error

    def _disconnected(self, _: Any) -> None:
        self._end(LinkError(f"{self.address} is out of reach"))

    def _end(self, error: LinkError) -> None:
        if not self._over:
            self._over = True
            self._later.close()
            self._tell_lost(error)


class _Unauthorised(LinkError):
    """The glasses want an encrypted link."""


def bleak_package() -> Any:
    """Gives bleak, which is loaded when it is first needed. Raises EngineMissing."""
    try:
        import bleak
    except ImportError as error:
        raise EngineMissing("Bluetooth needs the package bleak: pip install nearsight[ble]") from error
    return bleak
