"""The simulated glasses with our own profile, seen through bleak by a program that speaks nothing but the wire codec."""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from bleak import BleakClient, BleakScanner

from edge.runtime.virtual import run
from firmware_stubs.sim.backend import backends
from firmware_stubs.sim.glasses import GLASSES, SimGlasses
from firmware_stubs.sim.lens import camera
from firmware_stubs.sim.pair import CENTRAL, Simulated, profile_pair
from firmware_stubs.sim.radio import Radio
from phone_bridge.ble import BleLink
from phone_bridge.stills import decode_still
from phone_bridge.wire import control, messages
from phone_bridge.wire.audio import AudioReceiver, AudioSender
from phone_bridge.wire.capabilities import decode_capabilities
from phone_bridge.wire.codec import decode_event, decode_photo, decode_reply, decode_report, encode
from phone_bridge.wire.photo import PhotoReceiver, PhotoState
from phone_bridge.wire.profile import (
    BATTERY_LOW,
    CAPABILITIES_UUID,
    CONTROL_UUID,
    EVENTS_UUID,
    HOST_SILENCE_MS,
    MICROPHONE_UUID,
    PHOTO_UUID,
    SPEAKER_UUID,
    Cause,
    Codec,
    Doing,
    EventMask,
    SpeakerState,
    Status,
)
from phone_bridge.wire.speaker import Credits
from tests.ble import jpeg, powered, spoken

HELLO = control.Hello(1, 1, 0)


class Host:
    """A central that knows the codec and nothing else."""

    def __init__(self, client: BleakClient, glasses: SimGlasses) -> None:
        self.client = client
        self.glasses = glasses
        self.got: defaultdict[str, list[bytes]] = defaultdict(list)

    async def listen(self) -> None:
        for uuid in (CONTROL_UUID, MICROPHONE_UUID, SPEAKER_UUID, PHOTO_UUID, EVENTS_UUID):
            await self.client.start_notify(uuid, lambda found, data: self.got[found.uuid].append(bytes(data)))

    async def ask(self, request: control.RequestMessage | bytes) -> Any:
        value = request if isinstance(request, bytes) else encode(request)
        await self.client.write_gatt_char(CONTROL_UUID, value, response=True)
        await asyncio.sleep(0.01)
        return decode_reply(self.got[CONTROL_UUID][-1])

    def events(self, kind: type[Any]) -> list[Any]:
        return [event for event in map(decode_event, self.got[EVENTS_UUID]) if isinstance(event, kind)]

    async def alive(self, seconds: float) -> None:
        """Keeps the glasses awake for a while."""
        for number in range(round(seconds / 0.5)):
            await self.ask(control.Clock(number & 0xFF, 7))
            await asyncio.sleep(0.49)


@asynccontextmanager
async def host(*, hello: bool = True, radio: Radio | None = None, asked_mtu: int = 517, **options: Any) -> AsyncIterator[Host]:
    radio = radio or Radio()
    async with powered(radio, **options) as glasses:
        client, scanner = backends(radio.device("host", CENTRAL), mtu=asked_mtu)
        found = await BleakScanner.find_device_by_name("nearsight", backend=scanner)
        assert found is not None
        async with BleakClient(found, backend=client) as connected:
            if glasses.table[CONTROL_UUID].permissions & 8:
                await connected.pair()
            opened = Host(connected, glasses)
            await opened.listen()
            if hello:
                assert isinstance(await opened.ask(HELLO), control.HelloReply)
            yield opened


async def test_it_describes_itself_in_one_read_at_any_mtu() -> None:
    async with host(asked_mtu=23) as near:
        assert decode_capabilities(bytes(await near.client.read_gatt_char(CAPABILITIES_UUID))) == GLASSES
        assert bytes(await near.client.read_gatt_char("00002a19-0000-1000-8000-00805f9b34fb")) == b"\x64"
        assert bytes(await near.client.read_gatt_char("00002a24-0000-1000-8000-00805f9b34fb")) == b"nearsight sim"


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (encode(control.State(9)), Status.NO_SESSION),
        (encode(control.Hello(9, 2, 0)), Status.VERSION),
        (b"\x7f\x09\x00\x00", Status.UNSUPPORTED),
        (b"\x02\x09\x00\x01", Status.BAD_ARGUMENT),
    ],
)
async def test_what_it_cannot_answer_it_refuses(value: bytes, status: Status) -> None:
    async with host(hello=False) as near:
        assert await near.ask(value) == control.Refused(9, value[0], status)
        assert not near.glasses.app.session


