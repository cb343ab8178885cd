"""What is meant for the assistant, of all that is heard over its reply."""

from __future__ import annotations

import pytest

from edge.policy.interruption import Verdict, is_backchannel, overheard, verdict

SAID = ("The sign says platform nine, trains to the city centre leave every ten minutes.",)


def judge(text: str, confidence: float = 0.7, source: str = "general", speech_s: float = 0.8) -> Verdict:
    return verdict(text, confidence=confidence, source=source, speech_s=speech_s, being_said=SAID)


@pytest.mark.parametrize(
    "text", ["where is the door", "no not that one", "what time is it", "wait", "stop", "Stop.", "excuse me"]
)
def test_words_for_the_assistant_cut(text: str) -> None:
    assert judge(text) is Verdict.CUT


def test_stop_passes_every_gate() -> None:
    said = ("The bus stop is on the left.",)
    assert verdict("stop", confidence=0.2, source="general", speech_s=0.25, being_said=said) is Verdict.CUT


@pytest.mark.parametrize("text", ["mm hm", "yeah", "okay", "uh huh", "i see", "oh right"])
def test_a_listeners_noises_do_not(text: str) -> None:
    assert judge(text) is Verdict.BACKCHANNEL
    assert is_backchannel(text)


@pytest.mark.parametrize(
    ("text", "confidence", "speech_s"),
    [("but the", 0.29, 0.32), ("move move", 0.02, 0.61), ("no", 0.08, 0.22), ("a", 0.9, 0.3), ("they are", 0.38, 0.42)],
)
def test_what_a_recogniser_finds_in_coughs_does_not(text: str, confidence: float, speech_s: float) -> None:
    assert judge(text, confidence, speech_s=speech_s) is Verdict.UNSURE
    assert judge("", confidence, speech_s=speech_s) is Verdict.NO_WORDS


@pytest.mark.parametrize(
    "text", ["trains to the city", "trains to the pretty centre live every", "platform nine", "leave every ten minutes the"]
)
def test_the_assistants_own_words_do_not(text: str) -> None:
    assert overheard(text, SAID)
    assert judge(text) is Verdict.ECHO


@pytest.mark.parametrize("text", ["when do the trains leave", "nine platform", "the city", "to the door please", ""])
def test_words_of_ones_own_are_not_the_assistants(text: str) -> None:
    said_elsewhere = text == "the city"
    assert overheard(text, SAID) is said_elsewhere
    assert not overheard(text, ())
