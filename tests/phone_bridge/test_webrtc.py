"""A wearer's glasses over real connections on this machine: sound, pictures, stills, control, loss and return."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import cv2
import numpy as np
import pytest

from edge.errors import LinkError
from edge.events import FinalHeard, FrameChosen, StateChanged
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Condition, Pcm, VideoFrame
from phone_bridge import control
from phone_bridge.impair import Impairment
from phone_bridge.peer import Peer
from phone_bridge.webrtc import WebRtcGlasses
from tests.phone_bridge.client import Client

pytestmark = pytest.mark.real_time


class Wearer:
    """The session's end of a pair of glasses: takes all that they give."""

    def __init__(self, *, keep: float = 60.0) -> None:
        self.glasses = WebRtcGlasses("ada", keep=keep, uri="webrtc:ada", version="1.2")
        self.chunks: list[AudioChunk] = []
        self.frames: list[VideoFrame] = []
        self.taps: list[str] = []
        self.conditions: list[Condition] = []
        self.ended: list[BaseException | None] = []
        self.peers: list[Peer] = []

    async def post(self, offer: str) -> str:
        peer, answer = await Peer.answer(offer, self.glasses, device=f"d{len(self.peers)}")
        self.peers.append(peer)
        return answer

    async def take(self, stream: AsyncIterator[object], into: list[object]) -> None:
        try:
            async for item in stream:
                into.append(item)
            self.ended.append(None)
        except LinkError as error:
            self.ended.append(error)

    @property
    def heard(self) -> Pcm:
        return np.concatenate([chunk.pcm for chunk in self.chunks]) if self.chunks else np.zeros(0, np.int16)


@asynccontextmanager
async def wearer(keep: float = 60.0) -> AsyncIterator[Wearer]:
    made = Wearer(keep=keep)
    glasses = made.glasses
    async with asyncio.TaskGroup() as group:
        streams = (glasses.microphone(), glasses.camera(), glasses.taps(), glasses.conditions())
        for stream, into in zip(streams, (made.chunks, made.frames, made.taps, made.conditions), strict=True):
            group.create_task(made.take(stream, into))  # type: ignore[arg-type]
        try:
            await glasses.open()
            yield made
        finally:
            await glasses.close()
            for peer in made.peers:
                await peer.close()


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what a test waits for has no event
            await asyncio.sleep(0.01)


def tone(hertz: float, seconds: float) -> Pcm:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(np.int16)


def share(pcm: Pcm, hertz: float) -> float:
    """Of the sound's energy, the share within 30 Hz of a frequency."""
    power = np.abs(np.fft.rfft(pcm.astype(np.float64))) ** 2
    at = np.fft.rfftfreq(len(pcm), 1 / SAMPLE_RATE)
    return float(power[np.abs(at - hertz) < 30].sum() / max(power.sum(), 1e-9))


