"""Writes a session bundle while the session runs, and never makes it wait.

Everything that touches the disk happens in one thread behind a bounded queue. A disk that is too slow loses sound and
pictures first, counted, and events last. A disk that is full, or the bound on bytes, ends the recording and not the session.

A killed process leaves a bundle that reads. Lines are whole because each is one ``write`` of an unbuffered file, a picture
is on disk before its line is. libsndfile writes a FLAC's length when it closes the file, and refuses to read one without; so
the length is put into the header as the sound grows (after ``kill -9`` all whole blocks of 4096 samples read back).
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import platform
import queue
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from edge import bundle
from edge.config import Config, RecordingConfig
from edge.errors import EngineMissing, StorageError, UsageError
from edge.events import Event, earlier
from edge.runtime.virtual import VirtualLoop
from edge.tables import as_table
from edge.values import CHUNK_SAMPLES, NS_PER_SAMPLE, SAMPLE_RATE, AudioChunk, Pcm, Pixels, VideoFrame

if TYPE_CHECKING:
    from soundfile import SoundFile

_WAITING = 1024
"""Items that may wait for the disk: some 10 s of sound from both sides."""
_BULK = 768
"""Sound may fill the queue up to here, so that events still find room."""
_FRAMES = 8
"""Pictures of the camera that may wait: uncoded they are big. Photos asked for do not count."""
_JOINED = 2 * CHUNK_SAMPLES
"""A piece for the loudspeaker that comes this little after the end of the one before is joined to it."""
_JPEG_QUALITY = 92
_FLAC_BLOCK = 4096
"""Samples in a block, libsndfile's choice at 16 kHz. A block goes to the disk with the first sample of the next one."""
_FLAC_LENGTH_AT = 22
"""Where the low 32 bits of the number of samples lie in a FLAC file (RFC 9639, 8.2)."""


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class _Sound:
    name: str
    pcm: Pcm
    start: int


@dataclass(frozen=True, slots=True)
class _Picture:
    file: str
    pixels: Pixels
    line: str
    """What ``frames.jsonl`` says of it; empty for a photo."""


@dataclass(frozen=True, slots=True)
class _Close:
    measures: Mapping[str, Any]


_Job = _Line | _Sound | _Picture | _Close


