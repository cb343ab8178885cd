"""What a command was given, checked: a page is not to be trusted with types."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from edge.errors import UsageError
from edge.ports import Link
from edge.tables import nearest


class Arguments:
    """The arguments of one command. Every method raises UsageError, which names the argument."""

    def __init__(self, name: str, values: Mapping[str, Any], known: Sequence[str]) -> None:
        """Raises UsageError where no command is called ``name``."""
        if name not in known:
            raise UsageError(f"there is no command {name[:40]!r}: {nearest(name[:40], tuple(known))}")
        self._values = values

    def has(self, key: str) -> bool:
        """Says whether it was given at all."""
        return self._values.get(key) is not None

    def text(self, key: str, longest: int = 200, default: str | None = None) -> str:
        """Gives a text, stripped."""
        value = self._values.get(key, default)
        if not isinstance(value, str):
            raise UsageError(f"{key}: must be a text")
        if len(value) > longest:
            raise UsageError(f"{key}: is longer than {longest} characters")
        return value.strip()

    def one_of(self, key: str, names: Sequence[str]) -> str:
        """Gives a text that is one of ``names``."""
        value = self.text(key)
        if value not in names:
            raise UsageError(f"{key}: there is no {value!r}" + (f", known are {', '.join(sorted(names))}" if names else ""))
        return value

    def flag(self, key: str) -> bool:
        """Gives a truth."""
        value = self._values.get(key)
        if not isinstance(value, bool):
            raise UsageError(f"{key}: must be true or false")
        return value

    def number(self, key: str, low: float, high: float) -> float:
        """Gives a number between ``low`` and ``high``, both included."""
        value = self._values.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise UsageError(f"{key}: must be a number")
        if not low <= value <= high:
            raise UsageError(f"{key}: must lie between {low:g} and {high:g}")
        return float(value)


@runtime_checkable
class Impairment(Protocol):
    """What a link does to its own packets, for tests and for the simulator. It may be changed while it runs."""

    loss: float
    """Share of the packets that is lost, 0 to 1."""
    delay: float
    """Seconds, one way."""
    jitter: float
    """Seconds: up to this is added to the delay of each packet."""


def impairment(link: Link) -> Impairment | None:
    """Gives the network of a link that can be impaired; None for all others."""
    found = getattr(link, "impairment", None)
    return found if isinstance(found, Impairment) else None
