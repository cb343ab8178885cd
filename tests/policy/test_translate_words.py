"""What wearers say about translating, and what they are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.languages import known
from edge.policy.phrases import commands
from edge.policy.translate_words import (
    ALREADY_YOURS,
    STOP_PHRASES,
    Want,
    Wish,
    begun,
    spoken_reason,
    stops,
    understood,
    wanted,
)
from edge.translation import Interpret


@pytest.mark.parametrize(
    ("asked", "wish"),
    [
        ("translate to spanish", Wish(Want.BEGIN, False, "", "spanish")),
        ("translate into brazilian portuguese", Wish(Want.BEGIN, False, "", "brazilian portuguese")),
        ("translate everything into german", Wish(Want.BEGIN, False, "", "german")),
        ("translate for me to german", Wish(Want.BEGIN, False, "", "german")),
        ("translate from french", Wish(Want.BEGIN, False, "french", "")),
        ("translate from french to english", Wish(Want.BEGIN, False, "french", "english")),
        ("translate to english from french", Wish(Want.BEGIN, False, "french", "english")),
        ("start translating to italian", Wish(Want.BEGIN, False, "", "italian")),
        ("translate everything", Wish(Want.BEGIN)),
        ("translate this conversation", Wish(Want.BEGIN, True)),
        ("translate this conversation with german", Wish(Want.BEGIN, True, "", "german")),
        ("translate the conversation from german", Wish(Want.BEGIN, True, "german", "")),
        ("interpret into german", Wish(Want.BEGIN, True, "", "german")),
        ("interpret between english and german", Wish(Want.BEGIN, True, "english", "german")),
        ("start translating", Wish(Want.BEGIN, True)),
        ("please translate for us", Wish(Want.BEGIN, True)),
        ("be my interpreter", Wish(Want.BEGIN, True)),
        ("stop translating", Wish(Want.STOP)),
        ("please turn off the translation", Wish(Want.STOP)),
        ("what did they say", Wish(Want.SAID)),
        ("what did he just say", Wish(Want.SAID)),
        ("say that again more slowly", Wish(Want.SLOWER)),
    ],
)
def test_what_is_asked_for(asked: str, wish: Wish) -> None:
    assert understood(asked) == wish


@pytest.mark.parametrize(
    ("wish", "ask"),
    [
        (Wish(Want.BEGIN, False, "", "spanish"), Interpret("", "", False, "es")),
        (Wish(Want.BEGIN, False, "french", ""), Interpret("", "fr", False, "")),
        (Wish(Want.BEGIN, False, "", "english"), Interpret("", "", False, "en")),
        (Wish(Want.BEGIN, False, "english", "french"), Interpret("", "en", False, "fr")),
        (Wish(Want.BEGIN, False, "french", "french"), "Both of these are French."),
        (Wish(Want.BEGIN, False, "english", ""), ALREADY_YOURS),
        (Wish(Want.BEGIN, True), Interpret("", "", True, "")),
        (Wish(Want.BEGIN, True, "", "spanish"), Interpret("", "es", True, "")),
        (Wish(Want.BEGIN, True, "", "english"), ALREADY_YOURS),
        (Wish(Want.BEGIN, True, "spanish", "english"), Interpret("", "es", True, "")),
        (Wish(Want.BEGIN, True, "english", "spanish"), Interpret("", "es", True, "")),
        (Wish(Want.BEGIN, True, "french", "spanish"), Interpret("fr", "es", True, "")),
        (
            Wish(Want.BEGIN, False, "", "klingon"),
            "I do not know the language klingon. If you mean Lingala, say, translate to Lingala.",
        ),
        (
            Wish(Want.BEGIN, True, "", "norvenian"),
            "I do not know the language norvenian. If you mean Slovenian, say, translate this conversation to Slovenian.",
        ),
        (Wish(Want.BEGIN, False, "", "blue sky"), "I do not know the language blue sky. Which one do you mean?"),
    ],
)
def test_what_that_asks_of_the_interpreter(wish: Wish, ask: Interpret | str) -> None:
    assert wanted(wish, "en-us") == ask


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stop translating", True),
        ("Hey Jarvis, stop translating, please.", True),
        ("stop", False),
        ("Stop trans", False),
        ("no more", False),
        ("stop the bus", None),
        ("we stop translating books now that", None),
        ("nothing", None),
        ("", None),
        ("hey jarvis", None),
        ("please", False),
        ("please help me", None),
    ],
)
def test_the_command_that_ends_it_is_known_while_it_grows(text: str, says: bool | None) -> None:
    assert stops(text) is says


@given(st.sampled_from(["", "please "]), st.sampled_from(commands(STOP_PHRASES)), st.integers(1, 60))
def test_no_beginning_of_that_command_is_taken_for_speech(please: str, command: str, length: int) -> None:
    command = please + command
    assert stops(command) is True
    assert stops(command[:length]) is not None


def test_what_is_said_when_it_begins() -> None:
    assert begun(Interpret("en", "es", True, "")) == "Translating between English and Spanish. To end it, say stop translating."
    assert begun(Interpret("en", "", True, "")).startswith("Translating both ways, as soon as I hear the other language.")
    assert begun(Interpret("en", "", False, "es")) == "Translating into Spanish."
    assert begun(Interpret("en", "fr", False, "en")) == "Translating from French into English."
    assert begun(Interpret("", "", False, "pt-BR")) == "Translating into Brazilian Portuguese."


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        (
            "there is no translator here: sudo apt-get install apertium-eng-spa, or choose another profile",
            "There is no translator here.",
        ),
        (
            "Apertium's pair en-de is not installed: sudo apt-get install apertium-eng-deu",
            "Apertium's pair English to German is not installed.",
        ),
        ("no translator from es to fi: run nearsight models pull --translate es-fi", "No translator from Spanish to Finnish."),
        (
            "Apertium is not installed: sudo apt-get install apertium-eng-spa (or another pair of languages)",
            "Apertium is not installed.",
        ),
        ("CTranslate2 is not installed: run pip install ctranslate2", "CTranslate2 is not installed."),
        ("the profile bundled has no recogniser", "The profile bundled has no recogniser."),
        ("/var/models/opus/model.bin is not there: run nearsight models list", ""),
        ("nearsight models list", ""),
    ],
)
def test_an_error_is_spoken_without_its_command(text: str, spoken: str) -> None:
    assert spoken_reason(text) == spoken


@given(st.sampled_from([one.name.lower() for one in known()]))
def test_every_language_can_be_asked_for(name: str) -> None:
    wish = understood(f"translate to {name}")
    assert isinstance(wanted(wish, "tlh"), Interpret), name
