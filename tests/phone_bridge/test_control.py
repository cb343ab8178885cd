"""The data channel's messages: every known one is read, everything else is answered, nothing raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.values import Condition
from phone_bridge import control
from phone_bridge.control import Message, Rate, Refusal, StillChunk, decode, described, encode, encode_chunk, message
from phone_bridge.relay_words import GattAnswer, GlassesHere

GOOD: list[tuple[dict[str, Any], Message]] = [
    (
        message(
            "hello",
            device="Pixel 9",
            audio={"echoCancellation": True, "noiseSuppression": False, "autoGainControl": True},
            video={"width": 1280, "height": 720, "facing": "environment"},
            battery={"level": 0.5, "charging": None},
            later="a key of a later page",
        ),
        control.Hello(
            "Pixel 9",
            control.AudioPath(True, False, True),
            control.VideoPath(1280, 720, "environment"),
            control.Battery(0.5),
        ),
    ),
    (message("hello"), control.Hello()),
    (message("tap", name="double_tap"), control.Tap("double_tap")),
    (message("ask", text=" translate  this to spanish "), control.Tap("ask:translate this to spanish")),
    (message("audio", echoCancellation=True), control.AudioPath(True)),
    (message("battery", level=1, charging=True), control.Battery(1.0, True)),
    (message("camera", state="paused"), control.Camera("paused")),
    (message("microphone", state="off"), control.Microphone("off")),
    (message("playout", rtp=2**32 - 1, at_ms=1.5, output_latency_ms=20), control.Playout(2**32 - 1, 1.5, 20.0)),
    (message("flushed", rtp=0), control.Flushed(0)),
    (message("ping", id=3), control.Ping(3)),
    (message("pong", id=3, at_ms=12.25), control.Pong(3, 12.25)),
    (
        message("still", id=1, bytes=9, mime="image/jpeg", crc32=7, chunks=1, width=640, height=480),
        control.Still(1, 9, "image/jpeg", 7, 1, 640, 480),
    ),
    (message("still_failed", id=1, code="busy"), control.StillFailed(1, "busy")),
    (message("bye", reason="closed"), control.Bye("closed")),
    (message("glasses", state="here", link=7, name="Omi", found=["a", "b"]), GlassesHere(7, "Omi", ("a", "b"))),
    (message("gatt", id=3, data="AP8="), GattAnswer(3, b"\x00\xff")),
]


@pytest.mark.parametrize(("line", "meant"), GOOD, ids=[line["type"] for line, _ in GOOD])
def test_a_page_is_understood(line: dict[str, Any], meant: Message) -> None:
    assert decode(encode(line)) == meant


def test_every_type_has_its_example() -> None:
    assert {line["type"] for line, _ in GOOD} == set(control._DECODERS)


def code(data: str | bytes) -> str:
    refusal = decode(data)
    assert isinstance(refusal, Refusal)
    assert len(encode(refusal.reply).encode()) < control.MAX_TEXT
    return str(refusal.reply.get("code") or refusal.reply["type"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tap",
        "[]",
        "null",
        '{"type":"tap","name":"tap"}',
        '{"v":2,"type":"tap","name":"tap"}',
        '{"v":true,"type":"tap","name":"tap"}',
        '{"v":1}',
        '{"v":1,"type":7}',
        '{"v":1,"type":["tap"]}',
        '{"v":1,"type":"tap"}',
        '{"v":1,"type":"tap","name":"triple"}',
        '{"v":1,"type":"tap","name":["tap"]}',
        '{"v":1,"type":"battery","level":1.01}',
        '{"v":1,"type":"battery","level":NaN}',
        '{"v":1,"type":"battery","level":true}',
        '{"v":1,"type":"battery","level":"0.5"}',
        '{"v":1,"type":"playout","rtp":4294967296,"at_ms":1}',
        '{"v":1,"type":"playout","rtp":1.5,"at_ms":1}',
        '{"v":1,"type":"playout","rtp":1,"at_ms":1e999}',
        '{"v":1,"type":"pong","id":-1,"at_ms":1}',
        '{"v":1,"type":"pong","id":' + "9" * 5000 + "}",
        '{"v":1,"type":"hello","audio":[]}',
        '{"v":1,"type":"hello","device":7}',
        "[" * 16_000,
        '{"v":1,"type":"bye","reason":"\ud800"',
    ],
)
def test_nonsense_is_answered(text: str) -> None:
    assert code(text) == "malformed"


def test_an_unknown_type_is_named() -> None:
    assert decode('{"v":1,"type":"dance"}') == Refusal(message("unknown", of="dance"))
    assert code('{"v":1,"type":"' + "x" * 10_000 + '"}') == "unknown"


def test_length_counts_in_bytes() -> None:
    fits = encode(message("bye", reason="x" * 16_300))
    assert isinstance(decode(fits), control.Bye)
    assert code(encode(message("bye", reason="x" * 16_400))) == "too_long"
    assert code(encode(message("bye", reason="é" * 8_300))) == "too_long"
    assert code("x" * 10_000_000) == "too_long"


def test_a_piece_of_a_still() -> None:
    chunk = StillChunk(7, 2**32 - 1, b"\xff" * control.MAX_CHUNK)
    assert len(encode_chunk(chunk)) == 16_384
    assert decode(encode_chunk(chunk)) == chunk
    assert code(encode_chunk(chunk) + b"x") == "too_long"
    assert code(b"\0" * 8) == "malformed"
    assert code(b"\0" * 10_000_000) == "too_long"


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_noise_never_raises(data: str | bytes) -> None:
    decoded = decode(data)
    if isinstance(decoded, Refusal):
        encode(decoded.reply).encode("utf-8", "surrogatepass")
    else:
        assert isinstance(decoded, StillChunk) and len(data) > 8


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_keys = st.sampled_from(
    "name state level charging rtp at_ms id bytes mime crc32 chunks audio battery device reason code".split()
)


@given(st.sampled_from(sorted(control._DECODERS)), st.dictionaries(_keys, _json, max_size=5))
def test_a_known_type_with_any_fields_never_raises(kind: str, fields: dict[str, Any]) -> None:
    decoded = decode(json.dumps({**fields, "v": 1, "type": kind}))
    assert not isinstance(decoded, StillChunk)
    if isinstance(decoded, control.Battery):
        assert 0 <= decoded.level <= 1


def test_a_flood_is_told_from_a_burst() -> None:
    burst = Rate()
    assert not any(burst.flooded(0.0) for _ in range(900))  # the pieces of the largest still, at once
    steady = Rate()
    assert not any(steady.flooded(n / 190) for n in range(4000))
    flood = Rate()
    first = next(n for n in range(100_000) if flood.flooded(n / 400))
    assert 4.5 < first / 400 < 6


def test_what_a_page_says_of_itself() -> None:
    before = Condition(sink_delay_s=0.1, device="d1")
    hello = control.Hello("", control.AudioPath(True), None, control.Battery(0.25, False))
    after = described(before, hello)
    assert after == Condition(sink_delay_s=0.1, echo_cancelled=True, battery=0.25, charging=False, device="d1")
    assert described(after, control.Tap("tap")) == after
    assert described(after, control.AudioPath(False)).echo_cancelled is False
