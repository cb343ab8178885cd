"""Captures of a xiaozhi device and of a page, and their replay: the same sound, touches, and pictures whenever wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.config import Config, ServeConfig
from edge.events import FinalHeard, TurnEnded
from edge.household import session
from edge.ports import Link
from edge.runtime.engines import Ears, Engines
from edge.runtime.lane import Lane
from edge.runtime.told import Told
from edge.values import Condition, Pcm, VideoFrame
from models.fakes import FakeEndOfTurn, FakeLanguageModel, FakeRecogniser, FakeVoice, FakeVoiceActivity, FakeWake, tone
from phone_bridge.link import open_link
from phone_bridge.pcapng import DATA, JPEG, JSON, RTCP, RTP, PacketCapture, read_connections
from phone_bridge.peer import Peer
from phone_bridge.replay import ReplayLink
from phone_bridge.webrtc import WebRtcGlasses
from phone_bridge.webrtc_capture import captured
from phone_bridge.xiaozhi import XiaozhiStation
from phone_bridge.xiaozhi_capture import CapturedGlasses
from tests.phone_bridge.client import Client
from tests.phone_bridge.xiaozhi_device import StockDevice, jpeg, key_of, until
from tests.runtime.stage import Ask

pytestmark = pytest.mark.real_time

QUESTION = tone(0.5)


@dataclass
class Talk:
    """What a link gave."""

    sound: list[Pcm] = field(default_factory=list)
    photos: list[VideoFrame] = field(default_factory=list)
    taps: list[str] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pcm(self) -> Pcm:
        return np.concatenate(self.sound) if self.sound else np.zeros(0, np.int16)


@asynccontextmanager
async def followed(link: Link) -> AsyncIterator[Talk]:
    await link.open()
    talk = Talk()

    async def sound() -> None:
        async for chunk in link.microphone():
            talk.sound.append(chunk.pcm)
        talk.over.set()

    async def into(stream: AsyncIterator[Any], found: list[Any]) -> None:
        async for item in stream:
            found.append(item)

    followers = [
        asyncio.create_task(sound()),
        asyncio.create_task(into(link.camera(), talk.photos)),
        asyncio.create_task(into(link.taps(), talk.taps)),
        asyncio.create_task(into(link.conditions(), talk.conditions)),
    ]
    try:
        yield talk
    finally:
        await link.close()
        await asyncio.gather(*followers)


def loud(pcm: Pcm) -> Pcm:
    """The part of it that is no silence."""
    (heard,) = np.nonzero(np.abs(pcm.astype(np.int32)) > 1000)
    return pcm[heard[0] : heard[-1] + 1]


# A xiaozhi device.


@asynccontextmanager
async def station(folder: Path) -> AsyncIterator[XiaozhiStation]:
    capture = PacketCapture(folder / "x.pcapng")
    made = XiaozhiStation("xiaozhi://127.0.0.1:0", ServeConfig(), state=folder / "state", capture=capture)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def talked(folder: Path, version: int) -> Talk:
    """Is called, says something, is photographed, is called again."""
    async with station(folder) as served, StockDevice(served, key_of(served), version=version) as device:
        await until(lambda: served.glasses)
        (glasses,) = served.glasses.values()
        assert glasses.captured and isinstance(glasses, CapturedGlasses)
        async with followed(glasses) as talk:
            await device.call()
            device.say(QUESTION)
            await device.spoken()
            glasses.snap()
            await until(lambda: talk.photos)
            glasses.play(np.full(320, 900, np.int16))
            glasses.tell(FinalHeard(t_ns=0, text="hello", confidence=1.0, source=""))
            await asyncio.sleep(0.5)
    return talk


@pytest.mark.parametrize("version", [1, 3])
async def test_a_device_is_replayed(version: int, tmp_path: Path) -> None:
    truth = await talked(tmp_path, version)
    link = open_link(f"file:{tmp_path / 'x.pcapng'}")
    assert isinstance(link, ReplayLink) and isinstance(link, Link)
    async with followed(link) as again:
        await asyncio.sleep(0.1)
        link.snap()  # long before the capture's host asked
        await asyncio.wait_for(again.over.wait(), 10.0)
        link.snap()  # and after its end, of which nobody is told
    assert again.taps == ["tap"], "the second one was the device's, which listens again when we stop speaking"
    assert truth.taps == ["tap", "tap"] and len(again.photos) == len(truth.photos) == 1
    assert np.array_equal(again.photos[0].pixels, truth.photos[0].pixels)
    assert np.array_equal(loud(again.pcm), loud(truth.pcm)) and len(loud(truth.pcm)) > 7000
    told = [(how.present, how.device, how.battery, how.photo_s) for how in again.conditions]
    assert told[0][:2] == (True, "ada's box") and (True, "ada's box", 0.62, 4.0) in told


async def test_a_replayed_device_listens_again_when_this_host_stops_speaking(tmp_path: Path) -> None:
    await talked(tmp_path, 1)
    link = open_link(f"file:{tmp_path / 'x.pcapng'}")
    assert isinstance(link, ReplayLink)
    async with followed(link) as again:
        await until(lambda: again.taps)
        link.play(np.full(320, 900, np.int16))
        await until(lambda: len(again.taps) == 2, 3.0)


async def test_a_session_on_a_replayed_device_answers_its_question(tmp_path: Path) -> None:
    await talked(tmp_path, 1)
    engines = Engines(
        ears=Lane("ears", lambda: Ears(FakeWake(), FakeVoiceActivity())),
        end_of_turn=Lane("end_of_turn", lambda: FakeEndOfTurn((1.0,))),
        recogniser=Lane("recogniser", lambda: FakeRecogniser(("how are you",), cost=0.02)),
        language_model=Lane("language_model", lambda: FakeLanguageModel(("I am well.",), first_token=0.02)),
        voice=Lane("voice", lambda: FakeVoice(first_audio=0.02, per_word=0.1)),
    )
    told = Told()
    link = open_link(f"file:{tmp_path / 'x.pcapng'}")
    assert isinstance(link, ReplayLink)
    async with session(Config(), link, engines=engines, skills=[Ask()], emit=told) as served:
        await asyncio.wait_for(served.over(), 20.0)
    (turn,) = told.of(TurnEnded)
    assert (turn.transcript, turn.answer, turn.heard) == ("how are you", "I am well.", "I am well.")


async def test_what_a_device_and_we_said_is_in_the_file(tmp_path: Path) -> None:
    await talked(tmp_path, 3)
    (found,) = read_connections(tmp_path / "x.pcapng")
    assert found.name == "xiaozhi:ada" and found.facts == {"version": "3", "device": "ada's box"} and found.ended
    theirs = [packet for packet in found.packets if packet.received]
    ours = [packet for packet in found.packets if not packet.received]
    assert b'"hello"' in theirs[0].data and b'"hello"' in ours[0].data
    assert [packet.data for packet in theirs if packet.kind == JPEG] == [jpeg()]
    assert any(b'"stt"' in packet.data for packet in ours if packet.kind == JSON)
    assert any(packet.kind == DATA for packet in ours), "the sound of the loudspeaker"


async def test_a_private_device_leaves_lengths(tmp_path: Path) -> None:
    async with station(tmp_path) as served, StockDevice(served, key_of(served)) as device:
        await until(lambda: served.glasses)
        (glasses,) = served.glasses.values()
        async with followed(glasses):
            glasses.privacy(True)
            await until(lambda: not device.open)
            await device.connect()
            await device.call()
            await device.spoken()
            await asyncio.sleep(0.2)
    sounds = [p for each in read_connections(tmp_path / "x.pcapng") for p in each.packets if p.kind == DATA and p.received]
    assert len(sounds) > 5 and all(packet.size > 20 and not packet.data for packet in sounds)
    async with followed(open_link(f"file:{tmp_path / 'x.pcapng'}")) as again:  # type: ignore[arg-type]
        await asyncio.wait_for(again.over.wait(), 10.0)
    assert not np.abs(again.pcm).max(initial=0)


# A page.


async def paged(path: Path, *, private: bool = False) -> Talk:
    capture = PacketCapture(path)
    glasses = WebRtcGlasses("ada", uri="webrtc:ada")
    answer, peers = captured(Peer.answer, capture), list[Peer]()

    async def post(offer: str) -> str:
        peer, text = await answer(offer, glasses, device="d1")
        peers.append(peer)
        return text

    async with followed(glasses) as talk, Client() as client:
        await client.connect(post)
        client.show(np.full((240, 320, 3), (200, 30, 10), np.uint8))
        if private:
            glasses.privacy(True)
            await client.expect("privacy")
        client.say(QUESTION[: 320 * 25])
        client.send("tap", name="double_tap")
        await asyncio.sleep(0.7)
        glasses.snap()
        if not private:
            still = int((await client.expect("snap"))["id"])
            client.send_still(still, jpeg(640, 480))
        for _ in range(10):
            glasses.play(np.full(320, 900, np.int16))
        await asyncio.sleep(1.2)
    await peers[0].close()
    capture.close()
    return talk


async def test_a_page_is_replayed(tmp_path: Path) -> None:
    truth = await paged(tmp_path / "x.pcapng")
    link = open_link(f"file:{tmp_path / 'x.pcapng'}")
    assert isinstance(link, ReplayLink)
    async with followed(link) as again:

        def stills() -> int:
            return sum(each.pixels.shape == (480, 640, 3) for each in again.photos)

        await asyncio.sleep(0.1)
        link.snap()  # long before the capture's host asked
        await until(lambda: stills() == 1)
        link.snap()  # and once more than it did
        await until(lambda: stills() == 2)
        await asyncio.wait_for(again.over.wait(), 10.0)
    assert again.taps == truth.taps == ["double_tap"]
    (photo,) = (frame.pixels for frame in truth.photos if frame.pixels.shape == (480, 640, 3))
    assert all(np.array_equal(frame.pixels, photo) for frame in again.photos if frame.pixels.shape == (480, 640, 3))
    shown = [frame.pixels for frame in again.photos if frame.pixels.shape == (240, 320, 3)]
    assert shown and np.abs(shown[-1].astype(int).mean((0, 1)) - (200, 30, 10)).max() < 12
    ours, theirs = loud(again.pcm), loud(truth.pcm)
    size = min(len(ours), len(theirs))
    assert size > 7000 and abs(len(ours) - len(theirs)) < 320
    assert np.corrcoef(ours[:size], theirs[:size])[0, 1] > 0.9
    assert again.conditions[0].present and again.conditions[-1].device == truth.conditions[-1].device


async def test_what_a_page_and_we_sent_is_in_the_file(tmp_path: Path) -> None:
    await paged(tmp_path / "x.pcapng")
    (found,) = read_connections(tmp_path / "x.pcapng")
    assert found.name == "webrtc:ada" and "audio/opus" in found.facts["codecs"].values() and found.ended
    for kind, received, least in ((RTP, True, 30), (RTP, False, 10), (RTCP, True, 1), (JSON, True, 2), (JSON, False, 2)):
        assert sum((p.kind, p.received) == (kind, received) for p in found.packets) >= least, (kind, received)
    assert sum(p.kind == DATA for p in found.packets) >= 1


async def test_a_private_page_leaves_lengths(tmp_path: Path) -> None:
    await paged(tmp_path / "x.pcapng", private=True)
    (found,) = read_connections(tmp_path / "x.pcapng")
    asked = next(n for n, packet in enumerate(found.packets) if b'"privacy"' in packet.data)
    media = [packet for packet in found.packets[asked:] if packet.kind == RTP and packet.received]
    assert len(media) > 30 and all(len(packet.data) == 12 < packet.size for packet in media)
