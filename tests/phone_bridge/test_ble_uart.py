"""The framing of the serial service."""

from __future__ import annotations

import asyncio
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import LinkError
from edge.values import AudioChunk
from firmware_stubs.sim.radio import Radio
from phone_bridge.ble_adapters import Unsuitable
from phone_bridge.ble_uart import MAX_MESSAGE, Unframer, encode
from tests.ble import link_on, spoken, tone
from tests.phone_bridge.serial import serial_device

bodies = st.binary(max_size=MAX_MESSAGE - 4)


@given(st.lists(st.tuples(st.sampled_from("HPASFMEBT"), st.integers(0, 255), bodies), max_size=5), st.integers(1, 244))
def test_messages_survive_any_cutting(messages: list[tuple[str, int, bytes]], piece: int) -> None:
    stream = b"".join(encode(*message) for message in messages)
    unframer = Unframer()
    found = [message for at in range(0, len(stream), piece) for message in unframer.put(stream[at : at + piece])]
    assert found == messages and unframer.damaged == 0


@given(bodies, st.integers(0, 600), st.integers(1, 255))
def test_a_damaged_message_is_dropped_and_the_next_one_is_whole(body: bytes, at: int, flip: int) -> None:
    damaged = bytearray(encode("A", 1, body))
    damaged[at % len(damaged)] ^= flip
    unframer = Unframer()
    found = unframer.put(bytes(damaged) + b"\0") + unframer.put(encode("E", 2, b"tap"))
    assert found[-1] == ("E", 2, b"tap")
    assert ("A", 1, body) not in found[:-1]


def test_known_bytes() -> None:
    # COBS of 41 00 .. is 02 41 ..; the CRC is CRC-16/XMODEM, whose check value for "123456789" is 31C3.
    assert binascii.crc_hqx(b"123456789", 0) == 0x31C3
    assert (
        encode("A", 0, b"\x01\x00\x02")
        == bytes.fromhex("0241 0201 0402") + binascii.crc_hqx(b"A\0\1\0\2", 0).to_bytes(2, "big") + b"\0"
    )


def test_a_flood_without_an_end_is_bounded() -> None:
    unframer = Unframer()
    for _ in range(1000):
        assert unframer.put(b"\x05" * 500) == []
    assert len(unframer._rest) <= 2 * MAX_MESSAGE
    assert unframer.put(b"\0" + encode("E", 0, b"tap")) == [("E", 0, b"tap")]
    with pytest.raises(ValueError, match="512"):
        encode("A", 0, bytes(MAX_MESSAGE))


# The device, over the virtual radio.


async def test_a_serial_device_is_heard_and_speaks() -> None:
    radio = Radio(rate=10_000.0)
    async with serial_device(radio) as device:
        link = link_on(radio, name="Badge")
        await link.open()
        assert link.capabilities is not None and link.capabilities.speaker and link.capabilities.model == "Badge"
        assert ("M", b"1") in device.got
        chunks: list[AudioChunk] = []

        async def hear() -> None:
            chunks.extend([chunk async for chunk in link.microphone()])

        hearing = asyncio.create_task(hear())
        for index, frame in enumerate(spoken()):
            await device.send("A", frame, lost=index in (40, 41))
            link.play(tone(0.02))
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        assert [kind for kind, _ in device.got].count("S") == 100
        assert link.counters()["lost_frames"] == 2
        await device.send("E", b"double_tap")
        await device.send("E", b"format_c")
        await device.send("B", bytes([42]))
        assert await anext(aiter(link.taps())) == "double_tap"
        conditions = aiter(link.conditions())
        while (condition := await anext(conditions)).battery is None:
            assert condition.present
        assert condition.battery == 0.42
        link.privacy(True)
        await asyncio.sleep(0.2)
        assert device.got[-1] == ("M", b"0")
        await link.close()
        await hearing
        assert len(chunks) >= 100 and chunks[99].end == chunks[0].start + 32_000


async def test_a_flush_overtakes_what_was_not_sent() -> None:
    radio = Radio(rate=20_000.0, latency=0.01)
    async with serial_device(radio) as device:
        link = link_on(radio, name="Badge")
        await link.open()
        await asyncio.sleep(0.1)
        for _ in range(30):
            link.play(tone(0.02))
        asked = asyncio.get_running_loop().time()
        dropped = link.flush()
        assert dropped > 25 * 320
        await asyncio.sleep(0.06)
        assert device.got[-1][0] == "F" and asyncio.get_running_loop().time() < asked + 0.061
        await asyncio.sleep(0.5)
        assert [kind for kind, _ in device.got if kind in "SF"][-1] == "F"
        await link.close()


async def test_a_serial_device_of_another_kind_is_told_apart() -> None:
    radio = Radio()
    async with serial_device(radio, b""):
        with pytest.raises(Unsuitable, match="hello"):
            await link_on(radio, name="Badge").open()


async def test_a_serial_device_is_not_taken_for_glasses_unless_it_is_named() -> None:
    radio = Radio()
    async with serial_device(radio) as device:
        with pytest.raises(LinkError, match="no glasses"):
            await link_on(radio).open()
        assert not device.device.connections
