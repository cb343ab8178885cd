"""The developer's dashboard in a real browser, over a real station, a studio and a session with scripted engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.events import FrameChosen, Notice, TextSeen
from edge.ports import Stop
from edge.studio import Studio
from edge.studio.overlay import mask_overlay
from edge.studio.picture import Coder
from edge.values import Box, Mask, Reading, TextLine, VideoFrame
from tests.browser.conftest import Household, Visit, Visitor, until
from tests.studio.desktop import Desktop, FakeHouse, Impairment, bundle, desktop

pytestmark = pytest.mark.real_time

SIZES = ((1280, 800), (1440, 900), (1920, 1080))


class Choosy(FakeHouse):
    """Refuses one engine and knows a few."""

    def choices(self) -> Mapping[str, Sequence[str]]:
        return {"profile": ["bundled", "phone"], "voice": ["none", "espeak-ng", "piper"]}

    async def configure(self, changes: Mapping[str, Any]) -> None:
        if "piper" in str(changes):
            raise ConfigError("voice: piper's model is not on this machine: run nearsight models pull piper")
        await super().configure(changes)


@dataclass
class Simulator:
    """All of it."""

    desk: Desktop
    household: Household
    visitor: Visitor

    async def open(self, **options: Any) -> Visit:
        seen: Visit = await self.visitor("/simulate", key=self.household.key("owner", "ada"), **options)
        await seen.page.wait_for_selector("#feed-state[data-state=live]")
        await seen.page.wait_for_selector("#phone #talk")
        return seen


@pytest.fixture
async def simulator(household: Household, visit: Visitor, tmp_path: Path) -> AsyncIterator[Simulator]:
    bundle(tmp_path / "recordings", "sunday")
    async with desktop(tmp_path / "recordings", house=Choosy) as desk:
        desk.stage.glasses.impairment = Impairment()  # type: ignore[attr-defined]  # as a WebRTC link has it
        household.station.desk = desk.studio
        yield Simulator(desk, household, visit)
        await household.station.close()  # its readers end before the studio does


async def holds(seen: Visit, expression: str) -> None:
    """Waits until an expression is true in the page; Playwright's own way needs eval, which the page forbids."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 10
    while not await seen.page.evaluate(expression):
        assert loop.time() < deadline, f"not in 10 s: {expression}"
        await asyncio.sleep(0.05)


def sound(seen: Visit, origin: str, refusals: int = 0) -> None:
    """The page raised nothing, was refused as often as it should be, and asked nobody but its server."""
    assert ["status of 400" in fault for fault in seen.faults] == [True] * refusals, seen.faults
    assert {url for url in seen.requests if not url.startswith((origin, "ws" + origin.removeprefix("http")))} == set()


async def test_a_question_is_seen_from_end_to_end(simulator: Simulator) -> None:
    seen = await simulator.open(viewport={"width": 1440, "height": 900})
    page = seen.page
    await page.fill("#ask-text", "how are <b>you</b>")
    await page.press("#ask-text", "Enter")
    await page.wait_for_selector("#turns details .total")
    assert await page.inner_text("#conversation .wearer") != ""
    assert "how are <b>you</b>" in await page.inner_text("#conversation .wearer"), "text is text, never markup"
    assert "I am well." in await page.inner_text("#conversation .reply")
    total = await page.inner_text("#turns .total")
    steps = await page.locator("#turns .waterfall td.ms:not(.at)").all_inner_texts()
    assert sum(float(step) for step in steps) == pytest.approx(float(total.removesuffix(" ms")), abs=3), (
        "the bars are the whole"
    )
    kinds = await page.locator("#log li b").all_inner_texts()
    assert {"final", "speak", "turn"} <= set(kinds)
    await holds(seen, "Number(document.getElementById('level').getAttribute('aria-valuenow')) < -10")
    assert "MB" in await page.inner_text("#memory")
    drawn = (
        "(() => { const c = document.getElementById('strip'); return c.getContext('2d').getImageData(0, 0, c.width, c.height)"
    )
    assert await page.evaluate(drawn + ".data.some((v) => v) })()")
    sound(seen, simulator.household.origin)


