"""From RTP packets of Opus as the network brings them to steady chunks of sound: in order, each sample once, losses repaired.

Nothing is held back while nothing is missing. A packet is waited for by what its lack says. Where later ones have come it is
lost or overtaken, and the wait is what the network's jitter of the last seconds asks for. Where nothing comes at all the
network stalls or the sender is silent (DTX, RFC 7587 section 3.1.3), and the wait is the longest allowed, after which the
sound goes on concealed, since the end of a turn must be heard in time also from a sender that does not send its silence.
Sequence numbers and timestamps are judged as in RFC 3550, appendix A.1: far from where they should be means that the sender
began anew, which a second packet must confirm.

Chunks are stamped in samples that the sender has captured, whatever its crystal says: no delay piles up.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edge.clock import MediaClock
from edge.errors import InputError
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Pcm, samples

RTP_RATE = 48_000
"""Ticks a second of Opus's RTP timestamps, whatever the codec's own rate (RFC 7587 section 4.1)."""
TICKS = RTP_RATE // SAMPLE_RATE
"""Ticks a sample lasts."""
MAX_FILL_S = 2.0
"""A longer gap is no loss: the sender was away. It is left open in the media time instead of being filled."""
MAX_DROPOUT = 3000
MAX_MISORDER = 100
"""Sequence numbers ahead and behind that still belong to the same stream (RFC 3550, appendix A.1)."""
MAX_SHIFT_S = 60.0
"""A timestamp further from its place does not belong to the same stream: 3000 packets of 20 ms."""
MAX_WAITING = 256
"""Packets held behind a hole; more give the hole up. The longest wait of 0.24 s has 96 packets of 2.5 ms."""
JITTER_PACKETS = 250
"""Arrivals whose lateness sets the wait: 5 s of 20 ms packets."""
JITTER_QUANTILE = 0.99
"""The share of packets that is worth waiting for. Waiting costs only where one is missing, so that this is nearly all."""
_MAX_FILL = samples(MAX_FILL_S)
_REMEMBERED = 512
"""Sequence numbers that tell a duplicate from a packet that came too late."""


class PacketDecoder(Protocol):
    """What the buffer asks of a decoder; ``phone_bridge.opus.Decoder`` is one."""

    def decode(self, packet: bytes) -> Pcm:
        """Gives the sound of the next packet. Raises InputError."""

    def conceal(self, samples: int) -> Pcm:
        """Carries on the sound before for so many samples."""

    def recover(self, next_packet: bytes, samples: int) -> Pcm:
        """Gives the samples before a packet from the copy in it. Raises InputError."""

    def redundant(self, packet: bytes) -> bool:
        """Says whether a packet carries such a copy."""


@dataclass(slots=True)
class Counters:
    """What happened to the packets since the buffer was made."""

    received: int = 0
    """Packets that came, of any kind."""
    lost: int = 0
    """Packets given up; each was either recovered or concealed."""
    recovered: int = 0
    """Of the lost: restored from the copy in the packet after."""
    concealed: int = 0
    """Of the lost: hidden by carrying on the sound before, those included that are no Opus."""
    late: int = 0
    """Packets that came after their place was played."""
    duplicate: int = 0
    """Packets that came again."""
    restarts: int = 0
    """Times the sender began anew."""


@dataclass(frozen=True, slots=True)
class _Packet:
    sequence: int
    """Unwrapped."""
    timestamp: int
    """Unwrapped, in ticks."""
    payload: bytes
    at: float


class JitterBuffer:
    """Puts one stream's packets in order. Pure: it is told the time.

    ``put`` takes a packet; ``due`` says when ``late`` is to be called if no packet comes before. Both give the chunks of 320
    samples that can go on. No sample leaves later than ``max_delay_s`` after the time at which it would have come through the
    network at its fastest of the last seconds; where the way becomes longer by more than that, the buffer follows it.
    """

    def __init__(self, decoder: PacketDecoder, *, max_delay_s: float = 0.24) -> None:
        self.counters = Counters()
        self._decoder = decoder
        self._max_delay_s = max_delay_s
        self._clock: MediaClock | None = None
        self._origins: deque[float] = deque(maxlen=JITTER_PACKETS)
        self._waiting: dict[int, _Packet] = {}
        self._suspect: _Packet | None = None
        """The first packet of what may be a new beginning."""
        self._taken: deque[int] = deque(maxlen=_REMEMBERED)
        self._sequence = 0
        """Of the next packet to play, unwrapped."""
        self._timestamp = 0
        """Of the next sample to play, unwrapped, in ticks."""
        self._unit = CHUNK_SAMPLES
        """Samples in the newest packet: what a missing one is taken to have."""
        self._blind = 0
        """Samples concealed since the last packet without knowing whether there was anything to lose."""
        self._rest = np.zeros(0, np.int16)
        """Played, but no whole chunk yet."""
        self._start = 0

    @property
    def position(self) -> int:
        """Media time of the next chunk, in samples."""
        return self._start

    @property
    def delay_s(self) -> float:
        """Seconds that a missing packet would be waited for now."""
        if self._clock is None:
            return 0.0
        ordered = sorted(self._origins)
        late = ordered[int(JITTER_QUANTILE * (len(ordered) - 1))] - self._clock.loop_time(0)
        return min(self._max_delay_s, max(0.0, late))

    def rebase(self, start: int) -> None:
        """Forgets the stream, for a new connection; its first sample gets media time ``start``, in samples.

        Raises ValueError for a ``start`` before ``position``: no media time is given twice.
        """
        if start < self._start:
            raise ValueError(f"media time {start} was given before: {self._start} is next")
        self._start = start
        self._forget()

    def put(self, sequence: int, timestamp: int, payload: bytes, at: float) -> list[AudioChunk]:
        """Takes a packet that arrived at loop time ``at``.

        ``sequence`` has 16 bits, ``timestamp`` 32; ``payload`` should be one Opus packet, and counts as lost where it is not.
        """
        self.counters.received += 1
        chunks: list[AudioChunk] = []
        if self._clock is None:
            self._begin(sequence, timestamp, at)
        packet = self._unwrapped(sequence, timestamp, payload, at)
        if not self._strange(packet):
            self._suspect = None
            self._take(packet, chunks)
            return chunks
        suspect, self._suspect = self._suspect, packet
        if suspect is not None and (sequence - suspect.sequence) & 0xFFFF == 1:
            self._restart(suspect, chunks)
            self._take(self._unwrapped(sequence, timestamp, payload, at), chunks)
        return chunks

    def due(self) -> float | None:
        """Loop time at which ``late`` should be called; None where there is nothing to wait for."""
        if self._clock is None or (not self._waiting and self._blind >= _MAX_FILL):
            return None
        wait = self.delay_s if self._waiting else self._max_delay_s
        return self._clock.loop_time(self._timestamp // TICKS) + wait

    def late(self, at: float) -> list[AudioChunk]:
        """Gives up what has not come by loop time ``at`` and should have."""
        chunks: list[AudioChunk] = []
        self._advance(at, chunks)
        return chunks

    def _begin(self, sequence: int, timestamp: int, at: float) -> None:
        self._forget()
        self._sequence, self._timestamp = sequence, timestamp
        self._clock = MediaClock(at - timestamp / RTP_RATE)

    def _restart(self, first: _Packet, chunks: list[AudioChunk]) -> None:
        """The sender began anew with ``first``: plays what is left of the old stream, then continues in media time."""
        while self._waiting:
            if not self._play_next(chunks):
                self._give_up(chunks)
        away = 0.0 if self._clock is None else first.at - self._clock.loop_time(self._timestamp // TICKS)
        self._leave_open(max(0, samples(away)), chunks)
        self.counters.restarts += 1
        self._begin(first.sequence, first.timestamp, first.at)
        self._take(first, chunks)

    def _forget(self) -> None:
        self._clock = self._suspect = None
        self._origins.clear()
        self._waiting.clear()
        self._taken.clear()
        self._rest = np.zeros(0, np.int16)
        self._blind = 0
        self._unit = CHUNK_SAMPLES

    def _unwrapped(self, sequence: int, timestamp: int, payload: bytes, at: float) -> _Packet:
        ahead = _signed(sequence - self._sequence, 16)
        shift = _signed(timestamp - self._timestamp, 32)
        return _Packet(self._sequence + ahead, self._timestamp + shift, payload, at)

    def _strange(self, packet: _Packet) -> bool:
        """Whether a packet cannot belong to this stream, so that the sender may have begun anew."""
        ahead = packet.sequence - self._sequence
        shift = packet.timestamp - self._timestamp
        back = ahead >= 0 and shift < -self._blind * TICKS - TICKS  # a later packet cannot hold an earlier sound
        return back or not -MAX_MISORDER <= ahead < MAX_DROPOUT or abs(shift) > MAX_SHIFT_S * RTP_RATE

    def _take(self, packet: _Packet, chunks: list[AudioChunk]) -> None:
        """Takes a packet of this stream."""
        self._arrived(packet)
        if packet.sequence in self._waiting or packet.sequence in self._taken:
            self.counters.duplicate += 1
        elif packet.sequence < self._sequence:
            self.counters.late += 1
            self._taken.append(packet.sequence)
        else:
            self._waiting[packet.sequence] = packet
            self._advance(packet.at, chunks)

    def _arrived(self, packet: _Packet) -> None:
        """Learns from an arrival how late packets come, and when the stream's time zero was."""
        assert self._clock is not None  # `put` began the stream
        origin = packet.at - packet.timestamp / RTP_RATE
        self._origins.append(origin)
        if packet.sequence >= self._sequence and origin - self._clock.loop_time(0) > self._max_delay_s:
            # The way has become longer by more than the buffer can wait. What came before would have every packet from now on
            # concealed before it comes; was it only a hiccup, the next packet that comes early sets the clock right again.
            self._clock = MediaClock(origin)
        self._clock.arrived(packet.timestamp // TICKS, packet.at)

    def _advance(self, at: float, chunks: list[AudioChunk]) -> None:
        """Plays all that may be played at loop time ``at``."""
        while True:
            if self._play_next(chunks):
                continue
            due = self.due()
            if due is None or (at < due and len(self._waiting) <= MAX_WAITING):
                return
            self._give_up(chunks)

    def _play_next(self, chunks: list[AudioChunk]) -> bool:
        """Plays the next packet, if it is there."""
        packet = self._waiting.pop(self._sequence, None)
        if packet is None:
            return False
        self._sequence += 1
        self._taken.append(packet.sequence)
        gap = self._gap(packet)
        if gap + self._blind > _MAX_FILL:
            self._leave_open(gap, chunks)
        elif gap > 0:  # no packet is missing: the sender was silent
            self._play(np.zeros(gap, np.int16), chunks)
        try:
            pcm = self._decoder.decode(packet.payload)
            self._unit = len(pcm)
            whole = True
        except InputError:
            pcm = self._decoder.conceal(self._unit)
            whole = False
        played = max(0, -gap)
        late = played >= len(pcm)  # given up just before it came; decoding it has still brought the decoder up to date
        self.counters.late += late
        if late or not whole:
            self.counters.lost += 1
            self.counters.concealed += 1
        self._blind = max(0, played - len(pcm))
        self._play(pcm[played:], chunks)
        return True

    def _give_up(self, chunks: list[AudioChunk]) -> None:
        """Plays one packet's worth of what is missing."""
        if not self._waiting:
            self._blind += self._unit
            self._play(self._decoder.conceal(self._unit), chunks)
            return
        after = self._waiting[min(self._waiting)]
        missing = after.sequence - self._sequence
        gap = max(0, self._gap(after))
        if gap + self._blind > _MAX_FILL:
            self._sequence = after.sequence
            self._leave_open(gap, chunks)
            return
        # The gap is shared so that the last one, which may be recovered, gets its whole length.
        share = gap if missing == 1 else min(self._unit, max(0, gap - self._unit * (missing - 1)))
        self._sequence += 1
        self.counters.lost += 1
        if missing == 1 and self._recover(share, after.payload, chunks):
            self.counters.recovered += 1
        else:
            self._play(self._decoder.conceal(share), chunks)
            self.counters.concealed += 1

    def _recover(self, share: int, payload: bytes, chunks: list[AudioChunk]) -> bool:
        """Plays the packet before ``payload`` from the copy in it, if there is one and it was not concealed before."""
        if not share or not self._decoder.redundant(payload):
            return False
        size = min(share, self._unit)
        self._play(self._decoder.conceal(share - size), chunks)
        try:
            self._play(self._decoder.recover(payload, size), chunks)
        except InputError:
            self._play(self._decoder.conceal(size), chunks)
            return False
        return True

    def _gap(self, packet: _Packet) -> int:
        """Samples from what is played to a packet, negative where its beginning was played already."""
        return int((packet.timestamp - self._timestamp) / TICKS)

    def _play(self, pcm: Pcm, chunks: list[AudioChunk]) -> None:
        self._timestamp += len(pcm) * TICKS
        self._rest = np.concatenate((self._rest, pcm)) if len(self._rest) else pcm
        whole = len(self._rest) // CHUNK_SAMPLES * CHUNK_SAMPLES
        for at in range(0, whole, CHUNK_SAMPLES):
            chunks.append(AudioChunk(self._rest[at : at + CHUNK_SAMPLES], self._start))
            self._start += CHUNK_SAMPLES
        self._rest = self._rest[whole:]

    def _leave_open(self, gap: int, chunks: list[AudioChunk]) -> None:
        """Moves on by ``gap`` samples that nobody captured; the chunk that was begun is filled with silence."""
        pad = -len(self._rest) % CHUNK_SAMPLES
        self._play(np.zeros(pad, np.int16), chunks)
        self._start += max(0, gap - pad)
        self._timestamp += (gap - pad) * TICKS


def _signed(difference: int, bits: int) -> int:
    """Gives the shortest way round the circle of numbers with so many bits."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half
