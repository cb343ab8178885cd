"""Any question: about what the camera sees, or about the world. The router's fallback.

What is spoken has passed the checks of ``edge.policy.grounding``. A question about the picture is answered by the model from
the lines that hold its answer; what the model adds is cut, what it gets wrong is replaced by the lines themselves. A question
that no line answers is answered "I don't know", with what can be read, and costs no model call.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import cast

from edge.errors import NoView
from edge.policy import grounding, prompts
from edge.policy.dialog import within
from edge.policy.grounding import Evidence, Question
from edge.skill import Act, Asking
from edge.values import Exchange, Prompt

ASK_BACK = "Sorry, what was that?"
GIVE_UP = "Sorry, I still did not understand. Please call me again."
UNKNOWN = "I don't know."
BLURRED = "There is text, but it is too blurred. Please hold still and ask again."
DARK = "It is too dark to see anything."
_DARK = 0.06
"""Mean luma below which a camera's picture shows nothing."""
_PLACES = (
    "museum | shop | store | library | bank | park | restaurant | cafe | pharmacy | office | market | station | pool | bar"
)
_RIDES = "bus | train | ferry | boat | tram | flight"
_COLOUR = re.compile(r"\bcolou?rs?\b")
_HISTORY = 80
"""Tokens of earlier exchanges that go into a prompt."""
_ALOUD = 12
"""Words of the picture that are read aloud with an "I don't know"."""
_END = re.compile(r"(?<!\bdr)(?<!\bmr)(?<!\bmrs)(?<!\bst)(?<!\bno)(?<!\btel)(?<!\bexp)[.!?](?=\s)", re.IGNORECASE)

EVERYDAY = (
    f"(when | what time) does (it | this | (this | the) ({_PLACES})) (open | close)",
    f"is (it | this | (this | the) ({_PLACES})) open (now | today | tomorrow | on saturday | on sunday)",
    f"(when | what time) does the [next | last | first] ({_RIDES}) (leave | arrive | go)",
    f"where (does | is) (this | the) ({_RIDES}) (go | going)",
    "which (platform | gate | bus | train | floor | room | way) is it",
    "where (is | are) the (exit | entrance | toilets | restrooms | platforms | elevator | stairs | tickets)",
    "how (much is | much does) a (ticket | coffee | tea | beer | sandwich) [cost]",
    "can i (park | smoke | swim | enter | eat | pay by card) here",
    "what is the (address | website | room number | flight number | password | temperature | name of this place)",
    "what color is (it | this | that)",
)
"""What people ask of signs and boards. Any question is taken; these are heard better, because the command grammar has them."""


class Ask:
    """Answers what no other skill takes."""

    name = "ask"
    summary = "answer questions about what you see"
    phrases: Sequence[str] = EVERYDAY
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives one or two sentences. Raises NoView when the question points at a picture that is not there."""
        question = grounding.understand(asking.transcript)
        if not grounding.content_words(question.text) and not question.pointing:
            unclear_before = bool(asking.history) and asking.history[-1].heard.startswith(ASK_BACK)
            yield GIVE_UP if unclear_before else ASK_BACK
            if not unclear_before:
                await asking.sure()
                asking.act(Act.LISTEN_ON)
            return
        try:
            if _COLOUR.search(question.text) and (question.pointing or len(question.keys) <= 1):
                yield await _colours(asking)
                return
            lines = await _lines(asking)
        except NoView:
            if question.pointing:
                raise
            lines = ()
        if not lines and question.pointing:
            yield await _nothing(asking)
            return
        found = grounding.evidence(question, lines)
        if found.answerable:
            yield await _from_view(asking, question, found)
        elif found.related or question.pointing or not grounding.knowable(question):
            yield _unknown(found)
        else:
            yield await _from_memory(asking, question) or _unknown(found)


async def _lines(asking: Asking) -> tuple[str, ...]:
    reading = await asking.reading()
    codes = await asking.codes()
    named = (f"{'QR' if code.kind == 'qr' else 'Bar'} code: {code.data}" for code in codes)
    return (*(line.text for line in reading.lines), *named)


async def _from_view(asking: Asking, question: Question, found: Evidence) -> str:
    sentence = await _sentence(asking, prompts.about_view(question.text, found.lines, _at_most))
    return grounding.supported(sentence, question, found.lines) or f"It says: {_aloud(found.lines)}"


async def _from_memory(asking: Asking, question: Question) -> str:
    history = within(_answered(asking), _HISTORY, _at_most)
    first = await _sentence(asking, prompts.general(question.text, history))
    if not first:
        return ""
    second = await _sentence(asking, prompts.general_again(question.text, history))
    return first if grounding.agree(first, second, question) else ""


async def _colours(asking: Asking) -> str:
    facts = await asking.scene()
    if facts.brightness < _DARK:
        return DARK
    names = [name for name, _ in facts.colours[:2]]
    return f"I see mostly {' and '.join(names)}." if names else UNKNOWN


async def _nothing(asking: Asking) -> str:
    if (await asking.reading()).blurred:
        return BLURRED
    facts = await asking.scene()
    if facts.brightness < _DARK:
        return DARK
    names = " and ".join(name for name, _ in facts.colours[:2])
    return f"{UNKNOWN} I can read no text here{f', I see mostly {names}' if names else ''}."


async def _sentence(asking: Asking, prompt: Prompt) -> str:
    """Gives the model's first sentence and lets it go: the lane is free again while the voice speaks."""
    text = ""
    async with aclosing(cast(AsyncGenerator[str, None], asking.think(prompt))) as pieces:
        async for piece in pieces:
            text += piece
            if end := _END.search(text):
                return text[: end.end()].strip()
    return text.strip()


def _answered(asking: Asking) -> list[Exchange]:
    return [one for one in asking.history if not one.heard.startswith(("I don't know", "Sorry", "It says"))]


def _unknown(found: Evidence) -> str:
    return f"{UNKNOWN} I can read: {_aloud(found.lines)}" if found.lines else UNKNOWN


def _aloud(lines: Sequence[str]) -> str:
    """Gives the lines as sentences, as many words as one listens to."""
    said: list[str] = []
    room = _ALOUD
    for line in lines:
        words = line.split()
        said.append(" ".join(words[:room]).rstrip(".,;:"))
        room -= len(words)
        if room <= 0:
            break
    return ". ".join(said) + "."


def _at_most(text: str) -> int:
    # The model counts in its lane, and asking it would cost a hop for each line. No tokenizer of the profiles makes more
    # than one token of two bytes of English, figures apart.
    return len(text.encode()) // 2 + 1
