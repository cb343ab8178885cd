"""What a speech model that decodes whole buffers is asked, and what it says.

A ``SpeechDecoder`` (Whisper, behind ``edge.ports``) knows no streams: each call decodes one buffer anew. Which of its words
can be told while the speaker goes on is a streaming policy's affair (``edge.policy.agreement``, ``edge.policy.alignatt``).
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.values import Word


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """How a buffer is to be decoded."""

    language: str = ""
    """BCP 47 tag; empty lets the model tell, where it can."""
    task: str = "transcribe"
    """``transcribe``, or ``translate`` into English."""
    context: str = ""
    """What was said before the buffer begins: the model's prompt."""
    prefix: str = ""
    """What the buffer is known to begin with: the model goes on from there. It stands alone: without ``hotwords``.

    ``Decoded`` begins with its words, timed like the rest, so that ``attend`` can align the whole.
    """
    hotwords: str = ""
    """Names that may occur, separated by blanks."""
    thorough: bool = False
    """Whether time may be spent on a better answer: the last pass over an utterance."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of what was heard, as the model cut it. Times are samples from the buffer's start."""

    words: tuple[Word, ...]
    start: int
    end: int
    no_speech: float = 0.0
    """Probability that nobody spoke."""
    log_probability: float = 0.0
    """Mean over the tokens, natural logarithm."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was heard in one buffer."""

    segments: tuple[Segment, ...] = ()
    language: str = ""
    language_probability: float = 0.0

    @property
    def words(self) -> tuple[Word, ...]:
        """All words, in order."""
        return tuple(word for segment in self.segments for word in segment.words)
