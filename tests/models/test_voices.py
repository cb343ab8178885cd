import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.voices import QUALITIES, VoiceName, choose_voice

THERE = [
    "en_US-lessac-low.onnx",
    "en_US-lessac-medium",
    "en_US-lessac-high",
    "en_GB-alan-medium",
    "de_DE-thorsten-low",
    "es_MX-claude-high",
    "pt_BR-faber-medium",
    "no_NO-talesyntese-medium",
    "README",
    "silero",
]


@pytest.mark.parametrize(
    ("language", "quality", "name"),
    [
        ("en", "medium", "en_US-lessac-medium"),
        ("en-us", "low", "en_US-lessac-low"),
        ("EN_US", "high", "en_US-lessac-high"),
        ("en-GB", "high", "en_GB-alan-medium"),
        ("en-US", "x_low", "en_US-lessac-low"),
        ("de", "high", "de_DE-thorsten-low"),
        ("de-Latn-DE", "medium", "de_DE-thorsten-low"),
        ("nb", "medium", "no_NO-talesyntese-medium"),
    ],
)
def test_choice(language: str, quality: str, name: str) -> None:
    choice = choose_voice(language, THERE, quality)
    assert (str(choice.voice), choice.why) == (name, "")


def test_another_region_is_told() -> None:
    choice = choose_voice("de-AT", THERE)
    assert str(choice.voice) == "de_DE-thorsten-low"
    assert "de-AT" in choice.why
    assert "de_DE-thorsten-low" in choice.why
    assert str(choose_voice("es", THERE).voice) == "es_MX-claude-high"


@pytest.mark.parametrize("language", ["ja", "", "x", "e"])
def test_without_a_voice_espeak_ng_speaks_and_that_is_told(language: str) -> None:
    choice = choose_voice(language, THERE)
    assert choice.voice is None
    assert "espeak-ng" in choice.why


def test_names() -> None:
    voice = VoiceName.parse("en_US-lessac-medium.onnx.json")
    assert voice is not None
    assert voice.member == "en/en_US/lessac/medium/en_US-lessac-medium.onnx"
    assert str(VoiceName.parse("es_419-a_b-c-x_low")) == "es_419-a_b-c-x_low"
    assert VoiceName.parse("en-us-lessac") is None


@given(st.from_regex(r"[a-z]{2}_[A-Z]{2}-[a-z_]{1,8}-(x_low|low|medium|high)", fullmatch=True), st.sampled_from(QUALITIES))
def test_the_only_voice_of_a_language_is_taken(name: str, quality: str) -> None:
    assert str(VoiceName.parse(name)) == name
    if name[:2] not in ("iw", "in", "nb"):
        assert str(choose_voice(name[:5], [name], quality).voice) == name
