"""The packets of a GATT connection as a Bluetooth controller would show them, made and read: HCI, L2CAP, ATT.

Operating systems give an application characteristics, never packets. A capture of what the application saw is written as the
packets that bring exactly that about, one request at a time, so that any tool that knows Bluetooth shows it; a discovery of all
services stands at the beginning. Core 5.4: vol 4, part E, 5.4 and 7.7 (HCI); vol 3, part A, 3.1 (L2CAP), part F, 3.4 (ATT).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

CONNECTION = 0x0040
"""The connection handle that is written."""
ATT_CHANNEL = 4
DEFAULT_MTU = 23
PRIMARY, CHARACTERISTIC, CONTROL = 0x2800, 0x2803, 0x2902
"""Service, characteristic, and client characteristic configuration: that which subscribes."""
NOTIFY, INDICATE = 0x10, 0x20
TIMED_OUT, HUNG_UP = 0x08, 0x16
"""Why a connection ended: out of reach, or by this side."""
_BASE = bytes.fromhex("fb349b5f8000008000100000")


class Att(IntEnum):
    """Opcodes."""

    ERROR = 0x01
    MTU_REQUEST = 0x02
    MTU = 0x03
    FIND = 0x04
    FOUND = 0x05
    READ_TYPE_REQUEST = 0x08
    READ_TYPE = 0x09
    READ_REQUEST = 0x0A
    READ = 0x0B
    READ_GROUP_REQUEST = 0x10
    READ_GROUP = 0x11
    WRITE_REQUEST = 0x12
    WRITTEN = 0x13
    NOTIFICATION = 0x1B
    INDICATION = 0x1D
    CONFIRMATION = 0x1E
    WRITE_COMMAND = 0x52


@dataclass(frozen=True, slots=True)
class Characteristic:
    """One of a service, by the handle of its value."""

    handle: int
    uuid: str
    """128 bits, in lower case."""
    properties: int
    control: int = 0
    """The handle that subscribes to it; 0 for none."""


@dataclass(slots=True)
class Service:
    """A service, its handles and what is in them."""

    handle: int
    end: int
    uuid: str
    characteristics: list[Characteristic] = field(default_factory=list)


# Making.


def connected(address: str) -> bytes:
    """Makes the event of a new connection, in which this side is the central."""
    peer = _address(address)
    random = peer[5] >> 6 == 3  # of the other kinds of random address nobody says which they are
    body = struct.pack("<BBHBB6sHHHB", 1, 0, CONNECTION, 0, random, peer, 24, 0, 42, 0)
    return struct.pack("<BBB", 4, 0x3E, len(body)) + body


def disconnected(reason: int) -> bytes:
    """Makes the event of a connection's end."""
    return struct.pack("<BBBBHB", 4, 5, 4, 0, CONNECTION, reason)


def acl(att: bytes, *, received: bool) -> bytes:
    """Wraps an ATT PDU."""
    flags = 0x2000 if received else 0
    return struct.pack("<BHHHH", 2, CONNECTION | flags, len(att) + 4, len(att), ATT_CHANNEL) + att


ACL_HEAD = 9
"""Bytes of a packet before its ATT PDU."""


def discovery(services: Sequence[Service], mtu: int) -> Iterator[tuple[bytes, bytes]]:
    """Makes the requests and answers by which a central learns an MTU and all services."""
    yield struct.pack("<BH", Att.MTU_REQUEST, mtu), struct.pack("<BH", Att.MTU, mtu)
    for service in services:
        span = struct.pack("<HH", service.handle, service.end)
        value = span + packed(service.uuid)
        yield (
            struct.pack("<BHHH", Att.READ_GROUP_REQUEST, service.handle, 0xFFFF, PRIMARY),
            bytes([Att.READ_GROUP, len(value)]) + value,
        )
        for each in service.characteristics:
            declared = max(1, each.handle - 1)
            value = struct.pack("<HBH", declared, each.properties & 0xFF, each.handle) + packed(each.uuid)
            yield (
                struct.pack("<BHHH", Att.READ_TYPE_REQUEST, declared, service.end, CHARACTERISTIC),
                bytes([Att.READ_TYPE, len(value)]) + value,
            )
            if each.control:
                found = struct.pack("<BBHH", Att.FOUND, 1, each.control, CONTROL)
                yield struct.pack("<BHH", Att.FIND, each.control, each.control), found


def packed(uuid: str) -> bytes:
    """Gives a UUID as it is sent: 2 bytes where it is one of Bluetooth's own, 16 otherwise."""
    whole = bytes.fromhex(uuid.replace("-", ""))[::-1]
    return whole[12:14] if whole[:12] == _BASE and whole[14:] == b"\0\0" else whole


