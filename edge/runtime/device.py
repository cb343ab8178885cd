"""The session's end of a link: its streams into bounded channels, its clock, and a copy of everything for the recording."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from edge.channel import Channel, Overflow
from edge.clock import MediaClock
from edge.errors import LinkError
from edge.events import Event
from edge.policy.echo import Loudspeakers, Reference
from edge.ports import Link
from edge.values import NS_PER_SAMPLE, AudioChunk, Condition, Pcm, VideoFrame, samples


class Recording(Protocol):
    """What a session needs of a recorder. Nothing here waits."""

    def event(self, event: Event) -> None:
        """Takes an event."""

    def sound(self, chunk: AudioChunk) -> None:
        """Takes sound from the microphone."""

    def played(self, pcm: Pcm, start: int) -> None:
        """Takes sound that went to the loudspeaker, with its media time in samples."""

    def frame(self, frame: VideoFrame) -> None:
        """Takes a picture; the recorder decides how many it keeps."""

    def tap(self, name: str, t_ns: int) -> None:
        """Takes a touch."""

    def photo(self, frame: VideoFrame) -> str:
        """Keeps a picture for certain; gives its name in the bundle, empty where it could not."""


EARLY_S = 0.2
"""How much earlier than its sound the canceller's reference is placed: AEC3 finds an echo up to 0.4 s after its reference, and
none before it, and the sink's delay is not known to the millisecond."""


MICROPHONE = 250
"""Chunks of sound that may wait. Hearing is faster than speaking: what waits is soon heard, and what is lost never."""


class Device:
    """A link as the session sees it. Microphone: five seconds wait at most. Camera: the two newest pictures."""

    def __init__(
        self,
        link: Link,
        *,
        tapped: Callable[[str], None],
        changed: Callable[[Condition], None],
        lost: Callable[[LinkError], None],
    ) -> None:
        self.link = link
        self.captured = link.captured
        """Whether the link writes down what it carries."""
        self.recording: Recording | None = None
        self.microphone: Channel[AudioChunk] = Channel("microphone", MICROPHONE, Overflow.DROP_OLDEST)
        self.camera: Channel[VideoFrame] = Channel("camera", 2, Overflow.DROP_OLDEST)
        self.condition = Condition(sink_delay_s=link.sink_delay_s)
        """How the glasses are."""
        self._glasses, self._aside = Reference(), Reference()
        self.reference = Loudspeakers(self._glasses, self._aside)
        """What they play, and the loudspeaker turned to somebody else, on the microphone's media time."""
        self._tapped = tapped
        self._changed = changed
        self._tell_lost = lost
        self._lost = False
        self._clock = MediaClock(math.inf)  # not begun: now is 0

    def start(self) -> None:
        """Media time begins, until the first sound says more exactly when it did."""
        self._clock = MediaClock(asyncio.get_running_loop().time())

    def now_ns(self) -> int:
        """Media time now."""
        return self._clock.media_ns(asyncio.get_running_loop().time())

    def loop_time(self, sample: int) -> float:
        """When a sample was captured, on the loop's clock."""
        return self._clock.loop_time(sample)

    async def listen(self) -> None:
        """Pumps the microphone until it ends, then closes its channel."""
        try:
            await self._linked(self._pump_microphone())
        finally:
            self.microphone.close()

    async def look(self) -> None:
        """Pumps the camera until it ends."""
        await self._linked(self._pump_camera())

    async def feel(self) -> None:
        """Pumps the taps until they end."""
        await self._linked(self._pump_taps())

    async def attend(self) -> None:
        """Pumps the conditions until they end."""
        await self._linked(self._pump_conditions())

    def play(self, pcm: Pcm) -> None:
        """Hands 20 ms to the loudspeaker."""
        now = self.now_ns() // NS_PER_SAMPLE
        self._glasses.played(pcm, now + samples(max(0.0, self.condition.sink_delay_s - EARLY_S)))
        if self.recording is not None:
            self.recording.played(pcm, now)
        self.link.play(pcm)

    def flush(self) -> int:
        """Drops what the loudspeaker was given and nobody can have heard; gives the number of samples."""
        self._glasses.flushed(self.now_ns() // NS_PER_SAMPLE)
        return self.link.flush()

    def play_aside(self, pcm: Pcm) -> None:
        """Hands 20 ms to the loudspeaker that is turned to somebody else; where there is none any more they are lost."""
        if (aside := self.link.aside) is not None:
            now = self.now_ns() // NS_PER_SAMPLE
            self._aside.played(pcm, now + samples(max(0.0, aside.sink_delay_s - EARLY_S)))
            aside.play(pcm)

    def flush_aside(self) -> int:
        """The same as ``flush``, of the other loudspeaker."""
        self._aside.flushed(self.now_ns() // NS_PER_SAMPLE)
        return aside.flush() if (aside := self.link.aside) is not None else 0

    async def _linked(self, pump: Coroutine[Any, Any, None]) -> None:
        """Runs one stream of the link. All of them break together, which is told once."""
        try:
            await pump
        except LinkError as error:
            if not self._lost:
                self._lost = True
                self._tell_lost(error)

    async def _pump_microphone(self) -> None:
        loop = asyncio.get_running_loop()
        async for chunk in self.link.microphone():
            self._clock.arrived(chunk.end, loop.time())
            if self.recording is not None:
                self.recording.sound(chunk)
            self.microphone.send_nowait(chunk)

    async def _pump_camera(self) -> None:
        async for frame in self.link.camera():
            if self.recording is not None:
                self.recording.frame(frame)
            self.camera.send_nowait(frame)

    async def _pump_conditions(self) -> None:
        async for condition in self.link.conditions():
            self._changed(condition)

    async def _pump_taps(self) -> None:
        async for name in self.link.taps():
            if self.recording is not None:
                self.recording.tap(name, self.now_ns())
            self._tapped(name)
