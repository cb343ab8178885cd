"""The engines of a session, each on its lane, and the ears: wake word and voice activity in one hop per chunk."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import OutOfMemory
from edge.policy.echo import level_db
from edge.policy.prompts import opening
from edge.ports import (
    ClipWriter,
    CodeReader,
    Detector,
    EchoCanceller,
    EndOfTurn,
    Engine,
    LanguageModel,
    Recogniser,
    SceneMeter,
    Segmenter,
    Spotter,
    TextLanguage,
    TextReader,
    Translator,
    VisionLanguage,
    Voice,
    VoiceActivity,
    WakeWord,
)
from edge.runtime.fallback import server_of
from edge.runtime.lane import Lane
from edge.runtime.tongues import Tongues
from edge.values import AudioChunk, EngineInfo, Pcm, Prompt, samples

LATER: Final = ("translator", "speech_translator", "text_language")
"""Ports whose engines are not loaded with the others."""
AGAIN: Final = samples(5.0)
"""How much sound the subtractor hears once more for a single word: by then it knows the path better, above all early on."""


@dataclass(frozen=True, slots=True)
class Window:
    """The voice activity of a run of samples, media time."""

    probability: float
    start: int
    end: int
    near_db: float
    """Level of the microphone after echo cancelling, dB of full scale."""
    plain_db: float
    """Level of what words are heard through: the echo subtracted, nothing suppressed."""
    far_db: float
    """Level of what the loudspeaker played meanwhile."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the ears made of one chunk."""

    sound: AudioChunk
    """The chunk without the echo, as the recogniser is to hear it."""
    wake: str | None
    windows: tuple[Window, ...]


