"""One Chromium for all: its microphone and its camera are files, which may be changed between two pages.

A browser takes a quarter of a second to come and as long to go, so that it is shared; every page has a context of its own.
Chromium opens the files whenever a page opens the device, and not before, and plays them again and again.
"""

from __future__ import annotations

import shutil
import subprocess
import time
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import soxr

from edge.values import SAMPLE_RATE, Pcm, Pixels

if TYPE_CHECKING:
    from playwright.async_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-default-apps --disable-dev-shm-usage --disable-breakpad "
    "--disable-extensions --no-default-browser-check --no-service-autorun --password-store=basic --use-mock-keychain "
    "--metrics-recording-only --disable-field-trial-config --disable-search-engine-choice-screen --disable-hang-monitor "
    "--disable-back-forward-cache --disable-ipc-flooding-protection --disable-background-timer-throttling "
    "--disable-renderer-backgrounding --disable-backgrounding-occluded-windows --mute-audio --hide-scrollbars "
    "--force-color-profile=srgb --autoplay-policy=user-gesture-required --use-fake-device-for-media-stream "
    "--disable-features=DestroyProfileOnBrowserClose,HttpsUpgrades,MediaRouter,OptimizationHints,PaintHolding"
).split()
"""A browser that talks to nobody but the page's own server, on a machine without a screen, and asks nobody for permission."""
RATE = 48_000
"""Samples a second of the microphone's file."""
PICTURE = (640, 480)
FPS = 15
PATIENCE_S = 30.0


@dataclass
class Chromium:
    """A browser that runs, and the two files that are its devices."""

    endpoint: str
    """Where its DevTools protocol is spoken."""
    microphone: Path
    camera: Path
    usual: bool = False
    """Whether both are as they were at first."""

    def reset(self) -> None:
        """Gives the microphone its hum and the camera its bars again."""
        if not self.usual:
            self.hears(hum())
            self.sees(*bars())
            self.usual = True

    def hears(self, pcm: Pcm) -> None:
        """Gives whoever opens the microphone next a sound at 16 kHz, again and again."""
        self.usual = False
        fresh = self.microphone.with_suffix(".new")
        with wave.open(str(fresh), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(soxr.resample(pcm, SAMPLE_RATE, RATE).astype("<i2").tobytes())
        fresh.replace(self.microphone)

    def sees(self, *pictures: Pixels) -> None:
        """Gives whoever opens the camera next these pictures (BGR), scaled to its size, again and again."""
        self.usual = False
        width, height = PICTURE
        fresh = self.camera.with_suffix(".new")
        with fresh.open("wb") as file:  # YUV4MPEG2, the one format beside MJPEG that Chromium reads
            file.write(f"YUV4MPEG2 W{width} H{height} F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
            for picture in pictures:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
                file.write(b"FRAME\n" + frame.reformat(width, height, format="yuv420p").to_ndarray().tobytes())
        fresh.replace(self.camera)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Browser]:
        """Gives the browser; at the end every context that was made in the block is closed."""
        from playwright.async_api import async_playwright

        async with async_playwright() as driver:
            browser = await driver.chromium.connect_over_cdp(self.endpoint)
            yield browser
            await browser.close()


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """Runs a browser with its profile and its devices in ``folder``."""
    assert CHROMIUM is not None
    microphone, camera, profile = folder / "microphone.wav", folder / "camera.y4m", folder / "profile"
    devices = [f"--use-file-for-fake-audio-capture={microphone}", f"--use-file-for-fake-video-capture={camera}"]
    command = [CHROMIUM, *QUIET, *devices, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        running = Chromium(f"http://127.0.0.1:{_port(process, profile / 'DevToolsActivePort')}", microphone, camera)
        running.reset()
        yield running
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port(process: subprocess.Popen[bytes], file: Path) -> int:
    """Waits until the browser has written where it listens."""
    deadline = time.monotonic() + PATIENCE_S
    while not (file.is_file() and (lines := file.read_text().split())):
        assert process.poll() is None, f"Chromium ended with {process.returncode}"
        assert time.monotonic() < deadline, f"Chromium did not start in {PATIENCE_S:g} s"
        time.sleep(0.02)
    return int(lines[0])


def hum(seconds: float = 2.0) -> Pcm:
    """A tone that comes and goes."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pcm: Pcm = (6000 * np.sin(2 * np.pi * 300 * time) * (np.sin(2 * np.pi * time) > 0)).astype(np.int16)
    return pcm


def bars(frames: int = 8) -> list[Pixels]:
    """A picture that moves: a dark bar that wanders over grey."""
    width, height = PICTURE
    pictures = []
    for frame in range(frames):
        luma = np.tile(np.linspace(40, 220, width, dtype=np.uint8), (height, 1))
        luma[:, frame * width // frames : (frame + 1) * width // frames] = 16
        pictures.append(np.repeat(luma[:, :, None], 3, axis=2))
    return pictures
