"""What a link carried, packet by packet, in a file that other tools open: btsnoop, version 1, datalink 1002 (HCI UART, H4).

The form is that of RFC 1761 with its own datalinks, as Android, BlueZ and Wireshark read and write it. What goes over sockets
and WebRTC is written as pcapng (``pcapng``), by the same rules. A capture holds sound and pictures: it is off unless asked for,
no one but its owner may read it, it never replaces a file, and it ends at its bound.
"""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge.errors import InputError, StorageError

log = logging.getLogger(__name__)

MAX_BYTES = 256 * 1024 * 1024
"""An hour and more of the fastest radio, days of a quiet one."""
FLUSH_S = 1.0
MAGIC = b"btsnoop\0"
VERSION = 1
H4 = 1002
EPOCH_US = 0x00DCDDB30F2F8000
"""1970 in microseconds since the year 0."""
MAX_PACKET = 1 + 4 + 65_535
"""An ACL packet of H4."""
_HEAD = struct.Struct(">8sII")
_RECORD = struct.Struct(">IIIIq")
_RECEIVED, _NO_DATA = 1, 2
_DATALINKS = {1001: "HCI without H4", 1003: "BCSP", 1004: "H5", 2001: "BlueZ monitor (btmon -w)"}
_ACL = 2


@dataclass(frozen=True, slots=True)
class Record:
    """A packet of a capture."""

    at: float
    """Seconds since the capture's first."""
    packet: bytes
    """As H4 has it, its type first."""
    received: bool
    """Whether it came from the controller."""
    size: int
    """Its bytes before any were left out."""


class CaptureFile:
    """A file that a capture is written to, block by block: made new, for its owner alone, bounded.

    What fails here ends the capture alone, and is told once. What was written is the operating system's a second later at
    most: a process that is killed has lost no more.
    """

    def __init__(self, path: Path, head: bytes, *, began: float, limit: int) -> None:
        """``began`` is the time of the first block in seconds since 1970. Raises StorageError."""
        self.path = path
        self.dropped = 0
        """Packets that did not fit below the bound."""
        self._offset = 0.0
        self._began: float | None = began
        self._room = limit - len(head)
        self._flushed_at = 0.0
        self._file: BinaryIO | None = None
        try:
            self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
            self._file.write(head)
        except FileExistsError:
            raise StorageError(f"{path} is there already: a capture replaces nothing, give another name") from None
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}") from error

    def flush(self) -> None:
        """Leaves what was written to the operating system."""
        if self._file is not None:
            try:
                self._file.flush()
            except OSError as error:
                self._stop(error)

    def close(self) -> None:
        """Ends the capture."""
        self.flush()
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _since_1970(self, at: float) -> float:
        """Gives the time of loop time ``at``; the first that is asked for is when the capture began."""
        if self._began is not None:
            self._offset, self._began = self._began - at, None
        return at + self._offset

    def _add(self, at: float, block: bytes) -> bool:
        """Writes a block at loop time ``at``; False where there is no room, or the capture has ended."""
        if self._file is None:
            return False
        if self._room < len(block):
            if not self.dropped:
                log.error("%s is full: what comes is not captured any more", self.path)
            self.dropped += 1
            return False
        self._room -= len(block)
        try:
            self._file.write(block)
        except OSError as error:
            self._stop(error)
            return False
        if at - self._flushed_at >= FLUSH_S:
            self._flushed_at = at
            self.flush()
        return True

    def _stop(self, error: OSError) -> None:
        log.error("%s: the capture ends: %s", self.path, error.strerror)
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                pass  # the same error: it tries to write what is left


class Capture(CaptureFile):
    """Writes a btsnoop capture. Made before anything is connected, so that a file that cannot be written is known at once."""

    def __init__(self, path: Path, *, began: float = 0.0, limit: int = MAX_BYTES) -> None:
        """``began`` is the time of the first record in seconds since 1970. Raises StorageError."""
        super().__init__(path, _HEAD.pack(MAGIC, VERSION, H4), began=began, limit=limit)
        self.private = False
        """Whether what the glasses send is to be left out but for its length."""

    def write(self, at: float, packet: bytes, *, received: bool, keep: int | None = None) -> None:
        """Adds a packet of loop time ``at``, or the first ``keep`` bytes of it."""
        kept = packet[:keep]
        flags = (_RECEIVED if received else 0) | (_NO_DATA if packet[0] != _ACL else 0)
        time = EPOCH_US + round(self._since_1970(at) * 1e6)
        self._add(at, _RECORD.pack(len(packet), len(kept), flags, 0, time) + kept)


def bytes_of(path: Path) -> bytes:
    """Reads a capture. Raises InputError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def read_capture(path: Path) -> list[Record]:
    """Gives the packets of a capture; of one whose end is missing, as a killed process leaves it, those that are whole.

    Raises InputError.
    """
    return list(_records(path, bytes_of(path)))


def _records(path: Path, data: bytes) -> Iterator[Record]:
    if len(data) < _HEAD.size or not data.startswith(MAGIC):
        raise InputError(f"{path} is no btsnoop capture")
    _, version, datalink = _HEAD.unpack_from(data)
    if version != VERSION:
        raise InputError(f"{path} is btsnoop of version {version}: only version {VERSION} is known")
    if datalink != H4:
        raise InputError(f"{path} has datalink {datalink}, {_DATALINKS.get(datalink, 'unknown')}: only {H4}, H4, is read")
    place, number, first, latest = _HEAD.size, 0, 0, 0
    while place < len(data):
        number += 1
        if len(data) - place < _RECORD.size:
            log.warning("%s ends within record %d, which is left out", path, number)
            return
        size, kept, flags, _, time = _RECORD.unpack_from(data, place)
        if not 0 < kept <= size <= MAX_PACKET:
            raise InputError(f"{path}: record {number} says {kept} of {size} bytes, which is no packet: the file is damaged")
        place += _RECORD.size
        if len(data) - place < kept:
            log.warning("%s ends within record %d, which is left out", path, number)
            return
        first = time if number == 1 else first
        latest = max(latest, time, first)  # clocks are set back now and then
        yield Record((latest - first) / 1e6, data[place : place + kept], bool(flags & _RECEIVED), size)
        place += kept
