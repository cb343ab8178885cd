"""What is recorded can be read: after a session, after a full disk, and after a kill."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge import bundle
from edge.bundle import read_bundle
from edge.config import Config, RecordingConfig, parse
from edge.errors import StorageError, UsageError
from edge.events import Woke
from edge.runtime.recording import Recorder, _FlacFile
from edge.values import AudioChunk, VideoFrame
from tests.bundles import SECONDS, record, script, speech
from tests.pictures import load

NOISE = np.random.default_rng(5).integers(-9000, 9000, 320 * 500).astype(np.int16)
PICTURE = np.full((48, 64, 3), 90, np.uint8)


def feed(recorder: Recorder, chunks: int = 500) -> None:
    for k in range(chunks):
        recorder.sound(AudioChunk(NOISE[k * 320 : (k + 1) * 320], k * 320))
        recorder.event(Woke(t_ns=k, by="tap"))


async def test_a_bundle_holds_the_session(tmp_path: Path) -> None:
    made = read_bundle(record(tmp_path / "a" / "session"))
    assert list(made.events) == [json.loads(event.line()) for event in script()]
    assert parse(made.config) == Config()
    assert made.versions["engines"]["voice"] == "espeak-ng 1.52" and made.versions["packages"]["numpy"] == np.__version__
    assert made.measures["drops"] == {"camera": 3} and made.measures["recording_stopped"] == ""
    assert made.taps == ((12_000_000_000, "tap"),)
    microphone, rate = soundfile.read(made.microphone, dtype="int16")
    speaker, _ = soundfile.read(made.speaker, dtype="int16")
    assert rate == 16_000 and len(microphone) == len(speaker) == SECONDS * 16_000
    assert np.array_equal(microphone[19_200:48_000], speech(1.8, 3)) and not microphone[:19_200].any()
    reply = speech(2.4, 11)
    assert np.array_equal(speaker[51_776:][: len(reply)], reply) and not speaker[:51_776].any()
    assert load(made.frames[0].path).shape == (720, 960, 3)
    assert (made.path / "photos" / "0001.jpg").stat().st_size > 1000


async def test_what_plays_ahead_or_a_little_late_is_joined(tmp_path: Path) -> None:
    recorder = Recorder(RecordingConfig(folder=str(tmp_path / "s")))
    path = recorder.open(Config(), {})
    for value, start in enumerate((16_000, 16_000, 16_350, 17_100, 40_000), 1):
        recorder.played(np.full(320, value, np.int16), start)
    recorder.close({})
    speaker, _ = soundfile.read(path / "speaker.flac", dtype="int16")
    expected = np.zeros(40_320, np.int16)
    expected[16_000:17_280], expected[40_000:] = np.repeat([1, 2, 3, 4], 320), 5
    assert np.array_equal(speaker, expected)


async def test_sound_reads_at_any_moment(tmp_path: Path) -> None:
    flac = _FlacFile(tmp_path / "x.flac")
    for number in range(1, 200):
        flac.write(NOISE[(number - 1) * 320 : number * 320], (number - 1) * 320)
        if number * 320 > 4096:
            sound, _ = soundfile.read(tmp_path / "x.flac", dtype="int16")
            assert number * 320 - 4096 <= len(sound) and np.array_equal(sound, NOISE[: len(sound)])
    flac.close()


async def test_a_gap_in_the_microphone_is_silence(tmp_path: Path) -> None:
    recorder = Recorder(RecordingConfig(folder=str(tmp_path / "s")))
    path = recorder.open(Config(), {})
    recorder.sound(AudioChunk(NOISE[:320], 0))
    recorder.sound(AudioChunk(NOISE[:320], 50_000))
    recorder.close({})
    sound, _ = soundfile.read(path / "microphone.flac", dtype="int16")
    assert len(sound) == 50_320 and not sound[320:50_000].any() and np.array_equal(sound[50_000:], NOISE[:320])


async def test_folders_that_hold_something_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    names = []
    for _ in range(3):
        recorder = Recorder(RecordingConfig(folder=str(folder)))
        names.append(recorder.open(Config(), {}).name)
        recorder.close({})
    assert names == ["session", "session-2", "session-3"]
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="holds other files"):
        Recorder(RecordingConfig(folder=str(tmp_path / "home"))).open(Config(), {})
    with pytest.raises(StorageError, match="cannot be written"):
        Recorder(RecordingConfig(folder=str(tmp_path / "home" / "letter.txt" / "x"))).open(Config(), {})
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("what", ["max_mb", "disk"])
async def test_it_stops_once_and_the_session_goes_on(tmp_path: Path, what: str) -> None:
    said: list[StorageError] = []
    limit = 0.05 if what == "max_mb" else 500.0
    recorder = Recorder(RecordingConfig(folder=str(tmp_path / "s"), max_mb=limit), said.append)
    if what == "disk":  # A tap finds the disk full: its file becomes a device that always is.
        path = recorder.open(Config(), {})
        feed(recorder)
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, descriptor(path / bundle.TAPS))
        os.close(full)
        recorder.tap("tap", 5)
    else:
        path = recorder.open(Config(), {})
        feed(recorder)
    while not said:
        await asyncio.to_thread(time.sleep, 0.01)
    assert not recorder.recording
    feed(recorder)
    assert recorder.photo(VideoFrame(PICTURE, 0)) == ""
    recorder.close({"turns": 1})
    await asyncio.sleep(0.01)
    assert len(said) == 1 and ("max_mb" in said[0].text if what == "max_mb" else "No space left" in said[0].text)
    made = read_bundle(path)
    assert made.measures["recording_stopped"] == said[0].text
    size = sum(file.stat().st_size for file in path.rglob("*.*") if file.suffix in (".flac", ".jsonl"))
    assert size < 400_000
    sound, _ = soundfile.read(path / "microphone.flac", dtype="int16")
    assert len(sound) > 4096 and np.array_equal(sound, NOISE[: len(sound)])


def descriptor(path: Path) -> int:
    """Finds the recorder's own descriptor of a file."""
    for entry in Path("/proc/self/fd").iterdir():
        if entry.exists() and entry.resolve() == path.resolve():
            return int(entry.name)
    raise AssertionError(f"{path} is not open")


