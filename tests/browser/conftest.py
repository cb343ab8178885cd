"""A real Chromium before a real station: fake devices fed from files, and a stand-in for the session behind the link.

Debian's browser and Playwright's Python package are not part of nearsight; where one is missing these tests skip, loudly.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge.config import ServeConfig
from edge.ports import Link
from edge.values import CHUNK_SAMPLES, Condition, VideoFrame
from tests.browser.chromium import CHROMIUM, Chromium
from tests.browser.chromium import chromium as start_chromium

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

    from phone_bridge.server import WebRtcStation


@dataclass
class Wearer:
    """What stands where a Session would: it takes whatever one pair of glasses gives."""

    link: Link
    taps: list[str] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    frames: list[VideoFrame] = field(default_factory=list)
    loudest: int = 0
    """The largest sample the microphone gave."""
    samples: int = 0

    async def run(self) -> None:
        """Takes everything until the link ends."""
        await self.link.open()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._take(self.link.camera(), self._see))
            group.create_task(self._take(self.link.taps(), self.taps.append))
            group.create_task(self._take(self.link.conditions(), self.conditions.append))

    async def _listen(self) -> None:
        async for chunk in self.link.microphone():
            self.samples += len(chunk.pcm)
            self.loudest = max(self.loudest, int(np.abs(chunk.pcm).max()))

    def _see(self, frame: VideoFrame) -> None:
        self.frames = [*self.frames[-3:], frame]

    @staticmethod
    async def _take(source: AsyncIterator[Any], keep: Callable[[Any], None]) -> None:
        async for item in source:
            keep(item)

    async def play(self, seconds: float, hertz: float = 700.0) -> None:
        """Speaks: a tone at real-time pace."""
        loop = asyncio.get_running_loop()
        phase = np.arange(CHUNK_SAMPLES) / 16_000
        began = loop.time()
        for n in range(round(seconds * 50)):
            tone = 8000 * np.sin(2 * np.pi * hertz * (phase + n * 0.02))
            self.link.play(tone.astype(np.int16))
            await asyncio.sleep(max(0.0, began + (n + 1) * 0.02 - loop.time()))


@dataclass
class Household:
    """A station that is open, and the wearers who came."""

    state: Path
    """Its folder of device keys."""
    station: WebRtcStation = field(init=False)
    wearers: list[Wearer] = field(default_factory=list)
    _serving: asyncio.Task[None] = field(init=False)

    async def open(self, port: int = 0) -> None:
        """Opens a station on the loopback address; port 0 takes a free one."""
        from phone_bridge.server import WebRtcStation

        self.station = WebRtcStation(f"webrtc://127.0.0.1:{port}", ServeConfig(keep=5.0, wearers=2), state=self.state)
        await self.station.open()
        self._serving = asyncio.create_task(self.serve())

    async def close(self) -> None:
        """Sends everybody away."""
        await self.station.close()
        await asyncio.wait([self._serving], timeout=5)
        self._serving.cancel()
        await asyncio.wait([self._serving])

    async def restart(self) -> None:
        """Closes the station, and opens another with the same port and the same keys."""
        port = self.station.port
        await self.close()
        await self.open(port)

    @property
    def origin(self) -> str:
        """Without a slash at its end."""
        return self.station.url.rstrip("/")

    def key(self, role: str = "wearer", wearer: str = "ann") -> str:
        """Pairs a device, past its page."""
        return self.station.access.pair(self.station.access.invite(role, wearer), "test")[1]

    async def serve(self) -> None:
        """Receives whoever comes."""
        async with asyncio.TaskGroup() as group:
            async for link in self.station.arrivals():
                wearer = Wearer(link)
                self.wearers.append(wearer)
                group.create_task(self._run(wearer))

    @staticmethod
    async def _run(wearer: Wearer) -> None:
        from edge.errors import LinkError

        try:
            await wearer.run()
        except* LinkError:
            pass  # a wearer who stays away


@pytest.fixture
async def household(tmp_path: Path) -> AsyncIterator[Household]:
    """A station on a free port of the loopback address."""
    house = Household(tmp_path / "state")
    await house.open()
    yield house
    await house.close()


@pytest.fixture(scope="session")
def shared_chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """The one browser of this run."""
    if CHROMIUM is None:
        pytest.skip("CHROMIUM MISSING: install Debian's package chromium")
    pytest.importorskip("playwright.async_api", reason="PLAYWRIGHT MISSING: pip install playwright")
    with start_chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
async def chromium(shared_chromium: Chromium) -> AsyncIterator[Browser]:
    """A browser with a microphone and a camera; nobody is asked for permission: a context has it or has not."""
    shared_chromium.reset()
    async with shared_chromium.connect() as browser:
        yield browser


@dataclass
class Visit:
    """One page in a context of its own, with what went wrong in it and where its requests went."""

    page: Page
    context: BrowserContext
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


Visitor = Callable[..., Any]


@pytest.fixture
async def visit(household: Household, chromium: Browser) -> AsyncIterator[Visitor]:
    """Opens a page as a paired device: ``await visit("/", permissions=["microphone"], viewport={...})``."""
    opened: list[Visit] = []

    async def open_page(
        path: str = "/",
        *,
        key: str | None = None,
        permissions: tuple[str, ...] = ("microphone", "camera"),
        init: str = "",
        **options: Any,
    ) -> Visit:
        context = await chromium.new_context(base_url=household.origin, permissions=list(permissions), **options)
        if key != "":
            cookie: Mapping[str, Any] = {"name": "nearsight_key", "value": key or household.key(), "url": household.origin}
            await context.add_cookies([dict(cookie)])  # type: ignore[list-item]  # it is one
        await context.add_init_script(init)
        page = await context.new_page()
        page.set_default_timeout(10_000)
        seen = Visit(page, context)
        page.on("pageerror", lambda error: seen.faults.append(str(error)))
        page.on("console", lambda line: seen.faults.append(line.text) if line.type in ("error", "warning") else None)
        context.on("request", lambda request: seen.requests.append(request.url))
        opened.append(seen)
        await page.goto(path)
        return seen

    yield open_page
    for seen in opened:
        await seen.context.close()


async def until(holds: Callable[[], Any], what: str, seconds: float = 15.0) -> None:
    """Waits until something holds; fails with ``what`` where it does not in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not holds():
        assert loop.time() < deadline, f"not in {seconds:g} s: {what}"
        await asyncio.sleep(0.02)
