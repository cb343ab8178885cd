"""Glasses over WebRTC out of a capture: their packets go to the same jitter buffer, decoders and messages as the real ones.

Bluetooth glasses that a page carried are not replayed: their packets are in the capture, and this host is another one than
they answered. Nor are retransmissions of video, whose picture then waits for the next key frame.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from aiortc import RTCRtpCodecParameters
from aiortc.codecs import depayload, get_decoder
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

from edge import __version__
from edge.channel import Channel, Overflow
from edge.values import Pcm
from phone_bridge import control
from phone_bridge.control import Refusal, StillChunk
from phone_bridge.pcapng import JSON, LONGEST_S, RTP, Connection, Packet
from phone_bridge.peer import Peer
from phone_bridge.replay import Answered, Pace, nearest
from phone_bridge.webrtc import WebRtcGlasses

log = logging.getLogger(__name__)

VIDEO_BACKLOG = 128
"""Encoded frames that may wait to be decoded: four seconds."""
_CLOCKS = {"audio": 48_000, "video": 90_000}


class WebRtcPlayer:
    """Plays a wearer's connections to a link."""

    def __init__(self, wearer: str, uri: str) -> None:
        self.glasses = WebRtcGlasses(wearer, keep=LONGEST_S, uri=uri, version=__version__)

    async def play(self, connection: Connection, began: float, over: Callable[[], Awaitable[None]]) -> None:
        """Plays one; it attaches itself as a peer does that came through."""
        peer = _Replayed(self.glasses, connection, began)
        self.glasses.peer_connected(peer)
        seeing = asyncio.create_task(peer.see(), name="replay video")
        try:
            await peer.run(over)
        finally:
            seeing.cancel()
            await asyncio.gather(seeing, return_exceptions=True)
            await peer.close()


class _Replayed(Peer):
    """A connection whose other end is a capture."""

    def __init__(self, glasses: WebRtcGlasses, connection: Connection, began: float) -> None:
        self.device = str(connection.facts.get("device", ""))
        self.on_connected = self.on_closed = None
        self.returns_sound = True
        self.sent = self.path = self.pictures = None
        self.refused = 0
        self._glasses = glasses
        self._heard_at: float | None = None
        self._loop = asyncio.get_running_loop()
        self._pace: Pace[Packet | None] = Pace(began)
        """None at the end."""
        self._formats = dict(_codecs(connection.facts))
        self._frames = _Frames()
        self._private = False
        self._stills, rest = _stills(connection.packets)
        for packet in rest:
            if packet.received and packet.size == len(packet.data):  # what was left out for privacy is nothing
                self._pace.put(packet.at, packet)
        self._pace.put(connection.ended if connection.ended is not None else connection.packets[-1].at, None)

    async def run(self, over: Callable[[], Awaitable[None]]) -> None:
        """Hands on what came, until the end."""
        self._glasses.peer_channel(self)
        while (packet := await self._pace.next()) is not None:
            self._heard_at = self._loop.time()
            if packet.kind == RTP:
                self._media(packet.data)
            elif packet.kind == JSON:
                self._received(packet.data.decode("utf-8", "replace"))
            else:
                self._received(packet.data)
        if not self._pace.closed:
            await over()

    async def see(self) -> None:
        """Decodes the video beside the loop."""
        async for codec, frame in self._frames.whole:
            for picture in await asyncio.to_thread(self._frames.decoded, codec, frame):
                self._glasses.peer_picture(self, picture)

    # The connection, as the link sees it.

    @property
    def connected(self) -> bool:
        """Whether it is there."""
        return not self._pace.closed

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self._pace.closed

    @property
    def has_channel(self) -> bool:
        """Whether messages can be sent."""
        return not self._pace.closed

    @property
    def heard_at(self) -> float | None:
        """Loop time of the newest packet."""
        return self._heard_at

    def send(self, message: Mapping[str, Any]) -> bool:
        """Answers what asks for a still; the rest is heard by nobody."""
        if message.get("type") == "snap":
            self._photograph(int(message["id"]))
        return not self._pace.closed

    def play(self, pcm: Pcm) -> None:
        """Nobody hears it."""

    def flush(self) -> int:
        """Gives 0: it keeps nothing."""
        return 0

    def impair(self, impairment: object) -> None:
        """Nothing: the network is the capture's."""

    def close_soon(self, reason: str, last: Mapping[str, Any] | None = None) -> None:
        """Ends."""
        if not self._pace.closed:
            self._pace.close()
            self._glasses.peer_lost(self, reason)

    async def close(self) -> None:
        """Ends."""
        self.close_soon("closed")

    # Inside.

    def _received(self, data: str | bytes) -> None:
        match control.decode(data):
            case Refusal():
                self.refused += 1
            case StillChunk() as chunk:
                self._glasses.peer_still(self, chunk)
            case message:
                self._glasses.peer_message(self, message)

    def _media(self, data: bytes) -> None:
        try:
            packet = RtpPacket.parse(data)
        except ValueError:
            return
        codec = self._formats.get(packet.payload_type)
        if codec is None:
            return
        if codec.mimeType.startswith("audio/"):
            self._glasses.peer_sound(self, packet.sequence_number, packet.timestamp, packet.payload)
        elif not self._private:
            self._frames.add(codec, packet)

    def _photograph(self, number: int) -> None:
        found = nearest(self._stills, self._pace.now)
        if found is None:
            self._pace.put(self._pace.now, _text({"v": control.VERSION, "type": "still_failed", "id": number}))
            return
        for seconds, packet in found.came:
            self._pace.put(self._pace.now + seconds, _numbered(packet, number))


