"""The last answer once more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from edge.policy.languages import same
from edge.skill import Asking


class Repeat:
    """Says the last answer again, the whole of it.

    A wearer who broke in with "pardon?" did so because the answer was not understood, or was drowned by a passing lorry, and
    wants it from the start to the end: the part that was played is the part that did not help. So the text as it was written
    comes first and what was heard only stands in for it. Turns that said nothing, such as "stop", are passed over. While
    a conversation is translated, the last translation is what is asked for.
    """

    name = "repeat"
    summary = "repeat myself"
    phrases: Sequence[str] = (
        "repeat [that | it | the answer | your answer] [again | please]",
        "(say | read | tell me) (that | it) again [please]",
        "(what did you | what did you just) say",
        "again",
        "(once more | one more time)",
        "(pardon | pardon me | i beg your pardon | come again)",
        "i (did not | didn't) (hear | catch | understand) (that | you)",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives the last answer that had any words."""
        if asking.interpreting is not None and asking.translations:
            last = asking.translations[-1]
            if not same(last.language, asking.mine):
                asking.speak_in(last.language)
            yield last.text
            return
        for exchange in reversed(asking.history):
            if said := exchange.answer or exchange.heard:
                yield said
                return
        yield "I have not said anything yet."
