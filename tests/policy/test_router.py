"""Where utterances go: words in, a skill out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError
from edge.policy.router import Router
from edge.skill import Asking
from edge.skills import load
from tests.policy import misheard


class Takes:
    """A skill of which only the phrases matter."""

    summary = "take phrases"
    urgent = False

    def __init__(self, name: str, *phrases: str) -> None:
        self.name = name
        self.phrases: Sequence[str] = phrases

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives the skill's name."""
        yield self.name


SKILLS = (
    Takes("ask"),
    Takes("stop", "stop [it]", "never mind"),
    Takes("time", "what time is it", "what is the time"),
    Takes(
        "read", "what does (this | the sign) say", "read {thing}", "read the {thing}", "(turn off | dim) the (camera | lights)"
    ),
    Takes("price", "what is the price of {thing}", "read {thing} to me", "what does the sign say"),
)
ROUTER = Router(SKILLS)


def routed(text: str, source: str = "") -> str:
    """The name of the skill that a text goes to, with a question mark behind it where nothing was understood."""
    route = ROUTER.route(text, 0.9, source)
    return route.skill.name + "?" * route.unclear


@pytest.mark.parametrize(
    ("text", "skill", "slots", "understood"),
    [
        ("what does the sign say", "read", {}, "what does the sign say"),
        ("Hey Jarvis, could you tell me what time is it please?", "time", {}, "what time is it"),
        ("what's the time", "time", {}, "what is the time"),
        ("read the red label", "read", {"thing": "red label"}, "read the red label"),
        ("read labels to me", "price", {"thing": "labels"}, "read labels to me"),
        ("can you read the label please", "read", {"thing": "label"}, "read the label"),
        ("um what's the price of the soup", "price", {"thing": "the soup"}, "what is the price of the soup"),
    ],
)
def test_a_phrase_word_for_word(text: str, skill: str, slots: dict[str, str], understood: str) -> None:
    route = ROUTER.route(text)
    assert (route.skill.name, route.slots, route.score, route.text) == (skill, slots, 1.0, understood)


def test_what_no_rule_takes_is_a_question_in_its_own_words() -> None:
    route = ROUTER.route("Hey Jarvis, can you speak French?")
    assert (route.skill.name, route.score, route.text, route.unclear) == ("ask", 0.0, "can you speak french", False)


def test_a_misheard_phrase_becomes_the_phrase() -> None:
    route = ROUTER.route("what is the sign say")
    assert (route.skill.name, route.text) == ("read", "what does the sign say")
    assert 0.75 <= route.score < 1


@pytest.mark.parametrize(
    ("text", "skill"),
    [
        ("stop", "stop"),
        ("stop stop stop", "stop"),
        ("okay stop it please", "stop"),
        ("stopped", "stop"),
        ("shop", "stop"),
        ("nevermind", "stop"),
        ("never mined", "stop"),
        ("when does the bus stop", "ask"),
        ("where is the stop", "ask"),
        ("does it stop", "ask"),
        ("what does the stop sign mean", "ask"),
        ("stop signs", "ask"),
        ("a bus stop", "ask"),
        ("soup", "ask"),
    ],
)
def test_stop_is_the_whole_utterance_or_nothing(text: str, skill: str) -> None:
    assert routed(text) == skill


@pytest.mark.parametrize("text", ["", "  ", "um", "uh the", "hey jarvis", "please", "is it", "[NOISE]", "a a a", "what", "!?"])
def test_what_nobody_could_understand_is_asked_back(text: str) -> None:
    assert routed(text) == "ask?"


def test_what_the_recogniser_does_not_believe_itself_is_asked_back() -> None:
    assert ROUTER.route("canines of the month", 0.02).unclear
    assert ROUTER.route("stop", 0.02).skill.name == "stop"


@pytest.mark.parametrize("text", ["why", "yes", "no", "blue", "thank you", "what is this"])
def test_short_is_not_unclear(text: str) -> None:
    assert routed(text) == "ask"


def test_a_command_broken_off_is_not_completed_for_the_grammar() -> None:
    assert routed("turn off the cameras") == "read"
    assert routed("turn off the cameras", "grammar") == "ask"
    assert routed("turn off the camera", "grammar") == "read"


def test_of_two_skills_that_claim_a_phrase_the_earlier_answers() -> None:
    assert Router(SKILLS).route("what does the sign say").skill.name == "read"
    assert Router(SKILLS[::-1]).route("what does the sign say").skill.name == "price"


def test_the_fallback_cannot_be_left_out() -> None:
    with pytest.raises(ConfigError, match="'ask' cannot be left out"):
        Router(SKILLS[1:])


def test_a_bad_phrase_is_refused() -> None:
    with pytest.raises(ConfigError, match="not closed"):
        Router((*SKILLS, Takes("bad", "what (is")))


@given(st.text(max_size=80), st.floats(0, 1), st.sampled_from(["", "grammar", "general"]))
def test_any_text_goes_somewhere(text: str, confidence: float, source: str) -> None:
    route = ROUTER.route(text, confidence, source)
    assert route.skill in SKILLS
    assert 0 <= route.score <= 1
    assert route.unclear <= (route.skill.name == "ask")


LOOKING = {
    "what colour is this shirt": "colour",
    "what color is this year": "colour",
    "how many people are in front of me": "count",
    "how many people there in front of me": "count",
    "what is this": "what_is_this",
    "what am i looking at": "what_is_this",
    "what can you see": "describe",
    "what can i see": "describe",
    "what do you see": "describe",
    "what do i see": "describe",
}
"""Questions, some of them misheard, that a skill which looks at things answers."""
SAYING = {"how do i say thank you in spanish": "how_to_say"}
"""And those that one answers which translates."""


def test_tolerance_takes_no_question_from_the_model() -> None:
    router = Router(load())
    asked = (*misheard.QUESTIONS, *misheard.MISHEARD_QUESTIONS)
    taken = {text: skill for text in asked if (skill := router.route(text).skill.name) != "ask"}
    assert taken == LOOKING | SAYING


def test_tolerance_saves_misheard_commands_and_mistakes_none_for_another() -> None:
    """The two that go wrong are both "read the bar code", word for word a request to read another thing."""
    router = Router(load())
    heard = [(skill, text) for skill, said in misheard.COMMANDS.items() for ways in said.values() for text in ways]
    routes = [(skill, text, router.route(text).skill.name) for skill, text in heard]
    assert sum(found == skill for skill, _, found in routes) >= 11
    assert [text for skill, text, found in routes if found not in (skill, "ask")] == ["read the bargain", "read the thoughtful"]
