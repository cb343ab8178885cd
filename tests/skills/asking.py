"""One turn without a runtime: the ``Asking`` that every test of a skill uses.

It is scripted with plain values (what the camera sees, what the model answers, what was said before) and remembers what the
skill did. It holds the skill to the contract: whatever can be felt outside the turn (``act``, ``speak_as``, ``keep``) before
``sure()`` was awaited is an AssertionError, as is a second look that asks for what the turn never had.

    asking = FakeAsking("what time is it", now=datetime(2026, 11, 22, 16, 20))
    assert await said(TimeAndDate(), asking) == "It's twenty past four in the afternoon."
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from edge.errors import NearsightError, NoView
from edge.skill import Act, Asking, Skill
from edge.values import Box, Code, Exchange, Prompt, Reading, SceneFacts, TextLine, VideoFrame, VoiceStyle

Thought = Sequence[str] | Callable[[Prompt], Iterable[str]]
"""What the language model answers: the pieces, or a function from the prompt to them."""


@dataclass
class FakeAsking:
    """A scripted turn. The first group of fields is what the skill finds, the second what it did."""

    transcript: str = ""
    slots: Mapping[str, str] = field(default_factory=dict)
    history: Sequence[Exchange] = ()
    style: VoiceStyle = field(default_factory=VoiceStyle)
    skills: Sequence[Skill] = ()
    view: VideoFrame | None = None
    """The picture; None, and nothing below either, makes every look raise NoView."""
    text: Reading | None = None
    """The text in the picture."""
    seen_codes: tuple[Code, ...] | None = None
    facts: SceneFacts | None = None
    thought: Thought = ()
    now: datetime = datetime(2026, 11, 22, 16, 20)
    recording: bool = True
    """Whether ``keep`` has a session bundle to keep pictures in."""
    failures: Mapping[str, NearsightError] = field(default_factory=dict)
    """Errors to raise, by the method's name: ``{"reading": EngineFailed("...")}``."""

    trace: list[str] = field(default_factory=list)
    """The methods that the skill called, in order; ``sure`` once it has been awaited."""
    acts: list[Act] = field(default_factory=list)
    styles: list[VoiceStyle] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    kept: list[VideoFrame] = field(default_factory=list)
    pieces_taken: int = 0
    """How many pieces of the model's answer the skill took before it was content."""

    async def sure(self) -> None:
        self._called("sure")

    async def frame(self) -> VideoFrame:
        self._called("frame")
        return self._view()

    async def reading(self) -> Reading:
        self._called("reading")
        self._view()
        return self.text or Reading()

    async def codes(self) -> tuple[Code, ...]:
        self._called("codes")
        self._view()
        return self.seen_codes or ()

    async def scene(self) -> SceneFacts:
        self._called("scene")
        self._view()
        return self.facts or SceneFacts(brightness=0.5)

    async def think(self, prompt: Prompt) -> AsyncIterator[str]:
        self._called("think")
        self.prompts.append(prompt)
        for piece in self.thought(prompt) if callable(self.thought) else self.thought:
            self.pieces_taken += 1
            yield piece

    def speak_as(self, style: VoiceStyle) -> None:
        self._felt("speak_as")
        self.style = style
        self.styles.append(style)

    async def keep(self, frame: VideoFrame) -> str:
        self._felt("keep")
        self.kept.append(frame)
        return f"frames/photo-{len(self.kept)}.jpg" if self.recording else ""

    def act(self, act: Act) -> None:
        self._felt("act")
        self.acts.append(act)

    def wall_time(self) -> datetime:
        self._called("wall_time")
        return self.now

    def _called(self, method: str) -> None:
        self.trace.append(method)
        if method in self.failures:
            raise self.failures[method]

    def _felt(self, method: str) -> None:
        assert "sure" in self.trace, f"{method}() can be felt outside the turn and came before sure()"
        self._called(method)

    def _view(self) -> VideoFrame:
        if self.view is not None:
            return self.view
        if self.text is None and self.seen_codes is None and self.facts is None:
            raise NoView("the turn has no picture")
        return picture()


async def said(skill: Skill, asking: Asking) -> str:
    """Gives the whole answer of a skill as one text."""
    return "".join([piece async for piece in skill.answer(asking)])


def picture(index: int = 0) -> VideoFrame:
    """Gives a small grey frame."""
    return VideoFrame(np.full((48, 64, 3), 128, np.uint8), t_ns=index * 33_000_000, index=index)


def page(*lines: str, confidence: float = 0.95, height: float = 20.0) -> Reading:
    """Gives the reading of a picture with these lines, one below the other."""
    return Reading(
        tuple(
            TextLine(line, Box(0.0, at * 1.5 * height, 10.0 * len(line), at * 1.5 * height + height), confidence)
            for at, line in enumerate(lines)
        )
    )
