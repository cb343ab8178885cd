"""PocketSphinx streamed by our policies, and the bench that measures it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from edge.decoding import DecodeRequest
from edge.errors import UsageError
from edge.policy.agreement import LocalAgreement
from edge.ports import Stop
from edge.runtime.streaming import Streaming, StreamingRecogniser
from edge.values import Transcript, Word
from models.fakes import silence
from models.silero import Silero
from phone_bridge.media import read_audio
from tests.models.contract import chunks
from tests.shared import shared
from tools.bench import streaming
from tools.bench.sphinx_decoder import SphinxDecoder

SHORT = "speech/en/pocketsphinx__001.wav"


class Kept(SphinxDecoder):
    """Stays open: loading both of its searches takes seconds."""

    def close(self) -> None:
        """Waits for the end of the module."""


@pytest.fixture(scope="module")
def decoder() -> Iterator[SphinxDecoder]:
    kept = Kept()
    kept.open()
    yield kept
    SphinxDecoder.close(kept)


def test_a_decoder_must_be_open() -> None:
    with pytest.raises(UsageError):
        SphinxDecoder().decode(silence(1.0), DecodeRequest(), Stop())


def test_a_real_decoder_streams_as_well_as_it_decodes(decoder: SphinxDecoder) -> None:
    pcm = read_audio(shared(SHORT))
    engine = StreamingRecogniser(decoder, LocalAgreement, Silero(), Streaming(languages=("en",)), clock=lambda: 0.0)
    engine.open()
    try:
        whole = decoder.decode(pcm, DecodeRequest(thorough=True), Stop())
        assert [word.text for word in whole.words] == ["ten", "of", "clubs"]
        assert decoder.attend(pcm, whole, Stop()) == tuple(word.end for word in whole.words)
        stream = engine.stream()
        partials = [partial for piece in chunks(pcm, streaming.FEED) if (partial := stream.accept(piece))]
        assert partials
        assert stream.final(Stop()).text == "ten of clubs"
    finally:
        engine.close()


def test_what_partials_take_back_is_counted() -> None:
    words = [Word(text, at * 100, at * 100 + 90) for at, text in enumerate(("one", "to", "two", "three"))]
    clip = streaming.Clip(Transcript(""))
    first = Transcript("one to", (words[0], words[1]), settled=1)
    streaming._compare(first, Transcript("one two three", (words[0], words[2], words[3])), clip)
    assert (clip.erased, clip.erased_settled) == (1, 0)
    streaming._compare(first, Transcript("", ()), clip)
    assert (clip.erased, clip.erased_settled) == (3, 1)


def test_the_bench_prints_its_figures(
    decoder: SphinxDecoder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(streaming, "SphinxDecoder", lambda: decoder)
    data = shared(SHORT).parents[2]
    monkeypatch.setattr("sys.argv", ["streaming", "--policy", "alignatt", "--limit", "1", "--json", "--data", str(data)])
    streaming.main()
    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert line["clips"] == 1
    assert line["erased_settled"] == 0
    assert {"wer", "offline_wer", "first_ms", "lag_ms", "erased", "load"} <= set(line)
