"""A model hub on loopback: what huggingface_hub and a download ask of one, and everything that a bad line does to them."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

COMMIT = "c0ffee" + "0" * 34
LARGE = 1000
"""Bytes from which the hub states a SHA-256, as real ones do for what lies in LFS; below it states git's name alone."""


@dataclass
class Hub:
    """What it holds, and how it misbehaves. ``faults`` are taken one a download, from the left; without any it behaves."""

    files: dict[str, bytes] = field(default_factory=dict)
    """By repository, slash, path."""
    faults: list[Any] = field(default_factory=list)
    """``("cut", n)`` ends the answer after n bytes, after ``("stall", n)`` it falls silent; ``("to", address)`` redirects; a
    number is a status; ``no ranges``, ``shifted``, ``page``, ``short``, ``long``, ``endless``, ``wrong``."""
    api: int = 200
    """Status of its own answers."""
    api_body: str = ""
    """What it answers instead of JSON."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and ``Range`` of every download."""
    tokens: list[str] = field(default_factory=list)
    address: str = ""

    def model(self, repository: str) -> dict[str, Any]:
        """The answer about a repository, as its API gives it."""
        rows = []
        for path, data in self.files.items():
            if not path.startswith(f"{repository}/"):
                continue
            row = {"rfilename": path.removeprefix(f"{repository}/"), "size": len(data), "blobId": git(data)}
            if len(data) >= LARGE:
                row["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            rows.append(row)
        return {"id": repository, "sha": COMMIT, "siblings": rows, "private": False, "gated": False}


def git(data: bytes) -> str:
    """Git's name of a content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")
        self.hub.tokens.append(self.headers.get("Authorization", ""))
        if path.startswith("api/models/"):
            self._api(path.removeprefix("api/models/").split("/revision/"))
        elif path.startswith("api/"):
            self.send_error(404)
        else:
            self._file(path)

    def _api(self, words: list[str]) -> None:
        told = self.hub.model(words[0])
        status = self.hub.api if self.hub.api != 200 or told["siblings"] else 404
        known = len(words) == 1 or words[1] in ("main", COMMIT)
        body = self.hub.api_body or json.dumps(told)
        self.send_response(status if known else 404)
        if status in (401, 404) or not known:
            self.send_header("X-Error-Code", "RepoNotFound" if known else "RevisionNotFound")
        self.send_header("Content-Type", "text/html" if self.hub.api_body else "application/json")
        self._body(body.encode())

    def _file(self, path: str) -> None:
        repository, _, rest = path.partition("/resolve/")
        data = self.hub.files.get(f"{repository}/{rest.partition('/')[2]}" if rest else path)
        wanted = self.headers.get("Range", "")
        self.hub.asked.append((path, wanted))
        fault = self.hub.faults.pop(0) if self.hub.faults else None
        if data is None or isinstance(fault, int):
            self.send_response(fault if isinstance(fault, int) else 404)
            if fault == 429:
                self.send_header("Retry-After", "0")
            self._body(b"no")
            return
        if isinstance(fault, tuple) and fault[0] == "to":
            self.send_response(302)
            self.send_header("Location", fault[1])
            self._body(b"")
            return
        self._serve(data, wanted, fault)

    def _serve(self, data: bytes, wanted: str, fault: Any) -> None:
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and fault != "no ranges" else 0
        if start >= len(data) > 0:
            self.send_response(416)
            self._body(b"")
            return
        body = data[start:] if fault != "wrong" else bytes(len(data) - start)
        length = len(body) + {"short": -1, "long": 1}.get(str(fault), 0)
        at = start + (1 if fault == "shifted" else 0)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {at}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Type", "text/html" if fault == "page" else "application/octet-stream")
        if fault != "endless":
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if isinstance(fault, tuple):
            body = body[: fault[1]]
        while fault == "endless":
            try:
                self.wfile.write(bytes(1 << 16))
            except OSError:
                return
        try:
            self.wfile.write(body)
            if isinstance(fault, tuple) and fault[0] == "stall":
                time.sleep(1.0)
        except OSError:
            return  # whoever asked is gone

    def _body(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serves a hub on a free port of loopback."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
