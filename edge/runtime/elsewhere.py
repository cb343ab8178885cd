"""Tells the wearer which engines are on other machines, when it is so and when that changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edge.events import Event, RemoteChanged
from edge.policy.elsewhere import abroad, sentence
from edge.runtime.engines import Engines


class Elsewhere:
    """Looks at the engines of a session. ``emit`` takes the event, ``tell`` the sentence."""

    def __init__(
        self, engines: Engines, *, emit: Callable[[Event], None], tell: Callable[[str], None], now_ns: Callable[[], int]
    ) -> None:
        self._engines = engines
        self._emit = emit
        self._tell = tell
        self._now_ns = now_ns
        self._known: Mapping[str, str] = {}
        self._first = True

    def look(self) -> None:
        """Tells what has changed since the last look; at the first, whatever is elsewhere."""
        now = self._engines.remotes()
        if now != self._known:
            self._emit(RemoteChanged(t_ns=self._now_ns(), ports=now, leaves=bool(abroad(now))))
            said = sentence(abroad(self._known), abroad(now), first=self._first)
            if said:
                self._tell(said)
        self._known, self._first = now, False
