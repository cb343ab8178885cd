"""What a wearer's link tells: its captions to the wearer's page, which may come back, and to the partner's."""

from __future__ import annotations

from collections.abc import Callable

from edge.events import Event
from phone_bridge import control
from phone_bridge.captions import Captions
from phone_bridge.partner import Partner
from phone_bridge.peer import Peer


class Telling:
    """Tells the page of the present connection, and the pages of the partner."""

    def __init__(self, partner: Partner, tapped: Callable[[str], object]) -> None:
        """``tapped`` gets the partner's button to talk."""
        self.unsent = 0
        """Lines that did not go out."""
        self.peer: Peer | None = None
        """The present connection."""
        self._captions = Captions()
        self._partner = partner
        partner.tapped, partner.changed = tapped, self._partner_changed

    def tell(self, event: Event) -> None:
        """Sends what pages show of an event."""
        for line in self._captions.lines(event):
            self._partner.tell(line)
            if self.peer is not None and self.peer.has_channel:
                self.unsent += not self.send("event", event=line)

    def welcome(self, **fields: object) -> None:
        """Greets a page, and tells it what it must know."""
        self.send("welcome", **fields)
        for line in self._captions.again():
            self.unsent += not self.send("event", event=line)
        self._partner_changed()

    def send(self, kind: str, **fields: object) -> bool:
        """Sends the page a message; False where it does not go out."""
        return self.peer is not None and self.peer.send(control.message(kind, **fields))

    def close(self) -> None:
        """Leaves the partner to another link."""
        self.peer = None
        if self._partner.changed == self._partner_changed:
            self._partner.tapped = self._partner.changed = None

    def _partner_changed(self) -> None:
        self.send("partners", count=self._partner.pages)
