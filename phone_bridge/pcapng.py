"""What a link over a socket or over WebRTC carried, in a file that Wireshark opens: pcapng with exported PDUs.

pcapng is draft-ietf-opsawg-pcapng. Each connection is an interface of the file; its name is the link's and its description
says in JSON what its packets do not. The link type is 252, Wireshark's "exported PDU": each packet names its dissector
(``rtp``, ``json`` ...), because there is no layer below that would be true: the bytes are those inside TLS, DTLS and SRTP. The
addresses, of RFC 5737, stand for the two ends, so that Wireshark's RTP tools tell the directions apart. A comment says what
is no packet: that a connection ended.
"""

from __future__ import annotations

import json
import logging
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edge import __version__
from edge.errors import InputError
from phone_bridge.capture import MAX_BYTES, CaptureFile, bytes_of

log = logging.getLogger(__name__)

JSON, DATA, RTP, RTCP, JPEG = "json", "data", "rtp", "rtcp", "image-jfif"
"""Dissectors: a text message, a binary one, a packet of media, one of its control, a picture that was posted."""
MAX_BLOCK = 8 * 1024 * 1024
"""The largest packet is a picture of 4 MB."""
MAX_CONNECTIONS = 10_000
LONGEST_S = 86_400.0
"""A capture of more is one whose times are damaged."""
EXPORTED_PDU = 252
ENDED = "closed"
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_MAGIC = 0x1A2B3C4D
_COMMENT, _FLAGS, _NAME, _DESCRIPTION, _RESOLUTION, _PROGRAM = 1, 2, 2, 3, 9, 4
_INBOUND, _OUTBOUND = 1, 2
_DISSECTOR, _FROM, _TO, _PORTS, _FROM_PORT, _TO_PORT = 12, 20, 21, 24, 25, 26
_UDP: Final = struct.pack(">I", 3)
_OURS, _THEIRS = bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2))
_PORT: Final = struct.pack(">I", 5004)


@dataclass(frozen=True, slots=True)
class Packet:
    """What passed over a connection."""

    at: float
    """Seconds since the capture's first packet."""
    kind: str
    """Its dissector."""
    data: bytes
    received: bool
    """Whether it came from the glasses."""
    size: int
    """Its bytes before any were left out."""


@dataclass(slots=True)
class Connection:
    """One connection of a capture."""

    name: str
    """The link's URI."""
    facts: Mapping[str, Any]
    """What its packets do not say."""
    packets: list[Packet] = field(default_factory=list)
    ended: float | None = None
    """When it ended; None where the capture does not say."""


class PacketCapture(CaptureFile):
    """Writes a capture of any number of connections. Made before anything is connected."""

    def __init__(self, path: Path, *, began: float = 0.0, limit: int = MAX_BYTES) -> None:
        """``began`` is the time of the first packet in seconds since 1970. Raises StorageError."""
        head = struct.pack("<IHHq", _MAGIC, 1, 0, -1) + _options({_PROGRAM: f"nearsight {__version__}".encode()})
        super().__init__(path, _block(_SECTION, head), began=began, limit=limit)
        self._connections = 0

    def begin(self, at: float, name: str, facts: Mapping[str, Any]) -> int | None:
        """Takes a new connection at loop time ``at``; gives its number, None where it is not written down."""
        described = {_NAME: name.encode(), _DESCRIPTION: json.dumps(facts).encode(), _RESOLUTION: b"\6"}
        if not self._add(at, _block(_INTERFACE, struct.pack("<HHI", EXPORTED_PDU, 0, 0) + _options(described))):
            return None
        self._connections += 1
        return self._connections - 1

    def write(
        self, at: float, number: int, kind: str, data: bytes, *, received: bool, keep: int | None = None, comment: str = ""
    ) -> None:
        """Adds a packet of a connection, or its first ``keep`` bytes."""
        time = round(self._since_1970(at) * 1e6)
        head = _tags(kind, received=received)
        kept = head + data[:keep]
        options = {_FLAGS: struct.pack("<I", _INBOUND if received else _OUTBOUND)}
        body = struct.pack("<IIIII", number, time >> 32, time & 0xFFFFFFFF, len(kept), len(head) + len(data))
        noted = {_COMMENT: comment.encode()} if comment else {}
        self._add(at, _block(_PACKET, body + _padded(kept) + _options(noted | options)))