class _Frames:
    """Puts frames of video together, and decodes them."""

    def __init__(self) -> None:
        self.whole: Channel[tuple[RTCRtpCodecParameters, JitterFrame]] = Channel("replay", VIDEO_BACKLOG, Overflow.DROP_OLDEST)
        self._jitter = JitterBuffer(capacity=128, is_video=True)
        self._decoders: dict[str, Any] = {}

    def add(self, codec: RTCRtpCodecParameters, packet: RtpPacket) -> None:
        if codec.name.lower() == "rtx":
            return
        try:
            packet._data = depayload(codec, packet.payload) if packet.payload else b""  # type: ignore[attr-defined]
        except ValueError:
            return
        _, frame = self._jitter.add(packet)
        if frame is not None:
            self.whole.send_nowait((codec, frame))

    def decoded(self, codec: RTCRtpCodecParameters, frame: JitterFrame) -> list[Any]:
        """Runs in a thread, one at a time."""
        import av

        decoder = self._decoders.get(codec.mimeType)
        if decoder is None:
            decoder = self._decoders[codec.mimeType] = get_decoder(codec)
        try:
            return list(decoder.decode(frame))
        except av.FFmpegError as error:
            log.info("a frame of the capture cannot be decoded: %s", error)
            return []


def _codecs(facts: Mapping[str, Any]) -> Iterator[tuple[int, RTCRtpCodecParameters]]:
    told = facts.get("codecs")
    for number, mime in told.items() if isinstance(told, dict) else ():
        rate = _CLOCKS.get(str(mime).partition("/")[0])
        if str(number).isdecimal() and rate is not None:
            yield int(number), RTCRtpCodecParameters(mimeType=str(mime), clockRate=rate, payloadType=int(number))


def _stills(packets: list[Packet]) -> tuple[list[Answered[Packet]], list[Packet]]:
    """Gives the stills that were asked for, with their pieces, and all other packets."""
    asked: dict[int, Packet] = {}
    came: dict[int, list[tuple[float, Packet]]] = {}
    rest = []
    for packet in packets:
        number = _still_of(packet)
        if not packet.received and number is not None:
            asked[number] = packet
        elif packet.received and number in asked:
            came.setdefault(number, []).append((packet.at - asked[number].at, packet))
        else:
            rest.append(packet)
    return [Answered(asked[number].at, tuple(pieces)) for number, pieces in came.items()], rest


def _still_of(packet: Packet) -> int | None:
    """The number of the still that a packet asks for, or is of."""
    if packet.kind == RTP:
        return None
    if packet.kind != JSON:
        found = control.decode(packet.data) if packet.size == len(packet.data) else None
        return found.id if isinstance(found, StillChunk) else None
    try:
        message = json.loads(packet.data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("type") not in ("snap", "still", "still_failed"):
        return None
    number = message.get("id")
    return number if isinstance(number, int) else None


def _numbered(packet: Packet, number: int) -> Packet:
    """The same piece of another still."""
    if packet.kind == JSON:
        return replace(packet, data=json.dumps(json.loads(packet.data) | {"id": number}).encode())
    return replace(packet, data=number.to_bytes(4, "big") + packet.data[4:])


def _text(message: Mapping[str, Any]) -> Packet:
    data = json.dumps(message).encode()
    return Packet(0.0, JSON, data, True, len(data))
