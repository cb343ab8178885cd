"""What the packages beside ``edge`` bring: links, devices' keys, and files of sound and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge.config import Config
from edge.errors import UsageError
from edge.ports import Link, Notifier, Station
from edge.values import Pcm, Pixels


def open_link(uri: str, **options: Any) -> Link | Station:
    """Makes the link, or the station where links arrive, that a URI names. Raises UsageError."""
    from phone_bridge.link import open_link as opened

    return _virtual_glasses(uri, **options) if uri == "ble:sim" else opened(uri, **options)


def _virtual_glasses(uri: str, *, capture: Path | None = None, began: float = 0.0) -> Link:
    """Makes simulated Bluetooth glasses that ask the demo's first question and play the answer. Raises UsageError."""
    try:
        from firmware_stubs.sim.pair import Simulated, profile_pair
    except ModuleNotFoundError as error:
        missing = "pip install bumble bleak" if error.name in ("bumble", "bleak") else "run it from a checkout of nearsight"
        raise UsageError(f"{uri!r}: the simulated glasses are not here: {missing}") from None
    from phone_bridge.ble import BleLink
    from phone_bridge.ble_capture import CapturedBleLink
    from phone_bridge.capture import Capture
    from phone_bridge.media import read_audio

    demo = Path(__file__).parents[1] / "demo"
    sound, photo = read_audio(demo / "sign.flac"), (demo / "park.jpg").read_bytes()
    simulated = Simulated(lambda: profile_pair(sound=sound, photo=photo))
    parts: dict[str, Any] = {"client": simulated.client, "scanner": simulated.scanner, "settle": 0.0, "ended": simulated.stop}
    return BleLink(uri, **parts) if capture is None else CapturedBleLink(uri, Capture(capture, began=began), **parts)


def bundle_link(path: Path, out: Path | None) -> Link:
    """Makes a link of a session bundle."""
    from phone_bridge.bundle import BundleLink

    return BundleLink(path, out=out)


def qr_code(text: str) -> str:
    """Draws a QR code for a terminal, in half blocks."""
    from phone_bridge.invite import terminal_qr

    return terminal_qr(text)


def opus() -> str:
    """The codec of glasses that come over WebRTC: its name and version, empty where it is not there."""
    from phone_bridge.opus import available, version

    return version() if available() is not None else ""


def access(config: Config) -> Any:
    """Who may come in over the network (``phone_bridge.access.Access``). Raises StorageError."""
    from phone_bridge.access import open_access

    return open_access(config.serve)


def notifier(config: Config) -> Notifier | None:
    """Makes what tells the world outside of events; None where nobody is to be told. Raises EngineMissing."""
    from phone_bridge.notify import open_notifier

    return open_notifier(config.watch)


def file_link(audio: Path | None, pictures: Path | None, out: Path | None) -> Link:
    """Makes a link of files."""
    from phone_bridge.file import FileLink

    return FileLink(audio, pictures, out)


def read_sound(path: Path) -> Iterator[Pcm]:
    """Decodes a recording, a second or less at a time. Raises InputError."""
    from phone_bridge.media import stream_audio

    return stream_audio(path)


def read_video(path: Path) -> Iterator[tuple[int, Pixels]]:
    """Decodes a video: the media time of each picture in nanoseconds, and the picture, upright. Raises InputError."""
    from phone_bridge.media import read_video as decoded

    return decoded(path)


def read_picture(path: Path) -> Pixels:
    """Decodes a picture, upright. Raises InputError."""
    from phone_bridge.media import read_picture as decoded

    return decoded(path)


def sim_glasses(**options: Any) -> Any:
    """Makes glasses in memory (``phone_bridge.sim.SimGlasses``)."""
    from phone_bridge.sim import SimGlasses

    return SimGlasses(**options)


def wyoming_server(uri: str, engines: Any) -> Any:
    """Makes a server of engines (``phone_bridge.wyoming_server.WyomingServer``). Raises UsageError, EngineMissing."""
    from phone_bridge.wyoming_server import WyomingServer

    return WyomingServer(uri, engines)
