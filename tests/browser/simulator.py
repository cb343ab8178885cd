"""``nearsight simulate`` in a process of its own, and a browser before it whose webcam shows and whose microphone asks."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import soxr

from edge.values import SAMPLE_RATE, Pcm, Pixels, samples
from tests.browser.conftest import CHROMIUM, FPS, PICTURE, QUIET, RATE

if TYPE_CHECKING:
    from playwright.async_api import Page

TAPE = (Path(__file__).parent / "tape.js").read_text(encoding="utf-8")


@dataclass
class Simulator:
    """The running command: its address, and the events that it printed."""

    url: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, lines: asyncio.StreamReader) -> None:
        """Takes what the command prints."""
        while line := await lines.readline():
            self.rows.append(json.loads(line))
            self._more.set()

    async def event(self, name: str, since: int = 0, seconds: float = 60.0, **values: Any) -> dict[str, Any]:
        """Waits for an event of that name, with those values, from row ``since`` on."""
        async with asyncio.timeout(seconds):
            while True:
                for row in self.rows[since:]:
                    if row["event"] == name and all(row.get(key) == value for key, value in values.items()):
                        return row
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def simulator(state: Path, *options: str) -> AsyncIterator[Simulator]:
    """Runs ``nearsight simulate`` until the end of the block; ``state`` is the folder of its keys."""
    config = state.with_suffix(".toml")
    config.write_text(f"[serve]\nstate = {str(state)!r}\n", encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "edge.cli.main", "simulate", "--no-browser", "--json", "--config", str(config), *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        said = b""
        async with asyncio.timeout(90):
            while b"This lets one browser in" not in said:
                line = await process.stderr.readline()
                assert line, f"the simulator ended: {said.decode()}"
                said += line
        url = next(word for word in said.decode().split() if word.startswith("http"))
        running = Simulator(url)
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(running.read(process.stdout)), group.create_task(_drain(process.stderr))]
            yield running
            process.terminate()
            await process.wait()
            for task in reading:
                task.cancel()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _drain(lines: asyncio.StreamReader) -> None:
    while line := await lines.readline():
        sys.stderr.write(line.decode())


@asynccontextmanager
async def visitor(folder: Path, sound: Pcm, picture: Pixels) -> AsyncIterator[Page]:
    """A browser whose microphone hears ``sound`` once, from the moment it is opened, and whose camera shows ``picture``."""
    from playwright.async_api import async_playwright

    microphone, camera = folder / "microphone.wav", folder / "camera.y4m"
    with wave.open(str(microphone), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(soxr.resample(sound, SAMPLE_RATE, RATE).astype("<i2").tobytes())
    _show(camera, picture)
    devices = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}%noloop",
        f"--use-file-for-fake-video-capture={camera}",
    ]
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *devices])
        context = await browser.new_context(permissions=["microphone", "camera"], viewport={"width": 1440, "height": 900})
        await context.add_init_script(TAPE)
        page = await context.new_page()
        page.set_default_timeout(20_000)
        yield page
        await browser.close()


def _show(path: Path, picture: Pixels) -> None:
    """Writes a still picture as YUV4MPEG2, letterboxed to the camera's size."""
    width, height = PICTURE
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
    planes = frame.reformat(width, height, format="yuv420p").to_ndarray()
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F{FPS}:1 Ip A1:1 C420jpeg\n".encode() + (b"FRAME\n" + planes.tobytes()) * 2)


async def tape(page: Page) -> tuple[Pcm, Pcm]:
    """Gives what the page's microphone heard and what its loudspeaker played, on one clock from the page's start."""
    data = base64.b64decode(await page.evaluate("tape()"))
    with av.open(io.BytesIO(data), "r") as file:
        resampler = av.AudioResampler("s16", "stereo", SAMPLE_RATE)
        parts = [out.to_ndarray() for frame in file.decode(audio=0) for out in resampler.resample(frame)]
    both: Pcm = np.concatenate(parts, axis=1).reshape(-1, 2).astype(np.int16)
    return both[:, 0].copy(), both[:, 1].copy()


def audible(pcm: Pcm, since: float = 0.0, until: float = float("inf"), level: int = 300) -> tuple[float, float] | None:
    """Seconds of the first and the last sample that can be heard between two times; None where there is none."""
    start, end = samples(since), min(len(pcm), samples(min(until, 1e6)))
    loud = np.flatnonzero(np.abs(pcm[start:end].astype(np.int32)) > level)
    return ((start + loud[0]) / SAMPLE_RATE, (start + loud[-1]) / SAMPLE_RATE) if len(loud) else None
