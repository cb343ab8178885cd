"""Any question: about what the camera sees, or about the world. The router's fallback.

What is spoken has passed the checks of ``edge.policy.grounding``. A question about the picture is answered by the model from
the lines that hold its answer; what the model adds is cut, what it gets wrong is replaced by the lines themselves. A question
that no line answers goes to the vision model, where there is one, with the part of the picture that it names beside the whole;
figures that it says must have been read. Without one it is answered "I don't know", with what can be read, and costs no model
call; a question that only eyes can answer is told, once, what would give the assistant eyes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import cast

from edge.errors import EngineMissing, NoView
from edge.policy import grounding, nouns, prompts
from edge.policy.dialog import within
from edge.policy.grounding import Evidence, Question
from edge.skill import Act, Asking
from edge.skills.seeing import NO_SIGHT
from edge.tracks import TrackState
from edge.values import Box, Exchange, Prompt

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
_IGNORANT = re.compile(
    r"(?:sorry,? )?(?:i )?(?:don't|do not|cannot|can't) (?:know|see|tell)|unknown|not visible", re.IGNORECASE
)
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
        found = grounding.evidence(question, lines)
        of_view = found.related or question.pointing or not grounding.knowable(question)
        if found.answerable:
            yield await _from_view(asking, question, found)
        elif of_view or grounding.visible(question):
            seen = await _seen(asking, question, lines)
            known = "" if seen or of_view else await _from_memory(asking, question)
            yield seen or known or await _unseen(asking, question, found, eyes=seen is not None)
        else:
            yield await _from_memory(asking, question) or await _seen(asking, question, lines) or _unknown(found)


async def _lines(asking: Asking) -> tuple[str, ...]:
    reading = await asking.reading()
    codes = await asking.codes()
    named = (f"{'QR' if code.kind == 'qr' else 'Bar'} code: {code.data}" for code in codes)
    return (*(line.text for line in reading.lines), *named)


async def _from_view(asking: Asking, question: Question, found: Evidence) -> str:
    sentence = await _sentence(asking, prompts.about_view(question.text, found.lines, _at_most))
    return grounding.supported(sentence, question, found.lines) or f"It says: {_aloud(found.lines)}"


async def _seen(asking: Asking, question: Question, lines: Sequence[str]) -> str | None:
    """Gives the vision model's answer: empty where it gives none that can be trusted, None where there is no such model."""
    history = within(_answered(asking), _HISTORY, _at_most)
    try:
        part = await _part_meant(asking, question)
        prompt = prompts.looking(question.text, lines, _at_most, history, part=part is not None)
        sentence = await _first(asking.look(prompt, part))
    except EngineMissing:
        return None
    except NoView:
        return ""
    if not grounding.content_words(sentence) or _IGNORANT.match(sentence):
        return ""
    if not grounding.figures_borne(sentence, question, lines):
        return ""
    return f"As far as I can see: {sentence}" if asking.manner == "blind" else sentence


async def _part_meant(asking: Asking, question: Question) -> Box | None:
    """Gives the box of the one thing that the question names and the detector finds, or of the one that is followed."""
    frame = await asking.frame()
    kinds = {kind for word in grounding.content_words(question.text) for kind in nouns.kinds(word, asking.eyes.names)}
    if kinds:
        named = [thing for thing in await asking.eyes.things(frame) if thing.label in kinds]
        return named[0].box if len(named) == 1 else None
    size = frame.pixels.shape[1], frame.pixels.shape[0]
    followed = [track for track in asking.eyes.tracks if track.state is TrackState.FOLLOWED and track.size == size]
    return followed[0].box if question.pointing and len(followed) == 1 else None


async def _unseen(asking: Asking, question: Question, found: Evidence, *, eyes: bool) -> str:
    """Gives what can be said without having seen the answer; without ``eyes``, once, what would give them."""
    said = await _nothing(asking) if question.pointing and not found.lines else _unknown(found)
    told = any(NO_SIGHT in (one.answer or one.heard) for one in asking.history)
    return said if eyes or told or not grounding.visible(question) else f"{said} {NO_SIGHT}"


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
    return await _first(asking.think(prompt))


async def _first(answer: AsyncIterator[str]) -> str:
    """Gives a model's first sentence and lets it go: the lane is free again while the voice speaks."""
    text = ""
    async with aclosing(cast(AsyncGenerator[str, None], answer)) as pieces:
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
