"""A wearer's xiaozhi device: one link that outlives its sockets.

The device opens a socket when its wearer calls it, by its own wake word or its button, and listens in one of three modes: until
we answer (auto), while the button is held (manual), or always (realtime, its echo cancelled there or here). A closed socket is
how it rests. So the link speaks the session's language: beginning to listen is a tap (or a hold), which calls; beginning again
after a reply, which the device does by itself in auto mode and we do for it in realtime, is one too, so that a conversation
needs no second wake word; and when the session falls idle without having answered, the socket is closed and the device rests.

While a socket is open and the device sends no sound, silence stands in its place: a question whose button was let go comes to
its end, and a call finds the session at the present moment. Older firmware takes pictures on the thread that sends its sound: a
picture then delays the question by its upload, and loses nothing of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edge.channel import Channel, Overflow
from edge.clock import MediaClock
from edge.errors import InputError, LinkError
from edge.events import Event, FinalHeard, PartialHeard, Speaking, StateChanged, TurnEnded
from edge.values import CHUNK_SAMPLES, AudioChunk, Condition, Pcm, VideoFrame
from phone_bridge import xiaozhi_wire as wire
from phone_bridge.ble_sound import Hearing, OpusFrames
from phone_bridge.stills import decode_still
from phone_bridge.xiaozhi_mouth import Mouth
from phone_bridge.xiaozhi_senses import Senses
from phone_bridge.xiaozhi_socket import FRAME_MS, Socket

log = logging.getLogger(__name__)

SINK_DELAY_S = 0.12
"""Two packets of 60 ms make the first sound, less the 40 ms that the session is ahead, and the device's own 60 ms of buffer."""
PACKET_S = FRAME_MS / 1000
TICK_S = 0.1
QUIET_S = 0.3
"""After so long without sound, outside a reply, what was said is over."""
SILENT_S = 5.0
"""Nothing for so long from a device that listens, longer than a picture takes: it is out of reach, though its socket is not."""
REST_S = 0.5
"""From falling idle to closing the socket: the sound that tells that nobody spoke comes in between."""
LISTEN_ON_S = 5.0
"""The same after a reply, in case that the device does not begin to listen again."""
LINGER_S = 30.0
"""The same for a device with a button: calling again is quicker over an open socket. It sleeps less well meanwhile."""
RELEASE_S = 0.1
"""From the button's release until it is told: the last sound is still on its way through the ears."""
REPLYING = ("speaking", "paused")
BUSY = ("thinking", *REPLYING)
_SILENCE = np.zeros(CHUNK_SAMPLES, np.int16)
_SILENCE.setflags(write=False)


