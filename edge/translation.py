"""What a translator is asked, what comes of speech on its way into another language, and what is told of it.

Languages are BCP 47 tags (``en``, ``pt-BR``); engines look at the part that they know. Times are media samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from edge.events import Event
from edge.values import TextLine, VideoFrame, Word


class Party(Enum):
    """Who speaks, or who is spoken to."""

    WEARER = "wearer"
    PARTNER = "partner"

    @property
    def other(self) -> Party:
        """The one across."""
        return Party.PARTNER if self is Party.WEARER else Party.WEARER


@dataclass(frozen=True, slots=True)
class TranslateRequest:
    """One sentence, or what is there of it."""

    text: str
    source: str
    target: str
    prefix: str = ""
    """What the translation is to begin with; looked at by engines with ``Translator.forces`` alone."""
    whole: bool = True
    """Whether the sentence has ended. An engine that writes on by itself must not finish one that has not."""
    before: Sequence[tuple[str, str]] = ()
    """Sentences before it with their translations, oldest first; engines without a use for them ignore them."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What the simultaneous policy wants translated now."""

    sentence: int
    """Counts the sentences of an interpretation."""
    text: str
    prefix: str
    whole: bool
    words: tuple[Word, ...]
    """The source words that ``text`` is made of."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one sentence has come, each time that something of it changes."""

    sentence: int
    source: str
    """What was heard of it for good."""
    source_tail: str
    """The newest guess at what follows."""
    text: str
    """The translation as far as it stands for good: each begins with all of the one before."""
    tail: str
    """The newest guess at what follows: it may be shown, marked as such, and is never spoken."""
    added: str
    """What of ``text`` is new since the last."""
    final: bool
    """Whether nothing will be added any more."""
    start: int
    """Media time at which the sentence's first word begins."""
    end: int
    """Media time at which its last word so far ends."""
    covered: int
    """Media time at which the last source word ends that ``text`` was made from."""
    record: str = ""
    """The whole sentence translated once more, for the record; only when final, and then perhaps not what was spoken."""
    words: tuple[Word, ...] = field(default=(), compare=False)
    """The source words that stand."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A sentence that was translated."""

    source: str
    """As it was heard; empty from a recogniser that translates."""
    text: str
    language: str
    """Of ``text``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpretingChanged(Event):
    """Speech is translated as it is spoken from now on, or no longer."""

    event = "interpreting"
    on: bool
    mine: str = ""
    """The wearer's language."""
    theirs: str = ""
    """The other's; empty while it is still to be found."""
    both: bool = False
    """Whether both ways; else only into the language that was asked for."""
    target: str = ""
    """One way: the language that is translated into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHeard(Event):
    """More was heard of a sentence that is being translated, or its last word."""

    event = "source"
    moments = ("start_ms", "end_ms", "heard_ms")
    sentence: int
    speaker: str
    """``wearer``, ``partner``, or empty where nobody can tell."""
    language: str
    text: str
    """What stands for good."""
    tail: str = ""
    """The newest guess at what follows."""
    final: bool = False
    start_ms: float = 0.0
    end_ms: float = 0.0
    heard_ms: float = 0.0
    """Up to where the sound was heard by then: what is later is computing."""
    words: tuple[Mapping[str, Any], ...] = ()
    """When final: each ``{"text", "start_ms", "end_ms"}``, media time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated(Event):
    """More of a sentence's translation, or its last word."""

    event = "translation"
    moments = ("start_ms", "end_ms")
    sentence: int
    speaker: str
    language: str
    """The target's."""
    text: str
    """What stands for good; only this is spoken."""
    tail: str = ""
    """The newest guess at what follows."""
    final: bool = False
    record: str = ""
    """When final: the whole sentence translated once more."""
    start_ms: float = 0.0
    """When the sentence began to be spoken."""
    end_ms: float = 0.0
    """When the last source word ends that ``text`` was made from."""
    lag_ms: float = 0.0
    """From there until now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationSpoken(Event):
    """A piece of a translation leaves the loudspeaker."""

    event = "spoken"
    moments = ("start_ms",)
    sentence: int
    to: str
    """``wearer`` or ``partner``."""
    language: str
    text: str
    start_ms: float
    """When its first sample is heard."""
    lag_ms: float
    """From the end of the last source word that it was made from until then."""
    rate: float = 1.0
    """How much faster than usual it is spoken, to catch up."""
    shortened: bool = False
    """Whether it tells less than was said, to catch up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver(Event):
    """Something was heard that is not translated."""

    event = "passed_over"
    speaker: str
    reason: str
    """``same_language``, ``no_words``, ``unknown_language``, ``failed``."""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTranslated(Event):
    """The text of the chosen picture in another language, where it stands."""

    event = "overlay"
    language: str
    width: int
    """Of the picture, in pixels."""
    height: int
    lines: tuple[Mapping[str, Any], ...]
    """Each ``{"text", "translation", "box", "angle"}``, the box ``[x0, y0, x1, y1]`` in pixels, the angle in degrees."""


def text_translated(frame: VideoFrame, language: str, lines: Sequence[tuple[TextLine, str]], t_ns: int) -> TextTranslated:
    """Makes the event of a picture's lines and their translations."""
    height, width = frame.pixels.shape[:2]
    rows = tuple(
        {"text": line.text, "translation": text, "box": line.box.corners(), "angle": round(line.angle, 1)}
        for line, text in lines
    )
    return TextTranslated(t_ns=t_ns, language=language, width=width, height=height, lines=rows)


@dataclass(frozen=True, slots=True)
class Interpret:
    """What the wearer asks of an interpreter. Languages are BCP 47 tags."""

    mine: str = ""
    """The wearer's language; empty for the configured one."""
    theirs: str = ""
    """The other's; empty lets it be found, and in a conversation takes the configured one first."""
    both: bool = True
    """Whether both ways; else only into ``target``."""
    target: str = ""
    """One way: the language that is translated into; empty for the wearer's."""
