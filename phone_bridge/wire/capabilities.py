"""The descriptor: what a pair of glasses has and can do.

u8 major, u8 minor, u16 length of what follows; then tags: u8 tag, u8 length, that many bytes. Unknown tags are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from phone_bridge.wire.layout import Malformed
from phone_bridge.wire.profile import CODECS_MAX, MAJOR, MINOR, MTU_MAX, MTU_MIN, NAME_MAX, SIZES_MAX, VALUE_MAX, Feature, Tag

_HEAD = struct.Struct("<BBH")
_CODEC = struct.Struct("<BBHH")
_SIZE = struct.Struct("<HH")
_BUFFERS = struct.Struct("<II")
_CAPTURES = Feature.MICROPHONE | Feature.CAMERA


@dataclass(frozen=True, slots=True)
class CodecOffer:
    """One codec of one direction."""

    codec: int
    """``Codec``, or a number of a later version."""
    kbps: int
    """Highest rate, kbit/s."""
    rate_hz: int
    frame_us: int


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The whole descriptor."""

    model: str
    firmware: str
    features: int
    """``Feature`` flags; a later version may have more."""
    mtu: int = MTU_MAX
    """Largest ATT MTU."""
    serial: bytes = b""
    """8 bytes of a hash, or nothing."""
    up: tuple[CodecOffer, ...] = ()
    down: tuple[CodecOffer, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    """Width and height in pixels; ``TakePhoto.size`` is the place in here."""
    photo_max: int = 0
    """Longest photo in bytes."""
    speaker_room: int = 0
    """Bytes of the speaker's buffer."""
    minor: int = MINOR


def encode_capabilities(value: Capabilities) -> bytes:
    """Gives the bytes. Raises Malformed where the descriptor contradicts itself or is too long."""
    tags = [
        (Tag.MODEL, value.model.encode()),
        (Tag.FIRMWARE, value.firmware.encode()),
        (Tag.FEATURES, value.features.to_bytes(4, "little")),
        (Tag.MTU, value.mtu.to_bytes(2, "little")),
    ]
    if value.serial:
        tags.append((Tag.SERIAL, value.serial))
    try:
        tags += [(Tag.CODEC_UP, _CODEC.pack(c.codec, c.kbps, c.rate_hz, c.frame_us)) for c in value.up]
        tags += [(Tag.CODEC_DOWN, _CODEC.pack(c.codec, c.kbps, c.rate_hz, c.frame_us)) for c in value.down]
        tags += [(Tag.PHOTO_SIZE, _SIZE.pack(*size)) for size in value.sizes]
        if value.photo_max or value.speaker_room:
            tags.append((Tag.BUFFERS, _BUFFERS.pack(value.photo_max, value.speaker_room)))
        body = b"".join(bytes((tag, len(data))) + data for tag, data in tags)
        found = _HEAD.pack(MAJOR, value.minor, len(body)) + body
    except (struct.error, ValueError) as error:
        raise Malformed(f"a descriptor: {error}") from error
    if decode_capabilities(found) != value:
        raise Malformed("a descriptor that would be read otherwise")
    return found


def decode_capabilities(value: bytes) -> Capabilities:
    """Gives the descriptor. Raises Malformed; ``unknown`` where it is of another major version."""
    if not _HEAD.size <= len(value) <= VALUE_MAX:
        raise Malformed(f"a descriptor of {len(value)} bytes")
    major, minor, length = _HEAD.unpack_from(value)
    if major != MAJOR:
        raise Malformed(f"a descriptor of version {major}.{minor}", unknown=major != 0)
    if length != len(value) - _HEAD.size:
        raise Malformed(f"a descriptor of {len(value) - _HEAD.size} bytes that says {length}")
    found: dict[int, list[bytes]] = {}
    for tag, data in _tags(value[_HEAD.size :]):
        found.setdefault(tag, []).append(data)
    features = int.from_bytes(_one(found, Tag.FEATURES, 4), "little")
    mtu = int.from_bytes(_one(found, Tag.MTU, 2), "little")
    photo_max, speaker_room = _BUFFERS.unpack(_one(found, Tag.BUFFERS, 8, b"\0" * 8))
    up, down = (tuple(map(_codec, found.get(tag, []))) for tag in (Tag.CODEC_UP, Tag.CODEC_DOWN))
    sizes = tuple(_size(data) for data in found.get(Tag.PHOTO_SIZE, []))
    if not MTU_MIN <= mtu <= MTU_MAX or len(up) + len(down) > CODECS_MAX or len(sizes) > SIZES_MAX:
        raise Malformed(f"a descriptor with MTU {mtu}, {len(up) + len(down)} codecs, {len(sizes)} sizes")
    if features & _CAPTURES and not features & Feature.LIGHT:
        raise Malformed("a microphone or a camera without a capture light")
    model, firmware = (_text(_one(found, tag, None)) for tag in (Tag.MODEL, Tag.FIRMWARE))
    serial = _one(found, Tag.SERIAL, 8, b"")
    return Capabilities(model, firmware, features, mtu, serial, up, down, sizes, photo_max, speaker_room, minor)


def _tags(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        end = at + 2 + body[at + 1] if at + 1 < len(body) else len(body) + 1
        if end > len(body):
            raise Malformed("a tag that is cut off")
        yield body[at], body[at + 2 : end]
        at = end


def _one(found: dict[int, list[bytes]], tag: Tag, length: int | None, default: bytes | None = None) -> bytes:
    data = found.get(tag, [] if default is None else [default])
    if len(data) != 1 or not (len(data[0]) == length or data[0] == default or length is None):
        raise Malformed(f"a descriptor without one right {tag.name.lower()}")
    return data[0]


def _text(data: bytes) -> str:
    if not 1 <= len(data) <= NAME_MAX:
        raise Malformed(f"a name of {len(data)} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a name that is not UTF-8") from error


def _codec(data: bytes) -> CodecOffer:
    if len(data) != _CODEC.size:
        raise Malformed(f"a codec of {len(data)} bytes")
    return CodecOffer(*_CODEC.unpack(data))


def _size(data: bytes) -> tuple[int, int]:
    if len(data) != _SIZE.size or 0 in (size := _SIZE.unpack(data)):
        raise Malformed("a photo size of no pixels")
    return size[0], size[1]
