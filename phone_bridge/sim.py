"""Glasses in memory, played from a score: the other end of every runtime test and of the bench.

::

    glasses = SimGlasses(Network(loss=0.02, delay=0.05, jitter=0.02, seed=7))
    glasses.see(sign)
    end = glasses.say(question, at=0.5)
    glasses.tap(at=end + 3)
    glasses.end(at=12)
    ...                                   # a session runs over it
    reply = glasses.heard_runs[0]         # AudioChunk: when it began, and its samples
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np

from edge.channel import Channel
from edge.errors import LinkError
from edge.events import Event
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Condition, Pcm, Pixels, VideoFrame, samples
from phone_bridge.ahead import until
from phone_bridge.room import Room
from phone_bridge.timeline import Timeline

_SILENCE = np.zeros(CHUNK_SAMPLES, np.int16)
_SILENCE.setflags(write=False)


@dataclass(frozen=True, slots=True)
class Network:
    """What lies between the glasses and the session. The same seed gives the same pattern.

    Sound keeps its order and its media time: a lost chunk is replaced by silence when it would have come, as a receiver
    conceals it, and counted in ``SimGlasses.lost_chunks``. A lost picture does not come. Taps and the way to the loudspeaker
    are delayed, without jitter and loss: links send them reliably.
    """

    loss: float = 0.0
    """Share of the chunks, and of the pictures, that is lost, 0 to 1."""
    delay: float = 0.0
    """Seconds one way."""
    jitter: float = 0.0
    """Seconds: up to this is added to the delay of each chunk and each picture."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.loss <= 1 or self.delay < 0 or self.jitter < 0:
            raise ValueError(f"not a network: {self}")