class Ears:
    """Echo canceller, wake word and voice activity behind one lane: thread hops less for each of fifty chunks a second."""

    def __init__(
        self,
        wake: WakeWord | None,
        voice: VoiceActivity | None,
        echo: EchoCanceller | None = None,
        subtractor: EchoCanceller | None = None,
        spotter: Spotter | None = None,
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
        self._beside = np.zeros((2, 0), np.int16)
        """The subtractor's sound and the loudspeaker's during ``_rest``."""
        self._past: deque[tuple[AudioChunk, Pcm]] = deque()
        """The microphone's sound as it came, and the loudspeaker's."""

    @property
    def info(self) -> EngineInfo:
        """All engines' names."""
        parts = [part.info for part in self._parts()]
        names, versions = " + ".join(part.name for part in parts) or "none", ", ".join(part.version for part in parts)
        return EngineInfo(names, versions, remote=self.server)

    @property
    def server(self) -> str:
        """Where the wake word is listened for now, ``HOST:PORT``; empty where that is here."""
        return server_of(self._wake)

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
        self._past.clear()
        for canceller in (self._echo, self._subtractor):
            if canceller is not None:
                canceller.reset()

    def hear(self, chunk: AudioChunk, *, voice: bool, far: Pcm | None = None, moved: bool = False) -> Heard:
        """Takes the next chunk; judges voice activity only where ``voice`` asks for it.

        ``far`` is what the loudspeaker played meanwhile, of the chunk's length; None where nothing is to be cancelled.
        ``moved`` says that the loudspeaker began anew in it.
        """
        if moved:
            self._tell_moved()
        if far is None:
            self._past.clear()
            far = np.zeros(len(chunk.pcm), np.int16)
            clean = plain = chunk
        else:
            self._remember(chunk, far)
            clean = _without(self._echo, chunk, far)
            plain = _without(self._subtractor, chunk, far) if self._subtractor is not None else clean
        wake = self._wake.detect(plain.pcm) if self._wake is not None else None
        if self._voice is None or not voice:
            self._rest = None
            return Heard(plain, wake, ())
        return Heard(plain, wake, tuple(self._windows(self._voice, clean, np.stack([plain.pcm, far]))))

    def _tell_moved(self) -> None:
        for canceller in (self._echo, self._subtractor):
            if canceller is not None:
                canceller.moved()

    def spot(self, utterance: AudioChunk) -> str | None:
        """Gives the word that ends a reply, if one stands in what was said over it: ``utterance``, as ``hear`` gave it.

        Where the loudspeaker's sound was taken out of it that is done once more, by a subtractor that has heard more since:
        0.1 s of work.
        """
        return self._spotter.spot(self._once_more(utterance)) if self._spotter is not None else None

    def _remember(self, chunk: AudioChunk, far: Pcm) -> None:
        if self._past and self._past[-1][0].end != chunk.start:
            self._past.clear()
        self._past.append((chunk, far))
        while self._past[0][0].end < chunk.end - AGAIN:
            self._past.popleft()

    def _once_more(self, utterance: AudioChunk) -> Pcm:
        if self._subtractor is None or not self._past or self._past[0][0].start > utterance.start:
            return utterance.pcm
        near, far = (
            np.concatenate(parts) for parts in zip(*((chunk.pcm, played) for chunk, played in self._past), strict=True)
        )
        if not far.any():
            return utterance.pcm
        since = utterance.start - self._past[0][0].start
        return self._subtractor.cancel(near, far)[since : since + len(utterance.pcm)]

    def _windows(self, voice: VoiceActivity, chunk: AudioChunk, beside: NDArray[np.int16]) -> list[Window]:
        if self._rest is None or self._rest.end != chunk.start:
            voice.reset()
            self._rest, self._beside = chunk, beside
        else:
            self._rest = AudioChunk(np.concatenate([self._rest.pcm, chunk.pcm]), self._rest.start)
            self._beside = np.concatenate([self._beside, beside], axis=1)
        size = voice.window
        windows = []
        while len(self._rest.pcm) >= size:
            start, near = self._rest.start, self._rest.pcm[:size]
            plain, far = self._beside[:, :size]
            levels = level_db(near), level_db(plain), level_db(far)
            windows.append(Window(voice.probability(near), start, start + size, *levels))
            self._rest, self._beside = AudioChunk(self._rest.pcm[size:], start + size), self._beside[:, size:]
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
    detector: Lane[Detector] | None = None
    segmenter: Lane[Segmenter] | None = None
    vision_language: Lane[VisionLanguage] | None = None
    clips: Lane[ClipWriter] | None = None
    voice: Lane[Voice] | None = None
    translator: Lane[Translator] | None = None
    speech_translator: Lane[Recogniser] | None = None
    """A recogniser that writes English of what it hears; where there is one it hears what is to be translated."""
    tongues: Tongues | None = None
    """Voices for other languages than the wearer's."""
    text_language: Lane[TextLanguage] | None = None

    def lanes(self) -> tuple[Lane[Any], ...]:
        """All lanes there are."""
        found = (getattr(self, item.name) for item in fields(self) if item.name != "tongues")
        return tuple(lane for lane in found if lane is not None)

    def remotes(self) -> dict[str, str]:
        """The ports whose engine sends what it is given to a server now, and the server's ``HOST:PORT``."""
        found = {lane.name: server_of(lane.engine) for lane in self.lanes()}
        found["wake"] = self.ears.engine.server
        return {port: server for port, server in found.items() if server}

    async def open(self, but: Collection[str] = ()) -> None:
        """Loads every engine but those named, one after the other; what was loaded is freed again when one fails.

        Those of ``LATER`` are loaded when they are first asked: few sessions have a use for them.
        """
        opened: list[Lane[Any]] = []
        try:
            for lane in self.lanes():
                if lane.name not in but and lane.name not in LATER:
                    await _open(lane)
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
        if self.tongues is not None:
            await self.tongues.close()
        for lane in reversed(self.lanes()):
            await lane.close()


async def _open(lane: Lane[Any]) -> None:
    try:
        await lane.open()
    except OutOfMemory as error:
        error.port = lane.name
        raise