def loud(pcm: Pcm) -> int:
    """How many of its 20 ms pieces are not silence."""
    whole = pcm[: len(pcm) // CHUNK_SAMPLES * CHUNK_SAMPLES].reshape(-1, CHUNK_SAMPLES).astype(np.float64)
    return int((np.sqrt((whole**2).mean(axis=1)) > 500).sum())


async def speak(glasses: WebRtcGlasses, pcm: Pcm) -> None:
    """Plays as the speaker queue does."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for n, at in enumerate(range(0, len(pcm), CHUNK_SAMPLES)):
        await asyncio.sleep(began + n * 0.02 - loop.time())
        glasses.play(pcm[at : at + CHUNK_SAMPLES])


async def test_sound_goes_both_ways() -> None:
    async with wearer() as ada, Client(video=False) as client:
        await client.connect(ada.post)
        client.say(tone(440, 1.0))
        await speak(ada.glasses, tone(1000, 1.0))
        await until(lambda: loud(ada.heard) >= 45 and loud(np.concatenate([pcm for _, pcm in client.heard])) >= 45)
        assert share(ada.heard, 440) > 0.9
        assert share(np.concatenate([pcm for _, pcm in client.heard]), 1000) > 0.9
        assert all(a.end == b.start for a, b in zip(ada.chunks, ada.chunks[1:], strict=False))
        assert {len(chunk.pcm) for chunk in ada.chunks} == {CHUNK_SAMPLES}
    assert ada.ended == [None] * 4


async def test_five_percent_loss_is_heard_through() -> None:
    async with wearer() as ada, Client(video=False) as client:
        await client.connect(ada.post)
        ada.glasses.impairment = Impairment(loss=0.05, seed=4)
        client.say(tone(440, 1.9))
        await until(lambda: loud(ada.heard) >= 80)
        await asyncio.sleep(0.5)
        counts = ada.glasses.counters()
        assert counts["lost"] > 0 and counts["lost"] == counts["recovered"] + counts["concealed"]
        assert loud(ada.heard) >= 93  # 95 were spoken: nothing is missing that Opus can conceal
        assert share(ada.heard, 440) > 0.85
        assert all(a.end == b.start for a, b in zip(ada.chunks, ada.chunks[1:], strict=False))


async def test_pictures_come_at_the_reader_s_pace_and_may_change_their_size() -> None:
    async with wearer() as ada, Client(fps=25) as client:
        client.show(np.full((240, 320, 3), (0, 0, 255), np.uint8))
        await client.connect(ada.post)
        loop = asyncio.get_running_loop()
        await until(lambda: len(ada.frames) >= 3)
        began, have = loop.time(), len(ada.frames)
        client.show(np.full((480, 640, 3), (255, 0, 0), np.uint8))
        await until(lambda: ada.frames[-1].pixels.shape == (480, 640, 3), 10)
        await asyncio.sleep(1.0)
        assert len(ada.frames) - have <= (loop.time() - began) * 5 + 2
        red, blue = ada.frames[0].pixels[120, 160], ada.frames[-1].pixels[240, 320]
        assert red[2] > 200 and red[0] < 60 and blue[0] > 200 and blue[2] < 60
        assert [frame.index for frame in ada.frames] == list(range(len(ada.frames)))
        times = [frame.t_ns for frame in ada.frames]
        assert times == sorted(times)
        # Sound and pictures tell the same time.
        await until(lambda: ada.chunks)
        assert ada.frames[-1].t_ns / 1e9 == pytest.approx(ada.chunks[-1].end / SAMPLE_RATE, abs=0.3)
        client.show(np.full((8, 640, 3), 255, np.uint8))  # absurd
        await until(lambda: ada.glasses.counters()["absurd_frames"] > 0, 10)


async def test_a_still_comes_whole_at_full_resolution() -> None:
    picture = np.zeros((1944, 2592, 3), np.uint8)
    picture[:, :1296] = (0, 200, 0)
    picture[::40, ::30] = 255  # detail, so that it takes many pieces
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    async with wearer() as ada, Client(video=False) as client:
        await client.connect(ada.post)
        ada.glasses.snap()
        ada.glasses.snap()  # is on its way already
        snap = await client.expect("snap")
        client.send_still(snap["id"], data, crc32=1)
        assert (await client.expect("error"))["code"] == "input"
        ada.glasses.snap()
        snap = await client.expect("snap")
        client.send_still(snap["id"], data)
        await until(lambda: ada.frames, 10)
        assert ada.frames[0].pixels.shape == (1944, 2592, 3)
        assert len(data) > 10 * control.MAX_CHUNK and ada.frames[0].t_ns > 0
        ada.glasses.snap()
        client.send("still_failed", id=(await client.expect("snap"))["id"], code="busy")
        await asyncio.sleep(0.1)
        ada.glasses.snap()
        snap = await client.expect("snap")
        client.send_still(snap["id"], b"\xff\xd8 no picture")
        assert (await client.expect("error"))["code"] == "not_picture"


async def test_the_page_is_greeted_told_and_listened_to() -> None:
    async with wearer() as ada, Client(video=False) as client:
        await client.connect(ada.post)
        welcome = await client.expect("welcome")
        assert (welcome["wearer"], welcome["version"], welcome["keep_s"]) == ("ada", "1.2", 60.0)
        client.send(
            "hello",
            device="Pixel 9",
            audio={"echoCancellation": True},
            video=None,
            battery={"level": 0.5, "charging": True},
        )
        client.send("tap", name="double_tap")
        client.send("battery", level=0.4, charging=False)
        await until(lambda: ada.taps == ["double_tap"] and ada.conditions[-1].battery == 0.4)
        said = ada.conditions[-1]
        assert (said.device, said.echo_cancelled, said.charging, said.present) == ("Pixel 9", True, False, True)
        client.send("ping", id=77, at_ms=5.5)
        assert (await client.expect("pong")) == control.message("pong", id=77, at_ms=5.5)
        words = tuple({"text": "word", "start_ms": 1.0, "end_ms": 2.0} for _ in range(2000))
        ada.glasses.tell(FrameChosen(t_ns=0, index=1, age_ms=1.0, sharpness=1.0))  # no caption
        ada.glasses.tell(StateChanged(t_ns=0, state="listening"))
        ada.glasses.tell(FinalHeard(t_ns=1_000_000, text="what is that", confidence=1.0, source="", words=words))
        assert (await client.expect("event"))["event"] == {"event": "state", "t_ms": 0.0, "state": "listening"}
        assert (await client.expect("event"))["event"]["text"] == "what is that"
        client.send("bye", reason="left")
        await until(lambda: len(ada.ended) == 4)
        assert ada.glasses.closed and ada.ended == [None] * 4
        with pytest.raises(LinkError):
            await ada.glasses.open()


async def test_privacy_is_kept_at_both_ends() -> None:
    async with wearer() as ada, Client(fps=25) as client:
        await client.connect(ada.post)
        client.say(tone(440, 2.0))
        await until(lambda: loud(ada.heard) > 5 and ada.frames)
        ada.glasses.privacy(True)
        assert (await client.expect("privacy"))["on"] is True
        await asyncio.sleep(0.1)
        sounds, frames = len(ada.chunks), len(ada.frames)
        await asyncio.sleep(0.6)
        assert len(ada.chunks) > sounds and not any(chunk.pcm.any() for chunk in ada.chunks[sounds:])
        assert len(ada.frames) == frames
        ada.glasses.snap()
        ada.glasses.privacy(False)
        await until(lambda: ada.chunks[-1].pcm.any() and len(ada.frames) > frames)


async def test_the_sink_delay_is_what_the_page_reports() -> None:
    async with wearer() as ada, Client(video=False) as client:
        await client.connect(ada.post)
        assert ada.glasses.sink_delay_s == 0.08
        await until(lambda: ada.glasses.counters()["rtt_ms"] > 0 and client.newest_rtp is not None)
        loop = asyncio.get_running_loop()
        for _ in range(30):
            assert client.newest_rtp is not None
            # The page plays each packet 150 ms after it came, through a device that takes 20 ms.
            client.send("playout", rtp=client.newest_rtp, at_ms=client.page_ms(loop.time() + 0.15), output_latency_ms=20)
            await asyncio.sleep(0.04)
        assert ada.glasses.sink_delay_s == pytest.approx(0.17, abs=0.04)
        await until(lambda: ada.conditions[-1].sink_delay_s == pytest.approx(0.17, abs=0.04))
        assert len(ada.conditions) < 6


async def test_a_flush_silences_what_is_under_way() -> None:
    async with wearer() as ada, Client(video=False) as client:
        await client.connect(ada.post)
        await until(lambda: client.newest_rtp is not None)
        for _ in range(25):
            ada.glasses.play(tone(1000, 0.02))  # half a second at once: most of it waits
        await asyncio.sleep(0.1)
        unheard = ada.glasses.flush()
        assert unheard >= 15 * CHUNK_SAMPLES and unheard <= 25 * CHUNK_SAMPLES
        flush = await client.expect("flush")
        newest = client.newest_rtp
        assert newest is not None and (flush["rtp"] - newest + 10 * 960) % 2**32 <= 20 * 960
        await asyncio.sleep(0.4)
        assert loud(np.concatenate([pcm for _, pcm in client.heard])) <= 12
        assert ada.glasses.flush() == 0


async def test_a_client_that_vanishes_is_missed_within_two_seconds_and_its_return_closes_the_gap() -> None:
    loop = asyncio.get_running_loop()
    async with wearer() as ada:
        async with Client() as first:
            await first.connect(ada.post)
            await until(lambda: len(ada.chunks) > 20 and ada.frames)
            first.vanish()
            gone = loop.time()
            await until(lambda: not ada.conditions[-1].present)
            assert loop.time() - gone < 2.5  # 2 s, and a busy machine
            assert not ada.glasses.connected
            await asyncio.sleep(0.1)
            sounds, frames, end = len(ada.chunks), len(ada.frames), ada.chunks[-1].end
            ada.glasses.play(tone(1000, 0.02))  # nobody hears it, nothing breaks
            await asyncio.sleep(0.5)
            assert (len(ada.chunks), len(ada.frames)) == (sounds, frames)
        away = loop.time() - gone
        async with Client() as second:
            await second.connect(ada.post)
            await until(lambda: len(ada.chunks) > sounds and ada.conditions[-1].present)
            back = loop.time() - gone
            start = ada.chunks[sounds].start
            assert start > end
            # From the last sound that came to the first one after it: as long as the absence was.
            assert away - 1.9 <= (start - end) / SAMPLE_RATE + 0.3 and (start - end) / SAMPLE_RATE <= back + 0.3
            await until(lambda: len(ada.frames) > frames)
            assert ada.frames[-1].t_ns / 1e9 == pytest.approx(ada.chunks[-1].end / SAMPLE_RATE, abs=0.3)
            assert ada.glasses.peer is ada.peers[1] and ada.peers[0].closed


async def test_a_line_that_loses_everything_for_a_while_is_missed_and_found_again() -> None:
    async with wearer() as ada:
        network = ada.glasses.impairment = Impairment()
        async with Client() as client:
            await client.connect(ada.post)
            await until(lambda: len(ada.chunks) > 20)
            network.loss = 1.0
            await until(lambda: not ada.conditions[-1].present)
            sounds = len(ada.chunks)
            network.loss = 0.0
            await until(lambda: ada.conditions[-1].present and len(ada.chunks) > sounds + 20)
            assert len(ada.peers) == 1


async def test_a_microphone_that_is_off_is_no_loss() -> None:
    async with wearer() as ada, Client(video=False) as client:
        await client.connect(ada.post)
        await until(lambda: len(ada.chunks) > 5)
        client.send("microphone", state="off")
        await asyncio.sleep(0.1)
        client.voice.stop()  # no packet of sound comes any more
        await asyncio.sleep(2.5)
        assert ada.glasses.connected
        client.answers_pings = False
        await asyncio.sleep(1.0)
        assert ada.glasses.connected  # other packets still come


async def test_another_device_takes_over() -> None:
    async with wearer() as ada, Client(video=False) as phone:
        await phone.connect(ada.post)
        await until(lambda: len(ada.chunks) > 5)
        async with Client(video=False) as half_open:
            await ada.post(await half_open.offer())  # never comes through
            await asyncio.sleep(0.2)
            assert ada.glasses.peer is ada.peers[0] and ada.glasses.connected
        async with Client(video=False) as laptop:
            await laptop.connect(ada.post)
            await phone.expect("replaced")
            await until(lambda: ada.peers[0].closed and ada.glasses.peer is ada.peers[2])
            have = len(ada.chunks)
            laptop.say(tone(440, 0.5))
            await until(lambda: loud(ada.heard) > 20)
            assert len(ada.chunks) > have and ada.glasses.connected
            assert all(a.end <= b.start for a, b in zip(ada.chunks, ada.chunks[1:], strict=False))


async def test_who_stays_away_is_given_up() -> None:
    closed: list[WebRtcGlasses] = []
    async with wearer(keep=0.5) as ada:
        ada.glasses.on_closed = closed.append
        async with Client(video=False) as client:
            await client.connect(ada.post)
            await until(lambda: len(ada.chunks) > 5)
        # closed with a goodbye of DTLS: a page that is reloaded
        await until(lambda: not ada.glasses.connected)
        assert not ada.glasses.closed
        await until(lambda: len(ada.ended) == 4)
        assert all(isinstance(error, LinkError) for error in ada.ended)
        assert closed == [ada.glasses]
        async with Client(video=False) as late:
            await late.connect(ada.post)
            assert (await late.expect("bye"))["reason"] == "over"


async def test_a_sender_without_a_data_channel_is_heard_and_seen() -> None:
    async with wearer() as ada, Client(listens=False, channel=False) as client:
        await client.connect(ada.post)
        client.say(tone(440, 0.5))
        await until(lambda: loud(ada.heard) > 20 and ada.frames)
        for _ in range(10):
            ada.glasses.play(tone(1000, 0.02))
        assert ada.glasses.flush() == 0
        ada.glasses.snap()
        ada.glasses.privacy(True)
        ada.glasses.tell(StateChanged(t_ns=0, state="idle"))
        assert ada.glasses.counters()["unsent_events"] == 0
