"""Where we reach into aiortc: every use of a private name of it stands here, with its reason.

aiortc 1.16 is pinned below 1.17, and a test asserts that the names are there.

- Sound: its jitter buffer holds four packets (80 ms) and stalls on a loss, its decoder conceals nothing: ``SoundTap``.
- Video: every frame is decoded and queued without bound: ``PictureTap`` leaves frames out before they are decoded.
- Data channel: a message is put together without a bound, in quadratic time, and text that is not UTF-8 ends the
  connection: ``ChannelGuard``.
- ICE: there is no restart, and no way to know that anything arrived: ``IcePath``.
- RTP: a sender's timestamps begin at a random number that it tells nobody: ``SentTimes``. Packets are seen by nobody but
  their receivers: ``MediaTap``.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aioice import Candidate, Connection
from aiortc import RTCDtlsTransport, RTCIceTransport, RTCPeerConnection, RTCRtpReceiver, RTCSctpTransport
from aiortc.rtcsctptransport import DataChunk
from aiortc.rtp import RtpPacket, is_rtcp

RESTART_TIMEOUT_S = 10.0
MAX_PIXELS = 16_000_000
"""Video frames with more pixels are not decoded, where their header tells."""
BACKLOG = 6
"""Encoded frames that may wait for the decoder; beyond, it is too slow for this video, and frames are left out."""
_ASK_EVERY = 15
"""Frames left out between two requests for a key frame."""


class SoundTap:
    """Stands where a receiver's jitter buffer stood and hands each packet of Opus on; aiortc decodes nothing."""

    def __init__(self, receiver: RTCRtpReceiver, take: Callable[[int, int, bytes], None]) -> None:
        self._take = take
        setattr(receiver, "_RTCRtpReceiver__jitter_buffer", self)  # noqa: B010 - a private name of another class

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """Takes a packet; never gives a frame."""
        self._take(packet.sequence_number, packet.timestamp, packet.payload)
        return False, None


class PictureTap:
    """Stands before a video receiver's jitter buffer and keeps from the decoder what need not, or must not, be decoded.

    A frame that is left out breaks those that refer to it, so after one everything is left out up to the next key frame,
    which is asked for.
    """

    def __init__(self, receiver: RTCRtpReceiver, codecs: Mapping[int, str]) -> None:
        """``codecs`` gives the MIME type of each payload type."""
        self.paused = False
        """Whether pictures are unwanted now."""
        self.left_out = 0
        """Frames that were not decoded."""
        self.absurd = 0
        """Of those: frames of a size that cannot be meant."""
        self._codecs = codecs
        self._inner = getattr(receiver, "_RTCRtpReceiver__jitter_buffer")  # noqa: B009
        self._decoder_queue = getattr(receiver, "_RTCRtpReceiver__decoder_queue")  # noqa: B009
        self._broken = 0
        setattr(receiver, "_RTCRtpReceiver__jitter_buffer", self)  # noqa: B010

    def add(self, packet: RtpPacket) -> tuple[bool, Any]:
        """Takes a packet; gives whether to ask for a key frame, and a frame to decode if one is complete."""
        ask, frame = self._inner.add(packet)
        if frame is None:
            return ask, None
        size = key_frame_size(frame.data, self._codecs.get(packet.payload_type, ""))
        if size is not None and size[0] * size[1] > MAX_PIXELS:
            self.absurd += 1
        elif not self.paused and self._decoder_queue.qsize() < BACKLOG and (size is not None or not self._broken):
            self._broken = 0
            return ask, frame
        self.left_out += 1
        self._broken += 1
        return not self.paused and self._broken % _ASK_EVERY == 1, None


def key_frame_size(data: bytes, codec: str) -> tuple[int, int] | None:
    """Gives width and height of a key frame; None for other frames; (0, 0) where only decoding tells.

    VP8: RFC 6386 section 9.1. H.264: a sequence parameter set or an IDR slice (RFC 6184 section 1.3) begins in it.
    """
    match codec.lower():
        case "video/vp8":
            if len(data) < 10 or data[0] & 1:
                return None
            width, height = struct.unpack_from("<HH", data, 6)
            return width & 0x3FFF, height & 0x3FFF
        case "video/h264":
            starts = (data.find(b"\0\0\1"), *(at for at in _starts(data[3:256])))
            kinds = {data[at + 3] & 0x1F for at in starts if 0 <= at < len(data) - 3}
            return (0, 0) if kinds & {5, 7} else None
    return 0, 0


def _starts(data: bytes) -> Sequence[int]:
    return [at + 3 for at in range(len(data) - 3) if data[at : at + 3] == b"\0\0\1"]


