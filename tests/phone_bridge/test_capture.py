"""A capture of a simulated pair: bumble's own classes read it, and its replay gives the same sound and photo."""

from __future__ import annotations

import asyncio
import io
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bumble import att, hci, l2cap, snoop

from edge.errors import StorageError
from edge.values import Pcm
from firmware_stubs.sim.backend import backends
from firmware_stubs.sim.omi import OMI_GLASS
from firmware_stubs.sim.pair import CENTRAL
from firmware_stubs.sim.radio import Radio
from phone_bridge.ble_capture import CapturedBleLink
from phone_bridge.ble_pdus import Characteristic, Service
from phone_bridge.ble_replay import ReplayBleLink
from phone_bridge.ble_replay_script import Connection, Replies
from phone_bridge.capture import Capture, read_capture
from phone_bridge.wire.codec import decode_reply, encode
from phone_bridge.wire.control import Clock, ClockReply
from phone_bridge.wire.profile import CONTROL_UUID
from tests.ble import Worn, followed, jpeg, powered, spoken, switched_on

Op = att.Opcode
MODELS = ("omi", "profile")


@dataclass
class Talk:
    """What a link gave."""

    pcm: Pcm
    photos: list[np.ndarray[Any, Any]]
    taps: list[str]
    present: list[bool]


def talk_of(worn: Worn[Any]) -> Talk:
    photos = [np.asarray(frame.pixels) for _, frame in worn.photos]
    return Talk(worn.heard(), photos, worn.taps, [how.present for _, how in worn.conditions])


@asynccontextmanager
async def captured(kind: str, path: Path, **options: Any) -> AsyncIterator[Worn[Any]]:
    radio = Radio(rate=20_000.0, latency=0.01)
    client, scanner = backends(radio.device("nearsight", CENTRAL), mtu=247)
    link = CapturedBleLink("ble:", Capture(path, **options), client=client, scanner=scanner, settle=0.0)
    made: Any = switched_on(radio, OMI_GLASS) if kind == "omi" else powered(radio)
    async with made as glasses:
        glasses.photo = jpeg()
        async with followed(link, radio, glasses) as worn:
            yield worn


async def talk(kind: str, path: Path) -> Talk:
    """Says something, takes a photo, loses the connection, says something more."""
    async with captured(kind, path) as worn:
        worn.glasses.say(spoken())
        await asyncio.sleep(1.0)
        worn.link.snap()
        await asyncio.sleep(6.0)
        worn.radio.cut(worn.glasses.device)
        await worn.until(False)
        await worn.until(True)
        worn.glasses.say(spoken(1.0))
        await asyncio.sleep(3.0)
    return talk_of(worn)


async def replayed(path: Path, *, ask: bool = True) -> tuple[Talk, float]:
    """What the replay gives, to a host that does the same, or nothing; and its seconds."""
    link = ReplayBleLink(f"ble:replay?file={path}", path)
    loop = asyncio.get_running_loop()
    async with followed(link, Radio(), None) as worn:
        began = loop.time()
        await asyncio.sleep(1.0)
        if ask:
            link.snap()
        assert link._task is not None
        await asyncio.wait([link._task])
        return talk_of(worn), loop.time() - began


