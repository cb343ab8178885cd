"""The developer's afternoon at ``nearsight simulate``: record, ask, download, replay, the network, engines, phones."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.chromium import Chromium, hum
from tests.browser.simulator import Simulator, simulator, visitor

pytestmark = pytest.mark.real_time

PORTS = "voice_activity echo end_of_turn recogniser language_model text_reader code_reader scene_meter voice".split()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Simulator]:
    """Without engines: it is there at once."""
    with simulator(tmp_path, "".join(f'[{port}]\nengine = "none"\n' for port in PORTS)) as started:
        yield started


async def test_what_a_developer_does(running: Simulator, shared_chromium: Chromium, chromium: Browser) -> None:
    shared_chromium.hears(hum())
    async with visitor(chromium, running.invite("ada")) as page:
        await page.click("#talk")
        await running.event("session", wearer="webrtc:ada")
        await page.click("#record")
        await expect(page.locator("#record")).to_have_text("Stop recording")
        await page.fill("#ask-text", "what can you do")
        await page.press("#ask-text", "Enter")
        turn = await running.event("turn", wearer="webrtc:ada")
        await expect(page.locator("#conversation .reply").last).to_contain_text(turn["answer"].split(".")[0])
        await page.click("#record")
        await expect(page.locator("#record")).to_have_text("Record")

        await page.click("#bundles-tab")
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Download").click()
        bundle = zipfile.ZipFile(io.BytesIO((await (await download.value).path()).read_bytes()))
        assert bundle.testzip() is None
        assert any(name.endswith("session.jsonl") for name in bundle.namelist())
        await page.get_by_role("button", name="Replay").click()
        await expect(page.locator("#replay")).to_contain_text("ended with 0", timeout=30_000)

        await page.click("#link-tab")
        await page.focus("#slider-delay")
        await page.keyboard.press("ArrowRight")
        await expect(page.locator("output[for=slider-delay]")).to_have_text("10 ms")
        await page.click("#network button[type=reset]")
        await expect(page.locator("output[for=slider-delay]")).to_have_text("0 ms")

        await page.click("#engines-tab")
        await page.select_option("#profile", "desktop-gpu")  # whose models are of a size that nobody tests with
        await expect(page.locator("#engines-alert")).to_contain_text("models pull")
        await expect(page.locator("#profile")).to_have_value("bundled")
        engine = page.get_by_label("engine for scene meter")
        since = len(running.look())
        await engine.select_option("opencv")
        assert (await running.event("end", since))["reason"] == "reconfigured"
        await running.event("session", since)  # the page comes back by itself
        await page.wait_for_selector("body[data-face=idle]")
        await expect(engine).to_have_value("opencv")

        await page.click("#devices-tab")
        await page.click("#invite button")
        await expect(page.locator("#code svg")).to_be_visible()
        await expect(page.locator("#code")).to_contain_text("this machine alone")
        await page.click("#end")
        await running.event("end", len(running.look()) - 1)
