"""Simulated Bluetooth glasses, a link to them, and what it gave, for tests on the virtual radio."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, TypeVar

import numpy as np
from PIL import Image

from edge.errors import NearsightError
from edge.values import SAMPLE_RATE, AudioChunk, Condition, Pcm, VideoFrame
from firmware_stubs.sim.backend import backends
from firmware_stubs.sim.glasses import SimGlasses
from firmware_stubs.sim.omi import OMI_GLASS, Model, SimOmi
from firmware_stubs.sim.pair import CENTRAL
from firmware_stubs.sim.radio import Radio
from phone_bridge.ble import BleLink
from phone_bridge.opus import Encoder

Glasses = TypeVar("Glasses")


@dataclass
class Worn(Generic[Glasses]):
    """What a link gave, with loop times."""

    link: BleLink
    radio: Radio
    glasses: Glasses
    sound: list[tuple[float, AudioChunk]] = field(default_factory=list)
    photos: list[tuple[float, VideoFrame]] = field(default_factory=list)
    taps: list[str] = field(default_factory=list)
    conditions: list[tuple[float, Condition]] = field(default_factory=list)
    errors: list[NearsightError] = field(default_factory=list)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Stretches of sound without a hole, in samples; fails where media time goes back."""
        spans: list[tuple[int, int]] = []
        for _, chunk in self.sound:
            assert len(chunk.pcm) == 320 and (not spans or chunk.start >= spans[-1][1])
            if spans and spans[-1][1] == chunk.start:
                spans[-1] = spans[-1][0], chunk.end
            else:
                spans.append((chunk.start, chunk.end))
        return spans

    def heard(self) -> Pcm:
        """All sound, joined."""
        return np.concatenate([chunk.pcm for _, chunk in self.sound])

    def last(self) -> Condition:
        """How the glasses are."""
        return self.conditions[-1][1]

    async def until(self, present: bool, patience: float = 60.0) -> float:
        """Waits until the link says that the glasses are there, or away; gives the loop time at which it said so."""
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        while self.last().present is not present:
            await asyncio.sleep(0.01)
            assert loop.time() < end, f"still {self.last()}"
        return self.conditions[-1][0]


@asynccontextmanager
async def switched_on(radio: Radio, model: Model = OMI_GLASS, **options: Any) -> AsyncIterator[SimOmi]:
    glasses = SimOmi(radio, model, **options)
    await glasses.start()
    try:
        yield glasses
    finally:
        await glasses.stop()


def link_on(radio: Radio, **options: Any) -> BleLink:
    client, scanner = backends(radio.device("nearsight", CENTRAL), mtu=options.pop("asked_mtu", 517))
    return BleLink(client=client, scanner=scanner, **{"settle": 0.0, **options})


@asynccontextmanager
async def worn(
    model: Model = OMI_GLASS, *, radio: Radio | None = None, link: Any = None, **options: Any
) -> AsyncIterator[Worn[SimOmi]]:
    """Simulated glasses of the Omi family, worn."""
    radio = radio or Radio()
    async with switched_on(radio, model, **options) as glasses:
        glasses.photo = jpeg()
        async with followed(link_on(radio, **(link or {})), radio, glasses) as given:
            yield given


@asynccontextmanager
async def wearing(*, radio: Radio | None = None, link: Any = None, **options: Any) -> AsyncIterator[Worn[SimGlasses]]:
    """Simulated glasses of our own profile, worn."""
    radio = radio or Radio()
    async with powered(radio, **options) as glasses, followed(link_on(radio, **(link or {})), radio, glasses) as given:
        yield given


@asynccontextmanager
async def powered(radio: Radio, **options: Any) -> AsyncIterator[SimGlasses]:
    glasses = SimGlasses(radio, **{"silence": spoken(0.04, 0)[-1], **options})
    glasses.photo = jpeg()
    await glasses.start()
    try:
        yield glasses
    finally:
        await glasses.stop()


@asynccontextmanager
async def followed(opened: BleLink, radio: Radio, glasses: Glasses) -> AsyncIterator[Worn[Glasses]]:
    """The link is open and its streams are read."""
    given = Worn(opened, radio, glasses)
    await opened.open()
    loop = asyncio.get_running_loop()

    async def pump(stream: AsyncIterator[Any], take: Any) -> None:
        try:
            async for item in stream:
                take(item)
        except NearsightError as error:
            given.errors.append(error)

    pumps = [
        asyncio.create_task(pump(opened.microphone(), lambda chunk: given.sound.append((loop.time(), chunk)))),
        asyncio.create_task(pump(opened.camera(), lambda frame: given.photos.append((loop.time(), frame)))),
        asyncio.create_task(pump(opened.taps(), given.taps.append)),
        asyncio.create_task(pump(opened.conditions(), lambda how: given.conditions.append((loop.time(), how)))),
    ]
    try:
        await asyncio.sleep(0)
        yield given
    finally:
        await opened.close()
        await asyncio.gather(*pumps)


def tone(seconds: float) -> Pcm:
    wave = 8000 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)
    return wave.astype(np.int16)


@cache
def spoken(seconds: float = 2.0, loudness: int = 1) -> tuple[bytes, ...]:
    """A tone as Opus frames of 20 ms; silence with no loudness."""
    pcm = loudness * tone(seconds)
    with Encoder() as encoder:
        return tuple(encoder.encode(pcm[at : at + 320]) for at in range(0, len(pcm), 320))


@cache
def jpeg(width: int = 640, height: int = 480, quality: int = 60) -> bytes:
    """A picture of coloured squares, 30 kB or so."""
    random = np.random.default_rng(1)
    squares = np.kron(random.integers(0, 255, (height // 8, width // 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(squares).save(out, "JPEG", quality=quality)
    return out.getvalue()
