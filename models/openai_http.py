"""One OpenAI-compatible server over HTTP, for engines that block: bounded in time and bytes, given up at once on ``stop``.

aiohttp, which the links use anyway, runs here on an event loop of its own in the caller's thread: a task can be cancelled
wherever it waits (name, connection, first byte, next byte), a blocking read of http.client or urllib3 only with its socket torn
away from another thread. The loop runs while somebody waits for it and never else, so an answer that nobody reads stays in the
socket's buffer, and the server stops writing.

- A key comes from the environment, goes into one header, and is in no text, no log and no ``repr``. Of what a server says of an
  error only its code is told: servers repeat in the text what they were sent.
- Redirects are not followed (they would carry the key elsewhere), compressed answers are not unpacked (a bound on bytes would
  bind nothing).
- Proxies come from the environment as urllib reads it (``http_proxy``, ``https_proxy``, ``no_proxy``), but never for loopback.
- Nothing is tried again once an answer has begun, or after ``stop``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import urllib.parse
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from edge.errors import ConfigError, EngineFailed, RemoteFailed, RemoteRefused, RemoteRejected
from edge.ports import Stop
from edge.values import EngineInfo
from models.openai_address import checked, is_loopback, parameters, proxy_for, reason, retry_after
from models.openai_events import error_in, parsed

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)
T = TypeVar("T")

GLANCE: Final = 0.02
"""Seconds between two looks at the stop flag while something is waited for."""
_MAX_FAULT: Final = 1 << 16
"""Bytes of an error's body that are looked at."""
_MOMENT: Final = 1.0
"""Seconds in which it must have come."""
_AGAIN: Final = (429, 502, 503, 504)
_SPENT: Final = ("insufficient_quota", "billing_hard_limit_reached")
"""A 429 that no waiting mends."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server is granted. Durations are seconds of waiting for it: what the engine's user takes does not count."""

    connect: float = 2.0
    """For name, connection and TLS together."""
    first: float = 15.0
    """From the question to the first thing of use in its answer: a long prompt is read in this time."""
    idle: float = 5.0
    """Between two things of use. Comments that only keep a line open are of none."""
    retries: int = 2
    """How often it is asked again, before an answer has begun, after a fault that may pass."""
    pause: float = 0.15
    """Before the first of these, doubled for each further one, less up to half of it by chance."""
    longest_pause: float = 1.0
    """A server that asks (``Retry-After``) to be left alone for longer is."""


USUAL: Final = Limits()


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    path: str
    """Below the server's url."""
    what: str
    """What is not there where the server gives 404: ``model gpt-5``."""
    body: Mapping[str, Any] | None = None
    """Sent as JSON; with neither body nor form nothing is sent, by GET."""
    form: Sequence[tuple[str, str]] = ()
    file: bytes = field(default=b"", repr=False)
    """Sent as the form's field ``file``, a WAV file."""
    most: int = 8_000_000
    """Bytes of the longest answer."""


class Stopped(Exception):
    """The stop flag was set while something was waited for. Nobody is told."""


class _Again(Exception):
    """A fault that may pass."""

    def __init__(self, error: RemoteFailed) -> None:
        super().__init__(error.text)
        self.error = error


