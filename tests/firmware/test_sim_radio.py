"""The virtual radio: slow, late, out of reach, and never lossy while a connection lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError, BleakGATTProtocolError
from bumble.core import AdvertisingData
from bumble.device import Device
from bumble.gatt import Characteristic, Service

from firmware_stubs.sim.backend import backends
from firmware_stubs.sim.radio import SUPERVISION_S, Radio

SOUND = "19b10001-e8f2-537e-4f6c-d104768a1214"
SECRET = "19b10002-e8f2-537e-4f6c-d104768a1214"


class Bench:
    """A peripheral with one characteristic that notifies, and one that wants a bond; a central beside it."""

    def __init__(self, radio: Radio, mtu: int) -> None:
        self.radio = radio
        self.device: Device = radio.device("bench", "F1:F1:F1:F1:F1:F1")
        self.device.gatt_server.max_mtu = mtu
        properties = Characteristic.Properties
        self.sound: Characteristic[bytes] = Characteristic(SOUND, properties.NOTIFY, Characteristic.READABLE, b"")
        guarded = Characteristic.Permissions.READ_REQUIRES_ENCRYPTION | Characteristic.READABLE
        secret: Characteristic[bytes] = Characteristic(SECRET, properties.READ, guarded, b"secret")
        self.device.add_services([Service("19b10000-e8f2-537e-4f6c-d104768a1214", [self.sound, secret])])
        self.client, self.scanner = backends(radio.device("central", "F0:F0:F0:F0:F0:F0"))
        self.got: list[tuple[float, bytes]] = []
        self.gone = asyncio.Event()

    async def connected(self) -> BleakClient:
        loop = asyncio.get_running_loop()
        self.gone.clear()
        found = await BleakScanner.find_device_by_name("bench", backend=self.scanner)
        assert found is not None
        client = BleakClient(found, lambda _: self.gone.set(), backend=self.client)
        await client.connect()
        await client.start_notify(SOUND, lambda _, data: self.got.append((loop.time(), bytes(data))))
        return client

    async def send(self, *values: bytes) -> None:
        for value in values:
            await self.device.notify_subscribers(self.sound, value)


@asynccontextmanager
async def bench(radio: Radio | None = None, mtu: int = 517) -> AsyncIterator[Bench]:
    made = Bench(radio or Radio(), mtu)
    await made.device.power_on()
    made.device.advertising_data = bytes(AdvertisingData([(AdvertisingData.COMPLETE_LOCAL_NAME, b"bench")]))
    await made.device.start_advertising(auto_restart=True, advertising_interval_min=100, advertising_interval_max=100)
    try:
        yield made
    finally:
        made.radio.cut(made.device)
        await asyncio.sleep(0.01)
        await made.device.power_off()


def numbered(count: int, size: int) -> list[bytes]:
    return [index.to_bytes(2, "little") + bytes(size - 2) for index in range(count)]


@pytest.mark.parametrize("rate", [5_000.0, 10_000.0, 40_000.0])
async def test_it_carries_so_many_bytes_a_second_in_order(rate: float) -> None:
    async with bench(Radio(rate=rate, latency=0.03)) as made:
        await made.connected()
        began = asyncio.get_running_loop().time()
        await made.send(*numbered(100, 200))
        await asyncio.sleep(0.001)
        assert made.radio.waiting(made.device) == pytest.approx(100 * 207 / rate, rel=0.02)
        await asyncio.sleep(100 * 207 / rate + 0.05)
        assert [value for _, value in made.got] == numbered(100, 200)
        assert made.got[-1][0] - began == pytest.approx(100 * 207 / rate + 0.03, rel=0.02)


@pytest.mark.parametrize("mtu", [23, 100, 185, 247, 517])
async def test_what_is_longer_than_the_mtu_allows_is_cut_silently(mtu: int) -> None:
    async with bench(mtu=mtu) as made:
        client = await made.connected()
        assert client.mtu_size == mtu
        await made.send(bytes(1000), bytes(mtu - 3))
        await asyncio.sleep(0.1)
        assert [len(value) for _, value in made.got] == [mtu - 3, mtu - 3]


async def test_a_short_absence_delays_and_loses_nothing() -> None:
    async with bench(Radio(rate=40_000.0)) as made:
        await made.connected()
        await made.send(*numbered(40, 200))
        await asyncio.sleep(0.05)
        made.radio.leave(made.device)
        await asyncio.sleep(SUPERVISION_S * 0.8)
        assert 0 < len(made.got) < 40
        made.radio.come_back(made.device)
        await asyncio.sleep(0.5)
        assert [value for _, value in made.got] == numbered(40, 200) and not made.gone.is_set()


async def test_a_long_absence_ends_the_connection_at_both_ends() -> None:
    async with bench() as made:
        client = await made.connected()
        made.radio.leave(made.device)
        reading = asyncio.create_task(client.read_gatt_char(SECRET))
        await asyncio.sleep(SUPERVISION_S + 0.01)
        assert made.gone.is_set() and not client.is_connected and not made.device.connections
        with pytest.raises(BleakError, match="disconnected"):
            await reading
        made.radio.come_back(made.device)
        await made.connected()


async def test_what_was_on_its_way_when_the_connection_was_cut_reaches_no_later_one() -> None:
    async with bench(Radio(rate=10_000.0, latency=0.1)) as made:
        await made.connected()
        await made.send(*numbered(50, 200))
        await asyncio.sleep(0.2)
        made.radio.cut(made.device)
        before = len(made.got)
        await made.connected()
        await asyncio.sleep(2.0)
        assert len(made.got) == before < 50


async def test_a_bond_is_asked_for_made_and_kept() -> None:
    async with bench() as made:
        client = await made.connected()
        with pytest.raises(BleakGATTProtocolError, match="Insufficient Encryption"):
            await client.read_gatt_char(SECRET)
        await client.pair()
        assert await client.read_gatt_char(SECRET) == b"secret"
        made.radio.cut(made.device)
        again = await made.connected()
        assert await again.read_gatt_char(SECRET) == b"secret"
