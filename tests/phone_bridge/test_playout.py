"""The playout track: its times on a virtual clock, then over a real connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from edge.values import CHUNK_SAMPLES, Pcm
from phone_bridge.opus import Encoder
from phone_bridge.playout import MAX_QUEUED, STEP, STEP_S, PlayoutTrack

SOUND = (np.sin(np.arange(CHUNK_SAMPLES) * 0.3) * 8000).astype(np.int16)


class Listening(Encoder):
    """Keeps of each packet whether there was sound in it."""

    def __init__(self) -> None:
        super().__init__()
        self.sound: list[bool] = []

    def encode(self, pcm: Pcm) -> bytes:
        self.sound.append(bool(pcm.any()))
        return super().encode(pcm)


class Receiver:
    """Pulls packets as aiortc's sender does; keeps when each went out, its pts, and whether there was sound in it."""

    def __init__(self) -> None:
        encoder = Listening()
        self.track = PlayoutTrack(encoder)
        self.at: list[float] = []
        self.pts: list[int] = []
        self.sound = encoder.sound

    async def pull(self, count: int) -> None:
        for _ in range(count):
            packet = await self.track.recv()
            self.at.append(asyncio.get_running_loop().time())
            assert packet.pts is not None
            self.pts.append(packet.pts)

    async def run(self) -> None:
        try:
            await self.pull(1_000_000)
        except MediaStreamError:
            pass


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with asyncio.TaskGroup() as group:
        group.create_task(receiver.run())
        await asyncio.sleep(0)
        yield receiver
        receiver.track.stop()


async def speak(track: PlayoutTrack, count: int) -> None:
    """Plays as the speaker queue does: one chunk ahead of the loudspeaker."""
    track.play(SOUND)
    for _ in range(count - 1):
        track.play(SOUND)
        await asyncio.sleep(STEP_S)


async def test_silence_goes_out_every_20_ms(receiver: Receiver) -> None:
    start = receiver.at[0]
    await asyncio.sleep(2.0)
    assert receiver.pts == [n * STEP for n in range(len(receiver.pts))]
    assert 100 <= len(receiver.at) <= 101
    assert max(abs(at - start - n * STEP_S) for n, at in enumerate(receiver.at)) < 1e-6
    assert not any(receiver.sound)


@pytest.mark.parametrize("wait_ms", [0, 1, 7, 13, 19])
async def test_sound_goes_out_at_once_and_then_every_20_ms(receiver: Receiver, wait_ms: int) -> None:
    await asyncio.sleep(0.2 + wait_ms / 1000)
    begun, before = asyncio.get_running_loop().time(), len(receiver.at)
    await speak(receiver.track, 50)
    await asyncio.sleep(0.2)
    sent = receiver.at[before : before + 50]
    assert receiver.sound[before - 1 : before + 52] == [False, *[True] * 50, False, False]
    assert max(abs(at - begun - n * STEP_S) for n, at in enumerate(sent)) < 1e-6
    # The timestamps never stopped, and silence is back in the old beat.
    assert receiver.pts == [n * STEP for n in range(len(receiver.pts))]
    assert max(abs(at - receiver.at[0] - (n * STEP_S)) for n, at in enumerate(receiver.at) if not receiver.sound[n]) < 1e-6


async def test_many_replies_pile_up_no_lead(receiver: Receiver) -> None:
    for n in range(40):
        await speak(receiver.track, 3)
        await asyncio.sleep(0.1 + n * 0.0013)
    due = [receiver.at[0] + pts / 48_000 for pts in receiver.pts]
    assert all(-STEP_S - 1e-6 <= at - expected <= 1e-6 for at, expected in zip(receiver.at, due, strict=True))


async def test_chunks_that_come_late_are_sent_as_they_come(receiver: Receiver) -> None:
    await asyncio.sleep(0.105)
    loop, track = asyncio.get_running_loop(), receiver.track
    begun, before = loop.time(), len(receiver.at)
    for n in range(10):  # no chunk ahead, and every other one late
        await asyncio.sleep(begun + n * STEP_S + (0.008 if n % 2 else 0.0) - loop.time())
        track.play(SOUND)
    await asyncio.sleep(0.1)
    assert receiver.sound[before : before + 10] == [True] * 10
    late = [at - begun - n * STEP_S for n, at in enumerate(receiver.at[before : before + 10])]
    assert late == pytest.approx([0.008 if n % 2 else 0.0 for n in range(10)], abs=1e-6)


