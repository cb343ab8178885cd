"""The messages of the xiaozhi protocol: framings there and back, what is malformed, and the tools' JSON-RPC."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import InputError, LinkError
from phone_bridge import xiaozhi_wire as wire
from phone_bridge.xiaozhi_mcp import ASKED, PAGES, Tools, battery

PACKETS = st.binary(min_size=1, max_size=wire.MAX_PACKET)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(PACKETS, st.sampled_from(wire.VERSIONS), st.integers(0, 2**40))
def test_a_packet_comes_back(packet: bytes, version: int, at_ms: int) -> None:
    found = wire.unframe(wire.frame(packet, version, at_ms), version)
    assert found == wire.Frame(wire.OPUS, packet, at_ms % 2**32 if version == 2 else 0)


@given(st.binary(max_size=2000), st.sampled_from(wire.VERSIONS))
def test_whatever_comes_is_a_frame_or_refused(data: bytes, version: int) -> None:
    try:
        found = wire.unframe(data, version)
    except InputError:
        return
    assert 0 < len(found.payload) <= wire.MAX_TEXT
    if found.kind == wire.OPUS and version != 2:  # the timestamp of 2 is not ours to keep, nor what is reserved
        again = wire.frame(found.payload, version)
        assert again == data if version == 1 else again[2:] == data[2:]


def test_frames_as_the_firmware_lays_them_out() -> None:
    assert wire.frame(b"\xaa\xbb", 1) == b"\xaa\xbb"
    assert wire.frame(b"\xaa\xbb", 2, 0x01020304).hex() == "00020000" + "00000000" + "01020304" + "00000002" + "aabb"
    assert wire.frame(b"\xaa\xbb", 3).hex() == "00000002aabb"
    assert wire.unframe(b"\x01\x00\x00\x02{}", 3) == wire.Frame(wire.JSON, b"{}")


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (b"", 1),
        (bytes(wire.MAX_PACKET + 1), 1),
        (bytes(15), 2),
        (bytes.fromhex("0003" + "0000" * 5 + "0000000161"), 2),
        (bytes.fromhex("0002" + "0002" + "0000" * 4 + "0000000161"), 2),
        (bytes.fromhex("0002" + "0000" * 5 + "ffffffff61"), 2),
        (bytes.fromhex("000000"), 3),
        (bytes.fromhex("00000000"), 3),
        (bytes.fromhex("000000056161"), 3),
        (bytes.fromhex("00000001616161"), 3),
        (b"x", 4),
    ],
)
def test_frames_that_are_none(data: bytes, version: int) -> None:
    with pytest.raises(InputError):
        wire.unframe(data, version)


def test_messages() -> None:
    sound = {"format": "opus", "sample_rate": 16000, "channels": 1, "frame_duration": 20}
    hello = {"type": "hello", "version": 3, "features": {"mcp": True, "aec": True}, "audio_params": sound, "more": 1}
    assert wire.parse(json.dumps(hello)) == wire.Hello(3, mcp=True, aec=True, frame_ms=20)
    assert wire.parse('{"type":"hello"}') == wire.Hello()
    assert wire.parse('{"type":"listen","state":"start","mode":"manual"}') == wire.Listen("start", "manual")
    assert wire.parse('{"type":"listen","state":"detect","text":"hi"}') == wire.Listen("detect", text="hi")
    assert wire.parse(b'{"type":"abort","reason":"wake_word_detected"}') == wire.Abort("wake_word_detected")
    assert wire.parse('{"type":"iot","states":[]}') == wire.Unknown("iot")
    found = wire.parse('{"type":"mcp","payload":{"id":1}}')
    assert isinstance(found, wire.Mcp) and dict(found.payload) == {"id": 1}


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"hel',
        "",
        "[]",
        "7",
        '{"state":"start"}',
        '{"type":7}',
        "[" * 30_000,
        '{"type":"listen"}',
        '{"type":"listen","state":"start","mode":"loud"}',
        '{"type":"listen","state":["start"]}',
        '{"type":"mcp"}',
        '{"type":"mcp","payload":[]}',
        '{"type":"hello","transport":"udp"}',
        '{"type":"hello","version":"1"}',
        '{"type":"hello","version":true}',
        '{"type":"hello","features":[]}',
        '{"type":"hello","audio_params":{"format":"pcm"}}',
        '{"type":"hello","audio_params":{"frame_duration":0}}',
        '{"type":"x","pad":"' + "x" * wire.MAX_TEXT + '"}',
        b"\xff\xfe\x00",
    ],
)
def test_messages_that_are_none(text: str | bytes) -> None:
    with pytest.raises(InputError):
        wire.parse(text)


@given(JSON)
def test_no_json_does_harm(value: Any) -> None:
    for given_ in (value, {"type": "hello", "audio_params": value}, {"type": "listen", "state": "start", "mode": value}):
        try:
            wire.parse(json.dumps(given_))
        except InputError:
            continue
    level, charging = battery(json.dumps(value))
    assert (level is None or 0 <= level <= 1) and charging in (None, True, False)


def test_the_battery() -> None:
    assert battery('{"battery":{"level":50,"charging":true}}') == (0.5, True)
    assert battery('{"battery":{"level":101}}') == (None, None)
    assert battery('{"battery":{"level":"50"}}') == battery("{") == battery("[" * 9000) == (None, None)


class Wire:
    """A device's tools, answering as told."""

    def __init__(self, *answers: Mapping[str, Any]) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self.tools = Tools(self.take)
        self._answers = list(answers)

    def take(self, payload: Mapping[str, Any]) -> None:
        self.asked.append(payload)
        if "id" in payload and self._answers:
            answer = {"jsonrpc": "2.0", "id": payload["id"], **self._answers.pop(0)}
            asyncio.get_running_loop().call_soon(self.tools.received, answer)


