"""A folder as a ZIP archive that is made while it is sent: it takes neither the memory nor the disk of a whole recording."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

PIECE = 256 * 1024
COMPRESSED = (".flac", ".opus", ".jpg", ".jpeg", ".png", ".mp4")
"""Kinds that a second compression makes no smaller."""


class _Pipe(io.RawIOBase):
    """What the archive is written to and taken from. It cannot seek, so ``zipfile`` writes sizes behind each file."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # zipfile gives bytes
        self._waiting += data
        return len(data)

    def take(self) -> bytes:
        """Gives what was written since the last call."""
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken


def zipped(folder: Path) -> Iterator[bytes]:
    """Gives the archive of a folder in pieces of some 256 KiB; links are left out, they may lead anywhere. Blocks on the disk.

    Raises OSError.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
            entry = zipfile.ZipInfo.from_file(path, path.relative_to(folder.parent), strict_timestamps=False)
            entry.compress_type = zipfile.ZIP_STORED if path.suffix in COMPRESSED else zipfile.ZIP_DEFLATED
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                while piece := source.read(PIECE):
                    target.write(piece)
                    yield pipe.take()
    yield pipe.take()