class ChannelGuard:
    """Bounds what a peer can pile up in the data channel, and survives text that is no text.

    A message longer than ``limit`` is let pass unread, reported once, and skipped: those behind it come as usual.
    """

    def __init__(self, sctp: RTCSctpTransport, limit: int, report: Callable[[str], None], hostile: Callable[[], None]) -> None:
        """``report`` takes ``too_long`` or ``malformed``; ``hostile`` is called for a peer that ignores the receive window."""
        self._sctp: Any = sctp
        self._limit = limit
        self._report = report
        self._hostile = hostile
        self._skipped: deque[tuple[int, int]] = deque(maxlen=16)  # stream, sequence number
        self._chunk = self._sctp._receive_data_chunk
        self._message = self._sctp._data_channel_receive
        setattr(sctp, "_receive_data_chunk", self._receive_chunk)  # noqa: B010 - a method for a method
        setattr(sctp, "_data_channel_receive", self._receive_message)  # noqa: B010

    async def _receive_chunk(self, chunk: DataChunk) -> None:
        sctp = self._sctp
        stream = sctp._get_inbound_stream(chunk.stream_id)
        key = (chunk.stream_id, chunk.stream_seq)
        if key in self._skipped:
            sctp._sack_needed = True
            sctp._mark_received(chunk.tsn)
            return
        await self._chunk(chunk)
        held = sum(len(other.user_data) for other in stream.reassembly if other.stream_seq == chunk.stream_seq)
        if held > self._limit:
            stream.reassembly = [other for other in stream.reassembly if other.stream_seq != chunk.stream_seq]
            sctp._advertised_rwnd += held
            self._skipped.append(key)
            self._report("too_long")
        while (chunk.stream_id, stream.sequence_number) in self._skipped:
            stream.sequence_number = (stream.sequence_number + 1) & 0xFFFF
        # Sequence numbers come round again after 65,536 messages: what lies far behind is forgotten long before.
        while self._skipped and (chunk.stream_seq - self._skipped[0][1]) & 0xFFFF > 1024:
            self._skipped.popleft()
        if sctp._advertised_rwnd < 0:
            self._hostile()

    async def _receive_message(self, stream_id: int, pp_id: int, data: bytes) -> None:
        try:
            await self._message(stream_id, pp_id, data)
        except (UnicodeDecodeError, AssertionError, struct.error):
            self._report("malformed")


class SentTimes:
    """Remembers when each packet of a sender left, by the RTP timestamp that the other end sees."""

    def __init__(self, dtls: RTCDtlsTransport, ssrc: int, clock: Callable[[], float]) -> None:
        self.last: int | None = None
        """RTP timestamp of the newest packet."""
        self._clock = clock
        self._ssrc = ssrc.to_bytes(4, "big")
        self._times: dict[int, float] = {}
        self._send = dtls._send_rtp
        setattr(dtls, "_send_rtp", self._watch)  # noqa: B010 - a method for a method

    def at(self, timestamp: int) -> float | None:
        """When the packet with this RTP timestamp left; None where that is too long ago, or never happened."""
        return self._times.get(timestamp)

    async def _watch(self, data: bytes) -> None:
        if data[8:12] == self._ssrc and not is_rtcp(data):
            self.last = int.from_bytes(data[4:8], "big")
            self._times[self.last] = self._clock()
            while len(self._times) > 250:  # 5 s
                del self._times[next(iter(self._times))]
        await self._send(data)


class MediaTap:
    """Sees each packet of media and of its control as it is between the encryption and what lies above."""

    def __init__(self, dtls: RTCDtlsTransport, took: Callable[[str, bytes, bool], None]) -> None:
        """``took`` gets ``rtp`` or ``rtcp``, the packet, and whether it was received."""
        transport: Any = dtls
        send, media, report = transport._send_rtp, transport._handle_rtp_data, transport._handle_rtcp_data

        async def sent(data: bytes) -> None:
            took("rtcp" if is_rtcp(data) else "rtp", data, False)
            await send(data)

        async def came(data: bytes, arrival_time_ms: int) -> None:
            took("rtp", data, True)
            await media(data, arrival_time_ms=arrival_time_ms)

        async def reported(data: bytes) -> None:
            took("rtcp", data, True)
            await report(data)

        transport._send_rtp, transport._handle_rtp_data, transport._handle_rtcp_data = sent, came, reported


