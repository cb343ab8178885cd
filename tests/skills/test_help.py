"""What the assistant can do, four things at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from edge.skill import Act, Asking, Skill
from edge.skills.help import Help
from edge.values import Exchange
from tests.skills.asking import FakeAsking, said


class Knows:
    """A skill of which only the summary matters here."""

    phrases: Sequence[str] = ()
    urgent = False

    def __init__(self, name: str, summary: str) -> None:
        self.name = name
        self.summary = summary

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives nothing of interest."""
        yield self.name


SKILLS: Sequence[Skill] = (
    Help(),
    *(Knows(name, f"do {name}") for name in ("alpha", "beta", "gamma", "delta")),
    Knows("photo", "take a photo"),
    Knows("ask", "answer questions"),
)


async def test_the_first_page_names_four_and_listens_on() -> None:
    asking = FakeAsking("what can you do", skills=SKILLS)
    assert await said(Help(), asking) == (
        'I can answer questions, take a photo, do alpha and do beta. Ask "what else" to hear more.'
    )
    assert asking.acts == [Act.LISTEN_ON]


async def test_what_else_goes_on_where_the_list_was_cut() -> None:
    heard = Exchange("what can you do", "I can answer questions, take a photo, do")
    asking = FakeAsking("what else", skills=SKILLS, history=(heard,))
    assert await said(Help(), asking) == "I can also do alpha, do beta, do gamma and do delta."
    assert asking.acts == []


async def test_the_end_of_the_list_is_said() -> None:
    history = (
        Exchange("what can you do", "I can answer questions, take a photo, do alpha and do beta. Ask"),
        Exchange("what else", "I can also do gamma and do delta."),
    )
    assert await said(Help(), FakeAsking("what else can you do", skills=SKILLS, history=history)) == "That is all I can do."
    again = await said(Help(), FakeAsking("help", skills=SKILLS, history=history))
    assert again.startswith("I can answer questions")


async def test_only_a_list_counts_as_told() -> None:
    history = (Exchange("what does it say", "It says: do gamma"),)
    answer = await said(Help(), FakeAsking("what else can you do", skills=SKILLS[1:4], history=history))
    assert answer == "I can also do alpha, do beta and do gamma."


async def test_alone_it_says_so() -> None:
    assert await said(Help(), FakeAsking("help", skills=(Help(),))) == "I have no skills installed."
