"""What a page says of Bluetooth glasses: packets and words, bounded whatever comes."""

from __future__ import annotations

import base64
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phone_bridge import control
from phone_bridge.relay_words import GlassesGone, Packets, encode_packets


@given(st.integers(0, 2**32 - 1), st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=512)), max_size=20))
def test_packets_come_as_they_were_sent(first: int, packets: list[tuple[int, bytes]]) -> None:
    data = encode_packets(first, packets)
    if packets:
        assert control.decode(data) == Packets(first, tuple(packets))
        assert isinstance(control.decode(data[:-1]), control.Refusal)


@given(st.binary(min_size=1, max_size=64))
def test_any_bytes_are_packets_or_refused(data: bytes) -> None:
    word = control.decode(b"\xff" * 4 + bytes(4) + data)
    assert isinstance(word, Packets | control.Refusal)


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "here", "link": -1, "found": []},
        {"state": "here", "link": 1, "found": ["x"] * 65},
        {"state": "here", "link": 1, "found": [1]},
        {"state": "here", "link": 1, "found": "x"},
        {"state": "there", "link": 1},
        {"state": "here", "link": math.pi, "found": []},
    ],
)
def test_what_a_page_says_is_bounded(fields: dict[str, Any]) -> None:
    assert isinstance(control.decode(control.encode(control.message("glasses", **fields))), control.Refusal)
    assert control.decode(control.encode(control.message("glasses", state="gone", link=1))) == GlassesGone(1)


def test_bytes_that_are_no_base64_are_refused() -> None:
    for data in ("?", base64.b64encode(bytes(513)).decode()):
        assert isinstance(control.decode(control.encode(control.message("gatt", id=1, data=data))), control.Refusal)
