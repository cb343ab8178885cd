"""The whole of it: a browser's webcam and microphone, the real engines, and an answer that is heard in the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge.bench.answer import bursts
from edge.demo.scene import load
from edge.values import SAMPLE_RATE, Pcm, samples
from tests.browser.chromium import Chromium
from tests.browser.simulator import Simulator, audible, simulator, tape, visitor

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.real_time

START_S = 5.0
"""Seconds of silence before the first word: page, connection and the first session's warm-up take both cores meanwhile."""
BARGE_IN_S = 0.6
"""What a busy machine is given; ``python -m tools.bench.browser`` measures it on a quiet one."""
SIGN, _, NOTICE = load()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with simulator(tmp_path_factory.mktemp("simulator")) as started:
        yield started


def quiet(seconds: float) -> Pcm:
    return np.zeros(samples(seconds), np.int16)


def cough(seed: int) -> Pcm:
    """A burst of noise that is sudden and dies away, then a smaller one, as a cough has it."""
    rng = np.random.default_rng(seed)
    parts = []
    for peak, seconds in ((12_000, 0.18), (6_000, 0.22)):
        time = np.arange(samples(seconds)) / SAMPLE_RATE
        parts += [peak * np.exp(-time / 0.05) * np.clip(rng.standard_normal(len(time)) / 2, -1, 1), np.zeros(samples(0.06))]
    return np.concatenate(parts).astype(np.int16)


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


async def ask(page: Page, text: str) -> None:
    """Asks in writing."""
    await page.fill("#ask-text", text)
    await page.press("#ask-text", "Enter")


async def test_a_spoken_question_about_the_webcams_picture_is_answered_aloud(
    running: Simulator, shared_chromium: Chromium, chromium: Browser
) -> None:
    start, end = bursts(SIGN.sound)[0]
    question = SIGN.sound[start - samples(0.1) : end + samples(0.1)]
    # Said twice, as a wearer would: where a busy machine loses words of the first question, the second one counts.
    shared_chromium.hears(np.concatenate([quiet(START_S), question, quiet(9.0), question, quiet(30)]))
    shared_chromium.sees(SIGN.picture)
    async with visitor(chromium, running.invite("ann")) as page:
        await page.click("#talk")
        turn = await running.event("turn", wearer="webrtc:ann", skill=SIGN.skill)
        for words in SIGN.contains:
            assert words in turn["heard"].lower()
        heard, played = await tape(page)
        await page.click("#end")
    assert audible(heard) is not None
    reply = audible(played)
    assert reply is not None and reply[1] - reply[0] > 1.0
    again = recognised(played[samples(reply[0]) : samples(reply[1]) + SAMPLE_RATE // 4])
    assert again & {"riverside", "park", "dogs", "lead", "please", "keep", "welcome"}


async def test_a_word_over_the_reply_silences_it(
    running: Simulator, shared_chromium: Chromium, chromium: Browser, record_testsuite_property: Callable[[str, object], None]
) -> None:
    # Every four seconds, and the question comes behind the first: the next one falls into the reply.
    stop = NOTICE.sound[slice(*bursts(NOTICE.sound)[-1])]
    shared_chromium.hears(np.concatenate([quiet(5.0), *[part for _ in range(4) for part in (stop, quiet(4.0))], quiet(30)]))
    shared_chromium.sees(NOTICE.picture)
    async with visitor(chromium, running.invite("ben")) as page:
        await page.click("#talk")
        await running.event("session", wearer="webrtc:ben")
        await asyncio.sleep(5.0 + len(stop) / SAMPLE_RATE)
        await ask(page, "read this to me")
        turn = await running.event("turn", wearer="webrtc:ben")
        heard, played = await tape(page)
        await page.click("#end")
    assert turn["interrupted"] and turn["skill"] == NOTICE.skill
    assert turn["answer"].startswith(turn["heard"]) and turn["heard"] != turn["answer"]
    reply = audible(played)
    assert reply is not None
    onsets = [start / SAMPLE_RATE for start, _ in bursts(heard)]
    late = reply[1] - max(onset for onset in onsets if onset < reply[1])
    assert reply[1] - reply[0] > late, "the word was said over the reply"
    record_testsuite_property("barge_in_ms", round(late * 1000))
    assert late < BARGE_IN_S


async def test_a_cough_over_the_reply_leaves_it_whole(running: Simulator, shared_chromium: Chromium, chromium: Browser) -> None:
    # Several, one second and a half apart: whenever the reply comes, some fall into it.
    coughs = [part for seed in range(6) for part in (cough(seed), quiet(1.0))]
    shared_chromium.hears(np.concatenate([quiet(3.0), *coughs, quiet(30)]))
    shared_chromium.sees(SIGN.picture)
    async with visitor(chromium, running.invite("cat")) as page:
        await page.click("#talk")
        await running.event("session", wearer="webrtc:cat")
        await ask(page, "what does this sign say")
        turn = await running.event("turn", wearer="webrtc:cat")
        heard, played = await tape(page)
        await page.click("#end")
    assert not turn["interrupted"] and turn["heard"] == turn["answer"]
    assert not running.told("barge_in", wearer="webrtc:cat")
    reply = audible(played)
    assert reply is not None and audible(heard, since=reply[0], until=reply[1]) is not None, "a cough fell into the reply"


async def test_a_page_that_is_reloaded_during_a_reply_goes_on_with_its_session(
    running: Simulator, shared_chromium: Chromium, chromium: Browser
) -> None:
    shared_chromium.hears(quiet(30))
    shared_chromium.sees(SIGN.picture)
    async with visitor(chromium, running.invite("dan")) as page:
        await page.click("#talk")
        await running.event("session", wearer="webrtc:dan")
        await ask(page, "what does this sign say")
        await running.event("speak", wearer="webrtc:dan")
        await page.wait_for_selector("body[data-face=speaking]")
        await page.reload()
        await page.click("#talk")
        first = await running.event("turn", wearer="webrtc:dan")
        since = len(running.look())
        await ask(page, "what does this sign say")
        second = await running.event("turn", since, wearer="webrtc:dan")
        played = (await tape(page))[1]
        await page.click("#end")
        await running.event("end", wearer="webrtc:dan")
    assert len(running.told("session", wearer="webrtc:dan")) == 1
    assert audible(played) is not None
    assert second["turn"] == first["turn"] + 1 and second["heard"] == second["answer"]
