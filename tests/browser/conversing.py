"""A conversation as a session tells it to a page, and what every page of it must be: whole at every width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.async_api import Page, expect

from edge.translation import InterpretingChanged, SourceHeard, Translated, TranslationSpoken
from tests.browser.conftest import Household, Visit, Wearer
from tests.browser.test_page import start

SMALL = {"width": 320, "height": 568}
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}
OVERFLOWS = """() => {
  const wide = document.documentElement.clientWidth;
  const all = [...document.querySelectorAll("body *")].filter((one) => !one.closest(".unseen, .sprite"));
  return all.filter((one) => one.checkVisibility()).filter((one) => {
    const { left, right, width } = one.getBoundingClientRect();
    return width && (right > wide + 0.5 || left < -0.5);
  }).map((one) => `${one.tagName}#${one.id}.${one.className} ${JSON.stringify(one.getBoundingClientRect())}`);
}"""
"""What sticks out of the page at either side."""
CUT = """() => [...document.querySelectorAll("button, h2:not(.unseen), label, .who")]
  .filter((one) => one.checkVisibility() && getComputedStyle(one).display !== "inline")
  .filter((one) => one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1)
  .map((one) => `${one.tagName}#${one.id} ${one.textContent.trim()}`)"""
"""Whose words do not fit into it."""


@dataclass
class Told:
    """Tells a conversation as a session does."""

    wearer: Wearer
    at_ns: int = 1_000_000_000

    def begin(self, *, partner: str = "es", both: bool = True, target: str = "") -> None:
        event = InterpretingChanged(t_ns=self.at_ns, on=True, mine="en", theirs=partner, both=both, target=target)
        self.wearer.link.tell(event)

    def end(self) -> None:
        self.wearer.link.tell(InterpretingChanged(t_ns=self.at_ns, on=False))

    def source(self, sentence: int, speaker: str, text: str, tail: str = "", *, final: bool = False) -> None:
        language = "en" if speaker == "wearer" else "es"
        start = 2000.0 * sentence
        fields: dict[str, Any] = {"start_ms": start, "end_ms": start + 1500.0, "final": final}
        heard = SourceHeard(
            t_ns=self.at_ns, sentence=sentence, speaker=speaker, language=language, text=text, tail=tail, **fields
        )
        self.wearer.link.tell(heard)

    def target(self, sentence: int, speaker: str, text: str, tail: str = "", **more: Any) -> None:
        language = "es" if speaker == "wearer" else "en"
        fields: dict[str, Any] = {"lag_ms": 1840.0, **more}
        self.wearer.link.tell(
            Translated(t_ns=self.at_ns, sentence=sentence, speaker=speaker, language=language, text=text, tail=tail, **fields)
        )

    def spoken(self, sentence: int, text: str, *, rate: float = 1.0, shortened: bool = False, lag_ms: float = 2200.0) -> None:
        fields: dict[str, Any] = {"start_ms": 2000.0 * sentence + 900, "lag_ms": lag_ms, "rate": rate, "shortened": shortened}
        self.wearer.link.tell(
            TranslationSpoken(t_ns=self.at_ns, sentence=sentence, to="wearer", language="en", text=text, **fields)
        )

    def whole(self, sentence: int, speaker: str, source: str, target: str, **more: Any) -> None:
        self.source(sentence, speaker, source, final=True)
        self.target(sentence, speaker, target, final=True, **more)


CONVERSATION = [
    ("partner", "¿A qué hora sale el último autobús hacia la costa?", "What time does the last bus to the coast leave?"),
    ("wearer", "At twenty past nine, from the stop across the road.", "A las nueve y veinte, desde la parada de enfrente."),
    ("partner", "Muchas gracias. ¿Y cuánto cuesta el billete?", "Thank you very much. And how much is the ticket?"),
]


async def conversing(household: Household, seen: Visit) -> Told:
    """A page on which three sentences were said."""
    told = Told(await start(household, seen))
    told.begin()
    for sentence, (speaker, source, target) in enumerate(CONVERSATION):
        told.whole(sentence, speaker, source, target)
    await expect(seen.page.locator("#sentences .pair")).to_have_count(3)
    return told


async def fits(page: Page) -> None:
    assert await page.evaluate(OVERFLOWS) == []
    assert await page.evaluate(CUT) == []
