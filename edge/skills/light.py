"""Whether the light is on: how bright it is now, and against before.

A camera sets its exposure by what it sees, so a picture's brightness says less than it seems to: a lit room and a dull day look
alike. What does not lie are pictures that stay dark in spite of it, lamps that burn out the picture where they are, and a
change between two pictures. So a plain "on" or "off" is said only of these, the rest is worded as what it looks like.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import numpy as np

from edge.skill import Asking, Meant
from edge.values import Box, Pixels

DARK, DIM, BRIGHT = 0.1, 0.25, 0.4
"""Mean luma below which a room has no light, below which it has little, and from which white things burn out like lamps."""
CHANGED = 0.12
"""Of mean luma: a lamp that is switched changes it more, a cloud less."""
LAMP = (0.0005, 0.08)
"""Share of the picture that is burnt out where a lamp is in view; more is a window or the sky."""


class Light:
    """Says whether it is light, and whether it is lighter than when it was last asked."""

    name = "light"
    summary = "tell whether the light is on"
    phrases: Sequence[str] = (
        "(is | are) the (light | lights | lamp) (on | off)",
        "is it (dark | bright | light) [in here | here]",
        "did i leave the (light | lights) on",
        "how bright is it [here | in here]",
        "(has | did) the light (changed | change)",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives one or two sentences. Raises NoView."""
        frame = await asking.frame()
        now = (await asking.scene()).brightness
        yield judged(now, lamp(frame.pixels))
        before = asking.meant
        if before is not None and before.label == self.name:
            change = now - luma(before.frame.pixels)
            if abs(change) >= CHANGED:
                yield f" It is {'brighter' if change > 0 else 'darker'} than before."
        height, width = frame.pixels.shape[:2]
        await asking.sure()
        asking.mean(Meant(frame, Box(0.0, 0.0, float(width), float(height)), self.name))


def judged(brightness: float, lamp_in_view: bool) -> str:
    """Gives what a brightness, 0 to 1, means."""
    if lamp_in_view and DARK <= brightness < BRIGHT:
        return "I think I see a lamp that is on."
    if brightness < DARK:
        return "It is dark, I think the light is off." if not lamp_in_view else "It is dark, but I see a small light."
    if brightness < DIM:
        return "It is dim. I cannot tell whether a light is on."
    return "It is bright. I see no lamp, so it may be daylight."


def luma(pixels: Pixels) -> float:
    """Gives the mean luma, 0 to 1 (BT.601)."""
    return float(pixels.reshape(-1, 3).mean(axis=0) @ np.array([0.114, 0.587, 0.299])) / 255


def lamp(pixels: Pixels) -> bool:
    """Whether a small part of the upper picture is burnt out and the rest is not."""
    burnt = (pixels.min(axis=2) >= 250)[: max(1, round(0.7 * len(pixels)))]
    return LAMP[0] < float(burnt.mean()) < LAMP[1]
