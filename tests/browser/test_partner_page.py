"""The partner's page in a real browser: invited by a code, it reads, hears and talks."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from playwright.async_api import Page, expect

from edge.ports import Aside
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, Pcm, samples
from tests.browser.conftest import Household, Visitor, until
from tests.browser.conversing import PHONE, SMALL, conversing, fits
from tests.browser.simulator import TAPE, audible, tape
from tests.browser.test_page import LOUDEST, METER, shows

pytestmark = pytest.mark.real_time

HERTZ = 500


async def test_a_partner_is_invited_reads_hears_and_talks(household: Household, visit: Visitor) -> None:
    seen = await visit(viewport=PHONE)
    told = await conversing(household, seen)
    link = told.wearer.link
    await seen.page.click("#translate-more")
    await seen.page.click("#partner-invite")
    address = await seen.page.inner_text("#partner-code .address")
    theirs = await visit(
        address.removeprefix(household.origin), key="", viewport=SMALL, permissions=(), init=f"{{{TAPE}}}{METER}", locale="de"
    )
    page: Page = theirs.page
    await page.click("#pair")
    await page.wait_for_url("**/partner")
    await expect(seen.page.locator("#partner-count")).to_have_text("1 partner's page open.")
    await expect(seen.page.locator("#partner-code")).to_be_hidden()
    await expect(page.locator("#hear-word")).to_have_text("Toque para oír")
    assert await page.get_attribute("html", "lang") == "es"
    assert link.aside is None
    await page.click("#hear")
    await until(lambda: link.aside is not None, "the partner's loudspeaker")
    aside = link.aside
    assert aside is not None

    told.target(3, "wearer", "Cuesta cuatro", "euros con")
    await expect(page.locator(".line")).to_have_text("Cuesta cuatro euros con")
    await expect(page.locator(".line .tail")).to_have_text("euros con")
    told.whole(3, "wearer", "It is four euros twenty.", "Cuesta cuatro euros con veinte.")
    await expect(page.locator("#said")).to_have_text("Cuesta cuatro euros con veinte.")
    await fits(page)

    await hum(aside, 50, paced=True)
    await asyncio.sleep(0.5)
    await hum(aside, 20, paced=False)
    await shows(theirs, "loudness() > 0.05")
    assert aside.flush() > 0
    await shows(theirs, "loudness() < 0.001", 1.0)
    assert await page.evaluate(LOUDEST) < 0.01
    assert 0.05 < aside.sink_delay_s < 0.5

    await page.hover("#speak")
    await page.mouse.down()
    await until(lambda: told.wearer.taps == ["speak:partner"], "the partner's button")
    await page.mouse.up()
    await until(lambda: told.wearer.taps == ["speak:partner", "speak:end"], "its end")
    hears_the_hum((await tape(page))[1])
    assert seen.faults == [] and theirs.faults == []


async def hum(aside: Aside, chunks: int, *, paced: bool) -> None:
    """Plays a tone, at real-time pace or at once."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for n in range(chunks):
        tone = 8000 * np.sin(2 * np.pi * HERTZ * np.arange(n * CHUNK_SAMPLES, (n + 1) * CHUNK_SAMPLES) / SAMPLE_RATE)
        aside.play(tone.astype(np.int16))
        if paced:
            await asyncio.sleep(max(0.0, began + (n + 1) * 0.02 - loop.time()))


def hears_the_hum(played: Pcm) -> None:
    """Its first second was played as it is: neither faster nor slower, and without a gap."""
    heard = audible(played, level=2000)
    assert heard is not None
    loud = played[samples(heard[0] + 0.05) :][: samples(0.85)].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(loud * np.hanning(len(loud))))
    assert np.argmax(spectrum) * SAMPLE_RATE / len(loud) == pytest.approx(HERTZ, abs=3)
    assert np.abs(loud).reshape(-1, 160).max(axis=1).min() > 4000
