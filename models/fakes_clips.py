"""A scripted clip writer, in the manner of ``models.fakes``: its clips are texts that name their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge.errors import StorageError
from edge.ports import Stop
from edge.values import EngineInfo, VideoFrame
from models.fakes import Spend, spend_real


class FakeClips:
    """Keeps every picture of the last ``seconds``; each is its own key frame. A clip is a line of the pictures' numbers."""

    def __init__(self, seconds: float = 8.0, *, cost: float = 0.0, spend: Spend = spend_real) -> None:
        """``cost`` is what a picture, and a file, takes in seconds."""
        self.full = False
        """Whether the disk is."""
        self.ring: list[VideoFrame] = []
        self.closed = 0
        self._span_ns = round(seconds * 1e9)
        self._cost = cost
        self._spend = spend
        self._clips: dict[Path, list[int]] = {}

    @property
    def info(self) -> EngineInfo:
        """Says that it is a fake."""
        return EngineInfo("fake clips", "0")

    def open(self) -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Forgets the pictures."""
        self.closed += 1
        self.ring.clear()
        self._clips.clear()

    def add(self, frame: VideoFrame) -> None:
        """Takes the next picture."""
        self._spend(self._cost, Stop())
        self.ring = [kept for kept in self.ring if kept.t_ns >= frame.t_ns - self._span_ns] + [frame]
        for pictures in self._clips.values():
            pictures.append(frame.index)

    def begin(self, path: Path, since_ns: int) -> int:
        """Opens a clip."""
        self._check(path)
        if not self.ring:
            raise StorageError(f"{path}: there are no pictures to keep yet")
        before = [frame for frame in self.ring if frame.t_ns <= since_ns] or self.ring[:1]
        kept = [frame for frame in self.ring if frame.t_ns >= before[-1].t_ns]
        self._clips[path] = [frame.index for frame in kept]
        return kept[0].t_ns

    def finish(self, path: Path) -> None:
        """Writes a clip."""
        self._spend(self._cost, Stop())
        pictures = self._clips.pop(path, None)
        self._check(path)
        if pictures is None:
            raise StorageError(f"{path}: the clip could not be written")
        path.write_text(" ".join(map(str, pictures)), encoding="utf-8")

    def sheet(self, path: Path, pictures: Sequence[VideoFrame]) -> None:
        """Writes the numbers of the pictures."""
        self._check(path)
        path.write_text(" ".join(str(frame.index) for frame in pictures), encoding="utf-8")

    def _check(self, path: Path) -> None:
        if self.full:
            raise StorageError(f"{path}: cannot be written: the disk is full")
