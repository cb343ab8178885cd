"""Writes the test vectors of the glasses profile: ``python -m tools.profile_vectors``.

``firmware_stubs/vectors.json`` has one value for every message, audio packets at every MTU, descriptors, and values that
must be refused. The tests hold the Python codec and the C one to it, so that what goes over the air cannot change
unnoticed.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from phone_bridge.wire.audio import AudioSender
from phone_bridge.wire.capabilities import Capabilities, CodecOffer, encode_capabilities
from phone_bridge.wire.codec import encode
from phone_bridge.wire.control import Refused
from phone_bridge.wire.layout import Layout
from phone_bridge.wire.layouts import LAYOUTS
from phone_bridge.wire.profile import Channel, Codec, Feature, Status

VECTORS = Path(__file__).parents[1] / "firmware_stubs" / "vectors.json"
MTUS = (23, 100, 185, 247, 517)
OPUS = CodecOffer(Codec.OPUS, 64, 16000, 20000)
DESCRIPTORS = {
    "least": Capabilities("G", "0", 0, mtu=23),
    "whole": Capabilities(
        "Glasses é",
        "1.2.3",
        int(sum(Feature)),
        247,
        bytes(range(8)),
        (OPUS, CodecOffer(Codec.LC3, 32, 16000, 20000)),
        (OPUS,),
        ((640, 480), (1600, 1200)),
        200_000,
        4096,
    ),
}


def sample(layout: Layout, tenths: int = 5) -> Any:
    """Gives a message whose numbers stand so many tenths of the way between their limits."""
    values: list[Any] = [
        low + (high - low) * tenths // 10 for name, (low, high) in zip(layout.names, layout.limits, strict=True) if name
    ]
    if layout.tail:
        low, high = layout.tail[1]
        size = min(low + (high - low) * tenths // 10, 16)
        values.append(bytes(0xA0 + n for n in range(size)))
    return layout.message(*values)


def vectors() -> dict[str, Any]:
    """Gives all of them."""
    messages = []
    for layout in LAYOUTS:
        for tenths in (0, 3, 10):
            messages.append(_vector(layout.channel, sample(layout, tenths)))
    messages.append(_vector(Channel.REPLY, Refused(9, 5, Status.CAMERA_BUSY)))
    audio = [_audio(mtu, size) for mtu in MTUS for size in (1, 40, 80, 400)]
    descriptors = [
        {"name": name, "hex": encode_capabilities(value).hex(), "fields": _plain(value)} for name, value in DESCRIPTORS.items()
    ]
    return {"messages": messages, "audio": audio, "descriptors": descriptors, "refused": _refused()}


def _vector(channel: Channel, message: Any) -> dict[str, Any]:
    name = type(message).__name__
    return {"channel": channel.value, "message": name, "fields": _plain(message), "hex": encode(message).hex()}


def _plain(value: Any) -> dict[str, Any]:
    fields = dataclasses.asdict(value)
    return {name: field.hex() if isinstance(field, bytes) else field for name, field in fields.items()}


def _audio(mtu: int, size: int) -> dict[str, Any]:
    frame = bytes(n % 251 for n in range(size))
    sender = AudioSender(5)
    packets = [sender.packets(frame, n * 20_000 + 0xFFFFF000, mtu, speech=n == 1) for n in range(2)]
    return {"mtu": mtu, "frame": frame.hex(), "packets": [value.hex() for value in packets[0] + packets[1]]}


def _refused() -> list[dict[str, str]]:
    cases = [
        ("request", "", "empty"),
        ("request", "01010002010000", "longer than its length says"),
        ("request", "010100020100ff", "bytes after the end"),
        ("request", "0101010201", "cut off"),
        ("request", "010101020100", "the zero is none"),
        ("request", "010100030100", "a wrong length"),
        ("request", "010100020000", "major version 0"),
        ("request", "7f010000", "unknown type"),
        ("reply", "85010401ff", "a refusal with a body"),
        ("reply", "00010400", "a refusal of nothing"),
        ("photo", "0107010010", "a cut head"),
        ("photo", "01000100100001000000000000000000000000", "a head that is too long"),
        ("photo", "010001001000010000000000000000000000", "photo number 0"),
        ("photo", "010701000f00010000000000000000000000", "chunks of 15 bytes"),
        ("photo", "010701041000010000000000000000000000", "orientation 4"),
        ("photo", "010701001000000000000000000000000000", "a photo of no bytes"),
        ("photo", "010701001000f1ff0f000000000000000000", "a photo of a byte too many"),
        ("photo", "02070000", "a chunk of no bytes"),
        ("photo", "0207ffff00", "chunk 65535"),
        ("receipt", "1107000000", "a short bitmap"),
        ("event", "01000000000000000600", "a button's action 6"),
        ("event", "ee000000000000", "unknown event"),
        ("audio_decode", "00000300", "no data"),
        ("audio_decode", "0000030000000000", "no data after the time"),
        ("audio_decode", "01000b000000000000", "a restart that does not begin at 0"),
        ("audio_decode", "0000040000", "speech without a first fragment"),
        ("audio_decode", "000013000000000000", "an unknown flag"),
        ("capabilities", "01000000", "nothing in it"),
        ("capabilities", "02000000", "another major version"),
    ]
    return [{"channel": channel, "hex": value, "why": why} for channel, value, why in cases]


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
