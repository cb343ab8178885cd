"""An interpreter with scripted engines on a loudspeaker of paper: the stage on which its tests play."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge.errors import NearsightError
from edge.policy.pacing import Pace
from edge.policy.sides import Sides
from edge.ports import Recogniser, Translator
from edge.runtime.engines import Ears
from edge.runtime.interpreter import Interpreter
from edge.runtime.lane import Lane
from edge.runtime.mouth import Mouth
from edge.runtime.speaker import Speaker
from edge.runtime.told import Told
from edge.runtime.utterances import Utterances
from edge.translation import Party, Translated, TranslationSpoken
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Pcm, VoiceStyle
from models.fakes import FakeRecogniser, FakeVoice, FakeVoiceActivity
from models.fakes_translation import FakeTranslator

SPANISH = dict(
    pair.split(":") for pair in "the:el dog:perro sleeps:duerme house:casa is:es big:grande good:buen day:día".split()
)


@dataclass
class Interpreted:
    """What a test looks at."""

    interpreter: Interpreter
    told: Told
    ears: Lane[Ears]
    translator: FakeTranslator
    mouths: dict[Party, Mouth]
    played: dict[Party, list[Pcm]]
    failures: list[NearsightError] = field(default_factory=list)
    at: int = 0

    async def hear(self, pcm: Pcm) -> None:
        """Plays sound into it, at its own pace."""
        for start in range(0, len(pcm), CHUNK_SAMPLES):
            chunk = AudioChunk(pcm[start : start + CHUNK_SAMPLES], self.at)
            self.at = chunk.end
            await asyncio.sleep(len(chunk.pcm) / SAMPLE_RATE)
            self.interpreter.hear(await self.ears.call(lambda ears, stop: ears.hear(chunk, voice=True)))  # noqa: B023

    def spoken(self, party: Party | None = None) -> list[str]:
        """The pieces that one party, or anybody, was spoken to."""
        return [one.text for one in self.told.of(TranslationSpoken) if party is None or one.to == party.value]

    def texts(self) -> list[str]:
        """Finished translations."""
        return [one.text for one in self.told.of(Translated) if one.final]


@asynccontextmanager
async def interpreted(
    texts: Sequence[str],
    *,
    sides: Sides | None = None,
    translator: FakeTranslator | None = None,
    seconds: float = 2.0,
    pace: Pace | None = None,
    per_word: float = 0.2,
    **options: Any,
) -> AsyncIterator[Interpreted]:
    """Runs one until it has spoken everything, or until it is cancelled by an error of the test."""
    loop = asyncio.get_running_loop()
    translator = translator or FakeTranslator(SPANISH)
    ears = Lane("ears", lambda: Ears(None, FakeVoiceActivity()))
    recogniser: Lane[Recogniser] = Lane("recogniser", lambda: FakeRecogniser(texts, seconds=seconds))
    voice = Lane("voice", lambda: FakeVoice(per_word=per_word))
    engine: Lane[Translator] = Lane("translator", lambda: translator)
    told, began = Told(), loop.time()
    failures: list[NearsightError] = []
    played: dict[Party, list[Pcm]] = {party: [] for party in Party}
    speakers = {party: Speaker(played[party].append, lambda: 0) for party in Party}

    def now_ns() -> int:
        return round((loop.time() - began) * 1e9)

    async def speaks(language: str) -> Any:
        return voice

    def mouth(party: Party) -> Mouth:
        parts: dict[str, Any] = {"style": VoiceStyle, "emit": told, "failed": failures.append, "now_ns": now_ns}
        return Mouth(party, lambda: speakers[party], speaks, pace or Pace(), **parts)

    mouths = {party: mouth(party) for party in Party}
    interpreter = Interpreter(
        lambda take: Utterances(recogniser, take, failures.append),
        engine,
        sides or Sides("en", both=False, target="es"),
        mouths,
        emit=told,
        failed=failures.append,
        now_ns=now_ns,
        **{"heard_in": "en", **options},
    )
    playing = [asyncio.create_task(speaker.run()) for speaker in speakers.values()]
    running = asyncio.create_task(interpreter.run())
    try:
        yield Interpreted(interpreter, told, ears, translator, mouths, played, failures)
        interpreter.finish()
        await running
    finally:
        running.cancel()
        for task in playing:
            task.cancel()
        await asyncio.gather(running, *playing, return_exceptions=True)
        for lane in (ears, recogniser, voice, engine):
            await lane.close()


def loudness(pieces: Sequence[Pcm]) -> float:
    """Seconds of sound."""
    return sum(int(np.any(pcm)) * len(pcm) for pcm in pieces) / SAMPLE_RATE
