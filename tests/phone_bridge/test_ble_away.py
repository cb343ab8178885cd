"""Bluetooth glasses that go away, come back, are two of a name or talk nonsense."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import numpy as np
import pytest
from bleak.backends.scanner import BaseBleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason

from edge.errors import LinkError, UsageError
from edge.values import Condition
from firmware_stubs.sim.omi import OMI, OMI_GLASS
from firmware_stubs.sim.radio import Radio
from phone_bridge.ble_adapters import Unpaired
from tests.ble import link_on, spoken, switched_on, worn

# Away and back.


async def test_lost_glasses_are_told_once_and_come_back() -> None:
    async with worn(OMI, radio=Radio(rate=20_000.0, latency=0.01)) as glasses:
        loop = asyncio.get_running_loop()
        glasses.glasses.say(spoken(60.0))
        await asyncio.sleep(3.0)
        glasses.radio.leave(glasses.glasses.device)
        left = loop.time()
        assert await glasses.until(present=False) - left < 2.0
        heard = len(glasses.sound)
        await asyncio.sleep(20.0)
        assert len(glasses.sound) == heard and not glasses.errors
        glasses.radio.come_back(glasses.glasses.device)
        returned = loop.time()
        assert await glasses.until(present=True) - returned < 5.0
        await asyncio.sleep(3.0)
        assert [condition.present for _, condition in glasses.conditions] == [True, False, True]
        (_, first), (second, end) = glasses.spans
        away = (second - first) / 16_000
        assert 20.0 < away < 24.0  # the hole is as long as they were away
        assert abs((end - second) / 16_000 - 3.0) < 0.5


async def test_glasses_that_hang_are_noticed_although_the_radio_holds() -> None:
    async with worn(OMI, radio=Radio(supervision=20.0)) as glasses:
        glasses.glasses.say(spoken(3.0))
        await asyncio.sleep(2.0)
        glasses.radio.leave(glasses.glasses.device)
        left = asyncio.get_running_loop().time()
        assert await glasses.until(present=False) - left < 2.0


async def test_a_device_that_never_answers_does_not_hang_the_link() -> None:
    radio = Radio()
    async with switched_on(radio) as glasses:
        glasses.hears.clear()
        link = link_on(radio)
        with pytest.raises(LinkError, match="does not answer"):
            async with asyncio.timeout(60.0):
                await link.open()
        glasses.hears.set()
        await link.close()
        await asyncio.sleep(0.2)


async def test_a_cut_at_any_moment_leaves_no_hang_and_no_half_photo() -> None:
    chance = random.Random(5)
    async with worn(OMI_GLASS, radio=Radio(rate=40_000.0, latency=0.005), mtu=247) as glasses:
        for _ in range(30):
            glasses.glasses.say(spoken())
            glasses.link.snap()
            await asyncio.sleep(chance.uniform(0.0, 1.5))
            glasses.radio.cut(glasses.glasses.device)
            await glasses.until(present=False, patience=2.0)
            await asyncio.sleep(chance.uniform(0.0, 1.0))  # into scanning, connecting, discovering, subscribing
            glasses.radio.cut(glasses.glasses.device)
            await glasses.until(present=True, patience=10.0)
        assert len(glasses.spans) > 15 and not glasses.errors
        assert all(frame.pixels.shape == (480, 640, 3) for _, frame in glasses.photos)
        assert glasses.link.counters()["refused_photos"] == 0


class Scissors(Radio):
    """Cuts the connection with the nth packet after ``count`` was set."""

    count = -1

    def send_acl_data(self, sender_controller: Any, *packet: Any) -> None:
        self.count -= 1
        if self.count == 0:
            asyncio.get_running_loop().call_soon(self._hang_up, sender_controller)
        super().send_acl_data(sender_controller, *packet)


async def test_a_cut_at_every_packet_of_the_beginning_fails_plainly_or_is_mended() -> None:
    radio = Scissors()
    async with switched_on(radio, OMI_GLASS):
        reached = 0
        for count in range(1, 70):
            radio.count = count
            link = link_on(radio)
            try:
                async with asyncio.timeout(20.0):
                    await link.open()
                reached += 1
                async with asyncio.timeout(20.0):
                    async for condition in link.conditions():
                        if condition.present and (radio.count > 0 or link.counters()["connections"] == 2):
                            break
            except LinkError as error:
                assert error.retryable, error.text
            finally:
                await link.close()
            await asyncio.sleep(0.2)
        assert 5 < reached < 65


async def test_glasses_that_stay_away_end_the_link_where_that_is_wanted() -> None:
    async with worn(OMI, link={"keep": 60.0}) as glasses:
        glasses.radio.leave(glasses.glasses.device)
        await asyncio.sleep(70.0)
        assert [type(error) for error in glasses.errors] == [LinkError] * 4
        assert "60 s" in glasses.errors[0].text


async def test_a_dead_subscription_is_made_anew_once() -> None:
    async with worn(OMI) as glasses:
        server = glasses.glasses.device.gatt_server
        server.subscribers.clear()  # the device forgot
        glasses.glasses.say(spoken(8.0))
        await asyncio.sleep(7.0)
        assert glasses.link.counters()["frames"] > 100


# Which glasses.


async def test_two_pairs_of_one_name_are_not_chosen_between() -> None:
    radio = Radio()
    async with switched_on(radio, address="F1:F1:F1:F1:F1:F1"), switched_on(radio, address="F2:F2:F2:F2:F2:F2") as second:
        for options in ({}, {"name": "OMI Glass"}):
            with pytest.raises(UsageError, match="ble:F1:F1:F1:F1:F1:F1 .*ble:F2:F2:F2:F2:F2:F2"):
                await link_on(radio, settle=1.0, **options).open()
        link = link_on(radio, address="f2:f2:f2:f2:f2:f2")
        await link.open()
        assert second.device.connections
        await link.close()


async def test_nothing_there_says_what_to_do() -> None:
    radio = Radio()
    for options in ({}, {"name": "Omi"}, {"address": "F9:F9:F9:F9:F9:F9"}):
        with pytest.raises(LinkError, match="no glasses .*switch them on"):
            await link_on(radio, **options).open()


@pytest.mark.parametrize("reason", ["NO_BLUETOOTH", "POWERED_OFF", "DENIED_BY_USER"])
async def test_no_bluetooth_says_what_to_do(reason: str) -> None:
    class NoBluetooth(BaseBleakScanner):
        def __init__(self, callback: Any, uuids: Any, *_: Any, **options: Any) -> None:
            super().__init__(callback, uuids)

        async def start(self) -> None:
            raise BleakBluetoothNotAvailableError("off", BleakBluetoothNotAvailableReason[reason])

        async def stop(self) -> None: ...

    radio = Radio()
    link = link_on(radio)
    link._scanner = NoBluetooth
    with pytest.raises(LinkError, match="no Bluetooth: .*(adapter|user)"):
        await link.open()


# Bonds.


async def test_glasses_that_want_a_bond_get_one_and_keep_it() -> None:
    async with worn(OMI, encrypted=True) as glasses:
        glasses.glasses.say(spoken())
        await asyncio.sleep(1.0)
        assert glasses.link.counters()["frames"] > 40
        glasses.radio.cut(glasses.glasses.device)
        await glasses.until(present=False)
        await glasses.until(present=True)


async def test_a_bond_that_the_glasses_refuse_ends_the_link() -> None:
    radio = Radio()
    async with switched_on(radio, OMI, encrypted=True) as glasses:
        glasses.device.pairing_config_factory = lambda connection: Refusing()
        with pytest.raises(Unpaired, match="wants a bond"):
            await link_on(radio).open()


class Refusing:
    def __new__(cls) -> Any:
        from bumble.pairing import PairingConfig, PairingDelegate

        class No(PairingDelegate):
            async def accept(self) -> bool:
                return False

        return PairingConfig(delegate=No())


# The rest.


async def test_privacy_silences_the_source() -> None:
    async with worn(OMI) as glasses:
        glasses.glasses.say(spoken(20.0))
        await asyncio.sleep(1.0)
        glasses.link.privacy(True)
        await asyncio.sleep(0.3)
        sent, heard = glasses.glasses.counts["sound"], len(glasses.sound)
        glasses.link.snap()
        await asyncio.sleep(5.0)
        assert glasses.glasses.counts["sound"] == sent and not glasses.photos
        later = [chunk.pcm for _, chunk in glasses.sound[heard:]]
        assert len(later) > 100 and not np.concatenate(later).any()
        glasses.link.privacy(False)
        await asyncio.sleep(2.0)
        assert glasses.glasses.counts["sound"] > sent + 50 and len(glasses.spans) == 1


async def test_touches_and_the_battery() -> None:
    async with worn(OMI, battery=lambda seconds: 80 if seconds < 10 else 15) as glasses:
        for state in (4, 1, 5, 4, 2, 5, 4, 3, 5, 9):
            await glasses.glasses.press(state)
        await asyncio.sleep(21.0)
        assert glasses.taps == ["tap", "double_tap", "hold", "release"]
        assert [condition.battery for _, condition in glasses.conditions] == [0.8, 0.15]
        assert glasses.last() == Condition(battery=0.15, device="Omi CV 1", silent=True)


async def test_a_flood_of_nonsense_is_bounded_and_passes() -> None:
    async with worn(OMI) as glasses:
        chance = random.Random(1)
        device, table = glasses.glasses.device, glasses.glasses._characteristics
        for _ in range(3000):
            name = chance.choice(("audio", "button", "battery"))
            await device.notify_subscribers(table[name], chance.randbytes(chance.randrange(0, 300)))
        await asyncio.sleep(1.0)
        glasses.glasses.say(spoken())
        frames = glasses.link.counters()["frames"]
        await asyncio.sleep(3.0)
        assert glasses.link.counters()["frames"] >= frames + 90
        assert glasses.last().present
