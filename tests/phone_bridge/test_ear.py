"""Sound and pictures in one media time: across drift, pauses and reconnections. In virtual time."""

from __future__ import annotations

import asyncio
import random
import time

import numpy as np
import pytest

from edge.clock import MediaClock
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Pcm
from phone_bridge.ear import Ear


class Phone:
    """Sends a packet every 20 ms of its own crystal, which may be fast, and can be stopped."""

    def __init__(self, ear: Ear, *, ppm: float = 0.0, delay: float = 0.01, jitter: float = 0.0) -> None:
        self.sequence, self.timestamp = 65_500, 2**32 - 4800  # both come round soon
        self._ear = ear
        self._step = 0.02 / (1 + ppm * 1e-6)
        self._delay, self._jitter = delay, jitter
        self._chance = random.Random(3)
        self._due = asyncio.get_running_loop().time()

    async def send(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = self._due + seconds
        arrival = 0.0
        while self._due < end:
            self._due += self._step
            arrival = max(arrival, self._due + self._delay + self._chance.random() * self._jitter)
            await asyncio.sleep(arrival - loop.time())
            self._ear.packet(self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF, b"packet")
            self.sequence += 1
            self.timestamp += 960

    def rest(self, seconds: float, *, counts: bool) -> None:
        """The microphone is off; ``counts`` says whether its timestamps run on."""
        self._due += seconds
        self.timestamp += round(seconds * 48_000) if counts else 0


class Quiet:
    """A decoder that decodes nothing: half an hour of it takes a second."""

    def decode(self, packet: bytes) -> Pcm:
        return np.zeros(CHUNK_SAMPLES, np.int16)

    def conceal(self, samples: int) -> Pcm:
        return np.zeros(samples, np.int16)

    def recover(self, next_packet: bytes, samples: int) -> Pcm:
        return np.zeros(samples, np.int16)

    def redundant(self, packet: bytes) -> bool:
        return False


def start() -> tuple[Ear, MediaClock, list[AudioChunk]]:
    chunks: list[AudioChunk] = []
    clock = MediaClock(asyncio.get_running_loop().time())
    return Ear(Quiet(), clock, chunks.append), clock, chunks


def in_order(chunks: list[AudioChunk]) -> bool:
    return all(before.end <= after.start for before, after in zip(chunks, chunks[1:], strict=False))


@pytest.mark.parametrize(("ppm", "minutes"), [(100.0, 30), (-100.0, 10)])
async def test_half_an_hour_without_drift(ppm: float, minutes: int) -> None:
    ear, clock, chunks = start()
    loop = asyncio.get_running_loop()
    phone = Phone(ear, ppm=ppm, jitter=0.02)
    errors = []
    for _ in range(2 * minutes):
        await phone.send(30.0)
        # A picture taken now, and the sound captured now, which is what has come plus its way here.
        picture = clock.media_ns(loop.time()) / 1e9
        sound = chunks[-1].end / SAMPLE_RATE + (loop.time() - phone._due)
        errors.append(abs(picture - sound))
    ear.pause()
    assert loop.time() > 60 * minutes - 5 and len(chunks) > 2_990 * minutes and in_order(chunks)
    assert max(errors) < 0.040


async def test_media_time_jumps_by_the_gap() -> None:
    ear, clock, chunks = start()
    loop = asyncio.get_running_loop()
    await Phone(ear).send(2.0)
    ear.pause()
    before, left = chunks[-1].end, loop.time()
    await asyncio.sleep(7.5)
    phone = Phone(ear)
    phone.sequence, phone.timestamp = 9, 77  # another connection
    await phone.send(1.0)
    ear.pause()
    gap = next(chunk.start for chunk in chunks if chunk.start >= before) - before
    assert gap / SAMPLE_RATE == pytest.approx(7.5, abs=0.03)
    assert clock.media_ns(loop.time()) / 1e9 == pytest.approx(2 + 7.5 + 1, abs=0.1)
    assert left == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("counts", [True, False])
async def test_a_microphone_that_was_off_comes_back_in_step(counts: bool) -> None:
    ear, clock, chunks = start()
    loop = asyncio.get_running_loop()
    phone = Phone(ear)
    await phone.send(2.0)
    phone.rest(20.0, counts=counts)
    await phone.send(6.0)
    ear.pause()
    assert in_order(chunks)
    assert chunks[-1].end / SAMPLE_RATE == pytest.approx(loop.time(), abs=0.05)
    assert clock.media_ns(loop.time()) / 1e9 == pytest.approx(loop.time(), abs=0.05)


async def test_nothing_is_given_while_it_pauses() -> None:
    ear, _, chunks = start()
    await Phone(ear).send(0.5)
    ear.pause()
    count = len(chunks)
    await asyncio.sleep(3.0)
    assert len(chunks) == count


@pytest.mark.real_time
@pytest.mark.parametrize("packets_between", [0.0, 0.004])
async def test_a_process_that_stood_still_finds_what_was_said_in_the_socket(packets_between: float) -> None:
    loop = asyncio.get_running_loop()
    chunks: list[AudioChunk] = []
    ear = Ear(Quiet(), MediaClock(loop.time()), chunks.append)
    for number in range(10):
        ear.packet(number, number * 960, b"packet")
        await asyncio.sleep(0.02)
    time.sleep(1.3)  # noqa: ASYNC251 - the loop stands still, as under a process that takes every core
    for number in range(10, 75):
        ear.packet(number, number * 960, b"packet")
        await asyncio.sleep(packets_between / 20)
    ear.pause()
    assert ear.counters()["concealed"] == ear.counters()["late"] == 0
    assert [chunk.start for chunk in chunks] == [number * CHUNK_SAMPLES for number in range(75)]
