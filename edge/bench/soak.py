"""``bench soak``: dialogue for hours of media time, as fast as the machine can: does memory stay flat, does nothing leak.

The bundled scene's questions and pictures are asked again and again of the real engines in virtual time, so that pauses cost
nothing and work costs itself.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from itertools import cycle
from typing import Any

from edge import app
from edge.bench.stats import machine
from edge.cli.output import Output
from edge.config import Config
from edge.demo.scene import load
from edge.events import Event, Failed, TurnEnded
from edge.household import session
from edge.runtime import virtual

SAMPLES = 60
"""How often memory is looked at."""


def resident_mb() -> float:
    """Resident memory of this process and its children (the voice), in 10^6 bytes."""
    import psutil

    process = psutil.Process()
    return float(sum(part.memory_info().rss for part in (process, *process.children(recursive=True)))) / 1e6


async def _soak(config: Config, minutes: float) -> dict[str, Any]:
    glasses = app.sim_glasses(memory=60.0)
    counts = {"turns": 0, "failures": 0, "interrupted": 0}

    def tell(event: Event) -> None:
        counts["turns"] += isinstance(event, TurnEnded)
        counts["interrupted"] += isinstance(event, TurnEnded) and event.interrupted
        counts["failures"] += isinstance(event, Failed)

    memory: list[tuple[float, float]] = []
    scene = load()
    async with session(config, glasses, emit=tell) as served:
        await asyncio.sleep(1.0)  # the session's own tasks run by now
        tasks = len(asyncio.all_tasks())
        for turn in cycle(scene):
            now = glasses.now() / 60
            if now >= minutes:
                break
            if len(memory) < now / minutes * SAMPLES:
                gc.collect()
                memory.append((now, resident_mb()))
            glasses.see(turn.picture)
            await glasses.until(glasses.say(turn.sound) + 1.0)
            await served.idle()
            await asyncio.sleep(0.5)
        memory.append((glasses.now() / 60, resident_mb()))
        left = len(asyncio.all_tasks()) - tasks
    return {**counts, "memory": memory, "tasks_left": left, "threads": threading.active_count()}


def slope(memory: list[tuple[float, float]]) -> float:
    """Megabytes an hour by least squares over the second half, when everything has been loaded."""
    half = memory[len(memory) // 2 :]
    if len(half) < 2:
        return 0.0
    middle = sum(at for at, _ in half) / len(half)
    level = sum(mb for _, mb in half) / len(half)
    spread = sum((at - middle) ** 2 for at, _ in half)
    return sum((at - middle) * (mb - level) for at, mb in half) / spread * 60 if spread else 0.0


def main(minutes: float, profile: str | None, *, as_json: bool) -> None:
    """Prints memory at the beginning, in the middle and at the end, and its slope."""
    config = app.load_config(profile)
    began = time.perf_counter()
    measured = virtual.run(_soak(config, minutes), charge=True)
    took = time.perf_counter() - began
    memory = measured.pop("memory")
    result = {
        "bench": "soak",
        "minutes": minutes,
        "took_s": round(took, 1),
        **measured,
        "resident_mb": {
            "first": round(memory[0][1], 1),
            "middle": round(memory[len(memory) // 2][1], 1),
            "last": round(memory[-1][1], 1),
            "peak": round(max(mb for _, mb in memory), 1),
        },
        "slope_mb_per_hour": round(slope(memory), 2),
        "open_files": len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None,
        "machine": machine(),
    }
    mb = result["resident_mb"]
    text = (
        f"{minutes:.0f} minutes of dialogue in {took:.0f} s: {result['turns']} turns, {result['failures']} failures\n"
        f"resident {mb['first']} MB at first, {mb['middle']} in the middle, {mb['last']} at the end, peak {mb['peak']}\n"
        f"slope over the second half {result['slope_mb_per_hour']} MB an hour, {result['tasks_left']} tasks left"
    )
    Output(as_json=as_json).line(result, text)
