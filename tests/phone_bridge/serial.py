"""A device with the Nordic UART Service that speaks ``phone_bridge.ble_uart``'s framing, on the virtual radio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bumble.att import Attribute, AttributeValue
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, Service

from firmware_stubs.sim.radio import Radio
from phone_bridge.ble_uart import NOTIFY, SERVICE, WRITE, Unframer, encode


class SerialDevice:
    """Answers hello and ping; remembers what it was sent."""

    def __init__(self, radio: Radio, hello: bytes = b"Badge\nmicrophone speaker button battery") -> None:
        self.device: Device = radio.device("Badge", "F3:F3:F3:F3:F3:F3")
        self.hello = hello
        self.got: list[tuple[str, bytes]] = []
        self.raw = 0
        self._frames = Unframer()
        self._numbers: dict[str, int] = {}
        self._answers: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()  # noqa: TID251 -- a test's device
        properties, access = Characteristic.Properties, Attribute.READABLE | Attribute.WRITEABLE
        self.notify: Characteristic[bytes] = Characteristic(NOTIFY, properties.NOTIFY, access, b"")
        writing = properties.WRITE | properties.WRITE_WITHOUT_RESPONSE
        write: Characteristic[bytes] = Characteristic(WRITE, writing, access, AttributeValue(write=self._written))
        self.device.add_services([Service(SERVICE, [write, self.notify])])

    def _written(self, _: Connection, data: bytes) -> None:
        self.raw += len(data)
        for kind, _number, body in self._frames.put(bytes(data)):
            self.got.append((kind, body))
            if kind == "P" or (kind == "H" and self.hello):
                self._answers.put_nowait((kind, self.hello if kind == "H" else body))

    async def answer(self) -> None:
        while True:
            await self.send(*await self._answers.get())

    async def send(self, kind: str, body: bytes = b"", *, lost: bool = False) -> None:
        number = self._numbers[kind] = (self._numbers.get(kind, -1) + 1) & 0xFF
        if not lost:
            data = encode(kind, number, body)
            piece = min((connection.att_mtu for connection in self.device.connections.values()), default=23) - 3
            for at in range(0, len(data), piece):
                await self.device.notify_subscribers(self.notify, data[at : at + piece])


@asynccontextmanager
async def serial_device(radio: Radio, hello: bytes | None = None) -> AsyncIterator[SerialDevice]:
    made = SerialDevice(radio) if hello is None else SerialDevice(radio, hello)
    await made.device.power_on()
    service = (AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, bytes(UUID(SERVICE)))
    made.device.advertising_data = bytes(AdvertisingData([(AdvertisingData.COMPLETE_LOCAL_NAME, b"Badge"), service]))
    await made.device.start_advertising(auto_restart=True, advertising_interval_min=100, advertising_interval_max=100)
    answering = asyncio.create_task(made.answer())
    try:
        yield made
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        radio.cut(made.device)
        await asyncio.sleep(0.01)
        await made.device.power_off()
