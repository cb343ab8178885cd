"""The text in view, in the wearer's language: spoken, and shown where it stands.

What is one sentence on three rows is translated as one; a menu's rows are translated one by one, and their prices stay as they
are. Capitals are no emphasis to a translator, which takes them for names: "NO SMOKING" is translated as "No smoking", and shown
in capitals again. Speaking begins with the first sentence, while the others are being translated.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from edge.errors import EngineMissing, LanguageMissing
from edge.policy import layout
from edge.policy.languages import name_of, same, tag_of
from edge.policy.passages import Passage, passages
from edge.policy.translate_words import spoken_reason
from edge.skill import Act, Asking
from edge.skills.read_text import BLURRED, NO_TEXT, beginning, sentence
from edge.values import Reading, TextLine, VideoFrame

_THINGS = "(sign | label | menu | page | notice | poster | letter | text | screen | writing | board | note)"


class Linguist(Protocol):
    """What translating text needs of a turn."""

    async def language_of(self, text: str) -> str:
        """Gives the language that a text is written in; empty where that is not plain."""

    def translate(self, text: str, target: str, source: str = "") -> AsyncIterator[str]:
        """Gives the translation of a text, piece by piece. Raises LanguageMissing, EngineMissing."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One passage in the other language."""

    passage: Passage
    line: TextLine | None
    """Where its translation is to be shown; None for what stays as it is."""
    shown: str
    """The translation as it is to be shown there."""
    said: str
    """All of it, as it is to be said."""


class TranslateText:
    """Translates the picture's text."""

    name = "translate_text"
    summary = "translate signs and menus"
    phrases: Sequence[str] = (
        f"[please] translate (this | that | the) {_THINGS}",
        f"[please] translate (this | that | the) {_THINGS} (to | into | in) {{language}}",
        f"[please] translate (this | that | the) {_THINGS} from {{source}}",
        f"what does (this | that | the) {_THINGS} (say | mean) in {{language}}",
        f"[please] read (this | that | the) {_THINGS} (to me | aloud) in {{language}}",
        "what does (this | that | it) mean in {language}",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives the translation, a sentence at a time."""
        wanted, named = asking.slots.get("language", ""), asking.slots.get("source", "")
        target = tag_of(wanted) if wanted else asking.mine
        if not target or (named and not tag_of(named)):
            yield f"I do not know the language {named if target else wanted}."
            return
        asking.expect_translating()
        frame = await asking.frame()
        reading = await asking.reading()
        found = passages(layout.blocks(reading.lines))
        if why := _nothing(reading, found):
            yield why
            return
        source = tag_of(named) or await written_in(asking, found, target) or _likely(asking, target)
        if not source:
            yield "I cannot tell which language that is. Say, translate this sign from, and its language."
            await asking.sure()
            asking.act(Act.LISTEN_ON)
        elif same(source, target):
            yield f"That is {name_of(target)} already. It says: {' '.join(beginning([sentence(p.text) for p in found]))}"
        else:
            async for text in _spoken(asking, frame, found, target, source):
                yield text


def _nothing(reading: Reading, found: Sequence[Passage]) -> str:
    """What to say where there is nothing to translate."""
    if reading.blurred:
        return BLURRED
    if not found:
        return NO_TEXT
    if not any(passage.cells for passage in found):
        return f"I see figures only: {' '.join(sentence(passage.text) for passage in found)}"
    return ""


async def _spoken(asking: Asking, frame: VideoFrame, found: Sequence[Passage], target: str, source: str) -> AsyncIterator[str]:
    """Gives the translation as it is to be spoken; all of it is shown once it is there."""
    whole = asking.manner == "blind"
    head = len(found) if whole else len(beginning([sentence(passage.text) for passage in found]))
    lines: list[tuple[TextLine, str]] = []
    if not same(target, asking.mine):
        asking.speak_in(target)
    try:
        async with aclosing(translated(asking, found, target, source)) as coming:
            async for rendered in coming:
                if rendered.line is not None:
                    lines.append((rendered.line, rendered.shown))
                if (head := head - 1) >= 0:
                    yield sentence(rendered.said) + " "
    except (LanguageMissing, EngineMissing) as error:
        asking.speak_in("")
        yield spoken_reason(error.text) or error.spoken
        return
    if head < 0:
        asking.speak_in("")
        yield f"There {'are' if head < -1 else 'is'} {-head} more {'lines' if head < -1 else 'line'}."
    await asking.sure()
    asking.overlay(frame, target, lines)


async def written_in(linguist: Linguist, found: Sequence[Passage], target: str) -> str:
    """Gives the language of a text with one or more; empty where it is not plain.

    Beside one that is not the target's own it is that one: a sign in two languages is translated from the other.
    """
    languages = [await linguist.language_of(_words([passage])) for passage in found]
    foreign = [passage for passage, language in zip(found, languages, strict=True) if not same(language, target)]
    source = await linguist.language_of(_words(foreign)) if foreign else target
    if source and not same(source, target):
        return source
    # Of a few words that tell nothing among many in the target's language, nothing is made.
    others = [language for language in languages if language and not same(language, target)]
    return others[0] if others else await linguist.language_of(_words(found))


async def translated(linguist: Linguist, found: Iterable[Passage], target: str, source: str) -> AsyncGenerator[Rendered, None]:
    """Gives the passages in the target language, each as soon as it is there; what is in it already stays as it is.

    Raises LanguageMissing, EngineMissing.
    """
    for passage in found:
        words, figures = passage.parts
        if not words or same(await linguist.language_of(words), target):
            yield Rendered(passage, None, "", passage.text)
            continue
        shouted = words.isupper() and sum(map(str.isalpha, words)) > 3
        pieces = [piece async for piece in linguist.translate(words.capitalize() if shouted else words, target, source)]
        translation = "".join(pieces).strip() or words
        line = passage.as_line()
        beside = layout.priced(line.text)[1]
        shown = translation.upper() if shouted else translation
        yield Rendered(passage, line, f"{shown} {beside}".strip(), f"{translation} {figures}".strip())


def _words(found: Iterable[Passage]) -> str:
    return " ".join(passage.parts[0] for passage in found).strip()


def _likely(asking: Asking, target: str) -> str:
    """Where a text's words do not tell its language, the one that it is most likely in; empty where nothing is."""
    if not same(target, asking.mine):
        return asking.mine
    return asking.interpreting.theirs if asking.interpreting is not None else ""
