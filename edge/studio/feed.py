"""Rows with serial numbers: a bounded past, and a bounded channel for each who reads on.

A reader who is too slow loses the oldest rows that wait for it, never anybody else's, and is told how many it missed. Meters
are for the moment: they pass through and are not kept, so they carry the number of the newest row that is.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from edge.channel import Channel, Overflow

HISTORY = 2000
"""Rows that are kept for a page that opens late, or comes back."""
PICTURES = 12
"""Rows with a picture that are kept: each holds some 60 kB."""
WAITING = 512
"""Rows that may wait for one reader."""

Row = Mapping[str, Any]


class Feed:
    """Hands rows to readers. All methods belong to the loop's thread; none of them waits but reading."""

    def __init__(self, watched: Callable[[bool], None]) -> None:
        """``watched`` is called with True when the first reader comes and with False when the last one leaves."""
        self._watched = watched
        self._serial = 0
        self._rows: deque[Row] = deque(maxlen=HISTORY)
        self._pictures: deque[Row] = deque(maxlen=PICTURES)
        self._readers: set[Channel[Row]] = set()
        self._closed = False

    @property
    def serial(self) -> int:
        """The number of the newest row that was kept; they count from 1."""
        return self._serial

    def put(self, row: Row, *, picture: bool = False) -> None:
        """Numbers a row, keeps it and hands it out; ``picture`` rows are kept apart, and fewer of them."""
        self._serial += 1
        numbered = {"n": self._serial, **row}
        (self._pictures if picture else self._rows).append(numbered)
        self._hand_out(numbered)

    def pass_on(self, row: Row) -> None:
        """Hands a row out without keeping it."""
        self._hand_out({"n": self._serial, **row})

    async def read(self, since: int, greeting: Callable[[], Row]) -> AsyncIterator[Row]:
        """Gives the greeting, what is kept after row ``since``, and then rows as they come, until ``close``.

        A number that was never given, as after a restart, counts as 0. Where rows are missing, ``{"n", "missed"}`` says how
        many. Use it under ``contextlib.aclosing``.
        """
        if self._closed:
            return
        live: Channel[Row] = Channel("dashboard", WAITING, Overflow.DROP_OLDEST)
        self._readers.add(live)
        if len(self._readers) == 1:
            self._watched(True)
        try:
            since = since if 0 <= since <= self._serial else 0
            past = [row for row in heapq.merge(self._rows, self._pictures, key=_number) if row["n"] > since]
            # Pictures are given up early on purpose: what counts as missed is what fell out of the long history.
            missed = self._rows[0]["n"] - 1 - since if len(self._rows) == HISTORY else 0
            yield {"n": since, **greeting()}
            if missed > 0:
                yield {"n": since, "missed": missed}
            for row in past:
                yield row
            told = 0
            async for row in live:
                if live.dropped > told:
                    yield {"n": row["n"], "missed": live.dropped - told}
                    told = live.dropped
                yield row
        finally:
            self._readers.discard(live)
            if not self._readers:
                self._watched(False)

    def close(self) -> None:
        """Ends all readers."""
        self._closed = True
        for reader in self._readers:
            reader.close()

    def _hand_out(self, row: Row) -> None:
        for reader in self._readers:
            if not reader.closed:
                reader.send_nowait(row)


def _number(row: Row) -> int:
    number: int = row["n"]
    return number
