"""What turn-taking says: who has the word, and what the runtime must do now."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Said(Enum):
    """What the words of a question tell about its end."""

    OPEN = "open"
    """Nothing: it may go on."""
    UNFINISHED = "unfinished"
    """Its last word asks for another."""
    COMMAND = "command"
    """It is a whole command."""
    URGENT = "urgent"
    """It is a command that cannot wait."""


class State(Enum):
    """Who has the word."""

    IDLE = "idle"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"
    PAUSED = "paused"
    MUTED = "muted"


@dataclass(frozen=True, slots=True)
class Signal:
    """Something the runtime must act on. ``at`` is media time in samples."""

    at: int


@dataclass(frozen=True, slots=True)
class Called(Signal):
    """Listening begins."""

    by: str


@dataclass(frozen=True, slots=True)
class Began(Signal):
    """Speech began; ``at`` lies before its onset by the pre-roll."""


@dataclass(frozen=True, slots=True)
class Hinted(Signal):
    """A first hint that the speaker has finished. ``last`` is one past the last sample of speech."""

    last: int


@dataclass(frozen=True, slots=True)
class Resumed(Signal):
    """The speaker had only paused: what was begun at the hint is thrown away."""


@dataclass(frozen=True, slots=True)
class Ended(Signal):
    """The turn is the assistant's. ``last`` is one past the last sample of speech."""

    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class BargedIn(Signal):
    """Speech, a wake word, a tap or "stop" cuts the reply. ``onset`` is where that began."""

    onset: int
    spoken: bool = False
    """Whether what was heard over the reply is the beginning of a question."""


@dataclass(frozen=True, slots=True)
class Paused(Signal):
    """Somebody speaks over the reply: it falls silent until their words are known. ``onset`` is where that began."""

    onset: int


@dataclass(frozen=True, slots=True)
class Released(Signal):
    """What was heard over the reply was not meant for the assistant: the reply goes on."""

    reason: str


@dataclass(frozen=True, slots=True)
class GaveUp(Signal):
    """Nobody spoke."""
