"""What comes over the line from OpenAI-compatible servers, apart from any line: server-sent events and objects of errors.

Events follow the HTML standard's section 9.2.6: lines end with CR, LF or both, a colon begins a comment, several ``data`` lines
are one event, bytes that are no UTF-8 become U+FFFD. An event that the stream's end cuts off is given too: some servers leave
out the empty line behind the last one, and half an event is no JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

MAX_LINE: Final = 1 << 18
"""Bytes in the longest event: an event carries a token or two, in an answer that was not streamed a few thousand."""
DONE: Final = "[DONE]"
"""The data of the event that ends an answer."""
_BREAK: Final = re.compile(rb"\r\n|\n|\r")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,48}")
_BOM: Final = b"\xef\xbb\xbf"


class TooLong(ValueError):
    """An event of more than ``MAX_LINE`` bytes."""


class Events:
    """Cuts a stream of bytes into events."""

    def __init__(self) -> None:
        self._held = b""
        self._data: list[str] = []
        self._size = 0
        self._begun = False

    def add(self, chunk: bytes) -> Iterator[str]:
        """Takes the next bytes, cut anywhere; gives the data of each event that they end. Raises TooLong."""
        self._held += chunk
        if not self._begun:
            if len(self._held) < len(_BOM) and _BOM.startswith(self._held):
                return
            self._begun, self._held = True, self._held.removeprefix(_BOM)
        at = 0
        for found in _BREAK.finditer(self._held):
            if found.end() == len(self._held) and found.group() == b"\r":
                break  # half of a CRLF, perhaps
            yield from self._line(self._held[at : found.start()])
            at = found.end()
        self._held = self._held[at:]
        if len(self._held) > MAX_LINE:
            raise TooLong

    def finish(self) -> Iterator[str]:
        """Gives the event that the stream's end cut off, if there is one."""
        held, self._held = self._held, b""
        yield from self._line(held.rstrip(b"\r"))
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[str]:
        if not line:
            if self._data:
                yield "\n".join(self._data)
            self._data, self._size = [], 0
            return
        field, _, value = line.partition(b":")
        if field == b"data":
            self._size += len(value)
            if self._size > MAX_LINE:
                raise TooLong
            self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))


def parsed(text: str | bytes) -> Any:
    """Gives the value of a JSON text. Raises ValueError, for one that is nested too deeply too."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def error_in(value: object) -> tuple[int, str] | None:
    """Gives status and code of an object that tells of an error, None for another.

    Of its text nothing is given: servers repeat in it what they were sent. The status is 500 where it says none.
    """
    if not isinstance(value, Mapping):
        return None
    told = value.get("error") if value.get("error") else value if value.get("object") == "error" else None
    if told is None:
        return None
    if not isinstance(told, Mapping):
        return 500, ""
    given = [told.get(name) for name in ("code", "type")]
    status = next((code for code in given if isinstance(code, int) and 400 <= code < 600), 500)
    named = (name for name in given if isinstance(name, str) and _NAME.fullmatch(name) and not name.isdigit())
    return status, next(named, "")
