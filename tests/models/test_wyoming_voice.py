"""Wyoming's voices and wake words behind our ports."""

from __future__ import annotations

import json
import socket
import threading
import time

import numpy as np
import pytest
from wyoming.event import Event

from edge.errors import NearsightError, RemoteFailed, RemoteRefused
from edge.ports import Stop
from edge.values import SAMPLE_RATE, Pcm, VoiceStyle
from models.fakes import FakeWake, silence, tone
from models.wyoming import WyomingVoice
from models.wyoming_wake import WyomingWake
from models.wyoming_wire import Connection, Lost, Place, encode
from tests.models.contract import chunks
from tests.models.contract_voice import TEXT, check_voice, speak
from tests.models.test_wyoming import QUICK, info_event
from tests.models.test_wyoming_bad import CHUNK, START, says
from tests.models.wyoming_servers import Script, raw, served

pytestmark = pytest.mark.real_time

# -- voice -------------------------------------------------------------------------------------------------------------------


def test_the_voice_keeps_the_contract() -> None:
    with served(Script()) as uri:
        check_voice(WyomingVoice(uri, model="en_US-amy"), paced=False)


@pytest.mark.parametrize(("rate", "width", "channels"), [(16_000, 1, 1), (48_000, 2, 2), (32_000, 3, 1), (16_000, 4, 6)])
def test_any_format_becomes_ours(rate: int, width: int, channels: int) -> None:
    with served(Script()) as uri:
        plain, _ = speak(WyomingVoice(uri), "one two three")
    with served(Script(rate=rate, width=width, channels=channels)) as uri:
        sound, words = speak(WyomingVoice(uri), "one two three")
    assert [word.text for word in words] == ["one", "two", "three"]
    assert len(sound) == pytest.approx(len(plain), abs=40)
    size = min(len(sound), len(plain))
    error = sound[:size].astype(float) - plain[:size]
    assert np.sqrt(np.mean(error**2)) < (0.1 if rate == SAMPLE_RATE else 0.15) * np.sqrt(np.mean(plain.astype(float) ** 2))


def test_words_are_where_the_pace_says() -> None:
    with served(Script()) as uri:
        voice = WyomingVoice(uri)
        text = "one two three four five six seven eight"
        for _ in range(4):
            _, words = speak(voice, text)
    # The fake speaks every word in 0.2 s; letters are an estimate of that.
    assert max(abs(word.start - at * 0.2 * SAMPLE_RATE) for at, word in enumerate(words)) < 0.2 * SAMPLE_RATE


def test_voices_are_chosen_by_name_speaker_and_language() -> None:
    script = Script()
    with served(script) as uri:
        speak(WyomingVoice(uri), "yes")
        speak(WyomingVoice(uri, language="de"), "yes")
        speak(WyomingVoice(uri, model="de_DE-many", speaker="bob"), "yes")
        with pytest.raises(RemoteRefused, match="no speaker 'eve'; it has ann, bob"):
            speak(WyomingVoice(uri, model="de_DE-many", speaker="eve"), "yes")
        with pytest.raises(RemoteRefused, match="has no voice 'joe'; it has en_US-amy, de_DE-many"):
            speak(WyomingVoice(uri, model="joe"), "yes")
    assert [event.data["voice"] for event in script.of("synthesize")] == [
        {"name": "en_US-amy"},
        {"name": "de_DE-many"},
        {"name": "de_DE-many", "speaker": "bob"},
    ]


def test_sound_comes_as_the_server_makes_it() -> None:
    second = threading.Event()

    def slow(peer: socket.socket) -> None:
        peer.recv(1 << 16)
        peer.sendall(info_event())
        peer.recv(1 << 16)
        peer.sendall(START + CHUNK)
        second.wait(5)
        peer.sendall(CHUNK + encode(Event("audio-stop")))
        peer.recv(1 << 16)

    with raw(slow) as uri:
        chunks = WyomingVoice(uri).synthesize("one two three", VoiceStyle(), Stop())
        next(chunks)
        second.set()
        assert sum(len(chunk.pcm) for chunk in chunks) > SAMPLE_RATE