async def test_values_that_are_no_requests_are_counted_and_dropped() -> None:
    async with host() as near:
        for value in (b"\x00", b"\x81\x01\x00\x00", bytes(300)):
            await near.client.write_gatt_char(CONTROL_UUID, value, response=True)
        await near.client.write_gatt_char(PHOTO_UUID, b"\x55" * 30, response=False)
        await near.client.write_gatt_char(SPEAKER_UUID, b"\x55" * 30, response=False)  # no stream: nothing to damage
        assert len(near.got[CONTROL_UUID]) == 1
        assert (await near.ask(control.State(2))).malformed == 4


async def test_the_light_shines_with_the_microphone_and_both_go_off_2_s_after_the_last_request() -> None:
    async with host() as near:
        assert (await near.ask(control.MicrophoneStart(2, Codec.OPUS, 32))).stream == 1
        assert near.glasses.app.doing_now == Doing.MICROPHONE | Doing.LIGHT
        assert (await near.ask(control.MicrophoneStart(3, Codec.OPUS, 32))).status == Status.BUSY
        await asyncio.sleep(HOST_SILENCE_MS / 1000 - 0.05)
        assert near.glasses.app.doing_now == Doing.MICROPHONE | Doing.LIGHT
        await asyncio.sleep(0.06)
        assert not near.glasses.app.doing_now
        await asyncio.sleep(0.1)
        assert [event.cause for event in near.events(messages.Capture)] == [Cause.REQUEST, Cause.HOST_SILENT]


@pytest.mark.parametrize("why", ["link", "lamp", "worn", "heat", "bye"])
async def test_whatever_happens_to_it_switches_the_microphone_off_at_once(why: str) -> None:
    async with host() as near:
        app = near.glasses.app
        await near.ask(control.MicrophoneStart(2, Codec.OPUS, 32))
        match why:
            case "link":
                near.glasses.radio.cut(near.glasses.device)
            case "lamp":
                app.body.lamp = False
            case "worn":
                app.wear(False)
            case "heat":
                app.heat(True)
            case "bye":
                await near.ask(control.Bye(3))
        await asyncio.sleep(0.05)
        assert not app.doing_now
        if why in ("worn", "heat", "lamp"):
            assert isinstance(await near.ask(control.MicrophoneStart(4, Codec.OPUS, 32)), control.Refused)
        if why == "bye":
            await asyncio.sleep(0.1)
            assert not near.client.is_connected


@pytest.mark.parametrize("asked_mtu", [23, 60, 247, 517])
async def test_sound_fills_the_values_that_the_mtu_allows(asked_mtu: int) -> None:
    async with host(asked_mtu=asked_mtu, mtu=517) as near:
        near.glasses.say(spoken())
        stream = (await near.ask(control.MicrophoneStart(2, Codec.OPUS, 32))).stream
        await near.alive(2.5)
        receiver = AudioReceiver(stream)
        frames = [frame for value in near.got[MICROPHONE_UUID] if (frame := receiver.take(value)) is not None]
        assert tuple(frame.data for frame in frames[:100]) == spoken() and receiver.lost == 0
        assert max(map(len, near.got[MICROPHONE_UUID])) <= asked_mtu - 3
        times = np.diff([frame.time for frame in frames]) & 0xFFFFFFFF
        assert times[:99] == pytest.approx(20_000, abs=2)


async def test_a_photo_can_be_fetched_with_a_third_of_its_chunks_lost() -> None:
    async with host(radio=Radio(rate=40_000.0)) as near:
        glasses = near.glasses
        glasses.lose_chunk = lambda index: glasses.random.random() < 0.33
        number = (await near.ask(control.TakePhoto(2, 0, 80))).object
        receiver, loop, seen = PhotoReceiver(number, 0), asyncio.get_running_loop(), 0
        assert (await near.ask(control.TakePhoto(3, 0, 80))).status == Status.CAMERA_BUSY
        assert (await near.ask(control.TakePhoto(4, 99, 80))).status == Status.BAD_ARGUMENT
        while receiver.state in (PhotoState.WAITING, PhotoState.MOVING):
            await asyncio.sleep(0.01)
            values, seen = near.got[PHOTO_UUID][seen:], len(near.got[PHOTO_UUID])
            for value in values:
                for receipt in receiver.take(decode_photo(value), int(loop.time() * 1000)):
                    await near.client.write_gatt_char(PHOTO_UUID, encode(receipt), response=False)
            assert loop.time() < 30
        assert receiver.photo is not None and receiver.photo.data == jpeg()
        head = decode_photo(near.got[PHOTO_UUID][0])
        assert isinstance(head, messages.PhotoHead) and head.crc == zlib.crc32(jpeg())
        assert not glasses.app.doing_now and glasses.counts["dropped"] > 40


async def test_a_photo_that_nobody_acknowledges_is_given_up() -> None:
    async with host() as near:
        await near.ask(control.TakePhoto(2, 0, 80))
        await near.alive(4.0)
        sent = [decode_photo(value) for value in near.got[PHOTO_UUID]]
        assert {type(message) for message in sent} == {messages.PhotoHead, messages.PhotoAbort}
        assert isinstance(sent[-1], messages.PhotoAbort) and sent[-1].status == Status.TIMEOUT
        assert not isinstance(await near.ask(control.TakePhoto(3, 0, 80)), control.Refused)


