"""A wearer's glasses over WebRTC: one link that outlives its connections.

A connection lost is not a wearer lost: phones change networks, pages are reloaded, batteries are swapped for another device.
The link stays for ``keep`` seconds, says that the glasses are out of reach, and goes on with the next connection, its media
time moved forward by the gap. A second device of the same wearer takes over at the moment at which it is connected.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from edge.channel import Channel, Overflow
from edge.clock import MediaClock
from edge.errors import LinkError
from edge.events import Event, FrameChosen
from edge.ports import Aside
from edge.values import CHUNK_SAMPLES, AudioChunk, Condition, Pcm, VideoFrame
from phone_bridge import control
from phone_bridge.control import Message, StillChunk
from phone_bridge.delays import Distance, Reply
from phone_bridge.ear import Ear
from phone_bridge.opus import Decoder
from phone_bridge.partner import Partner
from phone_bridge.peer import Peer
from phone_bridge.photos import Photos
from phone_bridge.telling import Telling
from phone_bridge.view import Decoded, View

if TYPE_CHECKING:
    from phone_bridge.impair import Impairment

logger = logging.getLogger(__name__)

PING_S = 1.0
TICK_S = 0.25
_SILENCE = np.zeros(CHUNK_SAMPLES, np.int16)
_SILENCE.setflags(write=False)


class _State(Enum):
    EXPECTED = "expected"
    """No connection has come through yet."""
    PRESENT = "present"
    AWAY = "away"
    OVER = "over"


class WebRtcGlasses:
    """The Link of one wearer; also the ``PeerSink`` of its connections.

    A server answers an offer with ``Peer.answer(offer, glasses)``. Once that connection is through it attaches itself: a
    half-open offer takes nothing over. ``on_attached`` tells of each connection: with the first one the glasses have arrived.
    """

    def __init__(
        self,
        wearer: str,
        *,
        keep: float = 60.0,
        camera_fps: float = 5.0,
        uri: str = "webrtc:",
        version: str = "",
        partner: Partner | None = None,
    ) -> None:
        """``keep`` is in seconds; ``camera_fps`` bounds how many pictures a second ``camera`` gives."""
        self.uri = uri
        self.captured = False
        self.partner = partner or Partner()
        self.wearer = wearer
        self.on_attached: Callable[[WebRtcGlasses], None] | None = None
        """Called whenever a connection came through."""
        self.on_closed: Callable[[WebRtcGlasses], None] | None = None
        """Called once, when the link is over: closed, left with ``bye``, or out of reach for longer than ``keep``."""
        self._keep = keep
        self._version = version
        self._loop = asyncio.get_running_loop()
        self._state = _State.EXPECTED
        self._private = False
        self._impairment: Impairment | None = None
        self._condition = Condition(present=False)
        self._clock = MediaClock(self._loop.time())
        self._decoder = Decoder()
        self._ear = Ear(self._decoder, self._clock, self._heard)
        self.view = View(camera_fps)
        self._sound: Channel[AudioChunk] = Channel("microphone", 250, Overflow.DROP_OLDEST)
        self._taps: Channel[str] = Channel("taps", 16, Overflow.DROP_OLDEST)
        self._conditions: Channel[Condition] = Channel("conditions", 16, Overflow.DROP_OLDEST)
        self._distance = Distance()
        self._reply = Reply()
        self._photos = Photos(self._send, lambda pixels, at: self.view.still(pixels, self._clock.media_ns(at)))
        self._microphone_on = True
        self._since = 0.0
        """Loop time of the present state's beginning."""
        self._ticker: asyncio.TimerHandle | None = None
        self._telling = Telling(self.partner, self._taps.send_nowait)

    @property
    def connected(self) -> bool:
        """Whether the glasses can be reached now."""
        return self._state is _State.PRESENT

    @property
    def closed(self) -> bool:
        """Whether the link is over."""
        return self._state is _State.OVER

    @property
    def peer(self) -> Peer | None:
        """The present connection."""
        return self._telling.peer

    @property
    def sink_delay_s(self) -> float:
        """Seconds from ``play`` until the sound is at the ear, as the page reports it; a default before its first report."""
        return self._distance.sink.value

    @property
    def aside(self) -> Aside | None:
        """The loudspeakers of the partner's pages, while there are any."""
        return self.partner if self.partner.present else None

    @property
    def impairment(self) -> Impairment | None:
        """What lies on the line of present and later connections; None for nothing."""
        return self._impairment

    @impairment.setter
    def impairment(self, impairment: Impairment | None) -> None:
        self._impairment = impairment
        if impairment is not None and self.peer is not None:
            self.peer.impair(impairment)

    # The server's side.

    def attach(self, peer: Peer) -> None:
        """Takes a connection that came through; one that was there is told ``replaced`` and closed. Called by the peer."""
        if self.closed:
            peer.close_soon("over", control.message("bye", reason="over"))
            return
        before, self._telling.peer = self.peer, peer
        if before is not None:
            before.close_soon("replaced", control.message("replaced"))
        self._distance = Distance()
        self._photos.forget()
        self._microphone_on = True
        self._ear.pause()
        if self._impairment is not None:
            peer.impair(self._impairment)
        peer.pause_pictures(self._private)
        self._enter(_State.PRESENT)
        self._tell(Condition(sink_delay_s=self.sink_delay_s, device=peer.device))
        if self._ticker is None:
            self._tick()
        if peer.has_channel:
            self._welcome(peer)
        if self.on_attached is not None:
            self.on_attached(self)

    def detach(self, peer: Peer) -> None:
        """Lets a connection go; the keep time begins to run. Called by the peer."""
        if peer is not self.peer:
            return
        self._telling.peer = None
        self._leave()

    async def open(self) -> None:
        """Begins. Raises LinkError where it is over already."""
        if self.closed:
            raise LinkError(f"{self.uri}: {self.wearer} has left")

    async def close(self) -> None:
        """Sends the wearer away and ends every stream."""
        peer = self.peer
        self._end(None, "closed")
        if peer is not None:
            await peer.close()

    # The session's side.

    def microphone(self) -> AsyncIterator[AudioChunk]:
        """Gives the sound; nothing while the glasses are away. Raises LinkError when they stay away."""
        return self._sound

    def camera(self) -> AsyncIterator[VideoFrame]:
        """Gives the newest picture, at most ``camera_fps`` times a second, and every still. Raises LinkError as above."""
        return self.view.frames()

    def taps(self) -> AsyncIterator[str]:
        """Gives the touches. Raises LinkError as above."""
        return self._taps

    def conditions(self) -> AsyncIterator[Condition]:
        """Gives how the glasses are, now and at each change."""
        return self._conditions

    def play(self, pcm: Pcm) -> None:
        """Takes the next 20 ms; while the glasses are away it is lost."""
        if self._state is _State.PRESENT and self.peer is not None:
            self.peer.play(pcm)
            self._reply.played(self._loop.time(), len(pcm))

    def flush(self) -> int:
        """Drops what was not sent, and has the page drop what it has not played; gives the samples that nobody hears.

        What lies in the page's buffers is estimated from the sink delay. A client without a data channel cannot be told: it
        plays what was sent.
        """
        peer = self.peer
        if peer is None:
            return 0
        queued = peer.flush()
        return self._reply.flush(self._loop.time(), queued, self._distance.reach_s if peer.has_channel else 0.0)

    def privacy(self, on: bool) -> None:
        """Tells the page; what comes in spite of it is silence here, and no picture."""
        self._private = on
        self.view.forget()
        self._photos.forget()
        if self.peer is not None:
            self.peer.pause_pictures(on)
        self._send("privacy", on=on)

    def snap(self) -> None:
        """Asks the page for a still; it comes through ``camera``. Nothing happens while one is awaited already."""
        if not self._private:
            self._photos.snap()

    def tell(self, event: Event) -> None:
        """Sends what pages show as captions and lights, to the wearer's page and to the partner's."""
        if isinstance(event, FrameChosen):
            self.view.choose(event.index)
        self._telling.tell(event)

    def counters(self) -> Mapping[str, int | float]:
        """Gives figures for a dashboard."""
        peer = self.peer
        pictures = peer.pictures if peer is not None else None
        return {
            **self._ear.counters(),
            **self._distance.counters(),
            **self.partner.counters(),
            "dropped_sound": self._sound.dropped,
            "skipped_frames": self.view.skipped,
            "dropped_frames": pictures.left_out if pictures is not None else 0,
            "absurd_frames": self.view.absurd + (pictures.absurd if pictures is not None else 0),
            "refused_messages": peer.refused if peer is not None else 0,
            "unsent_events": self._telling.unsent,
        }

    # What the connections bring: PeerSink.

    def peer_connected(self, peer: Peer) -> None:
        """Attaches it."""
        self.attach(peer)

    def peer_lost(self, peer: Peer, reason: str) -> None:
        """Detaches it, where it is the present one."""
        self.detach(peer)

    def peer_sound(self, peer: Peer, sequence: int, timestamp: int, payload: bytes) -> None:
        """Hears it."""
        if self._is_present(peer):
            self._ear.packet(sequence, timestamp, payload)

    def peer_picture(self, peer: Peer, frame: Decoded) -> None:
        """Sees it."""
        if self._is_present(peer) and not self._private:
            self.view.frame(frame, self._clock.media_ns(self._loop.time()))

    def peer_channel(self, peer: Peer) -> None:
        """Welcomes the page."""
        if peer is self.peer:
            self._welcome(peer)

    def peer_still(self, peer: Peer, chunk: StillChunk) -> None:
        """Takes a piece of a still."""
        if peer is self.peer:
            self._photos.add(chunk)

    def peer_message(self, peer: Peer, message: Message) -> None:
        """Does what a page's message says."""
        if not self._is_present(peer):
            return
        match message:
            case control.Ping(ping, at_ms):
                peer.send(control.message("pong", id=ping, at_ms=at_ms))
            case control.Pong(ping, at_ms):
                self._distance.clock.ponged(ping, at_ms, self._loop.time())
            case control.Playout(rtp, at_ms, latency_ms):
                sent = peer.sent.at(rtp) if peer.sent is not None else None
                self._distance.playing(sent, at_ms, latency_ms / 1000)
            case control.Tap(name):
                self._taps.send_nowait(name)
            case control.Microphone(state):
                self._microphone_on = state == "on"
            case control.Still():
                self._photos.begin(message)
            case control.StillFailed(still):
                self._photos.failed(still)
            case control.Bye(reason):
                self._end(None, f"bye {reason}")
                peer.close_soon("bye")
            case _:
                self._tell(control.described(self._condition, message))

    # Inside.

    def _is_present(self, peer: Peer) -> bool:
        """Whether a connection is the present one; what comes over it brings absent glasses back."""
        if peer is self.peer and self._state is _State.AWAY:
            self._enter(_State.PRESENT)
            self._tell(replace(self._condition, present=True))
        return peer is self.peer

    def _heard(self, chunk: AudioChunk) -> None:
        self._sound.send_nowait(AudioChunk(_SILENCE, chunk.start) if self._private else chunk)

    def _welcome(self, peer: Peer) -> None:
        self._telling.welcome(wearer=self.wearer, version=self._version, keep_s=self._keep)
        if self._private:
            self._send("privacy", on=True)
        self._ping(self._loop.time())

    def _send(self, kind: str, **fields: object) -> bool:
        return self._telling.send(kind, **fields)

    def _ping(self, now: float) -> None:
        if self.peer is not None and self.peer.has_channel and (ping := self._distance.ping(now, PING_S)) is not None:
            self._send("ping", id=ping)

    def _tell(self, condition: Condition) -> None:
        condition = replace(condition, sink_delay_s=self.sink_delay_s)
        if condition != self._condition and not self.closed:
            self._condition = condition
            self._conditions.send_nowait(condition)

    def _enter(self, state: _State) -> None:
        if state is not self._state:
            logger.info("%s: %s", self.uri, state.value)
            self._state = state
            self._since = self._loop.time()

    def _leave(self) -> None:
        """The glasses are out of reach."""
        if self._state is not _State.PRESENT:
            return
        self._enter(_State.AWAY)
        self._ear.pause()
        self.view.forget()
        self._photos.forget()
        self._tell(replace(self._condition, present=False))

    def _tick(self) -> None:
        now = self._loop.time()
        peer = self.peer
        if self._state is _State.AWAY and now - self._since >= self._keep:
            self._end(LinkError(f"{self.uri}: {self.wearer} was out of reach for {self._keep:g} s"), "out of reach")
            if peer is not None:
                peer.close_soon("out of reach", control.message("bye", reason="out of reach"))
            return
        if peer is not None:
            self._look_after(peer, now)
        self._ticker = self._loop.call_later(TICK_S, self._tick)

    def _look_after(self, peer: Peer, now: float) -> None:
        self._ping(now)
        if self._distance.sink.news(now):
            self._tell(self._condition)
        heard_at = peer.heard_at
        if heard_at is None or self._state is not _State.PRESENT:
            return
        limit = self._distance.patience_s(self._microphone_on and self._ear.heard)
        if limit is not None and now - max(heard_at, self._since) > limit:
            self._leave()

    def _end(self, error: LinkError | None, reason: str) -> None:
        if self.closed:
            return
        self._enter(_State.OVER)
        logger.info("%s: over, %s", self.uri, reason)
        if self._ticker is not None:
            self._ticker.cancel()
        self._telling.close()
        self._ear.pause()
        self._decoder.close()
        self.view.close(error)
        self._sound.close(error)
        self._taps.close(error)
        self._conditions.close(error)
        if self.on_closed is not None:
            self.on_closed(self)
