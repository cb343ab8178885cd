"""A translated conversation on the wearer's page and the simulator's, in a real browser."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from playwright.async_api import Page, expect

from edge.translation import PassedOver
from tests.browser.conftest import Household, Visitor, until
from tests.browser.conversing import CONVERSATION, DESKTOP, PHONE, SMALL, Told, conversing, fits
from tests.browser.test_page import start

pytestmark = pytest.mark.real_time

CONVERSED = """async () => {
  const { Conversation } = await import("/web/conversation.js");
  const view = new Conversation(document.createElement("div"));
  const heard = { sentence: 4, speaker: "partner" };
  view.event({ event: "interpreting", on: true });
  view.event({ event: "source", ...heard, language: "es", text: "Gracias.", final: true });
  view.event({ event: "translation", ...heard, language: "en", text: "I", tail: "thank", final: false, lag_ms: 900 });
  view.event({ event: "translation", ...heard, language: "en", text: "I thank you.", record: "", final: true, lag_ms: 1500 });
  view.event({ event: "interpreting", on: false });
  return [...view.list.children].map((one) => one.textContent).join("|");
}"""
"""What the developer's view of a conversation shows."""


async def test_captions_stand_side_by_side_and_the_guess_is_marked(household: Household, visit: Visitor) -> None:
    seen = await visit(viewport=PHONE)
    page: Page = seen.page
    wearer = await start(household, seen)
    await expect(page.locator("#translation")).to_be_hidden()
    told = Told(wearer)
    told.begin(partner="")
    await expect(page.locator("#translation-pair")).to_have_text("English ⇄ finding out")
    await expect(page.locator("#captions")).to_be_hidden()
    told.begin()
    await expect(page.locator("#translation-pair")).to_have_text("English ⇄ Spanish")
    told.source(0, "partner", "¿A qué hora", "sale el")
    told.target(0, "partner", "What time", "leaves <b>it</b>")
    pair = page.locator(".pair")
    await expect(pair.locator(".target")).to_have_text("What time leaves <b>it</b>")
    await expect(pair.locator(".source .tail")).to_have_text("sale el")
    assert await pair.locator(".target").get_attribute("lang") == "en"
    assert await pair.locator(".source").get_attribute("lang") == "es"
    assert await pair.locator(".target").get_attribute("dir") == "auto"
    assert "dotted" in await pair.locator(".target .tail").evaluate("tail => getComputedStyle(tail).textDecoration")
    colours = [
        await pair.locator(f".target {part}").evaluate("one => getComputedStyle(one).color")
        for part in ("span:first-child", ".tail")
    ]
    assert colours[0] != colours[1]
    await expect(page.locator("#lag")).to_have_text("1.8 s behind")
    assert await page.inner_text("#translation-said") == "", "what may still change is told to nobody"

    told.whole(0, "partner", *CONVERSATION[0][1:], record="When does the last bus to the coast leave?", lag_ms=5200.0)
    await expect(pair.locator(".target")).to_have_text("When does the last bus to the coast leave?")
    await expect(page.locator("#translation-said")).to_have_text("When does the last bus to the coast leave?")
    assert await page.get_attribute("#translation-said", "lang") == "en"
    await expect(page.locator("#lag[data-late]")).to_have_text("5.2 s behind")
    told.spoken(0, "When's the last bus?", rate=1.15, shortened=True)
    await expect(page.locator("#rate")).to_have_text("catching up, 1.15×")
    await expect(pair.locator(".mark")).to_have_text("shortened")
    told.whole(1, *CONVERSATION[1])
    await expect(page.locator(".pair[data-speaker=wearer] .who")).to_contain_text("You · English → Spanish")
    wearer.link.tell(PassedOver(t_ns=9, speaker="wearer", reason="same_language", text="Let me see."))
    await expect(page.locator(".passed")).to_have_text("“Let me see.” needs no translation.")
    boxes = [await page.locator(f".pair[data-speaker={who}]").bounding_box() for who in ("partner", "wearer")]
    assert boxes[0] and boxes[1] and boxes[0]["x"] < boxes[1]["x"], "each has a side"
    told.end()
    await expect(page.locator("#translation")).to_be_hidden()
    assert seen.faults == []


