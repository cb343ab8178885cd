"""The scripted engines keep the contract of the real ones: the same checks run on both."""

from __future__ import annotations

import pytest

from edge.errors import LanguageMissing
from edge.ports import Stop
from models.fakes import FakeRecogniser, FakeVoice, FakeVoiceActivity, FakeWake, silence, tone
from tests.models.contract import check_recogniser, check_voice_activity, check_wake_word
from tests.models.contract_voice import check_voice


def test_wake_word() -> None:
    call = silence(1.0)
    call[8000] = FakeWake.MARK
    check_wake_word(FakeWake(), call, "hey_jarvis", tone(1.0))


def test_voice_activity() -> None:
    check_voice_activity(FakeVoiceActivity(), tone(2.0), silence(2.0))


def test_recogniser() -> None:
    text = "what can you do"
    check_recogniser(FakeRecogniser([text, "", text]), tone(1.5), text)


def test_a_recogniser_of_several_languages() -> None:
    fake = FakeRecogniser(["hello", "hola", "hallo"], spoken=["en", "es"], knows=["en", "es", "de"])
    told = []
    for languages in ((), ("en", "es"), ("de",)):
        stream = fake.stream(languages=languages)
        partial = stream.accept(tone(1.1))
        assert partial is not None
        told.append((partial.language, stream.final(Stop()).language))
    assert told == [("en", "en"), ("es", "es"), ("de", "de")]
    assert fake.asked == [(), ("en", "es"), ("de",)]
    with pytest.raises(LanguageMissing, match="nearsight models pull"):
        fake.stream(languages=["fr"])


def test_voice() -> None:
    check_voice(FakeVoice())
