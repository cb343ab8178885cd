"""A listener for whoever plays against a session (a demo, a bench, a test): keeps the events and waits for those to come."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from edge.events import Event

E = TypeVar("E", bound=Event)


class Told:
    """Keeps every event of a session. Give it as the session's ``emit``."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()

    def __call__(self, event: Event) -> None:
        """Takes an event."""
        self.events.append(event)
        self._news.set()

    def of(self, kind: type[E], since: int = 0) -> list[E]:
        """The events of one kind, from the one numbered ``since`` on."""
        return [event for event in self.events[since:] if isinstance(event, kind)]

    async def wait(self, kind: type[E], since: int = 0, *, number: int = 1, patience: float = 60.0) -> E:
        """Waits for the ``number``-th event of a kind, counted from the one numbered ``since`` on. Raises TimeoutError."""
        async with asyncio.timeout(patience):
            while len(found := self.of(kind, since)) < number:
                self._news.clear()
                await self._news.wait()
        return found[number - 1]