async def test_the_chosen_picture_has_its_boxes(simulator: Simulator) -> None:
    seen = await simulator.open()
    session = simulator.desk.stage.session
    session.sight.chosen = VideoFrame(np.full((400, 800, 3), (200, 40, 20), np.uint8), 1_500_000_000, 9)
    session.sight.chosen_reading = Reading(
        (TextLine("EXIT", Box(100, 50, 300, 90), 0.91), TextLine("<i>this way", Box(400, 100, 600, 200), 0.8, angle=20.0))
    )
    simulator.desk.studio.event("ada", FrameChosen(t_ns=0, index=9, age_ms=1, sharpness=1))
    simulator.desk.studio.event("ada", TextSeen(t_ns=0, lines=("EXIT", "<i>this way")))
    await seen.page.wait_for_selector("#picture svg polygon", state="attached")
    box = await seen.page.locator("#picture svg rect").evaluate(
        "e => ['x', 'y', 'width', 'height'].map((n) => e.getAttribute(n))"
    )
    assert [float(side) for side in box] == [100, 50, 200, 40]
    assert await seen.page.locator("#picture svg").get_attribute("viewBox") == "0 0 800 400"
    pixel = await seen.page.evaluate(
        "[...document.querySelector('#picture canvas').getContext('2d').getImageData(300, 150, 1, 1).data]"
    )
    assert pixel[:3] == pytest.approx([20, 40, 200], abs=12)
    assert await seen.page.locator("#picture-found li span").all_inner_texts() == ["EXIT", "<i>this way"]
    # Where the box is drawn is where the text is: the overlay and the picture have one geometry.
    overlay, picture = [await seen.page.locator(f"#picture {kind}").bounding_box() for kind in ("svg", "canvas")]
    assert overlay is not None and picture is not None
    assert list(overlay.values()) == pytest.approx(list(picture.values()), abs=1)
    sound(seen, simulator.household.origin)


async def test_a_mask_is_laid_over_its_pixels_only(simulator: Simulator) -> None:
    seen = await simulator.open()
    bits = np.zeros((60, 80), bool)
    bits[10:50, 20:40] = True
    white = VideoFrame(np.full((60, 80, 3), 255, np.uint8), 0)
    row = {"index": 1, "t_ms": 0.0, "width": 80, "height": 60, "jpeg": Coder().code(white, Stop())}
    overlays = [mask_overlay(Mask(1, bits, 0.9))]
    simulator.desk.studio._feed.put({"wearer": "ada", "frame": {**row, "overlays": overlays}}, picture=True)
    await seen.page.wait_for_selector("#picture-found .mask")
    script = "([x, y]) => [...document.querySelector('#picture canvas').getContext('2d').getImageData(x, y, 1, 1).data]"
    tinted = {
        at: (await seen.page.evaluate(script, at))[0] < 230
        for at in [(30, 30), (22, 12), (38, 47), (10, 30), (30, 55), (50, 5)]
    }
    assert [at for at, is_tinted in tinted.items() if is_tinted] == [(30, 30), (22, 12), (38, 47)]


async def test_a_stream_that_broke_goes_on_where_it_broke(simulator: Simulator) -> None:
    seen = await simulator.open()
    studio, routes = simulator.desk.studio, simulator.household.station._routes
    assert routes is not None

    def tell(*names: str) -> None:
        for name in names:
            studio.event("ada", Notice(t_ns=0, code="note", text=name))

    async def shown(count: int) -> list[str]:
        await holds(seen, f"document.querySelectorAll('#log .kind-notice').length >= {count}")
        return [text.split("code")[0].strip() for text in await seen.page.locator("#log .kind-notice + span").all_inner_texts()]

    tell("one", "two")
    await shown(2)
    routes.drop()
    tell("three")  # while the page is away
    await seen.page.wait_for_selector("#feed-state[data-state=lost]")
    await seen.page.wait_for_selector("#feed-state[data-state=live]")
    tell("four")
    told = " ".join(await shown(4))
    assert [told.count(name) for name in ("one", "two", "three", "four")] == [1, 1, 1, 1]
    # A restarted server counts anew: the page forgets what the old one told.
    fresh = Studio(simulator.desk.house)
    fresh.joined("ada", simulator.desk.stage.session, simulator.desk.stage.glasses)
    fresh.event("ada", Notice(t_ns=0, code="note", text="anew"))
    simulator.household.station.desk = fresh
    routes.drop()
    await holds(seen, "document.querySelectorAll('#log .kind-notice').length === 1")
    assert "anew" in (await shown(1))[0]
    assert await seen.page.inner_text("#missed") == "0"
    await fresh.close()


