"""Whether sound and picture of glasses over WebRTC stay together, and stay in time, over half an hour of real time.

``python -m tools.bench.drift [--minutes 30]``. Every few seconds the client claps: a chunk of tone, and a white picture at the
same moment; the server plays a tone back. Of each clap the server notes when it came (``CLOCK_MONOTONIC``, which the
processes share) and which media time it was given. Drift is the difference between the medians of the first and the last tenth.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge.bench.stats import machine, spread
from edge.values import NS_PER_SAMPLE
from phone_bridge.peer import Peer
from phone_bridge.webrtc import WebRtcGlasses
from tests.phone_bridge.client import Client
from tools.bench.link import LOUD, mark

EVERY_S = 5.0
"""Between two claps."""
NEAR_S = 1.0
"""A clap is the one that was sent at most so long before."""
BRIGHT = 180
SIZE = (240, 320)
FPS = 15

Seen = list[tuple[float, float]]
"""When a clap came, and its media time, both in seconds."""


async def _serve(seconds: float) -> None:
    """The server's process: an offer on standard input, the answer and what was noted on standard output."""
    loop = asyncio.get_running_loop()
    glasses = WebRtcGlasses("bench")
    offer = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    _, answer = await Peer.answer(offer, glasses)
    print(json.dumps(answer), flush=True)
    heard: Seen = []
    seen: Seen = []
    played: list[float] = []

    async def listen() -> None:
        async for chunk in glasses.microphone():
            loud = np.flatnonzero(np.abs(chunk.pcm) > LOUD)
            if len(loud) and (not heard or time.monotonic() - heard[-1][0] > NEAR_S):
                heard.append((time.monotonic(), (chunk.start + int(loud[0])) * NS_PER_SAMPLE / 1e9))
                glasses.play(mark())
                played.append(time.monotonic())

    async def look() -> None:
        async for frame in glasses.camera():
            bright = frame.pixels[::8, ::8].mean() > BRIGHT
            if bright and (not seen or time.monotonic() - seen[-1][0] > NEAR_S):
                seen.append((time.monotonic(), frame.t_ns / 1e9))

    async with asyncio.TaskGroup() as group:
        group.create_task(listen())
        group.create_task(look())
        await glasses.open()
        await asyncio.sleep(seconds)
        await glasses.close()
    print(json.dumps({"heard": heard, "seen": seen, "played": played, "counters": dict(glasses.counters())}), flush=True)


async def _measure(minutes: float) -> dict[str, Any]:
    """The client's process: claps and listens."""
    seconds = minutes * 60
    command = (sys.executable, "-m", "tools.bench.drift", "--serve", "--minutes", str((seconds + 10) / 60))
    server = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 24)
    assert server.stdin is not None and server.stdout is not None
    reader, writer = server.stdout, server.stdin

    async def post(offer: str) -> str:
        writer.write((json.dumps(offer) + "\n").encode())
        await writer.drain()
        answer: str = json.loads(await reader.readline())
        return answer

    dark, bright = (np.full((*SIZE, 3), level, np.uint8) for level in (40, 250))
    claps: list[float] = []
    async with Client(fps=FPS) as client:
        client.show(dark)
        await client.connect(post)
        await asyncio.sleep(3.0)
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            client.say(mark())
            client.show(bright)
            claps.append(time.monotonic())
            await asyncio.sleep(3 / FPS)
            client.show(dark)
            await asyncio.sleep(EVERY_S - 3 / FPS + (len(claps) * 7 % 20) / 1000)
        noted: dict[str, Any] = json.loads(await reader.readline())
        back = [at for at, pcm in client.heard if np.abs(pcm).max() > LOUD]
    await server.wait()
    return {**_drifts(claps, noted, back), "minutes": minutes, "claps": len(claps), "counters": noted["counters"]}


def _drifts(claps: Sequence[float], noted: dict[str, Any], back: Sequence[float]) -> dict[str, Any]:
    """Delays in milliseconds of each clap that arrived, and how they moved."""
    sound = [(clap, found) for clap in claps if (found := _after(clap, noted["heard"])) is not None]
    picture = {clap: found for clap in claps if (found := _after(clap, noted["seen"])) is not None}
    apart = [(clock[1] - picture[clap][1]) * 1000 for clap, clock in sound if clap in picture]
    returns = [(found[0] - at) * 1000 for at in noted["played"] if (found := _after(at, [(when, 0.0) for when in back]))]
    media = [(clock[1] - clap) * 1000 for clap, clock in sound]
    return {
        "to_the_session": _moved([(clock[0] - clap) * 1000 for clap, clock in sound]),
        "to_the_client": _moved(returns),
        "media_time_against_the_clock": _moved([one - media[0] for one in media]),
        "sound_before_picture": _moved(apart),
    }


def _after(at: float, found: Sequence[Sequence[float]]) -> Sequence[float] | None:
    return next((one for one in found if 0 <= one[0] - at < NEAR_S), None)


def _moved(values: Sequence[float]) -> dict[str, Any]:
    tenth = max(1, len(values) // 10)
    first, last = (statistics.median(part) for part in (values[:tenth], values[-tenth:]))
    return {
        "ms": spread(list(values)),
        "first_tenth": round(first, 1),
        "last_tenth": round(last, 1),
        "drift": round(last - first, 1),
    }


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(_serve(given.minutes * 60))
        return
    print(json.dumps({"bench": "drift", **asyncio.run(_measure(given.minutes)), "machine": machine()}))


if __name__ == "__main__":
    main()
