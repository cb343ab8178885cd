"""A WebRTC client in a few lines: glasses for tests and for the bench, made of aiortc.

::

    async with Client() as client:
        await client.connect(post_offer)          # post_offer: SDP -> SDP
        client.say(pcm)                           # a multiple of 320 samples
        client.show(picture)                      # from now on, at `fps`
        reply = await client.expect("welcome")    # the next control message of this type
        client.heard                              # [(loop time, 320 samples)]
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable, Mapping
from fractions import Fraction
from types import TracebackType
from typing import Any

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from av import VideoFrame

from edge.channel import Channel, Overflow
from edge.values import CHUNK_SAMPLES, Pcm, Pixels
from phone_bridge.control import LABEL, MAX_CHUNK, StillChunk, encode_chunk, message
from phone_bridge.jitter import JitterBuffer
from phone_bridge.opus import Decoder
from phone_bridge.playout import PlayoutTrack
from phone_bridge.seams import IcePath, SentTimes, SoundTap, finished


class Camera(MediaStreamTrack):
    """Shows the same picture, ``fps`` times a second, until it is given another."""

    kind = "video"

    def __init__(self, fps: float) -> None:
        super().__init__()
        self.pixels: Pixels = np.zeros((240, 320, 3), np.uint8)
        self._fps = fps
        self._began: float | None = None
        self._index = 0

    async def recv(self) -> VideoFrame:
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._began = loop.time()
        await asyncio.sleep(self._began + self._index / self._fps - loop.time())
        frame = VideoFrame.from_ndarray(self.pixels, format="bgr24")
        frame.pts = round(self._index / self._fps * 90_000)
        frame.time_base = _VIDEO_CLOCK
        self._index += 1
        return frame


class Client:
    """One end of a connection. ``listens`` without effect on sending; a WHIP client has ``listens=False, channel=False``."""

    def __init__(self, *, video: bool = True, fps: float = 15.0, listens: bool = True, channel: bool = True) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.voice = PlayoutTrack(on_sent=lambda pts, at: self.said.append((pts, at)))
        self.camera = Camera(fps) if video else None
        self.said: list[tuple[int, float]] = []
        """RTP timestamp (from 0) and loop time of every packet sent."""
        self.heard: list[tuple[float, Pcm]] = []
        """Loop time of arrival and sound of every chunk received."""
        self.answers_pings = True
        self.page_offset_s = 1000.0
        """By how much the page's clock is ahead of the loop's."""
        self.messages: Channel[Mapping[str, Any]] = Channel("client", 10_000, Overflow.DROP_OLDEST)
        self.path: IcePath | None = None
        self.sent: SentTimes | None = None
        self.newest_rtp: int | None = None
        self.channel: RTCDataChannel | None = self.pc.createDataChannel(LABEL) if channel else None
        self._decoder = Decoder()
        self._jitter = JitterBuffer(self._decoder)
        self._open = asyncio.Event()
        self.pc.addTransceiver(self.voice, direction="sendrecv" if listens else "sendonly")
        if self.camera is not None:
            self.pc.addTransceiver(self.camera, direction="sendonly")
        if self.channel is not None:
            self.channel.on("open", self._open.set)
            self.channel.on("message", self._received)

    async def offer(self) -> str:
        """Gives the offer, candidates included."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return self.pc.localDescription.sdp

    async def accept(self, answer: str, within_s: float = 10.0) -> None:
        """Takes the answer and waits until the connection, and the data channel where there is one, is there."""
        connected = asyncio.Event()
        self.pc.on("connectionstatechange", lambda: connected.set() if self.pc.connectionState == "connected" else None)
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        audio = self.pc.getTransceivers()[0]
        SoundTap(audio.receiver, self._hear)
        dtls = audio.receiver.transport
        self.path = IcePath(dtls.transport, None, asyncio.get_running_loop().time)
        self.sent = SentTimes(dtls, audio.sender._ssrc, asyncio.get_running_loop().time)
        async with asyncio.timeout(within_s):
            if self.pc.connectionState != "connected":
                await connected.wait()
            if self.channel is not None:
                await self._open.wait()

    async def connect(self, post: Callable[[str], Awaitable[str]]) -> None:
        """Offers, posts, accepts."""
        await self.accept(await post(await self.offer()))

    def say(self, pcm: Pcm) -> None:
        """Sends sound, 20 ms after 20 ms, after what is being sent."""
        for at in range(0, len(pcm), CHUNK_SAMPLES):
            self.voice.play(pcm[at : at + CHUNK_SAMPLES])

    def show(self, pixels: Pixels) -> None:
        """Shows a picture from now on."""
        assert self.camera is not None
        self.camera.pixels = pixels

    def send(self, kind: str, **fields: Any) -> None:
        """Sends a control message."""
        self.send_raw(json.dumps(message(kind, **fields)))

    def send_raw(self, data: str | bytes) -> None:
        """Sends anything."""
        assert self.channel is not None
        self.channel.send(data)

    def send_still(self, still: int, data: bytes, *, mime: str = "image/jpeg", crc32: int | None = None) -> None:
        """Sends a still: its announcement and its pieces."""
        pieces = [data[at : at + MAX_CHUNK] for at in range(0, len(data), MAX_CHUNK)]
        check = zlib.crc32(data) if crc32 is None else crc32
        self.send("still", id=still, bytes=len(data), mime=mime, crc32=check, chunks=len(pieces))
        for index, piece in enumerate(pieces):
            self.send_raw(encode_chunk(StillChunk(still, index, piece)))

    async def expect(self, kind: str, within_s: float = 5.0) -> Mapping[str, Any]:
        """Gives the next control message of a type; others before it are dropped."""
        async with asyncio.timeout(within_s):
            async for received in self.messages:
                if received["type"] == kind:
                    return received
        raise AssertionError("the channel has ended")

    def page_ms(self, at: float) -> float:
        """A loop time on the page's clock."""
        return (at + self.page_offset_s) * 1000

    def vanish(self) -> None:
        """Stops sending and receiving without a goodbye, as a phone in a tunnel does."""
        for pair in self.pc.getTransceivers()[0].receiver.transport.transport._connection._nominated.values():
            pair.protocol.transport.abort()

    async def close(self) -> None:
        """Ends the connection."""
        transceivers = self.pc.getTransceivers()
        if self.path is not None:
            await self.path.stop()
        await self.pc.close()
        for transceiver in transceivers:
            await finished(transceiver.receiver.transport.transport, transceiver.receiver.transport)
        self.voice.stop()
        if self.camera is not None:
            self.camera.stop()
        self._decoder.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _hear(self, sequence: int, timestamp: int, payload: bytes) -> None:
        at = asyncio.get_running_loop().time()
        self.newest_rtp = timestamp
        self.heard += [(at, chunk.pcm) for chunk in self._jitter.put(sequence, timestamp, payload, at)]

    def _received(self, data: str | bytes) -> None:
        received = json.loads(data)
        if received["type"] == "ping" and self.answers_pings:
            now = asyncio.get_running_loop().time()
            self.send("pong", id=received["id"], at_ms=self.page_ms(now))
        self.messages.send_nowait(received)


_VIDEO_CLOCK = Fraction(1, 90_000)
