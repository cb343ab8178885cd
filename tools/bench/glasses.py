"""Simulated glasses of the nearsight profile: ``python -m tools.bench.glasses [link] [half-hour] [photos] [talk]``.

All on the virtual radio, in virtual time, through bleak:

- ``link``: connecting, silence after a flush while a photo comes up, and 100 losses at moments chosen by chance, of which half
  are cuts and half a supervision timeout, until the session knows of them, until the glasses are deaf, and until they are back.
- ``half-hour``: 30 minutes of sound at 50 packets a second, checked for loss and order. About two minutes of real time.
- ``photos``: 200 kB at 10, 20 and 40 kB/s, 5 % of the chunks lost, against the time that the bytes alone need; alone and under
  running sound, with what the sound waited behind the photo.
- ``talk``: the bundled assistant is asked about a picture, by the glasses and by a file, in turn; medians of voice_to_voice,
  and of the time from the recording's first sample to the reply's first at the loudspeaker itself. What engines compute costs
  the real time that it takes, so that other work on the machine shows in both.

Without a name, all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from bleak import BleakClient, BleakScanner

from edge import app
from edge.app import links
from edge.events import Event
from edge.household import Household
from edge.ports import Link
from edge.runtime.session import Session
from edge.runtime.virtual import VirtualLoop
from edge.runtime.virtual import run as run_virtually
from edge.values import SAMPLE_RATE, Pcm
from firmware_stubs.sim.backend import backends
from firmware_stubs.sim.glasses import SimGlasses
from firmware_stubs.sim.pair import CENTRAL, profile_pair
from firmware_stubs.sim.radio import Radio
from phone_bridge.ble import BleLink
from phone_bridge.media import read_audio
from tests.ble import jpeg, powered, spoken, wearing

DEMO = Path(app.__file__).parents[1] / "demo"
PATIENCE_S = 40.0


async def link_figures() -> None:
    """Connecting, flushing, losing, coming back."""
    for latency in (0.0, 0.01):
        radio = Radio(rate=40_000.0, latency=latency)
        async with powered(radio):
            client, scanner = backends(radio.device("bench", CENTRAL))
            loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
            device = await BleakScanner.find_device_by_name("nearsight", backend=scanner)
            assert device is not None
            async with BleakClient(device, backend=client):
                print(f"heard, connected, discovered: {loop.time() - began:.3f} s at {1000 * latency:.0f} ms a packet")
            await asyncio.sleep(0.5)
            began = loop.time()
            link = BleLink(client=client, scanner=scanner, settle=0.0)
            await link.open()
            print(f"  with pairing, session, clock and microphone: {loop.time() - began:.3f} s")
            await link.close()
    for rate in (10_000.0, 20_000.0, 40_000.0):
        print(f"flush at {rate / 1000:.0f} kB/s: {await _flushes(rate)}")
    print(await _losses())


async def _flushes(rate: float) -> str:
    silent = []
    async with wearing(radio=Radio(rate=rate, latency=0.015)) as worn:
        loop, sound = asyncio.get_running_loop(), np.zeros(320, np.int16)
        for number in range(30):
            worn.link.snap()
            for _ in range(25):
                worn.link.play(sound)
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.001 * number)
            worn.link.flush()
            at = loop.time()
            await asyncio.sleep(0.5)
            last = worn.glasses.played[-1]
            silent.append(1000 * (last.at + last.seconds - at))
    return f"silent after {statistics.median(silent):.0f} ms (median), {max(silent):.0f} ms (worst of 30), packets take 15 ms"


async def _losses() -> str:
    chance = random.Random(1)
    told, deaf, back = [], [], []
    async with wearing(radio=Radio(rate=40_000.0, latency=0.01)) as worn:
        glasses, radio, loop = worn.glasses, worn.radio, asyncio.get_running_loop()
        for number in range(100):
            worn.link.snap()
            await asyncio.sleep(chance.uniform(0.0, 2.0))
            at = loop.time()
            (radio.leave if number % 2 else radio.cut)(glasses.device)
            off = asyncio.create_task(_off(glasses))
            told.append(await worn.until(False) - at)
            deaf.append(await off - at)
            await asyncio.sleep(chance.uniform(0.0, 3.0) if number % 2 else 0.0)
            radio.come_back(glasses.device)
            at = loop.time()
            back.append(max(0.0, await worn.until(True) - at))
        assert not worn.errors and worn.spans and worn.link.counters()["refused_photos"] == 0
        whole = len(worn.photos)
    worst = f"told after {max(told):.2f} s, deaf after {max(deaf):.2f} s, back after {max(back):.2f} s"
    return f"100 losses: at worst {worst}; {whole} photos came, all whole"


async def _off(glasses: SimGlasses) -> float:
    for _ in range(2000):
        if not glasses.app.doing_now:
            return asyncio.get_running_loop().time()
        await asyncio.sleep(0.005)
    raise TimeoutError("the glasses still listen after 10 s")


async def half_hour(minutes: int = 30) -> None:
    """Sound for half an hour: all of it, in order."""
    async with wearing(radio=Radio(rate=20_000.0, latency=0.01)) as worn:
        end: int | None = None
        for _ in range(minutes * 6):
            worn.glasses.say(spoken(10.0))
            await asyncio.sleep(10.0)
            ((start, now),) = worn.spans  # one stretch, which follows the one before
            assert end in (None, start)
            end = now
            worn.sound.clear()
        await asyncio.sleep(1.0)
        counters = worn.link.counters()
    sent, lost = (
        worn.glasses.counts["sound"],
        {name: counters[name] for name in ("lost_frames", "gaps", "malformed", "no_codec")},
    )
    assert counters["frames"] == sent and not any(lost.values()), (sent, counters)
    print(f"half an hour: {sent} packets sent, {counters['frames']} heard, in order; {lost}")


async def photos() -> None:
    """How long 200 kB take, and what sound waits meanwhile."""
    big = jpeg() + bytes(200_000 - len(jpeg()))
    for talking, mtu in ((False, 247), (False, 517), (True, 247), (True, 517)):
        for rate in (10_000.0, 20_000.0, 40_000.0):
            async with wearing(radio=Radio(rate=rate, latency=0.01), silence=b"", seed=1, mtu=mtu) as worn:
                glasses, loop = worn.glasses, asyncio.get_running_loop()
                glasses.photo = big
                glasses.lose_chunk = lambda index, glasses=glasses: glasses.random.random() < 0.05  # type: ignore[misc]
                if talking:
                    glasses.say(spoken(60.0))
                asked = loop.time()
                worn.link.snap()
                while not worn.photos:
                    await asyncio.sleep(0.05)
                    assert loop.time() - asked < 120.0
                took, need = worn.photos[0][0] - asked, 200_000 / rate
                print(
                    f"photo of 200 kB at {rate / 1000:.0f} kB/s, MTU {mtu}{', under sound' if talking else ''}: {took:.2f} s, "
                    f"{took / need:.3f} of what its bytes need; {glasses.counts['dropped']} of {glasses.counts['chunks']} "
                    f"chunks lost; sound waited {1000 * glasses.audio_wait_s:.0f} ms at most, "
                    f"{worn.link.counters()['lost_frames']} frames lost"
                )


@dataclass
class Turns:
    """Takes what a household tells."""

    events: list[Event] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def joined(self, wearer: str, session: Session, link: Link) -> None:
        """Nothing."""

    def event(self, wearer: str, event: Event) -> None:
        """Keeps it."""
        self.events.append(event)
        if event.event == "turn":
            self.came.set()

    def left(self, wearer: str) -> None:
        """Nothing."""


async def talk(runs: int) -> None:
    """The same question by the glasses and by a file."""
    took: dict[tuple[str, str], list[float]] = {}
    turns = Turns()
    with tempfile.TemporaryDirectory() as folder:
        async with Household(app.load_config("bundled"), Path(folder), turns) as household:
            for number in range(-1, runs):  # the first of each is to warm up
                for kind in ("file", "glasses"):
                    told, whole, answer = await _asked(household, turns, kind)
                    print(f"{kind}: voice_to_voice {told:.0f} ms, recording to reply {whole:.0f} ms: {answer}", flush=True)
                    if number >= 0:
                        took.setdefault((kind, "voice_to_voice"), []).append(told)
                        took.setdefault((kind, "recording to reply"), []).append(whole)
    for what in ("voice_to_voice", "recording to reply"):
        by_file, by_glasses = took["file", what], took["glasses", what]
        more = statistics.median(by_glasses) - statistics.median(by_file)
        print(
            f"{what}, medians of {runs}: file {statistics.median(by_file):.0f} ms ({min(by_file):.0f} to {max(by_file):.0f}), "
            f"glasses {statistics.median(by_glasses):.0f} ms ({min(by_glasses):.0f} to {max(by_glasses):.0f}): {more:+.0f} ms"
        )


async def _asked(household: Household, turns: Turns, kind: str) -> tuple[float, float, str]:
    """Asks once; gives voice_to_voice and what went from the recording's beginning to the reply's, in ms; and the answer."""
    turns.came.clear()
    turns.events.clear()
    recording = read_audio(DEMO / "sign.flac")
    lead = np.zeros(32_000, np.int16)  # the first run loads: it is not to eat into the question
    loop, first = asyncio.get_running_loop(), list[float]()
    pair = None
    if kind == "glasses":
        pair = await profile_pair(sound=np.concatenate([lead, recording]), photo=(DEMO / "park.jpg").read_bytes())
        link: Any = BleLink("ble:sim", client=pair.client, scanner=pair.scanner, settle=0.0)
    else:
        link = links.file_link(DEMO / "sign.flac", DEMO / "park.jpg", None)
        played = link.play

        def play(pcm: Pcm) -> None:
            first.append(loop.time())
            played(pcm)

        link.play = play
    serving = asyncio.create_task(household.serve(link, kind))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await turns.came.wait()
        await asyncio.sleep(1.0)
        began = link.t0 if pair is None else 0.0
        if pair is not None:
            assert isinstance(pair.glasses, SimGlasses) and pair.glasses.heard_from is not None
            first, began = [each.at for each in pair.glasses.played], pair.glasses.heard_from + len(lead) / SAMPLE_RATE
    finally:
        await link.close()
        await serving
        if pair is not None:
            await pair.glasses.stop()
    turn = next(event for event in turns.events if event.event == "turn").as_json()
    answer = f"{turn['transcript']!r} -> {turn['answer']!r}"
    assert turn["heard"] == turn["answer"], turn
    return float(turn["timings_ms"]["voice_to_voice"]), 1000 * (first[0] - began), answer


PARTS: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
    "link": link_figures,
    "half-hour": half_hour,
    "photos": photos,
    "talk": lambda: talk(3),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what was named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="*", choices=list(PARTS), default=[])
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args(arguments)
    what = chosen.what or list(PARTS)
    for noisy in ("bumble", "phone_bridge"):  # lost connections are what is measured
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    for name in what:
        began = time.perf_counter()
        if name == "talk":  # the engines' work takes the time that it takes
            with asyncio.Runner(loop_factory=lambda: VirtualLoop(charge=True)) as runner:
                runner.run(talk(chosen.runs))
        else:
            run_virtually(PARTS[name]())
        print(f"{name}: {time.perf_counter() - began:.0f} s of real time")


if __name__ == "__main__":
    main()
