"""What the assistant can do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

from edge.skill import Act, Asking, Skill

PAGE = 4
"""Abilities named at a time: a longer list is forgotten before it ends. One more is allowed where it ends the list."""
_FIRST = ("ask", "read_text", "scan_code", "photo")
"""What the glasses are worn for is named first; the rest follows as it is registered."""


class Help:
    """Names what the assistant can do, four things at a time, and the next four when asked what else.

    What has been told is read from the history, which holds only the words that were heard, so a list that was interrupted
    goes on where it was cut.
    """

    name = "help"
    summary = "tell you what I can do"
    phrases: Sequence[str] = (
        "help [me]",
        "what (can you | can you all) do [for me]",
        "what (can i | should i | could i) (say | ask) [you]",
        "what do you (do | know how to do)",
        "tell me what you can do",
        "what else [can you do | can i say | can i ask]",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives one or two sentences; while there is more to name, the assistant listens on."""
        known = sorted(
            (skill for skill in asking.skills if skill.name != self.name and skill.summary),
            key=lambda skill: _FIRST.index(skill.name) if skill.name in _FIRST else len(_FIRST),
        )
        more = "else" in asking.transcript.split()
        told = " ".join(exchange.heard for exchange in asking.history if exchange.heard.startswith("I can ")) if more else ""
        left = [skill for skill in known if skill.summary not in told]
        if not left:
            yield "That is all I can do." if known else "I have no skills installed."
            return
        page = left if len(left) <= PAGE + 1 else left[:PAGE]
        yield f"I can {'also ' if more else ''}{_listed(page)}."
        if len(page) < len(left):
            yield ' Ask "what else" to hear more.'
            await asking.sure()
            asking.act(Act.LISTEN_ON)


def _listed(skills: Iterable[Skill]) -> str:
    *before, last = (skill.summary for skill in skills)
    return f"{', '.join(before)} and {last}" if before else last
