"""The photos of a captured connection: taken out of its course, to be given whenever this host asks for one."""

from __future__ import annotations

from dataclasses import dataclass, field

from phone_bridge.ble_omi import PHOTO, PHOTO_CONTROL, SINGLE_PHOTO
from phone_bridge.ble_replay_script import Answered, Asked, Connection, Item, Notified, mended
from phone_bridge.replay import Answered as Given
from phone_bridge.replay import nearest
from phone_bridge.wire import control
from phone_bridge.wire.codec import REPLY, request_type
from phone_bridge.wire.profile import CONTROL_UUID, PHOTO_UUID

OMI_END = b"\xff\xff"
TAKE = request_type(control.TakePhoto(0, 0, 1))
Part = tuple[int, bytes]
"""A handle and what it notified."""


@dataclass(slots=True)
class _Shot:
    """A photo as it was asked for, and what of it has come."""

    at: float
    number: int
    """Of the request, in our own profile."""
    object: int | None = None
    """What the glasses called the photo."""
    parts: list[tuple[float, Part]] = field(default_factory=list)


class Photos:
    """The photos of one connection, of either family of glasses."""

    def __init__(self, connection: Connection) -> None:
        handles = {found.uuid: found.handle for service in connection.services for found in service.characteristics}
        self._profile = CONTROL_UUID in handles
        self._control = handles.get(CONTROL_UUID if self._profile else PHOTO_CONTROL, 0)
        self._photo = handles.get(PHOTO_UUID if self._profile else PHOTO, 0)
        self.rest: list[Item] = []
        """All else that happened."""
        self._given = [Given(shot.at, tuple(shot.parts)) for shot in self._sorted(connection.items) if shot.parts]

    def asked(self, handle: int, value: bytes | None, now: float) -> tuple[tuple[float, Part], ...] | None:
        """Gives what comes, and after how many seconds, where this host asks for a photo at a time of the capture."""
        if value is None or not self._asks(handle, value):
            return None
        found = nearest(self._given, now)
        if found is None:
            return None
        return tuple((after, self._to(part, value)) for after, part in found.came)

    def _sorted(self, items: list[Item]) -> list[_Shot]:
        shots: list[_Shot] = []
        unanswered = False
        current: _Shot | None = None
        for item in items:
            match item:
                case Asked(at, handle, value) if value is not None and self._asks(handle, value):
                    current = _Shot(at, value[1] if self._profile else 0)
                    shots.append(current)
                    unanswered = True
                case Answered() if unanswered:  # ATT has one request at a time
                    unanswered = False
                case Notified(at, handle, value) if current is not None and self._belongs(current, handle, value):
                    current.parts.append((at - current.at, (handle, value)))
                    if not self._profile and value == OMI_END:
                        current = None
                case _:
                    self.rest.append(item)
        return shots

    def _asks(self, handle: int, value: bytes) -> bool:
        if handle != self._control or not handle:
            return False
        return len(value) > 1 and value[0] == TAKE if self._profile else value == SINGLE_PHOTO

    def _belongs(self, shot: _Shot, handle: int, value: bytes) -> bool:
        if not self._profile:
            return handle == self._photo
        if handle == self._control and len(value) > 1 and value[0] == TAKE | REPLY and value[1] == shot.number:
            shot.object = value[4] if len(value) == 5 else None
            return True
        return handle == self._photo and len(value) > 1 and value[1] == shot.object

    def _to(self, part: Part, ours: bytes) -> Part:
        """The reply to a request is given this host's number."""
        handle, value = part
        return (handle, mended(value, ours)) if self._profile and handle == self._control else part
