"""A connection to a Wyoming server that never waits unless it is asked to, and that no server can fill or hold.

Wyoming is a JSON header a line, optional JSON data, an optional payload (https://github.com/OHF-Voice/wyoming). The package's
own ``write_event`` and ``read_event`` write and read the events; but its reader takes a stream that blocks, gives None for
whatever is wrong and believes any length. So the bytes are gathered here, on a socket that never blocks, and ``read_event``
gets exactly one event's, after its lengths were seen to be within bounds.

Everything is done in ``pump``, a step at a time: resolving the name, connecting, sending, reading. A recogniser pumps when it
is given sound, the ears fifty times a second; ``receive`` pumps until there is something, and looks every ``TICK_S`` whether
it is still wanted. Names are resolved in a short thread of its own, for ``getaddrinfo`` can neither be ended nor timed.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import io
import json
import os
import selectors
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from edge.errors import ConfigError, EngineMissing, RemoteFailed
from edge.ports import Stop

if TYPE_CHECKING:
    from wyoming.event import Event

TICK_S: Final = 0.05
"""Seconds between two looks at a stop flag."""
MAX_HEADER: Final = 1 << 20
"""Bytes of a header, and of its data: servers with hundreds of voices describe them in 200 KB."""
MAX_PAYLOAD: Final = 4 << 20
"""Bytes of one payload: some servers send a reply in one piece; this is 45 s at 48 kHz."""
MAX_HELD: Final = 4 << 20
"""Bytes of events that may wait to be taken; what more there is stays in the socket."""
_PIECE: Final = 1 << 16


class Lost(RemoteFailed):
    """The connection was refused or broke: another one, at once, may do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens."""

    name: str
    """As people read it: ``HOST:PORT``, or ``unix:PATH``."""
    host: str
    port: int
    path: str = ""

    @staticmethod
    def of(uri: str) -> Place:
        """Reads ``tcp://HOST:PORT`` or ``unix://PATH``. Raises ConfigError."""
        wrong = ConfigError(f"url: {uri!r} is no address of a Wyoming server: tcp://HOST:PORT or unix:///PATH")
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname or "", parts.port or 0
        except ValueError:
            raise wrong from None
        extra = parts.query or parts.fragment or parts.username is not None
        if parts.scheme == "unix" and parts.path and not host and not extra:
            return Place(f"unix:{parts.path}", "", 0, parts.path)
        if parts.scheme != "tcp" or not host or not port or extra or parts.path not in ("", "/"):
            raise wrong
        return Place(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", host, port)


def need_wyoming() -> None:
    """Raises EngineMissing where the package is not installed."""
    if importlib.util.find_spec("wyoming") is None:
        raise EngineMissing("Wyoming servers need the package wyoming: pip install 'nearsight[wyoming]'")


def encode(event: Event) -> bytes:
    """Gives an event as it goes over the wire."""
    from wyoming.event import write_event

    out = io.BytesIO()
    write_event(event, out)
    return out.getvalue()


class Decoder:
    """Makes events of bytes as they come. Raises ValueError for what no Wyoming server sends, and for what is too long."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._whole = 0  # bytes of the event that has begun, 0 while its header is not complete
        self._searched = 0

    @property
    def half(self) -> bool:
        """Whether an event has begun and is not complete."""
        return bool(self._bytes)

    def feed(self, data: bytes) -> None:
        """Takes the next bytes."""
        self._bytes += data

    def next(self) -> Event | None:
        """Gives the next event that is complete."""
        if not self._whole:
            end = self._bytes.find(b"\n", self._searched)
            self._searched = len(self._bytes)
            if max(end, 0 if end >= 0 else len(self._bytes)) > MAX_HEADER:
                raise ValueError(f"a header of more than {MAX_HEADER} bytes")
            if end < 0:
                return None
            self._whole = end + 1 + _lengths(bytes(self._bytes[:end]))
        if len(self._bytes) < self._whole:
            return None
        with memoryview(self._bytes) as view:
            one = io.BytesIO(view[: self._whole])
        del self._bytes[: self._whole]
        self._whole = self._searched = 0
        return _read(one)


def _lengths(header: bytes) -> int:
    """Gives how many bytes follow a header."""
    fields = _json(header)
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise ValueError("a header that is no event")
    if not isinstance(fields.get("data", {}), dict):
        raise ValueError("data that are no object")
    total = 0
    for key, most in (("data_length", MAX_HEADER), ("payload_length", MAX_PAYLOAD)):
        length = fields.get(key)
        if length is None:
            continue
        if not isinstance(length, int) or isinstance(length, bool) or not 0 <= length <= most:
            raise ValueError(f"a {key} that is no number up to {most}")
        total += length
    return total


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("JSON nested too deep") from None
    except ValueError:
        raise ValueError("something that is no JSON") from None


def _read(one: io.BytesIO) -> Event:
    from wyoming.event import read_event

    try:
        event = read_event(one)
    except (TypeError, ValueError, RecursionError):  # data that are JSON, and no object
        event = None
    if event is None:
        raise ValueError("data that are no JSON object")
    return event


def _weight(event: Event) -> int:
    """Bytes that an event takes in memory, about."""
    return len(event.payload or b"") + 1024


class Connection:
    """One connection; ``close`` gives it up at any time. All its methods raise RemoteFailed for what the server does wrong."""

    def __init__(self, place: Place, connect_s: float) -> None:
        need_wyoming()
        self.place = place
        self._begun = time.monotonic()
        self._connect_s = connect_s
        self._addresses: deque[tuple[int, Any]] | None = None
        self._resolver: threading.Thread | None = None
        self._socket: socket.socket | None = None
        self._connected = False
        self._out: deque[bytes] = deque()
        self._sent = 0  # of the first of them
        self._decoder = Decoder()
        self._events: deque[Event] = deque()
        self._held = 0
        self._ended = False
        self._closed = False

    def close(self) -> None:
        """Hangs up, whatever is under way."""
        self._closed = True
        self._connected = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def age(self) -> float:
        """Seconds since it was begun."""
        return time.monotonic() - self._begun

    @property
    def waiting(self) -> int:
        """Events that could not be sent yet."""
        return len(self._out)

    def put(self, *events: Event) -> None:
        """Takes events to send, as soon as the server takes them."""
        self._out.extend(encode(event) for event in events)

    def drop(self, most: int) -> int:
        """Drops the oldest events that wait, none of them begun, until there are at most ``most``; gives how many."""
        begun = 1 if self._sent else 0
        dropped = 0
        while len(self._out) > max(most, begun):
            del self._out[begun]
            dropped += 1
        return dropped

    def take(self) -> Event | None:
        """Gives the next event that came, if one did. Raises Lost once the server has hung up and all was taken."""
        if self._events:
            event = self._events.popleft()
            self._held -= _weight(event)
            return event
        if self._ended:
            raise Lost(f"{self.place.name} hung up{' in the middle of an event' if self._decoder.half else ''}")
        return None

    def pump(self) -> None:
        """Does what can be done at once."""
        if self._closed:
            raise Lost(f"the connection to {self.place.name} is closed")
        if not self._connected and not self._connect():
            if self.age > self._connect_s:
                raise RemoteFailed(f"{self.place.name} is not reached within {self._connect_s:.1f} s")
            return
        self._read()
        self._send()

    def receive(self, stop: Stop, deadline: float) -> Event | None:
        """Waits for the next event until ``deadline`` (``time.monotonic``); None once ``stop`` is set."""
        while True:
            if stop:
                return None
            self.pump()
            if (event := self.take()) is not None:
                return event
            if (left := deadline - time.monotonic()) <= 0:
                raise RemoteFailed(f"{self.place.name} gave no answer in time")
            self.rest(min(TICK_S, left))

    def rest(self, seconds: float) -> None:
        """Waits until ``pump`` has something to do, or for so long."""
        if self._socket is None:
            if self._resolver is not None:
                self._resolver.join(seconds)
            return
        with selectors.DefaultSelector() as selector:
            sending = bool(self._out) or not self._connected
            selector.register(self._socket, selectors.EVENT_READ | (selectors.EVENT_WRITE if sending else 0))
            selector.select(seconds)

    # -- one step --------------------------------------------------------------------------------------------------------

    def _connect(self) -> bool:
        if self._socket is None:
            self._begin()
        if self._socket is None:
            return False
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_WRITE)
            if not selector.select(0):
                return False
        fault = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if fault:
            self._failed(fault)
            return False
        self._connected = True
        return True

    def _begin(self) -> None:
        """Begins to connect to the next of the server's addresses, once they are known."""
        if self._addresses is None:
            if self._resolver is None:
                self._resolver = threading.Thread(target=self._resolve, name="wyoming-resolver", daemon=True)
                self._resolver.start()
                self._resolver.join(0.005)  # an address, or a name of this machine: no later step is needed
            if self._addresses is None and not self._resolver.is_alive():
                raise RemoteFailed(f"{self.place.name} is not reached: no machine is called {self.place.host!r}")
        while self._socket is None and self._addresses:
            family, address = self._addresses.popleft()
            made = socket.socket(family, socket.SOCK_STREAM)
            made.setblocking(False)
            if family != getattr(socket, "AF_UNIX", None):
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = made
            fault = made.connect_ex(address)
            if fault not in (0, errno.EINPROGRESS):
                self._failed(fault)

    def _failed(self, fault: int) -> None:
        """The address did not do. Raises Lost where there is no other."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if not self._addresses:
            raise Lost(f"{self.place.name} is not reached: {os.strerror(fault).lower()}; does the Wyoming server run?")

    def _resolve(self) -> None:
        """Runs in a thread. What it finds when nobody waits any more is forgotten with this object."""
        if self.place.path:
            self._addresses = deque([(socket.AF_UNIX, self.place.path)])
            return
        try:
            found = socket.getaddrinfo(self.place.host, self.place.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        self._addresses = deque((int(family), address) for family, _, _, _, address in found)

    def _read(self) -> None:
        assert self._socket is not None
        while not self._ended and self._held < MAX_HELD:
            try:
                data = self._socket.recv(_PIECE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._ended = True
                return
            self._ended = not data
            self._decoder.feed(data)
            try:
                while (event := self._decoder.next()) is not None:
                    self._events.append(event)
                    self._held += _weight(event)
            except ValueError as error:
                raise RemoteFailed(f"{self.place.name} does not speak Wyoming: it sent {error}") from None

    def _send(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(BlockingIOError, InterruptedError):
            while self._out and not self._ended:
                try:
                    self._sent += self._socket.send(self._out[0][self._sent :])
                except (BrokenPipeError, ConnectionError):
                    self._ended = True  # what it said before it hung up may still be read
                    return
                if self._sent == len(self._out[0]):
                    self._out.popleft()
                    self._sent = 0
