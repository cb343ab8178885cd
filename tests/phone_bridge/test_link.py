"""A URI names a link, or says what is wrong with it."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from edge.errors import InputError, UsageError
from edge.values import AudioChunk
from phone_bridge.bundle import BundleLink
from phone_bridge.file import FileLink
from phone_bridge.link import open_link
from phone_bridge.server import WebRtcStation
from phone_bridge.sim import Network, SimGlasses


def test_a_network_is_named_in_the_uri() -> None:
    glasses = open_link("sim:?loss=0.02&delay=0.05&seed=7")
    assert isinstance(glasses, SimGlasses) and glasses.network == Network(loss=0.02, delay=0.05, seed=7)
    assert isinstance(open_link("sim:"), SimGlasses)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("webrtc:", "write webrtc://HOST:PORT"),
        ("webrtc://0.0.0.0:many", "Port could not be cast"),
        ("webrtc://0.0.0.0:70000", "Port out of range"),
        ("webrtc://0.0.0.0:1/page", "names no place"),
        ("webrtc://me:secret@0.0.0.0:1", "names no place"),
        ("webrtc://[::1:1", "Invalid IPv6"),
        ("ble:sim", "need the checkout"),
        ("ble:nowhere", "'nowhere' is no Bluetooth address"),
        ("ble:?nme=Omi", "did you mean"),
        ("xiaozhi:8000", "names no place"),
        ("xiaozhi://x/ota", "names no place"),
        ("fiel:x.wav", "did you mean 'file'"),
        ("question.wav", "write file:PATH"),
        ("file:", "names no file"),
        ("sim:?los=1", "did you mean 'loss'"),
        ("sim:?loss=much", "could not convert"),
        ("sim:?loss=2", "not a network"),
    ],
)
def test_what_names_no_link(uri: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        open_link(uri)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("uri", "host", "port", "secure"),
    [
        ("webrtc://0.0.0.0:9000", "0.0.0.0", 9000, True),
        ("webrtc://192.0.2.7", "192.0.2.7", 8443, True),
        ("webrtc://[2001:db8::7]", "2001:db8::7", 8443, True),
        ("webrtc://[::]:9000", "::", 9000, True),
        ("webrtc://glasses.example", "glasses.example", 8443, True),
        ("webrtc://127.0.0.1", "127.0.0.1", 8080, False),
        ("webrtc://localhost", "localhost", 8080, False),
        ("webrtc://[::1]:0", "::1", 0, False),
    ],
)
def test_a_station_is_served_with_tls_unless_it_is_for_this_machine_alone(uri: str, host: str, port: int, secure: bool) -> None:
    station = open_link(uri)
    assert isinstance(station, WebRtcStation)
    assert (station.host, station.port, station.secure) == (host, port, secure)


def make_files(folder: Path) -> None:
    soundfile.write(folder / "x.wav", np.zeros(320), 16_000)
    cv2.imwrite(str(folder / "x.png"), np.zeros((9, 9, 3), np.uint8))
    for name, sources in (("mute.mp4", ["testsrc=d=0.2"]), ("loud.mp4", ["testsrc=d=0.2", "sine=d=0.2"])):
        inputs = [part for source in sources for part in ("-f", "lavfi", "-i", source)]
        subprocess.run(["ffmpeg", "-v", "error", *inputs, str(folder / name)], check=True)


async def first_sound(link: FileLink) -> AudioChunk:
    return await anext(aiter(link.microphone()))


async def test_files_of_every_kind(tmp_path: Path) -> None:
    make_files(tmp_path)
    for name, seconds, pictures in (("x.wav", 0.02, 0), ("x.png", 0, 2), ("mute.mp4", 0, 2), ("loud.mp4", 0.2, 2)):
        link = open_link(f"file:{tmp_path / name}", tail=0.3)
        assert isinstance(link, FileLink)
        await link.open()
        frames = 0
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(first_sound(link))
            async for _ in link.camera():
                frames += 1
                if frames == 2:
                    break
            await listening
            async for _ in link.microphone():
                pass
        await link.close()
        assert link.content_s == pytest.approx(seconds, abs=0.06) and frames == pictures, name


async def test_a_folder_is_a_bundle_and_a_missing_file_is_told_at_open(tmp_path: Path) -> None:
    assert isinstance(open_link(f"file:{tmp_path}"), BundleLink)
    for uri in (f"file:{tmp_path}", f"file:{tmp_path / 'none.wav'}"):
        with pytest.raises(InputError):
            await open_link(uri).open()
