"""Whisper by the real faster-whisper on models that the tests make: see ``tiny_whisper`` for what they say and why."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from edge.decoding import DecodeRequest
from edge.errors import DeviceMissing, TooLarge, UsageError
from edge.ports import Stop
from edge.values import Pcm, Word, samples
from models.fakes_speech import ScriptedDecoder, said
from models.whisper import FRAME, LENGTH, WINDOWS, WhisperDecoder, _budget, _plain, last_samples
from tests.models.contract_decoder import check_decoder
from tests.models.sounds import hiss
from tests.models.tiny_whisper import START_S, STEP_S, Shape, random_whisper, scripted_whisper
from tests.shared import shared

pytest.importorskip("faster_whisper", reason="ENGINE MISSING: pip install 'faster-whisper>=1.2.1'")

TEXT = "The quick brown fox met Eda near a cold river."
SOUND = hiss(6.0)


def engine_of(folder: Path, **settings: Any) -> WhisperDecoder:
    return WhisperDecoder(folder, device="cpu", threads=1, **settings)


def text_of(words: tuple[Word, ...]) -> str:
    return " ".join(word.text for word in words)


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripted_whisper(tmp_path_factory.mktemp("whisper") / "scripted")


@pytest.fixture(scope="module")
def engine(scripted: Path) -> Iterator[WhisperDecoder]:
    engine = engine_of(scripted)
    engine.open()
    yield engine
    engine.close()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., WhisperDecoder]]:
    """Makes and opens a scripted model of another shape."""
    made: list[WhisperDecoder] = []

    def make(shape: Shape, **settings: Any) -> WhisperDecoder:
        engine = engine_of(scripted_whisper(tmp_path / "model", shape), **settings)
        engine.open()
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()


class CountingStop(Stop):
    """Is set after it was looked at a number of times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def __bool__(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def test_contract(scripted: Path) -> None:
    assert text_of(check_decoder(engine_of(scripted), SOUND).words) == TEXT


def test_contract_of_the_fake() -> None:
    script = [Word("one", 3200, 8000), Word("two", 9600, 16000)]
    assert len(check_decoder(ScriptedDecoder(script), said(script, 24000)).words) == 2


def test_nothing_is_asked_of_the_network(scripted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    engine = engine_of(scripted)
    engine.open()
    assert engine.decode(SOUND, DecodeRequest("en"), Stop()).words
    engine.close()


def test_segments_and_word_times_are_those_of_the_attention(scripted: Path) -> None:
    engine = engine_of(scripted, compute_type="float32")
    engine.open()
    decoded = engine.decode(SOUND, DecodeRequest("en"), Stop())
    attended = engine.attend(SOUND, decoded, Stop())
    engine.close()
    assert [len(segment.words) for segment in decoded.segments] == [6, 4]  # the full stop belongs to the river
    # A word ends where the next one's attention is nearer; the last one's full stop has a place of its own.
    ends = [samples(START_S + (n + 0.5) * STEP_S) for n in range(10)]
    assert np.abs(np.array([word.end for word in decoded.words]) - ends).max() <= 2 * FRAME
    assert np.abs(np.array(attended[:-1]) - ends[:-1]).max() <= 2 * FRAME
    assert attended[-1] == pytest.approx(ends[-1] + samples(STEP_S), abs=3 * FRAME)
    assert min(word.confidence for word in decoded.words[:6]) > 0.9


def test_words_lie_in_the_buffer_however_short_it_is(engine: WhisperDecoder) -> None:
    for seconds in (0.11, 0.5, 1.0, 2.3):
        sound = SOUND[: samples(seconds)]
        decoded = engine.decode(sound, DecodeRequest("en"), Stop())
        assert all(0 <= word.start <= word.end <= len(sound) for word in decoded.words)
        attended = engine.attend(sound, decoded, Stop())
        assert all(0 < sample <= len(sound) for sample in attended)
        assert list(attended) == sorted(attended)


def test_the_answer_begins_with_the_prefix_and_times_hold(engine: WhisperDecoder) -> None:
    plain = engine.decode(SOUND, DecodeRequest("en"), Stop())
    forced = engine.decode(SOUND, DecodeRequest("en", prefix="The quick brown"), Stop())
    assert [(word.text, word.start, word.end) for word in forced.words] == [(w.text, w.start, w.end) for w in plain.words]
    other = engine.decode(SOUND, DecodeRequest("en", prefix="Hello brown"), Stop())
    assert text_of(other.words).startswith("Hello brown fox met")


@pytest.mark.parametrize("request_", [DecodeRequest("en", hotwords="Ada"), DecodeRequest("en", context="Hello Ada")])
def test_context_and_hotwords_reach_the_model(engine: WhisperDecoder, request_: DecodeRequest) -> None:
    assert "met Ada near" in text_of(engine.decode(SOUND, request_, Stop()).words)


def test_beside_a_prefix_there_are_no_hotwords(engine: WhisperDecoder) -> None:
    request = DecodeRequest("en", prefix="The quick", hotwords="Ada")
    assert "met Eda near" in text_of(engine.decode(SOUND, request, Stop()).words)


def test_control_tokens_in_a_text_are_text(engine: WhisperDecoder, scripted: Path) -> None:
    for request in (DecodeRequest("en", context="<|nospeech|> Ada"), DecodeRequest("en", hotwords="<|en|> Ada")):
        assert "met Ada near" in text_of(engine.decode(SOUND, request, Stop()).words)
    tokenizer = Tokenizer.from_file(str(scripted / "tokenizer.json"))
    text = "<|endoftext|><|0.00|> <<|en|>|startofprev|> <|startoftranscript|>"
    assert max(tokenizer.encode(text).ids) >= 50257 > max(tokenizer.encode(_plain(text)).ids)


def test_the_longest_context_hotwords_and_prefix_still_fit(engine: WhisperDecoder) -> None:
    long = "Hello " * 600
    for request in (DecodeRequest("en", context=long, hotwords=long), DecodeRequest("en", context=long, prefix=long)):
        assert engine.decode(SOUND, request, Stop()).words


@given(st.integers(0, 600), st.integers(0, 600), st.integers(0, 480_000))
def test_the_budget_is_that_of_the_decoder(context: int, beside: int, size: int) -> None:
    class Letters:
        sot_sequence = (1, 2, 3)

        def encode(self, text: str) -> list[int]:
            return list(range(len(text) - 1))

    kept, longest = _budget(Letters(), "c" * context, "b" * beside, size)  # type: ignore[arg-type]
    assert longest >= 50
    assert longest == min(max(50, -(-size * 45 // 32000)), 224) or beside > 218
    prompt = 1 + len(kept) + min(beside, 223) + 3 + 1
    assert prompt + longest <= LENGTH
    assert kept == list(range(context))[max(0, context - len(kept)) :]


def test_translate_says_something_else(engine: WhisperDecoder) -> None:
    decoded = engine.decode(SOUND, DecodeRequest("de", task="translate"), Stop())
    assert text_of(decoded.words) == "This is English"
    assert len(engine.attend(SOUND, decoded, Stop())) == 3


def test_language_is_told_where_it_is_not_given(engine: WhisperDecoder) -> None:
    decoded = engine.decode(SOUND, DecodeRequest(), Stop())
    assert decoded.language == "en"
    assert decoded.language_probability > 0.9
    likely = engine.identify(SOUND, Stop())
    assert likely[0] == ("en", decoded.language_probability)
    assert len(likely) == 99
    assert sum(p for _, p in likely) == pytest.approx(1.0, abs=1e-3)


def test_tags_are_those_of_bcp_47(engine: WhisperDecoder) -> None:
    assert engine.decode(SOUND, DecodeRequest("en-GB"), Stop()).language == "en"
    assert engine.decode(SOUND, DecodeRequest("nb_NO"), Stop()).language == "no"
    assert engine.decode(SOUND, DecodeRequest("jv"), Stop()).language == "jv"
    assert {"jv", "he", "zh"} <= set(engine.languages)
    assert not {"jw", "yue"} & set(engine.languages)


def test_what_the_model_was_not_taught_is_refused(engine: WhisperDecoder) -> None:
    with pytest.raises(UsageError, match="does not know the language 'tlh'"):
        engine.decode(SOUND, DecodeRequest("tlh"), Stop())
    with pytest.raises(UsageError, match="cannot 'sing'"):
        engine.decode(SOUND, DecodeRequest("en", task="sing"), Stop())
    with pytest.raises(TooLarge, match="30 s"):
        engine.decode(np.zeros(samples(30.5), np.int16), DecodeRequest("en"), Stop())


def test_english_only(opened: Callable[..., WhisperDecoder]) -> None:
    engine = opened(Shape(multilingual=False))
    assert engine.languages == ("en",)
    assert engine.identify(SOUND, Stop()) == (("en", 1.0),)
    decoded = engine.decode(SOUND, DecodeRequest(), Stop())
    assert (text_of(decoded.words), decoded.language) == (TEXT, "en")
    assert len(engine.attend(SOUND, decoded, Stop())) == len(decoded.words)
    with pytest.raises(UsageError, match="does not know the language 'de'"):
        engine.decode(SOUND, DecodeRequest("de"), Stop())
    with pytest.raises(UsageError, match="not taught to translate"):
        engine.decode(SOUND, DecodeRequest("en", task="translate"), Stop())


def test_a_distilled_model_does_not_translate(opened: Callable[..., WhisperDecoder]) -> None:
    engine = opened(Shape(encoder_layers=3), languages=("en", "de-DE"))
    assert engine.languages == ("de", "en")
    assert [tag for tag, _ in engine.identify(SOUND, Stop())] == ["en", "de"]
    assert text_of(engine.decode(SOUND, DecodeRequest("de"), Stop()).words) == TEXT
    with pytest.raises(UsageError, match="not taught to translate"):
        engine.decode(SOUND, DecodeRequest("de", task="translate"), Stop())


def test_languages_that_the_model_has_not(scripted: Path) -> None:
    engine = engine_of(scripted, languages=("tlh",))
    with pytest.raises(UsageError, match="knows none of these languages: tlh"):
        engine.open()
    with pytest.raises(RuntimeError, match="not open"):
        engine.decode(SOUND, DecodeRequest(), Stop())
    engine = engine_of(scripted, languages=("mul",))
    engine.open()
    assert len(engine.languages) == 99
    engine.close()


def test_a_loop_is_bounded(opened: Callable[..., WhisperDecoder]) -> None:
    engine = opened(Shape(loop=True))
    decoded = engine.decode(SOUND[: samples(1.0)], DecodeRequest("en"), Stop())
    assert len(decoded.words) <= 50 * WINDOWS
    assert all(len(segment.words) <= 50 for segment in decoded.segments)
    assert len(decoded.segments) <= 2 * WINDOWS


def test_stop_ends_a_decode_between_windows(opened: Callable[..., WhisperDecoder]) -> None:
    engine = opened(Shape(steps=True))
    sound = hiss(20.0)
    whole = engine.decode(sound, DecodeRequest("en"), Stop())
    assert 3 <= len(whole.segments) <= WINDOWS
    assert [segment.end for segment in whole.segments] == sorted({segment.end for segment in whole.segments})
    early = engine.decode(sound, DecodeRequest("en"), CountingStop(4))
    assert 0 < len(early.segments) < len(whole.segments)
    assert early.segments == whole.segments[: len(early.segments)]
    assert engine.decode(sound, DecodeRequest("en"), CountingStop(1)).segments == ()


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize(
    "sound",
    [np.zeros(samples(1.0), np.int16), hiss(1.0, amplitude=6000), np.full(samples(1.0), 32767, np.int16)],
    ids=["silence", "noise", "clipped"],
)
def test_random_weights_survive_anything(random_engine: WhisperDecoder, sound: Pcm, thorough: bool) -> None:
    decoded = random_engine.decode(sound, DecodeRequest(thorough=thorough), Stop())
    assert all(0 <= word.start <= word.end <= len(sound) for word in decoded.words)
    attended = random_engine.attend(sound, decoded, Stop())
    assert len(attended) == len(decoded.words)
    assert all(0 < sample <= len(sound) for sample in attended)


@pytest.fixture(scope="module")
def random_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WhisperDecoder]:
    engine = engine_of(random_whisper(tmp_path_factory.mktemp("whisper") / "random"))
    engine.open()
    yield engine
    engine.close()


def test_memory_is_flat(engine: WhisperDecoder) -> None:
    process = psutil.Process()

    def decode(times: int) -> None:
        for n in range(times):
            sound = SOUND + np.int16(n)  # another one each time, so that it is encoded anew
            engine.attend(sound, engine.decode(sound, DecodeRequest("en"), Stop()), Stop())

    decode(5)
    before = process.memory_info().rss
    decode(25)
    assert process.memory_info().rss - before < 10_000_000  # one kept buffer each would be 25 * 0.8 MB


def test_gold_alignment_of_a_published_model() -> None:
    """CTranslate2's own test: tiny.en on 11 s of Kennedy; each token here is a word, the last is the full stop."""
    gold = json.loads(shared("speech/ctranslate2/jfk_alignments.json").read_text(encoding="utf-8"))
    path = [(token, position) for token, position in gold["expected_alignments"]]
    count = len(gold["text_tokens"])
    ends = last_samples(path, [1] * (count - 2) + [2], samples(11.0))
    assert len(ends) == count - 1
    assert list(ends) == sorted(ends)
    seconds = [end / 16000 for end in ends]
    # "... fellow Americans" ends before the pause, "ask" behind it; the last word before the silence at the end.
    assert seconds[4] == pytest.approx(2.28, abs=0.05)
    assert seconds[5] > 3.8
    assert 10.5 < seconds[-1] < 11.0


def test_words_behind_the_end_of_an_alignment_are_given_the_end() -> None:
    assert last_samples([(0, 0), (0, 1), (1, 1), (1, 4)], [1, 1, 2], 1000) == (640, 1000, 1000)


def test_a_device_that_is_not_there(scripted: Path) -> None:
    import ctranslate2

    if ctranslate2.get_cuda_device_count():
        pytest.skip("HAS A GPU: nothing to refuse")
    with pytest.raises(DeviceMissing, match="no GPU"):
        WhisperDecoder(scripted, device="cuda").open()
    engine = WhisperDecoder(scripted, device="auto", threads=1)
    engine.open()
    assert engine.info.details["device"] == "cpu"
    assert engine.info.details["compute_type"].startswith("int8")
    engine.close()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("", "int8_float32"), ("int8_float16", "int8_float32"), ("float16", "float32"), ("float32", "float32")],
)
def test_what_a_processor_computes_in(scripted: Path, wanted: str, found: str) -> None:
    engine = engine_of(scripted, compute_type=wanted)
    engine.open()
    assert engine.info.details["compute_type"] == found
    assert engine.decode(SOUND, DecodeRequest("en"), Stop()).words
    engine.close()


def test_a_type_that_nothing_computes_in(scripted: Path) -> None:
    with pytest.raises(UsageError, match="does not compute in 'float8': did you mean"):
        engine_of(scripted, compute_type="float8").open()
