"""Translating by voice: begun, ended, said again; and one phrase at a time."""

from __future__ import annotations

from functools import cache

import pytest

from edge.errors import EngineMissing, LanguageMissing
from edge.policy.router import Router
from edge.skill import Act, Meant
from edge.skills import load
from edge.skills.how_to_say import HowToSay
from edge.skills.repeat import Repeat
from edge.skills.translate import Translate
from edge.translation import Interpret, Rendered
from edge.values import Box, Exchange
from tests.skills.asking import FakeAsking, picture, said


@cache
def router() -> Router:
    return Router(load())


@pytest.mark.parametrize(
    ("text", "skill"),
    [
        ("translate to Spanish", "translate"),
        ("Hey Jarvis, please translate into German.", "translate"),
        ("can you translate from French to English", "translate"),
        ("translate into brazilian portuguese", "translate"),
        ("translate this conversation", "translate"),
        ("translate our conversation with portuguese", "translate"),
        ("translate everything into portuguese", "translate"),
        ("interpret for us", "translate"),
        ("interpret between english and swahili", "translate"),
        ("start translating", "translate"),
        ("stop translating", "translate"),
        ("turn off the translation", "translate"),
        ("what did they say", "translate"),
        ("what did she just say", "translate"),
        ("say that again slowly", "translate"),
        ("say that again", "repeat"),
        ("what did you say", "repeat"),
        ("slower", "manner"),
        ("speak more slowly", "manner"),
        ("stop", "stop"),
        ("stop watching", "watch"),
        ("how do you say good morning in spanish", "how_to_say"),
        ("how do you say where is the nearest train station in spanish", "how_to_say"),
        ("what is thank you in japanese", "how_to_say"),
        ("what is the time in tokyo", "ask"),
        ("what is the price in euros", "ask"),
        ("can you speak french", "ask"),
        ("translate this sign", "translate_text"),
        ("translate this sign into portuguese", "translate_text"),
        ("translate the menu to english", "translate_text"),
    ],
)
def test_where_it_goes(text: str, skill: str) -> None:
    assert router().route(text).skill.name == skill


def asked(text: str, **more: object) -> FakeAsking:
    """The turn as the router makes it."""
    route = router().route(text)
    return FakeAsking(route.text, slots=route.slots, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "told", "ask"),
    [
        ("translate to spanish", "Translating into Spanish.", Interpret("", "", False, "es")),
        ("translate from french", "Translating from French into English.", Interpret("", "fr", False, "")),
        (
            "translate this conversation into german",
            "Translating between English and German. To end it, say stop translating.",
            Interpret("", "de", True, ""),
        ),
        (
            "translate this conversation",
            "Translating both ways, as soon as I hear the other language. To end it, say stop translating.",
            Interpret("", "", True, ""),
        ),
    ],
)
async def test_translating_begins(text: str, told: str, ask: Interpret) -> None:
    asking = asked(text)
    assert await said(Translate(), asking) == told
    assert asking.asked_of_interpreter == [ask]


@pytest.mark.parametrize(
    ("text", "told", "acts"),
    [
        ("translate this conversation into english", "That is the language I already speak to you.", []),
        (
            "translate to klingon",
            "I do not know the language klingon. If you mean Lingala, say, translate to Lingala.",
            [Act.LISTEN_ON],
        ),
    ],
)
async def test_what_cannot_be_begun_is_told(text: str, told: str, acts: list[Act]) -> None:
    asking = asked(text)
    assert await said(Translate(), asking) == told
    assert asking.asked_of_interpreter == []
    assert asking.acts == acts


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            LanguageMissing("no translator from en to fi: run nearsight models pull --translate en-fi"),
            "No translator from English to Finnish.",
        ),
        (LanguageMissing("/models/en-fi/model.bin is not there"), LanguageMissing.spoken),
        (EngineMissing("there is no translator here: sudo apt-get install apertium-eng-spa"), "There is no translator here."),
    ],
)
async def test_a_missing_pack_is_one_sentence_without_a_command(error: LanguageMissing | EngineMissing, told: str) -> None:
    failures = {"interpret": error}
    assert await said(Translate(), asked("translate to finnish", failures=failures)) == told


