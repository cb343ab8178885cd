"""The whole of it: a browser's webcam and microphone, the real engines, and an answer that is heard in the page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from edge.demo.scene import load
from edge.values import SAMPLE_RATE, Pcm, samples
from tests.browser.conftest import CHROMIUM
from tests.browser.simulator import audible, simulator, tape, visitor

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.skipif(CHROMIUM is None, reason="CHROMIUM MISSING: install Debian's package chromium"),
]
pytest.importorskip("playwright.async_api", reason="PLAYWRIGHT MISSING: pip install playwright")

START = 6.0
"""Seconds of silence before the first word: the page and the connection come up meanwhile."""


def quiet(seconds: float) -> Pcm:
    return np.zeros(samples(seconds), np.int16)


def recognised(pcm: Pcm) -> set[str]:
    """The words that the bundled recogniser finds in a recording."""
    from edge.ports import Stop
    from models.sphinx import PocketSphinx

    engine = PocketSphinx(second_pass=True)
    engine.open()
    try:
        stream = engine.stream()
        stream.accept(pcm)
        words = set(stream.final(Stop()).text.split())
        stream.close()
        return words
    finally:
        engine.close()


async def test_a_spoken_question_about_the_webcams_picture_is_answered_aloud(tmp_path: Path) -> None:
    sign = load()[0]
    sound = np.concatenate([quiet(START), sign.sound, quiet(20.0)])
    async with simulator(tmp_path / "state", "--port", "0") as running, visitor(tmp_path, sound, sign.picture) as page:
        await page.goto(running.url)
        await page.click("#pair")
        await page.wait_for_url("**/simulate")
        await page.click("#talk")
        turn = await running.event("turn")
        assert turn["transcript"] == sign.transcript and turn["skill"] == sign.skill
        for words in sign.contains:
            assert words in turn["heard"].lower()
        await asyncio.sleep(0.5)
        heard, played = await tape(page)
    assert audible(heard) is not None
    reply = audible(played)
    assert reply is not None and reply[1] - reply[0] > 1.0
    again = recognised(played[samples(reply[0]) : samples(reply[1]) + SAMPLE_RATE // 4])
    print(turn, reply, again)
    assert again & {"riverside", "park", "dogs", "lead", "please", "keep", "welcome"}