class Recorder:
    """Records one session. All methods belong to the loop's thread; none waits for the disk but ``open`` and ``close``."""

    def __init__(
        self, config: RecordingConfig, on_stop: Callable[[StorageError], None] | None = None, *, origin: int = 0
    ) -> None:
        """``on_stop`` is called once, on the loop, when recording ends before the session; ``origin`` samples is its zero."""
        self._origin = origin
        self._origin_ns = origin * NS_PER_SAMPLE
        self.config = config
        self.folder: Path | None = None
        """Where the bundle is; None before ``open``."""
        self.dropped: Counter[str] = Counter()
        """What found the queue full, by kind."""
        self._on_stop = on_stop
        self._queue: queue.Queue[_Job] = queue.Queue(_WAITING)
        self._pictures = threading.Semaphore(_FRAMES)
        self._thread: threading.Thread | None = None
        self._writer: _Writer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next_frame = 0
        self._played = 0
        self._photos = 0

    @property
    def recording(self) -> bool:
        """Whether what is handed over still reaches the disk."""
        return self._writer is not None and self._writer.error is None

    def open(self, config: Config, versions: Mapping[str, Any]) -> Path:
        """Makes the bundle's folder and begins; gives the folder. Call it on the session's loop.

        ``versions`` tells what engines run; Python, the machine and the installed packages are added.
        A bundle that is there already is kept: the new one gets a number. Raises UsageError where the folder holds anything
        else, StorageError where it cannot be written, EngineMissing where soundfile is not installed.
        """
        self._loop = asyncio.get_running_loop()
        self.folder = _make(Path(self.config.folder))
        writer = _Writer(self.folder, round(self.config.max_mb * 1e6), self._pictures)
        writer.open(config, versions)
        self._writer = writer
        # A daemon: a session that dies without close() must not keep the process. The interpreter closes the bundle then,
        # because a daemon that is killed inside OpenCV's C++ takes the process down with an abort.
        atexit.register(self.close, {})
        self._thread = threading.Thread(target=self._write, args=(writer,), name="recorder", daemon=True)
        self._thread.start()
        return self.folder

    def event(self, event: Event) -> None:
        """Records an event."""
        self._put("events", _Line(bundle.EVENTS, earlier(event, self._origin_ns).line()))

    def sound(self, chunk: AudioChunk) -> None:
        """Records what the microphone gave. A gap in its media time becomes silence."""
        if chunk.start >= self._origin:
            self._put("microphone", _Sound(bundle.MICROPHONE, chunk.pcm, chunk.start - self._origin), _BULK)

    def played(self, pcm: Pcm, start: int) -> None:
        """Records what the loudspeaker was given at media time ``start`` in samples.

        It is heard then, or behind what plays already: the speaker keeps a chunk ahead, and its timers wake a little late.
        """
        start -= self._origin
        start = self._played if start <= self._played + _JOINED and self._played else start
        self._played = start + len(pcm)
        self._put("speaker", _Sound(bundle.SPEAKER, pcm, start), _BULK)

    def frame(self, frame: VideoFrame) -> None:
        """Records a picture, if the last one is ``1 / frames_per_second`` old."""
        if self.config.frames_per_second == 0 or frame.t_ns < max(self._next_frame, self._origin_ns):
            return
        self._next_frame = frame.t_ns + round(1e9 / self.config.frames_per_second)
        file = f"frames/{frame.index:06d}.jpg"
        line = json.dumps({"index": frame.index, "t_ns": frame.t_ns - self._origin_ns, "file": file})
        virtual = isinstance(self._loop, VirtualLoop)
        if not self.recording:
            return
        if not self._pictures.acquire(blocking=virtual):
            self.dropped["frames"] += 1
        elif not self._put("frames", _Picture(file, frame.pixels, line)):
            self._pictures.release()

    def tap(self, name: str, t_ns: int) -> None:
        """Records a tap."""
        self._put("taps", _Line(bundle.TAPS, json.dumps({"t_ns": t_ns - self._origin_ns, "name": name})))

    def photo(self, frame: VideoFrame) -> str:
        """Keeps a picture that the wearer asked for; gives its name in the bundle, empty where nothing is recorded."""
        name = f"photos/{self._photos + 1:04d}.jpg"
        if not self._put("photos", _Picture(name, frame.pixels, "")):
            return ""
        self._photos += 1
        return name

    def close(self, measures: Mapping[str, Any]) -> None:
        """Writes what waits and the measures, and ends the files. It waits for the disk; a second call does nothing."""
        if self._thread is None:
            return
        self._queue.put(_Close({**measures, "recording_dropped": dict(self.dropped)}))
        self._thread.join()
        self._thread = None
        atexit.unregister(self.close)

    def _put(self, kind: str, job: _Job, room: int = _WAITING) -> bool:
        if not self.recording:
            return False
        try:
            if isinstance(self._loop, VirtualLoop):
                # There a minute passes in a second and waiting costs no time: nothing need be lost.
                self._queue.put(job)
                return True
            if self._queue.qsize() < room:
                self._queue.put_nowait(job)
                return True
        except queue.Full:
            pass
        self.dropped[kind] += 1
        return False

    def _write(self, writer: _Writer) -> None:
        """The thread: works until the closing job, also after a failure, so that nobody who puts waits for ever."""
        said = False
        while True:
            job = self._queue.get()
            writer.do(job)
            if writer.error is not None and not said:
                said = True
                self._say(writer.error)
            if isinstance(job, _Close):
                return

    def _say(self, error: StorageError) -> None:
        if self._on_stop is None or self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._on_stop, error)
        except RuntimeError:
            pass  # The loop is closed: there is no session left to tell.


