"""Numbers that can be compared: minimum, median and 95th percentile, and the machine they come from."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from typing import Any


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float | int]:
    """Gives n, minimum, median, 95th percentile (nearest rank) and maximum."""
    if not values:
        return {"n": 0}
    ordered = sorted(values)
    rank = min(len(ordered) - 1, max(0, -(-95 * len(ordered) // 100) - 1))
    named = {"min": ordered[0], "median": statistics.median(ordered), "p95": ordered[rank], "max": ordered[-1]}
    return {"n": len(ordered), **{name: round(value, digits) for name, value in named.items()}}


def machine() -> dict[str, Any]:
    """Names the machine: a figure without it says nothing."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    except OSError:
        pass  # not Linux
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_1min": load,
    }
