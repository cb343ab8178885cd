"""In which languages a streaming recogniser hears an utterance, which it tells, and what Whisper's own translating gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.decoding import Decoded, DecodeRequest
from edge.errors import LanguageMissing, UsageError
from edge.policy.agreement import LocalAgreement
from edge.policy.settling import normal
from edge.ports import Stop
from edge.runtime.streaming import Streaming, StreamingRecogniser
from edge.values import Pcm, samples
from models.fakes import FakeVoiceActivity, silence
from models.fakes_speech import ScriptedDecoder, Slips, spoken
from models.whisper import WhisperDecoder
from tests.models.sounds import hiss
from tests.models.tiny_whisper import Shape, scripted_whisper
from tests.runtime.test_streaming import POLICIES, TEXT, feed, recogniser, sound


def test_the_language_is_told_by_two_seconds_of_speech_and_kept() -> None:
    script = spoken(TEXT, 0.2)
    decoder = ScriptedDecoder(script, language="de")
    engine = recogniser(decoder, Streaming())
    stream = engine.stream()
    feed(stream, sound(script))
    stream.final(Stop())
    languages = [request.language for request in decoder.asked]
    assert languages[:2] == ["", ""]
    assert set(languages[2:]) == {"de"}
    assert decoder.identified == 1
    decoder.script = tuple(spoken("ja bitte", 0.2))
    stream = engine.stream()
    feed(stream, sound(decoder.script))
    stream.final(Stop())
    assert decoder.asked[-1].language == "de", "too short to tell: that of the last utterance"
    assert decoder.identified == 1


def test_of_two_languages_the_likelier_is_kept() -> None:
    script = spoken(TEXT, 0.2)
    decoder = ScriptedDecoder(script, language="fr")
    decoder.languages = ("en", "de", "fr")
    for wanted, found in ((("de-AT", "fr-CA"), "fr-CA"), (("de-AT", "en-GB"), "en-GB")):
        stream = recogniser(decoder, Streaming(languages=wanted)).stream()
        feed(stream, sound(script))
        stream.final(Stop())
        assert decoder.asked[-1].language == found


def test_a_language_may_go_by_another_name() -> None:
    decoder = ScriptedDecoder()
    decoder.languages = ("no", "en")
    recogniser(decoder, Streaming(languages=("nb-NO", "en-GB")))


def test_a_language_that_the_decoder_lacks_is_refused_at_once() -> None:
    with pytest.raises(LanguageMissing, match=r"knows no 'xx': it has de, en$"):
        recogniser(ScriptedDecoder(), Streaming(languages=("xx",)))
    engine = recogniser(ScriptedDecoder())
    with pytest.raises(LanguageMissing, match="knows no 'fr'"):
        engine.stream(languages=("de", "fr"))
    decoder = ScriptedDecoder()
    decoder.languages = ("en",)
    with pytest.raises(LanguageMissing, match="nearsight models pull faster-whisper-small"):
        recogniser(decoder).stream(languages=("de",))


def test_an_utterance_may_be_in_other_languages_than_the_engines_own() -> None:
    script = spoken(TEXT, 0.2)
    decoder = ScriptedDecoder(script, language="de")
    engine = recogniser(decoder)
    stream = engine.stream(languages=("de-AT",))
    partials = feed(stream, sound(script))
    assert {partial.language for partial in partials} == {"de-AT"}
    assert stream.final(Stop()).language == "de-AT"
    assert {request.language for request in decoder.asked} == {"de-AT"} and not decoder.identified
    stream = engine.stream()
    feed(stream, sound(script))
    assert stream.final(Stop()).language == decoder.asked[-1].language == "en", "the next is in its own again"


def test_of_speakers_who_take_turns_each_is_heard_in_their_language() -> None:
    script = spoken("ja bitte", 0.2)
    decoder = ScriptedDecoder(script, language="de")
    engine = recogniser(decoder, Streaming())
    told = []
    for language in ("de", "en", "en", "de"):
        decoder._language = language
        stream = engine.stream(languages=("en-US", "de"))
        feed(stream, sound(script))
        told.append(stream.final(Stop()).language)
        assert decoder.asked[-1].language == told[-1]
    assert told == ["de", "en-US", "en-US", "de"], "the last speaker's tells nothing of a short answer"


def test_the_language_that_the_decoder_found_is_told() -> None:
    script = spoken("ja bitte", 0.2)
    stream = recogniser(ScriptedDecoder(script, language="de"), Streaming()).stream()
    feed(stream, sound(script))
    assert stream.final(Stop()).language == "de"
    stream = recogniser(ScriptedDecoder((), language="de"), Streaming()).stream()
    feed(stream, silence(1.0))
    assert (stream.final(Stop()).text, stream.final(Stop()).language) == ("", "")


@pytest.mark.parametrize("policy", POLICIES)
def test_foreign_speech_is_given_in_english_by_the_decoders_own_task(policy: str) -> None:
    script = spoken(TEXT, 0.2)
    decoder = ScriptedDecoder(script, language="de")
    engine = recogniser(decoder, Streaming(task="translate", languages=("de",)), policy)
    decoder.asked.clear()
    stream = engine.stream()
    partials = feed(stream, sound(script))
    last = stream.final(Stop())
    assert (last.text, last.language) == (TEXT, "de")
    assert any(partial.settled for partial in partials)
    assert {request.task for request in decoder.asked} == {"translate"}


def test_a_decoder_that_does_not_translate_is_refused_when_it_is_opened() -> None:
    class Turbo(ScriptedDecoder):
        def decode(self, pcm: Pcm, request: DecodeRequest, stop: Stop) -> Decoded:
            if request.task != "transcribe":
                raise UsageError("turbo was not taught to translate: take faster-whisper-small")
            return super().decode(pcm, request, stop)

    with pytest.raises(UsageError, match="faster-whisper-small"):
        recogniser(Turbo(), Streaming(task="translate"))
    decoder = Turbo()
    recogniser(decoder)
    assert not decoder.asked, "nothing is asked of one that transcribes"


def test_a_translations_words_have_no_place_of_their_own() -> None:
    for seed in range(10):
        script = spoken(TEXT, 0.2)
        decoder = ScriptedDecoder(script, Slips(jitter=samples(4.0), flips=True, seed=seed), language="de")
        settings = Streaming(task="translate", languages=("de",))
        engine = StreamingRecogniser(decoder, lambda: LocalAgreement(timed=False), FakeVoiceActivity(), settings, lambda: 0.0)
        engine.open()
        stream = engine.stream()
        feed(stream, sound(script))
        assert [normal(word.text) for word in stream.final(Stop()).words] == TEXT.split()


def _whisper(folder: Path, shape: Shape | None = None) -> StreamingRecogniser:
    pytest.importorskip("faster_whisper", reason="ENGINE MISSING: pip install 'faster-whisper>=1.2.1'")
    decoder = WhisperDecoder(scripted_whisper(folder, shape), device="cpu", threads=1)
    return StreamingRecogniser(decoder, lambda: LocalAgreement(timed=False), settings=Streaming(task="translate"))


def test_whisper_itself_translates(tmp_path: Path) -> None:
    engine = _whisper(tmp_path / "model")
    engine.open()
    stream = engine.stream(languages=("de",))
    feed(stream, hiss(6.0, amplitude=3000.0))
    heard = stream.final(Stop())
    assert (heard.text, heard.language) == ("This is English", "de")
    engine.close()


@pytest.mark.parametrize("shape", [Shape(multilingual=False), Shape(encoder_layers=3)], ids=["english only", "distilled"])
def test_a_whisper_that_was_not_taught_to_translate_is_refused_with_those_that_were(tmp_path: Path, shape: Shape) -> None:
    engine = _whisper(tmp_path / "model", shape)
    with pytest.raises(UsageError, match=r"not taught to translate: take faster-whisper-small"):
        engine.open()
    engine.close()
