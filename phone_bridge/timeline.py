"""The loudspeaker of a link without a loudspeaker: puts what is played on the session's media time, to the sample."""

from __future__ import annotations

import wave
from collections import deque
from itertools import pairwise
from pathlib import Path

import numpy as np

from edge.errors import StorageError
from edge.values import SAMPLE_RATE, AudioChunk, Pcm, samples

SLACK = samples(0.04)
"""A piece that comes this little after the end of the one before is joined to it. Timers wake late by some milliseconds; a
real device hides that with its buffer."""
LAG = samples(0.1)
"""How far behind the clock the written files stay. It is more than SLACK: what is written can no longer be joined to."""
_WRITE = samples(0.5)


class Timeline:
    """What was played, and when."""

    def __init__(self) -> None:
        self._pieces: deque[AudioChunk] = deque()
        self._taken = 0
        self.end = 0
        """Media time one past the last sample played, in samples."""

    def play(self, pcm: Pcm, now: int) -> None:
        """Places ``pcm`` at ``now`` (media time in samples), or behind what plays already."""
        start = self.end if now <= self.end + SLACK and self.end >= self._taken else max(now, self._taken)
        if not self._pieces and self.end == 0:
            start = now
        self._pieces.append(AudioChunk(pcm.copy(), start))
        self.end = start + len(pcm)

    def flush(self, now: int) -> int:
        """Drops what lies at ``now`` or later; gives the number of samples dropped."""
        dropped = 0
        while self._pieces and self._pieces[-1].end > now:
            last = self._pieces.pop()
            kept = max(0, now - last.start)
            dropped += len(last.pcm) - kept
            if kept:
                self._pieces.append(AudioChunk(last.pcm[:kept], last.start))
        if dropped:
            self.end = max(now, self._taken)
        return dropped

    def take(self, until: int) -> Pcm:
        """Gives the sound since the last ``take`` up to ``until``, silence where nothing was played, and forgets it."""
        taken = np.zeros(max(0, until - self._taken), np.int16)
        while self._pieces and self._pieces[0].start < until:
            first = self._pieces.popleft()
            cut = first.pcm[: until - first.start]
            taken[first.start - self._taken :][: len(cut)] = cut
            if first.end > until:
                self._pieces.appendleft(AudioChunk(first.pcm[len(cut) :], until))
        self._taken = max(self._taken, until)
        return taken

    def between(self, start: int, end: int) -> Pcm:
        """Gives the sound from ``start`` to ``end`` as far as it is remembered, silence elsewhere."""
        found = np.zeros(end - start, np.int16)
        for piece in self._pieces:
            first, last = max(start, piece.start), min(end, piece.end)
            if first < last:
                found[first - start : last - start] = piece.pcm[first - piece.start : last - piece.start]
        return found

    def forget(self, before: int) -> None:
        """Drops the memory of what was played before ``before``."""
        while self._pieces and self._pieces[0].end <= before:
            self._pieces.popleft()

    def runs(self) -> tuple[AudioChunk, ...]:
        """Gives the sound that was not taken or forgotten, as runs without a gap in them."""
        pieces = list(self._pieces)
        cuts = [0, *(at for at, (a, b) in enumerate(pairwise(pieces), 1) if a.end != b.start), len(pieces)]
        return tuple(
            AudioChunk(np.concatenate([piece.pcm for piece in pieces[a:b]]), pieces[a].start)
            for a, b in pairwise(cuts)
            if a < b
        )


class WavWriter:
    """Writes a WAV bit by bit. Its header is right after every write, so that a killed process leaves a readable file.

    A full disk does not stop a session: writing ends, and ``close`` raises.
    """

    def __init__(self, path: Path, channels: int) -> None:
        """Raises StorageError where the file cannot be made."""
        self._path = path
        self._waiting: list[Pcm] = []
        self._failed: OSError | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
        except OSError as error:
            raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from error
        self._wave = wave.open(self._file, "wb")
        self._wave.setnchannels(channels)
        self._wave.setsampwidth(2)
        self._wave.setframerate(SAMPLE_RATE)

    def write(self, pcm: Pcm) -> None:
        """Takes samples, shape (n,) or (n, channels)."""
        self._waiting.append(pcm)
        if sum(map(len, self._waiting)) >= _WRITE:
            self._drain()

    def close(self) -> None:
        """Finishes the file. Raises StorageError where not all of it could be written."""
        self._drain()
        try:
            self._wave.close()
        except OSError as error:
            self._failed = self._failed or error
        finally:
            self._close_file()
        if self._failed is not None:
            raise StorageError(f"{self._path}: not all of it could be written: {self._failed.strerror}") from self._failed

    def _drain(self) -> None:
        sound = [pcm.astype("<i2", copy=False).tobytes() for pcm in self._waiting]
        self._waiting.clear()
        if self._failed is not None:
            return
        try:
            self._wave.writeframes(b"".join(sound))
            self._file.flush()
        except OSError as error:
            self._failed = error

    def _close_file(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            self._failed = self._failed or error


class Loudspeaker:
    """A timeline that is written to files while it grows.

    ``out`` gets the loudspeaker alone; ``mix`` has the microphone on the left and the loudspeaker on the right.
    """

    def __init__(self, out: Path | None, mix: Path | None) -> None:
        """Raises StorageError where a file cannot be made."""
        self.timeline = Timeline()
        self._microphone: deque[Pcm] = deque()
        self._out = WavWriter(out, 1) if out is not None else None
        self._mix = WavWriter(mix, 2) if mix is not None else None
        self._written = 0

    def advance(self, chunk: AudioChunk) -> None:
        """Tells what the microphone gave, and with it the time: what was played ``LAG`` before is written."""
        if self._mix is not None:
            self._microphone.append(chunk.pcm)
        self._write(chunk.end - LAG)

    def close(self) -> None:
        """Writes the rest. Raises StorageError where not all could be written."""
        left = sum(map(len, self._microphone))
        self._write(max(self.timeline.end, self._written + left))
        for writer in (self._out, self._mix):
            if writer is not None:
                writer.close()
        self._out = self._mix = None

    def _write(self, until: int) -> None:
        if until <= self._written:
            return
        right = self.timeline.take(until)
        self._written = until
        if self._out is not None:
            self._out.write(right)
        if self._mix is not None:
            waiting = np.concatenate([*self._microphone, np.zeros(0, np.int16)])
            self._microphone.clear()
            left = np.zeros(len(right), np.int16)
            left[: len(waiting)] = waiting[: len(right)]
            if len(waiting) > len(right):
                self._microphone.append(waiting[len(right) :])
            self._mix.write(np.stack((left, right), axis=1))
