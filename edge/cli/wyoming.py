"""``wyoming``: this machine's ears and voice for Home Assistant, and for whatever else speaks Wyoming."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from edge import __version__, app
from edge.cli import loop
from edge.config import Config
from edge.errors import EngineMissing
from edge.household import open_engines
from edge.policy.sentences import Sentences
from edge.runtime.engines import Engines
from edge.values import EngineInfo, Pcm, Transcript, VoiceStyle, samples

PAUSE = samples(0.25)
"""Silence between two sentences: each is synthesised by itself, and trimmed."""


class Served:
    """The engines of a configuration as ``phone_bridge.wyoming_server`` wants them."""

    version = __version__

    def __init__(self, config: Config, engines: Engines) -> None:
        self._config = config
        self._engines = engines
        self._hearing = asyncio.Lock()  # recognisers have one utterance at a time

    @property
    def recogniser(self) -> EngineInfo | None:
        """The recogniser, where there is one."""
        lane = self._engines.recogniser
        return None if lane is None else lane.engine.info

    @property
    def hears(self) -> tuple[str, ...]:
        """The languages that are configured."""
        chosen = self._config.recogniser
        return tuple(map(_tag, chosen.languages or (chosen.language,)))

    @property
    def voice(self) -> EngineInfo | None:
        """The voice, where there is one."""
        lane = self._engines.voice
        return None if lane is None else lane.engine.info

    @property
    def speaks(self) -> tuple[str, ...]:
        """The voice's language, as configured."""
        return (_tag(self._config.voice.language),)

    @property
    def words(self) -> tuple[str, ...]:
        """The wake words that are configured."""
        return self._config.wake.words if self._config.wake.engine != "none" else ()

    async def transcribe(self, sound: AsyncIterator[Pcm]) -> AsyncIterator[Transcript]:
        """Recognises while the sound comes. A second client's waits until the first one's is over."""
        lane = self._engines.recogniser
        if lane is None:
            raise EngineMissing(f"the profile {self._config.profile} has no recogniser")
        async with self._hearing:
            stream = await lane.call(lambda engine, stop: engine.stream())
            try:
                async for pcm in sound:
                    if (partial := await lane.call(lambda engine, stop: stream.accept(pcm))) is not None:  # noqa: B023 - awaited
                        yield partial
                yield await lane.call(lambda engine, stop: stream.final(stop))
            finally:
                await lane.call(lambda engine, stop: stream.close())

    async def speak(self, text: AsyncIterator[str]) -> AsyncIterator[Pcm]:
        """Speaks each sentence as soon as it is complete."""
        sentences = Sentences()
        spoken = False
        async for delta in text:
            for piece in sentences.push(delta):
                async for pcm in self._say(piece, spoken):
                    yield pcm
                spoken = True
        for piece in sentences.finish():
            async for pcm in self._say(piece, spoken):
                yield pcm
            spoken = True

    async def _say(self, piece: str, pause: bool) -> AsyncIterator[Pcm]:
        lane, chosen = self._engines.voice, self._config.voice
        if lane is None:
            raise EngineMissing(f"the profile {self._config.profile} has no voice")
        if pause:
            yield np.zeros(PAUSE, np.int16)
        style = VoiceStyle(chosen.rate, chosen.pitch, chosen.volume)
        async with aclosing(lane.stream(lambda voice, stop: voice.synthesize(piece, style, stop))) as chunks:
            async for chunk in chunks:
                yield chunk.pcm

    async def detect(self, sound: AsyncIterator[Pcm], words: tuple[str, ...]) -> AsyncIterator[tuple[str, int]]:
        """Listens with an engine of its own: wake words remember the sound so far."""
        config = dataclasses.replace(self._config, wake=dataclasses.replace(self._config.wake, words=words))
        lane = app.lane("wake", config)
        if lane is None:
            raise EngineMissing(f"the profile {config.profile} has no wake word")
        try:
            at = 0
            async for pcm in sound:
                at += len(pcm)
                if (word := await lane.call(lambda engine, stop: engine.detect(pcm))) is not None:  # noqa: B023 - awaited
                    yield word, at
        finally:
            await lane.close()


def _tag(language: str) -> str:
    """A BCP 47 tag as RFC 5646 writes it: ``en-US``. Home Assistant compares letter by letter."""
    base, *rest = language.replace("_", "-").split("-")
    return "-".join([base.lower(), *(part.upper() if len(part) == 2 else part for part in rest)])


def wyoming(uri: str, profile: str | None, file: Path | None) -> None:
    """Serves until Ctrl-C."""
    config = app.load_config(profile, file)
    try:
        loop.run(_serve(config, uri))
    except loop.Interrupted:
        print("nearsight: stopped", file=sys.stderr)


async def _serve(config: Config, uri: str) -> None:
    config, engines = await open_engines(config, ("recogniser", "voice"), but=("ears",), told=_say)
    try:
        served = Served(config, engines)
        if served.recogniser is None and served.voice is None and not served.words:
            raise EngineMissing(f"the profile {config.profile} has neither recogniser nor voice nor wake word")
        server = app.wyoming_server(uri, served)
        await server.open()
        try:
            _say(f"serving Wyoming at {server.uri}: {_summary(served)}")
            if not _local(server.uri):
                _say("warning: Wyoming has no passwords: every machine that reaches this address can use these engines")
            await asyncio.Event().wait()
        finally:
            await server.close()
    finally:
        await engines.close()


def _summary(served: Served) -> str:
    parts = []
    if (ears := served.recogniser) is not None:
        parts.append(f"recogniser {ears.name} ({', '.join(served.hears)})")
    if (voice := served.voice) is not None:
        parts.append(f"voice {voice.name} ({', '.join(served.speaks)})")
    if served.words:
        parts.append(f"wake words {', '.join(served.words)}")
    return "; ".join(parts)


def _local(uri: str) -> bool:
    """Whether only this machine reaches an address."""
    parts = urlsplit(uri)
    host = parts.hostname or ""
    if parts.scheme == "unix" or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _say(line: str) -> None:
    print(f"nearsight: {line}", file=sys.stderr, flush=True)
