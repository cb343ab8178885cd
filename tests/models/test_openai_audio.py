"""Ears and a voice elsewhere: what is sent, how often, and what becomes of what comes back."""

from __future__ import annotations

import io
import itertools
import struct
import threading
import time
import wave
from collections.abc import Iterator

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import RemoteFailed, RemoteRefused
from edge.ports import Stop
from edge.values import Pcm, VoiceStyle
from models.fakes import silence, tone
from models.openai_audio import OpenAiRecogniser
from models.openai_http import Limits
from models.openai_sound import NoSound, SoundReader
from models.openai_voice import OpenAiVoice
from tests.models.contract import check_recogniser
from tests.models.contract_voice import TEXT, check_voice, speak
from tests.models.openai_server import HANGS_UP, SILENT, Reply, Scripted, Seen, as_json, serving, slowly

pytestmark = pytest.mark.real_time

QUICK = Limits(connect=1.0, first=0.8, idle=0.5, pause=0.01)
SPEECH = np.concatenate([silence(0.3), tone(1.2), silence(0.2)])
VERBOSE = {
    "text": " The sign, it says. ",
    "words": [{"word": word, "start": at * 0.3, "end": at * 0.3 + 0.25} for at, word in enumerate("The sign it says".split())],
    "segments": [{"text": " The sign, it says.", "avg_logprob": -0.2, "no_speech_prob": 0.01}],
}


def ears(server: Scripted, *, language: str = "en-us", names: tuple[str, ...] = ()) -> OpenAiRecogniser:
    engine = OpenAiRecogniser(server.url, model="tiny", language=language, names=names, limits=QUICK)
    engine.open()
    return engine


