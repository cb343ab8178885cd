"""The loudspeaker of glasses of our own profile: what is played goes down as Opus, as far as there are credits.

A stream is opened by the first sound and closed when no more comes. Sound that comes while a stream opens, or while the one
before is still played out, waits here for less than a second.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum

from edge.values import SAMPLE_RATE, Pcm
from phone_bridge.ble_adapters import Gatt
from phone_bridge.ble_profile_requests import Requests
from phone_bridge.opus import Encoder
from phone_bridge.wire.audio import AudioSender
from phone_bridge.wire.control import (
    ReplyMessage,
    SpeakerClose,
    SpeakerFlush,
    SpeakerFlushReply,
    SpeakerOpen,
    SpeakerOpenReply,
)
from phone_bridge.wire.messages import SpeakerReport
from phone_bridge.wire.profile import AUDIO_FRAME_US, SPEAKER_UUID, Codec, SpeakerState
from phone_bridge.wire.speaker import Credits

FIRST_DELAY_S = 0.06
"""What ``play`` to sound takes before the glasses have said: two frames until the third, and the way."""
REST_S = 0.1
"""After so long without sound the stream is closed: then the glasses play the one or two frames that they hold back."""
STALE_S = 2.0
"""A stream that was closed and never reported as played out is given up."""
WAITING = 100
"""Frames that may wait here: two seconds. The oldest go."""
STREAM = "speaker"


class _Phase(Enum):
    IDLE = "idle"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    """The glasses play the rest."""


class SpeakerStream:
    """The way down of one connection."""

    def __init__(
        self,
        gatt: Gatt,
        requests: Requests,
        *,
        mtu: int,
        kbps: int,
        heard_at: Callable[[int], float | None],
        delay: float,
        counts: dict[str, int],
    ) -> None:
        """``heard_at`` gives the loop time of a time of the device clock, where it is known. Raises EngineMissing.

        ``counts`` is where it counts, from connection to connection.
        """
        self.delay_s = delay
        """From ``play`` to sound, as last seen."""
        self.counts = counts
        for name in ("streams", "frames_down", "frames_dropped", "frames_lost", "underruns", "played_ms"):
            counts.setdefault(name, 0)
        self._gatt = gatt
        self._requests = requests
        self._mtu = mtu
        self._heard_at = heard_at
        self._encoder = Encoder(1000 * kbps, loss_percent=0)  # below GATT nothing is lost
        self._phase = _Phase.IDLE
        self._stream = 0
        self._credits = Credits(0)
        self._sender = AudioSender(0)
        self._pending: deque[bytes] = deque()
        self._sent_us = 0
        self._began = 0.0  # loop time of the stream's first play()
        self._played: tuple[int, float | None] = 0, None  # us, and the loop time at which that was so while it plays
        self._report: SpeakerReport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def play(self, pcm: Pcm) -> None:
        """Takes the next 20 ms."""
        self._pending.append(self._encoder.encode(pcm))
        if len(self._pending) > WAITING:
            self._pending.popleft()
            self.counts["frames_dropped"] += 1
        if self._phase is _Phase.IDLE:
            self._open()
        self._send()
        if self._phase is not _Phase.CLOSING:
            self._in(REST_S, self._rest)

    def flush(self) -> int:
        """Silences the glasses; gives the samples that were taken and that nobody hears."""
        unheard = len(self._pending) * AUDIO_FRAME_US
        self._pending.clear()
        if self._phase is not _Phase.IDLE:
            self._gatt.forget(STREAM)
            unheard += max(0, self._sent_us - self._heard_us())
            stream = self._stream
            self._requests.send(lambda number: SpeakerFlush(number, stream), self._flushed)
            self._end()
        return unheard * SAMPLE_RATE // 1_000_000

    def reported(self, report: SpeakerReport) -> None:
        """Takes a report of the glasses."""
        if report.stream != self._stream or self._phase not in (_Phase.OPEN, _Phase.CLOSING):
            return
        before, self._report = self._report, report
        self.counts["underruns"] += max(0, report.underruns - (before.underruns if before is not None else 0))
        self.counts["frames_lost"] += max(0, report.lost - (before.lost if before is not None else 0))
        self._credits.grant(report.granted)
        playing = report.state == SpeakerState.PLAYING
        at = self._heard_at(report.clock) if playing else None
        if at is not None and self._played[1] is None and report.played == 0:
            self.delay_s = max(0.0, at - self._began)
        self._played = report.played, at
        if report.state in (SpeakerState.DRAINED, SpeakerState.FLUSHED, SpeakerState.CLOSED):
            self.counts["played_ms"] += report.played // 1000
            self._end()
            if self._pending:
                self._open()
                self._in(REST_S, self._rest)
        self._send()

    def close(self) -> int:
        """Ends with the connection; gives the samples that nobody is known to have heard."""
        unheard = len(self._pending) * AUDIO_FRAME_US
        if self._phase is not _Phase.IDLE:
            unheard += max(0, self._sent_us - self._played[0])
        self._end()
        self._pending.clear()
        self._encoder.close()
        return unheard * SAMPLE_RATE // 1_000_000

    def _open(self) -> None:
        self._stream = (self._stream + 1) & 0xFF
        stream = self._stream
        self._phase = _Phase.OPENING
        self._sender = AudioSender(stream)
        self._sent_us, self._played, self._report = 0, (0, None), None
        self._began = asyncio.get_running_loop().time()

        def answered(reply: ReplyMessage | None) -> None:
            if stream != self._stream or self._phase is not _Phase.OPENING:
                return
            if not isinstance(reply, SpeakerOpenReply):
                self.counts["frames_dropped"] += len(self._pending)
                self._pending.clear()
                self._end()
                return
            self.counts["streams"] += 1
            self._phase = _Phase.OPEN
            self._credits = Credits(reply.granted)
            self._send()

        if not self._requests.send(lambda number: SpeakerOpen(number, stream, Codec.OPUS), answered):
            self._end()

    def _send(self) -> None:
        while self._phase is _Phase.OPEN and self._pending and self._credits.spend(len(self._pending[0])):
            packets = self._sender.packets(self._pending.popleft(), self._sent_us, self._mtu)
            self._sent_us += AUDIO_FRAME_US
            done = self._gatt.later(lambda packets=packets: self._write(packets), stream=STREAM)  # type: ignore[misc]
            self.counts["frames_down" if done else "frames_dropped"] += 1

    async def _write(self, packets: tuple[bytes, ...]) -> None:
        for packet in packets:
            await self._gatt.write(SPEAKER_UUID, packet, response=False)

    def _rest(self) -> None:
        """No sound has come for a while."""
        if self._phase is _Phase.OPENING or self._pending:
            self._in(REST_S, self._rest)
        elif self._phase is _Phase.OPEN:
            stream = self._stream
            if self._requests.send(lambda number: SpeakerClose(number, stream)):
                self._phase = _Phase.CLOSING
                self._in(STALE_S, self._stale)
            else:
                self._in(REST_S, self._rest)

    def _stale(self) -> None:
        if self._phase is _Phase.CLOSING:
            self._end()
            if self._pending:
                self._open()

    def _flushed(self, reply: ReplyMessage | None) -> None:
        if isinstance(reply, SpeakerFlushReply):
            self.counts["played_ms"] += reply.played // 1000

    def _heard_us(self) -> int:
        """What the wearer has heard of the stream, until the flush arrives: half of the delay is the way there."""
        played, at = self._played
        if at is None:
            return played
        return played + max(0, round((asyncio.get_running_loop().time() - at) * 1e6))

    def _end(self) -> None:
        self._phase = _Phase.IDLE
        self._played = 0, None
        if self._timer is not None:
            self._timer.cancel()

    def _in(self, seconds: float, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, then)
