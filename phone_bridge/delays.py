"""When the wearer hears what we send: the page's clock on ours, the delay to the ear, and what of a reply is still on its way.

Pure: all times are given, in seconds of the loop's clock but for page time, which is milliseconds of the page's own.
"""

from __future__ import annotations

from collections import deque

from edge.values import CHUNK_SAMPLES, SAMPLE_RATE

DEFAULT_SINK_DELAY_S = 0.08
"""Before the first report: a packet, a browser's jitter buffer on a good line, an audio device."""
MAX_SINK_DELAY_S = 2.0
"""More than this is a page whose clock jumped, or that lies."""
SILENT_S = 1.5
"""Nothing at all for so long, from a device whose microphone is on, means that it is out of reach."""
UNANSWERED_S = 4.0
"""The same for one whose microphone is off: four pings."""
CHANGE_S = 0.010
"""A change of the sink delay worth telling."""
SILENCE_S = 0.05
"""A shorter pause in what is given out is a late task, not the end of a run of speech."""
_KEPT = 16
_FRESH_S = 120.0
"""Two crystals differ by up to 100 parts in a million: an offset measured this long ago is wrong by 12 ms at most."""
_WAITING = 8


class PageClock:
    """The offset between the page's clock and the loop's, from pings and pongs.

    NTP's on-wire protocol (Mills, RFC 5905 section 8) with the page's receive and transmit times taken as one: the offset's
    error is at most half the round trip, so the exchange with the shortest one of the last ones counts (RFC 5905 section 10).
    """

    def __init__(self) -> None:
        self._sent: dict[int, float] = {}
        self._exchanges: deque[tuple[float, float, float]] = deque(maxlen=_KEPT)  # (round trip, offset, at)

    def pinged(self, ping: int, at: float) -> None:
        """Takes that a ping was sent."""
        self._sent[ping] = at
        while len(self._sent) > _WAITING:
            del self._sent[next(iter(self._sent))]

    def ponged(self, ping: int, page_ms: float, at: float) -> None:
        """Takes the answer to a ping; one that was not sent is ignored."""
        sent = self._sent.pop(ping, None)
        if sent is None:
            return
        while self._exchanges and self._exchanges[0][2] < at - _FRESH_S:
            self._exchanges.popleft()
        self._exchanges.append((at - sent, page_ms / 1000 - (sent + at) / 2, at))

    @property
    def round_trip_s(self) -> float | None:
        """The shortest round trip of the last exchanges; None before the first."""
        return min(self._exchanges)[0] if self._exchanges else None

    def loop_time(self, page_ms: float) -> float | None:
        """What the loop's clock showed at a page time; None before the first exchange."""
        return page_ms / 1000 - min(self._exchanges)[1] if self._exchanges else None


class SinkDelay:
    """Seconds from a packet's sending to its sound at the ear, smoothed."""

    def __init__(self, value: float = DEFAULT_SINK_DELAY_S) -> None:
        self.value = value
        self._known = False
        self._told = value
        self._told_at = float("-inf")

    def report(self, sent: float, played: float, output_latency_s: float) -> None:
        """Takes that what was ``sent`` then went to the output device when it was ``played``, both loop times."""
        delay = played - sent + output_latency_s
        if not 0.0 <= delay <= MAX_SINK_DELAY_S:
            return
        # A browser's jitter buffer breathes by tens of milliseconds with every report; eight reports settle.
        self.value = delay if not self._known else self.value + (delay - self.value) / 8
        self._known = True

    def news(self, at: float) -> bool:
        """Says whether the value has changed enough, and long enough after the last time, to be told now."""
        if abs(self.value - self._told) <= CHANGE_S or at - self._told_at < 1.0:
            return False
        self._told, self._told_at = self.value, at
        return True


class Reply:
    """What of the present run of speech was given to the loudspeaker, and how much of it can still be stopped."""

    def __init__(self) -> None:
        self._began = 0.0
        self._until = 0.0
        self._given = 0

    def played(self, at: float, samples: int = CHUNK_SAMPLES) -> None:
        """Takes that sound was given out; it follows what still waits, or begins a new run."""
        if at > self._until + SILENCE_S:
            self._began, self._given = at, 0
        self._until = max(self._until, at) + samples / SAMPLE_RATE
        self._given += samples

    def flush(self, at: float, queued: int, reach_s: float) -> int:
        """Ends the run; gives how many of its samples nobody hears.

        ``queued`` samples have not been sent. Of those that were, the ones sent within the last ``reach_s`` seconds lie in
        the listener's buffers: the sink delay, less the time that the order to be silent takes to get there.
        """
        sent_until = self._until - queued / SAMPLE_RATE
        reached = max(self._began, at - max(0.0, reach_s))
        buffered = round(max(0.0, min(sent_until, at) - reached) * SAMPLE_RATE)
        given, self._given = self._given, 0
        self._began = self._until = at
        return max(queued, min(queued + buffered, given))


class Distance:
    """How far away, in time, the wearer's ear is over one connection."""

    def __init__(self) -> None:
        self.clock = PageClock()
        self.sink = SinkDelay()
        self._ping = 0
        self._pinged = float("-inf")

    def ping(self, at: float, every: float) -> int | None:
        """Gives the number of the ping to send now; None where the last one is less than ``every`` seconds old."""
        if at - self._pinged < every:
            return None
        self._ping += 1
        self._pinged = at
        self.clock.pinged(self._ping, at)
        return self._ping

    def playing(self, sent: float | None, page_ms: float, output_latency_s: float) -> None:
        """Takes that what was ``sent`` then, in loop time, went to the output at a page time; None: nobody knows when."""
        played = self.clock.loop_time(page_ms)
        if sent is not None and played is not None:
            self.sink.report(sent, played, output_latency_s)

    def patience_s(self, listening: bool) -> float | None:
        """Gives how long nothing at all may come until the device is taken to be out of reach; None: for ever."""
        return SILENT_S if listening else UNANSWERED_S if self.clock.round_trip_s is not None else None

    @property
    def reach_s(self) -> float:
        """Seconds of the newest sound that an order given now still stops: the delay less the order's own way."""
        return self.sink.value - (self.clock.round_trip_s or 0.0) / 2

    def counters(self) -> dict[str, float]:
        """Gives the figures for a dashboard, in milliseconds."""
        round_trip = self.clock.round_trip_s or 0.0
        return {"sink_delay_ms": round(self.sink.value * 1000, 1), "rtt_ms": round(round_trip * 1000, 1)}
