"""Wyoming servers that do everything wrong, and calls that are given up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest
from wyoming.audio import AudioChunk, AudioStart
from wyoming.event import Event

from edge.errors import RemoteFailed
from edge.ports import Stop
from edge.values import SAMPLE_RATE, VoiceStyle
from models.fakes import silence, tone
from models.wyoming import WyomingRecogniser, WyomingVoice
from models.wyoming_info import Times
from models.wyoming_wire import encode
from tests.models.contract_voice import TEXT, speak
from tests.models.test_wyoming import QUICK, hear, info_event
from tests.models.wyoming_servers import raw

pytestmark = pytest.mark.real_time


def says(*data: bytes, pause: float = 5.0) -> Callable[[socket.socket], None]:
    def script(peer: socket.socket) -> None:
        peer.recv(1 << 16)
        for piece in data:
            peer.sendall(piece)
        peer.settimeout(pause)
        while peer.recv(1 << 16):
            pass

    return script


def says_and_hangs_up(data: bytes) -> Callable[[socket.socket], None]:
    def script(peer: socket.socket) -> None:
        peer.recv(1 << 16)
        peer.sendall(data)
        peer.shutdown(socket.SHUT_RDWR)

    return script


def endless(first: bytes, data: bytes) -> Callable[[socket.socket], None]:
    def script(peer: socket.socket) -> None:
        peer.recv(1 << 16)
        peer.sendall(first)
        while True:
            peer.sendall(data)

    return script


START = encode(AudioStart(SAMPLE_RATE, 2, 1).event())
CHUNK = encode(AudioChunk(SAMPLE_RATE, 2, 1, tone(1.0).tobytes()).event())
HTML = b"HTTP/1.1 400 Bad Request\r\n\r\n<!DOCTYPE html><html></html>\n"

BAD: dict[str, tuple[Callable[[socket.socket], None], str]] = {
    "html": (says_and_hangs_up(HTML), "does not speak Wyoming"),
    "half an event": (says_and_hangs_up(info_event()[:-30]), "in the middle of an event"),
    "nothing": (says(), "does not say what it has"),
    "a lie about a length": (says(b'{"type": "info", "payload_length": 99999999999}\n'), "does not speak Wyoming"),
    "a length that never comes": (says(b'{"type": "info", "data_length": 1000}\n{"asr"'), "does not say what it has"),
    "no newline": (endless(b"", b"x" * 65536), "does not speak Wyoming"),
    "other events": (endless(b"", encode(Event("pong", {"text": "x"}))), "does not say what it has"),
    "an odd info": (says(encode(Event("info", {"asr": 3, "tts": [1], "wake": [{}]}))), "describes itself wrongly"),
    "a model with a number for a name": (
        says(info_event().replace(b'"base"', b"987654").replace(b'"en_US-amy"', b"98765432101")),
        "describes itself wrongly",
    ),
    "an empty info": (says(encode(Event("info", {}))), "has no"),
    "silence after the request": (says(info_event()), "gave no"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_server_has_one_clear_line(case: str) -> None:
    script, line = BAD[case]
    with raw(script) as uri:
        for engine, work in (
            (recogniser := WyomingRecogniser(uri, times=QUICK), lambda: hear(recogniser, tone(0.3))),
            (voice := WyomingVoice(uri, times=QUICK), lambda: speak(voice, TEXT)),
        ):
            with pytest.raises(RemoteFailed, match=line) as raised:
                work()
            engine.close()
            assert uri.removeprefix("tcp://") in raised.value.text
            assert "\n" not in raised.value.text


@pytest.mark.parametrize(
    ("after", "line"),
    [
        (says(info_event(), START), "gave no answer in time"),
        (says(info_event(), START, CHUNK), "gave no answer in time"),
        (endless(info_event() + START, CHUNK), "does not stop speaking"),
        (endless(info_event() + START, encode(AudioChunk(SAMPLE_RATE, 2, 1, b"").event())), "gave no sound in time"),
        (says(info_event(), START, encode(AudioChunk(8000, 2, 1, b"12").event())), "changed the format"),
        (says(info_event(), encode(AudioStart(0, 2, 1).event())), "sound of 0 Hz"),
        (says(info_event(), encode(Event("audio-start", {"rate": "x"}))), "no number"),
    ],
)
def test_a_voice_that_goes_wrong(after: Callable[[socket.socket], None], line: str) -> None:
    with raw(after) as uri, pytest.raises(RemoteFailed, match=line):
        speak(WyomingVoice(uri, times=QUICK), "Yes.")


def test_a_server_that_writes_for_ever() -> None:
    endlessly = endless(info_event(), encode(Event("transcript-chunk", {"text": "word " * 100})))
    with raw(endlessly) as uri, pytest.raises(RemoteFailed, match="does not stop writing"):
        hear(WyomingRecogniser(uri, times=QUICK), tone(0.3))


def test_a_server_that_takes_no_sound() -> None:
    def deaf(peer: socket.socket) -> None:
        peer.recv(1024)
        peer.sendall(info_event())
        time.sleep(0.8)

    with raw(deaf) as uri, pytest.raises(RemoteFailed, match="gave no transcript"):
        hear(WyomingRecogniser(uri, times=QUICK), silence(60))


# -- stop --------------------------------------------------------------------------------------------------------------------


def stopped_after(work: Callable[[Stop], object]) -> float:
    """Seconds from a stop, in the middle of the work, to its end."""
    stop = Stop()
    at: list[float] = []

    def halt() -> None:
        at.append(time.monotonic())
        stop.set()

    timer = threading.Timer(0.2, halt)
    timer.start()
    work(stop)
    timer.join()
    return time.monotonic() - at[0]


@pytest.mark.parametrize("script", [says(), says(info_event())], ids=["describing", "answering"])
def test_a_stop_is_noticed(script: Callable[[socket.socket], None]) -> None:
    slow = Times(describe_s=10)
    with raw(script, script) as uri:
        stream = WyomingRecogniser(uri, times=slow).stream()
        stream.accept(tone(0.1))
        assert stopped_after(stream.final) < 0.15
        stream.close()
    with raw(script) as uri:
        voice = WyomingVoice(uri, times=slow)
        assert stopped_after(lambda stop: list(voice.synthesize(TEXT, VoiceStyle(), stop))) < 0.15


def test_a_stop_while_nothing_answers_the_call() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = listener.getsockname()[1]
    waiting = [socket.socket() for _ in range(4)]  # they fill the queue: the next one gets no answer
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", port))
    time.sleep(0.05)
    try:
        voice = WyomingVoice(f"tcp://127.0.0.1:{port}")
        assert stopped_after(lambda stop: list(voice.synthesize(TEXT, VoiceStyle(), stop))) < 0.15
        with pytest.raises(RemoteFailed, match="not reached within 0.3 s"):
            speak(WyomingVoice(f"tcp://127.0.0.1:{port}", times=QUICK), TEXT)
    finally:
        for one in [*waiting, listener]:
            one.close()
