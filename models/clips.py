"""Keeps the last seconds of the camera, encoded, and writes clips of them: H.264 in MP4, by PyAV.

The ring holds packets and no pictures: at 1280x720 and 12 pictures a second some 1 to 4 Mbit/s, against 33 MB/s of pixels.
There is a key frame every second, so a clip can begin within a second of where it is wanted; packets are encoded once, and
every clip that is open takes the same ones. Without B-frames packets are in the order of their display, and each carries the
media time of its picture, so the frame rate may vary as it likes. The index goes to the front of the file when a clip ends
(``faststart``), so that it plays from the first picture while it is still being fetched.

PyAV's wheels carry libx264 (GPL-2.0-or-later, in a FFmpeg built with it) and the wrapper of NVENC, which needs NVIDIA's
driver. Where neither opens, OpenH264 (BSD-2-Clause), which distributions carry, and last MPEG-4 part 2 by FFmpeg itself
(LGPL-2.1-or-later), which browsers do not play: ``info`` tells which it is.

A camera whose pictures change their size ends the ring and every open clip, cleanly: what comes is another video.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge.errors import EngineMissing, StorageError
from edge.values import EngineInfo, Pixels, VideoFrame

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.stream import Stream
    from av.video.codeccontext import VideoCodecContext

MAX_WIDTH = 1280
MAX_HEIGHT = 1280
KEY_S = 1.0
"""Seconds between key frames."""
LATE_S = 3.0
"""Seconds that the ring holds beyond the pre-roll: a watch reports an event some time after it began."""
TICKS = 90_000
"""Of the clips' time base, a second, as MPEG has it."""
SHEET_WIDTH = 480
"""Pixels of one picture on a contact sheet."""
SHEET_COLUMNS = 3
JPEG_QUALITY = 85
_TIME = Fraction(1, TICKS)
_LICENCES = {
    "h264_nvenc": "FFmpeg's wrapper LGPL-2.1-or-later; NVIDIA's driver is its own",
    "libx264": "GPL-2.0-or-later",
    "libopenh264": "BSD-2-Clause",
    "mpeg4": "LGPL-2.1-or-later",
}
"""Encoders in the order in which they are tried, with their licences."""
_OPTIONS = {
    "h264_nvenc": {"preset": "p3", "tune": "ull", "rc": "vbr", "cq": "28", "bf": "0", "forced-idr": "1"},
    "libx264": {"preset": "ultrafast", "tune": "zerolatency", "crf": "25", "x264-params": "scenecut=0:bframes=0"},
    "libopenh264": {"allow_skip_frames": "0"},
    "mpeg4": {"qscale": "5"},
}


@dataclass(frozen=True, slots=True)
class Encoded:
    """One picture as a packet."""

    data: bytes
    t_ns: int
    key: bool


@dataclass(slots=True)
class _Clip:
    path: Path
    container: OutputContainer
    stream: Stream
    first_ns: int
    last: int = -1
    """Ticks of the last packet; they must rise."""
    ended: bool = False
    failure: StorageError | None = None


