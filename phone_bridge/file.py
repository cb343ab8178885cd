"""Glasses made of files: a recording speaks, a picture or a video is seen, the reply is written as WAV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge.errors import NotPicture
from edge.values import VideoFrame
from phone_bridge.media import read_picture, read_video, stream_audio
from phone_bridge.paced import PacedLink


class FileLink(PacedLink):
    """Plays files into a session as a live device would.

    ``audio`` is anything with a sound track; without it there is silence. ``pictures`` is a picture, served 5 times a second
    as the same array, or a video, served at its own times and held at its last frame. After the sound's end the microphone
    goes on for ``tail`` seconds of silence and ends. ``out`` gets the loudspeaker as WAV on media time; ``mix`` the
    microphone (left) and the loudspeaker (right).
    """

    def __init__(
        self,
        audio: Path | None = None,
        pictures: Path | None = None,
        out: Path | None = None,
        *,
        mix: Path | None = None,
        tail: float = 20.0,
    ) -> None:
        super().__init__(f"file:{audio or pictures or ''}", out=out, mix=mix, tail=tail)
        self._audio = audio
        self._pictures = pictures

    async def open(self) -> None:
        """Opens the files. Raises InputError, NotAudio, NotPicture, TooLarge; StorageError for what cannot be written."""
        await self._open(
            stream_audio(self._audio) if self._audio is not None else None,
            _frames(self._pictures) if self._pictures is not None else None,
        )


def _frames(path: Path) -> Iterator[VideoFrame]:
    try:
        yield VideoFrame(read_picture(path), 0)
        return
    except NotPicture:
        pass
    for index, (t_ns, pixels) in enumerate(read_video(path)):
        yield VideoFrame(pixels, t_ns, index)
