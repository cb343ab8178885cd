"""Plays the bundled scene through a session, as a wearer would live it: see, call, ask, listen, interrupt."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from edge import app
from edge.config import Config
from edge.events import Event, TurnEnded
from edge.household import session
from edge.runtime.told import Told
from edge.values import SAMPLE_RATE, Pcm, Pixels

PATIENCE_S = 30.0
"""How long a turn may take before the scene goes on without it."""


@dataclass(frozen=True, slots=True)
class SceneTurn:
    """One question of the scene, and what must come of it."""

    title: str
    sound: Pcm
    picture: Pixels
    transcript: str
    skill: str
    contains: tuple[str, ...]
    cut: bool
    """Whether the wearer cuts the reply."""

    def faults(self, turn: TurnEnded) -> list[str]:
        """What went otherwise than it must."""
        found = []
        if turn.transcript != self.transcript:
            found.append(f"heard {turn.transcript!r} instead of {self.transcript!r}")
        if turn.skill != self.skill:
            found.append(f"{turn.skill} answered instead of {self.skill}")
        found += [f"the answer lacks {words!r}" for words in self.contains if words.lower() not in turn.answer.lower()]
        if turn.interrupted != self.cut:
            found.append("the reply was " + ("not cut" if self.cut else "cut"))
        return found


def load() -> list[SceneTurn]:
    """Decodes the scene."""
    folder = files("edge.demo")
    turns = []
    for row in tomllib.loads((folder / "scene.toml").read_text(encoding="utf-8"))["turn"]:
        with as_file(folder / row["audio"]) as audio, as_file(folder / row["picture"]) as picture:
            sound = np.concatenate(list(app.read_sound(audio)))
            pixels = app.read_picture(picture)
        cut = "cut_by" in row
        turns.append(SceneTurn(row["title"], sound, pixels, row["transcript"], row["skill"], tuple(row["contains"]), cut))
    return turns


async def play(config: Config, emit: Callable[[Event], None], out: Path | None) -> list[str]:
    """Runs the scene; gives what went wrong, which is nothing on a healthy machine. Writes ``reply.wav`` into ``out``."""
    glasses = app.sim_glasses()
    told = Told()

    def tell(event: Event) -> None:
        told(event)
        emit(event)

    faults: list[str] = []
    async with session(config, glasses, emit=tell) as served:
        for number, turn in enumerate(load(), 1):
            glasses.see(turn.picture)
            await asyncio.sleep(0.4)
            before = len(told.events)
            await glasses.until(glasses.say(turn.sound))
            try:
                found = turn.faults(await told.wait(TurnEnded, before, patience=PATIENCE_S))
            except TimeoutError:
                found = ["no answer"]
            await asyncio.sleep(0.5)
            await served.idle()
            faults += [f"turn {number}: {fault}" for fault in found]
    if out is not None:
        write_reply(out / "reply.wav", glasses.heard)
    return faults


def write_reply(path: Path, pcm: Pcm) -> None:
    """Writes what the loudspeaker played, on the session's own timeline."""
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, pcm, SAMPLE_RATE, subtype="PCM_16")
