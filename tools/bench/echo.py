"""The assistant and its own voice: what the canceller takes away, what is left, and who is heard over it.

``python -m tools.bench.echo [--minutes 10]``. Three parts:

- recorded: echo return loss enhancement (ERLE, ITU-T G.168's sense: the microphone's power over the residue's while only the
  far end speaks) on the shared recordings, and what a near voice loses;
- talking to itself: sessions with the bundled ears, recogniser and voice speak for minutes into simulated rooms, and nobody
  else does: whatever is heard is the assistant's own;
- stop: somebody says "stop" over a reply, as loud at the microphone as the echo.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.app import build_engines, load_config
from edge.bench.stats import spread
from edge.events import BargedIn, Event, Failed, FinalHeard, PartialHeard, ReplyPaused, ReplyResumed, Speaking, TurnEnded
from edge.household import session
from edge.runtime import virtual
from edge.runtime.told import Told
from edge.skill import Asking, Skill
from edge.skills import load
from edge.values import SAMPLE_RATE, Pcm, samples
from models.echo import Aec3
from phone_bridge.media import read_audio
from phone_bridge.room import Room
from phone_bridge.sim import SimGlasses
from tools.bench.echo_scenes import ANSWERS, DATA, FLITE, ROOMS, at_level, close, espeak, flite, rms, room

ECHO_DB = -8.0
"""The echo at the microphone relative to what is played: open-ear speakers sit beside it."""
DELAY_S = 0.06
HISS_DB = -60.0
CLIPS = {
    "farend": "9mkQhVtzTEy2hDk-6u2Sww_farend_singletalk",
    "nearend": "DLhjtuwiEkS-68TsUVvW5g_nearend_singletalk",
    "doubletalk": "DMTgmZwtgUilp4omPK7-OQ_doubletalk",
}


def power_db(sound: Pcm) -> float:
    """Mean power, dB."""
    return 10 * float(np.log10(np.mean(sound.astype(np.float64) ** 2) + 1e-9))


def cancelled(near: Pcm, far: Pcm, delay_s: float = 0.0) -> tuple[Pcm, float]:
    """Gives the near sound without the echo, and seconds of work a second of sound."""
    canceller = Aec3(delay_s)
    canceller.open()
    size = min(len(near), len(far)) // 320 * 320
    began = time.perf_counter()
    clean = np.concatenate([canceller.cancel(near[at : at + 320], far[at : at + 320]) for at in range(0, size, 320)])
    took = time.perf_counter() - began
    canceller.close()
    return clean, took / (size / SAMPLE_RATE)


def recorded() -> dict[str, Any]:
    """ERLE and near-end loss on the shared recordings."""
    found: dict[str, Any] = {}
    for name, clip in CLIPS.items():
        near, far = (read_audio(DATA / "echo" / f"{clip}_{end}.wav") for end in ("mic", "lpb"))
        clean, factor = cancelled(near, far)
        near = near[: len(clean)]
        half = len(clean) // 2
        found[name] = {
            "loss_db": round(power_db(near) - power_db(clean), 2),
            "loss_second_half_db": round(power_db(near[half:]) - power_db(clean[half:]), 2),
            "real_time_factor": round(factor, 4),
        }
        if name == "farend":
            delays = {ms: cancelled(near, far, ms / 1000)[0] for ms in (40, 120)}
            found[name]["by_delay_hint"] = {
                ms: round(power_db(near[half:]) - power_db(sound[half : len(near)]), 2) for ms, sound in delays.items()
            }
    return found


class Talk:
    """Answers at length."""

    name = "talk"
    summary = "talk"
    phrases: Sequence[str] = ("go on talking",)
    urgent = False

    def __init__(self) -> None:
        self.at = 0

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives six answers, other ones each time."""
        for text in (ANSWERS[(self.at + step) % len(ANSWERS)] for step in range(6)):
            yield f"{text} "
        self.at += 6


