"""Captures that are damaged, of another kind, or of something else: one clear line, whatever is in them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.errors import InputError, UsageError
from phone_bridge import ble_pdus as pdus
from phone_bridge.ble_capture import CapturedBleLink
from phone_bridge.ble_omi import AUDIO, SERVICE
from phone_bridge.ble_pdus import Characteristic, Service
from phone_bridge.ble_replay import ReplayBleLink
from phone_bridge.ble_replay_script import Answered, Asked, Connection, Notified, connections
from phone_bridge.capture import Capture, read_capture
from phone_bridge.link import open_link

ADDRESS = "C1:02:03:04:05:06"
SERVICES = [
    Service(1, 5, "00001800-0000-1000-8000-00805f9b34fb", [Characteristic(3, "00002a00-0000-1000-8000-00805f9b34fb", 0x02)]),
    Service(6, 0xFFFF, SERVICE, [Characteristic(8, AUDIO, 0x12, 9)]),
]
HEAD = b"btsnoop\0" + struct.pack(">II", 1, 1002)


def packets() -> list[tuple[bool, bytes]]:
    found = [(True, pdus.connected(ADDRESS))]
    for request, answer in pdus.discovery(SERVICES, 100):
        found += [(False, pdus.acl(request, received=False)), (True, pdus.acl(answer, received=True))]
    found += [
        (False, pdus.acl(bytes.fromhex("120900 0100"), received=False)),
        (True, pdus.acl(b"\x13", received=True)),
        (True, pdus.acl(b"\x1b\x08\x00sound", received=True)),
        (True, pdus.disconnected(8)),
    ]
    return found


def written(path: Path) -> Path:
    capture = Capture(path)
    for number, (received, packet) in enumerate(packets()):
        capture.write(number / 10, packet, received=received)
    capture.close()
    return path


def script(path: Path) -> list[Connection]:
    return connections(read_capture(path), path.name)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    (found,) = script(written(tmp_path / "x"))
    assert (found.address, found.mtu, found.services, found.began) == (ADDRESS, 100, SERVICES, 0.0)
    asked, answered, notified = found.items
    assert isinstance(asked, Asked) and (asked.handle, asked.value) == (9, b"\1\0")
    assert isinstance(answered, Answered) and not answered.refused
    assert isinstance(notified, Notified) and (notified.handle, notified.value) == (8, b"sound")
    assert notified.at - answered.at == pytest.approx(0.1) and found.ended - notified.at == pytest.approx(0.1)


def test_a_packet_that_a_controller_cut_in_pieces_is_joined(tmp_path: Path) -> None:
    path = tmp_path / "x"
    capture = Capture(path)
    for received, packet in packets():
        if packet[9:10] != b"\x1b":
            capture.write(0.0, packet, received=received)
            continue
        for at, flags in ((5, 0x2000), (8, 0x1000), (13, 0x1000)):
            piece = packet[at : {5: 8, 8: 13, 13: None}[at]]
            capture.write(0.0, struct.pack("<BHH", 2, 0x40 | flags, len(piece)) + piece, received=True)
    capture.close()
    (found,) = script(path)
    assert isinstance(found.items[-1], Notified) and found.items[-1].value == b"sound"


RECORD = struct.pack(">IIIIq", 5, 5, 1, 0, 0) + b"\x04\x0e\x02\x00\x00"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no btsnoop capture"),
        (b"btsnoop\0\0\0", "no btsnoop capture"),
        (b"\x0a\x0d\x0d\x0a" + bytes(60), "no btsnoop capture"),
        (b"btsnoop\0" + struct.pack(">II", 2, 1002), "version 2"),
        (b"btsnoop\0" + struct.pack(">II", 1, 2001), "datalink 2001, BlueZ monitor"),
        (b"btsnoop\0" + struct.pack(">II", 1, 147), "datalink 147, unknown"),
        (HEAD, "no connection to glasses"),
        (HEAD + RECORD, "no connection to glasses"),
        (HEAD + struct.pack(">IIIIq", 0, 0, 1, 0, 0), "record 1 says 0 of 0 bytes"),
        (HEAD + RECORD + struct.pack(">IIIIq", 4, 5, 1, 0, 0) + bytes(5), "record 2 says 5 of 4 bytes"),
        (HEAD + struct.pack(">IIIIq", 1 << 31, 1 << 31, 1, 0, 0), "the file is damaged"),
        (HEAD + RECORD + struct.pack(">IIIIq", 5, 5, 1, 0, 1 << 60) + bytes(5), "more than a day"),
    ],
)
def test_a_file_that_is_none_is_said_plainly(data: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.btsnoop"
    path.write_bytes(data)
    with pytest.raises(InputError, match=why) as raised:
        open_link(f"file:{path}")
    assert "\n" not in raised.value.text and str(path) in raised.value.text


def test_a_capture_without_its_end_is_read_as_far_as_it_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path / "x")
    whole = len(read_capture(path))
    path.write_bytes(path.read_bytes()[:-3])
    assert len(read_capture(path)) == whole - 1
    assert f"ends within record {whole}" in caplog.text
    (found,) = script(path)
    assert isinstance(found.items[-1], Notified)


@given(place=st.integers(16, 10_000), junk=st.binary(min_size=1, max_size=8))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_anywhere_is_an_input_error_or_nothing(place: int, junk: bytes, tmp_path: Path) -> None:
    source, path = tmp_path / "whole", tmp_path / "hurt"
    data = bytearray((source if source.exists() else written(source)).read_bytes())
    place = 16 + place % (len(data) - 16)
    data[place : place + len(junk)] = junk
    path.write_bytes(data)
    try:
        script(path)
    except InputError:
        pass


@given(junk=st.binary(min_size=1, max_size=60), received=st.booleans(), missing=st.integers(0, 60))
def test_any_packet_can_be_unwrapped(junk: bytes, received: bool, missing: int) -> None:
    unwrapper, discovered = pdus.Unwrapper(), pdus.Discovered()
    for packet in (junk, b"\x04" + junk, b"\x02\x40\x20" + junk, pdus.acl(junk, received=received)):
        found = unwrapper.read(packet, len(packet) + missing, received=received)
        if isinstance(found, pdus.Pdu):
            discovered.learn(found.att)
    for service in discovered.services():
        assert all(service.handle <= each.handle <= service.end for each in service.characteristics)


@given(uuid=st.one_of(st.uuids().map(str), st.integers(0, 65_535).map(lambda n: f"0000{n:04x}-0000-1000-8000-00805f9b34fb")))
def test_a_uuid_comes_back_as_it_was(uuid: str) -> None:
    assert pdus.unpacked(pdus.packed(uuid)) == uuid


def test_links_name_captures(tmp_path: Path) -> None:
    path = written(tmp_path / "x.btsnoop")
    for uri in (f"file:{path}", f"ble:replay?file={path}"):
        link = open_link(uri)
        assert isinstance(link, ReplayBleLink) and link.uri == uri
    for uri, why in (
        ("ble:replay", "names no capture"),
        ("ble:replay?file=", "names no capture"),
        ("ble:replay?name=Omi", "unknown key 'name'"),
        ("ble:?file=x", "unknown key 'file'"),
    ):
        with pytest.raises(UsageError, match=why):
            open_link(uri)
    with pytest.raises(UsageError, match="cannot be captured"):
        open_link("sim:", capture=tmp_path / "y")
    with pytest.raises(InputError, match="cannot be read"):
        open_link(f"file:{tmp_path}/none.btsnoop")
    captured = open_link("ble:", capture=tmp_path / "y")
    assert isinstance(captured, CapturedBleLink) and (tmp_path / "y").exists()
    captured.capture.close()
