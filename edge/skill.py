"""The contract of a skill: what the wearer can ask for.

A skill is one class in one file. The package ``edge.skills`` holds nearsight's own; other distributions add theirs through
the entry point group ``nearsight.skills``, each entry naming a class with the shape of ``Skill``. The runtime is never
edited for a new one.

``phrases`` serve twice: rules route by them at once and offline, and the recogniser's command grammar is built from them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from edge.tracks import SegmentPrompt, Track, WatchRule
from edge.translation import Interpret, Rendered
from edge.values import Box, Code, Detection, Exchange, Mask, Prompt, Reading, SceneFacts, TextLine, VideoFrame, VoiceStyle


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


@dataclass(frozen=True, slots=True)
class Meant:
    """What a question was about, for the next one: "no, the one behind it"."""

    frame: VideoFrame
    box: Box
    """Around the object, in pixels of the frame."""
    label: str = ""
    mask: Mask | None = None
    passed_over: tuple[Box, ...] = ()
    """What was offered before, and was not meant."""


class Eyes(Protocol):
    """What the session sees beyond one picture. Every method may raise EngineMissing, and what engines raise."""

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Everything followed."""

    @property
    def watches(self) -> Mapping[int, WatchRule]:
        """Everything watched over, by number."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that the detector knows; empty where there is no detector."""

    async def things(self, frame: VideoFrame) -> tuple[Detection, ...]:
        """Gives the things in a picture that have names, surest first."""

    async def cut_out(self, frame: VideoFrame, prompt: SegmentPrompt) -> Mask:
        """Gives the mask of what is meant in one picture, without following it. Raises InputError."""

    async def follow(self, frame: VideoFrame, prompt: SegmentPrompt, label: str = "") -> Track:
        """Begins to follow what is meant. Raises InputError, and UsageError where too much is followed already."""

    def unfollow(self, object_id: int | None = None) -> int:
        """Stops following one object, or all; gives how many. Watches over them end."""

    def watch(self, rule: WatchRule) -> int:
        """Begins to watch; gives the rule's number."""

    def unwatch(self, number: int | None = None) -> int:
        """Stops one watch, or all; gives how many."""

    def views(self) -> AsyncIterator[VideoFrame]:
        """Gives pictures from now on, always the newest; ends with the camera."""


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
    def manner(self) -> str:
        """How answers are put: ``plain`` or ``blind``."""

    @property
    def eyes(self) -> Eyes:
        """What the session sees beyond one picture."""

    @property
    def meant(self) -> Meant | None:
        """What the last question about a thing meant."""

    @property
    def skills(self) -> Sequence[Skill]:
        """Every skill there is."""

    async def sure(self) -> None:
        """Waits until the wearer has surely finished."""

    async def frame(self) -> VideoFrame:
        """Gives the picture that the question is about: the sharpest around it. Raises NoView."""

    async def reading(self, frame: VideoFrame | None = None) -> Reading:
        """Gives the text in that picture, or in another. Raises NoView."""

    async def codes(self) -> tuple[Code, ...]:
        """Gives the codes in that picture. Raises NoView."""

    async def scene(self) -> SceneFacts:
        """Gives the brightness and the colours of that picture. Raises NoView."""

    def think(self, prompt: Prompt) -> AsyncIterator[str]:
        """Gives the language model's answer, piece by piece."""

    def look(self, prompt: Prompt, box: Box | None = None, schema: Mapping[str, Any] | None = None) -> AsyncIterator[str]:
        """Gives the vision model's answer about the picture, piece by piece; with ``box`` that part is shown beside the whole.

        With a JSON schema the answer is one value that obeys it. Raises NoView, EngineMissing.
        """

    def mean(self, meant: Meant) -> None:
        """Remembers what this question is about. Call it after ``sure()``."""

    def speak_as(self, style: VoiceStyle) -> None:
        """Changes how the assistant speaks, from the next sentence on. Call it after ``sure()``."""

    def speak_in(self, language: str) -> None:
        """What is answered from now on is spoken by a voice of that language (a BCP 47 tag)."""

    async def keep(self, frame: VideoFrame) -> str:
        """Keeps a picture in the session bundle; gives its name there, empty where nothing is recorded."""

    def act(self, act: Act) -> None:
        """Asks something of the session. Call it after ``sure()``."""

    @property
    def mine(self) -> str:
        """The wearer's language, a BCP 47 tag."""

    @property
    def interpreting(self) -> Interpret | None:
        """What is translated as it is spoken; None while nothing is."""

    def interpret(self, wanted: Interpret | None) -> None:
        """Begins to translate speech once this reply is over, or ends that. Call it after ``sure()``.

        Raises LanguageMissing, EngineMissing.
        """

    @property
    def translations(self) -> Sequence[Rendered]:
        """Sentences that were heard, with their translations, newest last."""

    def translate(self, text: str, target: str, source: str = "") -> AsyncIterator[str]:
        """Gives the translation of a text, piece by piece; without a source it is in the wearer's language.

        Raises LanguageMissing, EngineMissing.
        """

    def expect_translating(self) -> None:
        """Begins to load what ``language_of`` and ``translate`` need, while something else is awaited. Never fails."""

    async def language_of(self, text: str) -> str:
        """Gives the language that a text is written in, a BCP 47 tag; empty where that is not plain."""

    def overlay(self, frame: VideoFrame, language: str, lines: Sequence[tuple[TextLine, str]]) -> None:
        """Shows each line of a picture's text with its translation, where it stands. Call it after ``sure()``."""

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