@dataclass
class Scene:
    """A session in a room, and what it told."""

    served: Any
    glasses: SimGlasses
    told: Told

    def of(self, kind: type[Event], since: int = 0) -> list[Any]:
        """The events of one kind from number ``since`` on."""
        return [event for event in self.told.events[since:] if isinstance(event, kind)]


async def _scene(name: str, act: Any) -> Any:
    """Plays ``act`` in one of the rooms, with the bundled ears, recogniser and voice."""
    config = load_config()
    skills: list[Skill] = [Talk(), *load(())]
    ports = ("end_of_turn", "recogniser", "voice")
    glasses = SimGlasses(room=Room(room(name), gain_db=ECHO_DB, delay=DELAY_S, noise_db=HISS_DB))
    glasses.sink_delay_s = DELAY_S
    told = Told()
    async with session(config, glasses, engines=build_engines(config, ports), skills=skills, emit=told) as served:
        return await act(Scene(served, glasses, told))


async def _alone(scene: Scene, seconds: float) -> dict[str, Any]:
    """Lets the assistant talk, with nobody there."""
    while len(scene.glasses.heard) / SAMPLE_RATE < seconds:
        await scene.served.ask("go on talking")
    heard = [event.text for event in scene.told.events if isinstance(event, PartialHeard | FinalHeard)]
    heard = [text for text in heard if text != "go on talking"]
    spoken = sum(len(run.pcm) for run in scene.glasses.heard_runs) / SAMPLE_RATE
    return {
        "spoken_s": round(spoken, 1),
        "pauses": len(scene.of(ReplyPaused)),
        "resumed": [event.reason for event in scene.of(ReplyResumed)],
        "cuts": len(scene.of(BargedIn)),
        "words_taken_for_the_wearers": sum(len(text.split()) for text in heard),
        "failed": len(scene.of(Failed)),  # ears that fail hear nothing either
    }


async def _stop(scene: Scene, sound: Pcm, after: float) -> dict[str, Any]:
    """Says stop over a reply, after ``after`` seconds of it."""
    since = len(scene.told.events)
    task = asyncio.create_task(scene.served.ask("go on talking"))
    await scene.told.wait(Speaking, since)
    begun = scene.glasses.now()
    await scene.glasses.until(begun + after)
    level = rms(scene.glasses.heard[samples(begun) : samples(begun + after)])
    onset = scene.glasses.say(at_level(sound, 20 * np.log10(level / 32768) + ECHO_DB)) - len(sound) / SAMPLE_RATE
    turn: TurnEnded = await task
    ends = [run.end / SAMPLE_RATE for run in scene.glasses.heard_runs if run.end / SAMPLE_RATE > onset]
    await asyncio.sleep(3.0)
    followed = [event for event in scene.of(TurnEnded, since) if event is not turn]
    return {
        "cut": turn.interrupted,
        "as": followed[0].skill if followed else "",
        "heard": followed[0].transcript if followed else "",
        "silent_after_ms": round((min(ends) - onset) * 1000) if ends else None,
    }


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the assistant talks to itself")
    given = parser.parse_args()
    print(json.dumps({"recorded": recorded()}), flush=True)
    share = given.minutes * 60 / len(ROOMS)
    alone = {name: virtual.run(_scene(name, lambda scene: _alone(scene, share)), charge=True) for name in ROOMS}
    print(json.dumps({"talking_to_itself": alone}), flush=True)
    voices = [*(flite("stop", voice) for voice in FLITE), espeak("stop", 0.8), espeak("stop", 1.3)]
    mixes = [(ROOMS[number % 4], voices[number % len(voices)], 2.0 + 0.37 * number) for number in range(10)]
    stops = [
        virtual.run(_scene(name, lambda scene: _stop(scene, sound, after)), charge=True)  # noqa: B023 - run at once
        for name, sound, after in mixes
    ]
    close()
    times = spread([stop["silent_after_ms"] for stop in stops if stop["silent_after_ms"] is not None], 0)
    print(json.dumps({"stop_at_0_db": stops, "heard": sum(stop["as"] == "stop" for stop in stops), "silent_after_ms": times}))


if __name__ == "__main__":
    main()
