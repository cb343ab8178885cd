"""An OpenAI-compatible server on loopback that answers what it is told to, well or badly."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

EVENTS = "text/event-stream"


@dataclass
class Reply:
    """One answer."""

    body: bytes | Iterable[bytes] = b""
    kind: str = EVENTS
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """Ends without the end of the body being told."""
    closes: bool = False
    """Closes the connection behind the answer, without having said so."""


SILENT = Reply(status=0)
"""Takes the request and never answers."""
HANGS_UP = Reply(status=1)


@dataclass
class Seen:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    port: int
    """Of the client's connection."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def field(self, name: str) -> str | None:
        """The value of a field of a form."""
        for part in self.body.split(b"--" + self.headers["Content-Type"].partition("boundary=")[2].encode()):
            head, _, value = part.partition(b"\r\n\r\n")
            if f'name="{name}"'.encode() in head:
                return value.removesuffix(b"\r\n").decode("latin-1")
        return None


@dataclass
class Scripted:
    """What it answers: the script's next entry, the last one for ever; an entry may be made from the request."""

    script: list[Reply | Callable[[Seen], Reply]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)
    """Set when a client went away before the end of its answer."""
    gone_at: float = 0.0
    closing: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def next(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        entry = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return entry if isinstance(entry, Reply) else entry(seen)


def event(value: Any) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def delta(text: str | None = None, finish: str | None = None) -> bytes:
    """One event of an answer."""
    return event({"choices": [{"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}]})


def answer(text: str, *, finish: str = "stop", done: bool = True) -> bytes:
    """A whole answer, a word an event."""
    words = text.split(" ")
    body = b"".join(delta(word if at == 0 else f" {word}") for at, word in enumerate(words)) + delta(finish=finish)
    return body + (b"data: [DONE]\n\n" if done else b"")


def as_json(value: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(json.dumps(value).encode(), "application/json", status, {k.replace("_", "-"): v for k, v in headers.items()})


def slowly(pieces: Iterable[bytes], seconds: float) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        time.sleep(seconds)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_script: Scripted

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_CONNECT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        script = self.server_script
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        reply = script.next(Seen(self.command, self.path, dict(self.headers), body, self.client_address[1]))
        self.close_connection = True
        if reply is HANGS_UP:
            return
        if reply is SILENT:
            self.connection.settimeout(10.0)
            if not self.connection.recv(1):
                self._left()
            return
        try:
            self._send(reply)
        except OSError:
            self._left()

    def _send(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        for piece in [reply.body] if isinstance(reply.body, bytes) else reply.body:
            if self.server_script.closing.is_set():
                return
            if piece:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if not reply.cut:
            self.wfile.write(b"0\r\n\r\n")
            self.close_connection = reply.closes

    def _left(self) -> None:
        self.server_script.gone_at = time.perf_counter()
        self.server_script.gone.set()

    def log_message(self, format: str, *args: object) -> None:
        return


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        return  # a client that went away


@contextmanager
def serving(*script: Reply | Callable[[Seen], Reply], tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """Serves a script on a free port of loopback."""
    scripted = Scripted(list(script))
    handler = type("Handler", (_Handler,), {"server_script": scripted})
    server = _Server(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    scripted.port = server.server_port
    try:
        yield scripted
    finally:
        scripted.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
