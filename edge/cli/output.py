"""What a command prints: one JSON object a line, or lines for people; logs and progress go to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from edge.events import BargedIn, Event, Failed, FinalHeard, Notice, PartialHeard, Speaking, TextSeen, TurnEnded, Woke

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

    def event(self, event: Event) -> None:
        """Takes an event of a session."""
        match event:
            case TurnEnded():
                self.turns.append(event)
            case Failed():
                self.failures.append(event)
        if self.as_json:
            self.line(event.as_json())
        else:
            for text in _for_people(event):
                print(text, flush=True)

    def line(self, row: Mapping[str, Any], text: str = "") -> None:
        """Prints ``row`` as JSON, or ``text`` for people."""
        print(json.dumps(row, ensure_ascii=False) if self.as_json else text, flush=True)


def _for_people(event: Event) -> list[str]:
    match event:
        case Woke(by=by):
            return ["", f"called    {by}"]
        case PartialHeard(text=text) if sys.stdout.isatty():
            return [f"  ...     {text}"]
        case TextSeen(lines=lines) if lines:
            return [f"reads     {' | '.join(lines)}"]
        case FinalHeard(text=text):
            return [f"heard     {text}"]
        case Speaking(text=text):
            return [f"says      {text}"]
        case BargedIn(heard=heard):
            return [f"cut off   after: {heard or 'nothing'}"]
        case Notice(text=text):
            return [f"note      {text}"]
        case Failed(text=text):
            return [f"error     {text}"]
        case TurnEnded():
            return _turn(event)
        case _:
            return []


def _turn(turn: TurnEnded) -> list[str]:
    known = turn.timings_ms.as_json()
    lines = [f"turn {turn.turn:<4} {turn.skill}{' (interrupted)' if turn.interrupted else ''}"]
    longest = max(known.values(), default=0.0) or 1.0
    for name, what in STAGES:
        if name in known:
            bar = "#" * max(1, round(30 * max(0.0, known[name]) / longest))
            lines.append(f"          {known[name]:7.0f} ms  {bar:<30}  {what}")
    return lines
