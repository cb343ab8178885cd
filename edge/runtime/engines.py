"""The engines of a session, each on its lane, and the ears: wake word and voice activity in one hop per chunk."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from edge.policy.echo import level_db
from edge.policy.prompts import opening
from edge.ports import (
    CodeReader,
    EchoCanceller,
    EndOfTurn,
    Engine,
    LanguageModel,
    Recogniser,
    SceneMeter,
    TextReader,
    Voice,
    VoiceActivity,
    WakeWord,
)
from edge.runtime.lane import Lane
from edge.values import AudioChunk, EngineInfo, Pcm, Prompt


@dataclass(frozen=True, slots=True)
class Window:
    """The voice activity of a run of samples, media time."""

    probability: float
    start: int
    end: int
    near_db: float
    """Level of the microphone after echo cancelling, dB of full scale."""
    far_db: float
    """Level of what the loudspeaker played meanwhile."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the ears made of one chunk."""

    sound: AudioChunk
    """The chunk without the echo, as the recogniser is to hear it."""
    wake: str | None
    spotted: str | None
    """A word that ends a reply."""
    windows: tuple[Window, ...]


class Ears:
    """Echo canceller, wake word and voice activity behind one lane: thread hops less for each of fifty chunks a second."""

    def __init__(
        self,
        wake: WakeWord | None,
        voice: VoiceActivity | None,
        echo: EchoCanceller | None = None,
        subtractor: EchoCanceller | None = None,
        spotter: WakeWord | None = None,
    ) -> None:
        """``echo`` is what voice activity hears through; ``subtractor``, where there is one, what words are heard through.

        ``spotter`` finds the words that end a reply.
        """
        self._wake = wake
        self._voice = voice
        self._echo = echo
        self._subtractor = subtractor
        self._spotter = spotter
        self._rest: AudioChunk | None = None
        self._far = np.zeros(0, np.int16)
        """What the loudspeaker played during ``_rest``."""

    @property
    def info(self) -> EngineInfo:
        """All engines' names."""
        parts = [part.info for part in self._parts()]
        return EngineInfo(" + ".join(part.name for part in parts) or "none", ", ".join(part.version for part in parts))

    def _parts(self) -> list[Engine]:
        return [part for part in (self._echo, self._subtractor, self._wake, self._spotter, self._voice) if part is not None]

    def open(self) -> None:
        """Loads all."""
        for part in self._parts():
            part.open()

    def close(self) -> None:
        """Frees all."""
        for part in self._parts():
            part.close()

    def forget_echo(self) -> None:
        """The sound path has changed."""
        for canceller in (self._echo, self._subtractor):
            if canceller is not None:
                canceller.reset()

    def hear(self, chunk: AudioChunk, *, voice: bool, far: Pcm | None = None, spot: bool = False) -> Heard:
        """Takes the next chunk; judges voice activity only where ``voice`` asks for it.

        ``far`` is what the loudspeaker played meanwhile, of the chunk's length; None where nothing is to be cancelled. ``spot``
        says that a reply is being heard.
        """
        if far is None:
            far = np.zeros(len(chunk.pcm), np.int16)
            clean = plain = chunk
        else:
            clean = _without(self._echo, chunk, far)
            plain = _without(self._subtractor, chunk, far) if self._subtractor is not None else clean
        wake = self._wake.detect(plain.pcm) if self._wake is not None else None
        spotted = self._spot(plain.pcm) if spot else None
        if self._voice is None or not voice:
            self._rest = None
            return Heard(plain, wake, spotted, ())
        return Heard(plain, wake, spotted, tuple(self._windows(self._voice, clean, far)))

    def _spot(self, pcm: Pcm) -> str | None:
        return self._spotter.detect(pcm) if self._spotter is not None else None

    def _windows(self, voice: VoiceActivity, chunk: AudioChunk, far: Pcm) -> list[Window]:
        if self._rest is None or self._rest.end != chunk.start:
            voice.reset()
            self._rest, self._far = chunk, far
        else:
            self._rest = AudioChunk(np.concatenate([self._rest.pcm, chunk.pcm]), self._rest.start)
            self._far = np.concatenate([self._far, far])
        size = voice.window
        windows = []
        while len(self._rest.pcm) >= size:
            start, near, played = self._rest.start, self._rest.pcm[:size], self._far[:size]
            windows.append(Window(voice.probability(near), start, start + size, level_db(near), level_db(played)))
            self._rest, self._far = AudioChunk(self._rest.pcm[size:], start + size), self._far[size:]
        return windows


def _without(canceller: EchoCanceller | None, chunk: AudioChunk, far: Pcm) -> AudioChunk:
    return chunk if canceller is None else AudioChunk(canceller.cancel(chunk.pcm, far), chunk.start)


@dataclass(frozen=True, slots=True)
class Engines:
    """The lanes of a session. A port that the profile leaves empty is None."""

    ears: Lane[Ears]
    end_of_turn: Lane[EndOfTurn] | None = None
    recogniser: Lane[Recogniser] | None = None
    language_model: Lane[LanguageModel] | None = None
    text_reader: Lane[TextReader] | None = None
    code_reader: Lane[CodeReader] | None = None
    scene_meter: Lane[SceneMeter] | None = None
    voice: Lane[Voice] | None = None

    def lanes(self) -> tuple[Lane[Any], ...]:
        """All lanes there are."""
        found = (getattr(self, item.name) for item in fields(self))
        return tuple(lane for lane in found if lane is not None)

    async def open(self, but: Collection[str] = ()) -> None:
        """Loads every engine but those named, one after the other; what was loaded is freed again when one fails."""
        opened: list[Lane[Any]] = []
        try:
            for lane in self.lanes():
                if lane.name not in but:
                    await lane.open()
                    opened.append(lane)
        except BaseException:
            for lane in reversed(opened):
                await lane.close()
            raise

    async def warm_up(self) -> None:
        """Reads what every prompt begins with into the model's cache, before a question needs it. Raises EngineError."""
        if self.language_model is not None:
            await self.language_model.call(lambda model, stop: model.prefill(Prompt(opening()), stop))

    async def close(self) -> None:
        """Frees every engine."""
        for lane in reversed(self.lanes()):
            await lane.close()
