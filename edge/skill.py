"""The contract of a skill: what the wearer can ask for.

A skill is one class in one file. The package ``edge.skills`` holds nearsight's own; other distributions add theirs through
the entry point group ``nearsight.skills``, each entry naming a class with the shape of ``Skill``. The runtime is never
edited for a new one.

``phrases`` serve twice: rules route by them at once and offline, and the recogniser's command grammar is built from them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Protocol

from edge.values import Code, Exchange, Prompt, Reading, SceneFacts, VideoFrame, VoiceStyle


class Act(Enum):
    """What a skill can ask of the session, besides speaking."""

    STOP = "stop"
    """Falls silent and waits to be called."""
    MUTE = "mute"
    """Microphone and camera off, once the reply has been spoken, until a tap."""
    UNMUTE = "unmute"
    LISTEN_ON = "listen_on"
    """Keeps listening after the reply, without a wake word: the skill has asked something back."""
    SHUTTER = "shutter"
    """Plays the shutter sound."""


class Asking(Protocol):
    """One turn, as its skill sees it.

    A turn begins at the first hint that the wearer has finished, before that is sure. Whatever can be felt outside the
    turn waits for ``sure()`` first; everything else may run ahead and is thrown away if the wearer goes on speaking.
    """

    transcript: str
    """What was understood, in lower case without punctuation."""
    slots: Mapping[str, str]
    """The named parts of the phrase that matched."""

    @property
    def history(self) -> Sequence[Exchange]:
        """Earlier exchanges, oldest first: only what was really heard."""

    @property
    def style(self) -> VoiceStyle:
        """How the assistant speaks now."""

    @property
    def skills(self) -> Sequence[Skill]:
        """Every skill there is."""

    async def sure(self) -> None:
        """Waits until the wearer has surely finished."""

    async def frame(self) -> VideoFrame:
        """Gives the picture that the question is about: the sharpest around it. Raises NoView."""

    async def reading(self) -> Reading:
        """Gives the text in that picture. Raises NoView."""

    async def codes(self) -> tuple[Code, ...]:
        """Gives the codes in that picture. Raises NoView."""

    async def scene(self) -> SceneFacts:
        """Gives the brightness and the colours of that picture. Raises NoView."""

    def think(self, prompt: Prompt) -> AsyncIterator[str]:
        """Gives the language model's answer, piece by piece."""

    def speak_as(self, style: VoiceStyle) -> None:
        """Changes how the assistant speaks, from the next sentence on. Call it after ``sure()``."""

    async def keep(self, frame: VideoFrame) -> str:
        """Keeps a picture in the session bundle; gives its name there, empty where nothing is recorded."""

    def act(self, act: Act) -> None:
        """Asks something of the session. Call it after ``sure()``."""

    def wall_time(self) -> datetime:
        """The wearer's local time."""


class Skill(Protocol):
    """What the wearer can ask for."""

    name: str
    """A short identifier: ``read_text``."""
    summary: str
    """What it does, as said to somebody who asks what the assistant can do: "read text"."""
    phrases: Sequence[str]
    """What the wearer may say, in lower case without punctuation: ``what does (this | the) sign say``, ``[please] read this``.
    Parentheses hold alternatives, brackets hold what may be left out, ``{name}`` matches one to four words and becomes a
    slot. Phrases with slots route, but do not enter the command grammar."""
    urgent: bool
    """Acts at the first hint of silence instead of the end of the turn: only ``stop`` and its like."""

    def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives the answer's text, piece by piece; sentences are cut from it and spoken as they are complete."""
