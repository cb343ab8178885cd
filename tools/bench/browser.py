"""What a wearer at a browser waits for: the answer after a question, and the silence after an interruption.

``python -m tools.bench.browser [--turns 10] [--json]``. ``nearsight simulate`` with the bundled engines runs in a process of
its own; headless Chromium's microphone plays the demo's third question and then its ``stop``, again and again; the page records
what its microphone hears beside what its loudspeaker plays, on one clock. ``voice_to_voice`` is from the question's last loud
sample to the reply's first, ``barge_in`` from the onset of ``stop`` to the reply's last. An onset in a pause between two
sentences is counted and left out: there was nothing to silence.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edge.bench.answer import bursts
from edge.bench.stats import machine, spread
from edge.demo.scene import load
from edge.values import SAMPLE_RATE, Pcm, samples
from tests.browser.chromium import Chromium, chromium
from tests.browser.simulator import Simulator, audible, simulator, tape, visitor

START_S = 8.0
REPLY_S, STEP_S = 3.6, 0.13
"""Seconds from a question to the word that cuts its reply: a little later each time, to meet all of the reply."""
REST_S = 4.0
NEAR_S = 0.06


def script(turns: int) -> Pcm:
    """The microphone's sound."""
    notice = load()[2].sound
    question, stop = [notice[start - samples(0.05) : end + samples(0.05)] for start, end in bursts(notice)]
    parts = [np.zeros(samples(START_S), np.int16)]
    for turn in range(turns):
        parts += [question, np.zeros(samples(REPLY_S + STEP_S * turn), np.int16), stop, np.zeros(samples(REST_S), np.int16)]
    return np.concatenate([*parts, np.zeros(samples(60), np.int16)])


def analyse(heard: Pcm, played: Pcm) -> dict[str, Any]:
    """Finds the questions, the words that cut and the replies."""
    spoken = [(start / SAMPLE_RATE, end / SAMPLE_RATE) for start, end in bursts(heard)]
    answers, cuts, paused = [], [], 0
    for question, stop in zip(spoken[::2], spoken[1::2], strict=False):
        reply = audible(played, question[1], stop[0] + REST_S)
        if reply is None or reply[0] > stop[0]:
            continue
        answers.append(float(reply[0] - question[1]) * 1000)
        if audible(played, stop[0] - NEAR_S, stop[0] + NEAR_S) is None:
            paused += 1
        else:
            cuts.append(float(reply[1] - stop[0]) * 1000)
    return {"voice_to_voice_ms": spread(answers, 0), "barge_in_ms": spread(cuts, 0), "onset_in_a_pause": paused}


async def _measure(browser: Chromium, running: Simulator, turns: int) -> dict[str, Any]:
    sound = script(turns)
    browser.hears(sound)
    browser.sees(load()[2].picture)
    async with browser.connect() as connected, visitor(connected, running.invite("bench")) as page:
        await page.click("#talk")
        await asyncio.sleep(len(sound) / SAMPLE_RATE - 58)
        heard, played = await tape(page)
        await page.click("#end")
        ended = await running.event("end")
    told = running.told("turn")
    waits = [row["timings_ms"]["voice_to_voice"] for row in told if "voice_to_voice" in row["timings_ms"]]
    return {
        **analyse(heard, played),
        "session_voice_to_voice_ms": spread(waits, 0),
        "turns": len(told),
        "interrupted": sum(row["interrupted"] for row in told),
        "understood": sum(row["skill"] == "read_text" for row in told),
        "drops": ended["drops"],
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium(Path(folder)) as browser, simulator(Path(folder)) as running:
        found = asyncio.run(_measure(browser, running, given.turns))
    result = {"bench": "browser", **found, "machine": machine()}
    print(json.dumps(result) if given.json else "\n".join(f"{name:<28}{value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
