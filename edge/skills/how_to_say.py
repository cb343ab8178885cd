"""One phrase in another language: "how do you say good morning in Spanish"."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Final

from edge.errors import EngineMissing, LanguageMissing
from edge.policy.languages import heard_as, same
from edge.policy.translate_words import ALREADY_YOURS, USUAL, spoken_reason, unknown
from edge.skill import Act, Asking

_POINTING: Final = frozenset({"this", "that", "it"})
_LINKS: Final = (
    "the | a | an | is | are | am | do | does | to | i | you | my | your | me | of | for | it | please | with | have | this"
)
_ASKED: Final = re.compile(
    r"^(?:how (?:do|would|can|should) (?:you|i|we|they) say|how to say|what is the word for|what is"
    r"|translate the (?:word|words|phrase|sentence))"
    r" (?P<text>.+) (?:in|into|to) (?P<language>.+?)$"
)


class HowToSay:
    """Translates one phrase.

    A slot of a phrase takes four words. What is longer has some small word in its midst, and room for a slot on either side.
    """

    name = "how_to_say"
    summary = "say a phrase in another language"
    phrases: Sequence[str] = (
        "how (do | would | can | should) (you | i | we | they) say {text} in {language}",
        f"how (do | would | can | should) (you | i | we | they) say {{text}} ({_LINKS}) {{more}} in {{language}}",
        "how to say {text} in {language}",
        f"what is {{text}} in ({USUAL})",
        "what is the word for {text} in {language}",
        f"translate the (word | words | phrase | sentence) {{text}} (to | into | in) ({USUAL})",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives the translation alone: whoever stands across is to hear nothing else."""
        asked = _ASKED.match(asking.transcript)
        text, language = (asked["text"], asked["language"]) if asked is not None else ("", "")
        target = heard_as(language)
        if not target:
            yield unknown(language, f"how do you say {text} in")
            await asking.sure()
            asking.act(Act.LISTEN_ON)
        elif same(target, asking.mine):
            yield ALREADY_YOURS
        elif not (text := _meant(asking, text)):
            yield "Say the word that you mean."
        else:
            async for piece in _translated(asking, text, target):
                yield piece


def _meant(asking: Asking, text: str) -> str:
    """The text; for "this" the name of the thing that was spoken of, empty where there is none."""
    if text not in _POINTING:
        return text
    return asking.meant.label if asking.meant is not None else ""


async def _translated(asking: Asking, text: str, target: str) -> AsyncIterator[str]:
    given = False
    try:
        async for piece in asking.translate(text, target):
            asking.speak_in(target)
            given = given or bool(piece.strip())
            yield piece
    except (LanguageMissing, EngineMissing) as error:
        yield spoken_reason(error.text) or error.spoken
    else:
        if not given:
            yield "I have no translation for that."