async def test_what_the_developer_moves_moves(simulator: Simulator) -> None:
    seen = await simulator.open()
    page, house = seen.page, simulator.desk.house
    await page.click("#record")
    await until(lambda: house.recorded == [("ada", True)], "the recording")
    await page.click("#link-tab")
    await page.focus("#loss")
    for _ in range(5):
        await page.keyboard.press("ArrowRight")
    network: Impairment = simulator.desk.stage.glasses.impairment  # type: ignore[attr-defined]
    await until(lambda: network.loss == 0.05, "the loss")
    assert await page.inner_text("output[for=loss]") == "5 %"
    await page.click("#network button[type=reset]")
    await until(lambda: network.loss == 0, "no loss")
    await page.keyboard.press("Shift+Tab")
    await page.focus("#link-tab")
    await page.keyboard.press("ArrowRight")
    assert await page.get_attribute("#engines-tab", "aria-selected") == "true"
    await page.select_option("#profile", "phone")
    await until(lambda: {"profile": "phone"} in house.changes, "the profile")
    await page.select_option("select[aria-label='engine for voice']", "piper")
    await holds(seen, "document.getElementById('engines-alert').textContent.includes('models pull piper')")
    assert await page.input_value("select[aria-label='engine for voice']") == "none", "what was refused does not stay chosen"
    await page.click("#bundles-tab")
    await page.wait_for_selector("#bundles li a")
    assert await page.get_attribute("#bundles li a", "href") == "/bundles/sunday.zip"
    async with page.expect_download() as download:
        await page.click("#bundles li a")
    assert (await download.value).suggested_filename == "sunday.zip"
    sound(seen, simulator.household.origin, refusals=1)


async def test_a_phone_is_paired_and_sent_away(simulator: Simulator) -> None:
    seen = await simulator.open()
    page, access = seen.page, simulator.household.station.access
    await page.click("#devices-tab")
    await page.fill("#invite input", "bea")
    await page.click("#invite button")
    await page.wait_for_selector("#code svg[role=img] path", state="attached")
    token = (await page.inner_text("#code code")).split("#")[1]
    device, _ = access.pair(token, "her phone")
    assert (device.wearer, device.role) == ("bea", "wearer")
    await page.click("#log-tab")
    await page.click("#devices-tab")
    revoke = page.get_by_role("button", name="Revoke her phone")
    await revoke.click()
    assert device in access.devices(), "once is no decision"
    await revoke.click()
    await until(lambda: device not in access.devices(), "the device is gone")
    await holds(seen, "!document.getElementById('devices').textContent.includes('her phone')")
    sound(seen, simulator.household.origin)


async def test_the_page_stays_small_however_long_it_is_open(simulator: Simulator) -> None:
    seen = await simulator.open()
    page, studio = seen.page, simulator.desk.studio
    for number in range(700):
        studio.event("ada", Notice(t_ns=number, code="note", text=f"notice {number}"))
        if number % 100 == 0:
            await page.wait_for_timeout(20)
    await holds(seen, "document.getElementById('log').textContent.includes('notice 699')")
    assert await page.locator("#log li").count() == 500
    assert await page.locator("#conversation > *").count() <= 80
    await page.fill("#log-filter", "NOTICE 69")
    assert await page.locator("#log li:visible").count() == 10
    await page.click("#log-hold")
    studio.event("ada", Notice(t_ns=0, code="note", text="later"))
    await holds(seen, "document.getElementById('log-count').textContent.includes('1 waiting')")
    assert "later" not in (await page.text_content("#log") or "")
    await page.click("#log-hold")
    assert "later" in (await page.text_content("#log") or "")


async def test_it_fits_its_screens_and_everything_has_a_name(simulator: Simulator) -> None:
    seen = await simulator.open()
    page = seen.page
    for width, height in SIZES:
        await page.set_viewport_size({"width": width, "height": height})
        size = await page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        assert size == [width, height], "no scrolling at all"
    for width in (1000, 720, 390, 320):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, f"no sideways scrolling at {width}"
    nameless = await page.evaluate(
        """[...document.querySelectorAll("button, input, select, a, [role=tab], [tabindex='0'][role]")]
        .filter((e) => !e.labels?.length && !e.textContent.trim())
        .filter((e) => !e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby"))
        .map((e) => e.outerHTML)"""
    )
    assert nameless == []
    doubles = await page.evaluate(
        "(() => { const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);"
        " return ids.filter((id, at) => ids.indexOf(id) !== at) })()"
    )
    assert doubles == []


async def test_the_phone_in_its_pane_is_the_phone(simulator: Simulator) -> None:
    seen = await simulator.open()
    await seen.page.click("#talk")
    await until(lambda: simulator.household.wearers, "glasses of this page")
    await seen.page.wait_for_selector("body[data-face=idle]")
    await until(lambda: simulator.household.wearers[0].loudest > 1000, "its sound")
    await until(lambda: simulator.household.wearers[0].frames, "its pictures")
    sound(seen, simulator.household.origin)
