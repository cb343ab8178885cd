"""What a page that carries a pair of Bluetooth glasses says of them, and how their packets travel.

A page answers our ``gatt`` requests by their numbers. Notifications come in binary messages, several in one where they come
fast: 0xFFFFFFFF, which is no still's number; the 32-bit number of the first packet; then, for each packet, the characteristic's
place in the list that the page gave (8 bits), the length (16 bits) and the bytes. All numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from phone_bridge.fields import Fields, Malformed

PACKETS = 0xFFFFFFFF
"""Where a still's piece has the still's number."""
MAX_VALUE = 512
"""Bytes of an attribute's value (Core 5.4, vol 3, part F, 3.2.9)."""
MAX_FOUND = 64
_HEADER = struct.Struct(">II")
_PACKET = struct.Struct(">BH")


@dataclass(frozen=True, slots=True)
class GlassesHere:
    """The page has connected to a pair of glasses, and found these characteristics of those that it was told."""

    link: int
    """Number of the connection, so that what is meant for another one is known."""
    name: str
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GlassesGone:
    """That connection has ended."""

    link: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GlassesMuted:
    """The wearer has muted the page, which means the glasses too; or no longer."""

    on: bool


@dataclass(frozen=True, slots=True)
class GattAnswer:
    """The answer to a request: bytes read, or why it failed; empty for neither."""

    id: int
    data: bytes = b""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Packets:
    """Notifications in their order, each with its characteristic's place in ``GlassesHere.found``."""

    first: int
    """Number of the first; they count from 0 with each connection."""
    packets: tuple[tuple[int, bytes], ...]


def decode_packets(data: bytes) -> Packets:
    """Reads a binary message. Raises Malformed."""
    first = _HEADER.unpack_from(data)[1]
    packets = []
    at = _HEADER.size
    while at < len(data):
        if len(data) - at < _PACKET.size:
            raise Malformed("a packet is cut short")
        place, size = _PACKET.unpack_from(data, at)
        at += _PACKET.size + size
        if size > MAX_VALUE or at > len(data):
            raise Malformed("a packet is longer than what came of it, or than a value may be")
        packets.append((place, data[at - size : at]))
    return Packets(first, tuple(packets))


def encode_packets(first: int, packets: Iterable[tuple[int, bytes]]) -> bytes:
    """Gives the binary message, as a page sends it."""
    pieces = (_PACKET.pack(place, len(value)) + value for place, value in packets)
    return _HEADER.pack(PACKETS, first & 0xFFFFFFFF) + b"".join(pieces)


def _glasses(fields: Fields) -> GlassesHere | GlassesGone | GlassesMuted:
    state = fields.choice("state", "here", "gone", "muted", "unmuted")
    if state in ("muted", "unmuted"):
        return GlassesMuted(state == "muted")
    link = fields.whole("link", 0xFFFFFFFF)
    if state == "gone":
        return GlassesGone(link, fields.text("reason"))
    return GlassesHere(link, fields.text("name", 100), fields.texts("found", MAX_FOUND))


def _gatt(fields: Fields) -> GattAnswer:
    return GattAnswer(fields.whole("id", 0xFFFFFFFF), fields.data("data", MAX_VALUE), fields.text("error"))


DECODERS: Mapping[str, Callable[[Fields], GlassesHere | GlassesGone | GlassesMuted | GattAnswer]] = {
    "glasses": _glasses,
    "gatt": _gatt,
}
