"""Messages to bytes and back, all but audio packets (``audio``) and the descriptor (``capabilities``).

Every length is checked, every number against its limits, and nothing may follow a message: ``encode(decode(channel, value)) ==
value`` for every value that decodes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, cast

from phone_bridge.wire.control import Refused, ReplyMessage, RequestMessage
from phone_bridge.wire.layout import Layout, Malformed
from phone_bridge.wire.layouts import LAYOUTS
from phone_bridge.wire.messages import EventMessage, Message, PhotoMessage, ReceiptMessage, ReportMessage
from phone_bridge.wire.profile import MTU_MAX, MTU_MIN, VALUE_MAX, Channel

REPLY = 0x80
"""What a reply's type has more than its request's."""

_HEAD = struct.Struct("<BBBB")


class _Entry:
    """A layout, made ready for use."""

    __slots__ = ("constants", "exact", "kept", "layout", "tail")

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.tail = layout.tail[1] if layout.tail else (0, 0)
        self.exact = layout.numbers.size
        self.kept = tuple(i for i, name in enumerate(layout.names) if name)
        self.constants = tuple(limits[0] for limits in layout.limits)

    def decode(self, value: bytes) -> Any:
        """Gives the message in a value whose type has been found right."""
        layout = self.layout
        shortest, longest = self.tail
        if not self.exact + shortest <= len(value) <= self.exact + longest:
            raise Malformed(f"{layout.message.__name__} of {len(value)} bytes")
        numbers = layout.numbers.unpack_from(value)
        for number, (low, high) in zip(numbers, layout.limits, strict=True):
            if not low <= number <= high:
                raise Malformed(f"{layout.message.__name__} with {number}, not {low} to {high}")
        kept = [numbers[i] for i in self.kept]
        if layout.tail:
            kept.append(bytes(value[self.exact :]))
        return layout.message(*kept)

    def encode(self, message: Any) -> bytes:
        """Gives the bytes of a message."""
        layout = self.layout
        numbers = list(self.constants)
        for i in self.kept:
            numbers[i] = number = getattr(message, layout.names[i])
            low, high = layout.limits[i]
            if not low <= number <= high:
                raise Malformed(f"{layout.message.__name__}.{layout.names[i]} is {number}, not {low} to {high}")
        head = layout.numbers.pack(*numbers)
        if layout.tail is None:
            return head
        name, (shortest, longest) = layout.tail
        tail: bytes = getattr(message, name)
        if not shortest <= len(tail) <= longest:
            raise Malformed(f"{layout.message.__name__}.{name} has {len(tail)} bytes, not {shortest} to {longest}")
        return head + tail


_BY_TYPE: dict[Channel, dict[int, _Entry]] = {channel: {} for channel in Channel}
_BY_CLASS: dict[type[Any], _Entry] = {}
for _layout in LAYOUTS:
    _BY_CLASS[_layout.message] = _BY_TYPE[_layout.channel][_layout.limits[0][0]] = _Entry(_layout)


def capacity(mtu: int) -> int:
    """Gives the longest value that a notification or a write without response carries.

    It never exceeds ATT's 512 bytes. Raises Malformed where the MTU is none.
    """
    if not MTU_MIN <= mtu <= MTU_MAX:
        raise Malformed(f"an MTU of {mtu}")
    return min(mtu - 3, VALUE_MAX)


def encode(message: Message) -> bytes:
    """Gives the bytes of a message. Raises Malformed where a field is outside its limits."""
    if isinstance(message, Refused):
        if not (0 <= message.request < 256 and 0 < message.refused < REPLY and 0 < message.status < 256):
            raise Malformed(f"{message}")
        return _HEAD.pack(message.refused | REPLY, message.request, message.status, 0)
    return _BY_CLASS[type(message)].encode(message)


def decode(channel: Channel, value: bytes) -> Message:
    """Gives the message in a value of one channel. Raises Malformed."""
    if not value:
        raise Malformed(f"an empty {channel.value}")
    if channel is Channel.REPLY and len(value) >= 4 and value[2]:
        if len(value) != 4 or value[3] or value[0] <= REPLY:
            raise Malformed("a refusal with a body, or of nothing")
        return Refused(value[1], value[0] & ~REPLY, value[2])
    entry = _BY_TYPE[channel].get(value[0])
    if entry is None:
        raise Malformed(f"{channel.value} of type {value[0]:#04x}", unknown=True)
    return cast(Message, entry.decode(value))


def request_type(message: RequestMessage) -> int:
    """Gives the number of a request's type: what ``Refused.refused`` repeats."""
    return _BY_CLASS[type(message)].constants[0]


def _typed(channel: Channel) -> Callable[[bytes], Any]:
    return lambda value: decode(channel, value)


decode_request = cast(Callable[[bytes], RequestMessage], _typed(Channel.REQUEST))
decode_reply = cast(Callable[[bytes], ReplyMessage], _typed(Channel.REPLY))
decode_report = cast(Callable[[bytes], ReportMessage], _typed(Channel.REPORT))
decode_photo = cast(Callable[[bytes], PhotoMessage], _typed(Channel.PHOTO))
decode_receipt = cast(Callable[[bytes], ReceiptMessage], _typed(Channel.RECEIPT))
decode_event = cast(Callable[[bytes], EventMessage], _typed(Channel.EVENT))