class Server:
    """A server, as one engine knows it. Connections are kept from one request to the next."""

    def __init__(self, url: str, *, key_env: str = "", limits: Limits = USUAL) -> None:
        """Takes ``http://HOST:PORT/v1`` and the name of the variable that holds the key. Raises ConfigError."""
        self._url, self.host, self.address = checked(url)
        self.key_env = key_env
        self.limits = limits
        self._key = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None
        self._response: aiohttp.ClientResponse | None = None
        """The answer that is being read."""

    def open(self) -> None:
        """Takes the key from the environment; asks nothing of the server. Raises ConfigError for no key or no such proxy."""
        key = os.environ.get(self.key_env, "").strip() if self.key_env else ""
        if self.key_env and not (key and key.isascii() and key.isprintable()):
            raise ConfigError(f"the environment variable {self.key_env} should hold the key for {self.address}, and does not")
        if key and self._url.startswith("http:") and not is_loopback(self.host):
            log.warning("the key for %s is sent over a line that is not encrypted", self.address)
        self._key = key
        proxy_for(self._url, self.host)
        if self._loop is None:
            self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        """Hangs up."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        session, self._session = self._session, None
        try:
            if self._response is not None:
                loop.run_until_complete(_hang_up(self._response))
            if session is not None:
                loop.run_until_complete(session.close())
                loop.run_until_complete(_settle())
                loop.run_until_complete(loop.shutdown_default_executor())  # where names are looked up
        finally:
            loop.close()

    @contextlib.contextmanager
    def ask(self, ask: Ask, stop: Stop) -> Iterator[Answer]:
        """Sends a request and gives its answer; leaving the context before the answer's end hangs up.

        Raises:
            Stopped: ``stop`` was set.
            RemoteFailed, RemoteRefused: In one line that names the server.
        """
        began = self.now()
        self._response = response = self._begin(ask, stop)
        try:
            # At least a moment: headers that come at the last one are followed by something.
            yield Answer(self, response, stop, seconds=max(_MOMENT, self.limits.first - (self.now() - began)), most=ask.most)
        finally:
            self._response = None
            if self._loop is not None:  # else close() has hung up
                self._loop.run_until_complete(_hang_up(response))

    def models(self, stop: Stop) -> list[Mapping[str, Any]]:
        """Asks for the models that it serves. Raises as ``ask`` does."""
        with self.ask(Ask("models", "list of models"), stop) as answer:
            told = answer.json()
        rows = told.get("data") if isinstance(told, Mapping) else None
        return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []

    def info(self, flavour: str, model: str, **details: str) -> EngineInfo:
        """Gives what ``doctor`` prints of an engine here; ``flavour`` is the part of the API that it speaks."""
        told = {"key": f"from {self.key_env}" if self.key_env else "none", **details}
        return EngineInfo("openai", flavour, model, "", remote=self.address, details=MappingProxyType(told))

    def failed(self, why: str, after: float = 0.0) -> RemoteFailed:
        """Makes the error that a fault of this server is."""
        return RemoteFailed(f"{self.address} {why}", after)

    def refusal(self, status: int, code: str, what: str, after: float = 0.0) -> RemoteFailed:
        """Makes the error that a status of 300 to 599 is."""
        said = f"{status} {code}" if code else str(status)
        if status in (401, 403):
            key = f"the key in {self.key_env}" if self.key_env else "us without a key: name its variable in key_env"
            return RemoteRefused(f"{self.address} refuses {key} ({said})", after)
        if status in (404, 405):
            return RemoteRefused(f"{self.address} has no {what} ({said}): check model and url, which often ends in /v1", after)
        if status == 429:
            spent = RemoteRefused if code in _SPENT else RemoteFailed
            return spent(f"{self.address} has had too many requests ({said})", after)
        if status < 400:
            return RemoteRefused(f"{self.address} redirects elsewhere ({said}): name the address itself as url", after)
        if status < 500 and status not in (408, 425):
            return RemoteRejected(f"{self.address} rejects the request ({said})", after)
        return self.failed(f"has a fault of its own ({said})", after)

    def wait(self, work: Coroutine[Any, Any, T], stop: Stop, seconds: float) -> T:
        """Waits for ``work``. Raises Stopped, TimeoutError, and what it raises."""
        return self._running().run_until_complete(_watched(work, stop, seconds))

    def now(self) -> float:
        """Seconds on the clock that waiting is counted by."""
        return self._running().time()

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise EngineFailed(f"the engine at {self.address} is not open")
        return self._loop

    def _begin(self, ask: Ask, stop: Stop) -> aiohttp.ClientResponse:
        left = self.limits.retries
        while True:
            if stop:
                raise Stopped
            try:
                return self._once(ask, stop)
            except _Again as fault:
                pause = self.limits.pause * 2.0 ** (self.limits.retries - left) * random.uniform(0.5, 1.0)
                pause = max(pause, fault.error.after)
                if not left or pause > self.limits.longest_pause:
                    raise fault.error from fault.__cause__
                left -= 1
                log.info("%s; asked again in %.2f s", fault.error.text, pause)
                if stop.wait(pause):
                    raise Stopped from fault

    def _once(self, ask: Ask, stop: Stop) -> aiohttp.ClientResponse:
        """Sends a request once. Raises _Again where a second try may help."""
        import aiohttp

        try:
            response = self.wait(self._send(ask), stop, self.limits.first)
        except aiohttp.ConnectionTimeoutError as error:
            raise self.failed(f"cannot be reached within {self.limits.connect:g} s{self._proxied()}") from error
        except TimeoutError as error:
            raise self.failed(f"gave no answer within {self.limits.first:g} s{self._proxied()}") from error
        except (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch) as error:
            raise RemoteRefused(f"{self.address} cannot be trusted: no encrypted line, or another's certificate") from error
        except aiohttp.ClientConnectorError as error:
            fault = self.failed(f"cannot be reached ({reason(error.os_error)}){self._proxied()}")
            if isinstance(error.os_error, ConnectionError):
                raise _Again(fault) from error
            raise fault from error
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            raise _Again(self.failed(f"hangs up without an answer{self._proxied()}")) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise self.failed(f"answers with something that is not HTTP{self._proxied()}") from error
        if 200 <= response.status < 300:
            return response
        try:
            raise self._fault(ask, response, stop)
        finally:
            self._running().run_until_complete(_hang_up(response))

    def _fault(self, ask: Ask, response: aiohttp.ClientResponse, stop: Stop) -> Exception:
        """Gives what an answer of another status means. Raises Stopped."""
        code = ""
        with contextlib.suppress(RemoteFailed, ValueError):
            told = error_in(parsed(Answer(self, response, stop, seconds=_MOMENT, most=_MAX_FAULT).read()))
            code = told[1] if told else ""
        error = self.refusal(response.status, code, ask.what, retry_after(response.headers))
        if response.status in _AGAIN and error.retryable:
            return _Again(error)
        return error

    async def _send(self, ask: Ask) -> aiohttp.ClientResponse:
        import aiohttp

        if self._session is None:
            waits = aiohttp.ClientTimeout(total=None, connect=self.limits.connect)
            headers = {"Accept-Encoding": "identity", "User-Agent": "nearsight"}
            # No trust_env: with it a password out of .netrc would take the place of the key.
            self._session = aiohttp.ClientSession(timeout=waits, headers=headers, auto_decompress=False)
        await asyncio.sleep(0)  # lets the loop notice connections that the server has closed meanwhile
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        proxy, told = proxy_for(self._url, self.host)
        if self._url.startswith("http:"):  # the proxy reads the request itself
            headers |= told or {}
        data: Any = None
        if ask.file:
            data = aiohttp.FormData(list(ask.form))
            data.add_field("file", ask.file, filename="speech.wav", content_type="audio/wav")
        return await self._session.request(
            "GET" if ask.body is None and data is None else "POST",
            f"{self._url}/{ask.path}",
            json=None if ask.body is None else dict(ask.body),
            data=data,
            headers=headers,
            proxy=proxy,
            proxy_headers=told,
            allow_redirects=False,
        )

    def _proxied(self) -> str:
        """Names the proxy on the way, without its password."""
        proxy, _ = proxy_for(self._url, self.host)
        return f" (through the proxy {urllib.parse.urlsplit(proxy).hostname})" if proxy else ""


class Answer:
    """An answer that has begun. It can be read once."""

    def __init__(self, server: Server, response: aiohttp.ClientResponse, stop: Stop, *, seconds: float, most: int) -> None:
        self._server = server
        self._response = response
        self._stop = stop
        self._left = seconds
        self._most = most
        self.kind: str = response.content_type.lower()[:60]
        """Its media type."""
        self.parameters: Mapping[str, str] = dict(parameters(response.headers.get("Content-Type", "")))
        """What else stands behind the media type, names in lower case."""

    def useful(self) -> None:
        """Something of use has come: the server has its time again."""
        self._left = self._server.limits.idle

    def drain(self) -> None:
        """All of use has come: the rest is waited for only so long that the connection can be kept."""
        self._left = min(self._left, 0.05)
        with contextlib.suppress(RemoteFailed):
            for _ in self.chunks():
                pass

    def chunks(self) -> Iterator[bytes]:
        """Gives the bytes as they come. Raises Stopped, RemoteFailed."""
        import aiohttp

        server, total = self._server, 0
        if self._response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise server.failed("answers compressed, which it was asked not to do")
        while True:
            began = server.now()
            try:
                chunk = server.wait(self._response.content.readany(), self._stop, self._left)
            except TimeoutError as error:
                raise server.failed("fell silent in the middle of its answer") from error
            except (aiohttp.ClientError, OSError) as error:
                raise server.failed("broke off in the middle of its answer") from error
            self._left -= server.now() - began
            total += len(chunk)
            if total > self._most:
                raise server.failed(f"sends more than {self._most / 1e6:g} MB for one answer")
            if not chunk:
                return
            yield chunk

    def read(self) -> bytes:
        """Gives the bytes whole. Raises Stopped, RemoteFailed."""
        return b"".join(self.chunks())

    def json(self) -> Any:
        """Gives the value whole. Raises Stopped, RemoteFailed."""
        self.check_page()
        try:
            value = parsed(self.read())
        except ValueError as error:
            raise self._server.failed("answers with something that is not JSON") from error
        if fault := error_in(value):
            raise self._server.refusal(*fault, "such thing")
        return value

    def check_page(self) -> None:
        """Raises RemoteFailed for a web page: that of a login, of a proxy, or of another server on the same port."""
        if self.kind in ("text/html", "application/xhtml+xml"):
            raise self._server.failed("answers with a web page: check url, which often ends in /v1, and whether a login is due")


async def _watched(work: Coroutine[Any, Any, T], stop: Stop, seconds: float) -> T:
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    end = loop.time() + seconds
    try:
        while not (await asyncio.wait({task}, timeout=max(0.0, min(GLANCE, end - loop.time()))))[0]:
            if stop:
                raise Stopped
            if loop.time() >= end:
                raise TimeoutError
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


async def _hang_up(response: aiohttp.ClientResponse) -> None:
    """Cuts the line, unless the answer was read to its end and the line went back to be used again."""
    if response.connection is not None and response.connection.transport is not None:
        # TLS says goodbye first, and would wait for a reply on a loop that does not run then.
        response.connection.transport.abort()
    response.close()
    await _settle()


async def _settle() -> None:
    """Lets the loop finish what a hang-up began: a socket is closed a turn or two later."""
    for _ in range(3):
        await asyncio.sleep(0)