def sent(seen: Seen) -> Pcm:
    """The sound in a request."""
    with wave.open(io.BytesIO((seen.field("file") or "").encode("latin-1"))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def test_the_recogniser_keeps_the_contract() -> None:
    with serving(as_json(VERBOSE)) as server:
        engine = OpenAiRecogniser(server.url, model="tiny", limits=QUICK)
        check_recogniser(engine, SPEECH, "The sign, it says.", partial=False)
        assert (engine.info.name, engine.info.version, engine.info.remote) == ("openai", "audio/transcriptions", server.address)


def test_an_utterance_is_sent_once_and_again_only_with_more_of_it() -> None:
    with serving(as_json(VERBOSE)) as server:
        engine = ears(server, names=("Ilka", "Jörg"))
        stream = engine.stream(phrases=["stop", "what is this"])
        for at in range(0, len(SPEECH), 320):
            assert stream.accept(SPEECH[at : at + 320]) is None
        assert not server.seen, "nothing is sent before the end"
        heard = stream.final(Stop())
        assert stream.final(Stop()) is heard
        assert len(server.seen) == 1
        stream.accept(SPEECH)
        stream.final(Stop())
        engine.close()
    first, second = server.seen
    assert first.path == "/v1/audio/transcriptions"
    fields = {name: first.field(name) for name in ("model", "language", "prompt", "response_format")}
    expected = {"model": "tiny", "language": "en", "prompt": "Ilka, JÃ¶rg", "response_format": "verbose_json"}
    assert fields == expected, "the form is UTF-8, read here as Latin-1"
    assert np.array_equal(sent(first), SPEECH)
    assert np.array_equal(sent(second), np.concatenate([SPEECH, SPEECH]))
    assert [(word.text, word.start, word.end) for word in heard.words[:2]] == [("The", 0, 4000), ("sign,", 4800, 8800)]
    assert heard.confidence == pytest.approx(np.exp(-0.2))


def test_silence_stays_here() -> None:
    hiss = np.random.default_rng(0).normal(0, 20, 16_000).astype(np.int16)
    with serving(as_json(VERBOSE)) as server:
        engine = ears(server)
        for quiet in (silence(1.0), hiss, tone(1.0, amplitude=60), SPEECH[:100]):
            stream = engine.stream()
            stream.accept(quiet)
            heard = stream.final(Stop())
            assert (heard.text, heard.confidence, heard.final) == ("", 0.0, True)
        engine.close()
    assert not server.seen


def test_a_long_recording_is_sent_in_parts_cut_where_it_is_quiet() -> None:
    sound = np.concatenate([*[np.concatenate([tone(2.6), silence(0.4)])] * 23])
    with serving(as_json(VERBOSE)) as server:
        engine = ears(server)
        stream = engine.stream()
        partials = [heard for at in range(0, len(sound), 1600) if (heard := stream.accept(sound[at : at + 1600]))]
        assert [heard.text.count("sign") for heard in partials] == [1, 2]
        heard = stream.final(Stop())
        engine.close()
    parts = [sent(seen) for seen in server.seen]
    assert np.array_equal(np.concatenate(parts), sound), "every sample is sent once"
    assert [round(len(part) / 16_000) for part in parts] == [30, 30, 9]
    assert all(not part[-1600:].any() for part in parts)
    assert heard.text == " ".join(["The sign, it says."] * 3)
    assert [word.start for word in heard.words[::4]] == list(itertools.accumulate([0, len(parts[0]), len(parts[1])]))
    assert all(a.end <= b.start for a, b in itertools.pairwise(heard.words))


@pytest.mark.parametrize(
    ("told", "text", "words", "confidence"),
    [
        ({"text": " Hello  there. "}, "Hello there.", 0, 1.0),
        ({"text": "Hello there.", "words": [{"word": "Hello", "start": 0, "end": 1}]}, "Hello there.", 0, 1.0),
        ({"text": "a b", "words": [{"start": 9e9, "end": -1}, {}]}, "a b", 0, 1.0),
        ({"text": "a b", "words": [{"start": 1, "end": 1}, {"start": 0.5, "end": 99}]}, "a b", 2, 1.0),
        ({"text": "a b", "words": "no", "segments": 7}, "a b", 0, 1.0),
        ({"text": "a b", "words": [{"start": 1.6, "end": 1.7}, {"start": 1.7, "end": 1.7}]}, "a b", 2, 1.0),
        ({"text": ""}, "", 0, 0.0),
        ({"text": "\ufffd"}, "", 0, 0.0),
        ({"text": "Thanks", "segments": [{"text": "Thanks", "avg_logprob": -1.5, "no_speech_prob": 0.9}]}, "", 0, 0.0),
        ({"text": "Hi", "segments": [{"text": "Hi", "avg_logprob": -1.5, "no_speech_prob": 0.1}]}, "Hi", 0, np.exp(-1.5)),
    ],
)
def test_what_servers_tell(told: dict[str, object], text: str, words: int, confidence: float) -> None:
    with serving(as_json(told)) as server:
        engine = ears(server, language="")
        stream = engine.stream()
        stream.accept(SPEECH)
        heard = stream.final(Stop())
        engine.close()
    assert server.seen[0].field("language") is None
    assert (heard.text, len(heard.words)) == (text, words)
    assert heard.confidence == pytest.approx(confidence)
    assert all(0 <= word.start < word.end <= len(SPEECH) for word in heard.words)
    assert all(a.end <= b.start for a, b in itertools.pairwise(heard.words))


def test_a_model_that_knows_no_times_is_asked_without_from_then_on() -> None:
    def plain(seen: Seen) -> Reply:
        if seen.field("response_format") == "verbose_json":
            return as_json({"error": {"code": "unsupported_value"}}, 400)
        return as_json({"text": "fine"})

    with serving(plain) as server:
        engine = ears(server)
        for _ in range(2):
            stream = engine.stream()
            stream.accept(SPEECH)
            assert stream.final(Stop()).text == "fine"
        engine.close()
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("reply", "error", "requests"),
    [
        (Reply(b"<html>", "text/html"), RemoteFailed, 1),
        (Reply(b"plain text", "text/plain"), RemoteFailed, 1),
        (as_json({"text": 7}), RemoteFailed, 1),
        (as_json([1]), RemoteFailed, 1),
        (as_json({}, 401), RemoteRefused, 1),
        (as_json({}, 404), RemoteRefused, 1),
        (as_json({}, 413), RemoteRefused, 2),
        (as_json({}, 503), RemoteFailed, 3),
        (Reply(itertools.repeat(b" " * 65536), "application/json"), RemoteFailed, 1),
        (Reply(b'{"text": "ha', "application/json", cut=True), RemoteFailed, 1),
        (HANGS_UP, RemoteFailed, 3),
        (SILENT, RemoteFailed, 1),
    ],
)
def test_a_fault_is_told_and_the_utterance_can_be_sent_again(reply: Reply, error: type[RemoteFailed], requests: int) -> None:
    with serving(reply) as server:
        engine = ears(server)
        stream = engine.stream()
        stream.accept(SPEECH)
        with pytest.raises(error, match=server.address) as caught:
            stream.final(Stop())
        assert len(server.seen) == requests
        assert "\n" not in caught.value.text
        server.script[:] = [as_json({"text": "fine"})]
        assert stream.final(Stop()).text == "fine"
        engine.close()


def test_a_part_that_fails_is_told_once() -> None:
    with serving(as_json({}, 500)) as server:
        engine = ears(server)
        stream = engine.stream()
        stream.accept(tone(30.0))
        with pytest.raises(RemoteFailed):
            stream.accept(tone(0.1))
        stream.accept(tone(0.1))
        engine.close()
    assert len(server.seen) == 1


