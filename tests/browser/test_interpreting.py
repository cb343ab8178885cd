"""Live translation, all of it: English into a browser's microphone, Spanish out of its loudspeaker, both texts on the page.

The ears are pocketsphinx, the translator Debian's Apertium, the Spanish voice espeak-ng's: the engines of the default profile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge.values import Pcm, samples
from models.apertium_modes import find, installed
from tests.browser.chromium import Chromium
from tests.browser.simulator import TAPE, Simulator, audible, simulator, tape, visitor
from tests.models.sounds import flite

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.real_time

SAID = "The next train to the city leaves at seven in the evening."
WORDS = {"tren", "ciudad", "siete"}
"""Of its translation; pocketsphinx mishears some of what is said to a busy machine."""
HEARD_S = 2.0
"""From when a piece of the translation is begun until enough of it was heard."""
CONFIRMATION_S = 3.0
"""Longer than "Translating into Spanish." takes."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    if find("en", "es", installed()) is None:
        pytest.skip("APERTIUM MISSING: apt-get install apertium-eng-spa")
    with simulator(tmp_path_factory.mktemp("translating"), "[translator]\nmine = 'en'\n") as started:
        yield started


def quiet(seconds: float) -> Pcm:
    return np.zeros(samples(seconds), np.int16)


async def texts(page: Page, selector: str) -> str:
    return " ".join(await page.locator(selector).all_inner_texts())


async def test_english_is_heard_in_spanish_and_both_are_shown(
    running: Simulator, shared_chromium: Chromium, chromium: Browser
) -> None:
    sentence = flite(SAID)
    # Again and again: whenever the browser's microphone is open and the mode is on, the next one is heard whole.
    shared_chromium.hears(np.concatenate([quiet(4.0), *(part for _ in range(4) for part in (sentence, quiet(5.0))), quiet(30)]))
    async with visitor(chromium, running.invite("ann")) as page:
        await page.click("#talk")
        await running.event("session", wearer="webrtc:ann")
        await page.fill("#ask-text", "translate to spanish")
        await page.press("#ask-text", "Enter")
        on = await running.event("interpreting", wearer="webrtc:ann", on=True)
        assert (on["mine"], on["target"]) == ("en", "es")
        await running.event("turn", wearer="webrtc:ann", skill="translate")
        since = len(running.look())
        final = await running.event("translation", since, wearer="webrtc:ann", final=True)
        spoken = await running.event("spoken", since, wearer="webrtc:ann", to="partner", language="es")
        await page.wait_for_function(
            "words => words.some(word => document.getElementById('sentences').innerText.includes(word))", arg=sorted(WORDS)
        )
        assert WORDS & set(final["text"].lower().strip(".").split())
        shown = await texts(page, "#sentences")
        assert "train" in shown or "city" in shown or "seven" in shown
        await asyncio.sleep(HEARD_S)
        _, played = await tape(page)
        await page.fill("#ask-text", "stop translating")
        await page.press("#ask-text", "Enter")
        await running.event("interpreting", since, wearer="webrtc:ann", on=False)
        await page.click("#end")
    assert spoken["lag_ms"] > 0
    heard = audible(played)
    assert heard is not None
    assert heard[1] - heard[0] > CONFIRMATION_S, "more was heard than that it begins"
    assert not running.told("passed_over", wearer="webrtc:ann", reason="failed")


async def test_in_a_conversation_the_partner_hears_it_on_their_own_page(
    running: Simulator, shared_chromium: Chromium, chromium: Browser
) -> None:
    sentence = flite(SAID)
    shared_chromium.hears(np.concatenate([quiet(8.0), *(part for _ in range(4) for part in (sentence, quiet(5.0))), quiet(30)]))
    async with visitor(chromium, running.invite("ben")) as page:
        await page.click("#talk")
        await running.event("session", wearer="webrtc:ben")
        invited = await page.evaluate("fetch('/partner/invite', {method: 'POST'}).then(answer => answer.json())")
        context = await chromium.new_context(viewport={"width": 390, "height": 844})
        await context.add_init_script(TAPE)
        theirs = await context.new_page()
        await theirs.goto(invited["url"])
        await theirs.click("#pair")
        await theirs.wait_for_url("**/partner")
        await theirs.click("#hear")
        await page.fill("#ask-text", "translate this conversation to spanish")
        await page.press("#ask-text", "Enter")
        on = await running.event("interpreting", wearer="webrtc:ben", on=True)
        assert (on["mine"], on["theirs"], on["both"]) == ("en", "es", True)
        # pocketsphinx knows English alone: that is told, and one direction goes on.
        assert "nearsight models pull" in (await running.event("notice", wearer="webrtc:ben", code="language_missing"))["text"]
        await running.event("spoken", wearer="webrtc:ben", to="partner", language="es")
        await theirs.wait_for_function(
            "words => words.some(word => document.body.innerText.toLowerCase().includes(word))", arg=sorted(WORDS)
        )
        await asyncio.sleep(HEARD_S)
        _, played = await tape(theirs)
        await context.close()
        await page.click("#end")
    assert audible(played) is not None