async def test_it_ends() -> None:
    asking = asked("stop translating", interpreting=Interpret("en", "es", True, ""))
    assert await said(Translate(), asking) == "I have stopped translating."
    assert asking.asked_of_interpreter == [None]
    assert await said(Translate(), asked("stop translating")) == "I am not translating."


PAST = (Rendered("hola", "hello", "en"), Rendered("¿dónde está la estación?", "where is the station?", "en"))
OURS = Rendered("over there", "allí", "es")


async def test_the_last_translation_once_more() -> None:
    assert await said(Translate(), asked("what did they say", translations=PAST)) == "where is the station?"
    assert await said(Translate(), asked("what did they say")) == "I have not translated anything yet."


async def test_what_they_said_is_theirs_and_what_is_said_again_has_its_own_voice() -> None:
    asking = asked("what did they say", translations=(*PAST, OURS))
    assert await said(Translate(), asking) == "where is the station?"
    assert asking.tongues == []
    now = Interpret("en", "es", True, "")
    for skill, text in ((Repeat(), "say that again"), (Translate(), "say that again slowly")):
        asking = asked(text, translations=(*PAST, OURS), interpreting=now)
        assert await said(skill, asking) == "allí"
        assert asking.tongues == ["es"]


async def test_once_more_and_slower() -> None:
    asking = asked("say that again slowly", translations=PAST)
    assert await said(Translate(), asking) == "where is the station?"
    assert asking.styles[0].rate < 1
    history = (Exchange("what time is it", "It is four.", "It is four."),)
    assert await said(Translate(), asked("say it more slowly", history=history)) == "It is four."


async def test_repeating_means_the_translation_while_one_goes_on() -> None:
    history = (Exchange("what time is it", "It is four.", "It is four."),)
    now = Interpret("en", "es", True, "")
    assert await said(Repeat(), asked("say that again", history=history, translations=PAST, interpreting=now)) == PAST[-1].text
    assert await said(Repeat(), asked("say that again", history=history, interpreting=now)) == "It is four."
    assert await said(Repeat(), asked("say that again", history=history, translations=PAST)) == "It is four."


# -- one phrase ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("how do you say good morning in spanish", ("good morning", "es", "")),
        (
            "how do you say where is the nearest train station in french please",
            ("where is the nearest train station", "fr", ""),
        ),
        ("what is thank you in japanese", ("thank you", "ja", "")),
        ("what is the word for bread in italian", ("bread", "it", "")),
        ("translate the word house into german", ("house", "de", "")),
        ("how do i say i live in spain in spanish", ("i live in spain", "es", "")),
    ],
)
async def test_one_phrase(text: str, request_: tuple[str, str, str]) -> None:
    asking = asked(text, translated=lambda text, target, source: f"{target}: {text}")
    assert await said(HowToSay(), asking) == f"{request_[1]}: {request_[0]}"
    assert asking.translate_requests == [request_]
    assert asking.acts == []


async def test_one_phrase_that_cannot_be() -> None:
    asking = asked("how do you say hello in norvenian")
    assert await said(HowToSay(), asking) == (
        "I do not know the language norvenian. If you mean Slovenian, say, how do you say hello in Slovenian."
    )
    assert asking.acts == [Act.LISTEN_ON]
    assert await said(HowToSay(), asked("how do you say hello in english")) == "That is the language I already speak to you."
    empty = asked("how do you say hello in spanish", translated={"hello": ""})
    assert await said(HowToSay(), empty) == "I have no translation for that."
    missing = {"translate": LanguageMissing("no translator from en to es: run nearsight models pull --translate en-es")}
    assert (
        await said(HowToSay(), asked("what is hello in spanish", failures=missing)) == "No translator from English to Spanish."
    )


async def test_this_is_the_thing_that_was_spoken_of() -> None:
    meant = Meant(picture(), Box(0, 0, 9, 9), "cup")
    assert await said(HowToSay(), asked("what is this in spanish", meant=meant, translated={"cup": "taza"})) == "taza"
    assert await said(HowToSay(), asked("what is this in spanish")) == "Say the word that you mean."
