"""A wake word on a Wyoming server."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from edge.errors import RemoteFailed
from edge.values import EngineInfo, Pcm, samples
from models.wyoming_info import AHEAD, TIMES, Choice, Server, Times, Wanted, engine_info, sound_begins, sound_event
from models.wyoming_wire import Connection

REST: Final = samples(1.0)
"""After a wake word, sound in which it cannot be heard again."""


class WyomingWake:
    """Implements ``edge.ports.WakeWord``. Nothing waits here: the ears call fifty times a second.

    Sound goes out and words come in as the network allows, so that a word is known a little after the sound that ends it. A
    server that takes no sound loses the oldest of it, and after ``idle_s`` it is given up. After a word the connection is a
    fresh one, as Home Assistant does it: many servers listen for one word and no more.
    """

    def __init__(self, uri: str, words: Sequence[str] = ("hey_jarvis",), *, times: Times = TIMES) -> None:
        """``words`` as the configuration names them; the server may call them ``Hey Jarvis`` or ``hey_jarvis_v0.1``.

        Raises ConfigError for a malformed ``uri``.
        """
        self._server = Server(uri, Wanted("wake", words=tuple(words)), times)
        self._connection: Connection | None = None
        self._waiting: deque[bytes] = deque(maxlen=AHEAD)
        self._asked = self._ready = False
        self._stalled_at: float | None = None
        self._clock = 0
        self._rests_until = 0
        self.dropped = 0
        """Pieces of sound that the server did not take in time."""

    @property
    def info(self) -> EngineInfo:
        """Version of the package, the words, the server."""
        return engine_info(self._server, ", ".join(self._server.wanted.words))

    def open(self) -> None:
        """Looks whether the server is there and has the words; logs where not. Raises EngineMissing."""
        self._server.open()

    def close(self) -> None:
        """Hangs up."""
        self._hang_up()

    def reset(self) -> None:
        """Forgets the sound so far."""
        self._hang_up()
        self._rests_until = 0

    def detect(self, pcm: Pcm) -> str | None:
        """Takes the next sound, any length; gives the name of a wake word that the server has told of since the last call.

        Raises RemoteFailed where the connection cannot be made or is lost; the next call begins another.
        """
        self._clock += len(pcm)
        try:
            word = self._listen(pcm)
        except RemoteFailed:
            self._hang_up()
            self._server.forget()
            raise
        if word is not None:
            self._hang_up()
            self._rests_until = self._clock + REST
        return word

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._waiting.clear()
        self._asked = self._ready = False
        self._stalled_at = None

    def _listen(self, pcm: Pcm) -> str | None:
        from wyoming.wake import Detect

        if len(pcm):
            self.dropped += len(self._waiting) == AHEAD
            self._waiting.append(pcm.astype("<i2").tobytes())
        if self._connection is None:
            self._connection = self._server.meet()
        connection = self._connection
        choice = self._server.step(connection)
        if choice is None:
            return None
        if not self._asked:
            self._asked = True
            names = [name for name, _ in choice.words]
            connection.put(*self._server.program(choice), Detect(names=names).event(), sound_begins())
            connection.pump()
        self._ready = self._ready or not connection.waiting
        if self._ready:
            self._send(connection)
        return self._told(connection, choice)

    def _send(self, connection: Connection) -> None:
        while self._waiting:
            connection.put(sound_event(self._waiting.popleft(), self._clock))
        connection.pump()
        self.dropped += connection.drop(AHEAD)
        if connection.waiting < AHEAD:
            self._stalled_at = None
        elif self._stalled_at is None:
            self._stalled_at = time.monotonic()
        elif time.monotonic() - self._stalled_at > self._server.times.idle_s:
            raise RemoteFailed(f"{self._server.place.name} takes no sound")

    def _told(self, connection: Connection, choice: Choice) -> str | None:
        from wyoming.wake import Detection

        word: str | None = None
        while word is None and (event := connection.take()) is not None:
            self._server.check(event)
            if Detection.is_type(event.type) and self._clock >= self._rests_until:
                name = event.data.get("name")
                word = choice.words[0][1] if name is None else dict(choice.words).get(str(name))
        return word
