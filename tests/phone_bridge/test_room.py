"""The way from the loudspeaker to the microphone."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from edge.values import CHUNK_SAMPLES, Pcm
from models.fakes import tone
from phone_bridge.room import Room
from phone_bridge.sim import SimGlasses

RESPONSE = np.random.default_rng(3).normal(0, 1, 4000) * np.exp(-np.arange(4000) / 700)


@pytest.mark.parametrize("step", [CHUNK_SAMPLES, 512, 77])
def test_chunk_by_chunk_it_is_the_same_convolution(step: int) -> None:
    sound = (np.random.default_rng(1).normal(0, 3000, step * 20)).astype(np.int16)
    room = Room(RESPONSE, gain_db=-6.0, delay=0.01, noise_db=-200.0)
    padded = np.concatenate([np.zeros(room.memory, np.int16), sound])
    chunks = [room.heard(padded[at : at + room.memory + step], at) for at in range(0, len(sound), step)]
    response = RESPONSE / np.sqrt(np.sum(RESPONSE**2)) * 10 ** (-6 / 20)
    whole = np.convolve(sound, np.concatenate([np.zeros(160), response]))[: len(sound)]
    assert np.allclose(np.concatenate(chunks), whole, atol=1e-6 * np.abs(whole).max())


async def test_the_microphone_hears_the_loudspeaker_and_the_wearer() -> None:
    glasses = SimGlasses(room=Room(np.array([1.0]), gain_db=-20.0))
    glasses.say(tone(0.2), at=1.0)
    heard: list[Pcm] = []

    async def listen() -> None:
        async for chunk in glasses.microphone():
            heard.append(chunk.pcm)

    task = asyncio.create_task(listen())
    await glasses.until(0.5)
    played = tone(0.02)
    for _ in range(10):
        glasses.play(played)
        await asyncio.sleep(0.02)
    await glasses.until(1.5)
    task.cancel()
    await asyncio.wait([task])
    sound = np.concatenate(heard).astype(np.float64)
    level = [float(np.abs(sound[round(at * 16000) : round((at + 0.15) * 16000)]).max()) for at in (0.1, 0.52, 1.02, 1.3)]
    assert level[0] < 10 and level[3] < 10
    assert level[1] == pytest.approx(0.1 * np.abs(played).max(), rel=0.05)
    assert level[2] == pytest.approx(np.abs(tone(0.2)).max(), rel=0.05)
