"""What a session tells the world: one frozen value an event, one JSON object a line.

Every event carries ``t_ns``, media time since the session's start. On the line it stands as ``t_ms``. The event's name is
the class's ``event``; the fields of the class are the keys of the line. Tools and tests depend on these names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from edge.values import SAMPLE_RATE, Condition, Transcript, TurnTimings, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Root of the events."""

    event: ClassVar[str] = "event"
    moments: ClassVar[tuple[str, ...]] = ()
    """Its fields that are media times in milliseconds, beside ``t_ns`` and the times of words."""
    t_ns: int
    """Media time in nanoseconds since the session's start."""

    def as_json(self) -> dict[str, Any]:
        """The event as the object of its JSON line."""
        line: dict[str, Any] = {"event": self.event, "t_ms": round(self.t_ns / 1e6, 3)}
        for item in fields(self):
            if item.name == "t_ns":
                continue
            value = getattr(self, item.name)
            line[item.name] = dict(value.as_json()) if isinstance(value, TurnTimings) else _plain(value)
        return line

    def line(self) -> str:
        """The event as one line of JSON, without its newline."""
        return json.dumps(self.as_json(), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


T = TypeVar("T", bound=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted(Event):
    """The session is ready to listen."""

    event = "session"
    profile: str
    link: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged(Event):
    """Turn-taking moved to ``idle``, ``listening``, ``thinking``, ``speaking`` or ``muted``."""

    event = "state"
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Woke(Event):
    """The wearer called: by a wake word, a tap, or by speaking where no wake word is needed."""

    event = "wake"
    by: str
    """``hey_jarvis`` and the like, ``tap``, ``speech``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialHeard(Event):
    """The recogniser's guess while speech goes on. It may change."""

    event = "partial"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalHeard(Event):
    """The recogniser's last word on a question."""

    event = "final"
    text: str
    confidence: float
    source: str
    words: tuple[Mapping[str, Any], ...] = ()
    """Each ``{"text", "start_ms", "end_ms"}``, media time."""


def final_heard(transcript: Transcript, t_ns: int) -> FinalHeard:
    """Makes the event of a final transcript."""
    words = word_rows(transcript.words)
    confidence = round(transcript.confidence, 3)
    return FinalHeard(t_ns=t_ns, text=transcript.text, confidence=confidence, source=transcript.source, words=words)


def word_rows(words: Iterable[Word]) -> tuple[Mapping[str, Any], ...]:
    """Gives words as they stand in events: each ``{"text", "start_ms", "end_ms"}``, media time."""
    return tuple({"text": word.text, "start_ms": as_ms(word.start), "end_ms": as_ms(word.end)} for word in words)


def earlier(event: T, by_ns: int) -> T:
    """Gives the event with its media times counted from ``by_ns`` on: a recording may begin in the middle of a session."""
    moved = replace(event, t_ns=event.t_ns - by_ns)
    ms = by_ns / 1e6
    changes: dict[str, Any] = {name: getattr(event, name) - ms for name in event.moments}
    if isinstance(words := getattr(event, "words", None), tuple):
        changes["words"] = tuple({**word, "start_ms": word["start_ms"] - ms, "end_ms": word["end_ms"] - ms} for word in words)
    return replace(moved, **changes)


def as_ms(sample: int) -> float:
    """Gives a sample's media time in milliseconds, to a tenth."""
    return round(sample * 1000 / SAMPLE_RATE, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointReached(Event):
    """The policy decided that the wearer has finished."""

    event = "endpoint"
    reason: str
    """``end_of_turn`` (the model said so), ``command`` (its words are a whole command), ``silence``, ``too_long``, ``urgent``,
    ``input`` (the sound ended)."""
    silence_ms: float
    """Silence in the sound before the decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameChosen(Event):
    """The picture that an answer is about."""

    event = "frame"
    index: int
    age_ms: float
    """How old the picture was when it was chosen."""
    sharpness: float
    """Variance of the Laplacian; only comparable within the same scene."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSeen(Event):
    """The text of the chosen picture."""

    event = "text"
    lines: tuple[str, ...]
    blurred: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CodesSeen(Event):
    """The QR and bar codes of the chosen picture."""

    event = "code"
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThingsSeen(Event):
    """What the detector found in the chosen picture."""

    event = "things"
    things: tuple[Mapping[str, Any], ...]
    """Each ``{"label", "score", "box"}``, the box ``[x0, y0, x1, y1]`` in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskSeen(Event):
    """A followed object in one picture."""

    event = "mask"
    frame: int
    """The picture's index."""
    object: int
    label: str
    state: str
    """``followed`` or ``lost``."""
    score: float
    """0 to 1."""
    box: tuple[float, ...] = ()
    """``[x0, y0, x1, y1]`` in pixels; empty while it is lost."""
    area: int = 0
    """Pixels."""
    age_ms: float = 0.0
    """How old the picture was when its mask was there."""
    file: str = ""
    """The mask's PNG, where one was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackChanged(Event):
    """A followed object was taken up, went out of sight, came back, or was let go."""

    event = "track"
    object: int
    label: str
    change: str
    """``started``, ``lost``, ``found`` or ``ended``."""
    sure: bool = True
    """False where something came back that may be another object of the kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchFired(Event):
    """What was watched for has happened."""

    event = "watch"
    watch: int
    """The number of the rule in its session."""
    words: str
    """The rule as the wearer said it."""
    text: str
    """What happened, in one sentence."""
    sure: bool = True
    folder: str = ""
    """Where clip, contact sheet and report are written; empty where nothing is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaking(Event):
    """A sentence or a clause goes to the loudspeaker."""

    event = "speak"
    turn: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyPaused(Event):
    """Somebody speaks over the reply: it is silent until it is known whether that was meant for the assistant."""

    event = "pause"
    turn: int
    played_ms: float
    """How much of the reply was heard by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyResumed(Event):
    """What was heard over the reply was no interruption: the reply goes on where it stopped."""

    event = "resume"
    turn: int
    reason: str
    """``no_words``, ``backchannel`` ("mm-hm"), ``echo`` (the assistant's own words), ``unsure`` (too few words, or too
    uncertain)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BargedIn(Event):
    """The wearer spoke over the reply, or said stop; the reply is cut."""

    event = "barge_in"
    turn: int
    played_ms: float
    """How much of the reply was played."""
    heard: str
    """The words of the reply that were wholly played."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnded(Event):
    """One question and its answer, finished or cut."""

    event = "turn"
    turn: int
    transcript: str
    skill: str
    answer: str
    heard: str
    interrupted: bool = False
    timings_ms: TurnTimings = field(default_factory=TurnTimings)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoTaken(Event):
    """A picture was kept."""

    event = "photo"
    path: str
    """Relative to the session bundle, or empty where none is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChanged(Event):
    """The glasses went out of reach or came back, their battery or their sound path changed."""

    event = "link"
    present: bool
    sink_delay_ms: float
    echo_cancelled: bool
    battery: float | None = None
    """0 to 1."""
    charging: bool | None = None
    device: str = ""
    silent: bool = False
    """No loudspeaker: replies are shown only."""


def link_changed(condition: Condition, t_ns: int) -> LinkChanged:
    """Makes the event of a condition."""
    return LinkChanged(
        t_ns=t_ns,
        present=condition.present,
        sink_delay_ms=round(condition.sink_delay_s * 1000, 1),
        echo_cancelled=condition.echo_cancelled,
        battery=condition.battery,
        charging=condition.charging,
        device=condition.device,
        silent=condition.silent,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteChanged(Event):
    """Which engines send what they are given to servers: told at the start where there are any, and whenever it changes."""

    event = "remote"
    ports: Mapping[str, str]
    """Ports by name, each with the ``HOST:PORT`` that it sends to; none where every engine runs in this process."""
    leaves: bool
    """Whether any of the servers is on another machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Event):
    """Something the wearer or the tester should know that is not a failure: recording began, a frame rate fell."""

    event = "notice"
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """An error from the tree. The session goes on."""

    event = "error"
    code: str
    text: str
    retryable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Event):
    """The last event of every session."""

    event = "end"
    reason: str
    drops: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """For every channel that dropped anything: how many items."""
