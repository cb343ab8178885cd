"""``demo`` and ``ask``: one session."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge import app
from edge.cli import loop
from edge.cli.output import Output
from edge.config import Config
from edge.errors import NearsightError, UsageError
from edge.household import session
from edge.policy.signals import State
from edge.runtime.session import Session
from edge.values import SAMPLE_RATE

GRACE_S = 1.0
"""How long after the last possible endpoint a recording is given up."""


class NothingAsked(NearsightError):
    """A recording without a question in it."""

    code = "nothing_asked"


class DemoFailed(NearsightError):
    """The bundled scene did not go as it must."""

    code = "demo"


@dataclass(frozen=True, slots=True)
class Question:
    """What ``ask`` was given."""

    audio: Path | None
    text: str | None
    pictures: Path | None
    wake: bool
    out: Path | None
    record: Path | None
    fast: bool


def recording(folder: Path | None) -> dict[str, Any]:
    """The configuration that records into a folder."""
    return {"recording": {"folder": str(folder), "announce": False}} if folder is not None else {}


def ask(question: Question, profile: str | None, file: Path | None, *, as_json: bool) -> None:
    """Asks one question. Raises NothingAsked when the recording has none."""
    turns = {"turns": {"wake": question.wake}}
    config = app.load_config(profile, file, {**turns, **recording(question.record)})
    output = Output(as_json=as_json)
    for path in (question.audio, question.pictures):
        if path is not None and not path.exists():
            raise UsageError(f"{path}: there is no such file")
    loop.run(_ask(question, config, output), fast=question.fast)
    if not output.turns:
        why = "no wake word was heard in it (try --no-wake)" if question.wake else "no speech was heard in it"
        raise NothingAsked(f"{question.audio}: nothing was asked: {why}")


async def _ask(question: Question, config: Config, output: Output) -> None:
    link = app.file_link(question.audio, question.pictures, question.out)
    async with session(config, link, emit=output.event) as served:
        if question.text is not None:
            if question.pictures is not None:
                await served.sight.seen()
            await served.ask(question.text)
        else:
            await answered(served, link, config)


async def answered(served: Session, link: Any, config: Config) -> None:
    """Waits until a recording's own sound is over and all that was asked in it is answered."""
    grace = config.turns.incomplete_silence + GRACE_S
    while True:
        await asyncio.sleep(0.05)
        listener = served.listener
        over = link.finished and listener.now / SAMPLE_RATE >= link.content_s + grace
        busy = listener.policy.state in (State.THINKING, State.SPEAKING) or listener.policy.speech_began
        if over and not busy:
            await served.idle()
            return


def demo(out: Path | None, *, fast: bool, as_json: bool) -> None:
    """Plays the bundled scene. Pulls the models of the default profile where they are missing."""
    from edge.cli.models import ensure
    from edge.demo.scene import play

    config = app.load_config(None, None, recording(out / "session" if out is not None else None))
    ensure(config, as_json=as_json)
    output = Output(as_json=as_json)
    faults = loop.run(play(config, output.event, out), fast=fast)
    if not as_json:
        print(f"\n{len(output.turns)} turns" + (f", session bundle and reply.wav in {out}" if out is not None else ""))
    if faults:
        raise DemoFailed(f"the demo went wrong: {'; '.join(faults)}")
