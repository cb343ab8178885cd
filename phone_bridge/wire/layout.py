"""How a message lies on the wire, and the one answer to bytes that do not stand there rightly."""

from __future__ import annotations

from struct import Struct
from typing import Any, NamedTuple

from phone_bridge.wire.profile import Channel


class Malformed(ValueError):
    """The bytes are no message of this profile, or the message has no bytes.

    It is the codec's only error, in both directions. ``unknown`` says that the bytes may be well-formed in a later version:
    a type, or a major version, that this one does not know. A host passes over such an event; glasses answer such a request
    with ``Status.UNSUPPORTED``.
    """

    def __init__(self, why: str, *, unknown: bool = False) -> None:
        super().__init__(why)
        self.unknown = unknown


class Layout(NamedTuple):
    """Numbers, then at most one run of bytes that takes what is left of the value."""

    channel: Channel
    message: type[Any]
    numbers: Struct
    names: tuple[str, ...]
    """The message's attribute for each number; empty where the number is always the same."""
    limits: tuple[tuple[int, int], ...]
    """Lowest and highest of each number."""
    tail: tuple[str, tuple[int, int]] | None = None
    """Attribute of the run of bytes, its least and greatest length."""
