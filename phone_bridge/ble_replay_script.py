"""What a capture of Bluetooth glasses says that happened, connection by connection: the script of a replay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from edge.errors import InputError
from phone_bridge import ble_pdus as pdus
from phone_bridge.ble_adapters import known
from phone_bridge.ble_pdus import Att
from phone_bridge.capture import Record
from phone_bridge.wire import control
from phone_bridge.wire.codec import REPLY, decode_reply, decode_request, encode
from phone_bridge.wire.layout import Malformed
from phone_bridge.wire.profile import CONTROL_UUID

LONGEST_S = 86_400.0
"""A capture of more is one whose times are damaged."""


@dataclass(frozen=True, slots=True)
class Notified:
    """The glasses sent something."""

    at: float
    handle: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """The host sent a request: a read, or a write that is answered."""

    at: float
    handle: int
    value: bytes | None
    """What it wrote; None for a read."""


@dataclass(frozen=True, slots=True)
class Answered:
    """It was answered; with a code where it was refused."""

    at: float
    value: bytes
    refused: int = 0


Item = Notified | Asked | Answered


@dataclass(slots=True)
class Connection:
    """One connection of a capture; times in seconds since the capture's first packet."""

    address: str
    began: float
    ended: float = 0.0
    mtu: int = pdus.DEFAULT_MTU
    services: list[pdus.Service] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)


def connections(records: Iterable[Record], name: str) -> list[Connection]:
    """Gives the connections to the first glasses in a capture that nearsight knows.

    ``name`` is the file's. Raises InputError.
    """
    found: list[Connection] = []
    current: dict[int, tuple[Connection, pdus.Discovered]] = {}
    unwrapper, now = pdus.Unwrapper(), 0.0
    for record in records:
        now = record.at
        if now > LONGEST_S:
            raise InputError(f"{name}: its times leap by more than a day: the file is damaged")
        match unwrapper.read(record.packet, record.size, received=record.received):
            case pdus.Begun(number, address):
                began = Connection(address, now)
                found.append(began)
                current[number] = began, pdus.Discovered()
            case pdus.Ended(number, _) if number in current:
                _finish(*current.pop(number), now)
            case pdus.Pdu(number, att, missing) if number in current:
                connection, discovered = current[number]
                discovered.learn(att)
                item = _item(now, att, received=record.received) if not missing else None
                if item is not None:
                    connection.items.append(item)
    for connection, discovered in current.values():
        _finish(connection, discovered, now)
    return _of_glasses(found, name)


def _finish(connection: Connection, discovered: pdus.Discovered, now: float) -> None:
    connection.ended, connection.mtu, connection.services = now, discovered.mtu, discovered.services()


def _item(at: float, att: bytes, *, received: bool) -> Item | None:
    handle = int.from_bytes(att[1:3], "little")
    match att[0], len(att) >= 3, received:
        case Att.NOTIFICATION | Att.INDICATION, True, True:
            return Notified(at, handle, att[3:])
        case Att.READ_REQUEST, True, False:
            return Asked(at, handle, None)
        case Att.WRITE_REQUEST, True, False:
            return Asked(at, handle, att[3:])
        case Att.READ, _, True:
            return Answered(at, att[1:])
        case Att.WRITTEN, _, True:
            return Answered(at, b"")
        case Att.ERROR, True, True if len(att) == 5 and att[1] in (Att.READ_REQUEST, Att.WRITE_REQUEST):
            return Answered(at, b"", att[4])
    return None


def _of_glasses(found: list[Connection], name: str) -> list[Connection]:
    services = {adapter.service for adapter in known()}
    cached = {each.address: each.services for each in found if each.services}
    for each in found:  # who knows a device asks for its services only once
        each.services = each.services or cached.get(each.address, [])
    ours = [each for each in found if services & {service.uuid for service in each.services}]
    if not ours:
        raise InputError(
            f"{name} holds no connection to glasses that nearsight knows, and their discovery ({len(found)} others)"
        )
    return [each for each in ours if each.address == ours[0].address]


class Replies:
    """The control channel of our own profile, whose replies carry the number of their request, and what it gave.

    A host that asks the same in another order has other numbers: the replies of the capture are given those of this host.
    """

    def __init__(self, connection: Connection) -> None:
        found = [
            each.handle for service in connection.services for each in service.characteristics if each.uuid == CONTROL_UUID
        ]
        self.handle = found[0] if found else 0
        """Of the channel; 0 for glasses that have none."""
        self._numbers: dict[int, bytes | None] = {}
        self._latest: dict[int, bytes] = {}

    def asked(self, captured: bytes, ours: bytes | None) -> None:
        """Takes a request of the capture's host, and that of this host which is the same; None where there is none."""
        if len(captured) > 1:
            self._numbers[captured[1]] = ours

    def replied(self, value: bytes) -> bytes | None:
        """Gives a reply of the capture as this host may have it; None where it did not ask."""
        if len(value) < 2 or value[1] not in self._numbers:
            return value
        self._latest[value[0]] = value
        ours = self._numbers.pop(value[1])
        return None if ours is None else mended(value, ours)

    def remembered(self, ours: bytes) -> bytes | None:
        """Gives the latest reply to a request that this host alone makes; None where there was none of its kind."""
        value = self._latest.get(ours[0] | REPLY) if ours else None
        return None if value is None else mended(value, ours)


def mended(value: bytes, ours: bytes) -> bytes:
    """Gives a reply to another host's request as the reply to ``ours``."""
    try:
        reply, request = decode_reply(value), decode_request(ours)
    except Malformed:
        return value
    reply = replace(reply, request=request.request)
    if isinstance(reply, control.ClockReply) and isinstance(request, control.Clock):
        reply = replace(reply, t1=request.t1)
    stream = getattr(request, "stream", None)
    if stream is not None and hasattr(reply, "stream"):
        reply = replace(reply, stream=stream)
    return encode(reply)
