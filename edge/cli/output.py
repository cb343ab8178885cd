"""What a command prints: one JSON object a line, or lines for people; logs and progress go to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from edge.events import (
    BargedIn,
    Event,
    Failed,
    FinalHeard,
    LinkChanged,
    Notice,
    PartialHeard,
    ReplyPaused,
    ReplyResumed,
    Speaking,
    TextSeen,
    TurnEnded,
    Woke,
)

STAGES = (
    ("endpoint", "question known to have ended"),
    ("asr_final", "speech recognised"),
    ("first_token", "first words of the answer"),
    ("first_sentence", "first sentence"),
    ("first_audio", "first sound made"),
    ("voice_to_voice", "first sound heard"),
)


class Output:
    """Prints events as they come."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.turns: list[TurnEnded] = []
        self.failures: list[Failed] = []

    def event(self, event: Event, wearer: str | None = None) -> None:
        """Takes an event of a session, with the name of the wearer where there may be several."""
        match event:
            case TurnEnded():
                self.turns.append(event)
            case Failed():
                self.failures.append(event)
        if self.as_json:
            self.line(event.as_json() if wearer is None else {**event.as_json(), "wearer": wearer})
        else:
            for text in _for_people(event):
                print(text, flush=True)

    def line(self, row: Mapping[str, Any], text: str = "") -> None:
        """Prints ``row`` as JSON, or ``text`` for people."""
        print(json.dumps(row, ensure_ascii=False) if self.as_json else text, flush=True)


def _for_people(event: Event) -> list[str]:
    if isinstance(event, TurnEnded):
        return _turn(event)
    if isinstance(event, Woke):
        return ["", f"called    {event.by}"]
    if isinstance(event, PartialHeard):
        return [f"  ...     {event.text}"] if sys.stdout.isatty() else []
    label, text = _line(event)
    return [f"{label:<10}{text}"] if text else []


def _line(event: Event) -> tuple[str, str]:
    """What a plain event is called, and its text; no text where people need not see it."""
    match event:
        case TextSeen(lines=lines):
            return "reads", " | ".join(lines)
        case FinalHeard(text=text):
            return "heard", text
        case Speaking(text=text):
            return "says", text
        case ReplyPaused():
            return "pauses", "somebody speaks"
        case ReplyResumed(reason=reason):
            return "goes on", reason
        case BargedIn(heard=heard):
            return "cut off", f"after: {heard or 'nothing'}"
        case LinkChanged(present=False):
            return "link", "the glasses are out of reach"
        case Notice(text=text):
            return "note", text
        case Failed(text=text):
            return "error", text
    return "", ""


def _turn(turn: TurnEnded) -> list[str]:
    known = turn.timings_ms.as_json()
    lines = [f"turn {turn.turn:<4} {turn.skill}{' (interrupted)' if turn.interrupted else ''}"]
    longest = max(known.values(), default=0.0) or 1.0
    for name, what in STAGES:
        if name in known:
            bar = "#" * max(1, round(30 * max(0.0, known[name]) / longest))
            lines.append(f"          {known[name]:7.0f} ms  {bar:<30}  {what}")
    return lines
