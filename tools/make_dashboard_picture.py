"""Takes the README's picture of the simulator: ``python -m tools.make_dashboard_picture``.

A live session, nothing staged: headless Chromium's microphone plays the demo's first question, its camera shows its sign.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import numpy as np

from edge.demo.scene import load
from edge.values import samples
from tests.browser.chromium import Chromium, chromium
from tests.browser.simulator import Simulator, simulator, visitor

PICTURE = Path(__file__).parents[1] / "docs" / "simulator.png"
BEFORE_S, AFTER_S = 7.0, 20.0


async def take(browser: Chromium, running: Simulator) -> None:
    """Writes the picture."""
    sign = load()[0]
    quiet = [np.zeros(samples(seconds), np.int16) for seconds in (BEFORE_S, AFTER_S)]
    browser.hears(np.concatenate([quiet[0], sign.sound, quiet[1]]))
    browser.sees(sign.picture)
    async with browser.connect() as connected, visitor(connected, running.invite("me")) as page:
        await page.click("#talk")
        await running.event("turn")
        await asyncio.sleep(1.0)
        await page.screenshot(path=PICTURE)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, chromium(Path(folder)) as browser, simulator(Path(folder)) as running:
        asyncio.run(take(browser, running))