def _tags(kind: str, *, received: bool) -> bytes:
    ends = (_THEIRS, _OURS) if received else (_OURS, _THEIRS)
    name = kind.encode()
    tags = ((_DISSECTOR, name), (_FROM, ends[0]), (_TO, ends[1]), (_PORTS, _UDP), (_FROM_PORT, _PORT), (_TO_PORT, _PORT))
    return b"".join(struct.pack(">HH", tag, -(-len(value) // 4) * 4) + _padded(value) for tag, value in tags) + bytes(4)


def _options(values: Mapping[int, bytes]) -> bytes:
    return b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in values.items()) + bytes(4)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def is_pcapng(path: Path) -> bool:
    """Says whether a file begins as pcapng does."""
    try:
        with path.open("rb") as file:
            return file.read(4) == _SECTION.to_bytes(4, "little")
    except OSError:
        return False


def read_connections(path: Path) -> list[Connection]:
    """Gives the connections of a capture; of one whose end is missing, as a killed process leaves it, what is whole.

    Interfaces of other link types are passed over. Raises InputError.
    """
    reader = _Reader(path)
    data = bytes_of(path)
    for kind, body in _blocks(path, data):
        reader.take(kind, body)
    return reader.connections


def _blocks(path: Path, data: bytes) -> Iterator[tuple[int, bytes]]:
    """The blocks of one section, which is as we write it: little-endian. Wireshark, too, writes as its machine counts."""
    if len(data) < 28 or data[:4] != _SECTION.to_bytes(4, "little"):
        raise InputError(f"{path} is no pcapng capture")
    if int.from_bytes(data[8:12], "little") != _MAGIC:
        raise InputError(f"{path} was written by a big-endian machine: open it in Wireshark and save it anew")
    place = number = 0
    while place < len(data):
        number += 1
        kind, size = struct.unpack_from("<II", data, place) if len(data) - place >= 8 else (0, 12)
        if size < 12 or size % 4 or size > MAX_BLOCK:
            raise InputError(f"{path}: block {number} says {size} bytes, which is no block: the file is damaged")
        if len(data) - place < size:
            log.warning("%s ends within block %d, which is left out", path, number)
            return
        if struct.unpack_from("<I", data, place + size - 4)[0] != size:
            raise InputError(f"{path}: block {number} ends otherwise than it begins: the file is damaged")
        yield kind, data[place + 8 : place + size - 4]
        place += size


class _Reader:
    def __init__(self, path: Path) -> None:
        self.connections: list[Connection] = []
        self._path = path
        self._interfaces: list[tuple[Connection | None, int]] = []
        """With the ticks of a second."""
        self._first: int | None = None
        self._latest = 0.0

    def take(self, kind: int, body: bytes) -> None:
        try:
            match kind:
                case 0x0A0D0D0A:
                    self._interfaces.clear()
                case 1:
                    self._interface(body)
                case 6:
                    self._packet(body)
        except (struct.error, ValueError, IndexError, RecursionError):
            raise InputError(f"{self._path}: a block that cannot be read: the file is damaged") from None

    def _interface(self, body: bytes) -> None:
        link = int.from_bytes(body[:2], "little")
        options = dict(_read_options(body[8:]))
        resolution = options.get(_RESOLUTION, b"\6")[0]
        ticks = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
        connection = None
        if link == EXPORTED_PDU and len(self._interfaces) < MAX_CONNECTIONS:
            facts = json.loads(options.get(_DESCRIPTION, b"{}") or b"{}")
            if not isinstance(facts, dict):
                raise ValueError("facts")
            connection = Connection(options.get(_NAME, b"").decode(), facts)
            self.connections.append(connection)
        self._interfaces.append((connection, ticks))

    def _packet(self, body: bytes) -> None:
        number, high, low, kept, size = struct.unpack_from("<IIIII", body)
        connection, ticks = self._interfaces[number]
        end = 20 + -(-kept // 4) * 4
        if kept > size or end > len(body):
            raise ValueError("size")
        if connection is None:
            return
        tick = high << 32 | low
        self._first = tick if self._first is None else self._first
        self._latest = max(self._latest, (tick - self._first) / ticks)  # clocks are set back now and then
        if self._latest > LONGEST_S:
            raise InputError(f"{self._path}: its times leap by more than a day: the file is damaged")
        options = dict(_read_options(body[end:]))
        kind, head = _read_tags(body[20 : 20 + kept])
        if options.get(_COMMENT) == ENDED.encode():
            connection.ended = self._latest
            return
        received = int.from_bytes(options.get(_FLAGS, b""), "little") & 3 == _INBOUND
        connection.packets.append(Packet(self._latest, kind, body[20 + head : 20 + kept], received, size - head))


def _read_options(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + 4 <= len(data):
        code, size = struct.unpack_from("<HH", data, place)
        if code == 0:
            return
        if place + 4 + size > len(data):
            raise ValueError("option")
        yield code, data[place + 4 : place + 4 + size]
        place += 4 + -(-size // 4) * 4


def _read_tags(data: bytes) -> tuple[str, int]:
    """Gives the dissector, and the bytes of all tags."""
    kind, place = "", 0
    while True:
        tag, size = struct.unpack_from(">HH", data, place)
        place += 4
        if tag == 0:
            return kind, place
        if place + size > len(data):
            raise ValueError("tag")
        if tag == _DISSECTOR:
            kind = data[place : place + size].rstrip(b"\0").decode("ascii")
        place += size