@pytest.mark.parametrize("kind", MODELS)
async def test_the_replay_gives_the_same_sound_and_photo(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "talk.btsnoop"
    truth = await talk(kind, path)
    again, _ = await replayed(path)
    assert truth.photos and len(truth.pcm) > 8 * 16_000 and np.abs(truth.pcm).max() > 5000
    assert again.present == [True, False, True]
    assert len(again.photos) == len(truth.photos) and all(map(np.array_equal, again.photos, truth.photos))
    assert np.array_equal(again.pcm, truth.pcm)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("later", [-0.7, 2.5])
async def test_a_photo_is_given_whenever_it_is_asked_for(kind: str, later: float, tmp_path: Path) -> None:
    path = tmp_path / "talk.btsnoop"
    truth = await talk(kind, path)
    link = ReplayBleLink(f"ble:replay?file={path}", path)
    async with followed(link, Radio(), None) as worn:
        for _ in range(2):
            await asyncio.sleep(1.0 + later)
            if worn.last().present:
                link.snap()
        assert link._task is not None
        await asyncio.wait([link._task])
    assert len(truth.photos) == 1 and worn.photos and not worn.errors
    assert all(np.array_equal(frame.pixels, truth.photos[0]) for _, frame in worn.photos)
    assert np.array_equal(worn.heard()[-16_000:], truth.pcm[-16_000:])


async def test_a_host_that_asks_for_less_is_not_waited_for_long(tmp_path: Path) -> None:
    path = tmp_path / "talk.btsnoop"
    truth = await talk("omi", path)
    again, seconds = await replayed(path, ask=False)
    records = read_capture(path)
    assert not again.photos and again.present == [True, False, True]
    assert np.array_equal(again.pcm[:16_000], truth.pcm[:16_000])
    assert seconds == pytest.approx(records[-1].at - records[0].at, abs=1.5)


@pytest.mark.parametrize("kind", MODELS)
async def test_bumble_reads_every_packet_and_would_write_it_alike(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "talk.btsnoop"
    async with captured(kind, path, began=1.8e9) as worn:
        worn.glasses.say(spoken())
        await asyncio.sleep(1.0)
        worn.link.snap()
        await asyncio.sleep(4.0)
    records = read_capture(path)
    oracle = io.BytesIO()
    snooper = snoop.BtSnooper(oracle)
    waiting = None
    seen: dict[int, int] = {}
    for record in records:
        snooper.snoop(record.packet, snoop.Snooper.Direction(record.received))
        packet = hci.HCI_Packet.from_bytes(record.packet)
        if not isinstance(packet, hci.HCI_AclDataPacket):
            continue
        pdu = att.ATT_PDU.from_bytes(l2cap.L2CAP_PDU.from_bytes(packet.data).payload)
        seen[pdu.op_code] = seen.get(pdu.op_code, 0) + 1
        if pdu.op_code in (Op.ATT_READ_REQUEST, Op.ATT_WRITE_REQUEST):
            assert waiting is None  # one at a time
            waiting = pdu.op_code
        elif pdu.op_code in (Op.ATT_READ_RESPONSE, Op.ATT_WRITE_RESPONSE, Op.ATT_ERROR_RESPONSE):
            assert waiting is not None and pdu.op_code in (waiting + 1, Op.ATT_ERROR_RESPONSE)
            waiting = None
    assert untimed(path.read_bytes()) == untimed(oracle.getvalue())
    assert struct.unpack_from(">q", path.read_bytes(), 32)[0] == 0x00DCDDB30F2F8000 + 1_800_000_000_000_000
    assert seen[Op.ATT_HANDLE_VALUE_NOTIFICATION] > 100 and seen[Op.ATT_READ_RESPONSE] >= 1
    first, last = hci.HCI_Packet.from_bytes(records[0].packet), hci.HCI_Packet.from_bytes(records[-1].packet)
    assert isinstance(first, hci.HCI_LE_Connection_Complete_Event)
    assert str(first.peer_address).split("/")[0] == records_address(worn)
    assert isinstance(last, hci.HCI_Disconnection_Complete_Event) and last.reason == 0x16


def records_address(worn: Worn[Any]) -> str:
    return str(worn.link._sought.address)


def untimed(data: bytes) -> list[bytes]:
    """The header and the records without their times, read by hand."""
    parts, place = [data[:16]], 16
    while place < len(data):
        end = place + 24 + int.from_bytes(data[place + 4 : place + 8], "big")
        parts.append(data[place : place + 16] + data[place + 24 : end])
        place = end
    return parts


async def test_what_comes_while_privacy_is_on_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "private.btsnoop"
    async with captured("omi", path) as worn:
        worn.glasses.say(spoken(4.0))
        await asyncio.sleep(1.0)
        worn.link.privacy(True)
        await asyncio.sleep(1.0)
        worn.link.privacy(False)
        await asyncio.sleep(2.0)
    sounds = [record for record in read_capture(path) if record.packet[9:10] == b"\x1b"]
    cut = [record for record in sounds if len(record.packet) < record.size]
    assert cut and all(len(record.packet) == 12 for record in cut)  # what was on its way
    assert len(sounds) > 100
    first = ReplayBleLink("ble:replay", path)
    async with followed(first, Radio(), None) as again:
        await asyncio.sleep(6.0)
    assert np.abs(again.heard()).max() > 5000


async def test_a_capture_ends_at_its_bound_and_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "small.btsnoop"
    async with captured("omi", path, limit=4096) as worn:
        worn.glasses.say(spoken())
        await asyncio.sleep(3.0)
        assert isinstance(worn.link, CapturedBleLink) and worn.link.capture.dropped > 50
        assert len(worn.heard()) > 2 * 16_000
    assert 3500 < path.stat().st_size <= 4096
    assert len(read_capture(path)) > 50
    assert path.stat().st_mode & 0o077 == 0


def test_a_capture_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"kept")
    with pytest.raises(StorageError, match="replaces nothing"):
        Capture(path)
    assert path.read_bytes() == b"kept"
    with pytest.raises(StorageError, match="cannot be written"):
        Capture(tmp_path / "nowhere" / "x")


async def test_a_host_that_asks_in_another_order_gets_its_own_numbers(tmp_path: Path) -> None:
    path = tmp_path / "talk.btsnoop"
    truth = await talk("profile", path)
    link = ReplayBleLink(f"ble:replay?file={path}", path)
    async with followed(link, Radio(), None) as worn:
        for _ in range(3):
            link.play(np.full(320, 1000, np.int16))  # opens a stream to a loudspeaker that the capture's host left alone
            await asyncio.sleep(0.3)
        assert link._task is not None
        await asyncio.wait([link._task])
    assert not worn.errors and worn.last().present
    assert len(worn.heard()) == pytest.approx(len(truth.pcm), abs=16_000)
    assert link.counters()["malformed"] == 0


def test_replies_are_given_the_numbers_of_who_asks() -> None:
    handle = Characteristic(8, CONTROL_UUID, 0x18)
    replies = Replies(Connection("", 0.0, services=[Service(1, 9, CONTROL_UUID, [handle])]))
    assert replies.handle == 8
    theirs, ours = Clock(5, 1000), Clock(9, 77)
    reply = encode(ClockReply(5, 1000, 123, 4))
    assert replies.replied(reply) == reply  # to a request before the capture
    assert replies.remembered(encode(ours)) is None
    replies.asked(encode(theirs), encode(ours))
    assert decode_reply(replies.replied(reply) or b"") == ClockReply(9, 77, 123, 4)
    replies.asked(encode(theirs), None)
    assert replies.replied(reply) is None
    assert decode_reply(replies.remembered(encode(Clock(10, 78))) or b"") == ClockReply(10, 78, 123, 4)
