"""The simulated Omi family, seen through bleak as a stranger's program would see it."""

from __future__ import annotations

import asyncio
import struct
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from bleak import BleakClient, BleakScanner

from edge.runtime.virtual import run
from firmware_stubs.sim.backend import backends
from firmware_stubs.sim.omi import OMI, OMI_GLASS, OPEN_GLASS, Model, SimOmi
from firmware_stubs.sim.pair import CENTRAL, Simulated, omi_pair
from firmware_stubs.sim.radio import Radio
from firmware_stubs.sim.voice import opus_frames
from phone_bridge.ble import BleLink
from phone_bridge.opus import Decoder
from tests.ble import jpeg, switched_on

AUDIO, CODEC, PHOTO, CONTROL = (f"19b1000{n}-e8f2-537e-4f6c-d104768a1214" for n in (1, 2, 5, 6))
BATTERY = "00002a19-0000-1000-8000-00805f9b34fb"


class Stranger:
    """A central that takes what comes."""

    def __init__(self, client: BleakClient) -> None:
        self.client = client
        self.got: defaultdict[str, list[bytes]] = defaultdict(list)

    async def listen(self, *uuids: str) -> None:
        for uuid in uuids:
            await self.client.start_notify(uuid, lambda found, data: self.got[found.uuid].append(bytes(data)))


@asynccontextmanager
async def listened(glasses: SimOmi, *uuids: str) -> AsyncIterator[Stranger]:
    client, scanner = backends(glasses.radio.device("stranger", CENTRAL))
    found = await BleakScanner.find_device_by_name(glasses.model.name, backend=scanner)
    assert found is not None
    async with BleakClient(found, backend=client) as connected:
        stranger = Stranger(connected)
        await stranger.listen(*uuids)
        yield stranger


@pytest.mark.parametrize("model", [OMI, OMI_GLASS, OPEN_GLASS])
async def test_it_shows_the_published_table(model: Model) -> None:
    async with switched_on(Radio(), model) as glasses, listened(glasses) as stranger:
        assert await stranger.client.read_gatt_char(CODEC) == bytes([model.codec])
        assert await stranger.client.read_gatt_char(BATTERY) == b"\x64"
        features = await stranger.client.read_gatt_char("19b10021-e8f2-537e-4f6c-d104768a1214")
        assert struct.unpack("<I", features)[0] == model.features
        assert (stranger.client.services.get_characteristic(PHOTO) is not None) == model.camera


async def test_the_pendant_cuts_its_sound_into_fragments_and_counts_each() -> None:
    async with switched_on(Radio(), OMI, mtu=50) as glasses, listened(glasses, AUDIO) as stranger:
        glasses.say([bytes([frame]) * 100 for frame in range(3)])
        await asyncio.sleep(0.2)
        headers = [struct.unpack_from("<HB", packet) for packet in stranger.got[AUDIO]]
        assert headers == [(number, number % 3) for number in range(9)]
        assert b"".join(packet[3:] for packet in stranger.got[AUDIO][3:6]) == b"\x01" * 100


async def test_the_glasses_do_not_fragment_and_the_radio_cuts() -> None:
    async with switched_on(Radio(), OMI_GLASS, mtu=50) as glasses, listened(glasses, AUDIO) as stranger:
        glasses.say([bytes(100)] * 3)
        await asyncio.sleep(0.2)
        assert [(len(packet), packet[2]) for packet in stranger.got[AUDIO]] == [(47, 0)] * 3


@pytest.mark.parametrize(("model", "before"), [(OMI_GLASS, b"\x02"), (OPEN_GLASS, b"")])
async def test_a_photo_comes_in_chunks_and_ends_with_ff_ff(model: Model, before: bytes) -> None:
    async with switched_on(Radio(), model) as glasses, listened(glasses, PHOTO) as stranger:
        glasses.photo = jpeg()
        await stranger.client.write_gatt_char(CONTROL, b"\xff", response=True)
        await asyncio.sleep(10.0)
        *chunks, end = stranger.got[PHOTO]
        assert end == b"\xff\xff"
        assert [struct.unpack_from("<H", chunk)[0] for chunk in chunks] == list(range(len(chunks)))
        assert {len(chunk) for chunk in chunks[:-1]} == {202}
        assert b"".join(chunk[2:] for chunk in chunks) == before + jpeg()


