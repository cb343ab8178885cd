"""A click on the live picture of ``nearsight simulate``: the thing there is followed, lost and found, with a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.async_api import Browser, Page, expect

from edge.events import WatchFired
from edge.tracks import Watched, WatchRule
from edge.values import Pixels
from tests.browser.chromium import FPS, PICTURE, Chromium
from tests.browser.conftest import Household, Visitor
from tests.browser.simulator import Simulator, simulator, visitor
from tests.browser.test_simulator import PORTS
from tests.studio.desktop import desktop
from tests.studio.test_live import scene, with_segmenter

pytestmark = pytest.mark.real_time

SEEN_S, AWAY_S = 3.0, 1.5
RADIUS = 55
RED = """(() => {
  const canvas = document.querySelector('#live canvas');
  if (!canvas || canvas.closest('[hidden]')) return null;
  const { width, height } = canvas;
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
  let count = 0, x = 0, y = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at] < 150 || data[at + 1] > 90 || data[at + 2] > 90) continue;
    count += 1; x += (at / 4) % width; y += Math.floor(at / 4 / width);
  }
  return count < 1000 ? null : [x / count / width, y / count / height];
})()"""
"""Where the red disc is in the live picture, in shares of it."""


def wall() -> Pixels:
    """A wall that is no plain colour: what is followed must be told from something."""
    width, height = PICTURE
    noise = np.random.default_rng(3).normal(120, 30, (height // 8, width // 8, 1)).clip(30, 220)
    grey = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(np.repeat(grey[:, :, None], 3, axis=2).astype(np.uint8))


def film() -> list[Pixels]:
    """A red disc that wanders to and fro, and is away for a while."""
    pictures = []
    for index in range(round((SEEN_S + AWAY_S) * FPS)):
        picture = wall()
        t = index / FPS
        if t < SEEN_S:
            x = round(PICTURE[0] / 2 + 120 * np.sin(2 * np.pi * t / SEEN_S))
            cv2.circle(picture, (x, PICTURE[1] // 2), RADIUS, (30, 20, 200), -1)
        pictures.append(picture)
    return pictures


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Simulator]:
    settings = "".join(f'[{port}]\nengine = "none"\n' for port in (*PORTS, "detector"))
    with simulator(tmp_path, f'{settings}[segmenter]\nengine = "classical"\n') as started:
        yield started


async def red(page: Page) -> tuple[float, float]:
    """Waits until the disc is seen in the live picture."""
    for _ in range(200):
        if (found := await page.evaluate(RED)) is not None:
            return found[0], found[1]
        await page.wait_for_timeout(50)
    raise AssertionError("nothing red in the live picture")


async def test_what_is_clicked_is_followed_lost_and_found(
    running: Simulator, shared_chromium: Chromium, chromium: Browser
) -> None:
    shared_chromium.sees(*film())
    async with visitor(chromium, running.invite("ada")) as page:
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        await expect(page.locator("#live-caption")).to_contain_text("appears here")
        await page.click("#talk")
        x, y = await red(page)
        svg = await page.locator("#live svg").bounding_box()
        assert svg is not None
        await page.mouse.click(svg["x"] + x * svg["width"], svg["y"] + y * svg["height"])

        started = await running.event("track", change="started")
        assert started["object"] == 1
        await expect(page.locator("#followed li span")).to_have_text("1")
        await expect(page.locator("#live svg text")).to_have_text("1")
        seen = await running.event("mask", state="followed")
        middle = (seen["box"][0] + seen["box"][2]) / 2
        assert 150 < middle < 490
        # The mask is the disc, give or take its edge.
        assert seen["area"] == pytest.approx(np.pi * RADIUS**2, rel=0.35)

        await running.event("track", change="lost")
        await expect(page.locator("#followed .lost small")).to_contain_text("lost for")
        await expect(page.locator("#live svg text")).to_have_text("1 (lost)")
        await expect(page.locator("#exchanges .note")).to_contain_text("object 1 is out of sight")
        await running.event("track", change="found")
        await expect(page.locator("#followed .followed small")).to_have_text("followed")
        await expect(page.locator("#conversation")).to_contain_text("object 1 is back")

        await page.get_by_role("button", name="Stop following 1").click()
        await running.event("track", change="ended")
        await expect(page.locator("#followed li")).to_have_count(0)
        await expect(page.locator("#live svg text")).to_have_count(0)
        assert faults == []


async def test_dragging_the_middle_watches_and_what_they_kept(household: Household, visit: Visitor, tmp_path: Path) -> None:
    folder = tmp_path / "events" / "1620-door"
    folder.mkdir(parents=True)
    (folder / "report.txt").write_text("The door opened.")
    async with desktop(tmp_path / "recordings", engines=with_segmenter) as desk:
        household.station.desk = desk.studio
        eyes, glasses = desk.stage.session.eyes, desk.stage.glasses
        glasses.see(scene(60))
        seen = await visit("/simulate", key=household.key("owner", "ada"))
        page: Page = seen.page
        await expect(page.locator("#live")).to_be_visible()
        box = await page.locator("#live svg").bounding_box()
        assert box is not None

        def at(x: float, y: float) -> tuple[float, float]:
            return box["x"] + x / 160 * box["width"], box["y"] + y / 120 * box["height"]

        await page.mouse.move(*at(95, 75))  # from the lower right corner to the upper left one
        await page.mouse.down()
        await page.mouse.move(*at(80, 60))
        await page.wait_for_timeout(700)  # a picture comes meanwhile
        await page.mouse.move(*at(55, 35))
        await expect(page.locator("#live .drawn")).to_have_count(1)
        await page.mouse.up()
        await expect(page.locator("#live .drawn")).to_have_count(0)
        await expect(page.locator("#live .on-track")).to_have_attribute("data-state", "followed")
        assert eyes.tracks[0].box.centre == (75, 55)
        outline = page.locator("#live .on-track")
        assert [float(await outline.get_attribute(name) or 0) for name in ("x", "y", "width", "height")] == [60, 40, 30, 30]
        tinted = "[...document.querySelector('#live canvas').getContext('2d').getImageData(75, 55, 1, 1).data]"
        assert (await page.evaluate(tinted))[2] > 60, "the mask lies on the red"

        await page.get_by_role("button", name="Follow the middle").click()
        await expect(page.locator("#followed li")).to_have_count(2)
        for name in ("Stop following 2", "Stop following 1"):
            await page.get_by_role("button", name=name).click()
        await expect(page.locator("#followed li")).to_have_count(0)
        assert eyes.tracks == ()

        number = eyes.watch(WatchRule(Watched.MOVES, words="<b>tell me</b> when the door moves"))
        await expect(page.locator("#followed li span")).to_have_text("<b>tell me</b> when the door moves")
        await page.get_by_role("button", name=f"End watch {number}").click()
        await expect(page.locator("#followed li")).to_have_count(0)
        fired = WatchFired(t_ns=0, watch=number, words="", text="The door moved.", sure=False, folder=str(folder))
        desk.studio.event("ada", fired)
        await expect(page.locator("#conversation .watch")).to_contain_text("The door moved. (not sure)")
        await page.get_by_role("button", name="Show what was kept").click()
        link = page.get_by_role("link", name="report.txt")
        async with seen.context.expect_page() as opened:
            await link.click()
        report = await opened.value
        await report.wait_for_load_state()
        assert await report.inner_text("body") == "The door opened."

        glasses.see(None)  # the camera stops: the picture stays, and says how old it is
        await expect(page.locator("#live.old #live-age")).to_contain_text("s old")
        assert seen.faults == []
        await household.station.close()  # its readers end before the studio does