class _Writer:
    """The files of a bundle. After its first failure it does nothing but close them."""

    def __init__(self, folder: Path, limit: int, pictures: threading.Semaphore) -> None:
        self.error: StorageError | None = None
        self._folder = folder
        self._limit = limit
        self._pictures = pictures
        self._bytes = 0
        self._lines: dict[str, BinaryIO] = {}
        self._sounds: dict[str, _FlacFile] = {}

    def open(self, config: Config, engines: Mapping[str, Any]) -> None:
        """Writes what is known at the start. Raises StorageError."""
        import tomli_w

        try:
            (self._folder / "frames").mkdir()
            (self._folder / "photos").mkdir()
            for name in (bundle.EVENTS, bundle.FRAMES, bundle.TAPS):
                self._lines[name] = (self._folder / name).open("ab", buffering=0)
            self._text(bundle.CONFIG, tomli_w.dumps(as_table(config)))
            self._text(bundle.VERSIONS, json.dumps(_versions(engines), indent=2, ensure_ascii=False, default=str) + "\n")
            for name in (bundle.MICROPHONE, bundle.SPEAKER):
                self._sounds[name] = _FlacFile(self._folder / name)
        except OSError as error:
            raise StorageError(f"{self._folder}: cannot be written: {error.strerror or error}") from error

    def do(self, job: _Job) -> None:
        """Writes one job."""
        try:
            if isinstance(job, _Close):
                self._end(job)
            elif self.error is None:
                self._write(job)
        except OSError as error:
            self._fail(f"{self._folder}: recording stopped: {error.strerror or error}", error)
        finally:
            if isinstance(job, _Picture) and job.line:
                self._pictures.release()

    def _write(self, job: _Line | _Sound | _Picture) -> None:
        match job:
            case _Line(name, text):
                self._line(name, text)
            case _Sound(name, pcm, start):
                self._bytes += self._sounds[name].write(pcm, start)
            case _Picture(file, pixels, line):
                self._picture(file, pixels)
                if line:
                    self._line(bundle.FRAMES, line)
        if self._bytes > self._limit:
            self._fail(f"{self._folder}: recording stopped at recording.max_mb, {self._limit / 1e6:g} MB", None)

    def _line(self, name: str, text: str) -> None:
        data = text.encode("utf-8", "replace") + b"\n"
        # One write, one line. The rest of a short write would follow other lines, so it counts as a full disk.
        if self._lines[name].write(data) != len(data):
            raise OSError(28, "No space left on device")
        self._bytes += len(data)

    def _picture(self, file: str, pixels: Pixels) -> None:
        import cv2

        try:
            _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        except cv2.error as error:
            raise OSError(f"a picture of shape {pixels.shape} cannot be coded") from error
        (self._folder / file).write_bytes(data.tobytes())
        self._bytes += len(data)

    def _text(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text, encoding="utf-8")
        self._bytes += len(text)

    def _end(self, job: _Close) -> None:
        """Both sounds end together, so that they can be laid side by side."""
        if self.error is None:
            end = max(sound.written for sound in self._sounds.values())
            for sound in self._sounds.values():
                sound.write(np.zeros(0, np.int16), end)
        self._close()
        stopped = self.error.text if self.error is not None else ""
        self._text(bundle.MEASURES, json.dumps({**job.measures, "recording_stopped": stopped}, indent=2, default=str) + "\n")

    def _fail(self, text: str, cause: OSError | None) -> None:
        if self.error is None:
            self.error = StorageError(text)
            self.error.__cause__ = cause
            self._close()

    def _close(self) -> None:
        files: list[BinaryIO | _FlacFile] = [*self._lines.values(), *self._sounds.values()]
        self._lines.clear()
        self._sounds.clear()
        for file in files:
            try:
                file.close()
            except OSError as error:
                self._fail(f"{self._folder}: recording stopped: {error.strerror or error}", error)


class _FlacFile:
    """A mono FLAC on media time. Its failures are OSErrors."""

    def __init__(self, path: Path) -> None:
        try:
            import soundfile
        except ModuleNotFoundError as error:
            raise EngineMissing("soundfile is not installed, recording needs it: pip install soundfile") from error
        self._failure = soundfile.SoundFileError
        self._path = path
        self.written = 0
        """Samples."""
        self._size = 0
        path.touch()  # Raises the plain OSError for a folder that cannot be written.
        self._file: SoundFile = soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, subtype="PCM_16", format="FLAC")
        self._header = os.open(path, os.O_RDWR)

    def write(self, pcm: Pcm, start: int) -> int:
        """Writes ``pcm`` at media time ``start``, silence before it; gives the bytes that the file grew by.

        What would lie before the end of the file is left out: media time does not run backwards.
        """
        while self.written < start:
            self._append(np.zeros(min(SAMPLE_RATE, start - self.written), np.int16))
        self._append(pcm[self.written - start :])
        whole = (self.written - 1) // _FLAC_BLOCK * _FLAC_BLOCK
        if whole > 0:
            os.pwrite(self._header, whole.to_bytes(4, "big"), _FLAC_LENGTH_AT)
        size, before = os.fstat(self._header).st_size, self._size
        self._size = size
        return size - before

    def close(self) -> None:
        """Writes the last block and the length."""
        os.close(self._header)
        try:
            self._file.close()
        except self._failure as error:
            raise OSError(f"{self._path.name} could not be finished") from error

    def _append(self, pcm: Pcm) -> None:
        if not len(pcm):
            return
        try:
            self._file.write(pcm)
        except self._failure as error:
            raise OSError(f"{self._path.name} could not be written; the disk may be full") from error
        self.written += len(pcm)


def _versions(engines: Mapping[str, Any]) -> dict[str, Any]:
    installed = {item.metadata["Name"]: item.version for item in metadata.distributions()}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "engines": dict(engines),
        "packages": dict(sorted(installed.items(), key=lambda item: item[0].lower())),
    }


def _make(folder: Path) -> Path:
    """Makes the folder, or its first free numbered sibling where it holds a bundle."""
    try:
        chosen, number = folder, 1
        while bundle.is_bundle(chosen):
            number += 1
            chosen = folder.with_name(f"{folder.name}-{number}")
        if chosen.exists() and (not chosen.is_dir() or any(chosen.iterdir())):
            raise UsageError(f"{chosen}: holds other files: name an empty folder, or a new one, to record into")
        chosen.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return chosen
