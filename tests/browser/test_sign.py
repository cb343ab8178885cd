"""Text of a picture in another language, painted over its own place in a real browser."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from playwright.async_api import Page, expect

from edge.events import FrameChosen
from edge.translation import TextTranslated
from edge.values import Pixels
from phone_bridge.webrtc import WebRtcGlasses
from tests.browser.chromium import PICTURE, Chromium
from tests.browser.conftest import Household, Visitor, until
from tests.browser.conversing import PHONE, fits
from tests.browser.test_page import start

pytestmark = pytest.mark.real_time


def menu() -> tuple[Pixels, list[tuple[str, str, tuple[int, int, int, int], float]]]:
    """A menu on a dark board, one line of it turned; and what its lines mean."""
    width, height = PICTURE
    picture = np.full((height, width, 3), (40, 60, 30), np.uint8)
    lines = []
    for text, meant, foot, angle in (
        ("SOPA DE PESCADO", "Fish soup", 100, 0.0),
        ("PULPO A LA GALLEGA", "Galician-style octopus with paprika and olive oil", 210, 0.0),
        ("CERRADO LUNES", "Closed on Mondays", 340, 14.0),
    ):
        sheet = np.zeros_like(picture)
        cv2.putText(sheet, text, (80, foot), cv2.FONT_HERSHEY_DUPLEX, 1.1, (235, 240, 240), 2)
        turned = cv2.warpAffine(sheet, cv2.getRotationMatrix2D((260.0, foot), -angle, 1.0), (width, height))
        x, y, wide, high = cv2.boundingRect(turned[:, :, 0])
        lines.append((text, meant, (x - 6, y - 6, x + wide + 6, y + high + 6), angle))
        picture[:] = np.maximum(picture, turned)
    return picture, lines


async def test_a_translated_sign_lies_over_its_place(household: Household, visit: Visitor, shared_chromium: Chromium) -> None:
    picture, lines = menu()
    shared_chromium.sees(picture)
    seen = await visit(viewport=PHONE)
    page: Page = seen.page
    wearer = await start(household, seen)
    link = wearer.link
    assert isinstance(link, WebRtcGlasses)
    await until(lambda: wearer.frames, "a picture")
    frame = wearer.frames[-1]
    link.tell(FrameChosen(t_ns=5, index=frame.index, age_ms=10.0, sharpness=9.0))
    height, width = frame.pixels.shape[:2]
    scale = width / PICTURE[0]
    told = tuple(
        {"text": text, "translation": meant, "box": [value * scale for value in box], "angle": angle}
        for text, meant, box, angle in lines
    )
    link.tell(TextTranslated(t_ns=6, language="en", width=width, height=height, lines=told))
    canvas = page.locator(".sign canvas").first
    shown = await canvas.bounding_box()
    assert shown is not None
    assert await canvas.evaluate("c => c.getContext('2d').getImageData(5, 5, 1, 1).data[1]") == pytest.approx(60, abs=12)
    for text, meant, (x0, y0, x1, y1), _ in lines:
        line = page.locator(f"[data-line='{text}']")
        assert " ".join(await line.locator("text").all_text_contents()) == meant
        ratio = shown["width"] / PICTURE[0]
        placed = await line.locator("rect").bounding_box()
        assert placed is not None
        wanted = [shown["x"] + x0 * ratio, shown["y"] + y0 * ratio, (x1 - x0) * ratio, (y1 - y0) * ratio]
        assert [placed["x"], placed["y"], placed["width"], placed["height"]] == pytest.approx(wanted, abs=3), text
        for words in await line.locator("text").all():
            inner = await words.bounding_box()
            assert inner and inner["x"] >= placed["x"] - 1 and inner["x"] + inner["width"] <= placed["x"] + placed["width"] + 1
        assert await line.locator("text").first.get_attribute("fill") == "#fff", "light on a dark board"
    await page.click(".sign .stage")
    await expect(page.locator(".sign svg")).to_be_hidden()
    assert await page.get_attribute(".sign .stage", "aria-pressed") == "false"
    await page.click(".sign .stage")
    await expect(page.locator(".sign svg")).to_be_visible()
    await page.click(".bigger")
    large = await canvas.bounding_box()
    assert large and large["width"] >= shown["width"]
    await fits(page)
    await page.keyboard.press("Escape")
    # A picture that is no longer kept: the lines are shown all the same.
    link.tell(FrameChosen(t_ns=7, index=99_999, age_ms=10.0, sharpness=9.0))
    link.tell(TextTranslated(t_ns=8, language="en", width=width, height=height, lines=told[:1]))
    await expect(page.locator(".sign")).to_have_count(2)
    assert all("404" in fault for fault in seen.faults)