class SimGlasses:
    """In-memory glasses. Times are seconds of media time; zero is the first use of a stream, or of ``play``.

    The score (``say``, ``see``, ``tap``, ``disconnect``, ``end``) is written before the session or while it runs. Without
    ``end`` or ``disconnect`` the microphone never ends. The loudspeaker remembers its last ``memory`` seconds. With a ``room``
    the microphone hears the loudspeaker.
    """

    def __init__(
        self,
        network: Network | None = None,
        *,
        fps: float = 5.0,
        memory: float = 3600.0,
        room: Room | None = None,
        uri: str = "sim:",
        aside: bool = False,
    ) -> None:
        """``aside`` gives them a second loudspeaker, turned to whom the wearer talks with."""
        self.uri = uri
        self.network = network or Network()
        self.sink_delay_s = self.network.delay
        self.captured = False
        self.aside = SimAside(self) if aside else None
        self.t0: float | None = None
        """Media time zero on the loop's clock; None before the first use."""
        self.private = False
        """Whether the session switched microphone and camera off."""
        self.lost_chunks = 0
        self.lost_frames = 0
        self._fps = fps
        self._room = room
        self._memory = samples(memory)
        self._said: list[AudioChunk] = []
        self._seen: list[tuple[float, Pixels | None]] = []
        self._calls: list[tuple[float, str]] = []
        self._taps: Channel[str] = Channel("taps", 64)
        self._conditions: Channel[Condition] = Channel("conditions", 64)
        self._away = False
        self._captured = 0
        self._end: int | None = None
        self._gone = False
        self._over = False
        self._timeline = Timeline()

    # The score.

    def say(self, pcm: Pcm, at: float | None = None) -> float:
        """Lets somebody speak from ``at`` on, or now; gives the second at which it ends. Sounds that overlap are added."""
        start = self._captured if at is None else samples(at)
        if start < self._captured:
            raise ValueError(f"{at} s is past: the microphone has given {self._captured / SAMPLE_RATE:.2f} s")
        self._said.append(AudioChunk(pcm, start))
        return (start + len(pcm)) / SAMPLE_RATE

    def see(self, pixels: Pixels | None, at: float | None = None) -> None:
        """Holds a picture before the camera from ``at`` on, or now; None covers the lens: no pictures come."""
        self._seen.append((self.now() if at is None else at, pixels))
        self._seen.sort(key=lambda entry: entry[0])

    def tap(self, at: float | None = None, name: str = "tap") -> None:
        """Touches the glasses at ``at``, or now: ``tap``, ``double_tap``, ``hold`` or ``release``."""
        self._call(at, name)

    def leave(self, at: float | None = None) -> None:
        """Goes out of reach at ``at``, or now: nothing is heard, seen, played or touched until ``come_back``."""
        self._call(at, "leave")

    def come_back(self, at: float | None = None) -> None:
        """Is in reach again at ``at``, or now."""
        self._call(at, "come_back")

    def disconnect(self, at: float | None = None) -> None:
        """Loses the glasses at ``at``, or now: every stream raises LinkError."""
        self._call(at, "disconnect")

    def end(self, at: float) -> None:
        """Ends the microphone at ``at``, and with it the session."""
        self._end = samples(at)

    # What came back.

    @property
    def heard(self) -> Pcm:
        """What the loudspeaker played, from media time zero to its last sample; silence where nothing played."""
        return _whole(self._timeline)

    @property
    def heard_runs(self) -> tuple[AudioChunk, ...]:
        """The stretches of sound that the loudspeaker played, with their media times."""
        return self._timeline.runs()

    def now(self) -> float:
        """Media time in seconds; 0 before the session."""
        return 0.0 if self.t0 is None else asyncio.get_running_loop().time() - self.t0

    async def until(self, seconds: float) -> None:
        """Waits until a media time."""
        await until(self._start() + seconds)

    async def replied(self, quiet: float = 0.5, patience: float = 30.0) -> AudioChunk:
        """Waits for a reply: sound that begins after this call, then ``quiet`` seconds of silence; gives its last run.

        Raises TimeoutError after ``patience`` seconds.
        """
        before = self._timeline.end
        async with asyncio.timeout(patience):
            while self._timeline.end <= before or self.now() < self._timeline.end / SAMPLE_RATE + quiet:
                await until(self._start() + self.now() + 0.02)
        return self.heard_runs[-1]

    # The link.

    async def open(self) -> None:
        """Connects at once."""

    async def close(self) -> None:
        """Disconnects: the streams end."""
        self._over = True
        self._taps.close()
        self._conditions.close()

    async def microphone(self) -> AsyncIterator[AudioChunk]:
        """Gives the score's sound. Raises LinkError once the glasses are gone."""
        network, origin = self.network, self._start()
        random = np.random.default_rng([network.seed, 0])
        while not self._over and (self._end is None or self._captured + CHUNK_SAMPLES <= self._end):
            lost, jitter = random.random(2)
            await until(origin + (self._captured + CHUNK_SAMPLES) / SAMPLE_RATE + network.delay + network.jitter * jitter)
            self._check()
            chunk = AudioChunk(self._record(), self._captured)
            self._captured = chunk.end
            if lost < network.loss:
                self.lost_chunks += 1
                chunk = AudioChunk(np.zeros_like(chunk.pcm), chunk.start)
            if not self._away:
                yield chunk
        self._over = True
        self._taps.close()
        self._conditions.close()

    async def camera(self) -> AsyncIterator[VideoFrame]:
        """Gives what the score shows, ``fps`` times a second. Raises LinkError once the glasses are gone."""
        network, origin = self.network, self._start()
        random = np.random.default_rng([network.seed, 1])
        tick = index = 0
        while not self._over and (self._end is None or tick / self._fps < self._end / SAMPLE_RATE):
            t = tick / self._fps
            tick += 1
            lost, jitter = random.random(2)
            await until(origin + t + network.delay + network.jitter * jitter)
            self._check()
            while len(self._seen) > 1 and self._seen[1][0] <= t:
                self._seen.pop(0)
            pixels = self._seen[0][1] if self._seen and self._seen[0][0] <= t else None
            if pixels is None or self.private or self._away or self._over:
                continue
            if lost < network.loss:
                self.lost_frames += 1
                continue
            yield VideoFrame(pixels, round(t * 1e9), index)
            index += 1

    async def taps(self) -> AsyncIterator[str]:
        """Gives the score's taps. Raises LinkError once the glasses are gone."""
        self._start()
        async for name in self._taps:
            yield name

    async def conditions(self) -> AsyncIterator[Condition]:
        """Says that they are there, with the network's delay, and when the score takes them out of reach."""
        self._start()
        yield Condition(sink_delay_s=self.sink_delay_s)
        async for condition in self._conditions:
            yield condition

    def play(self, pcm: Pcm) -> None:
        """Puts the sound on the loudspeaker's timeline; glasses that are gone play nothing."""
        if not self._gone and not self._away:
            self._timeline.play(pcm, self._at_the_ear())
            self._timeline.forget(self._timeline.end - self._memory)

    def flush(self) -> int:
        """Takes back what lies in the future; what is on its way through the network is heard."""
        return self._timeline.flush(self._at_the_ear())

    def privacy(self, on: bool) -> None:
        """While on, the microphone gives silence and the camera nothing."""
        self.private = on

    def snap(self) -> None:
        """Nothing: every picture is at its best."""

    def tell(self, event: Event) -> None:
        """Nothing: they have no lights."""

    def _at_the_ear(self) -> int:
        """Media time in samples at which something that is sent now arrives."""
        self._start()
        return samples(self.now() + self.network.delay)

    def _start(self) -> float:
        if self.t0 is None:
            self.t0 = asyncio.get_running_loop().time()
            for at, name in self._calls:
                self._schedule(at, name)
            self._calls.clear()
        return self.t0

    def _call(self, at: float | None, name: str) -> None:
        when = self.now() if at is None else at
        if self.t0 is None:
            self._calls.append((when, name))
        else:
            self._schedule(when, name)

    def _schedule(self, at: float, name: str) -> None:
        assert self.t0 is not None
        late = 0.0 if name == "disconnect" else self.network.delay
        asyncio.get_running_loop().call_at(self.t0 + at + late, self._happen, name)

    def _happen(self, name: str) -> None:
        if self._taps.closed:
            return
        if name == "disconnect":
            self._gone = True
            self._taps.close(LinkError(f"{self.uri}: the glasses went away"))
            self._conditions.close()
        elif name in ("leave", "come_back"):
            self._away = name == "leave"
            self._conditions.send_nowait(Condition(present=not self._away, sink_delay_s=self.sink_delay_s))
        elif not self._away:
            self._taps.send_nowait(name)

    def _check(self) -> None:
        if self._gone:
            raise LinkError(f"{self.uri}: the glasses went away")

    def _record(self) -> Pcm:
        """Mixes the next chunk of the score, and what comes back from the loudspeaker."""
        if (not self._said and self._room is None) or self.private:
            self._said = [said for said in self._said if said.end > self._captured + CHUNK_SAMPLES]
            return _SILENCE
        start, end = self._captured, self._captured + CHUNK_SAMPLES
        air = np.zeros(CHUNK_SAMPLES)
        if self._room is not None:
            air += self._room.heard(self._timeline.between(start - self._room.memory, end), start)
        for said in self._said:
            a, b = max(start, said.start), min(end, said.end)
            if a < b:
                air[a - start : b - start] += said.pcm[a - said.start : b - said.start]
        self._said = [said for said in self._said if said.end > end]
        mixed: Pcm = np.clip(np.round(air), -32768, 32767).astype(np.int16)
        return mixed


class SimAside:
    """A loudspeaker beside the glasses, on their media time."""

    def __init__(self, glasses: SimGlasses) -> None:
        self.present = True
        """Whether somebody is there to hear it; what is played while nobody is, is lost."""
        self.sink_delay_s = glasses.network.delay
        self._glasses = glasses
        self._timeline = Timeline()

    @property
    def heard(self) -> Pcm:
        """What it played, from media time zero to its last sample; silence where nothing played."""
        return _whole(self._timeline)

    @property
    def heard_runs(self) -> tuple[AudioChunk, ...]:
        """The stretches of sound that it played, with their media times."""
        return self._timeline.runs()

    def play(self, pcm: Pcm) -> None:
        """Puts the sound on its timeline."""
        if self.present:
            self._timeline.play(pcm, samples(self._glasses.now() + self.sink_delay_s))

    def flush(self) -> int:
        """Takes back what lies in the future."""
        return self._timeline.flush(samples(self._glasses.now() + self.sink_delay_s))


def _whole(timeline: Timeline) -> Pcm:
    sound = np.zeros(timeline.end, np.int16)
    for run in timeline.runs():
        sound[run.start : run.end] = run.pcm
    return sound
