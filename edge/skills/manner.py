"""How the assistant speaks: loudness and pace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from edge.skill import Asking
from edge.values import VoiceStyle

LOUDNESS_STEP = 2**0.5
"""3 dB: the smallest change that is plainly heard in a street."""
PACE_STEP = 1.2
"""Four times the change of tempo that listeners just notice in speech (5 %: Quené 2007), so that it is plain at once."""
SOFTEST, LOUDEST = 0.25, 2.0
"""The upper end is that of ``VoiceStyle``. The lower is 12 dB below normal: what cannot be heard cannot be turned up by ear."""
SLOWEST, FASTEST = 0.5, 2.5

_UP = {"louder", "loud", "up"}
_DOWN = {"softer", "quieter", "soft", "softly", "quietly", "down"}
_FAST = {"faster", "fast", "quickly", "quicker"}
_SLOW = {"slower", "slow", "slowly"}


class Manner:
    """Changes loudness or pace by one step, half a step ("a bit") or two ("much"), and confirms in the new manner."""

    name = "manner"
    summary = "speak louder or slower"
    phrases: Sequence[str] = (
        "[speak | talk | read] [a bit | a little [bit] | much | a lot] (louder | softer | quieter | slower | faster)",
        "(speak | talk | read) [a bit | a little | much] more (slowly | quickly | quietly | softly)",
        "(speak | talk) (slowly | softly | quietly) [please]",
        "speak up",
        "(turn (it | the volume) | volume) (up | down) [a bit | a little]",
        "turn (up | down) the volume [a bit | a little]",
        "slow down [a bit | a little]",
        "[that is | that's] too (loud | soft | fast | slow)",
        "[speak | talk] (normally | at normal speed)",
        "[go back to] [your | the] normal (voice | speed | volume)",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives one or two words, spoken in the new style, or says that there is no more to give."""
        asked = set(asking.transcript.split())
        await asking.sure()
        style, said = changed(asking.style, asked)
        asking.speak_as(style)
        yield said


def changed(style: VoiceStyle, asked: set[str]) -> tuple[VoiceStyle, str]:
    """Gives the style after the request made of these words, and what to say in it."""
    if asked & {"normal", "normally"}:
        return _normal(style, asked), "Back to normal."
    # "Too fast" asks for the opposite of what it names. "Slow down" says "down" but means the pace.
    turn = -1 if "too" in asked else 1
    size = 0.5 if asked & {"bit", "little"} else 2.0 if asked & {"much", "lot"} else 1.0
    pace = bool(asked & _FAST) - bool(asked & _SLOW)
    if pace:
        rate = _moved(style.rate, PACE_STEP ** (turn * size * pace), SLOWEST, FASTEST)
        if rate == style.rate:
            return style, "This is as fast as I can speak." if turn * pace > 0 else "This is as slow as I can speak."
        return replace(style, rate=rate), "Faster." if turn * pace > 0 else "Slower."
    loud = turn * (bool(asked & _UP) - bool(asked & _DOWN))
    volume = _moved(style.volume, LOUDNESS_STEP ** (size * loud), SOFTEST, LOUDEST)
    if volume == style.volume:
        return style, "This is as loud as I can speak." if loud > 0 else "This is as soft as I can speak."
    return replace(style, volume=volume), "Louder." if loud > 0 else "Softer."


def _normal(style: VoiceStyle, asked: set[str]) -> VoiceStyle:
    normal = VoiceStyle()
    if "speed" in asked:
        return replace(style, rate=normal.rate)
    if "volume" in asked:
        return replace(style, volume=normal.volume)
    return normal


def _moved(value: float, factor: float, low: float, high: float) -> float:
    """A configured style may lie outside these bounds; a request never moves it the other way."""
    moved = min(max(value * factor, low), high)
    return min(moved, value) if factor < 1 else max(moved, value)