def test_giving_up_ends_the_connection() -> None:
    script = Script(cost=0.05)
    with served(script) as uri:
        voice = WyomingVoice(uri)
        chunks = voice.synthesize(TEXT * 50, VoiceStyle(), Stop())
        next(chunks)
        chunks.close()  # type: ignore[attr-defined]  # a lane closes the generator that it gives up
        deadline = time.monotonic() + 2
        while not script.ended and time.monotonic() < deadline:
            time.sleep(0.01)
    assert script.ended == 1


# -- wake word ---------------------------------------------------------------------------------------------------------------


def listen(wake: WyomingWake, sound: Pcm) -> list[str]:
    found = []
    for piece in chunks(sound):
        if (word := wake.detect(piece)) is not None:
            found.append(word)
        time.sleep(0.002)
    return found


def call() -> Pcm:
    sound = silence(1.0)
    sound[8000] = FakeWake.MARK
    return sound


@pytest.mark.parametrize("one_word", [False, True])
def test_a_wake_word_fires_once_a_call(one_word: bool) -> None:
    script = Script(one_word=one_word)
    with served(script) as uri:
        wake = WyomingWake(uri)
        wake.open()
        for _ in range(2):
            assert listen(wake, np.concatenate([call(), silence(1.5)])) == ["hey_jarvis"]
        wake.reset()
        assert listen(wake, tone(1.0)) == []
        wake.close()
    assert script.of("detect")[0].data["names"] == ["hey_jarvis_v0.1"]
    assert len(script.of("describe")) == 1


def test_the_ears_do_not_wait() -> None:
    """Whatever the server does, 20 ms of sound take far less than 20 ms."""
    for script in (says(), says(info_event())):
        with raw(script) as uri:
            wake = WyomingWake(uri, times=QUICK)
            longest = 0.0
            for piece in chunks(silence(1.0)):
                began = time.monotonic()
                try:
                    wake.detect(piece)
                except RemoteFailed:
                    break
                longest = max(longest, time.monotonic() - began)
                time.sleep(0.002)
            wake.close()
            assert longest < 0.015


def test_a_server_that_takes_no_sound_loses_the_oldest() -> None:
    def deaf(peer: socket.socket) -> None:
        peer.recv(1024)
        peer.sendall(info_event())
        time.sleep(0.6)

    with raw(deaf) as uri:
        wake = WyomingWake(uri, times=QUICK)
        with pytest.raises(RemoteFailed, match="takes no sound"):
            for _ in range(20_000):
                wake.detect(np.zeros(1600, np.int16))
        assert wake.dropped > 0
        wake.close()


def test_a_lost_server_is_told_and_met_again() -> None:
    script = Script(hang_ups=1, hang_up_after=3)
    with served(script) as uri:
        wake = WyomingWake(uri)
        with pytest.raises(RemoteFailed, match="hung up"):
            listen(wake, silence(1.0))
        assert listen(wake, np.concatenate([call(), silence(1.0)])) == ["hey_jarvis"]
        wake.close()


def test_a_word_that_the_server_lacks() -> None:
    with served(Script()) as uri:
        wake = WyomingWake(uri, ["okay_nabu"])
        with pytest.raises(RemoteRefused, match="has no wake word 'okay_nabu'; it has hey_jarvis_v0.1"):
            listen(wake, silence(1.0))


def test_every_error_is_of_the_tree() -> None:
    assert issubclass(Lost, RemoteFailed) and issubclass(RemoteFailed, NearsightError)
    connection = Connection(Place.of("tcp://127.0.0.1:1"), 1.0)
    connection.close()
    with pytest.raises(Lost, match="closed"):
        connection.pump()
    assert json.loads(encode(Event("ping")))["type"] == "ping"
