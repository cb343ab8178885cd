"""The engines of a session, each on its lane, and the ears: wake word and voice activity in one hop per chunk."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from edge.ports import (
    CodeReader,
    EndOfTurn,
    LanguageModel,
    Recogniser,
    SceneMeter,
    TextReader,
    Voice,
    VoiceActivity,
    WakeWord,
)
from edge.runtime.lane import Lane
from edge.values import AudioChunk, EngineInfo


@dataclass(frozen=True, slots=True)
class Window:
    """The voice activity of a run of samples, media time."""

    probability: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What the ears made of one chunk."""

    wake: str | None
    windows: tuple[Window, ...]


class Ears:
    """Wake word and voice activity behind one lane: two thread hops less for each of fifty chunks a second."""

    def __init__(self, wake: WakeWord | None, voice: VoiceActivity | None) -> None:
        self._wake = wake
        self._voice = voice
        self._rest: AudioChunk | None = None

    @property
    def info(self) -> EngineInfo:
        """Both engines' names."""
        parts = [part.info for part in (self._wake, self._voice) if part is not None]
        return EngineInfo(" + ".join(part.name for part in parts) or "none", ", ".join(part.version for part in parts))

    def open(self) -> None:
        """Loads both."""
        for part in (self._wake, self._voice):
            if part is not None:
                part.open()

    def close(self) -> None:
        """Frees both."""
        for part in (self._wake, self._voice):
            if part is not None:
                part.close()

    def hear(self, chunk: AudioChunk, *, voice: bool) -> Heard:
        """Takes the next chunk; judges voice activity only where ``voice`` asks for it."""
        wake = self._wake.detect(chunk.pcm) if self._wake is not None else None
        if self._voice is None or not voice:
            self._rest = None
            return Heard(wake, ())
        if self._rest is None or self._rest.end != chunk.start:
            self._voice.reset()
            self._rest = chunk
        else:
            self._rest = AudioChunk(np.concatenate([self._rest.pcm, chunk.pcm]), self._rest.start)
        size = self._voice.window
        windows = []
        while len(self._rest.pcm) >= size:
            start = self._rest.start
            windows.append(Window(self._voice.probability(self._rest.pcm[:size]), start, start + size))
            self._rest = AudioChunk(self._rest.pcm[size:], start + size)
        return Heard(wake, tuple(windows))


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

    async def open(self) -> None:
        """Loads every engine, one after the other; what was loaded is freed again when one fails."""
        opened: list[Lane[Any]] = []
        try:
            for lane in self.lanes():
                await lane.open()
                opened.append(lane)
        except BaseException:
            for lane in reversed(opened):
                await lane.close()
            raise

    async def close(self) -> None:
        """Frees every engine."""
        for lane in reversed(self.lanes()):
            await lane.close()
