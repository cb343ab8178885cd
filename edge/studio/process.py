"""What this process takes of the machine."""

from __future__ import annotations

from collections.abc import Mapping

import psutil

EVERY_S = 1.0
"""Seconds between two looks: a share of a core means nothing over less."""


class Process:
    """Memory and processor time of this process, looked at once a second however often it is asked."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._at = float("-inf")
        self._used = 0.0
        self._found: Mapping[str, float] = {}

    def read(self, now: float) -> Mapping[str, float]:
        """Gives ``memory_mb`` and ``cpu``, the share of one core since the last look (2.0: two cores busy).

        ``now`` is the loop's time. The first reading has no ``cpu``.
        """
        if now - self._at < EVERY_S:
            return self._found
        times = self._process.cpu_times()
        used = times.user + times.system
        found: dict[str, float] = {"memory_mb": round(self._process.memory_info().rss / 1e6), "cores": psutil.cpu_count() or 1}
        if self._found:
            found["cpu"] = round((used - self._used) / (now - self._at), 3)
        self._at, self._used, self._found = now, used, found
        return found