def test_a_stop_ends_the_wait_for_a_final() -> None:
    with serving(SILENT) as server:
        engine = OpenAiRecogniser(server.url, model="tiny")
        engine.open()
        stream, stop = engine.stream(), Stop()
        stream.accept(SPEECH)
        timer = threading.Timer(0.15, stop.set)
        timer.start()
        began = time.perf_counter()
        assert stream.final(stop).text == ""
        assert time.perf_counter() - began < 0.5
        assert server.gone.wait(1.0)
        server.script[:] = [as_json({"text": "fine"})]
        assert stream.final(Stop()).text == "fine", "what was given up was no last word"
        timer.join()
        engine.close()


def header(rate: int, *, channels: int = 1, size: int = 0xFFFFFFFF, bits: int = 16, form: int = 1) -> bytes:
    """The header of a WAV stream, with a chunk in it that nobody needs."""
    block = channels * bits // 8
    told = struct.pack("<4sIHHIIHH", b"fmt ", 16, form, channels, rate, rate * block, block, bits)
    return b"RIFF\xff\xff\xff\xffWAVE" + told + b"LIST\x03\0\0\0abc\0" + struct.pack("<4sI", b"data", size)


def spoken(rate: int, seconds: float, *, lead: float = 0.2) -> Pcm:
    """Syllables at a rate: bursts of a tone, with silence before and after."""
    at = np.arange(round(seconds * rate)) / rate
    sound = 9000 * np.sin(2 * np.pi * 300 * at) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * at))
    return np.concatenate([np.zeros(round(lead * rate)), sound, np.zeros(round(0.3 * rate))]).astype("<i2")


def speaks(rate: int = 24_000, *, form: str = "wav", delay: float = 0.0, block: int = 4001) -> Scripted:
    def made(seen: Seen) -> Reply:
        asked = seen.json
        sound = spoken(rate, len(asked["input"]) / 14 / asked.get("speed", 1.0)).tobytes()
        body = header(rate) + sound if form == "wav" else sound
        pieces = [body[at : at + block] for at in range(0, len(body), block)]
        return Reply(slowly(pieces, delay) if delay else pieces, "audio/wav" if form == "wav" else "audio/pcm")

    return Scripted([made])


@pytest.fixture
def voice() -> Iterator[OpenAiVoice]:
    with serving(*speaks().script) as server:
        engine = OpenAiVoice(server.url)
        engine.open()
        yield engine
        engine.close()


@pytest.mark.parametrize(("rate", "form"), [(24_000, "wav"), (24_000, "pcm"), (22_050, "wav")])
def test_the_voice_keeps_the_contract(rate: int, form: str) -> None:
    with serving(*speaks(rate, form=form).script) as server:
        check_voice(OpenAiVoice(server.url, form=form))
    assert {seen.json["response_format"] for seen in server.seen} == {form}
    assert "speed" not in server.seen[0].json


def test_the_sound_is_the_server_s_resampled(voice: OpenAiVoice) -> None:
    voice_sound, marks = speak(voice, TEXT)
    raw = spoken(24_000, len(TEXT) / 14).astype(np.float64)
    oracle = soxr.resample(raw, 24_000, 16_000)
    loud = np.flatnonzero(np.abs(oracle) >= 104)
    oracle = oracle[loud[0] : loud[-1] + 1]
    assert abs(len(voice_sound) - len(oracle)) <= 2
    size = min(len(voice_sound), len(oracle))
    assert np.abs(voice_sound[:size] - oracle[:size]).max() < 200
    places = [mark.start / len(voice_sound) for mark in marks]
    letters = [TEXT.index(mark.text) / len(TEXT) for mark in marks]
    assert np.abs(np.subtract(places, letters)).max() < 0.1, "words where their letters are"


def test_the_first_chunk_does_not_wait_for_the_last() -> None:
    with serving(*speaks(delay=0.03, block=4800).script) as server:
        engine = OpenAiVoice(server.url, limits=QUICK)
        engine.open()
        began = time.perf_counter()
        chunks = engine.synthesize(TEXT, VoiceStyle(), Stop())
        next(chunks)
        first = time.perf_counter() - began
        list(chunks)
        whole = time.perf_counter() - began
        engine.close()
    assert first < whole / 2


@given(st.lists(st.integers(0), max_size=12), st.sampled_from([1, 2]), st.booleans())
def test_sound_is_the_same_however_it_is_cut(cuts: list[int], channels: int, bare: bool) -> None:
    sound = np.arange(-300, 300, dtype="<i2")
    frames = np.repeat(sound, channels)
    data = frames.tobytes() if bare else header(8_000, channels=channels) + frames.tobytes()
    reader = SoundReader("audio/pcm")
    places = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    got = np.concatenate([reader.add(data[start:end]) for start, end in itertools.pairwise(places)])
    assert np.array_equal(got, frames if bare else sound)
    assert reader.rate == (24_000 if bare else 8_000)