def unpacked(uuid: bytes) -> str:
    """Gives a UUID as bleak writes it."""
    text = (uuid if len(uuid) == 16 else _BASE + uuid + b"\0\0")[::-1].hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _address(text: str) -> bytes:
    """MacOS tells no addresses: what it tells instead becomes a static random one, always the same."""
    digits = text.replace(":", "")
    if len(digits) == 12:
        return bytes.fromhex(digits)[::-1]
    made = hashlib.sha256(text.encode()).digest()[:6]
    return made[:5] + bytes([made[5] | 0xC0])


# Reading.


@dataclass(frozen=True, slots=True)
class Begun:
    """A connection began."""

    connection: int
    address: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A connection ended."""

    connection: int
    reason: int


@dataclass(frozen=True, slots=True)
class Pdu:
    """An ATT PDU, and how many of its bytes were left out of the capture."""

    connection: int
    att: bytes
    missing: int


class Unwrapper:
    """Finds connections and ATT PDUs among packets, those included that a controller cut into several."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, bool], bytearray] = {}

    def read(self, packet: bytes, size: int, *, received: bool) -> Begun | Ended | Pdu | None:
        """Gives what a packet is; None for what is none of these, and for one that is not whole yet."""
        if packet[0] == 4:
            return _event(packet)
        if packet[0] != 2 or len(packet) < 5:
            return None
        word, _ = struct.unpack_from("<HH", packet, 1)
        key = word & 0x0FFF, received
        if word >> 12 & 3 != 1:
            self._parts[key] = bytearray()
        elif key not in self._parts:
            return None  # the middle of something that began before the capture
        whole = self._parts[key]
        whole += packet[5:]
        missing = size - len(packet)
        if len(whole) < 4 or len(whole) + missing < 4 + int.from_bytes(whole[:2], "little"):
            return None
        del self._parts[key]
        length, channel = struct.unpack_from("<HH", whole)
        att = bytes(whole[4 : 4 + length])
        return Pdu(key[0], att, missing) if channel == ATT_CHANNEL and att else None


def _event(packet: bytes) -> Begun | Ended | None:
    # A connection is told of by three events that begin alike: complete, enhanced complete, and its second version.
    if len(packet) >= 14 and packet[1] == 0x3E and packet[3] in (0x01, 0x0A, 0x29):
        _, status, connection, role, _, peer = struct.unpack_from("<BBHBB6s", packet, 3)
        if status == 0 and role == 0:
            return Begun(connection & 0x0FFF, peer[::-1].hex(":").upper())
    if len(packet) >= 7 and packet[1] == 5 and packet[3] == 0:
        return Ended(int.from_bytes(packet[4:6], "little") & 0x0FFF, packet[6])
    return None


class Discovered:
    """What the answers of a discovery tell, in whatever order they come."""

    def __init__(self) -> None:
        self.mtu = DEFAULT_MTU
        self._asked = DEFAULT_MTU
        self._services: dict[int, Service] = {}
        self._found: dict[int, Characteristic] = {}
        self._controls: set[int] = set()

    def learn(self, att: bytes) -> None:
        """Takes a PDU; passes over what is no part of a discovery."""
        match att[0], len(att):
            case Att.MTU_REQUEST, 3:
                self._asked = int.from_bytes(att[1:], "little")
            case Att.MTU, 3:
                self.mtu = max(DEFAULT_MTU, min(self._asked, int.from_bytes(att[1:], "little")))
            case Att.READ_GROUP, _:
                for item in _items(att, (6, 20)):
                    handle, end = struct.unpack_from("<HH", item)
                    self._services[handle] = Service(handle, end, unpacked(item[4:]))
            case Att.READ_TYPE, _:
                for item in _items(att, (7, 21)):
                    _, properties, handle = struct.unpack_from("<HBH", item)
                    self._found[handle] = Characteristic(handle, unpacked(item[5:]), properties)
            case Att.FOUND, length if length > 2 and att[1] == 1:
                pairs = [att[at : at + 4] for at in range(2, length - 3, 4)]
                self._controls |= {
                    int.from_bytes(pair[:2], "little") for pair in pairs if pair[2:] == CONTROL.to_bytes(2, "little")
                }

    def services(self) -> list[Service]:
        """Gives the services with what was found in each."""
        made = {handle: Service(each.handle, each.end, each.uuid) for handle, each in sorted(self._services.items())}
        handles = sorted(self._found)
        for handle, following in zip(handles, [*handles, 0x10000][1:], strict=True):
            # A descriptor belongs to the characteristic before it.
            control = next((each for each in sorted(self._controls) if handle < each < following), 0)
            found = self._found[handle]
            home = next((each for each in made.values() if each.handle <= handle <= each.end), None)
            if home is not None:
                home.characteristics.append(Characteristic(handle, found.uuid, found.properties, control))
        return list(made.values())


def _items(att: bytes, sizes: Iterable[int]) -> list[bytes]:
    """The entries of an answer whose second byte is the length of each; none where it is no known length."""
    size = att[1] if len(att) > 1 else 0
    return [att[at : at + size] for at in range(2, len(att) - size + 1, size)] if size in sizes else []
