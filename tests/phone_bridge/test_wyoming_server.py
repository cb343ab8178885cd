"""nearsight as a Wyoming server, asked by wyoming's own client, and by clients that do everything wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.event import Event
from wyoming.info import Describe, Info, SelectProgram
from wyoming.ping import Ping
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice
from wyoming.wake import Detect

from edge.app import build_engines, load_config
from edge.cli.wyoming import Served
from edge.errors import EngineFailed
from edge.ports import Stop
from edge.runtime.engines import Ears, Engines
from edge.runtime.lane import Lane
from edge.values import SAMPLE_RATE, EngineInfo, Pcm, Transcript, VoiceStyle, Word
from models.fakes import FakeRecogniser, FakeVoice, FakeWake, silence, tone
from models.wyoming import WyomingRecogniser, WyomingVoice
from phone_bridge.wyoming_server import WyomingServer

pytestmark = pytest.mark.real_time

SAID = "what can you do"


class Scripted:
    """Scripted engines, with the work that was given up."""

    version = "1.2"
    hears = ("en-US", "de")
    speaks = ("en-US",)
    words: tuple[str, ...] = ("hey_jarvis", "alexa")

    def __init__(self) -> None:
        self.recogniser: EngineInfo | None = EngineInfo("fake ears", "0", "small")
        self.voice: EngineInfo | None = EngineInfo("fake voice", "0", "amy")
        self.given_up = 0
        self.texts: list[str] = []
        self.fails = False
        self.heard = 0

    async def transcribe(self, sound: AsyncIterator[Pcm]) -> AsyncIterator[Transcript]:
        stream = FakeRecogniser([SAID]).stream()
        try:
            async for pcm in sound:
                self.heard += len(pcm)
                if self.fails:
                    raise EngineFailed("it broke")
                if (partial := stream.accept(pcm)) is not None:
                    words = tuple(Word(text, 0, 1) for text in partial.text.split())
                    yield Transcript(partial.text, words, settled=len(words) - 1)
            yield stream.final(Stop())
        except (asyncio.CancelledError, GeneratorExit):
            self.given_up += 1
            raise

    async def speak(self, text: AsyncIterator[str]) -> AsyncIterator[Pcm]:
        try:
            async for piece in text:
                self.texts.append(piece)
                for chunk in FakeVoice().synthesize(piece, VoiceStyle(), Stop()):
                    yield chunk.pcm
                    await asyncio.sleep(0.001)
        except (asyncio.CancelledError, GeneratorExit):
            self.given_up += 1
            raise

    async def detect(self, sound: AsyncIterator[Pcm], words: tuple[str, ...]) -> AsyncIterator[tuple[str, int]]:
        at = 0
        wake = FakeWake(word=words[0])
        async for pcm in sound:
            at += len(pcm)
            if (word := wake.detect(pcm)) is not None:
                yield word, at


@contextlib.asynccontextmanager
async def serving(engines: Any = None, uri: str = "tcp://127.0.0.1:0") -> AsyncIterator[WyomingServer]:
    server = WyomingServer(uri, engines or Scripted())
    await server.open()
    try:
        yield server
    finally:
        await server.close()


def client(server: WyomingServer) -> AsyncClient:
    return AsyncClient.from_uri(server.uri, read_timeout=5)


async def ask(server: WyomingServer, *events: Event, until: str) -> list[Event]:
    """Sends events on a connection of their own and gives what comes, up to an event of a type."""
    async with client(server) as peer:
        for event in events:
            await peer.write_event(event)
        found = []
        while (event := await peer.read_event()) is not None:
            found.append(event)
            if event.type == until:
                return found
    raise AssertionError(f"no {until}, but {[event.type for event in found]}")


def sound(pcm: Pcm, rate: int = SAMPLE_RATE, size: int = 960) -> list[Event]:
    events = [AudioStart(rate, 2, 1).event()]
    events += [AudioChunk(rate, 2, 1, pcm[at : at + size].tobytes()).event() for at in range(0, len(pcm), size)]
    return [*events, AudioStop().event()]


# -- what it does ------------------------------------------------------------------------------------------------------------


async def test_it_describes_itself() -> None:
    async with serving() as server:
        [event] = await ask(server, Describe().event(), until="info")
    info = Info.from_event(event)
    assert [(p.name, p.version, p.supports_transcript_streaming) for p in info.asr] == [("nearsight", "1.2", True)]
    assert [(m.name, m.languages) for m in info.asr[0].models] == [("small", ["en-US", "de"])]
    assert [(v.name, v.languages) for v in info.tts[0].voices] == [("amy", ["en-US"])]
    assert info.tts[0].supports_synthesize_streaming
    assert [(m.name, m.phrase) for m in info.wake[0].models] == [("hey_jarvis", "hey jarvis"), ("alexa", "alexa")]


async def test_it_describes_only_what_there_is() -> None:
    engines = Scripted()
    engines.recogniser = engines.voice = None
    engines.words = ()
    async with serving(engines) as server:
        [event] = await ask(server, Describe().event(), until="info")
        assert Info.from_event(event) == Info()
        for request in (Transcribe().event(), Synthesize("x").event(), Detect().event()):
            assert (await ask(server, request, until="error"))[0].data["code"] == "usage"


async def test_ping() -> None:
    async with serving() as server:
        assert (await ask(server, Ping("x").event(), until="pong"))[0].data == {"text": "x"}


async def test_speech_becomes_text_in_a_stream() -> None:
    async with serving() as server:
        events = await ask(server, Transcribe(language="en").event(), *sound(tone(1.5)), until="transcript-stop")
    kinds = [event.type for event in events]
    assert kinds[0] == "transcript-start"
    assert kinds[-2:] == ["transcript", "transcript-stop"]
    chunks = [event.data["text"] for event in events if event.type == "transcript-chunk"]
    assert len(chunks) > 1, "words come as they stand"
    assert "".join(chunks) == SAID == events[-2].data["text"]


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
async def test_any_rate_is_heard(rate: int) -> None:
    engines = Scripted()
    async with serving(engines) as server:
        await ask(server, Transcribe().event(), *sound(tone(3.0)[: rate // 2], rate), until="transcript-stop")
    assert engines.heard == pytest.approx(SAMPLE_RATE // 2, abs=40)


async def test_several_requests_on_one_connection() -> None:
    async with serving() as server, client(server) as peer:
        for _ in range(2):
            for event in (SelectProgram("nearsight").event(), Transcribe().event(), *sound(tone(1.2))):
                await peer.write_event(event)
        texts: list[str] = []
        while len(texts) < 2:
            event = await peer.read_event()
            assert event is not None
            texts += [event.data["text"]] if event.type == "transcript" else []
    assert texts == [SAID, SAID]


async def test_text_becomes_speech() -> None:
    async with serving() as server:
        voice = SynthesizeVoice(language="en")
        events = await ask(server, Synthesize("one two three", voice).event(), until="audio-stop")
    assert events[0].data["rate"] == SAMPLE_RATE
    pcm = np.frombuffer(b"".join(event.payload or b"" for event in events), np.int16)
    assert len(pcm) == pytest.approx(0.6 * SAMPLE_RATE, abs=2)
    assert events[-1].data["timestamp"] == 600


async def test_text_in_pieces_becomes_speech() -> None:
    engines = Scripted()
    text = [SynthesizeStart(), SynthesizeChunk("one "), SynthesizeChunk("two"), Synthesize("one two"), SynthesizeStop()]
    async with serving(engines) as server:
        events = await ask(server, *(item.event() for item in text), until="synthesize-stopped")
    assert engines.texts == ["one ", "two"], "what repeats the pieces is not spoken again"
    kinds = [event.type for event in events if event.type != "audio-chunk"]
    assert kinds == ["audio-start", "audio-stop", "synthesize-stopped"]


async def test_speech_begins_before_the_text_ends() -> None:
    async with serving() as server, client(server) as peer:
        await peer.write_event(SynthesizeStart().event())
        await peer.write_event(SynthesizeChunk("one two").event())
        for kind in ("audio-start", "audio-chunk"):
            event = await peer.read_event()
            assert event is not None and event.type == kind


async def test_wake_words() -> None:
    call = silence(1.0)
    call[8000] = FakeWake.MARK
    async with serving() as server:
        events = await ask(server, Detect(["alexa"]).event(), *sound(call), until="detection")
        assert events[0].data["name"] == "alexa"
        assert events[0].data["timestamp"] == pytest.approx(500, abs=61)
        await ask(server, Detect().event(), *sound(silence(0.5)), until="not-detected")
        assert "hey_jarvis" in (await ask(server, Detect(["computer"]).event(), until="error"))[0].data["text"]


async def test_over_a_socket_of_the_file_system(tmp_path: Path) -> None:
    async with serving(uri=f"unix://{tmp_path}/w") as server:
        await ask(server, Ping().event(), until="pong")
    assert not (tmp_path / "w").exists()


# -- with lanes, and with real engines ---------------------------------------------------------------------------------------


def lanes(texts: list[str]) -> Engines:
    fakes = FakeRecogniser(texts, seconds=0.5)
    return Engines(
        ears=Lane("ears", lambda: Ears(None, None)),
        recogniser=Lane("recogniser", lambda: fakes),
        voice=Lane("voice", FakeVoice),
    )


async def test_lanes_are_served_to_several_at_once() -> None:
    engines = lanes([SAID] * 3)
    served = Served(load_config("bundled"), engines)
    try:
        async with serving(served) as server:
            asked = [ask(server, Transcribe().event(), *sound(tone(1.0)), until="transcript") for _ in range(3)]
            spoken = [ask(server, Synthesize("One two. Three four!").event(), until="audio-stop") for _ in range(2)]
            answers = await asyncio.gather(*asked, *spoken)
    finally:
        await engines.close()
    assert [events[-1].data["text"] for events in answers[:3]] == [SAID] * 3
    assert [events[-1].data["timestamp"] for events in answers[3:]] == [1050, 1050], "two sentences, and a pause between"


async def test_text_to_speech_to_text_with_real_engines() -> None:
    """Our client engines on our server, which runs the bundled voice, recogniser and wake word."""
    config = load_config("bundled")
    engines = build_engines(config, ("recogniser", "voice"))
    await engines.open(but=("ears",))
    try:
        served = Served(config, engines)
        async with serving(served) as server:
            text, heard, events = await asyncio.to_thread(there_and_back, server.uri)
            wake = await ask(server, Detect().event(), *sound(silence(1.0)), until="not-detected")
    finally:
        await engines.close()
    assert heard.text.split() == text.split()
    assert heard.final and events > 0
    assert [event.type for event in wake] == ["not-detected"]


def there_and_back(uri: str) -> tuple[str, Transcript, int]:
    text = "good morning everybody"
    voice, ears = WyomingVoice(uri, language="en-us"), WyomingRecogniser(uri, language="en-us")
    voice.open()
    ears.open()
    assert voice.info.remote == uri.removeprefix("tcp://")
    chunks = [chunk.pcm for chunk in voice.synthesize(text, VoiceStyle(), Stop())]
    stream = ears.stream()
    for pcm in [silence(0.3), *chunks, silence(0.3)]:
        stream.accept(pcm)
    heard = stream.final(Stop())
    stream.close()
    ears.close()
    voice.close()
    return text, heard, len(chunks)
