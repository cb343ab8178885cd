"""Glasses of our own profile that are cut off at every point, hang, talk nonsense, or belong to somebody else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from bleak import BleakClient
from bleak.exc import BleakError

from edge.errors import LinkError, UsageError
from firmware_stubs.sim.backend import backends
from firmware_stubs.sim.glasses import GLASSES, SimGlasses
from firmware_stubs.sim.omi import OMI
from firmware_stubs.sim.radio import Radio
from phone_bridge.ble import BleLink
from phone_bridge.ble_adapters import Unpaired, Unsuitable
from phone_bridge.wire.capabilities import encode_capabilities
from phone_bridge.wire.profile import (
    CAPABILITIES_UUID,
    CONTROL_UUID,
    EVENTS_UUID,
    MICROPHONE_UUID,
    PHOTO_UUID,
    SPEAKER_UUID,
    Doing,
)
from tests.ble import Worn, jpeg, link_on, powered, spoken, switched_on, wearing
from tests.phone_bridge.test_ble_profile import play

STRANGER = "F7:F7:F7:F7:F7:F7"


class Scissors(Radio):
    """Acts upon the nth packet, of either side, after ``count`` was set."""

    count = -1
    act: Callable[[], None] = staticmethod(lambda: None)

    def send_acl_data(self, *packet: Any) -> None:
        self.count -= 1
        if self.count == 0:
            asyncio.get_running_loop().call_soon(self.act)
        super().send_acl_data(*packet)


async def exchange(worn: Worn[SimGlasses], which: str) -> None:
    """One of the exchanges that may be cut anywhere."""
    match which:
        case "photo":
            worn.link.snap()
        case "sound down":
            await play(worn, 0.1)
        case "flush":
            await play(worn, 0.06)
            worn.link.flush()
        case "privacy":
            worn.link.privacy(True)
            worn.link.privacy(False)
        case "touch":
            worn.glasses.tap()
            worn.glasses.app.wear(False)
            worn.glasses.app.wear(True)


EXCHANGES = {"photo": 48, "sound down": 24, "flush": 20, "privacy": 12, "touch": 10, "": 10}
"""Packets, sound included, that each is cut at: each of the first so many."""


@pytest.mark.parametrize("way", ["cut", "leave"])
@pytest.mark.parametrize("which", EXCHANGES)
async def test_a_cut_at_every_packet_of_every_exchange_is_mended(which: str, way: str) -> None:
    radio = Scissors(rate=100_000.0, latency=0.005)
    async with wearing(radio=radio, mtu=185) as worn:
        glasses, loop = worn.glasses, asyncio.get_running_loop()
        glasses.photo = jpeg(160, 120)
        for count in range(1, EXCHANGES[which] // (1 if way == "cut" else 2)):
            gone = asyncio.Event()
            at = 0.0

            def act(gone: asyncio.Event = gone) -> None:
                nonlocal at
                at = loop.time()
                gone.set()
                (radio.cut if way == "cut" else radio.leave)(glasses.device)

            radio.act, radio.count = act, count
            await exchange(worn, which)
            async with asyncio.timeout(20.0):  # no hang
                await gone.wait()
            assert await worn.until(present=False, patience=2.0) - at < 2.0
            assert loop.time() - at < 2.0
            await asyncio.sleep(0.6 if way == "leave" else 0.0)
            assert not glasses.app.doing_now or way == "cut"
            radio.come_back(glasses.device)
            back = loop.time()
            assert await worn.until(present=True, patience=10.0) - back < 5.0
            await asyncio.sleep(0.1)
            assert glasses.app.microphone
        await asyncio.sleep(1.0)
        assert not worn.errors and worn.spans  # the media time never went back
        assert all((frame.pixels.shape == (120, 160, 3)) for _, frame in worn.photos)
        assert worn.link.counters()["refused_photos"] == 0
        worn.photos.clear()
        worn.link.snap()
        await asyncio.sleep(2.0)
        assert len(worn.photos) == 1


@pytest.mark.parametrize(("encrypted", "packets", "step"), [(False, 90, 1), (True, 125, 3)])
async def test_a_cut_at_every_packet_of_the_beginning_fails_plainly_or_is_mended(
    encrypted: bool, packets: int, step: int
) -> None:
    radio = Scissors()
    async with powered(radio, encrypted=encrypted) as glasses:
        reached = 0
        radio.act = lambda: radio.cut(glasses.device)
        for count in range(1, packets, step):
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
                assert error.retryable or isinstance(error, Unpaired), error.text
            finally:
                await link.close()
            await asyncio.sleep(0.2)
            assert not glasses.app.doing_now
        assert 3 < reached < 0.9 * packets / step


async def test_sound_that_went_down_as_the_glasses_were_lost_is_given_back() -> None:
    async with wearing(radio=Radio(rate=40_000.0, latency=0.01)) as worn:
        await play(worn, 0.5)
        worn.radio.leave(worn.glasses.device)
        frames = 25
        while worn.last().present:
            await play(worn, 0.02)
            frames += 1
        unheard = worn.link.flush() / 16_000
        heard = sum(each.seconds for each in worn.glasses.played)
        assert 0.3 < unheard and -0.021 < unheard + heard - 0.02 * frames < 0.25  # rather repeated than lost
        assert worn.link.flush() == 0


async def test_a_host_that_dies_is_not_listened_to() -> None:
    """The link stands, the program is gone: microphone and camera go off within 2 s of the last request."""
    async with wearing() as worn:
        await asyncio.sleep(1.0)
        task = worn.link._task
        assert task is not None and worn.glasses.app.microphone
        task.cancel()
        await asyncio.sleep(2.05)
        assert not worn.glasses.app.doing_now and worn.glasses.device.connections


async def test_glasses_that_stop_answering_are_noticed_and_found_again() -> None:
    async with wearing() as worn:
        await asyncio.sleep(1.0)
        worn.glasses.hears = False
        hung = asyncio.get_running_loop().time()
        assert await worn.until(present=False, patience=10.0) - hung < 2.0 + 2.0  # they go on sending for 2 s
        worn.glasses.hears = True
        assert await worn.until(present=True, patience=90.0)
        await asyncio.sleep(1.0)
        assert worn.glasses.app.microphone and not worn.errors


async def test_a_device_that_never_answers_does_not_hang_the_link() -> None:
    radio = Radio()
    async with powered(radio) as glasses:
        glasses.hears = False
        link = link_on(radio)
        with pytest.raises(LinkError, match="do not answer"):
            async with asyncio.timeout(60.0):
                await link.open()
        await link.close()


# Nonsense.


@pytest.mark.parametrize("spoil", ["crc", "length", "beyond", "head", "foreign"])
async def test_a_photo_that_is_not_right_never_comes(spoil: str) -> None:
    async with wearing(radio=Radio(rate=100_000.0)) as worn:
        glasses = worn.glasses
        take = glasses.app.next_photo

        def spoiled() -> bytes | None:
            value = take()
            if value is None or value[0] > 2:
                return value
            head, chunk = value[0] == 1, value[0] == 2 and value[2] == 3
            if spoil == "crc" and chunk:
                return value[:-1] + bytes([value[-1] ^ 1])
            if spoil == "length" and chunk:
                return value[:-1]
            if spoil == "beyond" and chunk:
                return value[:2] + b"\xf0\xff" + value[4:]
            if spoil == "head" and head:
                return value[:6] + (2_000_000).to_bytes(4, "little") + value[10:]
            if spoil == "foreign":
                return value[:1] + bytes([value[1] % 255 + 1]) + value[2:]
            return value

        glasses.app.next_photo = spoiled  # type: ignore[method-assign]
        worn.link.snap()
        await asyncio.sleep(9.0)
        assert not worn.photos and worn.link.counters()["photos_lost"] == 1 and worn.last().present
        glasses.app.next_photo = take  # type: ignore[method-assign]
        worn.link.snap()
        await asyncio.sleep(3.0)
        assert len(worn.photos) == 1


async def test_a_photo_that_is_no_picture_is_refused() -> None:
    async with wearing(radio=Radio(rate=100_000.0)) as worn:
        worn.glasses.photo = bytes(5000)
        worn.link.snap()
        await asyncio.sleep(3.0)
        assert not worn.photos and worn.link.counters()["refused_photos"] == 1 and worn.last().present


async def test_a_flood_of_nonsense_is_bounded_and_passes() -> None:
    async with wearing() as worn:
        chance, glasses = random.Random(1), worn.glasses
        for round_ in range(3000):
            uuid = chance.choice((CONTROL_UUID, MICROPHONE_UUID, SPEAKER_UUID, PHOTO_UUID, EVENTS_UUID))
            value = bytearray(chance.randbytes(chance.randrange(1, 244)))
            value[0] = chance.choice((value[0], 1, 2, 0x82))
            glasses.notify(uuid, bytes(value))
            if round_ % 10 == 0:
                await asyncio.sleep(0.001)
        await asyncio.sleep(3.0)
        if not worn.last().present:
            await worn.until(present=True)
        sent, frames = glasses.counts["sound"], worn.link.counters()["frames"]
        glasses.say(spoken())
        await asyncio.sleep(2.0)
        assert glasses.counts["sound"] - sent > 95 and worn.link.counters()["frames"] - frames > 90
        assert not worn.errors and worn.spans


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"\x02\x00\x00\x00", "version 2.0"),
        (b"", "0 bytes"),
        (encode_capabilities(GLASSES)[:-1], "says"),
        (encode_capabilities(replace(GLASSES, up=())), "offers no Opus"),
    ],
)
async def test_a_descriptor_that_is_none_is_said_plainly(value: bytes, words: str) -> None:
    radio = Radio()
    async with powered(radio) as glasses:
        glasses._describe = lambda uuid: value  # type: ignore[method-assign]
        with pytest.raises(Unsuitable, match=words):
            await link_on(radio).open()


async def test_glasses_of_another_version_are_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    radio = Radio()
    monkeypatch.setattr("firmware_stubs.sim.application.MAJOR", 2)
    async with powered(radio):
        with pytest.raises(Unsuitable, match=r"refuse version 1\.0: version"):
            await link_on(radio).open()


async def test_a_table_that_changes_is_discovered_anew() -> None:
    async with wearing() as worn:
        await asyncio.sleep(1.0)
        worn.glasses.change_table()
        assert await worn.until(present=False, patience=10.0)
        assert await worn.until(present=True, patience=30.0)
        frames = worn.link.counters()["frames"]
        worn.link.snap()
        await asyncio.sleep(2.0)
        assert worn.link.counters()["frames"] > frames + 80 and len(worn.photos) == 1 and not worn.errors


# Whose glasses.


async def test_two_pairs_of_one_name_are_not_chosen_between() -> None:
    radio = Radio()
    async with powered(radio, address="F1:F1:F1:F1:F1:F1"), powered(radio, address="F3:F3:F3:F3:F3:F3") as second:
        for options in ({}, {"name": "nearsight"}):
            with pytest.raises(UsageError, match="ble:F1:F1:F1:F1:F1:F1 .*ble:F3:F3:F3:F3:F3:F3"):
                await link_on(radio, settle=1.0, **options).open()
        link = link_on(radio, address="f3:f3:f3:f3:f3:f3")
        await link.open()
        assert second.app.session
        await link.close()


async def test_glasses_of_another_make_are_still_known() -> None:
    radio = Radio()
    async with switched_on(radio, OMI):
        link = link_on(radio)
        await link.open()
        assert link.capabilities is not None and link.capabilities.model == "Omi CV 1"
        await link.close()


async def test_outside_the_pairing_window_a_stranger_gets_nothing() -> None:
    radio = Radio()
    async with powered(radio) as glasses:
        glasses.pairable = False
        with pytest.raises(Unpaired, match="wants a bond"):
            await link_on(radio).open()
        assert not glasses.app.session and not glasses.written


async def test_legacy_pairing_is_refused_and_secure_connections_are_not() -> None:
    from bumble.pairing import PairingConfig

    for secure in (False, True):
        radio = Radio()
        central = radio.device("host", STRANGER)
        central.pairing_config_factory = lambda connection, secure=secure: PairingConfig(sc=secure, mitm=False)  # type: ignore[misc]
        client, scanner = backends(central)
        async with powered(radio) as glasses:
            link = BleLink(client=client, scanner=scanner, settle=0.0)
            if secure:
                await link.open()
                assert glasses.app.session
            else:
                with pytest.raises(Unpaired, match="wants a bond"):
                    await link.open()
                assert not glasses.app.session
            await link.close()


async def test_the_owner_comes_in_again_when_the_window_is_closed() -> None:
    async with wearing() as worn:
        worn.glasses.pairable = False
        worn.radio.cut(worn.glasses.device)
        await worn.until(present=False)
        await worn.until(present=True)
        await asyncio.sleep(0.5)
        assert worn.glasses.app.microphone


async def test_a_stranger_who_writes_before_pairing_moves_nothing() -> None:
    radio = Radio()
    async with powered(radio) as glasses:
        client, scanner = backends(radio.device("stranger", STRANGER))
        from bleak import BleakScanner

        found = await BleakScanner.find_device_by_name("nearsight", backend=scanner)
        assert found is not None
        async with BleakClient(found, backend=client) as stranger:
            await stranger.start_notify(MICROPHONE_UUID, lambda *_: None)
            for uuid, value in ((CONTROL_UUID, b"\x01\x01\x00\x02\x01\x00"), (CONTROL_UUID, bytes(500))):
                with pytest.raises(BleakError, match="(?i)encryption|0x0f|15"):
                    await stranger.write_gatt_char(uuid, value, response=True)
            await stranger.write_gatt_char(SPEAKER_UUID, bytes(20), response=False)
            with pytest.raises(BleakError):
                await stranger.read_gatt_char(CAPABILITIES_UUID)
            await asyncio.sleep(0.5)
            assert not glasses.written and not glasses.app.session and not glasses.app.doing_now & Doing.MICROPHONE


async def test_what_is_sent_during_bonding_harms_nothing() -> None:
    radio = Radio(latency=0.005)
    async with powered(radio) as glasses:
        chance = random.Random(2)

        async def babble() -> None:
            while True:
                await asyncio.sleep(0.003)
                glasses.notify(chance.choice((CONTROL_UUID, EVENTS_UUID, MICROPHONE_UUID)), chance.randbytes(18))

        babbling = asyncio.create_task(babble())
        link = link_on(radio)
        try:
            await link.open()
        finally:
            babbling.cancel()
        await asyncio.sleep(1.0)
        assert glasses.app.microphone and link.counters()["frames"] > 40
        await link.close()
