"""The way of one connection's sound: packets, jitter buffer, chunks in the wearer's media time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict

from edge.clock import MediaClock
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk
from phone_bridge.jitter import JitterBuffer, PacketDecoder

REST_S = 1.0
"""After a longer rest the device's count of samples is not believed: a phone that paused its microphone did not count."""


LAG_S = 0.1
"""A timer that runs so late was held up by this process: what came meanwhile waits in the socket."""
CATCH_UP_S = 0.1
"""How long that may take to be read before it counts as missing. Pictures lie between the packets of sound."""


class Ear:
    """Takes the packets of one connection at a time and gives chunks as soon as their sound is known.

    Media time never jumps back. After ``pause``, and after any rest, it jumps forward to where the loop's clock says it is.
    """

    def __init__(self, decoder: PacketDecoder, clock: MediaClock, give: Callable[[AudioChunk], None]) -> None:
        self.jitter = JitterBuffer(decoder)
        self.heard = False
        """Whether anything came since the last ``pause``."""
        self._clock = clock
        self._give = give
        self._loop = asyncio.get_running_loop()
        self._newest = float("-inf")
        """When the newest packet came."""
        self._timer: asyncio.TimerHandle | None = None
        self._catching_up_until = float("-inf")

    def packet(self, sequence: int, timestamp: int, payload: bytes) -> None:
        """Takes the next RTP packet, now."""
        at = self._loop.time()
        self.heard = True
        if at - self._newest > REST_S and not self._lagged(at):
            now = self._clock.media_ns(at) * SAMPLE_RATE // 1_000_000_000
            self.jitter.rebase(max(self.jitter.position, now - CHUNK_SAMPLES))
        self._newest = at
        self._hand_on(self.jitter.put(sequence, timestamp, payload, at), at)

    def pause(self) -> None:
        """Expects nothing until the next packet, which may come after a long time, or from another connection."""
        self._newest = float("-inf")
        self.heard = False
        if self._timer is not None:
            self._timer.cancel()

    def counters(self) -> dict[str, int | float]:
        """Gives the figures for a dashboard: what happened to the packets, and how long a missing one is waited for now."""
        return {**asdict(self.jitter.counters), "jitter_ms": round(self.jitter.delay_s * 1000, 1)}

    def _hand_on(self, chunks: list[AudioChunk], at: float) -> None:
        for chunk in chunks:
            self._clock.arrived(chunk.end, at)
            self._give(chunk)
        if self._timer is not None:
            self._timer.cancel()
        due = self.jitter.due()
        # A deadline that has passed is tried again a little later, never in a ring.
        earliest = max(at + 0.001, self._catching_up_until)
        self._timer = self._loop.call_at(max(due, earliest), self._late) if due is not None else None

    def _late(self) -> None:
        at = self._loop.time()
        self._hand_on([] if self._lagged(at) else self.jitter.late(at), at)

    def _lagged(self, at: float) -> bool:
        """Whether it was this process that stood still, not the sender: the timer that was due has not run."""
        if self._timer is not None and not self._timer.cancelled() and at - self._timer.when() > LAG_S:
            self._catching_up_until = at + CATCH_UP_S
        return at < self._catching_up_until
