"""What happens to glasses of our own profile: touches, battery, wear, and what they tell of their microphone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from phone_bridge.ble_adapters import Sink
from phone_bridge.ble_profile_requests import status_name
from phone_bridge.wire import messages
from phone_bridge.wire.codec import decode_event
from phone_bridge.wire.layout import Malformed
from phone_bridge.wire.profile import Action, Doing

logger = logging.getLogger(__name__)

BUTTONS = {Action.CLICK: "tap", Action.DOUBLE: "double_tap", Action.LONG: "hold"}
TAPS = {1: "tap", 2: "double_tap"}
NAMES = ("lost_events", "malformed_events", "unknown_events", "gestures", "faults")


@dataclass(frozen=True, slots=True)
class Answers:
    """What is done about events that ask for something."""

    gap: Callable[[], None]
    """Events were lost: ask how things are."""
    worn: Callable[[], None]
    """They were put on."""
    microphone_off: Callable[[int], None]
    """It went off, with its ``Cause``."""
    changed: Callable[[], None]
    """The descriptor is another one."""


class Events:
    """The events of one connection."""

    def __init__(self, sink: Sink, answers: Answers, counts: dict[str, int]) -> None:
        """``counts`` is where it counts, from connection to connection."""
        self._sink = sink
        self._answers = answers
        self._counts = counts
        self._next = 0
        self._held = False

    def notified(self, value: bytes) -> None:
        """Takes what the events characteristic notified."""
        try:
            event = decode_event(value)
        except Malformed as error:
            self._counts["unknown_events" if error.unknown else "malformed_events"] += 1
            return
        lost = (event.seq - self._next) & 0xFFFF
        self._next = (event.seq + 1) & 0xFFFF
        if lost:
            self._counts["lost_events"] += lost if lost < 0x8000 else 0
            self._answers.gap()
        if isinstance(event, messages.Button | messages.Tap | messages.HeadGesture):
            self._touched(event)
        else:
            self._told(event)

    def _touched(self, event: messages.Button | messages.Tap | messages.HeadGesture) -> None:
        match event:
            case messages.Button(action=Action.UP) if self._held:
                self._held = False
                self._sink.touched("release")
            case messages.Button(action=action) if action in BUTTONS:
                self._held = action == Action.LONG
                self._sink.touched(BUTTONS[Action(action)])
            case messages.Tap(count=count) if count in TAPS:
                self._sink.touched(TAPS[count])
            case messages.HeadGesture():
                self._counts["gestures"] += 1  # no skill knows them yet

    def _told(self, event: messages.EventMessage) -> None:
        match event:
            case messages.Wear(worn=1):
                self._answers.worn()
            case messages.Battery(percent=percent, charging=charging):
                self._sink.powered(percent / 100, bool(charging))
            case messages.Capture(doing=doing, cause=cause) if not doing & Doing.MICROPHONE:
                self._answers.microphone_off(cause)
            case messages.Changed():
                self._answers.changed()
            case messages.Fault(status=status):
                self._counts["faults"] += 1
                logger.warning("the glasses say: %s", status_name(status))
