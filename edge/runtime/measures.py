"""What a session measured of itself: it goes into the session bundle and into benches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from edge.channel import Channel
from edge.runtime.lane import Lane


@dataclass(frozen=True, slots=True)
class Measures:
    """Counts and times since the session's start."""

    drops: dict[str, int]
    """Items dropped, for every channel that dropped any."""
    lanes_free_ms: dict[str, list[float]]
    """For every lane whose work was cut: milliseconds from the stop until the engine was free."""
    engines_replaced: dict[str, int]
    """How often an engine hung and was given up."""


def measure(channels: Iterable[Channel[Any]], lanes: Iterable[Lane[Any]]) -> Measures:
    """Collects them."""
    lanes = tuple(lanes)
    return Measures(
        drops={channel.name: channel.dropped for channel in channels if channel.dropped},
        lanes_free_ms={lane.name: [round(s * 1000, 1) for s in lane.free_after] for lane in lanes if lane.free_after},
        engines_replaced={lane.name: lane.replaced for lane in lanes if lane.replaced},
    )
