"""The simulated glasses play their score to the sample and lose what their seed says."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from edge.errors import LinkError
from edge.ports import Aside, Link
from edge.values import AudioChunk, Pcm, VideoFrame
from phone_bridge.sim import Network, SimAside, SimGlasses

HELLO = np.arange(1, 1001, dtype=np.int16)


async def record(glasses: SimGlasses) -> tuple[list[float], list[AudioChunk]]:
    times, chunks = [], []
    async for chunk in glasses.microphone():
        times.append(glasses.now())
        chunks.append(chunk)
    return times, chunks


def joined(chunks: list[AudioChunk]) -> Pcm:
    return np.concatenate([chunk.pcm for chunk in chunks])


async def test_what_is_said_is_heard_at_its_sample() -> None:
    glasses = SimGlasses()
    assert isinstance(glasses, Link)
    end = glasses.say(HELLO, at=0.1001)
    assert end == (1602 + 1000) / 16_000
    glasses.say(np.full(1000, 32_767, np.int16), at=0.1001 + 500 / 16_000)
    glasses.end(at=1.0)
    await glasses.open()
    times, chunks = await record(glasses)
    await glasses.close()
    sound = joined(chunks)
    assert len(sound) == 16_000 and times == pytest.approx([(k + 1) * 0.02 for k in range(50)])
    assert np.array_equal(sound[1602:2102], HELLO[:500]) and (sound[2102:3102] == 32_767).all(), "added, and clipped"
    assert not sound[:1602].any() and not sound[3102:].any()


async def test_the_score_can_be_written_while_it_plays() -> None:
    glasses = SimGlasses()
    glasses.end(at=2.0)

    async def act() -> None:
        await glasses.until(1.01)
        assert glasses.say(HELLO) == 1.0 + 1000 / 16_000
        with pytest.raises(ValueError, match="is past"):
            glasses.say(HELLO, at=0.5)

    async with asyncio.TaskGroup() as group:
        recording = group.create_task(record(glasses))
        group.create_task(act())
    assert np.array_equal(joined(recording.result()[1])[16_000:17_000], HELLO)


async def test_a_network_loses_and_delays_by_its_seed() -> None:
    async def run(network: Network) -> tuple[SimGlasses, list[float], Pcm]:
        glasses = SimGlasses(network)
        glasses.say(np.full(32_000, 5, np.int16), at=0)
        glasses.end(at=2.0)
        times, chunks = await record(glasses)
        return glasses, times, joined(chunks)

    network = Network(loss=0.1, delay=0.05, jitter=0.03, seed=4)
    (one, times, sound), (_, again_times, again) = await run(network), await run(network)
    _, _, other = await run(Network(loss=0.1, delay=0.05, jitter=0.03, seed=5))
    assert np.array_equal(sound, again) and times == pytest.approx(again_times, abs=1e-6)
    assert not np.array_equal(sound, other)
    assert len(sound) == 32_000, "a lost chunk is silence: media time goes on"
    assert one.lost_chunks == np.count_nonzero(sound == 0) // 320 and 2 <= one.lost_chunks <= 20
    late = np.array(times) - 0.02 * np.arange(1, 101)
    assert 0.05 <= late.min() + 1e-9 and 0.07 < late.max() <= 0.08 and np.all(np.diff(times) >= -1e-9)


async def test_the_camera_shows_the_score() -> None:
    glasses = SimGlasses(fps=10)
    first, second = np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)
    glasses.see(first, at=0.25)
    glasses.see(None, at=0.5)
    glasses.see(second, at=0.8)
    glasses.end(at=1.0)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch(glasses))
        await record(glasses)
    frames = watching.result()
    assert [(frame.t_ns // 1_000_000, frame.pixels is second) for frame in frames] == [
        (300, False),
        (400, False),
        (800, True),
        (900, True),
    ]
    assert frames[0].pixels is first and [frame.index for frame in frames] == [0, 1, 2, 3]


async def watch(glasses: SimGlasses) -> list[VideoFrame]:
    return [frame async for frame in glasses.camera()]


async def test_taps_come_in_time_and_end_with_the_microphone() -> None:
    glasses = SimGlasses(Network(delay=0.1))
    glasses.tap(at=0.5, name="hold")
    glasses.tap(at=0.2)
    glasses.end(at=1.0)

    async def touch() -> list[tuple[float, str]]:
        return [(round(glasses.now(), 6), name) async for name in glasses.taps()]

    async with asyncio.TaskGroup() as group:
        touching = group.create_task(touch())
        await record(glasses)
    assert touching.result() == [(0.3, "tap"), (0.6, "hold")]


async def test_the_ear_hears_the_reply_and_the_cut() -> None:
    glasses = SimGlasses(Network(delay=0.1))
    glasses.end(at=5.0)

    async def reply() -> None:
        await glasses.until(1.0)
        for _ in range(5):
            glasses.play(np.full(320, 3, np.int16))
        await glasses.until(1.05)
        assert glasses.flush() == 800
        await glasses.until(2.0)
        glasses.play(np.full(320, 4, np.int16))

    async with asyncio.TaskGroup() as group:
        group.create_task(record(glasses))
        group.create_task(reply())
        run = await glasses.replied(quiet=0.4)
        assert run.start == 17_600 and len(run.pcm) == 800 and glasses.now() == pytest.approx(1.55, abs=0.03)
        assert (await glasses.replied()).start == round(2.1 * 16_000)
        with pytest.raises(TimeoutError):
            await glasses.replied(patience=1.0)
    assert len(glasses.heard) == round(2.12 * 16_000) and np.count_nonzero(glasses.heard) == 800 + 320


async def test_glasses_that_go_away_say_so_on_every_stream() -> None:
    glasses = SimGlasses()
    glasses.see(np.zeros((2, 2, 3), np.uint8), at=0)
    glasses.disconnect(at=0.5)

    async def touch() -> None:
        async for _ in glasses.taps():
            pass

    results = await asyncio.gather(record(glasses), watch(glasses), touch(), return_exceptions=True)
    assert [type(result) for result in results] == [LinkError] * 3 and glasses.now() <= 0.6
    glasses.play(HELLO)
    assert not len(glasses.heard)


async def test_privacy_and_a_bounded_memory() -> None:
    glasses = SimGlasses(memory=1.0)
    glasses.say(np.full(32_000, 5, np.int16), at=0)
    glasses.end(at=2.0)
    sound = []
    async for chunk in glasses.microphone():
        glasses.play(chunk.pcm)
        sound.append(chunk)
        glasses.privacy(chunk.end >= 16_000)
    assert np.count_nonzero(joined(sound)) == 16_000
    assert sum(len(run.pcm) for run in glasses.heard_runs) <= 16_000 + 320 and len(glasses.heard) == 320 + 32_000


async def test_a_loudspeaker_beside_them_has_its_own_sound() -> None:
    assert SimGlasses().aside is None
    glasses = SimGlasses(Network(delay=0.1), aside=True)
    aside: Aside | None = glasses.aside
    assert isinstance(aside, SimAside) and aside.present and aside.sink_delay_s == 0.1
    glasses.end(at=1.0)
    async for chunk in glasses.microphone():
        if chunk.start == 0:
            aside.play(HELLO)
            glasses.play(HELLO)
        if chunk.end == 8000:
            aside.play(HELLO)
            assert aside.flush() == len(HELLO), "it is still on its way"
            aside.present = False
            aside.play(HELLO)
    assert [len(run.pcm) for run in aside.heard_runs] == [len(HELLO)] == [len(run.pcm) for run in glasses.heard_runs]
    start = aside.heard_runs[0].start
    assert np.array_equal(aside.heard[start : start + len(HELLO)], HELLO)


@pytest.mark.parametrize("wrong", [{"loss": 1.5}, {"delay": -1}, {"jitter": -0.1}])
def test_a_network_is_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="not a network"):
        Network(**wrong)  # type: ignore[arg-type]
