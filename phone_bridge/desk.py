"""What the server asks of the developer's desk: the dashboard's rows, its commands and its recordings.

The server knows the contract alone, and so it knows neither sessions nor engines; whoever composes both gives it a desk.
All of this is the owner's: the server asks for an owner's key before it calls any of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Desk(Protocol):
    """The developer's side of a station."""

    def events(self, since: int) -> AsyncIterator[Mapping[str, Any]]:
        """Gives the rows after serial number ``since`` as far as they are remembered, and then each new one.

        Every row has ``n``, its serial number, and is one JSON object: ``wearer`` with ``row`` (an event of the session),
        ``meters`` (ten times a second, not remembered) or ``frame``; or ``household``, what is true of all sessions. The
        iterator is bounded: a reader who is too slow misses rows and sees that from their numbers. It is closed by the reader.
        """

    async def command(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Does what a button of the dashboard asks, and gives what the page shows of it.

        Names: ``ask``, ``end``, ``record``, ``replay``, ``stop_replay``, ``profile``, ``engine``, ``network``, ``look`` (which
        gives the live picture), ``follow``, ``unfollow``, ``unwatch``.
        Raises NearsightError: UsageError for an unknown name or argument.
        """

    def bundles(self) -> tuple[str, ...]:
        """Gives the names of the recordings, newest first."""

    def bundle(self, name: str) -> Path | None:
        """Gives the folder of a recording; None where there is none of that name."""

    def kept(self, name: str) -> Mapping[str, Path]:
        """Gives the files that a watch kept of the event of that name, by their names; empty where there are none."""