class IcePath:
    """The path under a connection's DTLS, which can be changed for a fresh one while DTLS runs on.

    ICE restart (RFC 8445 section 2.4): a new agent with new credentials checks new candidates; when it has connected it
    takes the old one's place, and sound, pictures and messages go on as if nothing had happened. Which path is taken is the
    other end's to say: Chromium nominates the new one as soon as the old one is dead, and not while that is well.
    """

    def __init__(self, ice: RTCIceTransport, username: str | None, clock: Callable[[], float]) -> None:
        """``username`` is the other end's username fragment, which aiortc notes only when it begins to connect."""
        self.heard_at: float | None = None
        """When a packet last came, on the given clock; ICE's own checks do not count."""
        self._ice: Any = ice
        self._username = username
        self._clock = clock
        self._switching: asyncio.Task[None] | None = None
        self._pending: Connection | None = None
        self._ice._recv = self._receive
        self._ice._send = self._transmit

    def knows(self, username: str) -> bool:
        """Whether this is the other end's username fragment, of the present path or of a restart under way."""
        return username == self._username or (self._pending is not None and username == self._pending.remote_username)

    async def gather(self) -> None:
        """Gathers candidates; the loopback address, which aioice leaves out, where there is no other."""
        await self._ice.iceGatherer.gather()
        await _at_least_loopback(self._connection)

    async def add(self, candidates: Sequence[Candidate]) -> None:
        """Takes candidates of the other end."""
        for candidate in candidates:
            await (self._pending or self._connection).add_remote_candidate(candidate)

    async def prepare(self) -> Connection:
        """Makes a new agent with its candidates, to restart with; whoever takes it calls ``restart`` with it, or closes it."""
        fresh = Connection(ice_controlling=self._connection.ice_controlling)
        try:
            await fresh.gather_candidates()
            await _at_least_loopback(fresh)
        except BaseException:
            await fresh.close()
            raise
        return fresh

    async def restart(self, fresh: Connection, username: str, password: str, candidates: Sequence[Candidate]) -> None:
        """Begins a restart towards the other end's new credentials with a new agent."""
        await self.stop()
        fresh.remote_username, fresh.remote_password = username, password
        self._pending = fresh
        self._switching = asyncio.create_task(self._switch(fresh, candidates), name="ice-restart")

    async def stop(self) -> None:
        """Gives up a restart that has not come through."""
        switching, self._switching = self._switching, None
        if switching is not None:
            switching.cancel()
            await asyncio.wait([switching])

    async def _switch(self, fresh: Connection, candidates: Sequence[Candidate]) -> None:
        old: Connection | None = None
        try:
            for candidate in candidates:
                await fresh.add_remote_candidate(candidate)
            async with asyncio.timeout(RESTART_TIMEOUT_S):
                await fresh.connect()
            if self._ice.state == "completed":
                old, self._ice._connection = self._connection, fresh
                self._username = fresh.remote_username
                self._ice.iceGatherer._connection = fresh
                # The monitor waits for the end of the old agent, which must not be taken for the end of the transport.
                self._ice._RTCIceTransport__monitor_task.cancel()
                self._ice._RTCIceTransport__monitor_task = asyncio.create_task(self._ice._monitor())
        except (ConnectionError, TimeoutError):
            pass  # the old path serves as long as it holds
        finally:
            self._pending = None
            await (old or fresh).close()

    @property
    def _connection(self) -> Connection:
        connection: Connection = self._ice._connection
        return connection

    async def _receive(self) -> bytes:
        while True:
            connection = self._connection
            try:
                data = await connection.recv()
            except ConnectionError:
                if connection is self._connection:
                    raise
                continue
            if self._ice._recv == self._receive:  # nothing lies above that may yet lose it
                self.heard_at = self._clock()
            return data

    def hear_above(self) -> None:
        """Counts only what comes through that which was put over this path: an impairment."""
        receive = self._ice._recv

        async def hear() -> bytes:
            data: bytes = await receive()
            self.heard_at = self._clock()
            return data

        self._ice._recv = hear

    async def _transmit(self, data: bytes) -> None:
        await self._connection.send(data)


async def _at_least_loopback(connection: Connection) -> None:
    if not connection.local_candidates:
        agent: Any = connection
        agent._local_candidates += await agent.get_component_candidates(1, ["127.0.0.1"])


def codecs_of(pc: RTCPeerConnection) -> dict[int, str]:
    """Gives the MIME type of each RTP payload type that a connection has agreed on."""
    agreed = (codec for transceiver in pc.getTransceivers() for codec in transceiver._codecs)
    return {codec.payloadType or 0: codec.mimeType for codec in agreed}


def prefer_opus(pc: RTCPeerConnection) -> None:
    """Leaves Opus alone among the sound codecs, and asks for its in-band error correction (RFC 7587 section 6.1)."""
    for transceiver in pc.getTransceivers():
        if transceiver.kind == "audio":
            transceiver._codecs = [codec for codec in transceiver._codecs if codec.mimeType.lower() == "audio/opus"]
            for codec in transceiver._codecs:
                codec.parameters = {"minptime": 10, "useinbandfec": 1}


async def finished(ice: RTCIceTransport, dtls: RTCDtlsTransport) -> None:
    """Waits until the task that aiortc connects in, and gives to nobody, has ended after ``close``."""
    started: asyncio.Event | None = getattr(ice, "_RTCIceTransport__start")  # noqa: B009
    if started is not None:
        await started.wait()
    for _ in range(50):
        await asyncio.sleep(0)
        if dtls.state != "connecting":
            break
    for _ in range(5):
        await asyncio.sleep(0)