async def test_the_battery_refuses_photos_when_it_is_critical() -> None:
    async with host(battery=lambda seconds: max(5, 25 - round(seconds))) as near:
        await near.alive(24.0)
        assert (await near.ask(control.TakePhoto(2, 0, 80))).status == Status.LOW_BATTERY
        levels = [event.percent for event in near.events(messages.Battery)]
        assert levels == list(range(levels[0], 4, -1))
        assert [event.status for event in near.events(messages.Fault)] == [Status.LOW_BATTERY]
        low = next(place for place, level in enumerate(levels) if level < BATTERY_LOW)
        assert isinstance(decode_event(near.got[EVENTS_UUID][low + 1]), messages.Fault)
        near.glasses.charging = True
        await near.alive(1.5)
        assert isinstance(await near.ask(control.TakePhoto(3, 0, 80)), control.TakePhotoReply)


async def test_it_plays_with_credits_reports_and_flushes() -> None:
    async with host() as near:
        opened = await near.ask(control.SpeakerOpen(2, 7, Codec.OPUS))
        account, sender = Credits(opened.granted), AudioSender(7)
        sent = 0
        for frame in spoken():
            if account.spend(len(frame)):
                for packet in sender.packets(frame, 20_000 * sent, 247):
                    await near.client.write_gatt_char(SPEAKER_UUID, packet, response=False)
                sent += 1
        assert 20 < sent < 100  # the rest finds no credits
        await asyncio.sleep(0.2)
        reports = [decode_report(value) for value in near.got[SPEAKER_UUID]]
        assert reports[-1].state == SpeakerState.PLAYING and reports[-1].granted > opened.granted
        flushed = await near.ask(control.SpeakerFlush(3, 7))
        heard = sum(played.seconds for played in near.glasses.played)
        assert flushed.played / 1e6 == pytest.approx(heard, abs=0.021)
        quiet = len(near.glasses.played)
        await asyncio.sleep(0.5)
        assert len(near.glasses.played) == quiet
        assert tuple(played.frame for played in near.glasses.played) == spoken()[:quiet]


async def test_only_the_events_that_are_wanted_come_and_they_are_numbered() -> None:
    async with host() as near:
        await near.ask(control.Listen(2, EventMask.WEAR))
        near.glasses.tap()
        near.glasses.app.wear(False)
        near.glasses.app.wear(True)
        await asyncio.sleep(0.05)
        events = [decode_event(value) for value in near.got[EVENTS_UUID]]
        assert [(type(event), event.seq) for event in events] == [(messages.Wear, 0), (messages.Wear, 1)]


async def test_its_clock_drifts_and_runs_over() -> None:
    async with host(ppm=100.0) as near:
        first = await near.ask(control.Clock(2, 5))
        await asyncio.sleep(300.0)
        later = await near.ask(control.Clock(3, 6))
        assert first.t1 == 5 and (later.t2 - first.t2) / 1e6 == pytest.approx(300.01 * 1.0001, abs=0.001)
        assert later.t2 > 0xFFFFFFFF > first.t2


def test_its_camera_makes_what_is_asked_for() -> None:
    sees = camera(jpeg())
    assert decode_still(sees(320, 240, 75)).shape == (240, 320, 3)
    assert decode_still(sees(1280, 960, 75)).shape == (480, 640, 3)
    assert len(sees(640, 480, 30)) < len(sees(640, 480, 80))
    with pytest.raises(ValueError, match="no JPEG"):
        camera(b"\xff\xd8")


def test_a_pair_that_is_made_before_there_is_a_loop_is_heard_seen_and_played_on() -> None:
    sound = (6000 * np.sin(np.arange(32_000) / 6)).astype(np.int16)
    simulated = Simulated(lambda: profile_pair(sound=sound, photo=jpeg()))
    link = BleLink("ble:sim", client=simulated.client, scanner=simulated.scanner, settle=0.0)

    async def main() -> None:
        await link.open()
        link.snap()
        microphone = aiter(link.microphone())
        heard = np.concatenate([(await anext(microphone)).pcm for _ in range(150)])
        assert np.abs(heard[1600:30_000]).max() > 5000 and not np.abs(heard[40_000:]).max() > 50
        assert (await anext(aiter(link.camera()))).pixels.shape == (480, 640, 3)
        link.play(sound[:320])
        await asyncio.sleep(1.0)
        assert simulated.pair is not None and isinstance(simulated.pair.glasses, SimGlasses)
        assert len(simulated.pair.glasses.played) == 1
        await link.close()
        await simulated.stop()

    run(main())
