"""Whether a server that failed is asked again: a circuit breaker (Nygard, "Release It!", 2nd ed. 2018, section 5.4).

Time is handed in, in seconds of any clock that does not jump.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Circuit(enum.Enum):
    """What becomes of the next request."""

    CLOSED = "closed"
    """It is sent."""
    OPEN = "open"
    """It is not: the server rests."""
    TRIAL = "trial"
    """It is sent, and decides."""


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a server rests, and how long, in seconds."""

    failures: int = 2
    """So many in a row open the circuit: one may be a packet's fault, and every one costs the wearer a timeout."""
    rest: float = 5.0
    """The first rest. Each trial that fails doubles it."""
    longest: float = 120.0
    refused: float = 60.0
    """The rest after a refusal, from the first on: a wrong key stays wrong until somebody mends it."""


class Breaker:
    """Counts what a server does, and says whether it is asked."""

    def __init__(self, settings: BreakerSettings | None = None) -> None:
        self._settings = settings or BreakerSettings()
        self._failures = 0
        self._rest = self._settings.rest
        self._until: float | None = None
        """When the rest ends; None while the circuit is closed."""

    def state(self, now: float) -> Circuit:
        """What becomes of a request at ``now``."""
        if self._until is None:
            return Circuit.CLOSED
        return Circuit.TRIAL if now >= self._until else Circuit.OPEN

    def worked(self) -> None:
        """The server did what it was asked."""
        self._failures, self._rest, self._until = 0, self._settings.rest, None

    def failed(self, now: float, *, refused: bool = False, after: float = 0.0) -> None:
        """The server failed at ``now``. ``after`` is how many seconds it asked to be left alone."""
        trial = self._until is not None
        self._failures += 1
        if not (trial or refused or after or self._failures >= self._settings.failures):
            return
        wanted = max(self._rest, after, self._settings.refused if refused else 0.0)
        self._until = now + min(wanted, self._settings.longest)
        self._rest = min(2 * self._rest, self._settings.longest)
