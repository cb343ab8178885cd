"""What goes wrong at a Wyoming server costs one connection at most."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.info import Describe, SelectProgram
from wyoming.ping import Ping
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice
from wyoming.wake import Detect

from edge.errors import LinkError, UsageError
from edge.values import Pcm
from models.fakes import silence, tone
from phone_bridge import wyoming_server, wyoming_talk
from phone_bridge.wyoming_server import WyomingServer
from phone_bridge.wyoming_sound import Bad, Converter
from tests.phone_bridge.test_wyoming_server import Scripted, ask, client, serving, sound

pytestmark = pytest.mark.real_time

# -- what goes wrong ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["", "http://h:1", "tcp://h", "tcp://h:x", "unix://", "stdio://"])
def test_a_malformed_address(uri: str) -> None:
    with pytest.raises(UsageError, match="tcp://HOST:PORT"):
        WyomingServer(uri, Scripted())


async def test_an_address_that_cannot_be_had(tmp_path: Path) -> None:
    async with serving() as server:
        with pytest.raises(LinkError, match="cannot serve at"):
            await WyomingServer(server.uri, Scripted()).open()
    precious = tmp_path / "letter.txt"
    precious.write_text("x")
    with pytest.raises(LinkError, match="is no socket"):
        await WyomingServer(f"unix://{precious}", Scripted()).open()
    assert precious.read_text() == "x"


async def exchange(server: WyomingServer, data: bytes) -> bytes:
    """Sends bytes, and gives all that comes until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(data)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            return await asyncio.wait_for(reader.read(), 5)
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def line(event: Event) -> bytes:
    data = {"type": event.type, "data": event.data}
    if event.payload:
        data["payload_length"] = len(event.payload)  # type: ignore[assignment]
    return json.dumps(data).encode() + b"\n" + (event.payload or b"")


BEGUN = line(Transcribe().event()) + line(AudioStart(16_000, 2, 1).event())


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"[]\n",
        b"{}\n",
        b'{"type": 7}\n',
        b'{"type": "ping", "data": 3}\n',
        b'{"type": "ping", "data_length": "x"}\n',
        b'{"type": "ping", "data_length": 4}\nnull',
        b'{"type": "audio-chunk", "payload_length": 99999999999}\n' + b"x" * 100,
        b"x" * 200_000,
        b"[" * 60_000 + b"\n",
        line(SelectProgram("other").event()),
        line(AudioStart(16_000, 2, 1).event()),
        line(AudioChunk(16_000, 2, 1, b"1234").event()),
        line(Transcribe().event()) + line(AudioStart(1, 2, 1).event()),
        line(Transcribe().event()) + line(Event("audio-start", {"rate": "x"})),
        line(Transcribe(language="xx").event()),
        BEGUN + line(AudioChunk(16_000, 2, 1, b"123").event()),
        BEGUN + line(AudioChunk(8000, 2, 1, b"1234").event()),
        line(SynthesizeChunk("x").event()),
        line(Event("synthesize", {"text": 3})),
        line(Synthesize("x" * 30_000).event()),
        line(Synthesize("x", SynthesizeVoice(language="ja")).event()),
    ],
)
async def test_malformed_input_costs_its_connection_only(data: bytes) -> None:
    async with serving() as server, client(server) as other:
        answer = await exchange(server, data)
        last = json.loads(answer.splitlines()[-1] if answer else b'{"text": "-"}')
        assert "text" in last, answer
        await other.write_event(Ping("still here").event())
        assert (await other.read_event()) is not None


EVENTS = [
    Describe().event(),
    Ping().event(),
    Transcribe().event(),
    Detect().event(),
    AudioStart(16_000, 2, 1).event(),
    AudioChunk(16_000, 2, 1, b"12345678").event(),
    AudioStop().event(),
    Synthesize("a b").event(),
    SynthesizeStart().event(),
    SynthesizeChunk("a").event(),
    SynthesizeStop().event(),
    Event("unknown"),
]