class ClipRing:
    """The last seconds, encoded, and clips of them. Implements ``edge.ports.ClipWriter``."""

    def __init__(self, seconds: float = 5.0, megabytes: float = 16.0, threads: int = 1, device: str = "cpu") -> None:
        """``seconds`` is the pre-roll; it and ``megabytes`` bound the ring.

        With ``device`` ``cuda`` or ``auto`` a GPU's encoder is tried first.
        """
        self._span_ns = round((seconds + LATE_S) * 1e9)
        self._max_bytes = round(megabytes * 1e6)
        self._threads = threads
        self._names = [name for name in _LICENCES if name != "h264_nvenc" or device in ("cuda", "auto")]
        self._name = ""
        self._encoder: VideoCodecContext | None = None
        self._size = (0, 0)
        self._source = (0, 0)
        self._key_ns: int | None = None
        self._last_ns = -1
        self._ring: deque[Encoded] = deque()
        self._bytes = 0
        self._clips: dict[Path, _Clip] = {}

    @property
    def info(self) -> EngineInfo:
        """PyAV's version, the encoder and its licence."""
        return EngineInfo("clips", version("av"), self._name, _LICENCES.get(self._name, ""))

    @property
    def held(self) -> tuple[int, int]:
        """How many bytes and nanoseconds of pictures the ring holds."""
        return self._bytes, self._ring[-1].t_ns - self._ring[0].t_ns if self._ring else 0

    def open(self) -> None:
        """Finds an encoder that opens. Raises EngineMissing."""
        if self._name:
            return
        for name in self._names:
            if self._opens(name):
                self._name = name
                return
        raise EngineMissing("this build of PyAV has no encoder for clips (libx264, libopenh264, mpeg4)")

    def close(self) -> None:
        """Ends the clips that are open, as well as can be, and forgets the ring."""
        for path in list(self._clips):
            try:
                self.finish(path)
            except StorageError:
                continue  # nobody is left to tell, and the file is gone
        self._restart()
        self._name = ""

    def add(self, frame: VideoFrame) -> None:
        """Encodes the next picture into the ring and into every clip that is open. Raises StorageError for a clip's file.

        One that is not later than the last is left out. A picture of another size ends what was before.
        """
        height, width = frame.pixels.shape[:2]
        if (width, height) != self._source:
            self._restart()
            self._source, self._size = (width, height), fitted(width, height)
        if frame.t_ns <= self._last_ns:
            return
        self._last_ns = frame.t_ns
        for packet in self._encode(frame):
            self._ring.append(packet)
            self._bytes += len(packet.data)
            for clip in self._clips.values():
                self._write(clip, packet)
        self._trim()
        for clip in self._clips.values():
            if clip.failure is not None:
                failure, clip.failure = clip.failure, None
                self._drop(clip)
                raise failure

    def begin(self, path: Path, since_ns: int) -> int:
        """Opens a clip that starts with the last key frame at or before ``since_ns``, or the oldest there is.

        Gives the media time of its first picture. Raises StorageError, also where no picture has come yet.
        """
        keys = [at for at, packet in enumerate(self._ring) if packet.key]
        start = next((at for at in reversed(keys) if self._ring[at].t_ns <= since_ns), keys[0] if keys else 0)
        if not keys:
            raise StorageError(f"{path}: there are no pictures to keep yet")
        first_ns = self._ring[start].t_ns
        clip = self._clips[path] = self._opened(path, first_ns)
        for at in range(start, len(self._ring)):
            self._write(clip, self._ring[at])
        if clip.failure is not None:
            self._drop(clip)
            raise clip.failure
        return first_ns

    def finish(self, path: Path) -> None:
        """Ends a clip: from then on its file plays from the first picture. Raises StorageError; the file is then gone."""
        clip = self._clips.pop(path, None)
        if clip is None:
            raise StorageError(f"{path}: the clip could not be written")
        self._end(clip)
        if clip.failure is None and clip.last < 0:
            clip.failure = StorageError(f"{path}: no picture came for the clip")
        if clip.failure is not None:
            path.unlink(missing_ok=True)
            raise clip.failure

    def sheet(self, path: Path, pictures: Sequence[VideoFrame]) -> None:
        """Writes a contact sheet of the pictures as JPEG, three in a row. Raises StorageError."""
        import cv2

        _, data = cv2.imencode(
            ".jpg", contact_sheet([frame.pixels for frame in pictures]), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        )
        try:
            path.write_bytes(data.tobytes())
        except OSError as error:
            path.unlink(missing_ok=True)
            raise _full(path, error) from error

    # -- encoding --------------------------------------------------------------------------------------------------------

    def _context(self, name: str, width: int, height: int) -> VideoCodecContext:
        from av.video.codeccontext import VideoCodecContext

        context = VideoCodecContext.create(name, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = width, height
        context.pix_fmt = "yuv420p"
        context.time_base = _TIME
        context.framerate = Fraction(15)  # for rate control only: every packet has its own time
        context.gop_size = 600  # key frames are asked for by time
        context.max_b_frames = 0
        context.thread_count = self._threads
        context.options = dict(_OPTIONS[name])
        context.open()
        return context

    def _opens(self, name: str) -> bool:
        import av

        try:
            self._context(name, 256, 256)
        except (av.error.FFmpegError, ValueError):  # PyAV's UnknownCodecError is a ValueError
            return False
        return True

    def _encode(self, frame: VideoFrame) -> list[Encoded]:
        from av.video.frame import PictureType
        from av.video.frame import VideoFrame as Picture

        if self._encoder is None:
            self._encoder = self._context(self._name, *self._size)
        picture = Picture.from_ndarray(self._scaled(frame.pixels), format="yuv420p")
        picture.pts = round(frame.t_ns * TICKS / 1e9)
        picture.time_base = _TIME
        if self._key_ns is None or frame.t_ns - self._key_ns >= KEY_S * 1e9:
            picture.pict_type = PictureType.I
            self._key_ns = frame.t_ns
        return [
            Encoded(bytes(packet), round((packet.pts or 0) * 1e9 / TICKS), packet.is_keyframe)
            for packet in self._encoder.encode(picture)
        ]

    def _scaled(self, pixels: Pixels) -> NDArray[np.uint8]:
        """Gives a picture at the clips' size as planes of Y, U and V (BT.601), one below the other."""
        import cv2

        if (pixels.shape[1], pixels.shape[0]) != self._size:
            pixels = np.asarray(cv2.resize(pixels, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_I420), np.uint8)

    def _trim(self) -> None:
        """Drops the oldest packets, up to the next key frame, while the ring is too long or too large."""
        while self._ring and (self._bytes > self._max_bytes or self._spare()):
            self._bytes -= len(self._ring.popleft().data)
            while self._ring and not self._ring[0].key:
                self._bytes -= len(self._ring.popleft().data)

    def _spare(self) -> bool:
        """Whether the second key frame is old enough to begin with."""
        second = next((packet.t_ns for packet in list(self._ring)[1:] if packet.key), None)
        return second is not None and self._ring[-1].t_ns - second >= self._span_ns

    def _restart(self) -> None:
        for clip in self._clips.values():
            self._end(clip)
        self._encoder = None
        self._ring.clear()
        self._bytes = 0
        self._key_ns = None
        self._source = (0, 0)

    # -- files -----------------------------------------------------------------------------------------------------------

    def _opened(self, path: Path, first_ns: int) -> _Clip:
        import av

        try:
            container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
            # Without a codec context: the muxer takes the parameter sets from the first packet, a key frame of its own.
            codec = "mpeg4" if self._name == "mpeg4" else "h264"
            width, height = self._size
            stream = container.add_mux_stream(codec, rate=15, width=width, height=height, time_base=_TIME)
        except (av.error.FFmpegError, OSError) as error:
            path.unlink(missing_ok=True)
            raise _full(path, error) from error
        return _Clip(path, container, stream, first_ns)

    def _write(self, clip: _Clip, packet: Encoded) -> None:
        """Muxes one packet. A clip begins with a key frame, and its time with its first picture."""
        from av.packet import Packet

        if clip.ended or clip.failure is not None or (clip.last < 0 and not packet.key):
            return
        if clip.last < 0:
            clip.first_ns = packet.t_ns
        ticks = max(round((packet.t_ns - clip.first_ns) * TICKS / 1e9), clip.last + 1)
        muxed = Packet(packet.data)
        muxed.pts = muxed.dts = ticks
        muxed.time_base = _TIME
        muxed.is_keyframe = packet.key
        muxed.stream = clip.stream
        self._try(clip, lambda: clip.container.mux_one(muxed))
        clip.last = ticks

    def _end(self, clip: _Clip) -> None:
        """Writes the index. A clip that failed is closed as well: its file must not stay open."""
        if not clip.ended:
            clip.ended = True
            self._try(clip, clip.container.close)

    def _drop(self, clip: _Clip) -> None:
        self._end(clip)
        self._clips.pop(clip.path, None)
        clip.path.unlink(missing_ok=True)

    @staticmethod
    def _try(clip: _Clip, work: Callable[[], object]) -> None:
        import av

        try:
            work()
        except (av.error.FFmpegError, OSError) as error:
            clip.failure = clip.failure or _full(clip.path, error)


def fitted(width: int, height: int) -> tuple[int, int]:
    """Gives the size of the clips of a camera: at most 1280 either way, both sides even, as 4:2:0 needs them."""
    scale = min(1.0, MAX_WIDTH / width, MAX_HEIGHT / height)
    return max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)


def contact_sheet(pictures: Sequence[Pixels]) -> Pixels:
    """Lays pictures side by side, three in a row, all as large as the first one made 480 wide; black where there is none."""
    import cv2

    if not pictures:
        return np.zeros((2, 2, 3), np.uint8)
    height, width = pictures[0].shape[:2]
    size = SHEET_WIDTH, max(1, round(height * SHEET_WIDTH / width))
    small = [np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8) for picture in pictures]
    columns = min(SHEET_COLUMNS, len(small))
    small += [np.zeros_like(small[0])] * (-len(small) % columns)
    return np.vstack([np.hstack(small[at : at + columns]) for at in range(0, len(small), columns)])


def _full(path: Path, error: Exception) -> StorageError:
    """What FFmpeg makes of a disk is an OSError of its own, or a bare text."""
    number = getattr(error, "errno", None)
    why = "the disk is full" if number == errno.ENOSPC else getattr(error, "strerror", None) or str(error)
    return StorageError(f"{path}: cannot be written: {why}")
