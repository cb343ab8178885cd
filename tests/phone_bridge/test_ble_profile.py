"""Glasses of our own profile through bleak on a virtual radio, in virtual time: sound both ways, photos, events, clocks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.ports import Link
from firmware_stubs.sim.glasses import GLASSES, SimGlasses
from firmware_stubs.sim.radio import Radio
from phone_bridge.ble_adapters import known
from phone_bridge.ble_profile import ProfileAdapter
from phone_bridge.opus import Decoder
from phone_bridge.stills import decode_still
from phone_bridge.wire.profile import Action, Doing, Feature, Gesture
from tests.ble import Worn, jpeg, link_on, powered, spoken, tone, wearing

MTUS = (23, 100, 185, 247, 517)
FEW = (23, 247, 517)


def decoded(frames: Any) -> np.ndarray[Any, Any]:
    with Decoder() as decoder:
        return np.concatenate([decoder.decode(frame) for frame in frames])


def adapter(worn: Worn[SimGlasses]) -> ProfileAdapter:
    found = worn.link._adapter
    assert isinstance(found, ProfileAdapter)
    return found


async def play(worn: Worn[SimGlasses], seconds: float) -> float:
    """Plays a tone in real time; gives the loop time of its beginning."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    sound = tone(seconds)
    for at in range(0, len(sound), 320):
        worn.link.play(sound[at : at + 320])
        await asyncio.sleep(began + (at + 320) / 16_000 - loop.time())
    return began


# Sound up.


async def test_the_profile_comes_first_and_everything_it_has_is_told() -> None:
    assert [each.name for each in known()] == ["nearsight", "Omi", "Nordic UART"]
    async with wearing() as worn:
        found = worn.link.capabilities
        assert isinstance(worn.link, Link) and found is not None
        assert found.model == "nearsight sim" and found.microphone and found.camera and found.speaker and found.button
        assert worn.last().battery == 1.0 and worn.last().charging is False and worn.last().photo_s > 0


