"""Somebody else's WHIP client, as it was published, on a page of another origin: it publishes, trickles, restarts ICE, leaves.

It is ``whip-whep`` of npm (MIT, by the first author of RFC 9725). ``WHIP_CLIENT`` names the folder it was installed into::

    npm install --prefix FOLDER --no-save whip-whep@1.2.0 && WHIP_CLIENT=FOLDER/node_modules/whip-whep
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aioice import ice

from edge.config import ServeConfig
from edge.errors import LinkError
from phone_bridge.server import WebRtcStation
from tests.browser.conftest import Wearer, until

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.real_time

PAGE = """<!doctype html><title>somebody else's page</title><script type="module">
import { WHIPClient } from "/whip.js";
window.publish = async (url, token) => {
  const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  window.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  for (const track of media.getTracks()) pc.addTransceiver(track, { direction: "sendonly" });
  window.whip = new WHIPClient();
  await whip.publish(pc, url, token);
  while (pc.connectionState !== "connected") await new Promise((later) => setTimeout(later, 20));
};
window.ready = true;
</script>"""


@pytest.fixture
def client_folder() -> Path:
    folder = os.environ.get("WHIP_CLIENT", "")
    if not folder:
        pytest.skip("WHIP CLIENT MISSING: WHIP_CLIENT must name the folder of the npm package whip-whep")
    assert (Path(folder) / "whip.js").is_file(), f"{folder} holds no whip.js"
    return Path(folder)


@asynccontextmanager
async def elsewhere(folder: Path) -> AsyncIterator[str]:
    """Serves the client on a page of its own origin; gives that."""

    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(text=PAGE, content_type="text/html")

    async def script(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(folder / "whip.js")

    application = web.Application()
    application.add_routes([web.get("/", page), web.get("/whip.js", script)])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def page_of(chromium: Browser, origin: str) -> AsyncIterator[Page]:
    context = await chromium.new_context(permissions=["microphone", "camera"])
    page = await context.new_page()
    page.set_default_timeout(15_000)
    await page.goto(origin)
    await page.wait_for_function("window.ready")
    yield page
    await context.close()


async def run(wearer: Wearer) -> None:
    try:
        await wearer.run()
    except* LinkError:
        pass


@pytest.fixture
def one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """whip-whep 1.2.0 puts commas between the candidates of a restart's answer, and so understands answers with one."""
    addresses = ice.get_host_addresses(use_ipv4=True, use_ipv6=False)
    monkeypatch.setattr(ice, "get_host_addresses", lambda use_ipv4, use_ipv6: addresses[:1])


async def test_whip_whep_publishes_restarts_and_leaves(
    tmp_path: Path, chromium: Browser, client_folder: Path, one_address: None
) -> None:
    async with elsewhere(client_folder) as origin, asyncio.TaskGroup() as group:
        station = WebRtcStation("webrtc://127.0.0.1:0", ServeConfig(origins=(origin,), keep=5.0), state=tmp_path / "state")
        await station.open()
        whip = f"{station.url}whip"
        key = station.access.pair(station.access.invite("wearer", "ann"), "WHIP camera")[1]
        answers: list[tuple[str, int]] = []
        try:
            async with page_of(chromium, origin) as page:
                page.on("response", lambda said: answers.append((said.request.method, said.status)))
                refused: Any = await page.evaluate("([url]) => publish(url, 'wrong').catch(String)", [whip])
                assert "status 401" in refused
                await page.evaluate("([url, key]) => publish(url, key)", [whip, key])
                wearer = Wearer(await anext(station.arrivals()))
                group.create_task(run(wearer))
                await until(lambda: wearer.loudest > 500, "the microphone's tone")
                await until(lambda: wearer.frames, "a picture")
                assert ("POST", 201) in answers

                await page.evaluate("whip.restart()")
                await until(lambda: ("PATCH", 200) in answers, "the restart")
                await until(lambda: ("PATCH", 204) in answers, "its candidates")
                before = wearer.samples
                await until(lambda: wearer.samples > before + 16_000, "a second of sound after the restart")
                assert await page.evaluate("pc.connectionState") == "connected"

                await page.evaluate("whip.stop()")
                await until(lambda: ("DELETE", 200) in answers, "the goodbye")
                await until(lambda: not station.glasses, "the wearer's leaving")
                # A browser asks before each of the methods; what it was told is what it did.
                assert {status for method, status in answers if method not in ("GET", "OPTIONS")} == {401, 201, 200, 204}
        finally:
            await station.close()


async def test_a_page_that_is_not_listed_gets_nothing(tmp_path: Path, chromium: Browser, client_folder: Path) -> None:
    async with elsewhere(client_folder) as origin:
        station = WebRtcStation("webrtc://127.0.0.1:0", state=tmp_path / "state")
        await station.open()
        key = station.access.pair(station.access.invite("wearer", "ann"), "WHIP camera")[1]
        try:
            async with page_of(chromium, origin) as page:
                told = await page.evaluate("([url, key]) => publish(url, key).catch(String)", [f"{station.url}whip", key])
                assert "Failed to fetch" in told
            assert not station.glasses and station._wearers.half_open == 0
        finally:
            await station.close()