async def test_buttons_ask_and_the_buttons_to_talk_are_held(household: Household, visit: Visitor) -> None:
    seen = await visit(viewport=PHONE)
    page: Page = seen.page
    await page.click("#translate")
    await expect(page.locator("#translate-start")).to_be_disabled()
    await page.click("#translate-sheet [value=done]")
    wearer = await start(household, seen)
    await page.click("#translate")
    await page.select_option("#translate-to", "fr")
    await page.click("#translate-start")
    await until(lambda: wearer.taps == ["ask:translate this conversation to french"], "the wish to translate")
    await page.click("#translate")
    await page.click("label[for=translate-both]")
    await page.click("#translate-start")
    await until(lambda: wearer.taps[1:] == ["ask:translate to french"], "the wish to translate one way")

    told = Told(wearer)
    told.begin()
    await page.click("#translate-again")
    await page.click("#translate-slower")
    await until(lambda: wearer.taps[2:] == ["ask:say that again", "ask:slower"], "both wishes")
    wearer.taps.clear()
    for side in ("wearer", "partner"):
        button = page.locator(f".speakers [data-speak={side}]")
        await button.hover()
        await page.mouse.down()
        await until(lambda side=side: wearer.taps == [f"speak:{side}"], "the press")  # type: ignore[misc]  # one of this turn
        await expect(button).to_have_attribute("aria-pressed", "true")
        await page.mouse.move(5, 5)
        await page.mouse.up()
        await until(lambda: wearer.taps[1:] == ["speak:end"], "its end")
        wearer.taps.clear()
    await page.focus(".speakers [data-speak=wearer]")
    await page.keyboard.down(" ")
    await page.keyboard.down(" ")
    await page.keyboard.up(" ")
    await until(lambda: wearer.taps == ["speak:wearer", "speak:end"], "the key")
    await asyncio.sleep(0.6)  # a click that follows a press is the press
    await page.locator(".speakers [data-speak=partner]").dispatch_event("click")
    await until(lambda: wearer.taps[2:] == ["speak:partner"], "a click of assistive technology")
    await page.click("#translate-more")
    await page.click("#translate-stop")
    await until(lambda: "ask:stop translating" in wearer.taps, "the end")
    assert seen.faults == []


async def test_the_text_is_turned_for_both_sides_of_a_table(household: Household, visit: Visitor) -> None:
    seen = await visit(viewport=PHONE)
    page: Page = seen.page
    told = await conversing(household, seen)
    await page.click("#translate-turn")
    theirs, mine = page.locator("#across-partner .line"), page.locator("#across-wearer .line")
    await expect(theirs.last).to_have_text(CONVERSATION[2][1])
    await expect(theirs.nth(1)).to_have_text(CONVERSATION[1][2])
    await expect(mine.last).to_have_text(CONVERSATION[2][2])
    assert await theirs.last.get_attribute("lang") == "es" and await mine.last.get_attribute("lang") == "en"
    turned = await page.locator(".half.theirs").evaluate("half => new DOMMatrix(getComputedStyle(half).transform).a")
    assert turned == pytest.approx(-1.0)
    halves = [await page.locator(f".half.{name}").bounding_box() for name in ("theirs", "mine")]
    assert halves[0] and halves[1] and halves[0]["y"] + halves[0]["height"] <= halves[1]["y"] + 1
    assert await mine.last.evaluate("line => parseFloat(getComputedStyle(line).fontSize)") >= 24
    await fits(page)
    await page.locator(".theirs [data-speak=partner]").hover()
    await page.mouse.down()
    await until(lambda: told.wearer.taps == ["speak:partner"], "the press from the other side")
    await page.mouse.up()
    await page.keyboard.press("Escape")
    await expect(page.locator("#across")).to_be_hidden()
    assert seen.faults == []


