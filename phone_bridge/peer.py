"""One WebRTC connection: an offer becomes an answer; sound and control go both ways, video comes in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from aiortc import (
    InvalidStateError,
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import OperationError
from aiortc.mediastreams import MediaStreamError

from edge.errors import InputError, LinkError, UsageError
from edge.values import Pcm
from phone_bridge import control
from phone_bridge.control import Message, Refusal, StillChunk
from phone_bridge.offers import Offer, read_fragment, read_offer, write_fragment
from phone_bridge.pcapng import RTP
from phone_bridge.playout import PlayoutTrack
from phone_bridge.seams import (
    ChannelGuard,
    IcePath,
    MediaTap,
    PictureTap,
    SentTimes,
    SoundTap,
    codecs_of,
    finished,
    prefer_opus,
)
from phone_bridge.tape import RTP_HEAD, Tape
from phone_bridge.view import Decoded

if TYPE_CHECKING:
    from phone_bridge.impair import Impaired, Impairment

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 15.0
"""Seconds within which ICE and DTLS must be through; else the connection is closed."""
LAST_WORD_S = 0.3
"""How long a last message may take to leave before the connection closes."""
MAX_MESSAGE = 65_536
"""Bytes of a data channel message that are announced and taken in; longer ones are skipped unread."""
MAX_WAITING = 1 << 20
"""Bytes that may wait in the data channel; beyond, messages are left out: the other end does not read."""
PACKET_TICKS = 960
"""RTP ticks of one packet of 20 ms."""


class PeerSink(Protocol):
    """Who takes what a connection brings (``WebRtcGlasses`` is one). All are called on the loop and must not block."""

    def peer_connected(self, peer: Peer) -> None:
        """ICE and DTLS are through. Called once."""

    def peer_lost(self, peer: Peer, reason: str) -> None:
        """The connection is over: never came to be (``timeout``), failed, or was closed. Called once for each peer answered."""

    def peer_sound(self, peer: Peer, sequence: int, timestamp: int, payload: bytes) -> None:
        """An RTP packet of Opus came."""

    def peer_picture(self, peer: Peer, frame: Decoded) -> None:
        """A video frame was decoded."""

    def peer_message(self, peer: Peer, message: Message) -> None:
        """A well-formed control message came."""

    def peer_still(self, peer: Peer, chunk: StillChunk) -> None:
        """A piece of a still came."""

    def peer_channel(self, peer: Peer) -> None:
        """The data channel is open."""


class Peer:
    """A connection. Made by ``answer`` alone; in every case that fails it is closed and freed."""

    def __init__(self, sink: PeerSink, device: str) -> None:
        self.device = device
        """What the caller of ``answer`` named the device (its id), for logs."""
        self.on_connected: Callable[[Peer], None] | None = None
        """Called once, after the sink."""
        self.on_closed: Callable[[Peer], None] | None = None
        """Called once when everything is closed and freed, whatever the reason."""
        self.returns_sound = False
        """Whether the client plays what ``play`` takes; one that only sends (WHIP) gets text alone."""
        self.sent: SentTimes | None = None
        """When which packet of sound left; None where none does."""
        self.path: IcePath | None = None
        self.pictures: PictureTap | None = None
        self.refused = 0
        """Control messages that could not be used."""
        self._loop = asyncio.get_running_loop()
        self._sink = sink
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))  # nothing is asked of a server outside
        self._track = PlayoutTrack()
        self._channel: RTCDataChannel | None = None
        self._rate = control.Rate()
        self._impaired: Impaired | None = None
        self._connected = False
        self._answered = False
        self._private = False
        self._tape: Tape | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._closing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    async def answer(cls, offer_sdp: str, sink: PeerSink, *, device: str = "") -> tuple[Peer, str]:
        """Makes the connection that an offer asks for; gives it and the answer's SDP, its candidates included.

        Raises InputError: malformed SDP, no sound offered, no codec in common, more sections than are understood.
        """
        offer = read_offer(offer_sdp)
        peer = cls(sink, device)
        try:
            text = await peer._negotiate(offer)
        except BaseException:
            await peer.close()
            raise
        peer._answered = True
        peer._timer = peer._loop.call_later(CONNECT_TIMEOUT_S, peer._too_late)
        return peer, text

    @property
    def connected(self) -> bool:
        """Whether ICE and DTLS are through and the connection is not lost."""
        return self._connected and self._closing is None

    @property
    def closed(self) -> bool:
        """Whether it is over for good."""
        return self._closing is not None

    @property
    def has_channel(self) -> bool:
        """Whether control messages can be sent."""
        return self._channel is not None and self._channel.readyState == "open"

    @property
    def heard_at(self) -> float | None:
        """Loop time of the newest packet of any kind."""
        return self.path.heard_at if self.path is not None else None

    async def add_candidates(self, fragment: str) -> None:
        """Takes the candidates of a trickle fragment (RFC 8840). Raises InputError; UsageError for other ICE credentials."""
        found = read_fragment(fragment)
        path = self._live_path()
        if found.username is not None and not path.knows(found.username):
            raise UsageError("the fragment has other ICE credentials than this connection")
        await path.add(found.candidates)

    def is_restart(self, fragment: str) -> bool:
        """Whether a fragment carries ICE credentials that are new. Raises InputError."""
        username = read_fragment(fragment).username
        return username is not None and not self._live_path().knows(username)

    async def restart_ice(self, fragment: str) -> str:
        """Restarts ICE towards the new credentials of a fragment; gives the fragment with ours and our candidates.

        The old path carries on until the new one has connected. Raises InputError for a fragment without credentials,
        LinkError where there is no connection whose path could change.
        """
        found = read_fragment(fragment)
        if not found.username or not found.password or len(found.username) < 4 or len(found.password) < 22:
            raise InputError("an ICE restart needs a new username fragment and password (RFC 8445 section 5.3)")
        path = self._live_path()
        if not self.connected:
            raise LinkError("there is no connection to restart")
        agent = await path.prepare()
        fragment = write_fragment(agent, self._pc.getTransceivers()[0].mid or "0")
        await path.restart(agent, found.username, found.password, found.candidates)
        return fragment

    def send(self, message: Mapping[str, Any]) -> bool:
        """Sends a control message; False where there is no open channel, or too much waits in it, or it is too long."""
        channel = self._channel
        if channel is None or channel.readyState != "open" or channel.bufferedAmount > MAX_WAITING:
            return False
        text = control.encode(message)
        if len(text.encode()) > control.MAX_TEXT:
            return False
        try:
            channel.send(text)
        except (InvalidStateError, ValueError):  # the latter: the other end takes even less
            return False
        if self._tape is not None:
            self._tape.message(text, received=False)
        return True

    def play(self, pcm: Pcm) -> None:
        """Takes the next 20 ms for the loudspeaker."""
        if self.returns_sound and not self.closed:
            self._track.play(pcm)

    def flush(self) -> int:
        """Drops what has not been sent; gives the number of samples. The page is told to fall silent until what comes next."""
        dropped = self._track.flush()
        if self.sent is not None and self.sent.last is not None:
            self.send(control.message("flush", rtp=(self.sent.last + PACKET_TICKS) & 0xFFFFFFFF))
        return dropped

    def pause_pictures(self, on: bool) -> None:
        """While on, for privacy, pictures are not decoded, nor anything captured but its length."""
        self._private = on
        if self.pictures is not None:
            self.pictures.paused = on

    def record(self, tape: Tape) -> None:
        """Has what passes from now on written down, inside its encryption. Called once, before the connection is through."""
        self._tape = tape
        MediaTap(self._pc.getTransceivers()[0].receiver.transport, self._passed)

    @property
    def codecs(self) -> dict[int, str]:
        """The MIME type of each RTP payload type that was agreed on."""
        return codecs_of(self._pc)

    def impair(self, impairment: Impairment) -> None:
        """Puts a bad network on the line."""
        from phone_bridge.impair import impair

        if self._impaired is None and self.connected:
            self._impaired = impair(self._pc, impairment)
            if self.path is not None:
                self.path.hear_above()

    def close_soon(self, reason: str, last: Mapping[str, Any] | None = None) -> None:
        """Sends a last message, then closes. Never waits; the work is the peer's own task."""
        if self._closing is not None:
            return
        self._closing = self._loop.create_task(self._shut(last), name="peer-close")
        if self._answered:
            logger.info("connection of device %s over: %s", self.device, reason)
            self._sink.peer_lost(self, reason)

    async def close(self) -> None:
        """Closes and waits until everything is freed. May be called twice."""
        self.close_soon("closed")
        assert self._closing is not None
        await asyncio.wait([self._closing])

    async def _negotiate(self, offer: Offer) -> str:
        pc = self._pc
        pc.on("connectionstatechange", self._state_changed)
        pc.on("datachannel", self._channel_made)
        pc.on("track", self._track_made)
        pc.addTransceiver(self._track, direction="sendrecv")
        try:
            await pc.setRemoteDescription(RTCSessionDescription(offer.text, "offer"))
        except OperationError as error:
            raise InputError("no codec in common: Opus, VP8 and H.264 are understood") from error
        except Exception as error:  # a parser for what strangers write; what it cannot use it asserts, indexes or unpacks
            raise InputError("malformed SDP: it cannot be applied") from error
        prefer_opus(pc)
        audio = pc.getTransceivers()[0]
        dtls = audio.receiver.transport
        self.path = IcePath(dtls.transport, offer.username, self._loop.time)
        self.returns_sound = offer.returns_sound
        if offer.returns_sound:
            self.sent = SentTimes(dtls, audio.sender._ssrc, self._loop.time)
        SoundTap(audio.receiver, self._sound)
        for transceiver in pc.getTransceivers():
            if transceiver.kind == "video" and transceiver.receiver.track is not None:
                self.pictures = PictureTap(transceiver.receiver, self.codecs)
        if pc.sctp is not None:
            ChannelGuard(pc.sctp, MAX_MESSAGE, self._refuse, lambda: self.close_soon("flooded"))
        await self.path.gather()
        await pc.setLocalDescription(await pc.createAnswer())
        await self.path.add(offer.candidates)
        return pc.localDescription.sdp.replace("a=max-message-size:262144", f"a=max-message-size:{MAX_MESSAGE}")

    def _live_path(self) -> IcePath:
        if self.path is None or self.closed:
            raise LinkError("the connection is over")
        return self.path

    def _too_late(self) -> None:
        if not self._connected:
            self.close_soon("timeout")

    def _state_changed(self) -> None:
        match self._pc.connectionState:
            case "connected" if not self._connected and self._closing is None:
                self._connected = True
                self._sink.peer_connected(self)
                if self.on_connected is not None:
                    self.on_connected(self)
            case "failed" | "closed":
                self.close_soon("lost")

    def _track_made(self, track: MediaStreamTrack) -> None:
        # Sound never comes out of its track: the tap takes it before. Waiting there would only keep a task.
        if track.kind == "video":
            self._pumps.append(self._loop.create_task(self._pump(track), name="peer-video"))

    async def _pump(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                return
            self._sink.peer_picture(self, frame)

    def _passed(self, kind: str, packet: bytes, received: bool) -> None:
        assert self._tape is not None, "record() was called"
        keep = RTP_HEAD if self._private and received and kind == RTP else None
        self._tape.took(kind, packet, received=received, keep=keep)

    def _sound(self, sequence: int, timestamp: int, payload: bytes) -> None:
        self._sink.peer_sound(self, sequence, timestamp, payload)

    def _channel_made(self, channel: RTCDataChannel) -> None:
        if self._channel is not None and channel.label != control.LABEL:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._received)
        self._sink.peer_channel(self)

    def _received(self, data: str | bytes) -> None:
        if self._closing is not None:
            return
        if self._rate.flooded(self._loop.time()):
            self.close_soon("flooded")
            return
        if self._tape is not None:
            self._tape.message(data, received=True, private=self._private)
        match control.decode(data):
            case Refusal(reply):
                self.refused += 1
                self.send(reply)
            case StillChunk() as chunk:
                self._sink.peer_still(self, chunk)
            case message:
                self._sink.peer_message(self, message)

    def _refuse(self, code: str) -> None:
        self.refused += 1
        text = f"a message has at most {control.MAX_TEXT} bytes" if code == "too_long" else "not UTF-8"
        self.send(control.refusal(code, text).reply)

    async def _shut(self, last: Mapping[str, Any] | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if last is not None and self._connected and self._pc.sctp is not None:
            await self._say_last(last)
        for pump in self._pumps:
            pump.cancel()
        if self._pumps:
            await asyncio.wait(self._pumps)
        if self.path is not None:
            await self.path.stop()
        if self._impaired is not None:
            await self._impaired.close()
        transceivers = self._pc.getTransceivers()
        await self._pc.close()
        self._track.stop()
        for transceiver in transceivers:
            dtls = transceiver.receiver.transport
            await finished(dtls.transport, dtls)
        if self._tape is not None:
            self._tape.close()
        if self.on_closed is not None:
            self.on_closed(self)

    async def _say_last(self, last: Mapping[str, Any]) -> None:
        """Sends a last message, in a channel that may be about to open, and gives it a moment to leave."""
        said = False
        for _ in range(round(LAST_WORD_S / 0.02)):
            said = said or self.send(last)
            await asyncio.sleep(0.02)
            if said and (self._channel is None or not self._channel.bufferedAmount):
                return