@pytest.mark.parametrize("mtu", MTUS)
async def test_sound_comes_whole_at_every_mtu(mtu: int) -> None:
    async with wearing(radio=Radio(rate=20_000.0, latency=0.01), mtu=mtu) as worn:
        worn.glasses.say(spoken())
        await asyncio.sleep(3.0)
        sound = worn.heard()
        start = int(np.argmax(np.abs(sound) > 0))
        truth = decoded((*spoken(0.04, 0)[-1:] * (start // 320), *spoken()))
        assert len(worn.spans) == 1
        assert np.abs(sound[:32_000].astype(int) - truth[:32_000]).max() < 400  # silence before it leaves its mark on the codec
        counters = worn.link.counters()
        assert counters["lost_frames"] == counters["malformed"] == counters["no_codec"] == counters["unanswered"] == 0


@pytest.mark.parametrize("rate", [10_000.0, 40_000.0])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
async def test_what_is_lost_at_the_source_is_hidden_and_counted(rate: float, share: float) -> None:
    async with wearing(radio=Radio(rate=rate), seed=3) as worn:
        glasses = worn.glasses
        glasses.lose_sound = lambda: glasses.random.random() < share
        await asyncio.sleep(5.0)
        glasses.lose_sound = lambda: False
        await asyncio.sleep(0.2)
        counters = worn.link.counters()
        assert counters["lost_frames"] == glasses.counts["dropped"] > 0
        assert counters["frames"] == glasses.counts["sound"] and len(worn.spans) == 1
        assert len(worn.heard()) == pytest.approx(5.2 * 16_000, abs=3200)


async def test_silence_is_no_loss() -> None:
    async with wearing(radio=Radio(rate=20_000.0, latency=0.02), silence=b"") as worn:
        worn.glasses.say(spoken())
        for rest in (0.1, 0.7, 30.0):
            worn.glasses.rest(rest)
            worn.glasses.say(spoken())
        await asyncio.sleep(42.0)
        counters = worn.link.counters()
        assert counters["lost_frames"] == counters["gaps"] == counters["stops"] == 0 and counters["frames"] == 400
        assert [condition.present for _, condition in worn.conditions] == [True] and len(worn.spans) == 1
        sound = np.abs(worn.heard().astype(int))
        loud = np.flatnonzero(np.convolve(sound > 3000, np.ones(320), "same") > 0)
        rests = np.diff(loud)[np.diff(loud) > 800] / 16_000
        assert rests == pytest.approx([0.1, 0.7, 30.0], abs=0.06)


async def test_privacy_switches_the_microphone_off_at_its_source() -> None:
    async with wearing() as worn:
        await asyncio.sleep(1.0)
        worn.link.privacy(True)
        await asyncio.sleep(0.2)
        assert not worn.glasses.app.doing_now
        worn.link.snap()
        await asyncio.sleep(3.0)
        assert not worn.photos and not worn.glasses.app.doing_now
        worn.link.privacy(False)
        await asyncio.sleep(0.2)
        assert worn.glasses.app.microphone and len(worn.spans) == 1


async def test_privacy_does_not_hang_on_one_reply() -> None:
    async with wearing() as worn:
        await asyncio.sleep(1.0)
        take, deaf = worn.glasses.app.request, [2]

        def forgetful(value: bytes) -> None:
            if value[0] == 4 and deaf:
                deaf.pop()
            else:
                take(value)

        worn.glasses.app.request = forgetful  # type: ignore[method-assign]
        worn.link.privacy(True)
        await asyncio.sleep(2.0)
        assert not deaf and not worn.glasses.app.doing_now


async def test_minutes_of_listening_keep_the_glasses_awake_and_their_clock_known() -> None:
    async with wearing(radio=Radio(rate=40_000.0, latency=0.01), silence=b"", ppm=40.0) as worn:
        worn.glasses.rest(300.0)
        await asyncio.sleep(300.0)  # the low 32 bits of the device clock run over meanwhile
        clock = adapter(worn).clock
        assert worn.link.counters()["stops"] == 0 and worn.glasses.app.microphone
        assert clock.drift == pytest.approx(40e-6, abs=10e-6)
        now = asyncio.get_running_loop().time()
        assert clock.host_time(worn.glasses.now_us()) / 1e6 == pytest.approx(now, abs=0.01)


# Sound down.


@pytest.mark.parametrize("mtu", FEW)
async def test_what_is_played_is_heard_whole_and_its_delay_is_known(mtu: int) -> None:
    async with wearing(radio=Radio(rate=20_000.0, latency=0.01), mtu=mtu) as worn:
        began = await play(worn, 3.0)
        await asyncio.sleep(0.6)
        played = worn.glasses.played
        assert len(played) == 150 and sum(each.seconds for each in played) == pytest.approx(3.0)
        heard = np.abs(decoded(each.frame for each in played)[1600:].astype(int))
        assert heard.max() == pytest.approx(8000, rel=0.15)
        gaps = [b.at - a.at for a, b in zip(played, played[1:], strict=False)]
        assert max(gaps) < 0.1 and sum(gap > 0.021 for gap in gaps) <= 1  # the last two frames may wait for the close
        assert worn.last().sink_delay_s == pytest.approx(played[0].at - began, abs=0.012)
        assert played[0].at - began < 0.12
        counters = worn.link.counters()
        assert counters["played_ms"] == 3000 and counters["frames_lost"] == counters["frames_dropped"] == 0


async def test_more_than_the_buffer_holds_waits_for_credits() -> None:
    async with wearing(radio=Radio(rate=40_000.0, latency=0.01)) as worn:
        sound = tone(1.9)
        for at in range(0, len(sound), 320):  # all at once
            worn.link.play(sound[at : at + 320])
        await asyncio.sleep(3.0)
        assert len(worn.glasses.played) == 95 and worn.link.counters()["frames_lost"] == 0


@pytest.mark.parametrize("rate", [10_000.0, 20_000.0, 40_000.0])
async def test_a_flush_is_silent_within_60_ms_and_says_what_nobody_heard(rate: float) -> None:
    async with wearing(radio=Radio(rate=rate, latency=0.015)) as worn:
        loop = asyncio.get_running_loop()
        for _ in range(3):
            worn.glasses.played.clear()
            worn.link.snap()  # the flush goes down while a photo comes up
            await play(worn, 0.9)
            unheard = worn.link.flush()
            flushed = loop.time()
            await asyncio.sleep(0.4)
            last = worn.glasses.played[-1]
            assert last.at + last.seconds - flushed < 0.06
            heard = sum(each.seconds for each in worn.glasses.played)
            assert unheard / 16_000 == pytest.approx(0.9 - heard, abs=0.05)
        assert worn.link.counters()["streams"] == 3


async def test_a_reply_follows_a_flush_at_once_and_another_one_later() -> None:
    async with wearing(radio=Radio(rate=40_000.0, latency=0.01)) as worn:
        await play(worn, 0.5)
        worn.link.flush()
        before = len(worn.glasses.played)
        await play(worn, 1.0)
        await asyncio.sleep(0.15)
        await play(worn, 0.5)
        await asyncio.sleep(1.0)
        # What sounds when the flush is asked for, and what begins while it is on its way, is not counted in `before`.
        assert 75 - 1 <= len(worn.glasses.played) - before <= 75 + 2


# Photos.


@pytest.mark.parametrize("mtu", FEW)
async def test_a_photo_comes_upright_whole_and_with_its_time(mtu: int) -> None:
    async with wearing(radio=Radio(rate=100_000.0, latency=0.01), mtu=mtu) as worn:
        worn.glasses.orientation = 1
        await asyncio.sleep(0.5)
        asked = asyncio.get_running_loop().time()
        worn.link.snap()
        worn.link.snap()
        await asyncio.sleep(6.0)
        ((at, frame),) = worn.photos
        assert (frame.pixels == np.rot90(decode_still(jpeg()), -1)).all()
        assert worn.glasses.app.counts["photos"] == 1 and not worn.glasses.app.camera
        clock = worn.link._clock
        assert clock is not None
        taken = clock.media_ns(asked + 0.16)  # its exposure takes 0.15 s
        assert abs(frame.t_ns - taken) < 20e6 and at > asked


@pytest.mark.parametrize(("rate", "mtu"), [(10_000.0, 247), (10_000.0, 517), (20_000.0, 247), (40_000.0, 517)])
async def test_a_photo_of_200_kb_takes_little_longer_than_its_bytes_need(rate: float, mtu: int) -> None:
    big = jpeg() + bytes(200_000 - len(jpeg()))
    async with wearing(radio=Radio(rate=rate, latency=0.01), silence=b"", seed=1, mtu=mtu) as worn:
        glasses = worn.glasses
        glasses.photo = big
        glasses.lose_chunk = lambda index: glasses.random.random() < 0.05
        asked = asyncio.get_running_loop().time()
        worn.link.snap()
        await asyncio.sleep(200_000 / rate * 1.5)
        assert glasses.counts["dropped"] > 20
        assert worn.photos[0][0] - asked < 1.15 * 200_000 / rate


@pytest.mark.parametrize("mtu", [100, 247, 517])
@pytest.mark.parametrize("rate", [10_000.0, 20_000.0, 40_000.0])
async def test_sound_never_waits_longer_than_40_ms_behind_a_photo(rate: float, mtu: int) -> None:
    async with wearing(radio=Radio(rate=rate, latency=0.01), mtu=mtu) as worn:
        worn.glasses.say(spoken(8.0))
        worn.link.snap()
        await asyncio.sleep(8.0)
        assert len(worn.photos) == 1 and worn.link.counters()["lost_frames"] == 0
        assert worn.glasses.audio_wait_s <= 0.040
        arrivals = np.diff([at for at, _ in worn.sound[10:]])
        assert arrivals.max() < 0.02 + 0.040


# What happens to them.


async def test_touches_and_the_battery() -> None:
    async with wearing(battery=lambda seconds: 80 if seconds < 5 else 15) as worn:
        glasses = worn.glasses
        await asyncio.sleep(2.0)
        for action in (Action.DOWN, Action.UP, Action.CLICK, Action.DOUBLE, Action.DOWN, Action.LONG, Action.UP, Action.UP):
            glasses.press(action)
        glasses.tap(1)
        glasses.tap(2)
        glasses.tap(3)
        glasses.gesture(Gesture.NOD)
        await asyncio.sleep(5.0)
        glasses.charging = True
        await asyncio.sleep(2.0)
        assert worn.taps == ["tap", "double_tap", "hold", "release", "tap", "double_tap"]
        assert [(condition.battery, condition.charging) for _, condition in worn.conditions][-3:] == [
            (0.8, False),
            (0.15, False),
            (0.15, True),
        ]
        assert worn.link.counters()["gestures"] == 1 and worn.link.counters()["faults"] == 1


async def test_glasses_that_are_taken_off_hear_nothing_until_they_are_worn() -> None:
    async with wearing() as worn:
        await asyncio.sleep(1.0)
        worn.glasses.app.wear(False)
        assert not worn.glasses.app.doing_now
        sent = worn.glasses.counts["sound"]
        await asyncio.sleep(10.0)
        worn.link.snap()
        await asyncio.sleep(1.0)
        assert worn.glasses.counts["sound"] == sent and worn.link.counters()["declined_photos"] == 1
        worn.glasses.app.wear(True)
        await asyncio.sleep(1.0)
        assert worn.glasses.counts["sound"] >= sent + 45
        assert worn.last().present and len(worn.spans) == 1 and worn.link.counters()["lost_frames"] == 0


@pytest.mark.parametrize("why", ["battery", "busy", "lamp", "camera", "heat"])
async def test_a_photo_that_the_glasses_refuse_is_told(why: str) -> None:
    async with wearing(battery=lambda seconds: 5 if why == "battery" else 90) as worn:
        app = worn.glasses.app
        await asyncio.sleep(1.5)
        match why:
            case "busy":
                app.doing_now, app._camera_ms, app.next_object = app.doing_now | Doing.CAMERA, app._now_ms, 9
            case "lamp":
                app.body.lamp = False
            case "camera":
                worn.glasses.photo = b""
            case "heat":
                app.heat(True)
        worn.link.snap()
        await asyncio.sleep(8.0)
        assert not worn.photos and worn.link.counters()["photos_lost"] == 1 and worn.last().present
        assert not app.camera


async def test_a_loudspeaker_alone_is_enough() -> None:
    only = replace(GLASSES, features=int(Feature.SPEAKER), up=(), sizes=(), photo_max=0)
    async with wearing(capabilities=only) as worn:
        worn.link.snap()
        await play(worn, 0.5)
        await asyncio.sleep(10.0)
        assert len(worn.glasses.played) == 25 and worn.last().present
        assert worn.last().photo_s == 0 and not worn.glasses.app.doing_now


async def test_a_descriptor_that_changes_is_read_again() -> None:
    from phone_bridge.wire.messages import Changed

    radio = Radio()
    async with powered(radio) as glasses:
        link = link_on(radio)
        await link.open()
        glasses.app.capabilities = replace(GLASSES, firmware="1.1")
        glasses.app.event(Changed)
        await asyncio.sleep(0.2)
        assert isinstance(link._adapter, ProfileAdapter) and link._adapter._descriptor.firmware == "1.1"
        await link.close()
