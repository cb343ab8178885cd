"""The glasses' clock in terms of the host's: four timestamps, as in NTP (RFC 5905, section 8).

Of the last exchanges the one with the shortest round trip says the offset, because a wait in a queue lengthens one way only and
makes the offset wrong by half of it. Drift is the slope of such offsets over the last minutes: crystals differ by 20 to 50 ppm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

WINDOW = 8
"""Exchanges of which the quickest counts."""
HISTORY = 64
"""Offsets kept for the drift."""
DRIFT_SPAN_US = 20_000_000
"""No drift is told before the offsets span so much."""
MAX_DRIFT = 500e-6
"""A steeper slope is noise."""


class ClockFilter:
    """Estimates the device clock from ``Clock`` exchanges. All times in us."""

    def __init__(self, window: int = WINDOW) -> None:
        self._recent: deque[tuple[int, float, int, int]] = deque(maxlen=window)  # round trip, offset, host, device
        self._best: deque[tuple[int, float]] = deque(maxlen=HISTORY)  # host time, offset
        self.drift = 0.0
        """Seconds that the device clock gains in a second of the host's."""

    @property
    def ready(self) -> bool:
        """Whether an exchange has been seen."""
        return bool(self._recent)

    @property
    def round_trip_us(self) -> int:
        """The shortest of late; the offset is right to within half of it. Raises ValueError before the first exchange."""
        return min(self._recent)[0]

    @property
    def offset_us(self) -> float:
        """What the device clock is ahead of the host's, now that the last exchange was. Raises ValueError before the first."""
        _, offset, host, _ = min(self._recent)
        return offset + self.drift * (self._recent[-1][2] - host)

    def take(self, t1: int, t2: int, t3: int, t4: int) -> bool:
        """Takes one exchange: host wrote, device received, device replied, host received.

        Gives False, and takes nothing, where the times contradict each other: a reply older than its request, or a round
        trip shorter than the device's own part of it.
        """
        if t4 < t1 or t3 < t2 or t4 - t1 < t3 - t2:
            return False
        self._recent.append((t4 - t1 - (t3 - t2), (t2 - t1 + t3 - t4) / 2, (t1 + t4) // 2, t3))
        best = min(self._recent)
        if not self._best or self._best[-1] != (best[2], best[1]):
            self._best.append((best[2], best[1]))
            self.drift = _slope(self._best)
        return True

    def reset(self) -> None:
        """Forgets everything: the glasses have started anew (``HelloReply.boot`` is another)."""
        self._recent.clear()
        self._best.clear()
        self.drift = 0.0

    def unwrapped(self, low: int) -> int:
        """Gives the whole device time whose low 32 bits these are: the one nearest to the last exchange, 35 minutes each way.

        Raises ValueError before the first exchange.
        """
        if not self._recent:
            raise ValueError("no exchange of clocks yet")
        device = self._recent[-1][3]
        return device + ((low - device + 0x80000000) & 0xFFFFFFFF) - 0x80000000

    def host_time(self, device_us: int) -> int:
        """Gives the host's time at which the device clock shows ``device_us``. Raises ValueError before the first exchange."""
        host = device_us - self.offset_us
        return round(host - self.drift * (host - self._recent[-1][2]))


def _slope(points: Sequence[tuple[int, float]]) -> float:
    """Least squares through the points; 0 where they span too little, or the slope is none of a crystal."""
    if points[-1][0] - points[0][0] < DRIFT_SPAN_US:
        return 0.0
    x0, y0 = points[0]
    xs = [x - x0 for x, _ in points]
    ys = [y - y0 for _, y in points]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    return slope if abs(slope) <= MAX_DRIFT else 0.0
