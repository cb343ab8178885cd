"""How many wearers one machine serves: the same question from ever more of them, until its answer takes twice as long.

The wearers talk to one household, each on a link in memory, none in step with the others: what is measured is the engines and
the runtime. A connection over WebRTC takes its share of a core beside that (``python -m tools.bench.link``).
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np

from edge import app
from edge.bench.answer import bursts
from edge.bench.stats import machine, spread
from edge.cli import loop
from edge.cli.output import Output
from edge.config import Config
from edge.demo.scene import SceneTurn, load
from edge.events import Event, TurnEnded
from edge.household import Household
from edge.ports import Link
from edge.runtime.session import Session
from edge.runtime.told import Told
from edge.values import SAMPLE_RATE

EVERY_S = 6.0
"""Between two questions of one wearer: somebody who really wants to know."""


class _Ledger:
    """Keeps what each wearer was told."""

    def __init__(self) -> None:
        self.told: dict[str, Told] = {}
        self.arrived: dict[str, asyncio.Event] = {}

    def joined(self, wearer: str, session: Session, link: Link) -> None:
        """Lets the wearer begin."""
        self.arrived[wearer].set()

    def event(self, wearer: str, event: Event) -> None:
        """Keeps it."""
        self.told[wearer](event)

    def left(self, wearer: str) -> None:
        """Nothing."""


async def _wear(ledger: _Ledger, name: str, glasses: Any, turn: SceneTurn, repeats: int, late: float) -> list[float]:
    """One wearer: asks, listens, asks again; gives voice-to-voice times in milliseconds, infinite where no answer came."""
    first, last = bursts(turn.sound)[0]
    question = turn.sound[: last + SAMPLE_RATE]
    found = []
    await ledger.arrived[name].wait()
    glasses.see(turn.picture)
    await asyncio.sleep(1.0 + late)
    for _ in range(repeats):
        next_at = asyncio.get_running_loop().time() + EVERY_S
        before = len(ledger.told[name].events)
        glasses.say(question)
        try:
            ended = await ledger.told[name].wait(TurnEnded, before, patience=30.0)
            found.append(ended.timings_ms.voice_to_voice or float("inf"))
        except TimeoutError:
            found.append(float("inf"))
        await asyncio.sleep(max(0.5, next_at - asyncio.get_running_loop().time()))
    return found


async def _serve(config: Config, turn: SceneTurn, wearers: int, repeats: int) -> list[float]:
    ledger = _Ledger()
    async with AsyncExitStack() as stack:
        household = await stack.enter_async_context(Household(config, Path("recordings"), ledger))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        asking = []
        for number in range(wearers):
            name, glasses = f"wearer {number}", app.sim_glasses()
            ledger.told[name], ledger.arrived[name] = Told(), asyncio.Event()
            serving = group.create_task(household.serve(glasses, name))
            stack.callback(serving.cancel)
            late = number * EVERY_S / wearers
            asking.append(group.create_task(_wear(ledger, name, glasses, turn, repeats, late)))
        return [value for times in await asyncio.gather(*asking) for value in times]


async def _bench(config: Config, most: int, repeats: int) -> dict[str, Any]:
    turn = load()[1]
    steps: dict[str, Any] = {}
    alone = served = 0.0
    for wearers in range(1, most + 1):
        times = await _serve(config, turn, wearers, repeats)
        steps[str(wearers)] = {
            **spread([value for value in times if np.isfinite(value)], 0),
            "unanswered": times.count(float("inf")),
        }
        median = float(np.median(times))
        alone = alone or median
        if median > 2 * alone:
            break
        served = wearers
    return {"voice_to_voice_ms": steps, "wearers_before_it_doubles": int(served), "asked_every_s": EVERY_S}


def main(most: int, repeats: int, profile: str | None, *, as_json: bool) -> None:
    """Prints a line for each number of wearers."""
    result = {"bench": "wearers", **loop.run(_bench(app.load_config(profile), most, repeats)), "machine": machine()}
    lines = [
        f"{number:>3} wearers {row.get('median', 0):7.0f} ms median {row.get('p95', 0):7.0f} p95  n={row['n']} "
        f"unanswered {row['unanswered']}"
        for number, row in result["voice_to_voice_ms"].items()
    ]
    Output(as_json=as_json).line(result, "\n".join([*lines, f"serves {result['wearers_before_it_doubles']} before it doubles"]))