class XiaozhiGlasses:
    """The Link of one wearer; also the ``Sink`` of its sockets. A new socket takes over from the one before."""

    def __init__(self, wearer: str, *, keep: float = 60.0, uri: str = "xiaozhi:") -> None:
        """``keep`` is how many seconds the link stays without a socket."""
        self.uri = uri
        self.wearer = wearer
        self.on_closed: Callable[[XiaozhiGlasses], None] | None = None
        """Called once, when the link is over: closed, or without a socket for longer than ``keep``."""
        self.closed = self.captured = False
        self.aside = None
        self._keep = keep
        self._loop = asyncio.get_running_loop()
        self._socket: Socket | None = None
        self._mouth: Mouth | None = None
        self._senses: Senses | None = None
        self._listening = False
        self._mode = "auto"
        self._continued = False
        """Whether the device begins to listen again because we stopped speaking, not because it was called."""
        self._state = "idle"
        self._cut_short = False
        self._called_back = False
        """Whether the wearer ended the reply by calling."""
        self._private = False
        self._resting = False
        self._over = False
        """Whether the conversation is: a device that is told that we stop speaking would listen again."""
        self._rest_at: float | None = None
        self._heard_at = 0.0
        self._condition = Condition(present=False, sink_delay_s=SINK_DELAY_S)
        self._decoder = OpusFrames()
        self._clock = MediaClock(self._loop.time())
        self._hearing = Hearing(self._clock, self._give)
        self._sound: Channel[AudioChunk] = Channel("microphone", 250, Overflow.DROP_OLDEST)
        self._pictures: Channel[VideoFrame] = Channel("camera", 2, Overflow.DROP_OLDEST)
        self._taps: Channel[str] = Channel("taps", 16, Overflow.DROP_OLDEST)
        self._conditions: Channel[Condition] = Channel("conditions", 16, Overflow.DROP_OLDEST)
        self._frames = self._seen_ns = 0
        self._counts = dict.fromkeys(("sockets", "unknown", "stray_sound", "not_opus", "refused", "photos", "lost_photos"), 0)
        self._ticker: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def socket(self) -> Socket | None:
        """The one that is open now."""
        return self._socket

    @property
    def sink_delay_s(self) -> float:
        """Seconds from ``play`` until the sound can be heard, about."""
        return SINK_DELAY_S

    # The station's side.

    def attach(self, socket: Socket, hello: wire.Hello) -> None:
        """Takes a socket that has said hello; one that was there is closed."""
        if self.closed:
            socket.close_soon()
            return
        if self._socket is not None:
            self._let_go(self._socket)
        self._socket = socket
        self._mouth = Mouth(socket)
        self._counts["sockets"] += 1
        self._heard_at = self._loop.time()
        self._resting = self._continued = self._called_back = False
        if self._expiry is not None:
            self._expiry.cancel()
        if hello.mcp:
            self._senses = Senses(socket, known=self._known, count=self._count)
        if self._state in BUSY:
            self._touch("tap")  # the device was called anew: nobody waits for the old reply
        self._hearing.heard(_SILENCE, self._heard_at)
        self._tell(replace(self._condition, present=True, echo_cancelled=not hello.aec, device=socket.device.name, photo_s=0.0))
        if self._ticker is None:
            self._tick()

    def detach(self, socket: Socket) -> None:
        """Lets a socket go that has ended; the keep time runs."""
        self._counts["refused"] += socket.refused
        if socket is self._socket:
            self._leave(socket)

    async def photo(self, jpeg: bytes) -> None:
        """Takes a picture that was asked for. Raises InputError where it is none, LinkError where none was asked for."""
        if self._senses is None or not self._senses.photographing or self._private:
            raise LinkError("nobody asked for a picture")
        at_ns = self._clock.media_ns(self._loop.time())
        pixels = await asyncio.to_thread(decode_still, jpeg)
        if self._private or self.closed:
            return
        self._counts["photos"] += 1
        self._seen_ns = max(self._seen_ns, at_ns)
        self._pictures.send_nowait(VideoFrame(pixels, self._seen_ns, self._frames))
        self._frames += 1

    # The session's side.

    async def open(self) -> None:
        """Begins. Raises LinkError where it is over already."""
        if self.closed:
            raise LinkError(f"{self.uri}: {self.wearer} has left")

    async def close(self) -> None:
        """Sends the wearer away and ends every stream."""
        self._end(None)

    def microphone(self) -> AsyncIterator[AudioChunk]:
        """Gives the sound, while the device listens. Raises LinkError when it stays out of reach."""
        return self._sound

    def camera(self) -> AsyncIterator[VideoFrame]:
        """Gives the pictures that ``snap`` asked for. Raises LinkError as above."""
        return self._pictures

    def taps(self) -> AsyncIterator[str]:
        """Gives calls, as touches. Raises LinkError as above."""
        return self._taps

    def conditions(self) -> AsyncIterator[Condition]:
        """Gives how the device is, now and at each change."""
        return self._conditions

    def play(self, pcm: Pcm) -> None:
        """Takes the next 20 ms; while the device is away it is lost."""
        if self._mouth is None:
            return
        if not self._mouth.speaking and self._mode != "realtime":
            self._listening = False  # it switches its microphone off while we speak
        self._mouth.play(pcm)

    def flush(self) -> int:
        """Falls silent; gives the samples that were not sent."""
        if self._mouth is None or not self._mouth.speaking:
            return 0
        self._continued = self._mode == "auto"
        return self._mouth.flush()

    def privacy(self, on: bool) -> None:
        """Lets the device rest; what comes in spite of it is silence here, and no picture."""
        self._private = on
        self._pictures.flush()
        if on:
            self._rest()

    def snap(self) -> None:
        """Asks for a picture, where the device has a camera; as soon as that is known."""
        if self._senses is not None and not self._private:
            self._senses.snap()

    def tell(self, event: Event) -> None:
        """Shows what was understood and what is said, and follows the turns."""
        socket, mouth = self._socket, self._mouth
        match event:
            case StateChanged(state=state):
                self._moved(state)
            case TurnEnded(interrupted=interrupted):
                self._cut_short = interrupted
            case PartialHeard() if self._senses is not None and not self._private:
                self._senses.refresh()
            case FinalHeard(text=text) if socket is not None:
                socket.send(wire.stt(socket.session, text))
            case Speaking(text=text) if mouth is not None:
                mouth.caption(text)

    def counters(self) -> Mapping[str, int | float]:
        """Gives figures for a dashboard."""
        refused = self._socket.refused if self._socket is not None else 0
        own = {**self._counts, "refused": self._counts["refused"] + refused}
        return {**own, "dropped_sound": self._sound.dropped, "dropped_pictures": self._pictures.dropped}

    # What the sockets bring: Sink.

    def sounded(self, socket: Socket, packet: bytes) -> None:
        """Hears it. Sound before the device says that it listens is its wake word, which it has understood itself."""
        if socket is not self._socket or not self._listening:
            self._counts["stray_sound"] += 1
            return
        self._heard_at = self._loop.time()
        try:
            pcm = self._decoder.decode(packet)
        except InputError:
            self._counts["not_opus"] += 1
            raise
        if not self._condition.present:
            self._tell(replace(self._condition, present=True))
        self._hearing.heard(pcm, self._heard_at)

    def said(self, socket: Socket, message: wire.Message) -> None:
        """Does what a message says."""
        if socket is not self._socket:
            return
        match message:
            case wire.Listen(state="start", mode=mode):
                self._listens(mode)
            case wire.Listen(state="stop"):
                self._listening = False
                if self._mode == "manual":
                    self._loop.call_later(RELEASE_S, self._touch, "release")
            case wire.Listen(text=text):
                log.info("%s: called, %d characters", self.uri, len(text))
            case wire.Abort():
                self._abort()
            case wire.Mcp(payload) if self._senses is not None:
                self._senses.received(payload)
            case _:
                self._counts["unknown"] += 1

    # Inside.

    def _listens(self, mode: str) -> None:
        continued, self._continued = self._continued, False
        self._mode = mode
        self._listening = True
        self._rest_at, self._over = None, False
        self._heard_at = self._loop.time()
        self._hearing.pause()
        if self._private:
            self._touch("tap")  # it unmutes, no more
        if mode == "manual":
            self._touch("hold")
        elif self._state in BUSY:
            if not continued:
                self._touch("tap")
                self._touch("tap")
        elif not (continued and self._state == "listening"):
            self._touch("tap")

    def _abort(self) -> None:
        if self._state in BUSY:
            self._called_back = True
            self._touch("tap")
        else:
            self.flush()

    def _moved(self, state: str) -> None:
        before, self._state = self._state, state
        self._rest_at, self._over = None, False
        if self._socket is None:
            return
        if state in ("thinking", "speaking"):
            self._socket.send(wire.llm(self._socket.session, "thinking" if state == "thinking" else "neutral"))
        if before in REPLYING and state not in REPLYING:
            self._finish()
        if state == "idle":
            self._fell_idle(answered=self._called_back or (before in REPLYING and not self._cut_short))

    def _fell_idle(self, *, answered: bool) -> None:
        self._called_back = False
        if answered and self._mode == "realtime":
            self._touch("tap")
            return
        self._over = self._mode != "manual" and not answered
        wait = LINGER_S if self._mode == "manual" else LISTEN_ON_S if answered else REST_S
        self._rest_at = self._loop.time() + wait

    def _finish(self) -> None:
        if self._mouth is not None and self._mouth.speaking:
            self._continued = self._mode == "auto"
            self._mouth.finish()

    def _rest(self) -> None:
        """Closes the socket; the device goes back to waiting for its wake word."""
        if self._socket is not None:
            self._resting = True
            self._leave(self._socket)  # now: the firmware does not answer the closing, which takes seconds then

    def _leave(self, socket: Socket) -> None:
        self._let_go(socket)
        self._tell(replace(self._condition, present=False))
        self._expiry = self._loop.call_later(self._keep, self._expired)

    def _tick(self) -> None:
        if self._mouth is None:
            self._ticker = None
            return
        self._ticker = self._loop.call_later(TICK_S, self._tick)
        now = self._loop.time()
        quiet = now - self._mouth.played_at >= QUIET_S
        if quiet and self._rest_at is not None and now >= self._rest_at:
            self._rest()
            return
        if quiet and self._state not in REPLYING and not self._over:
            self._finish()
        if self._listening:
            if now - self._heard_at > SILENT_S:
                self._tell(replace(self._condition, present=False))
        else:
            self._hearing.silence(now - PACKET_S)

    def _let_go(self, socket: Socket) -> None:
        self._socket = None
        self._listening = self._over = False
        self._rest_at = None
        self._hearing.pause()
        if self._mouth is not None:
            self._mouth.close()
            self._mouth = None
        if self._senses is not None:
            self._senses.close()
            self._senses = None
        socket.close_soon()

    def _expired(self) -> None:
        self._end(None if self._resting else LinkError(f"{self.uri}: {self.wearer} was out of reach for {self._keep:g} s"))

    def _end(self, error: LinkError | None) -> None:
        if self.closed:
            return
        self.closed = True
        log.info("%s: over", self.uri)
        if self._socket is not None:
            self._let_go(self._socket)
        for handle in (self._ticker, self._expiry):
            if handle is not None:
                handle.cancel()
        self._decoder.close()
        for channel in (self._sound, self._pictures, self._taps):
            channel.close(error)
        self._conditions.close(error)
        if self.on_closed is not None:
            self.on_closed(self)

    def _give(self, chunk: AudioChunk) -> None:
        self._sound.send_nowait(AudioChunk(_SILENCE, chunk.start) if self._private else chunk)

    def _touch(self, name: str) -> None:
        if not self.closed:
            self._taps.send_nowait(name)

    def _known(self, **facts: Any) -> None:
        self._tell(replace(self._condition, **facts))

    def _count(self, what: str) -> None:
        self._counts[what] += 1

    def _tell(self, condition: Condition) -> None:
        if condition != self._condition and not self.closed:
            self._condition = condition
            self._conditions.send_nowait(condition)