async def test_the_conversation_is_saved_and_survives_a_reload(household: Household, visit: Visitor) -> None:
    seen = await visit(viewport=PHONE)
    page: Page = seen.page
    told = await conversing(household, seen)
    told.spoken(0, "What time does the last bus leave?", shortened=True)
    told.source(3, "partner", "Y luego", "se")  # not over
    await page.reload()
    await page.click("#talk")
    await expect(page.locator("#sentences .pair")).to_have_count(3)
    await page.click("#translate-more")

    async def saved(kind: str) -> str:
        async with page.expect_download() as download:
            await page.click(f"[data-save={kind}]")
        got = await download.value
        assert got.suggested_filename == f"conversation.{kind}"
        return (await got.path()).read_text(encoding="utf-8")

    table: Mapping[str, Any] = json.loads(await saved("json"))
    assert [(one["speaker"], one["source"]["text"], one["target"]["text"]) for one in table["sentences"]] == CONVERSATION
    assert table["sentences"][0]["spoken"][0]["shortened"] is True
    text = await saved("txt")
    assert text.startswith(f"[00:00:00] Partner\n  es  {CONVERSATION[0][1]}\n  en  {CONVERSATION[0][2]}\n\n[00:00:02] Wearer\n")
    vtt = (await saved("vtt")).split("\n\n")
    assert vtt[0] == "WEBVTT"
    assert vtt[1].startswith("1\n00:00:00.000 --> 00:00:02.000\n<v Partner><lang es>¿A qué hora")
    assert (await saved("srt")).startswith(
        f"1\n00:00:00,000 --> 00:00:02,000\n{CONVERSATION[0][1]}\n{CONVERSATION[0][2]}\n\n2\n"
    )
    assert seen.faults == []


async def test_nothing_sticks_out(household: Household, visit: Visitor) -> None:
    seen = await visit(viewport=SMALL)
    page: Page = seen.page
    told = await conversing(household, seen)
    told.spoken(2, "Thanks.", rate=1.2, shortened=True)
    told.source(3, "wearer", "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft", "x")
    told.target(3, "wearer", "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft", "x")
    await expect(page.locator(".pair")).to_have_count(4)
    await fits(page)
    await page.click("#translate-more")
    await page.click("#partner-invite")
    await expect(page.locator("#partner-code svg")).to_be_visible()
    await fits(page)
    await page.click("#translate-sheet [value=done]")
    await page.click("#translate-turn")
    await fits(page)
    await page.click("#turn-back")
    await page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]  # it is one
    for who, sides in (("wearer", ("source", "target")), ("partner", ("target", "source"))):
        left, right = [
            await page.locator(f".pair[data-speaker={who}]").last.locator(f".{side}").bounding_box() for side in sides
        ]
        assert left and right and left["x"] + left["width"] <= right["x"] and abs(left["y"] - right["y"]) < 2
    await fits(page)
    assert seen.faults == []


async def test_the_simulators_page_shows_it_too(household: Household, visit: Visitor) -> None:
    seen = await visit("/simulate", key=household.key("owner", "ann"), viewport=DESKTOP)
    await expect(seen.page.locator("#translate-to option")).not_to_have_count(0)  # its script is there
    told = await conversing(household, seen)
    await expect(seen.page.locator("#phone .pair .target").first).to_have_text(CONVERSATION[0][2])
    said = await seen.page.evaluate(CONVERSED)
    assert said == "translating what is said|I thank you.Gracias. · 1.5 s behind|no longer translating"
    await seen.page.click("#translate-more")
    await expect(seen.page.locator("#translate-sheet")).to_be_visible()
    await seen.page.click("#translate-sheet [value=done]")
    told.end()
    await expect(seen.page.locator("#translation")).to_be_hidden()
