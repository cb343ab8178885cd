"""Sound to a WebRTC peer: a packet of Opus every 20 ms, at once where there is something to say.

aiortc takes packets that are encoded already as they are, without its resampler, its 48 kHz stereo and its thread.

Timestamps follow the loop's clock: packet n is due 20 ms after packet n - 1, counted from the first and not from the last, so
that no error adds up. Silence goes out when it is due. The first sound after silence goes out at once, up to 20 ms before it is
due, and the sound after it keeps that lead, so that its packets lie 20 ms apart. A late wake-up is made good at double pace;
after a longer one the timestamps leave a gap, as a pause in the sending would (RFC 7587 section 4.2): the receiver plays on
without delay, and of the sound nothing is dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, Pcm
from phone_bridge.jitter import RTP_RATE
from phone_bridge.opus import Encoder

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

STEP = CHUNK_SAMPLES * RTP_RATE // SAMPLE_RATE
"""Ticks a packet lasts."""
STEP_S = CHUNK_SAMPLES / SAMPLE_RATE
MAX_QUEUED = 100
"""Chunks that may wait; the oldest gives way. The speaker queue leads by one."""
MAX_BEHIND_S = 3 * STEP_S
"""A delay up to this is made good, with sound, at double pace: receivers hold about so much."""
_TIME_BASE = Fraction(1, RTP_RATE)


class PlayoutTrack(MediaStreamTrack):
    """The sound track of one connection, from which aiortc's sender takes packets; it ends with that sender.

    The true RTP timestamps begin at a random number of the sender's; ``phone_bridge.seams.SentTimes`` reads them off the wire.
    """

    kind = "audio"

    def __init__(self, encoder: Encoder | None = None, *, on_sent: Callable[[int, float], None] | None = None) -> None:
        """Takes an encoder over, or makes one, and closes it in ``stop``. Raises EngineMissing."""
        super().__init__()
        self.on_sent = on_sent
        """Gets the pts of each packet, in ticks from the first one's, and the loop time at which it was given to aiortc."""
        self.dropped = 0
        """Chunks that found too many waiting."""
        self._encoder = encoder if encoder is not None else Encoder()
        self._chunks: deque[Pcm] = deque()
        self._played = asyncio.Event()
        self._epoch: float | None = None
        """When the packet with timestamp zero was due."""
        self._pts = 0
        """Of the next packet."""
        self._sent_at = 0.0
        self._sounding = False
        """Whether the last packet had sound in it."""
        self._lead_s = 0.0

    @property
    def queued(self) -> int:
        """Samples that wait to be sent."""
        return len(self._chunks) * CHUNK_SAMPLES

    def play(self, pcm: Pcm) -> None:
        """Takes the next 320 samples. Never waits; what comes after the end is dropped.

        Raises ValueError for any other number of samples.
        """
        if pcm.shape != (CHUNK_SAMPLES,):
            raise ValueError(f"a chunk is {CHUNK_SAMPLES} samples, not {pcm.shape}")
        if self.readyState != "live":
            return
        if len(self._chunks) >= MAX_QUEUED:
            self._chunks.popleft()
            self.dropped += 1
        self._chunks.append(pcm)
        self._played.set()

    def flush(self) -> int:
        """Drops what was not sent; gives the number of samples dropped."""
        dropped = self.queued
        self._chunks.clear()
        return dropped

    async def recv(self) -> Packet[Stream]:
        """Gives the next packet when its time has come. Raises MediaStreamError at the end."""
        loop = asyncio.get_running_loop()
        while self.readyState == "live":
            now = loop.time()
            due = self._due(now)
            if due <= now:
                return self._next(now)
            self._played.clear()
            try:
                async with asyncio.timeout_at(due):
                    await self._played.wait()
            except TimeoutError:
                pass
        raise MediaStreamError

    def stop(self) -> None:
        """Ends the track and frees its encoder; a second call changes nothing."""
        super().stop()
        self.flush()
        self._encoder.close()
        self._played.set()

    def _due(self, now: float) -> float:
        """Loop time at which the next packet is to go out, as things are."""
        if self._epoch is None:
            self._epoch = now
        due = self._epoch + self._pts / RTP_RATE
        if not self._chunks:
            return due
        return max(due - self._lead_s, self._sent_at + STEP_S / 2) if self._sounding else now

    def _next(self, now: float) -> Packet[Stream]:
        from av import Packet

        assert self._epoch is not None  # `_due` has set it
        sound = bool(self._chunks)
        behind = now - self._epoch - self._pts / RTP_RATE
        if behind > (MAX_BEHIND_S if sound else STEP_S):
            self._pts += int(behind / STEP_S) * STEP
        if sound and not self._sounding:
            self._lead_s = max(0.0, -behind)
        self._sounding = sound
        self._sent_at = now
        packet = Packet(self._encoder.encode(self._chunks.popleft() if sound else _SILENCE))
        packet.pts, packet.time_base = self._pts, _TIME_BASE
        if self.on_sent is not None:
            self.on_sent(self._pts, now)
        self._pts += STEP
        return packet


_SILENCE = np.zeros(CHUNK_SAMPLES, np.int16)
