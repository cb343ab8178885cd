"""Glasses that live through a recorded session again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge.bundle import Bundle, FrameFile, read_bundle
from edge.errors import InputError
from edge.values import VideoFrame
from phone_bridge.media import read_picture, stream_audio
from phone_bridge.paced import PacedLink

__all__ = ["Bundle", "BundleLink", "read_bundle"]


class BundleLink(PacedLink):
    """Replays a session bundle: its microphone, its pictures at their media times with their indices, its taps.

    The microphone ends where the recording ends. What the loudspeaker played then is not replayed; what it plays now goes to
    ``out``, or nowhere.
    """

    def __init__(self, path: Path, out: Path | None = None) -> None:
        super().__init__(f"file:{path}", out=out, mix=None, tail=0.0)
        self._path = path
        self._hold = False

    async def open(self) -> None:
        """Reads the bundle. Raises InputError with one clear line for a broken one."""
        bundle = read_bundle(self._path)
        if not bundle.microphone.is_file():
            raise InputError(f"{self._path}: there is no {bundle.microphone.name} to replay")
        self._taps = bundle.taps
        await self._open(stream_audio(bundle.microphone), _frames(bundle.frames))


def _frames(files: tuple[FrameFile, ...]) -> Iterator[VideoFrame]:
    for file in files:
        yield VideoFrame(read_picture(file.path), file.t_ns, file.index)