async def test_flush_drops_exactly_what_was_not_sent(receiver: Receiver) -> None:
    await asyncio.sleep(0.11)
    before = len(receiver.at)
    for _ in range(10):
        receiver.track.play(SOUND)
    await asyncio.sleep(0.05)
    assert sum(receiver.sound[before:]) == 3
    assert receiver.track.queued == 7 * CHUNK_SAMPLES
    assert receiver.track.flush() == 7 * CHUNK_SAMPLES
    assert receiver.track.queued == receiver.track.flush() == 0
    await asyncio.sleep(0.5)
    assert sum(receiver.sound[before:]) == 3


async def test_of_too_many_chunks_the_oldest_give_way(receiver: Receiver) -> None:
    for _ in range(MAX_QUEUED + 5):
        receiver.track.play(SOUND)
    assert receiver.track.queued == MAX_QUEUED * CHUNK_SAMPLES
    assert receiver.track.dropped == 5


async def test_on_sent_tells_every_packet(receiver: Receiver) -> None:
    told: list[tuple[int, float]] = []
    receiver.track.on_sent = lambda pts, at: told.append((pts, at))
    before = len(receiver.at)
    await asyncio.sleep(0.5)
    assert [pts for pts, _ in told] == receiver.pts[before:]
    assert [at for _, at in told] == receiver.at[before:]


async def test_the_end_wakes_who_waits(receiver: Receiver) -> None:
    receiver.track.stop()
    receiver.track.stop()
    receiver.track.play(SOUND)
    assert receiver.track.queued == 0
    with pytest.raises(MediaStreamError):
        await receiver.track.recv()


@pytest.mark.parametrize("wrong", [np.zeros(319, np.int16), np.zeros((1, 320), np.int16)])
async def test_chunks_of_another_size_are_refused(receiver: Receiver, wrong: Pcm) -> None:
    with pytest.raises(ValueError, match="320"):
        receiver.track.play(wrong)


@pytest.fixture
async def stalled() -> AsyncIterator[Receiver]:
    """Pulls only when told to, so that the loop seems to stand still in between."""
    receiver = Receiver()
    yield receiver
    receiver.track.stop()


async def test_after_a_stall_silence_is_skipped(stalled: Receiver) -> None:
    await stalled.pull(10)
    await asyncio.sleep(0.2)
    await stalled.pull(10)
    times, pts = stalled.at, stalled.pts
    assert pts[:10] == [n * STEP for n in range(10)]
    assert pts[10] == 19 * STEP and times[10] == pytest.approx(times[9] + 0.2)
    assert all(at - times[0] == pytest.approx(p / 48_000) for at, p in zip(times[10:], pts[10:], strict=True))


async def test_after_a_stall_no_sound_is_lost_and_none_comes_in_a_burst(stalled: Receiver) -> None:
    track = stalled.track
    await stalled.pull(5)
    for _ in range(3):
        track.play(SOUND)
    await stalled.pull(2)
    await asyncio.sleep(0.2)  # nobody pulls; the speaker queue makes up for it in one go
    for _ in range(10):
        track.play(SOUND)
    await stalled.pull(14)
    times, pts, sound = stalled.at, stalled.pts, stalled.sound
    assert sum(sound) == 13 and sound[5:18] == [True] * 13
    skipped = [(after - before) // STEP - 1 for before, after in zip(pts, pts[1:], strict=False)]
    assert max(skipped) >= 7 and skipped.count(0) == len(skipped) - 1
    gaps = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert min(gaps[5:]) > 0.009


async def test_a_short_delay_is_made_good_without_a_gap(stalled: Receiver) -> None:
    track = stalled.track
    for _ in range(20):
        track.play(SOUND)
    await stalled.pull(5)
    await asyncio.sleep(0.07)
    await stalled.pull(15)
    times, pts = stalled.at, stalled.pts
    assert pts == [n * STEP for n in range(20)]
    gaps = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert all(gap > 0.009 for gap in gaps)
    assert times[-1] - times[0] == pytest.approx(19 * STEP_S)
