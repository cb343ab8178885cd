"""The file of a capture of sockets and WebRTC: what is written is read, and damage is told in one line."""

from __future__ import annotations

import logging
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.errors import InputError, StorageError
from phone_bridge.link import open_link
from phone_bridge.pcapng import DATA, ENDED, JSON, RTP, PacketCapture, read_connections
from phone_bridge.replay import ReplayLink

FACTS = {"device": "d1", "codecs": {"96": "audio/opus"}}
TAP = b'{"v":1,"type":"tap","name":"tap"}'


def rtp(number: int) -> bytes:
    return struct.pack(">BBHII", 0x80, 96, number, 960 * number, 77) + b"opus"


def written(path: Path, **options: int) -> Path:
    capture = PacketCapture(path, began=1.8e9, **options)
    number = capture.begin(5.0, "webrtc:ada", FACTS)
    assert number == 0
    for n in range(5):
        capture.write(5.0 + 0.02 * n, number, RTP, rtp(n), received=True)
        capture.write(5.01 + 0.02 * n, number, RTP, rtp(n), received=False)
    capture.write(5.2, number, JSON, TAP, received=True)
    capture.write(5.3, number, DATA, bytes(10), received=True, keep=3)
    capture.write(5.4, number, DATA, b"", received=True, comment=ENDED)
    assert capture.begin(6.0, "webrtc:grace", {}) == 1
    capture.close()
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "x.pcapng")
    ada, grace = read_connections(path)
    assert (ada.name, ada.facts, grace.name, grace.facts, grace.packets) == ("webrtc:ada", FACTS, "webrtc:grace", {}, [])
    assert ada.ended == pytest.approx(0.4) and grace.ended is None
    assert [packet.data for packet in ada.packets if packet.kind == RTP and packet.received] == [rtp(n) for n in range(5)]
    assert [round(packet.at, 3) for packet in ada.packets[:4]] == [0.0, 0.01, 0.02, 0.03]
    tap, cut = ada.packets[-2:]
    assert (tap.kind, tap.data, tap.size, cut.kind, cut.data, cut.size) == (JSON, TAP, len(TAP), DATA, bytes(3), 10)
    assert path.stat().st_mode & 0o077 == 0


def test_wireshark_reads_it(tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("NO TSHARK: that Wireshark opens a capture is not checked")
    path = written(tmp_path / "x.pcapng")
    fields = "frame.time_epoch", "_ws.col.Protocol", "rtp.seq", "ip.src", "json.value.string", "frame.p2p_dir"
    asked: list[str | Path] = [tshark, "-r", path, "-T", "fields", *(word for each in fields for word in ("-e", each))]
    said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout
    rows = [line.split("\t") for line in said.splitlines()]
    assert [row[1] for row in rows[:11]] == ["RTP"] * 10 + ["JSON"]
    assert [row[2] for row in rows[:10:2]] == list("01234")
    assert float(rows[2][0]) == pytest.approx(1.8e9 + 0.02)
    streams: list[str | Path] = [tshark, "-r", path, "-q", "-z", "rtp,streams"]
    told = subprocess.run(streams, capture_output=True, text=True, check=True, timeout=60).stdout
    assert told.count("0 (0.0%)") == 2  # one each way, nothing lost


def test_it_ends_at_its_bound_and_is_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.pcapng"
    capture = PacketCapture(path, limit=4096)
    number = capture.begin(0.0, "webrtc:ada", {})
    assert number is not None
    for n in range(100):
        capture.write(n / 50, number, RTP, rtp(n), received=True)
    assert capture.begin(9.0, "webrtc:ada", {"device": "x" * 500}) is None
    capture.close()
    assert capture.dropped > 50 and path.stat().st_size <= 4096
    assert len(read_connections(path)[0].packets) == 100 - (capture.dropped - 1)
    assert caplog.text.count("is full") == 1


def test_a_full_disk_is_told_once_and_ends_the_capture_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    capture = PacketCapture(tmp_path / "x.pcapng")
    number = capture.begin(0.0, "webrtc:ada", {})
    assert number is not None and capture._file is not None
    capture._file.close()
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("NO /dev/full: a full disk is not tried")
    capture._file = full.open("wb")
    for n in range(1000):
        capture.write(n / 5, number, RTP, rtp(n), received=True)
    capture.close()
    assert caplog.text.count("the capture ends: No space left") == 1 and "is full" not in caplog.text


def test_what_was_written_a_second_ago_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    capture = PacketCapture(path)
    number = capture.begin(10.0, "webrtc:ada", {})
    assert number is not None
    for n in range(101):
        capture.write(10.0 + n / 50, number, RTP, rtp(n), received=True)
    assert len(read_connections(path)[0].packets) >= 50
    capture.close()


def test_a_capture_replaces_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "x.pcapng")
    with pytest.raises(StorageError, match="replaces nothing"):
        open_link("xiaozhi://127.0.0.1:0", capture=path)
    assert len(read_connections(path)) == 2


def test_one_whose_end_is_missing_is_read_so_far(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path / "x.pcapng")
    whole = path.read_bytes()
    (tmp_path / "y.pcapng").write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        (found,) = read_connections(tmp_path / "y.pcapng")
    assert 3 < len(found.packets) < 10 and found.ended is None
    assert "which is left out" in caplog.text


def test_what_wireshark_saved_in_nanoseconds_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "x.pcapng")
    data = path.read_bytes()
    assert data.count(b"\x09\x00\x01\x00\x06") == 2
    path.write_bytes(data.replace(b"\x09\x00\x01\x00\x06", b"\x09\x00\x01\x00\x09"))
    assert read_connections(path)[0].packets[-1].at == pytest.approx(0.3e-3)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is no pcapng capture"),
        (b"btsnoop\0" + bytes(40), "is no pcapng capture"),
        (bytes.fromhex("0a0d0d0a0000001c1a2b3c4d") + bytes(16), "big-endian"),
        (bytes.fromhex("0a0d0d0a040000004d3c2b1a") + bytes(16), "says 4 bytes"),
        (bytes.fromhex("0a0d0d0affffff7f4d3c2b1a") + bytes(16), "says"),
        (bytes.fromhex("0a0d0d0a1c0000004d3c2b1a") + bytes(16), "ends otherwise"),
    ],
)
def test_damaged_files_are_refused_in_one_line(data: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    path.write_bytes(data)
    with pytest.raises(InputError, match=why) as refused:
        open_link(f"file:{path}")
    assert "\n" not in refused.value.text


def test_captures_of_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        open_link(f"file:{tmp_path}/none.pcapng")
    path = tmp_path / "x.pcapng"
    capture = PacketCapture(path)
    capture.close()
    with pytest.raises(InputError, match="no connection"):
        ReplayLink("file:", path)
    other = PacketCapture(tmp_path / "y.pcapng")
    number = other.begin(0.0, "eth0", {})
    assert number is not None
    other.write(0.0, number, DATA, b"x", received=True)
    other.close()
    with pytest.raises(InputError, match="cannot be replayed"):
        ReplayLink("file:", tmp_path / "y.pcapng")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6), st.floats(0, 1))
def test_no_damage_brings_more_than_a_line(tmp_path: Path, hits: list[tuple[float, int]], end: float) -> None:
    good = tmp_path / "good.pcapng"
    if not good.exists():
        written(good)
    data = bytearray(good.read_bytes())
    for where, value in hits:
        data[int(where * len(data))] = value
    path = tmp_path / "bad.pcapng"
    path.write_bytes(data[: int(end * len(data)) if end < 0.5 else None])
    try:
        ReplayLink("file:", path)
    except InputError as error:
        assert "\n" not in error.text
