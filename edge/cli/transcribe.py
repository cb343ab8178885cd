"""``transcribe``: a recording into words with times, by the same listening that a session does, without turns.

The voice activity detector cuts the recording at pauses; each piece of speech is one utterance for the recogniser, which
keeps its memory bounded however long the recording is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge import app
from edge.cli import loop
from edge.cli.output import Output
from edge.config import Config
from edge.errors import EngineMissing, UsageError
from edge.ports import Recogniser, RecogniserStream
from edge.runtime.engines import Ears
from edge.runtime.lane import Lane
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Pcm, Transcript, samples


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the sound is cut into utterances. Seconds."""

    pause: float
    """Silence that ends an utterance."""
    longest: float
    """An utterance without a pause is cut here."""
    feed: float
    """How much the recogniser is given at a time."""
    pre_roll: float
    """Sound before the first speech that belongs to it; a recogniser tells the channel from the quiet parts too."""


LIVE = Cut(pause=0.5, longest=20.0, feed=0.1, pre_roll=0.4)
"""Partials are wanted as speech goes on."""
WHOLE = Cut(pause=1.2, longest=30.0, feed=30.0, pre_roll=1.0)
"""Nobody waits: the recogniser hears an utterance in one piece, knows its loudness and its channel before it begins, and
searches it twice."""


def transcribe(
    file: Path, profile: str | None, config_file: Path | None, *, stream: bool, language: str | None, as_json: bool
) -> None:
    """Prints partials (with ``stream``) and finals with the times of their words."""
    if not file.exists():
        raise UsageError(f"{file}: there is no such file")
    patience = {} if stream else {"time_limit": 600.0}
    changes = {"second_pass": not stream, **patience, **({"language": language} if language else {})}
    config = app.load_config(profile, config_file, {"recogniser": changes, "turns": {"wake": False}})
    loop.run(_transcribe(config, file, Output(as_json=as_json), live=stream))


async def _transcribe(config: Config, file: Path, output: Output, *, live: bool) -> None:
    engines = app.build_engines(config, only=("recogniser",))
    if engines.recogniser is None:
        raise EngineMissing(f"the profile {config.profile} has no recogniser")
    try:
        sound = await asyncio.to_thread(lambda: app.read_sound(file))
        scribe = _Scribe(config, engines.ears, engines.recogniser, output, live=live)
        began = asyncio.get_running_loop().time()
        for chunk in _chunks(sound):
            if live:
                await asyncio.sleep(max(0.0, began + chunk.end / SAMPLE_RATE - asyncio.get_running_loop().time()))
            await scribe.hear(chunk)
        await scribe.end()
        if not scribe.heard and not output.as_json:
            print("(no speech)")
    finally:
        await engines.ears.close()
        await engines.recogniser.close()


def _chunks(sound: Iterator[Pcm]) -> Iterator[AudioChunk]:
    start = 0
    for pcm in sound:
        for at in range(0, len(pcm), CHUNK_SAMPLES):
            piece = pcm[at : at + CHUNK_SAMPLES]
            yield AudioChunk(piece, start)
            start += len(piece)


@dataclass
class _Scribe:
    config: Config
    ears: Lane[Ears]
    recogniser: Lane[Recogniser]
    output: Output
    live: bool
    _stream: RecogniserStream | None = None
    _origin: int = 0
    _last: int = 0
    _recent: list[AudioChunk] = field(default_factory=list)
    _batch: list[Pcm] = field(default_factory=list)

    heard: bool = False
    """Whether anything was recognised."""

    def __post_init__(self) -> None:
        self.cut = LIVE if self.live else WHOLE

    async def hear(self, chunk: AudioChunk) -> None:
        """Takes the next chunk."""
        self._recent.append(chunk)
        heard = await self.ears.call(lambda ears, stop: ears.hear(chunk, voice=True))
        if any(window.probability >= self.config.turns.speech_threshold for window in heard.windows):
            self._last = chunk.end
            if self._stream is None:
                await self._begin()
                return
        if self._stream is None:
            while self._recent[0].end < chunk.end - samples(self.cut.pre_roll):
                self._recent.pop(0)
            return
        self._recent.clear()
        self._batch.append(chunk.pcm)
        if len(self._batch) * CHUNK_SAMPLES >= samples(self.cut.feed):
            await self._feed()
        if chunk.end - self._last > samples(self.cut.pause) or chunk.end - self._origin > samples(self.cut.longest):
            await self.end()

    async def _begin(self) -> None:
        self._stream = await self.recogniser.call(lambda engine, stop: engine.stream())
        self._origin = self._recent[0].start
        self._batch = [chunk.pcm for chunk in self._recent]
        self._recent.clear()

    async def _feed(self) -> None:
        stream = self._stream
        if stream is None or not self._batch:
            return
        pcm = np.concatenate(self._batch)
        self._batch.clear()
        partial = await self.recogniser.call(lambda engine, stop: stream.accept(pcm))
        if partial is not None and self.live:
            self.output.line({"event": "partial", "text": partial.text}, f"  ... {partial.text}")

    async def end(self) -> None:
        """Ends the utterance under way, and prints it."""
        stream = self._stream
        if stream is None:
            return
        await self._feed()
        final = await self.recogniser.call(lambda engine, stop: stream.final(stop))
        await self.recogniser.call(lambda engine, stop: stream.close())
        self._stream = None
        if final.text:
            self.heard = True
            self._print(final)

    def _print(self, final: Transcript) -> None:
        origin = self._origin
        words = [
            {
                "text": w.text,
                "start_ms": _ms(w.start + origin),
                "end_ms": _ms(w.end + origin),
                "confidence": round(w.confidence, 3),
            }
            for w in final.words
        ]
        row = {"event": "final", "text": final.text, "confidence": round(final.confidence, 3), "words": words}
        begin = _ms(final.words[0].start + origin) if final.words else _ms(origin)
        self.output.line(row, f"[{begin / 1000:7.2f} s] {final.text}")


def _ms(sample: int) -> float:
    return round(sample * 1000 / SAMPLE_RATE, 1)
