"""A bundle lives through its session again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from edge.errors import InputError
from edge.values import VideoFrame
from phone_bridge.bundle import BundleLink, read_bundle
from phone_bridge.media import read_audio
from tests.bundles import SECONDS, record


async def test_it_replays_sound_pictures_and_taps_at_their_times(tmp_path: Path) -> None:
    path = record(tmp_path / "session")
    link = BundleLink(path, out=tmp_path / "reply.wav")
    await link.open()
    loop = asyncio.get_running_loop()
    frames: list[tuple[float, VideoFrame]] = []
    taps: list[tuple[float, str]] = []

    def now() -> float:
        return loop.time() - (link.t0 or 0.0)

    async def look() -> None:
        async for frame in link.camera():
            frames.append((now(), frame))

    async def touch() -> None:
        async for name in link.taps():
            taps.append((now(), name))

    async with asyncio.TaskGroup() as group:
        group.create_task(look())
        group.create_task(touch())
        sound = [chunk async for chunk in link.microphone()]
    await link.close()
    assert now() == pytest.approx(SECONDS)
    assert np.array_equal(np.concatenate([chunk.pcm for chunk in sound]), read_audio(path / "microphone.flac"))
    recorded = read_bundle(path).frames
    assert len(recorded) == 34, "5 a second came, at most 2 are kept"
    assert [(frame.index, frame.t_ns) for _, frame in frames] == [(frame.index, frame.t_ns) for frame in recorded]
    assert all(when == pytest.approx(frame.t_ns / 1e9) for when, frame in frames)
    [(when, name)] = taps
    assert when == pytest.approx(12.0) and name == "tap"


async def test_broken_bundles_say_what_is_broken(tmp_path: Path) -> None:
    path = record(tmp_path / "session")

    async def says(part: str) -> None:
        with pytest.raises(InputError, match=part) as caught:
            link = BundleLink(path)
            try:
                await link.open()
            finally:
                await link.close()
        assert "\n" not in caught.value.text

    for name, text, part in (
        ("session.jsonl", '{"event": "wake"}\nnoise\n{"event": "end"}\n', "line 2: not JSON"),
        ("session.jsonl", "[1]\n", "line 1: not a JSON object"),
        ("frames.jsonl", '{"index": 1}\n', "lacks a key"),
        ("frames.jsonl", '{"index": 1, "t_ns": 2, "file": "../../x.jpg"}\n', "outside the bundle"),
        ("frames.jsonl", '{"index": 1, "t_ns": 2, "file": "frames/none.jpg"}\n', r"none\.jpg: there is no such file"),
        ("taps.jsonl", '{"t_ns": "soon", "name": "tap"}\n', "lacks a key"),
        ("config.toml", "a = [", r"config\.toml"),
        ("microphone.flac", "no sound at all", r"microphone\.flac: "),
    ):
        before = (path / name).read_bytes()
        (path / name).write_text(text)
        await says(part)
        (path / name).write_bytes(before)
    (path / "microphone.flac").unlink()
    await says(r"no microphone\.flac")
    (path / "session.jsonl").unlink()
    await says(r"no session\.jsonl")


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "session.jsonl").write_text(json.dumps({"event": "wake", "t_ms": 1}) + '\n{"event": "fin')
    bundle = read_bundle(tmp_path)
    assert [event["event"] for event in bundle.events] == ["wake"]
    assert bundle.frames == () and bundle.taps == () and bundle.config == {} and bundle.measures == {}
