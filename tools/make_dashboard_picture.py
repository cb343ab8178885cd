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
from tests.browser.simulator import simulator, visitor

PICTURE = Path(__file__).parents[1] / "docs" / "simulator.png"
BEFORE_S, AFTER_S = 7.0, 20.0


async def take() -> None:
    """Writes the picture."""
    sign = load()[0]
    quiet = [np.zeros(samples(seconds), np.int16) for seconds in (BEFORE_S, AFTER_S)]
    sound = np.concatenate([quiet[0], sign.sound, quiet[1]])
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        async with simulator(state, "--port", "0") as running, visitor(Path(folder), sound, sign.picture) as page:
            await page.goto(running.url)
            await page.fill("#name", "Developer's laptop")
            await page.click("#pair")
            await page.wait_for_url("**/simulate")
            await page.click("#talk")
            await running.event("turn")
            await asyncio.sleep(1.0)
            await page.screenshot(path=PICTURE)


if __name__ == "__main__":
    asyncio.run(take())