def test_the_media_type_says_how_bare_samples_are_to_be_read() -> None:
    sound = np.arange(100, dtype=np.int16)
    reader = SoundReader("audio/l16", "8000")
    assert np.array_equal(reader.add(sound.astype(">i2").tobytes()), sound) and reader.rate == 8_000


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("application/json", b""),
        ("text/plain", b""),
        ("audio/mpeg", b"ID3\4" + bytes(20)),
        ("audio/wav", b"OggS" + bytes(20)),
        ("audio/wav", b'{"detail": "no such voice"}'),
        ("audio/wav", header(24_000, bits=32, form=3)),
        ("audio/wav", header(24_000, channels=6)),
        ("audio/wav", header(0)),
        ("audio/wav", b"RIFF\0\0\0\0WAVEdata\0\0\0\0"),
        ("audio/wav", b"RIFF\0\0\0\0WAVE" + struct.pack("<4sI", b"LIST", 1 << 30) + bytes(8)),
    ],
)
def test_what_is_no_sound_is_named(kind: str, data: bytes) -> None:
    with pytest.raises(NoSound) as caught:
        SoundReader(kind).add(data)
    assert str(caught.value)


LOUD = spoken(24_000, 0.5, lead=0.0).tobytes()


@pytest.mark.parametrize(
    ("reply", "error", "text"),
    [
        (Reply(b"<html>", "text/html"), RemoteFailed, "web page"),
        (as_json({"detail": "x"}), RemoteFailed, "application/json instead"),
        (Reply(b"ID3" + bytes(99), "audio/mpeg"), RemoteFailed, "MP3 instead"),
        (as_json({}, 404), RemoteRefused, "has no model 'tts-1' or voice 'alloy'"),
        (Reply(b"", "audio/wav"), RemoteFailed, "silence instead"),
        (Reply(header(24_000) + bytes(48_000), "audio/wav"), RemoteFailed, "silence instead"),
        (Reply(header(24_000) + LOUD, "audio/wav", cut=True), RemoteFailed, "broke off"),
        (Reply(itertools.repeat(LOUD), "audio/pcm"), RemoteFailed, "does not end its speech"),
        (Reply(itertools.repeat(bytes(1 << 18)), "audio/pcm"), RemoteFailed, "does not end its speech"),
        (Reply(slowly([LOUD, b""], 0.7), "audio/pcm"), RemoteFailed, "fell silent"),
        (Reply(slowly(itertools.chain([LOUD], [b"\0\0"] * 24), 0.03), "audio/pcm"), RemoteFailed, "fell silent"),
        (SILENT, RemoteFailed, "no answer"),
    ],
)
def test_a_fault_of_the_voice_is_one_clear_line(reply: Reply, error: type[RemoteFailed], text: str) -> None:
    with serving(reply) as server:
        engine = OpenAiVoice(server.url, limits=QUICK)
        engine.open()
        with pytest.raises(error, match=text) as caught:
            list(engine.synthesize("Hello there.", VoiceStyle(), Stop()))
        assert caught.value.text.startswith(server.address) and "\n" not in caught.value.text
        server.script[:] = speaks().script
        assert len(speak(engine, "Hello there.")[0]) > 4000
        engine.close()


def test_a_text_without_a_word_may_be_silent() -> None:
    with serving(Reply(header(24_000) + bytes(4800), "audio/wav")) as server:
        engine = OpenAiVoice(server.url, limits=QUICK)
        engine.open()
        assert list(engine.synthesize("...", VoiceStyle(), Stop())) == []
        engine.close()


def test_a_stop_cuts_the_line_of_the_voice() -> None:
    with serving(Reply(slowly([LOUD] * 40, 0.05), "audio/pcm")) as server:
        engine, stop = OpenAiVoice(server.url, form="pcm"), Stop()
        engine.open()
        timer = threading.Timer(0.15, stop.set)
        timer.start()
        began = time.perf_counter()
        list(engine.synthesize(TEXT, VoiceStyle(), stop))
        assert time.perf_counter() - began < 0.5
        assert server.gone.wait(1.0)
        timer.join()
        engine.close()


def test_rate_and_pitch_are_asked_for_as_speed(voice: OpenAiVoice) -> None:
    normal, high = (speak(voice, TEXT, VoiceStyle(pitch=pitch))[0] for pitch in (1.0, 1.25))
    assert len(high) == pytest.approx(len(normal), rel=0.02)

    def hertz(sound: np.ndarray) -> float:
        return float(np.abs(np.fft.rfft(sound, 1 << 17)).argmax() * 16_000 / (1 << 17))

    assert hertz(high) == pytest.approx(1.25 * hertz(normal), rel=0.02)
