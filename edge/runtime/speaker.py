"""The speaker queue: bounded, flushable, and it knows to the sample what was played.

The voice runs ahead of the loudspeaker by up to the queue's bound, on this side of the radio, where it can be dropped. The
glasses are given at most ``LEAD`` chunks more than they can have played, so that a flush leaves nothing to hear.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import numpy as np

from edge.channel import Channel
from edge.policy.heard import Utterance, heard
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, Pcm, SpeechChunk, WordMark

CHUNK_S = CHUNK_SAMPLES / SAMPLE_RATE
LEAD = 1
"""Chunks that the glasses may hold unplayed: one rides out a late wake-up of the loop."""


class Playback:
    """The sound of one reply, on its way from the voice to the loudspeaker.

    Utterances are added in order; ``add`` waits while ``bound`` samples are unplayed. Nothing is audible until the speaker
    is given the playback.
    """

    def __init__(self, bound: int) -> None:
        self.first_at: float | None = None
        """Loop time at which the first sample can be heard, the sink's delay included."""
        self.played = 0
        """Samples that were really played."""
        self.finished = asyncio.Event()
        """Set when the last sample was heard, or the playback was cut."""
        self.cut = False
        self.on_first: Callable[[], None] | None = None
        self._bound = bound
        self._chunks: deque[Pcm] = deque()
        self._waiting = 0
        self._written = 0
        self._closed = False
        self._changed = asyncio.Event()
        self._utterances: list[Utterance] = []
        self._marks: list[WordMark] = []

    @property
    def written(self) -> int:
        """Samples that were added."""
        return self._written

    def begin(self) -> None:
        """The next chunks are a new utterance: their word marks count from here."""
        self._marks = []
        self._utterances.append(Utterance(self._marks, self._written))

    async def add(self, chunk: SpeechChunk) -> None:
        """Takes the next piece of speech; waits while the queue is full. What comes after a cut is dropped."""
        while self._waiting >= self._bound and not self.cut:
            self._changed.clear()
            await self._changed.wait()
        self.put(chunk)

    def put(self, chunk: SpeechChunk) -> None:
        """Takes a short sound without waiting, past the bound."""
        if self.cut:
            return
        self._marks.extend(chunk.words)
        self._chunks.append(chunk.pcm)
        self._waiting += len(chunk.pcm)
        self._written += len(chunk.pcm)
        self._changed.set()

    def close(self) -> None:
        """Nothing more will be added."""
        self._closed = True
        self._changed.set()

    def heard(self) -> str:
        """The text whose words were wholly played."""
        return heard(self._utterances, self.played)

    async def take(self, size: int) -> Pcm | None:
        """Gives up to ``size`` samples, waiting for the first; None at the end."""
        while not self._waiting:
            if self._closed or self.cut:
                return None
            self._changed.clear()
            await self._changed.wait()
        parts: list[Pcm] = []
        while size and self._chunks:
            head = self._chunks.popleft()
            if len(head) > size:
                self._chunks.appendleft(head[size:])
                head = head[:size]
            parts.append(head)
            size -= len(head)
        taken = np.concatenate(parts)
        self._waiting -= len(taken)
        self._changed.set()
        return taken

    def stop(self) -> None:
        """Drops what waits."""
        self.cut = True
        self._chunks.clear()
        self._waiting = 0
        self._changed.set()
        self.finished.set()


class Speaker:
    """Plays playbacks one after the other, 20 ms at a time, on the loop's clock.

    ``play`` hands 320 samples to the link; ``flush`` asks it to drop what nobody can have heard and gives that number.
    """

    def __init__(self, play: Callable[[Pcm], None], flush: Callable[[], int], *, sink_delay_s: float = 0.0) -> None:
        self._play = play
        self._flush = flush
        self._sink_delay = sink_delay_s
        self._queue: Channel[Playback] = Channel("speaker", 8)
        self._current: Playback | None = None

    @property
    def queue(self) -> Channel[Playback]:
        """What waits to be played."""
        return self._queue

    def give(self, playback: Playback) -> bool:
        """Queues a playback; False, and it is cut, when too many wait."""
        if self._queue.closed or not self._queue.send_nowait(playback):
            playback.stop()
            return False
        return True

    def flush(self) -> None:
        """Cuts what plays and what waits, at once."""
        if self._current is not None:
            self._current.played -= min(self._flush(), self._current.played)
            self._current.stop()
        for waiting in self._queue.flush():
            waiting.stop()

    async def run(self) -> None:
        """Plays until the queue is closed."""
        async for playback in self._queue:
            if playback.cut:
                continue
            self._current = playback
            try:
                await self._play_out(playback)
            finally:
                self._current = None
                playback.finished.set()

    async def _play_out(self, playback: Playback) -> None:
        loop = asyncio.get_running_loop()
        due = -1.0
        while True:
            pcm = await playback.take(CHUNK_SAMPLES)
            if playback.cut or pcm is None:
                break
            now = loop.time()
            if due < now - LEAD * CHUNK_S:  # the start, or the voice fell behind: a new timeline begins now
                due = now
            if playback.first_at is None:
                playback.first_at = now + self._sink_delay
                if playback.on_first is not None:
                    playback.on_first()
            self._play(pcm if len(pcm) == CHUNK_SAMPLES else np.pad(pcm, (0, CHUNK_SAMPLES - len(pcm))))
            playback.played += len(pcm)
            due += len(pcm) / SAMPLE_RATE
            wait = due - LEAD * CHUNK_S - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
        if not playback.cut and due > 0:
            await asyncio.sleep(max(0.0, due + self._sink_delay - loop.time()))