@settings(max_examples=30)
@given(st.lists(st.sampled_from([line(event) for event in EVENTS]), max_size=12))
def test_events_in_any_order_end_in_an_orderly_way(lines: list[bytes]) -> None:
    async def run() -> None:
        async with serving() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"".join(lines) + line(Ping("end").event()))
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), 5)
            assert b'"error"' in answer or b'"pong"' in answer
            writer.close()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


async def test_a_failure_of_an_engine_is_told_and_the_connection_stays() -> None:
    engines = Scripted()
    engines.fails = True
    async with serving(engines) as server, client(server) as peer:
        for event in (Transcribe().event(), *sound(tone(0.5))):
            await peer.write_event(event)
        while (event := await peer.read_event()) is not None and event.type != "error":
            pass
        assert event.data == {"text": "it broke", "code": "engine_failed"}
        await peer.write_event(Ping().event())
        answer = await peer.read_event()
        assert answer is not None and answer.type == "pong"


@pytest.mark.parametrize("request_", [Synthesize("word " * 500), Transcribe()])
async def test_who_hangs_up_ends_the_work(request_: Any) -> None:
    engines = Scripted()
    async with serving(engines) as server:
        async with client(server) as peer:
            await peer.write_event(request_.event())
            if isinstance(request_, Transcribe):
                for event in sound(tone(0.3))[:-1]:
                    await peer.write_event(event)
            await peer.read_event()
            await peer.read_event() if isinstance(request_, Synthesize) else await asyncio.sleep(0.05)
        for _ in range(100):
            if engines.given_up:
                break
            await asyncio.sleep(0.01)
        assert engines.given_up == 1


async def test_there_is_room_for_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wyoming_server, "CLIENTS", 2)
    async with serving() as server:
        async with client(server) as one, client(server) as two:
            for peer in (one, two):
                await peer.write_event(Ping().event())
                assert await peer.read_event() is not None
            answer = await exchange(server, line(Ping().event()))
            assert b"as many clients as can be" in answer
        await asyncio.sleep(0.05)
        await ask(server, Ping().event(), until="pong")


async def test_who_says_nothing_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wyoming_talk, "IDLE_S", 0.1)
    monkeypatch.setattr(wyoming_talk, "UNUSED_S", 0.2)
    async with serving() as server:
        assert b"nothing came" in await exchange(server, b"")
        assert b"nothing came" in await exchange(server, BEGUN)
        assert b"nothing came" in await exchange(server, b'{"type": "ping", "data_length": 9}\n{')


async def test_who_does_not_read_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wyoming_talk, "SEND_S", 0.2)

    class Fast(Scripted):
        async def speak(self, text: AsyncIterator[str]) -> AsyncIterator[Pcm]:
            try:
                for _ in range(500):
                    yield silence(2.0)
            except (asyncio.CancelledError, GeneratorExit):
                self.given_up += 1
                raise

    engines = Fast()
    async with serving(engines) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(line(Synthesize("all of it").event()))
        for _ in range(200):
            if engines.given_up:
                break
            await asyncio.sleep(0.02)
        writer.close()
        assert engines.given_up == 1


def test_the_converter_takes_any_format() -> None:
    pcm = tone(0.5)
    wide = pcm.astype("<i4") << 16
    cases = {
        (16_000, 1, 1): ((pcm >> 8) + 128).astype(np.uint8).tobytes(),
        (16_000, 2, 2): np.repeat(pcm, 2).tobytes(),
        (16_000, 3, 1): wide[:, None].view(np.uint8)[:, 1:].tobytes(),
        (16_000, 4, 1): wide.tobytes(),
    }
    for (rate, width, channels), data in cases.items():
        form = {"rate": rate, "width": width, "channels": channels}
        out = Converter(form).add(form, data)
        assert np.abs(out.astype(int) - pcm).max() <= (256 if width == 1 else 1)
    with pytest.raises(Bad, match="sound of 16000 Hz, 9 bytes"):
        Converter({"rate": 16_000, "width": 9, "channels": 1})
