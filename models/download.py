"""Fetches a file over HTTP so that a cut costs nothing: what has come stays, and the next try asks for the rest.

Ranges are those of RFC 9110, section 14. A server may ignore them (200), lie about them (a ``Content-Range`` that begins
elsewhere), or find them out of the file (416): then the file is fetched from its beginning. Nothing here says that the bytes
are right; whoever installs them checks their hash. Proxies come from the environment (``http_proxy``, ``https_proxy``,
``no_proxy``), as urllib reads them.
"""

from __future__ import annotations

import http.client
import logging
import re
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import IO

from edge.errors import FetchFailed, UsageError

log = logging.getLogger(__name__)

_BLOCK = 1 << 18
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which the same question may be answered otherwise."""
_LONGEST_WAIT_S = 30.0
UNKNOWN = 64_000_000
"""Bytes after which a file of unknown size is refused: those without one are small, and a stream may have no end."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one pull puts up with a bad line."""

    tries: int = 5
    """Attempts in a row that bring nothing new; one that brings a byte starts the count again."""
    first_wait_s: float = 0.5
    """Before the second attempt; each further one waits twice as long."""
    timeout_s: float = 60.0
    """Of silence on the line."""


USUAL = Patience()


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to be fetched."""

    model: str
    address: str
    part: Path
    """Where it grows."""
    bytes: int = 0
    """Its exact size; 0 where it is not known."""
    most: int = UNKNOWN
    """The size that one of unknown size may reach."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """For the first host alone: what it redirects to does not get them."""

    def __post_init__(self) -> None:
        if urllib.parse.urlsplit(self.address).scheme not in ("http", "https"):
            raise UsageError(f"{self.model}: {self.address}: only http and https are fetched")


class Stopped(FetchFailed):
    """It was told to stop, not hindered."""


class _Cut(Exception):
    """The line broke; what has come stays."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from an encrypted line to an open one."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise urllib.error.HTTPError(req.full_url, code, "a redirect to an open line", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(
    wanted: Wanted,
    patience: Patience = USUAL,
    seen: Callable[[int], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> None:
    """Fetches a file into ``wanted.part``, going on where an earlier try ended; ``seen`` is told the bytes that are there.

    Raises FetchFailed in one line: the server refuses, what it offers is not the file, the line stays cut, or ``stop`` is set.
    """
    ended = stop or threading.Event()
    barren, had = 0, _size(wanted.part)
    while True:
        try:
            _attempt(wanted, patience, seen, ended)
            return
        except _Cut as cut:
            have = _size(wanted.part)
            barren = 0 if have > had else barren + 1
            had = have
            if barren >= patience.tries:
                there = f" at {have} of {wanted.bytes} bytes" if wanted.bytes and have else ""
                raise FetchFailed(f"{wanted.model}: {cut}{there}{_proxy(wanted.address)}; run it again to go on") from cut
            log.info("%s: %s; trying again from byte %d", wanted.model, cut, have)
            wait = max(cut.wait_s, patience.first_wait_s * 2 ** max(0, barren - 1))
            if ended.wait(min(wait, _LONGEST_WAIT_S)):
                raise Stopped(f"{wanted.model}: stopped; run it again to go on") from cut


def _attempt(wanted: Wanted, patience: Patience, seen: Callable[[int], None], stop: threading.Event) -> None:
    have = _size(wanted.part)
    if wanted.bytes and have > wanted.bytes:
        wanted.part.unlink()
        have = 0
    if wanted.bytes and have == wanted.bytes:
        seen(have)
        return
    request = urllib.request.Request(wanted.address, headers={"Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    for name, value in wanted.headers.items():
        request.add_unredirected_header(name, value)
    opener = urllib.request.build_opener(_NoDowngrade())
    try:
        with opener.open(request, timeout=patience.timeout_s) as answer:
            start = _start(wanted, answer.status, answer.headers, have)
            _receive(wanted, answer, start, seen, stop)
    except urllib.error.HTTPError as error:
        with error:  # it holds the connection
            _refused(wanted, error, have)
    except urllib.error.URLError as error:
        raise _Cut(f"{_host(wanted.address)} does not answer ({error.reason})") from error
    except (TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException) as error:
        raise _Cut(f"the download was cut ({error or type(error).__name__})") from error


def _start(wanted: Wanted, status: int, headers: Message, have: int) -> int:
    """Gives the byte at which an answer begins. Raises FetchFailed where it is not the file, _Cut to be asked anew."""
    where = _host(wanted.address)
    start, total = 0, _number(headers.get("Content-Length"))
    if status == 206:
        found = _RANGE.fullmatch(headers.get("Content-Range", ""))
        if not found or int(found[1]) != have:
            wanted.part.unlink(missing_ok=True)
            raise _Cut(f"{where} sent another part than it was asked for")
        start, total = have, _number(found[2])
    page = headers.get_content_type() in ("text/html", "application/xhtml+xml")
    if page and wanted.part.suffix not in (".html", ".htm"):
        what = f"{where} answers with a web page instead of {wanted.part.name}"
        raise FetchFailed(f"{wanted.model}: {what}: is there a login, or a proxy in between?")
    if wanted.bytes and total is not None and total != wanted.bytes:
        raise FetchFailed(f"{wanted.model}: {where} offers {total} bytes as {wanted.part.name}, not {wanted.bytes}")
    return start


def _receive(
    wanted: Wanted, answer: http.client.HTTPResponse, start: int, seen: Callable[[int], None], stop: threading.Event
) -> None:
    most, done = wanted.bytes or wanted.most, start
    with wanted.part.open("ab" if start else "wb") as out:
        while block := answer.read1(_BLOCK):
            done += len(block)
            if done > most:
                out.truncate(0)
                raise FetchFailed(f"{wanted.model}: {_host(wanted.address)} sends more than {most} bytes as {wanted.part.name}")
            out.write(block)
            seen(done)
            if stop.is_set():
                raise Stopped(f"{wanted.model}: stopped; run it again to go on")
    length = _number(answer.headers.get("Content-Length"))
    if (wanted.bytes and done < wanted.bytes) or (length is not None and done - start < length):
        raise _Cut("the download was cut")


def _refused(wanted: Wanted, error: urllib.error.HTTPError, have: int) -> None:
    where = _host(wanted.address)
    if error.code == 416 and have:
        wanted.part.unlink(missing_ok=True)
        raise _Cut(f"{where} has not that much of {wanted.part.name}") from error
    if error.code in _AGAIN:
        raise _Cut(f"{where} answers {error.code} {error.reason}", _number(error.headers.get("Retry-After")) or 0) from error
    if error.code in (401, 403):
        what = f"wants a login for {wanted.part.name} ({error.code}): set HF_TOKEN where it is the hub"
    else:
        what = f"answers {error.code} {error.reason} for {wanted.part.name}"
    raise FetchFailed(f"{wanted.model}: {where} {what}") from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def _host(address: str) -> str:
    parts = urllib.parse.urlsplit(address)
    return parts.hostname or address


def _proxy(address: str) -> str:
    """Names the proxy on the way, without its password: half of all failures in a company's network are its."""
    parts = urllib.parse.urlsplit(address)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    proxy = urllib.request.getproxies().get(parts.scheme)
    return f" (through the proxy {urllib.parse.urlsplit(proxy).hostname or proxy})" if proxy else ""