async def test_the_glasses_take_photos_by_themselves_until_they_are_told_not_to() -> None:
    async with switched_on(Radio(), OMI_GLASS) as glasses, listened(glasses, PHOTO) as stranger:
        glasses.photo = jpeg()
        await asyncio.sleep(65.0)
        assert glasses.counts["photos"] == 2
        await stranger.client.write_gatt_char(CONTROL, b"\x00", response=True)
        await asyncio.sleep(65.0)
        assert glasses.counts["photos"] == 2


async def test_a_full_queue_drops_at_the_source_and_the_ids_go_on() -> None:
    async with switched_on(Radio(rate=3000.0), OMI) as glasses, listened(glasses, AUDIO) as stranger:
        glasses.say([bytes(100)] * 200)  # 5 kB/s
        await asyncio.sleep(6.0)
        ids = [struct.unpack_from("<H", packet)[0] for packet in stranger.got[AUDIO]]
        assert ids == sorted(ids) and len(ids) == glasses.counts["sound"] < 150
        assert glasses.counts["sound"] + glasses.counts["dropped"] == 200 and ids[-1] > 190


async def test_its_microphone_sleeps_after_ten_seconds_of_silence() -> None:
    async with switched_on(Radio(), OMI, silence=b"\x08") as glasses, listened(glasses, AUDIO) as stranger:
        glasses.say([b"\x07"] * 50)
        await asyncio.sleep(20.0)
        asleep = len(stranger.got[AUDIO])
        assert asleep == pytest.approx(50 + 500, abs=30)
        await asyncio.sleep(20.0)
        assert len(stranger.got[AUDIO]) == asleep
        glasses.say([b"\x07"] * 50)
        await asyncio.sleep(0.5)
        assert struct.unpack_from("<H", stranger.got[AUDIO][asleep])[0] == asleep


async def test_its_battery_runs_down() -> None:
    async with switched_on(Radio(), OMI, battery=lambda seconds: 100 - round(seconds)) as glasses:
        async with listened(glasses, BATTERY) as stranger:
            await asyncio.sleep(61.0)
        assert stranger.got[BATTERY] == [b"\x50", b"\x3c", b"\x28"]


async def heard_and_seen(link: BleLink) -> None:
    await link.open()
    link.snap()
    microphone, camera = aiter(link.microphone()), aiter(link.camera())
    heard = np.concatenate([(await anext(microphone)).pcm for _ in range(150)])
    assert np.abs(heard[1600:30_000]).max() > 5000 and not np.abs(heard[40_000:]).max() > 50
    assert (await anext(camera)).pixels.shape == (480, 640, 3)
    await link.close()


def test_a_pair_that_is_made_before_there_is_a_loop_is_heard_and_seen_by_the_link() -> None:
    sound = (6000 * np.sin(np.arange(32_000) / 6)).astype(np.int16)
    simulated = Simulated(lambda: omi_pair(sound=sound, photo=jpeg()))
    link = BleLink("ble:sim", client=simulated.client, scanner=simulated.scanner, settle=0.0)

    async def main() -> None:
        await heard_and_seen(link)
        await simulated.stop()

    run(main())


def test_its_opus_is_what_the_firmware_sends() -> None:
    frames = opus_frames((6000 * np.sin(np.arange(16_000) / 6)).astype(np.int16))
    assert len(frames) in (50, 51)
    with Decoder() as decoder:
        assert {decoder.duration(frame) for frame in frames} == {320}
    assert all(frame[0] >> 3 >= 16 for frame in frames)  # CELT alone (RFC 6716, table 2)
    assert max(map(len, frames)) <= 160
