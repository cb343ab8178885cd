"""What moves in a session, read ten times a second while somebody looks. Reading changes nothing and waits for nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

from edge.policy.echo import FLOOR_DB
from edge.ports import Link
from edge.runtime.session import Session


def meters(session: Session, link: Link) -> dict[str, Any]:
    """Gives levels, turn state, queues, lanes and the link's counters as one JSON object."""
    listener = session.listener
    policy = listener.policy
    return {
        "t_ms": round(session.now_ns() / 1e6),
        "state": policy.state.value,
        "level_db": _level(listener.level_db),
        "raw_db": _level(listener.raw_level_db),
        # While a wake word must come first nobody judges voice activity, and the last value is an old one.
        "voice": round(listener.voice, 3) if policy.wants_voice else None,
        "sink_delay_ms": round(session.speaker.sink_delay_s * 1000, 1),
        "speaker_s": round(session.speaker.waiting_s, 2),
        "channels": [
            {"name": channel.name, "depth": len(channel), "capacity": channel.capacity, "dropped": channel.dropped}
            for channel in (session.device.microphone, session.device.camera, listener.commands, session.speaker.queue)
        ],
        "lanes": [{"name": lane.name, "busy": lane.busy, "replaced": lane.replaced} for lane in session.engines.lanes()],
        "link": counters(link),
    }


def counters(link: Link) -> dict[str, float]:
    """Gives the finite numbers that a link counts; empty where it counts nothing."""
    count = getattr(link, "counters", None)
    table = count() if callable(count) else {}
    if not isinstance(table, Mapping):
        return {}
    return {str(name): round(value, 4) for name, value in table.items() if _finite(value)}


def _level(decibels: float) -> float:
    return round(max(FLOOR_DB, decibels), 1) if math.isfinite(decibels) else FLOOR_DB


def _finite(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)