@pytest.mark.real_time
async def test_a_slow_disk_never_holds_the_loop(tmp_path: Path) -> None:
    recorder = Recorder(RecordingConfig(folder=str(tmp_path / "s"), frames_per_second=30))
    path = recorder.open(Config(), {})
    os.mkfifo(path / "frames" / "000000.jpg")  # Opening it for writing waits until somebody reads.
    recorder.frame(VideoFrame(PICTURE, 0, 0))
    began = time.perf_counter()
    feed(recorder, 500)
    feed(recorder, 500)
    for index in range(1, 60):
        recorder.frame(VideoFrame(PICTURE, index * 40_000_000, index))
    assert time.perf_counter() - began < 1.0
    assert recorder.dropped["frames"] > 40 and recorder.dropped["microphone"] > 100
    assert recorder.dropped["events"] > 0, "2000 items found a queue of 1024"
    closing = threading.Thread(target=recorder.close, args=({},))
    closing.start()
    assert await asyncio.to_thread((path / "frames" / "000000.jpg").read_bytes)
    closing.join()
    made = read_bundle(path)
    assert made.measures["recording_dropped"]["frames"] == recorder.dropped["frames"]
    assert len(made.events) == 1000 - recorder.dropped["events"]


WRITER = """
import asyncio, sys
from pathlib import Path
import numpy as np
from edge.config import Config, RecordingConfig
from edge.events import Woke
from edge.runtime.recording import Recorder
from edge.values import AudioChunk, VideoFrame

async def main():
    noise = np.random.default_rng(5).integers(-9000, 9000, 320 * 500).astype(np.int16)
    picture = np.random.default_rng(6).integers(0, 255, (240, 320, 3)).astype(np.uint8)
    recorder = Recorder(RecordingConfig(folder=sys.argv[1], frames_per_second=30))
    recorder.open(Config(), {})
    for k in range(100_000):
        chunk = noise[k % 500 * 320 :][:320]
        recorder.sound(AudioChunk(chunk, k * 320))
        recorder.played(chunk, k * 320)
        recorder.event(Woke(t_ns=k, by="x" * (k % 9000)))
        recorder.frame(VideoFrame(picture, k * 20_000_000, k))
        if k == 100:
            print("ready", flush=True)
        await asyncio.sleep(0.001)

asyncio.run(main())
"""


@pytest.mark.parametrize(("number", "delay"), [(signal.SIGKILL, 0.05), (signal.SIGKILL, 0.31), (signal.SIGINT, 0.17)])
def test_a_killed_process_leaves_a_bundle_that_reads(tmp_path: Path, number: int, delay: float) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "s")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        while min(size(tmp_path / "s" / name) for name in (bundle.MICROPHONE, bundle.SPEAKER)) < 60_000:
            time.sleep(0.01)
        time.sleep(delay)
        process.send_signal(number)
    made = read_bundle(tmp_path / "s")
    assert len(made.events) > 50
    assert [event["by"] for event in made.events] == ["x" * (k % 9000) for k in range(len(made.events))]
    for path in (made.microphone, made.speaker):
        sound, _ = soundfile.read(path, dtype="int16")
        assert len(sound) >= 16_000 and np.array_equal(sound, np.resize(NOISE, len(sound)))
    assert made.frames and all(load(frame.path).shape == (240, 320, 3) for frame in made.frames)


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

async def main():
    noise = np.random.default_rng(5).integers(-9000, 9000, 320 * 500).astype(np.int16)
    recorder = Recorder(RecordingConfig(folder=sys.argv[1]), lambda error: print(error.text, flush=True))
    recorder.open(Config(), {})
    for k in range(500):
        recorder.sound(AudioChunk(noise[k * 320 :][:320], k * 320))
        await asyncio.sleep(0.0001)
    recorder.close({})
    await asyncio.sleep(0.01)

asyncio.run(main())
"""


def test_sound_that_cannot_be_written_ends_the_recording(tmp_path: Path) -> None:
    imports = WRITER.partition("async def main")[0]
    done = subprocess.run([sys.executable, "-c", imports + LIMITED, str(tmp_path / "s")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("recording stopped") == 1 and "microphone.flac could not be written" in done.stdout
    assert "recording stopped" in read_bundle(tmp_path / "s").measures["recording_stopped"]
    sound, _ = soundfile.read(tmp_path / "s" / "microphone.flac", dtype="int16")
    assert len(sound) > 40_000 and np.array_equal(sound, NOISE[: len(sound)])
