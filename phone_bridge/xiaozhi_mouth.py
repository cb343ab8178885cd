"""The way of a reply to a xiaozhi device: 20 ms of sound at a time in, Opus packets of 60 ms and their messages out.

The device plays what it gets while it is told that we speak (``tts start`` to ``tts stop``), and in two of its three modes does
not listen meanwhile. It has no jitter buffer to speak of: a packet that comes late is a hole. So the first packet of every run
waits for the second, which is 60 ms of patience for the network at the price of 60 ms at the start.
"""

from __future__ import annotations

import asyncio
from collections import deque

import numpy as np

from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, Pcm
from phone_bridge import xiaozhi_wire as wire
from phone_bridge.opus import Encoder
from phone_bridge.xiaozhi_socket import FRAME_MS, Socket

PACKET = SAMPLE_RATE * FRAME_MS // 1000
BITRATE = 32_000
CUSHION = 2
"""Packets that leave together at the start of a run."""
STARVED_S = 0.1
"""After so long without sound the voice has fallen behind: what is held goes out as it is."""
SENTENCES = 8


class Mouth:
    """What one connection's loudspeaker gets."""

    def __init__(self, socket: Socket) -> None:
        self.speaking = False
        """Whether the device was told that we speak."""
        self.played_at = float("-inf")
        """Loop time of the last sound that came."""
        self._socket = socket
        self._loop = asyncio.get_running_loop()
        self._pcm: list[Pcm] = []
        self._held: list[bytes] = []
        self._running = False
        self._sentences: deque[str] = deque(maxlen=SENTENCES)
        self._encoder: Encoder | None = None
        self._sent = 0
        self._timer: asyncio.TimerHandle | None = None

    def caption(self, text: str) -> None:
        """Shows a sentence, once we speak."""
        self._sentences.append(text)
        if self.speaking:
            self._show()

    def play(self, pcm: Pcm) -> None:
        """Takes the next 20 ms."""
        if not self.speaking:
            self.speaking = True
            self._encoder = Encoder(BITRATE, 0, PACKET)  # TCP loses nothing; the device's decoder begins anew as well
            self._tts("start")
            self._show()
        self.played_at = self._loop.time()
        self._pcm.append(pcm)
        if len(self._pcm) * CHUNK_SAMPLES >= PACKET:
            self._pack()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(STARVED_S, self._release)

    def finish(self) -> None:
        """The reply is over: sends the rest of it and says so."""
        if self.speaking:
            self._release()
            self._stop()

    def flush(self) -> int:
        """Falls silent; gives the samples that were not sent. What was sent is heard: the device cannot be made to drop it."""
        if not self.speaking:
            return 0
        dropped = sum(map(len, self._pcm)) + (len(self._held) + self._socket.unsent()) * PACKET
        self._stop()
        return dropped

    def close(self) -> None:
        """Sends the rest and says nothing: a device that is told would begin to listen."""
        self._release()
        self._end()

    def _tts(self, state: str, text: str | None = None) -> None:
        self._socket.send(wire.tts(self._socket.session, state, text))

    def _show(self) -> None:
        while self._sentences:
            self._tts("sentence_start", self._sentences.popleft())

    def _pack(self) -> None:
        assert self._encoder is not None, "it is made with the first sound"
        self._held.append(self._encoder.encode(np.concatenate(self._pcm)))
        self._pcm.clear()
        if self._running or len(self._held) >= CUSHION:
            self._send()

    def _send(self) -> None:
        self._running = True
        for packet in self._held:
            self._socket.sound(packet, self._sent * FRAME_MS)
            self._sent += 1
        self._held.clear()

    def _release(self) -> None:
        """Sends what is held; the next sound is a new run."""
        if self._pcm:
            self._pcm.append(np.zeros(PACKET - sum(map(len, self._pcm)), np.int16))
            self._pack()
        self._send()
        self._running = False

    def _stop(self) -> None:
        self._tts("stop")
        self._end()

    def _end(self) -> None:
        self.speaking = self._running = False
        self._pcm.clear()
        self._held.clear()
        self._sentences.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None
