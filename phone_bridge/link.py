"""Opens a link by its URI."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from edge.config import ServeConfig
from edge.errors import InputError, UsageError
from edge.ports import Link, Station
from edge.tables import nearest

if TYPE_CHECKING:
    from phone_bridge.desk import Desk
    from phone_bridge.pcapng import PacketCapture
    from phone_bridge.sim import Network

_ADDRESS = re.compile(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
"""Of a device, or what macOS gives instead of it."""

SCHEMES = ("file", "sim", "webrtc", "ble", "xiaozhi")
CAPTURED = ("ble", "webrtc", "xiaozhi")
RECORDED = (".btsnoop", ".pcapng")
"""Files that are captures."""


def open_link(
    uri: str,
    *,
    pictures: Path | None = None,
    out: Path | None = None,
    tail: float = 20.0,
    serve: ServeConfig | None = None,
    desk: Desk | None = None,
    capture: Path | None = None,
    began: float = 0.0,
) -> Link | Station:
    """Makes the link, or the station, that a URI names; ``await link.open()`` connects it.

    ``file:PATH`` is a recording, a picture, a video with or without sound, or a session bundle. ``sim:`` are glasses in
    memory; ``sim:?loss=0.02&delay=0.05&jitter=0.02&seed=7`` puts a network before them. ``pictures``, ``out`` and ``tail``
    are for files alone, as ``FileLink`` explains. ``webrtc://HOST:PORT`` is a station, served as ``serve`` says, with ``desk``
    behind its dashboard; without a port it takes 8443, or 8080 on a loopback address, which is served without TLS. ``ble:``
    are the glasses that are heard over Bluetooth, ``ble:ADDRESS`` and ``ble:?name=NAME`` the ones meant. ``xiaozhi://HOST:PORT``
    is a station for xiaozhi-esp32 devices, served as ``serve`` says; without a port it takes 8000. ``capture`` is where what
    goes over the air is written, as of ``began`` seconds since 1970: btsnoop for Bluetooth, pcapng for a station.
    ``file:PATH.btsnoop`` (or ``ble:replay?file=PATH``) and ``file:PATH.pcapng`` are the glasses of such a capture.

    Raises UsageError for what names no link, InputError for a capture that cannot be read, StorageError for one that cannot
    be written.
    """
    scheme, colon, rest = uri.partition(":")
    if not colon:
        raise UsageError(f"{uri!r} names no link: write file:PATH, sim:, webrtc://HOST:PORT, ble: or xiaozhi://HOST:PORT")
    if capture is not None and not can_be_captured(uri):
        raise UsageError(f"{uri!r} cannot be captured: glasses over {', '.join(CAPTURED)} can")
    match scheme:
        case "file":
            if not rest:
                raise UsageError(f"{uri!r} names no file: write file:PATH")
            return _replay(uri, Path(rest)) if rest.endswith(RECORDED) else _files(Path(rest), pictures, out, tail)
        case "sim":
            from phone_bridge.sim import SimGlasses

            return SimGlasses(_network(uri, rest), uri=uri)
        case "webrtc":
            from phone_bridge.server import WebRtcStation

            return WebRtcStation(uri, serve, desk=desk, capture=_packets(capture, began))
        case "ble":
            return _glasses(uri, rest, capture, began)
        case "xiaozhi":
            from phone_bridge.xiaozhi import XiaozhiStation

            return XiaozhiStation(uri, serve, capture=_packets(capture, began))
        case _:
            raise UsageError(f"unknown link {scheme!r} in {uri!r}: {nearest(scheme, SCHEMES)}")


def can_be_captured(uri: str) -> bool:
    """Says whether what goes over a link can be written down."""
    scheme, _, rest = uri.partition(":")
    return scheme in CAPTURED and not (scheme == "ble" and rest.startswith("replay"))


def _packets(path: Path | None, began: float) -> PacketCapture | None:
    if path is None:
        return None
    from phone_bridge.pcapng import PacketCapture

    return PacketCapture(path, began=began)


def _files(path: Path, pictures: Path | None, out: Path | None, tail: float) -> Link:
    if path.is_dir():
        from phone_bridge.bundle import BundleLink

        return BundleLink(path, out=out)
    from phone_bridge.file import FileLink
    from phone_bridge.media import tracks

    try:
        sound, moving = tracks(path)
    except InputError:
        # open() says what is wrong with it, as for any recording.
        sound, moving = True, False
    if pictures is None and moving:
        pictures = path
    return FileLink(path if sound else None, pictures, out, tail=tail)


def _replay(uri: str, path: Path) -> Link:
    if path.suffix == ".pcapng":
        from phone_bridge.replay import ReplayLink

        return ReplayLink(uri, path)
    from phone_bridge.ble_replay import ReplayBleLink

    return ReplayBleLink(uri, path)


def _glasses(uri: str, rest: str, capture: Path | None, began: float) -> Link:
    address, _, query = rest.partition("?")
    known = "file" if address == "replay" else "name"
    values = dict(parse_qsl(query, keep_blank_values=True))
    for key in values:
        if key != known:
            raise UsageError(f"unknown key {key!r} in {uri!r}: {nearest(key, (known,))}")
    if address == "replay":
        if not values.get("file"):
            raise UsageError(f"{uri!r} names no capture: write ble:replay?file=PATH")
        return _replay(uri, Path(values["file"]))
    if address == "sim":
        raise UsageError(f"{uri!r}: simulated glasses need the checkout, where firmware_stubs is")
    if address and not _ADDRESS.fullmatch(address):
        raise UsageError(f"{uri!r}: {address!r} is no Bluetooth address: write ble:, ble:AA:BB:CC:DD:EE:FF or ble:?name=NAME")
    name = values.get("name", "")
    if capture is not None:
        from phone_bridge.ble_capture import CapturedBleLink
        from phone_bridge.capture import Capture

        return CapturedBleLink(uri, Capture(capture, began=began), address=address, name=name)
    from phone_bridge.ble import BleLink

    return BleLink(uri, address=address, name=name)


def _network(uri: str, rest: str) -> Network:
    from phone_bridge.sim import Network

    known = ("loss", "delay", "jitter", "seed")
    values = dict(parse_qsl(rest.lstrip("/").removeprefix("?"), keep_blank_values=True))
    for key in values:
        if key not in known:
            raise UsageError(f"unknown key {key!r} in {uri!r}: {nearest(key, known)}")
    try:
        loss, delay, jitter = (float(values.get(key, 0)) for key in ("loss", "delay", "jitter"))
        return Network(loss, delay, jitter, int(values.get("seed", 0)))
    except ValueError as error:
        raise UsageError(f"{uri!r}: {error}") from None
