"""The link over Bluetooth: bleak's own client and scanner, on a virtual radio, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.ports import Link
from firmware_stubs.sim.backend import backends
from firmware_stubs.sim.omi import OMI, OMI_GLASS, OPEN_GLASS, Model
from firmware_stubs.sim.pair import CENTRAL
from firmware_stubs.sim.radio import Radio
from phone_bridge.ble_adapters import Unsuitable
from phone_bridge.ble_find import scan
from phone_bridge.ble_gatt import BleakGatt
from phone_bridge.ble_omi import SERVICE
from phone_bridge.opus import Decoder
from tests.ble import jpeg, link_on, spoken, switched_on, tone, worn

MTUS = (23, 100, 185, 247, 517)
CONTROL = "19B10006-E8F2-537E-4F6C-D104768A1214"


def decoded(frames: tuple[bytes, ...]) -> np.ndarray[Any, Any]:
    with Decoder() as decoder:
        return np.concatenate([decoder.decode(frame) for frame in frames])


async def test_connecting_and_discovering_takes_less_than_half_a_second() -> None:
    radio = Radio()
    async with switched_on(radio):
        client, scanner = backends(radio.device("nearsight", CENTRAL))
        loop = asyncio.get_running_loop()
        began = loop.time()
        ((device, _),) = (await scan(lambda device, _: device.name == "OMI Glass", 5.0, backend=scanner)).values()
        gatt = BleakGatt(device, backend=client)
        await gatt.connect()
        assert SERVICE in gatt.services and gatt.payload() == 514
        assert loop.time() - began < 0.5
        await gatt.close()


@pytest.mark.parametrize("mtu", MTUS)
async def test_sound_comes_whole_at_every_mtu(mtu: int) -> None:
    async with worn(OMI, mtu=mtu) as glasses:
        glasses.glasses.say(spoken())
        await asyncio.sleep(4.0)
        assert len(glasses.spans) == 1
        sound = glasses.heard()
        assert (sound[: 2 * 16_000] == decoded(spoken())).all()
        assert not sound[2 * 16_000 :].any()  # the glasses, asked, have nothing more to say
        counters = glasses.link.counters()
        assert counters["lost_frames"] == counters["packets_gap"] == counters["no_codec"] == 0
        assert isinstance(glasses.link, Link)


async def test_an_mtu_that_is_not_told_is_not_guessed() -> None:
    # BlueZ says 23 until asked: with a client that does the same, frames of several notifications wait for the next one.
    async with worn(OMI, mtu=517, link={"asked_mtu": 23}) as glasses:
        glasses.glasses.say(spoken())
        await asyncio.sleep(4.0)
        assert (glasses.heard()[: 2 * 16_000] == decoded(spoken())).all()


@pytest.mark.parametrize("codec", [0, 1, 10, 11, 20, 21])
async def test_every_codec_gives_sound_at_its_pace(codec: int) -> None:
    sound = tone(2.0)
    frames: list[bytes]
    if codec >= 20:
        frames, step = list(spoken()), 0.02
    else:
        step, narrow = 0.01, sound[:: 2 if codec in (1, 11) else 1]
        size = 160 if codec in (0, 10) else 80
        pieces = [narrow[at : at + size] for at in range(0, len(narrow), size)]
        frames = [
            bytes(np.full(len(piece), 0x80, np.uint8)) if codec >= 10 else piece.astype("<i2").tobytes() for piece in pieces
        ]
    async with worn(Model("Omi", "Omi", codec, 0, frame_s=step)) as glasses:
        glasses.glasses.say(frames)
        await asyncio.sleep(2.5)
        heard = glasses.heard()[1600:30_000].astype(float)
        assert len(glasses.spans) == 1
        if codec in (10, 11):
            assert (np.abs(heard - 32124) < 200).all()
        else:
            assert abs(heard).max() == pytest.approx(8000, rel=0.15)
            assert np.argmax(np.abs(np.fft.rfft(heard[:16_000]))) == pytest.approx(440, abs=2)


async def test_an_unknown_codec_is_said_plainly() -> None:
    radio = Radio()
    async with switched_on(radio, Model("Omi", "Omi", 99, 0)):
        with pytest.raises(Unsuitable, match="codec 99"):
            await link_on(radio).open()


@pytest.mark.parametrize("rate", [10_000.0, 20_000.0, 40_000.0])
@pytest.mark.parametrize("drop", [0.0, 0.01, 0.05, 0.3])
async def test_what_is_lost_at_the_source_is_hidden_and_counted(rate: float, drop: float) -> None:
    async with worn(OMI, radio=Radio(rate=rate), mtu=247, drop=drop, seed=3) as glasses:
        glasses.glasses.say(spoken(4.0))
        await asyncio.sleep(4.4)
        sent = glasses.glasses.counts
        counters = glasses.link.counters()
        assert counters["frames"] == sent["sound"] > 0
        # What is lost after the last frame that came is known to nobody.
        assert sent["dropped"] - 5 <= counters["lost_frames"] <= sent["dropped"]
        assert len(glasses.spans) == 1
        assert drop or not sent["dropped"]


async def test_silence_is_no_loss() -> None:
    async with worn(OMI, radio=Radio(rate=20_000.0, latency=0.02)) as glasses:
        glasses.glasses.say(spoken())
        glasses.glasses.rest(30.0)
        glasses.glasses.say(spoken())
        await asyncio.sleep(36.0)
        counters = glasses.link.counters()
        assert counters["lost_frames"] == counters["gaps"] == counters["packets_gap"] == 0
        assert counters["connections"] == 1 and counters["frames"] == 200
        assert [condition.present for _, condition in glasses.conditions] == [True]
        # The silence was filled in as it passed, never more than a second and a half behind.
        assert len(glasses.spans) == 1
        assert all(b - a < 1.5 for (a, _), (b, _) in zip(glasses.sound, glasses.sound[1:], strict=False))


# Photos.


@pytest.mark.parametrize(("model", "turned"), [(OMI_GLASS, True), (OPEN_GLASS, False)])
async def test_a_photo_comes_upright_when_it_is_asked_for_and_only_then(model: Model, turned: bool) -> None:
    async with worn(model, radio=Radio(rate=20_000.0), mtu=247) as glasses:
        await asyncio.sleep(65.0)  # two of the automatic photos that omiGlass would take
        assert not glasses.photos and not glasses.glasses.counts["photos"]
        glasses.link.snap()
        await asyncio.sleep(10.0)
        ((_, frame),) = glasses.photos
        upright = np.asarray(frame.pixels).astype(int)
        from phone_bridge.stills import decode_still

        truth = decode_still(jpeg()).astype(int)
        assert (upright == (np.rot90(truth, 2) if turned else truth)).all()
        assert {uuid for uuid, _ in glasses.glasses.written} == {CONTROL}
        assert [value for _, value in glasses.glasses.written] == [b"\x00", b"\xff"]


@pytest.mark.parametrize("rate", [10_000.0, 20_000.0, 40_000.0])
async def test_a_photo_takes_little_longer_than_its_bytes_need(rate: float) -> None:
    async with worn(replace(OMI_GLASS, chunk_s=0.001), radio=Radio(rate=rate)) as glasses:
        began = asyncio.get_running_loop().time()
        glasses.link.snap()
        await asyncio.sleep(10.0)
        chunks = -(-(len(jpeg()) + 1) // 200)
        on_air = len(jpeg()) + chunks * (2 + 3 + 4)  # chunk index, ATT, L2CAP
        assert glasses.photos[0][0] - began <= 1.15 * on_air / rate


async def test_sound_goes_on_while_a_photo_comes() -> None:
    async with worn(OMI_GLASS, radio=Radio(rate=20_000.0), mtu=247) as glasses:
        glasses.glasses.say(spoken(4.0))
        glasses.link.snap()
        await asyncio.sleep(4.5)
        assert len(glasses.photos) == 1
        assert glasses.link.counters()["lost_frames"] == glasses.glasses.counts["dropped"] == 0


@pytest.mark.parametrize("lost", [0, 1, 50, -1, None])
async def test_a_photo_that_lost_a_chunk_is_asked_for_once_more_then_given_up(lost: int | None) -> None:
    async with worn(OMI_GLASS, radio=Radio(rate=40_000.0)) as glasses:
        last = -(-(len(jpeg()) + 1) // 200) - 1
        glasses.glasses.lose_chunks = lambda index: index == (last if lost is None else lost)
        glasses.link.snap()
        await asyncio.sleep(20.0)
        assert not glasses.photos
        assert glasses.glasses.counts["photos"] == 2 and glasses.link.counters()["photos_lost"] == 1
        glasses.glasses.lose_chunks = lambda index: False
        glasses.link.snap()
        await asyncio.sleep(5.0)
        assert len(glasses.photos) == 1


@pytest.mark.parametrize("mtu", [23, 100, 185])
async def test_an_mtu_too_small_for_its_chunks_gives_no_photo_rather_than_a_spoilt_one(mtu: int) -> None:
    async with worn(OMI_GLASS, mtu=mtu) as glasses:
        glasses.link.snap()
        await asyncio.sleep(15.0)
        assert not glasses.photos and glasses.link.counters()["photos_lost"] == 1


async def test_sound_that_is_cut_short_is_hidden_and_counted() -> None:
    rough = np.random.default_rng(1).integers(-8000, 8000, 64_000).astype(np.int16)
    from phone_bridge.opus import Encoder

    with Encoder(64_000) as encoder:
        frames = [encoder.encode(rough[at : at + 320]) for at in range(0, len(rough), 320)]
    assert min(map(len, frames)) > 60
    async with worn(OMI_GLASS, mtu=60) as glasses:
        glasses.glasses.say(frames)
        await asyncio.sleep(4.5)
        assert glasses.link.counters()["truncated"] >= 190
