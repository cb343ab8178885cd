"""What of a session's events a page shows, as the lines that are sent to it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any

from edge.events import Event, FrameChosen, RemoteChanged
from edge.translation import InterpretingChanged, SourceHeard, TextTranslated, Translated, TranslationSpoken

CAPTIONS = frozenset(
    "state wake partial final speak barge_in pause resume turn notice error link track watch remote "
    "interpreting source translation spoken passed_over overlay".split()
)
"""The events that a page shows."""
KEPT = 300
"""Texts of a translated conversation that are told again to a page that comes back."""
PART_BYTES = 12_000
"""Of an overlay's lines in one message: a menu has more than one message holds."""
_LEFT_OUT = ("words", "folder")
"""Times of words are for tools, and a long question's would not fit into a message; a folder is a path of this machine."""

Line = Mapping[str, Any]


class Captions:
    """The captions of one wearer's pages. What still holds, and a conversation's texts, are kept for pages that come back."""

    def __init__(self) -> None:
        self._remote: Line | None = None
        self._interpreting: Line | None = None
        self._texts: deque[Line] = deque(maxlen=KEPT)
        self._run = 0.0
        """When the conversation began whose sentences are counted, in milliseconds: each conversation counts anew."""
        self._picture = -1

    def lines(self, event: Event) -> tuple[Line, ...]:
        """Gives what is sent for an event, an overlay perhaps in parts; nothing for an event that no page shows."""
        if isinstance(event, FrameChosen):
            self._picture = event.index
        if event.event not in CAPTIONS:
            return ()
        line = {key: value for key, value in event.as_json().items() if key not in _LEFT_OUT}
        match event:
            case RemoteChanged():
                self._remote = line
            case TextTranslated():
                return _parts({**line, "picture": self._picture})
            case InterpretingChanged(on=on):
                self._turn(line, on)
            case SourceHeard(final=final) | Translated(final=final):
                line["run"] = self._run
                if final:
                    self._texts.append(line)
            case TranslationSpoken():
                line["run"] = self._run
                self._texts.append(line)
        return (line,)

    def again(self) -> tuple[Line, ...]:
        """Gives what a page must know that comes, or comes back."""
        first = (self._remote, self._interpreting)
        return (*(line for line in first if line is not None), *self._texts)

    def _turn(self, line: dict[str, Any], on: bool) -> None:
        if on and (self._interpreting is None or not self._interpreting["on"]):
            self._run = line["t_ms"]
            self._texts.clear()
        line["run"] = self._run
        self._interpreting = line


def _parts(line: dict[str, Any]) -> tuple[Line, ...]:
    """Cuts an overlay by its lines; each part says how many there are."""
    parts: list[list[Any]] = [[]]
    room = PART_BYTES
    for text in line["lines"]:
        size = len(json.dumps(text, ensure_ascii=False).encode()) + 1
        if size > room and parts[-1]:
            parts.append([])
            room = PART_BYTES
        parts[-1].append(text)
        room -= size
    return tuple({**line, "lines": part, "part": number, "parts": len(parts)} for number, part in enumerate(parts))
