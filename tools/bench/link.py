"""What glasses over WebRTC cost: each way's delay on loopback, loss, and the processor time of an idle session.

``python -m tools.bench.link [--loss 0.05] [--json]``. The server runs in a process of its own, so that its time is its own. An
isolated chunk of tone is sent at odd moments; its delay is counted from the moment its last sample is handed over until the
decoded chunk is there. Both processes share a machine, and with it ``CLOCK_MONOTONIC``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.app import load_config
from edge.bench.stats import machine, spread
from edge.household import Household
from edge.ports import Link
from edge.values import CHUNK_SAMPLES, Pcm
from phone_bridge.impair import Impairment
from phone_bridge.peer import Peer
from phone_bridge.webrtc import WebRtcGlasses
from tests.phone_bridge.client import Client

MARKS = 60
LOUD = 2000
LOST_S = 0.18
"""A mark that has not come by then does not come."""
SIZE = (480, 640)
FPS = 15


def mark() -> Pcm:
    """The chunk that is looked for."""
    return (8000 * np.sin(2 * np.pi * 1000 * np.arange(CHUNK_SAMPLES) / 16000)).astype(np.int16)


async def _marks(hand_over: Any) -> list[float]:
    """Hands marks over, out of step with any frame; gives when."""
    sent = []
    for number in range(MARKS):
        await asyncio.sleep(0.2 + (number * 7 % 20) / 1000)
        hand_over(mark())
        sent.append(time.monotonic())
    await asyncio.sleep(1.0)
    return sent


def _busy() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _share(seconds: float) -> float:
    """Percent of one core that this process takes."""
    before, began = _busy(), time.monotonic()
    await asyncio.sleep(seconds)
    return 100 * (_busy() - before) / (time.monotonic() - began)


async def _serve(seconds: float, loss: float, whole: bool) -> None:
    """The server's process: an offer on standard input, the answer and what was measured on standard output."""
    loop = asyncio.get_running_loop()
    glasses = WebRtcGlasses("bench")
    glasses.impairment = Impairment(loss=loss, seed=7) if loss else None
    offer = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    _, answer = await Peer.answer(offer, glasses)
    print(json.dumps(answer), flush=True)
    result = await (_session(glasses, seconds) if whole else _link(glasses, seconds))
    print(json.dumps({**result, "counters": dict(glasses.counters())}), flush=True)
    await glasses.close()


async def _link(glasses: WebRtcGlasses, seconds: float) -> dict[str, Any]:
    heard: list[float] = []
    frames = 0

    async def listen() -> None:
        async for chunk in glasses.microphone():
            if np.abs(chunk.pcm).max() > LOUD:
                heard.append(time.monotonic())

    async def look() -> None:
        nonlocal frames
        async for _ in glasses.camera():
            frames += 1

    async with asyncio.TaskGroup() as group:
        group.create_task(listen())
        group.create_task(look())
        await glasses.open()
        await asyncio.sleep(3.0)
        share = await _share(seconds)
        sent = await _marks(glasses.play)
        await asyncio.sleep(MARKS * 0.25)  # the other way's turn
        await glasses.close()
    return {"cpu_percent": round(share, 1), "heard": heard, "sent": sent, "frames": frames}


class _Arrivals:
    """Says when the session runs."""

    def __init__(self) -> None:
        self.here = asyncio.Event()

    def joined(self, wearer: str, session: Any, link: Link) -> None:
        self.here.set()

    def event(self, wearer: str, event: Any) -> None:
        pass

    def left(self, wearer: str) -> None:
        pass


async def _session(glasses: WebRtcGlasses, seconds: float) -> dict[str, Any]:
    arrivals = _Arrivals()
    async with Household(load_config(), Path("recordings"), arrivals) as household:
        serving = asyncio.create_task(household.serve(glasses, glasses.uri))
        await arrivals.here.wait()
        await asyncio.sleep(5.0)
        share = await _share(seconds)
        serving.cancel()
        await asyncio.wait([serving])
    return {"cpu_percent": round(share, 1)}


async def _measure(seconds: float, loss: float, whole: bool) -> dict[str, Any]:
    """The client's process: speaks, shows a moving picture, listens."""
    command = (sys.executable, "-m", "tools.bench.link", "--serve", "--seconds", str(seconds), "--loss", str(loss))
    server = await asyncio.create_subprocess_exec(
        *command, *(["--session"] if whole else []), stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 22
    )
    assert server.stdin is not None and server.stdout is not None
    reader, writer = server.stdout, server.stdin

    async def post(offer: str) -> str:
        writer.write((json.dumps(offer) + "\n").encode())
        await writer.drain()
        answer: str = json.loads(await reader.readline())
        return answer

    picture = (np.add.outer(np.arange(SIZE[0]), np.arange(SIZE[1])) // 4 % 256).astype(np.uint8)
    async with Client(fps=FPS) as client:
        client.show(np.stack([picture, picture[::-1], picture], -1))
        await client.connect(post)
        moving = asyncio.create_task(_move(client))
        sent: list[float] = []
        if not whole:
            await asyncio.sleep(seconds + 3.0 + MARKS * 0.23)
            sent = await _marks(client.say)
        result: dict[str, Any] = json.loads(await reader.readline())
        moving.cancel()
        heard = [at for at, pcm in client.heard if np.abs(pcm).max() > LOUD]
    await server.wait()
    if whole:
        return result
    up, down = _delays(sent, result.pop("heard")), _delays(result.pop("sent"), heard)
    return {**result, "to_the_session_ms": spread(up), "to_the_client_ms": spread(down), "marks": MARKS}


async def _move(client: Client) -> None:
    """Keeps the encoder busy, as a head that turns would."""
    while client.camera is not None:
        client.show(np.roll(client.camera.pixels, 4, 1))
        await asyncio.sleep(1 / FPS)


def _delays(sent: Sequence[float], heard: Sequence[float]) -> list[float]:
    """Milliseconds from each mark to its arrival."""
    first = (next((at for at in heard if at >= mark), None) for mark in sent)
    return [(at - mark) * 1000 for mark, at in zip(sent, first, strict=True) if at is not None and at - mark < LOST_S]


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="how long processor time is measured")
    parser.add_argument("--loss", type=float, default=0.0, help="share of the packets that is lost")
    parser.add_argument("--session", action="store_true", help="a whole session, bundled engines, not the link alone")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(_serve(given.seconds, given.loss, given.session))
        return
    result = asyncio.run(_measure(given.seconds, given.loss, given.session))
    print(json.dumps({"bench": "link", "loss": given.loss, "whole_session": given.session, **result, "machine": machine()}))


if __name__ == "__main__":
    main()
