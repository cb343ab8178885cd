"""Files as glasses, in virtual time: deadlines, the tail, pictures, and a reply that lies where it was played."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from edge.errors import InputError, LinkError, NotAudio, NotPicture, StorageError
from edge.ports import Link
from edge.values import AudioChunk, Pcm, VideoFrame
from phone_bridge.file import FileLink

NOISE = np.random.default_rng(3).integers(-9000, 9000, 16_000).astype(np.int16)


@pytest.fixture
def question(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "question.wav", NOISE, 16_000, subtype="PCM_16")
    return tmp_path / "question.wav"


@pytest.fixture
def sign(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "sign.png"), np.full((20, 30, 3), 80, np.uint8))
    return tmp_path / "sign.png"


async def listen(link: FileLink) -> list[tuple[float, AudioChunk]]:
    loop = asyncio.get_running_loop()
    return [(loop.time() - (link.t0 or 0.0), chunk) async for chunk in link.microphone()]


async def watch(link: FileLink, number: int) -> list[VideoFrame]:
    frames: list[VideoFrame] = []
    async for frame in link.camera():
        frames.append(frame)
        if len(frames) == number:
            break
    return frames


def pcm(value: int, number: int = 320) -> Pcm:
    return np.full(number, value, np.int16)


async def test_chunks_come_when_their_last_sample_was_captured(question: Path) -> None:
    link = FileLink(question, tail=0.5)
    assert isinstance(link, Link)
    await link.open()
    heard = await listen(link)
    await link.close()
    assert [chunk.start for _, chunk in heard] == [k * 320 for k in range(75)]
    assert all(abs(when - (k + 1) * 0.02) < 1e-6 for k, (when, _) in enumerate(heard))
    sound = np.concatenate([chunk.pcm for _, chunk in heard])
    assert np.array_equal(sound[:16_000], NOISE) and not sound[16_000:].any()
    assert link.finished and link.content_s == 1.0


async def test_a_late_reader_catches_up_and_nothing_drifts(question: Path) -> None:
    link = FileLink(question, tail=0.2)
    await link.open()
    loop, times = asyncio.get_running_loop(), []
    async for chunk in link.microphone():
        assert link.t0 is not None
        times.append(loop.time() - link.t0)
        if chunk.start == 3200:
            assert not link.finished
            await asyncio.sleep(0.21)
    await link.close()
    assert times[10:22] == pytest.approx([0.22, *[0.43] * 10, 0.44])
    assert times[-1] == pytest.approx(1.2)


@pytest.mark.real_time
async def test_the_pace_is_real_on_a_real_loop(question: Path, sign: Path) -> None:
    link = FileLink(question, sign, tail=0.2)
    await link.open()
    heard = await listen(link)
    await link.close()
    late = [when - (k + 1) * 0.02 for k, (when, _) in enumerate(heard)]
    assert min(late) > -0.001 and np.median(late) < 0.01


async def test_the_reply_lies_where_it_was_played(question: Path, tmp_path: Path) -> None:
    link = FileLink(question, None, tmp_path / "out" / "reply.wav", mix=tmp_path / "mix.wav", tail=1.0)
    await link.open()

    async def speak() -> None:
        await asyncio.sleep(0.25)
        link.play(pcm(100))  # a chunk ahead, as the speaker queue keeps it
        for value in (101, 102):
            link.play(pcm(value))
            await asyncio.sleep(0.023)  # a timer that wakes late leaves no gap
        await asyncio.sleep(1.0)
        for _ in range(10):
            link.play(pcm(7))
        await asyncio.sleep(0.05)
        assert link.flush() == 3200 - 800
        assert link.flush() == 0

    async with asyncio.TaskGroup() as group:
        group.create_task(speak())
        await listen(link)
    await link.close()
    reply, rate = soundfile.read(tmp_path / "out" / "reply.wav", dtype="int16")
    expected = np.zeros(32_000, np.int16)
    expected[4000:4960] = np.repeat([100, 101, 102], 320)
    expected[round(1.296 * 16_000) :][:800] = 7
    assert rate == 16_000 and np.array_equal(reply, expected)
    mix, _ = soundfile.read(tmp_path / "mix.wav", dtype="int16")
    assert np.array_equal(mix[:16_000, 0], NOISE) and np.array_equal(mix[:, 1], expected)


async def test_what_was_played_last_is_kept(tmp_path: Path) -> None:
    link = FileLink(None, None, tmp_path / "reply.wav", tail=0.1)
    await link.open()
    await listen(link)
    link.play(pcm(5, 1600))
    await link.close()
    reply, _ = soundfile.read(tmp_path / "reply.wav", dtype="int16")
    assert len(reply) == 3200 and not reply[:1600].any() and (reply[1600:] == 5).all()


async def test_a_reply_reads_before_it_is_closed(tmp_path: Path) -> None:
    link = FileLink(None, None, tmp_path / "reply.wav", tail=2.0)
    await link.open()
    link.play(pcm(9))
    await listen(link)
    reply, _ = soundfile.read(tmp_path / "reply.wav", dtype="int16")
    assert len(reply) >= 16_000 and (reply[:320] == 9).all()
    await link.close()


async def test_a_still_is_served_as_the_same_pixels(question: Path, sign: Path) -> None:
    link = FileLink(question, sign, tail=0.1)
    await link.open()
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch(link, 99))
        await listen(link)
    await link.close()
    frames = watching.result()
    assert [frame.t_ns for frame in frames] == [k * 200_000_000 for k in range(6)], "the camera ends with the microphone"
    assert [frame.index for frame in frames] == list(range(6))
    assert all(frame.pixels is frames[0].pixels for frame in frames)


async def test_a_video_keeps_its_times_and_holds_its_last_frame(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "x.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for level in (0, 120, 240):
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    link = FileLink(None, tmp_path / "x.mp4")
    await link.open()
    frames = await watch(link, 5)
    await link.close()
    assert [frame.t_ns // 1_000_000 for frame in frames] == [0, 100, 200, 400, 600]
    assert [round(frame.pixels.mean() / 120) for frame in frames] == [0, 1, 2, 2, 2]


async def test_privacy_silences_the_microphone_and_darkens_the_camera(question: Path, sign: Path) -> None:
    link = FileLink(question, sign, tail=0.1)
    await link.open()
    heard: list[AudioChunk] = []
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch(link, 99))
        async for chunk in link.microphone():
            heard.append(chunk)
            if chunk.end in (3200, 9600):
                link.privacy(chunk.end == 3200)
    await link.close()
    sound = np.concatenate([chunk.pcm for chunk in heard])
    assert np.array_equal(sound[:3200], NOISE[:3200]) and np.array_equal(sound[9600:16_000], NOISE[9600:])
    assert not sound[3200:9600].any()
    assert {frame.t_ns // 1_000_000 for frame in watching.result()}.isdisjoint({400})


async def test_faults_show_before_anything_starts(question: Path, sign: Path, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a folder should be")
    cases: list[tuple[FileLink, type[Exception]]] = [
        (FileLink(tmp_path / "none.wav"), InputError),
        (FileLink(sign), NotAudio),
        (FileLink(question, question), NotPicture),
        (FileLink(question, None, tmp_path / "blocked" / "reply.wav"), StorageError),
    ]
    for link, error in cases:
        with pytest.raises(error):
            await link.open()
        await link.close()
    with pytest.raises(LinkError):
        FileLink(question).play(pcm(0))


async def test_a_full_disk_is_told_at_the_end() -> None:
    link = FileLink(None, None, Path("/dev/full"), tail=2.0)
    await link.open()
    assert len(await listen(link)) == 100
    with pytest.raises(StorageError, match="/dev/full"):
        await link.close()
    await link.close()
