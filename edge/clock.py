"""How a device's sample clock lies on the loop's clock, and how far it has drifted from it.

A chunk of sound may come late, never early: among many arrivals the earliest, taken relative to its media time, tells best
when media time zero was. Two crystals differ by up to 100 parts in a million, 180 ms in half an hour; so only the arrivals of
the last seconds count, and the clock follows the device in both directions.
"""

from __future__ import annotations

from collections import deque

from edge.values import SAMPLE_RATE

MEMORY_S = 15.0
"""Seconds of arrivals that count. 100 parts in a million are 1.5 ms in that time; a burst of late packets is shorter."""


class MediaClock:
    """Maps media time, in samples, to the loop's clock, in seconds, and back."""

    def __init__(self, origin: float) -> None:
        """``origin`` is the loop time of media time zero, as far as it is known before the first arrival."""
        self._origin = origin
        # A monotonic queue: each entry is the earliest of all that came after the one before it.
        self._earliest: deque[tuple[float, float]] = deque()

    def arrived(self, end: int, at: float) -> None:
        """Takes that the sound up to sample ``end`` arrived at loop time ``at``."""
        origin = at - end / SAMPLE_RATE
        while self._earliest and self._earliest[-1][1] >= origin:
            self._earliest.pop()
        self._earliest.append((at, origin))
        while self._earliest[0][0] < at - MEMORY_S:
            self._earliest.popleft()
        self._origin = self._earliest[0][1]

    def loop_time(self, sample: int) -> float:
        """When a sample was captured, on the loop's clock."""
        return self._origin + sample / SAMPLE_RATE

    def media_ns(self, at: float) -> int:
        """Media time at loop time ``at``, in nanoseconds, not below zero."""
        return round(max(0.0, at - self._origin) * 1e9)
