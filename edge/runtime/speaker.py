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
REWIND_CHUNKS = 100
"""Chunks that a paused reply can be taken back by: no link holds more than two seconds."""


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
        self.silent = False
        """Whether it was played where there is no loudspeaker."""
        self.on_first: Callable[[], None] | None = None
        self._bound = bound
        self._chunks: deque[Pcm] = deque()
        self._waiting = 0
        self._written = 0
        self._closed = False
        self._changed = asyncio.Event()
        self._handed: deque[Pcm] = deque()
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

    async def room(self) -> None:
        """Waits while the queue is full."""
        while self._waiting >= self._bound and not self.cut:
            await self.changed()

    def put(self, chunk: SpeechChunk) -> None:
        """Takes the next piece of speech without waiting, past the bound; what comes after a cut is dropped."""
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
        """The text whose words were wholly played; none of it where nobody could hear them."""
        return "" if self.silent else heard(self._utterances, self.played)

    @property
    def waiting(self) -> int:
        """Samples that wait to be taken."""
        return self._waiting

    async def more(self) -> bool:
        """Waits until there is something to take; False at the end."""
        while not self._waiting:
            if self._closed or self.cut:
                return False
            await self.changed()
        return True

    async def changed(self) -> None:
        """Waits until something was put, taken, cut, or poked."""
        self._changed.clear()
        await self._changed.wait()

    def poke(self) -> None:
        """Lets whoever waits look again."""
        self._changed.set()

    def take(self, size: int) -> Pcm:
        """Gives up to ``size`` samples of those that wait; they count as played."""
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
        self.played += len(taken)
        self._handed.append(taken)
        while len(self._handed) > REWIND_CHUNKS:
            self._handed.popleft()
        return taken

    def rewind(self, count: int) -> None:
        """Takes back the newest ``count`` samples that were taken: nobody has heard them. At most the last two seconds."""
        while count > 0 and self._handed and not self.cut:
            last = self._handed.pop()
            if len(last) > count:
                self._handed.append(last[:-count])
                last = last[-count:]
            count -= len(last)
            self.played -= len(last)
            self._waiting += len(last)
            self._chunks.appendleft(last)
        self._changed.set()

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
        self.sink_delay_s = sink_delay_s
        """Seconds from ``play`` until the sound is heard."""
        self.silent = False
        """Whether there is no loudspeaker. What is played keeps its pace, for those who read along."""
        self._play = play
        self._flush = flush
        self._queue: Channel[Playback] = Channel("speaker", 8)
        self._current: Playback | None = None
        self._holds: set[str] = set()

    @property
    def queue(self) -> Channel[Playback]:
        """What waits to be played."""
        return self._queue

    @property
    def waiting_s(self) -> float:
        """Seconds of sound that are made and not played."""
        return self._current.waiting / SAMPLE_RATE if self._current is not None else 0.0

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

    def hold(self, why: str) -> None:
        """Falls silent, at once; what was not heard is played after ``release``. Several may hold, each by its own name."""
        if not self._holds and self._current is not None:
            self._current.rewind(self._flush())
        self._holds.add(why)

    def release(self, why: str) -> None:
        """Goes on, once nobody holds any more."""
        self._holds.discard(why)
        if self._current is not None:
            self._current.poke()

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
        while not playback.cut:
            if self._holds:
                await playback.changed()
                due = -1.0
                continue
            if not await playback.more():
                # The last sample was handed over, not heard: until it is, a hold can take it back.
                if await self._heard_out(playback, due):
                    break
                continue
            if self._holds or playback.cut:
                continue
            pcm = playback.take(CHUNK_SAMPLES)
            now = loop.time()
            if due < now - LEAD * CHUNK_S:  # the start, or the voice fell behind: a new timeline begins now
                due = now
            if playback.first_at is None:
                playback.first_at = now + self.sink_delay_s
                playback.silent = self.silent
                if playback.on_first is not None:
                    playback.on_first()
            self._play(pcm if len(pcm) == CHUNK_SAMPLES else np.pad(pcm, (0, CHUNK_SAMPLES - len(pcm))))
            due += len(pcm) / SAMPLE_RATE
            wait = due - LEAD * CHUNK_S - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)

    async def _heard_out(self, playback: Playback, due: float) -> bool:
        """Waits until the last sample was heard; False when a hold took some back first."""
        loop = asyncio.get_running_loop()
        while not (self._holds or playback.waiting or playback.cut) and due > 0:
            left = due + self.sink_delay_s - loop.time()
            if left <= 0:
                break
            try:
                async with asyncio.timeout(left):
                    await playback.changed()
            except TimeoutError:
                break
        return not (self._holds or playback.waiting)
