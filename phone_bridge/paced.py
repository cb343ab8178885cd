"""What links to recordings share: sound, pictures and taps come at the pace at which they were made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.errors import LinkError
from edge.events import Event
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Condition, Pcm, VideoFrame
from phone_bridge.ahead import Ahead, until
from phone_bridge.timeline import Loudspeaker

STILL_FPS = 5
"""How often a picture that does not change is served."""
_SILENCE = np.zeros(CHUNK_SAMPLES, np.int16)


class PacedLink:
    """A link whose glasses are files.

    Media time zero is the loop's time at the first use of ``microphone``, ``camera``, ``taps`` or ``play``. Chunk k comes at
    (k + 1) x 20 ms after it, from absolute deadlines, so that nothing drifts; a late reader gets the late chunks at once.
    """

    sink_delay_s = 0.0
    captured = False
    aside = None

    def __init__(self, uri: str, *, out: Path | None, mix: Path | None, tail: float) -> None:
        self.uri = uri
        self.t0: float | None = None
        """Media time zero on the loop's clock; None before the first use."""
        self.finished = False
        """Whether the recording's own sound is over, and only silence follows."""
        self.content_s = 0.0
        """Seconds of the recording's own sound that were given so far."""
        self._out = out
        self._mix = mix
        self._tail = round(tail * SAMPLE_RATE / CHUNK_SAMPLES)
        self._hold = True
        self._private = False
        self._over = False
        self._sound: Ahead[Pcm] | None = None
        self._frames: Ahead[VideoFrame] | None = None
        self._taps: Sequence[tuple[int, str]] = ()
        self._loudspeaker: Loudspeaker | None = None

    async def open(self) -> None:
        """Opens the files. Raises InputError for what cannot be read, StorageError for what cannot be written."""
        raise NotImplementedError

    async def _open(self, sound: Iterator[Pcm] | None, frames: Iterator[VideoFrame] | None) -> None:
        """Begins to decode, and finds out whether it can."""
        try:
            if sound is not None:
                self._sound = Ahead(sound, "link-sound", batches=4, batch=25)
                await self._sound.prime()
            if frames is not None:
                self._frames = Ahead(frames, "link-frames", batches=4)
                await self._frames.prime()
            self._loudspeaker = Loudspeaker(self._out, self._mix)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stops and finishes the written files. Raises StorageError where not all could be written."""
        self._over = True
        for ahead in (self._sound, self._frames):
            if ahead is not None:
                ahead.close()
        self._sound = self._frames = None
        loudspeaker, self._loudspeaker = self._loudspeaker, None
        if loudspeaker is not None:
            loudspeaker.close()

    async def microphone(self) -> AsyncIterator[AudioChunk]:
        """Gives the recording, then the tail of silence: a live microphone does not end with the speech."""
        start, left = 0, self._tail
        while not self._over:
            pcm = await self._sound.get() if self._sound is not None and not self.finished else None
            if pcm is None:
                self.finished = True
                if left == 0:
                    break
                left -= 1
            await self._until((start + CHUNK_SAMPLES) / SAMPLE_RATE)
            if pcm is not None:
                self.content_s = (start + CHUNK_SAMPLES) / SAMPLE_RATE
            chunk = AudioChunk(_SILENCE if pcm is None or self._private else pcm, start)
            if self._loudspeaker is not None:
                self._loudspeaker.advance(chunk)
            yield chunk
            start = chunk.end
        self._over = True

    async def camera(self) -> AsyncIterator[VideoFrame]:
        """Gives the pictures at their times; after the last one, where it is held, the same pixels again and again."""
        self._now()
        last: VideoFrame | None = None
        while self._frames is not None:
            frame = await self._frames.get()
            if frame is None:
                if last is None or not self._hold:
                    return
                frame = replace(last, t_ns=last.t_ns + 1_000_000_000 // STILL_FPS, index=last.index + 1)
            last = frame
            await self._until(frame.t_ns / 1e9)
            if self._over:
                return
            if not self._private:
                yield frame

    async def taps(self) -> AsyncIterator[str]:
        """Gives the recorded taps at their times; there are none in sound and pictures alone."""
        for t_ns, name in self._taps:
            await self._until(t_ns / 1e9)
            yield name

    async def conditions(self) -> AsyncIterator[Condition]:
        """Says once how they are: there."""
        yield Condition(sink_delay_s=self.sink_delay_s)

    def play(self, pcm: Pcm) -> None:
        """Puts the sound on the loudspeaker's timeline, now or behind what plays."""
        if self._loudspeaker is None:
            raise LinkError(f"{self.uri}: not open")
        self._loudspeaker.timeline.play(pcm, self._now())

    def flush(self) -> int:
        """Takes back what lies in the future; gives the number of samples."""
        return self._loudspeaker.timeline.flush(self._now()) if self._loudspeaker is not None else 0

    def privacy(self, on: bool) -> None:
        """While on, the microphone gives silence and the camera nothing; the recording runs on, as the world does."""
        self._private = on

    def snap(self) -> None:
        """Nothing: every picture is at its best."""

    def tell(self, event: Event) -> None:
        """Nothing: a file has no lights."""

    def _now(self) -> int:
        """Media time in samples."""
        now = asyncio.get_running_loop().time()
        if self.t0 is None:
            self.t0 = now
        return round((now - self.t0) * SAMPLE_RATE)

    async def _until(self, seconds: float) -> None:
        self._now()
        assert self.t0 is not None
        await until(self.t0 + seconds)
