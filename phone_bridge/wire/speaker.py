"""The way down: credits at the host's end, the buffer at the glasses' end."""

from __future__ import annotations

from collections import deque

from phone_bridge.wire.audio import AudioFrame, AudioReceiver
from phone_bridge.wire.layout import Malformed
from phone_bridge.wire.messages import SpeakerReport
from phone_bridge.wire.profile import AUDIO_FRAME_MAX, AUDIO_FRAME_US, FRAME_COST, REPORT_MS, SPEAKER_START, SpeakerState

_MASK = 0xFFFFFFFF


class Credits:
    """What the host may still send in one stream. Grants are totals, so a lost or a repeated report does no harm."""

    def __init__(self, granted: int) -> None:
        self._granted = granted
        self._spent = 0

    @property
    def left(self) -> int:
        """Bytes that may be sent, the cost of frames included."""
        return self._granted - self._spent

    def grant(self, granted: int) -> None:
        """Takes the total of a report; an older one is passed over."""
        self._granted = max(self._granted, granted)

    def spend(self, frame_bytes: int) -> bool:
        """Takes the price of a frame. Gives False, and takes nothing, where there is not enough: wait for a report."""
        price = frame_bytes + FRAME_COST
        if price > self.left:
            return False
        self._spent += price
        return True


class SpeakerBuffer:
    """Frames that wait to be played, in the glasses.

    The audio clock calls ``play`` every 20 ms; ``report`` gives what is to be notified, where something is.
    """

    def __init__(self, stream: int, room: int) -> None:
        self.state = SpeakerState.WAITING
        self.stream = stream
        self.granted = room
        self.played_us = 0
        self.underruns = 0
        self.overrun = 0
        """Frames beyond the credits."""
        self.malformed = 0
        self._frames: deque[AudioFrame] = deque()
        self._spent = 0
        self._receiver = AudioReceiver(stream)
        self._closed = False
        self._at = 0  # device clock at which played_us was so
        self._reported: int | None = None  # ms
        self._changed = False

    @property
    def lost(self) -> int:
        """Frames of this stream that will never be played, though they were sent."""
        return self._receiver.lost + self.overrun

    @property
    def buffered(self) -> int:
        """Frames that wait."""
        return len(self._frames)

    def take(self, value: bytes) -> None:
        """Takes what was written. Malformed bytes, and frames of another stream, are dropped and counted."""
        if self.state in (SpeakerState.DRAINED, SpeakerState.FLUSHED):
            return
        before = self._receiver.lost
        try:
            frame = self._receiver.take(value)
        except Malformed:
            self.malformed += 1
            return
        self._changed |= self._receiver.lost != before
        if frame is None:
            return
        price = len(frame.data) + FRAME_COST
        if self._spent + price > self.granted:
            self.overrun += 1
            self._changed = True
            return
        self._spent += price
        self._frames.append(frame)

    def play(self, clock_us: int) -> bytes | None:
        """Gives the frame to play from now on, or None: silence. Called every 20 ms with the device clock."""
        if self.state is SpeakerState.PLAYING:
            self.played_us += AUDIO_FRAME_US  # the frame given out before has been heard
        elif self.state is not SpeakerState.WAITING or not self._enough():
            return None
        self._at = clock_us & _MASK
        if self._frames:
            self._to(SpeakerState.PLAYING)
            frame = self._frames.popleft()
            self.granted += len(frame.data) + FRAME_COST
            return frame.data
        if self._closed:
            self._to(SpeakerState.DRAINED)
        else:
            self.underruns = min(self.underruns + 1, 0xFFFF)
            self._to(SpeakerState.WAITING)
        return None

    def _enough(self) -> bool:
        """Whether to start: also where the host may not be able to send another frame before this end has played one."""
        full = self.granted - self._spent < AUDIO_FRAME_MAX + FRAME_COST
        return len(self._frames) >= SPEAKER_START or self._closed or full

    def close(self) -> None:
        """No more frames will come."""
        self._closed = True

    def flush(self, clock_us: int) -> int:
        """Drops what waits, at once; gives how much of the stream was heard, in us. The caller silences the speaker."""
        self._frames.clear()
        if self.state in (SpeakerState.WAITING, SpeakerState.PLAYING):
            self._at = clock_us & _MASK
            self._to(SpeakerState.FLUSHED)
        return self.played_us

    def report(self, now_ms: int) -> SpeakerReport | None:
        """Gives a report where the state has changed, or 100 ms have gone while the stream is open."""
        open_ = self.state in (SpeakerState.WAITING, SpeakerState.PLAYING)
        due = self._reported is None or (now_ms - self._reported) & _MASK >= REPORT_MS
        if not (self._changed or (open_ and due)):
            return None
        self._changed, self._reported = False, now_ms
        lost = min(self.lost, 0xFFFF)
        return SpeakerReport(
            self.stream, self.state, self.underruns, lost, self.granted & _MASK, self.played_us & _MASK, self._at
        )

    def _to(self, state: SpeakerState) -> None:
        self._changed |= state is not self.state
        self.state = state
