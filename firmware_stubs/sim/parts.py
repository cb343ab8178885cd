"""What the simulated application stands between: the radio below, the body around it, and the word no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from phone_bridge.wire.profile import Status


class Stack(Protocol):
    """The radio's side."""

    mtu: int

    def notify(self, uuid: str, value: bytes) -> bool:
        """Sends a notification; False where there is no room for it."""

    def photo_may(self) -> bool:
        """Whether a photo chunk may take a transmit slot now."""

    def close(self) -> None:
        """Ends the link."""


@dataclass(slots=True)
class Body:
    """How the glasses are, whatever the link."""

    worn: bool = True
    percent: int = 100
    charging: bool = False
    hot: bool = False
    lamp: bool = True
    """Whether the capture light shines when it is switched on."""


class Refusal(Exception):
    """A request is refused."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status
