"""A central in Python that talks the profile over a pipe to the C application; the record format is in ``test/glasses.c``."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from phone_bridge.wire.capabilities import Capabilities, decode_capabilities
from phone_bridge.wire.codec import REPLY, decode_event, decode_photo, decode_reply, decode_report, encode, request_type
from phone_bridge.wire.control import Hello, ReplyMessage, RequestMessage
from phone_bridge.wire.messages import Capture, EventMessage, PhotoMessage, ReceiptMessage, SpeakerReport

CONTROL, MICROPHONE, SPEAKER, PHOTO, EVENTS = range(5)
PARTS = ("microphone", "camera", "light", "silence", "mode", "closed", "released")


class Glasses:
    """The process. Every call waits until all that follows from it has come back, so nothing here depends on time."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._replies: list[ReplyMessage] = []
        self._error = 0
        self._descriptor = b""
        self.audio: list[bytes] = []
        self.reports: list[SpeakerReport] = []
        self.photo: list[PhotoMessage] = []
        self.events: list[EventMessage] = []
        self.played: list[bytes] = []
        self.parts: list[tuple[str, int]] = []
        self.on: dict[str, int] = {}
        self.longest = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        status = self._process.wait(10)
        if error is None:
            assert status == 0

    def do(self, kind: str, data: bytes = b"") -> None:
        """Sends one record and takes all that follows from it."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(kind.encode() + len(data).to_bytes(2, "little") + data)
        self._process.stdin.flush()
        while True:
            head = self._process.stdout.read(3)
            assert len(head) == 3, "the C application has ended"
            body = self._process.stdout.read(int.from_bytes(head[1:], "little"))
            if head[:1] == b"E":
                return
            self._take(head[:1], body)

    def _take(self, kind: bytes, body: bytes) -> None:
        match kind:
            case b"N":
                self.longest = max(self.longest, len(body) - 1)
                self._notified(body[0], body[1:])
            case b"H":
                self.parts.append((PARTS[body[0]], body[1]))
                self.on[PARTS[body[0]]] = body[1]
                assert self.on.get("light") or not (self.on.get("microphone") or self.on.get("camera")), "captured in the dark"
            case b"Y":
                self.played.append(body)
            case b"W":
                self._error = body[0]
            case b"R":
                self._descriptor = body

    def _notified(self, source: int, value: bytes) -> None:
        match source:
            case 0:
                self._replies.append(decode_reply(value))
            case 1:
                self.audio.append(value)
            case 2:
                self.reports.append(decode_report(value))
            case 3:
                self.photo.append(decode_photo(value))
            case 4:
                self.events.append(decode_event(value))

    def connect(self, mtu: int = 247, *, hello: bool = True) -> None:
        """Connects, encrypts and says hello."""
        self.do("C", struct.pack("<H", mtu))
        self.do("S")
        if hello:
            self.ask(Hello(0, 1, 0))

    def write(self, to: int, value: bytes) -> int:
        """Writes a value; gives the number of the error, 0 for none."""
        self.do("W", bytes((to,)) + value)
        return self._error

    def ask(self, request: RequestMessage) -> ReplyMessage:
        """Sends a request and gives the reply, which must be its own."""
        self._replies.clear()
        value = encode(request)
        assert self.write(CONTROL, value) == 0
        (reply,) = self._replies
        assert reply.request == request.request
        refused = getattr(reply, "refused", None)
        assert refused == request_type(request) if refused else encode(reply)[0] == request_type(request) | REPLY
        return reply

    def raw(self, value: bytes) -> list[ReplyMessage]:
        """Writes anything to the control characteristic; gives the replies."""
        self._replies.clear()
        self.write(CONTROL, value)
        return list(self._replies)

    def receipt(self, message: ReceiptMessage) -> None:
        """Writes a receipt."""
        assert self.write(PHOTO, encode(message)) == 0

    def describe(self) -> Capabilities | None:
        """Reads the descriptor; None where that was refused."""
        self.do("R")
        return decode_capabilities(self._descriptor) if self._descriptor else None

    def wait(self, ms: int) -> None:
        """Lets time pass in the glasses."""
        self.do("T", struct.pack("<I", ms * 1000))

    @property
    def causes(self) -> list[int]:
        """Why capture changed, each time."""
        return [event.cause for event in self.events if isinstance(event, Capture)]

    @property
    def capturing(self) -> bool:
        """Whether microphone or camera has power."""
        return bool(self.on.get("microphone") or self.on.get("camera"))