async def test_the_tools_are_learnt_page_by_page() -> None:
    pages: list[dict[str, Any]] = [
        {"result": {"tools": [{"name": "a"}, {"x": 1}, 7], "nextCursor": "b"}},
        {"result": {"tools": [{"name": "b"}]}},
    ]
    device = Wire({"result": {}}, *pages)
    await device.tools.learn("http://here/vision", "token")
    assert device.tools.names == {"a", "b"}
    assert [asked["method"] for asked in device.asked] == [
        "initialize",
        "notifications/initialized",
        "tools/list",
        "tools/list",
    ]
    assert device.asked[0]["params"]["capabilities"] == {"vision": {"url": "http://here/vision", "token": "token"}}
    assert [asked["params"]["cursor"] for asked in device.asked[2:]] == ["", "b"]
    endless = [{"result": {"tools": [{"name": f"t{n}"}], "nextCursor": f"t{n}"}} for n in range(PAGES * 2)]
    device = Wire({"result": {}}, *endless)
    await device.tools.learn("", "")
    assert len(device.tools.names) == PAGES


async def test_a_tool_is_called() -> None:
    text = {"content": [{"type": "text", "text": "a"}, {"type": "image"}, 7, {"type": "text", "text": "b"}]}
    device = Wire({"result": text}, {"error": {"message": "no"}}, {"result": {"isError": True}}, {})
    assert await device.tools.call("x", {"y": 1}) == "ab"
    assert device.asked[0] == {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "x", "arguments": {"y": 1}},
    }
    for why in ("refuses: no", "could not", "does not say why"):
        with pytest.raises(LinkError, match=why):
            await device.tools.call("x", {})
    with pytest.raises(LinkError, match="did not answer within 2 s"):
        await device.tools.call("x", {}, 2.0)
    device.tools.received({"id": 1, "result": {}})
    device.tools.received({"id": "1"})
    device.tools.received({})
    assert device.tools.stray == 3


async def test_requests_that_wait_are_few() -> None:
    device = Wire()
    async with asyncio.TaskGroup() as group:
        for _ in range(ASKED):
            group.create_task(unanswered(device))
        await asyncio.sleep(0.01)
        with pytest.raises(LinkError, match="to answer already"):
            await device.tools.call("x", {})


async def unanswered(device: Wire) -> None:
    with pytest.raises(LinkError, match="did not answer"):
        await device.tools.call("x", {}, 100.0)
