"""Wyoming servers for tests: wyoming's own one with scripted engines, and sockets that say whatever a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import (
    AsrModel,
    AsrProgram,
    Attribution,
    Describe,
    Info,
    TtsProgram,
    TtsVoice,
    TtsVoiceSpeaker,
    WakeModel,
    WakeProgram,
)
from wyoming.server import AsyncEventHandler, AsyncTcpServer, AsyncUnixServer
from wyoming.tts import Synthesize
from wyoming.wake import Detect, Detection

from edge.ports import Stop
from edge.values import SAMPLE_RATE, VoiceStyle
from models.fakes import FakeRecogniser, FakeVoice, FakeWake

_COMMON: dict[str, Any] = {
    "attribution": Attribution("nobody", "http://localhost"),
    "installed": True,
    "description": None,
    "version": None,
}


@dataclass
class Script:
    """What a scripted server does, and what it was asked."""

    texts: list[str] = field(default_factory=list)
    streams: bool = True
    """Whether it streams its transcript."""
    rate: int = SAMPLE_RATE
    width: int = 2
    channels: int = 1
    cost: float = 0.0
    """Seconds of work before the first sound."""
    seconds: float = 1.0
    """Of speech until all of a text was heard."""
    hang_up_after: int = 0
    """Pieces of sound after which it hangs up, the next ``hang_ups`` times."""
    hang_ups: int = 0
    fails: str = ""
    """The code of the error that it answers with."""
    one_word: bool = False
    """Whether it listens for one wake word and no more."""
    connections: int = 0
    requests: list[Event] = field(default_factory=list)
    ended: int = 0
    """Connections that are over."""

    def info(self) -> Info:
        whisper = AsrProgram(
            name="whisper",
            models=[
                AsrModel(name="base", languages=["en", "de"], **_COMMON),
                AsrModel(name="kotoba", languages=["ja"], **_COMMON),
            ],
            **_COMMON,
        )
        vosk = AsrProgram(name="vosk", models=[AsrModel(name="small-fr", languages=["fr_FR"], **_COMMON)], **_COMMON)
        speakers = [TtsVoiceSpeaker("ann"), TtsVoiceSpeaker("bob")]
        piper = TtsProgram(
            name="piper",
            voices=[
                TtsVoice(name="en_US-amy", languages=["en_US"], **_COMMON),
                TtsVoice(name="de_DE-many", languages=["de_DE"], speakers=speakers, **_COMMON),
            ],
            **_COMMON,
        )
        wake = WakeProgram(
            name="openwakeword",
            models=[WakeModel(name="hey_jarvis_v0.1", phrase="hey jarvis", languages=["en"], **_COMMON)],
            **_COMMON,
        )
        return Info(asr=[whisper, vosk], tts=[piper], wake=[wake])

    def handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AsyncEventHandler:
        self.connections += 1
        return Handler(self, reader, writer)

    def of(self, kind: str) -> list[Event]:
        """The requests of one type."""
        return [event for event in self.requests if event.type == kind]


class Handler(AsyncEventHandler):
    """One connection of a scripted server."""

    def __init__(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self.script = script
        self.stream: Any = None
        self.wake: FakeWake | None = None
        self.pieces = 0
        self.shown: list[str] = []

    async def run(self) -> None:
        with contextlib.suppress(ConnectionError):  # wyoming lets it out of the task
            await super().run()

    async def disconnect(self) -> None:
        self.script.ended += 1

    async def handle_event(self, event: Event) -> bool:
        script = self.script
        if not AudioChunk.is_type(event.type):
            script.requests.append(event)
        if Describe.is_type(event.type):
            await self.write_event(script.info().event())
        elif script.fails and event.type in ("transcribe", "synthesize", "detect"):
            await self.write_event(Error("it said: my secret", script.fails).event())
        elif Synthesize.is_type(event.type):
            await self.speak(Synthesize.from_event(event).text)
        elif Transcribe.is_type(event.type):
            text = script.texts[0] if script.texts else ""
            self.stream = FakeRecogniser([text], seconds=script.seconds).stream()
        elif Detect.is_type(event.type):
            self.wake = FakeWake(word="hey_jarvis_v0.1")
        elif AudioChunk.is_type(event.type):
            return await self.hear(np.frombuffer(event.payload or b"", np.int16))
        elif AudioStop.is_type(event.type) and self.stream is not None:
            await self.transcript()
        return True

    async def hear(self, pcm: np.ndarray) -> bool:
        self.pieces += 1
        if self.script.hang_ups and self.pieces > self.script.hang_up_after:
            self.script.hang_ups -= 1
            return False
        if self.wake is not None and self.wake.detect(pcm):
            await self.write_event(Detection("hey_jarvis_v0.1").event())
            return not self.script.one_word
        partial = self.stream.accept(pcm) if self.stream is not None else None
        if partial is not None and self.script.streams:
            await self.chunk(partial.text)
        return True

    async def chunk(self, text: str) -> None:
        if not self.shown:
            await self.write_event(TranscriptStart().event())
        words = text.split()
        for word in words[len(self.shown) :]:
            await self.write_event(TranscriptChunk(f" {word}").event())
        self.shown = words

    async def transcript(self) -> None:
        text = self.stream.final(Stop()).text
        self.stream = None
        if self.script.texts:
            self.script.texts.pop(0)
        if self.script.streams:
            await self.chunk(text)
        await self.write_event(Transcript(text).event())
        if self.script.streams:
            await self.write_event(TranscriptStop().event())
        self.shown = []

    async def speak(self, text: str) -> None:
        await asyncio.sleep(self.script.cost)
        chunks = [chunk.pcm for chunk in FakeVoice().synthesize(text, VoiceStyle(), Stop())]
        form = (self.script.rate, self.script.width, self.script.channels)
        data = converted(np.concatenate(chunks), *form)
        await self.write_event(AudioStart(*form).event())
        for at in range(0, len(data), 2047):  # frames are torn
            await self.write_event(AudioChunk(*form, audio=data[at : at + 2047]).event())
        await self.write_event(AudioStop().event())


def converted(pcm: np.ndarray, rate: int, width: int, channels: int) -> bytes:
    """Gives 16 kHz sound in another format, by repeating samples."""
    pcm = np.repeat(pcm, rate // SAMPLE_RATE)
    wide = pcm.astype(np.int32) << 16
    if width == 1:
        data = ((pcm >> 8) + 128).astype(np.uint8)[:, None]
    else:
        data = wide[:, None].view(np.uint8)[:, 4 - width :]
    return np.repeat(data[:, None], channels, axis=1).tobytes()


@contextlib.contextmanager
def served(script: Script, path: str = "") -> Iterator[str]:
    """Runs wyoming's own server in a thread; gives its URI."""
    loop = asyncio.new_event_loop()
    server = AsyncUnixServer(path) if path else AsyncTcpServer("127.0.0.1", 0)
    loop.run_until_complete(server.start(script.handler))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    assert server._server is not None
    uri = f"unix://{path}" if path else f"tcp://127.0.0.1:{server._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
    try:
        yield uri
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _stop(server: Any) -> None:
    await server.stop()
    if left := list(server._handlers):
        await asyncio.wait(left, timeout=2)


@contextlib.contextmanager
def raw(*scripts: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serves one connection after the other, each by the next of the scripts, the last one for ever; gives the URI."""
    listener = socket.create_server(("127.0.0.1", 0))
    open_now: list[socket.socket] = []
    over = threading.Event()

    def serve() -> None:
        waiting = list(scripts)
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            if over.is_set():
                peer.close()
                return
            open_now.append(peer)
            with contextlib.suppress(OSError):
                (waiting.pop(0) if len(waiting) > 1 else waiting[0])(peer)

    thread = threading.Thread(target=serve)
    thread.start()
    port = listener.getsockname()[1]
    try:
        yield f"tcp://127.0.0.1:{port}"
    finally:
        over.set()
        for peer in open_now:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
        thread.join()
        listener.close()
        for peer in open_now:
            peer.close()
