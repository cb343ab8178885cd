"""Engines on Wyoming servers: wyoming's own server with scripted engines, and servers that do everything wrong."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wyoming.event import Event

from edge.errors import ConfigError, EngineMissing, RemoteFailed, RemoteRefused
from edge.ports import RecogniserStream, Stop
from edge.values import Pcm, Transcript
from models.fakes import tone
from models.wyoming import WyomingRecogniser, WyomingVoice
from models.wyoming_info import Times
from models.wyoming_wake import WyomingWake
from models.wyoming_wire import Decoder, Place, encode
from tests.models.contract import check_recogniser, chunks
from tests.models.contract_voice import TEXT, speak
from tests.models.wyoming_servers import Script, served

pytestmark = pytest.mark.real_time

QUICK = Times(connect_s=0.3, describe_s=0.15, first_s=0.3, idle_s=0.25, hold_s=0.0, answer_s=0.6)
SAID = "what can you do"


class Paced(WyomingRecogniser):
    """Speech takes time: a server answers while somebody speaks."""

    def stream(self, *, phrases: Sequence[str] = (), languages: Sequence[str] = ()) -> RecogniserStream:
        stream = super().stream()
        accept = stream.accept

        def paced(pcm: Pcm) -> Transcript | None:
            time.sleep(0.004)
            return accept(pcm)

        stream.accept = paced  # type: ignore[method-assign]
        return stream


def info_event() -> bytes:
    return encode(Script().info().event())


def hear(engine: WyomingRecogniser, sound: Pcm) -> tuple[RecogniserStream, Transcript]:
    stream = engine.stream()
    for piece in chunks(sound, 960):
        stream.accept(piece)
    return stream, stream.final(Stop())


# -- places and events -------------------------------------------------------------------------------------------------------


def test_places() -> None:
    assert Place.of("tcp://10.0.0.2:10300").name == "10.0.0.2:10300"
    assert Place.of("tcp://[::1]:10300").name == "[::1]:10300"
    assert Place.of("unix:///run/w.sock") == Place("unix:/run/w.sock", "", 0, "/run/w.sock")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "tcp://",
        "tcp://host",
        "tcp://host:99999",
        "tcp://host:1/path",
        "http://host:1",
        "unix://",
        "tcp://u@h:1",
        "stdio://",
    ],
)
def test_a_malformed_url_is_told_at_once(uri: str) -> None:
    for make in (WyomingRecogniser, WyomingVoice, WyomingWake):
        with pytest.raises(ConfigError, match="tcp://HOST:PORT"):
            make(uri)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=300)), max_size=5), st.randoms())
def test_events_come_through_whatever_the_pieces(rows: list[tuple[str, bytes]], random: Any) -> None:
    events = [Event("x", {"text": text} if text else {}, payload or None) for text, payload in rows]
    stream = b"".join(map(encode, events))
    decoder = Decoder()
    found = []
    while stream:
        size = random.randint(1, 64)
        decoder.feed(stream[:size])
        stream = stream[size:]
        while (event := decoder.next()) is not None:
            found.append(event)
    assert found == events
    assert not decoder.half


@given(st.binary(max_size=200))
def test_any_bytes_are_events_or_a_value_error(data: bytes) -> None:
    decoder = Decoder()
    decoder.feed(data)
    try:
        while decoder.next() is not None:
            pass
    except ValueError:
        pass


@pytest.mark.parametrize(
    "line",
    [
        b"[1]",
        b'"text"',
        b'{"data": {}}',
        b'{"type": 3}',
        b'{"type": "x", "data": null}',
        b'{"type": "x", "data_length": "9"}',
        b'{"type": "x", "payload_length": -1}',
        b'{"type": "x", "payload_length": true}',
        b'{"type": "x", "payload_length": 99999999999}',
        b'{"type": "x", "data_length": 4}\nnull',
        b'{"type": "x", "data_length": 2}\n\xff\xff',
        b'{"type": "x", "a": ' + b"[" * 100_000,
        b"<!DOCTYPE html>",
        b"x" * (2 << 20),
    ],
)
def test_what_is_no_event_is_a_value_error(line: bytes) -> None:
    decoder = Decoder()
    decoder.feed(line + b"\n")
    with pytest.raises(ValueError):
        decoder.next()


# -- recogniser --------------------------------------------------------------------------------------------------------------


def test_the_recogniser_keeps_the_contract() -> None:
    script = Script(texts=[SAID, SAID])
    with served(script) as uri:
        check_recogniser(Paced(uri, language="en-us", names=["Ann"]), tone(1.5), SAID)
    assert [event.data for event in script.of("transcribe")] == [{"language": "en", "transcript_names": ["Ann"]}] * 2


def test_over_a_unix_socket(tmp_path: Path) -> None:
    with served(Script(texts=[SAID], streams=False), str(tmp_path / "w")) as uri:
        engine = WyomingRecogniser(uri)
        engine.open()
        assert hear(engine, tone(1.0))[1].text == SAID
        assert engine.info.remote == f"unix:{tmp_path}/w"


def test_sound_is_sent_while_it_is_spoken() -> None:
    script = Script(texts=[SAID])
    with served(script) as uri:
        engine = WyomingRecogniser(uri)
        stream = engine.stream()
        for piece in chunks(tone(1.5), 960):
            stream.accept(piece)
            time.sleep(0.01)
        assert script.of("audio-start"), "nobody waited for the end"
        assert not script.of("audio-stop")
        engine.close()


def test_speech_after_a_pause_is_one_utterance() -> None:
    script = Script(texts=["turn it", "turn it on"], streams=False)
    with served(script) as uri:
        engine = WyomingRecogniser(uri)
        stream, first = hear(engine, tone(0.5))
        assert first.text == "turn it"
        for piece in chunks(tone(0.5), 960):
            stream.accept(piece)
        assert stream.final(Stop()).text == "turn it on"
        stream.close()
    assert script.of("audio-stop")[-1].data == {"timestamp": 1000}, "all of it was sent again"


def test_a_hint_of_silence_costs_nothing() -> None:
    script = Script(texts=[SAID], streams=False)
    with served(script) as uri:
        engine = WyomingRecogniser(uri)
        stream = engine.stream()
        for piece in chunks(tone(1.0), 1600):
            stream.accept(piece)
            stop = Stop()
            threading.Timer(0.02, stop.set).start()
            stream.final(stop)  # begun at the hint, and given up
        assert stream.final(Stop()).text == SAID
        stream.close()
    assert script.connections == 1
    assert script.of("audio-stop")[0].data == {"timestamp": 1000}


@pytest.mark.parametrize("hang_ups", [1, 2])
def test_a_lost_connection_costs_nothing(hang_ups: int) -> None:
    script = Script(texts=[SAID], streams=False, hang_ups=hang_ups, hang_up_after=5)
    with served(script) as uri:
        assert hear(Paced(uri), tone(1.0))[1].text == SAID
    assert script.of("audio-stop")[-1].data == {"timestamp": 1000}


def test_a_server_that_hangs_up_each_time_is_given_up() -> None:
    with served(Script(hang_ups=99)) as uri, pytest.raises(RemoteFailed, match="hung up"):
        hear(WyomingRecogniser(uri), tone(1.0))


def test_a_model_of_another_program_is_selected() -> None:
    script = Script(texts=[SAID, SAID])
    with served(script) as uri:
        hear(WyomingRecogniser(uri, language="fr"), tone(0.5))
        hear(WyomingRecogniser(uri, model="kotoba"), tone(0.5))
    assert [event.data for event in script.of("select-program")] == [{"name": "vosk"}]
    assert [event.data for event in script.of("transcribe")] == [
        {"name": "small-fr", "language": "fr_FR"},
        {"name": "kotoba"},
    ]


def test_each_utterance_may_be_in_another_language() -> None:
    script = Script(texts=[SAID] * 4)
    with served(script) as uri:
        engine = WyomingRecogniser(uri, language="en-us")
        told = []
        for languages in ((), ("de-AT",), ("en", "de"), ("es",)):
            stream = engine.stream(languages=languages)
            stream.accept(tone(0.5))
            if languages == ("es",):
                with pytest.raises(RemoteRefused, match="'es'; it has en, de, ja"):
                    stream.final(Stop())
            else:
                told.append(stream.final(Stop()).language)
            stream.close()
    assert [event.data.get("language") for event in script.of("transcribe")] == ["en", "de", None]
    assert told == ["en-us", "de-AT", ""]


@pytest.mark.parametrize(
    ("options", "has"),
    [
        ({"model": "large"}, "has no speech recogniser 'large'; it has base, kotoba, small-fr"),
        ({"language": "es"}, "en, de, ja"),
    ],
)
def test_what_the_server_lacks_is_refused(options: dict[str, Any], has: str) -> None:
    with served(Script()) as uri:
        engine = WyomingRecogniser(uri, **options)
        engine.open()  # the session begins all the same
        with pytest.raises(RemoteRefused, match=has) as raised:
            hear(engine, tone(0.5))
    assert uri.removeprefix("tcp://") in raised.value.text
    assert not raised.value.retryable


def test_an_error_tells_its_code_and_never_what_was_said() -> None:
    with served(Script(fails="asr-broken")) as uri, pytest.raises(RemoteFailed, match=r"failed \(asr-broken\)") as raised:
        hear(WyomingRecogniser(uri), tone(0.5))
    assert "secret" not in raised.value.text
    assert raised.value.retryable


def test_a_server_that_is_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for engine in (WyomingRecogniser(f"tcp://127.0.0.1:{port}"), WyomingVoice(f"tcp://127.0.0.1:{port}")):
        engine.open()
    with pytest.raises(RemoteFailed, match=f"127.0.0.1:{port} is not reached: connection refused"):
        hear(WyomingRecogniser(f"tcp://127.0.0.1:{port}"), tone(0.5))
    began = time.monotonic()
    with pytest.raises(RemoteFailed, match="connection refused"):
        speak(WyomingVoice(f"tcp://127.0.0.1:{port}"), TEXT)
    assert time.monotonic() - began < 1.5, "three tries, and no waiting for a timeout"


def test_a_name_that_nobody_has() -> None:
    with pytest.raises(RemoteFailed, match=r"not reached"):
        hear(WyomingRecogniser("tcp://nobody.invalid:1", times=QUICK), tone(0.5))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for engine in (WyomingRecogniser("tcp://h:1"), WyomingVoice("tcp://h:1"), WyomingWake("tcp://h:1")):
        with pytest.raises(EngineMissing, match=r"pip install 'nearsight\[wyoming\]'"):
            engine.open()


# -- servers that do everything wrong ----------------------------------------------------------------------------------------
