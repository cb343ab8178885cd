"""Tells the world outside what a watch saw: a POST of JSON to a webhook, a message to an MQTT topic, or both.

Each destination has a queue of ``WAITING`` messages and one task that sends them in order; where the queue is full the
oldest gives way. A try takes ``watch.notify_limit`` seconds at most, and there are ``TRIES``; so a destination that hangs
costs its own messages and nothing else: whoever waits in ``tell`` is the task of that one event.

A webhook is not followed anywhere else: a redirect is a failure that says so, because it could lead from https to http, or to
a machine of this network that the owner never named. Addresses may carry passwords or secret paths; logs and errors name the
host alone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from edge.config import WatchConfig
from edge.errors import ConfigError, EngineMissing, LinkError
from edge.ports import Notifier

log = logging.getLogger(__name__)

WAITING = 16
"""Messages that may wait for one destination."""
TRIES = 3
BACKOFF_S = 0.5
"""Seconds before the second try; twice as long before the next."""
MQTT_PORT, MQTTS_PORT = 1883, 8883
_STEP_S = 0.05


def open_notifier(watch: WatchConfig) -> Notifier | None:
    """Gives who is to be told, None where nobody is. Connects to nobody yet.

    Raises ConfigError for an address that cannot be one, and EngineMissing where MQTT is asked for and not installed.
    """
    senders: list[Sender] = []
    if watch.webhook:
        senders.append(Webhook(watch.webhook))
    if watch.mqtt:
        senders.append(Topic(watch.mqtt, watch.notify_limit))
    return Outboxes([Outbox(sender, watch.notify_limit) for sender in senders]) if senders else None


class Sender(Protocol):
    """One destination."""

    name: str
    """As people may read it: without user, password, path and topic."""

    async def send(self, payload: bytes) -> None:
        """Sends a message, once. Raises Refused or LinkError, and whatever its library does where the network fails."""


class Refused(LinkError):
    """The destination does not want the message: another try would be answered alike."""

    code = "link"
    retryable = False


class Webhook:
    """POSTs to an address."""

    def __init__(self, url: str) -> None:
        parts = _split("watch.webhook", url, ("http", "https"))
        self._url = url
        self.name = f"webhook {parts.hostname}"

    async def send(self, payload: bytes) -> None:
        """Posts the message; any 2xx is success, 429 and 5xx may be tried again."""
        import aiohttp

        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "nearsight"}
        try:
            async with (
                aiohttp.ClientSession() as client,
                client.post(self._url, data=payload, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except aiohttp.ClientError as error:
            # Its text holds the address, with the password in it.
            raise LinkError(f"{self.name}: no connection ({type(error).__name__})") from None
        if 300 <= status < 400:
            raise Refused(f"{self.name}: answered {status}, a redirect, which is not followed: configure the final address")
        if status == 429 or status >= 500:
            raise LinkError(f"{self.name}: answered {status}")
        if status >= 400:
            raise Refused(f"{self.name}: answered {status}")


class Topic:
    """Publishes to a topic of an MQTT broker, at least once (QoS 1), on a connection of its own: events are rare.

    paho-mqtt blocks, so it runs in a thread, which looks every ``_STEP_S`` whether it is still wanted. Of the asynchronous
    wrappers aiomqtt is the one that is kept; 2.5 leaves socket and task behind when a connection attempt is given up.
    """

    def __init__(self, url: str, limit_s: float) -> None:
        parts = _split("watch.mqtt", url, ("mqtt", "mqtts"))
        self._topic = unquote(parts.path.removeprefix("/"))
        if not self._topic or any(mark in self._topic for mark in "+#\0"):
            raise ConfigError("watch.mqtt: needs a topic without + and #, as in mqtt://host/home/glasses")
        try:
            import paho.mqtt.client  # noqa: F401 -- said when the session begins, not at the first event
        except ModuleNotFoundError as error:
            raise EngineMissing("MQTT needs the package paho-mqtt: pip install nearsight[mqtt]") from error
        self._host = parts.hostname or ""
        self._secure = parts.scheme == "mqtts"
        self._port = parts.port or (MQTTS_PORT if self._secure else MQTT_PORT)
        self._user = unquote(parts.username) if parts.username is not None else None
        self._password = unquote(parts.password) if parts.password is not None else None
        self._limit_s = limit_s
        self.name = f"MQTT broker {self._host}"

    async def send(self, payload: bytes) -> None:
        """Connects, publishes, waits for the broker's word, and leaves."""
        unwanted = threading.Event()
        try:
            await asyncio.to_thread(self._publish, payload, unwanted)
        finally:
            unwanted.set()

    def _publish(self, payload: bytes, unwanted: threading.Event) -> None:
        import ssl

        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

        client = Client(CallbackAPIVersion.VERSION2)
        client.connect_timeout = self._limit_s
        if self._user is not None:
            client.username_pw_set(self._user, self._password)
        if self._secure:
            client.tls_set_context(ssl.create_default_context())
        answers: list[Any] = []
        client.on_connect = lambda client, userdata, flags, reason, properties: answers.append(reason)

        def until(done: Callable[[], bool]) -> None:
            while not done():
                if unwanted.is_set():
                    raise LinkError(f"{self.name}: given up")
                if client.loop(_STEP_S) is not MQTTErrorCode.MQTT_ERR_SUCCESS and not done():
                    raise LinkError(f"{self.name}: the connection broke off")

        try:
            client.connect(self._host, self._port)
            until(lambda: bool(answers))
            if answers and answers[0].is_failure:
                raise Refused(f"{self.name}: {answers[0]}")
            until(client.publish(self._topic, payload, qos=1).is_published)
        finally:
            client.disconnect()
            if (connection := client.socket()) is not None:
                connection.close()


@dataclass(eq=False, slots=True)
class _Letter:
    payload: bytes
    sent: asyncio.Future[None]


class Outbox:
    """The messages for one destination, and the task that sends them."""

    def __init__(self, sender: Sender, limit_s: float) -> None:
        """``limit_s`` is how long one try may take."""
        self.sender = sender
        self.dropped = 0
        """Messages that gave way."""
        self._limit_s = limit_s
        self._waiting: deque[_Letter] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def tell(self, payload: bytes) -> None:
        """Sends a message after those that wait. Raises LinkError where it was not sent."""
        if self._closed:
            raise LinkError(f"{self.sender.name}: closed")
        if len(self._waiting) >= WAITING:
            self.dropped += 1
            _fail(self._waiting.popleft(), LinkError(f"{self.sender.name}: too many messages wait, the oldest is dropped"))
        letter = _Letter(payload, asyncio.get_running_loop().create_future())
        self._waiting.append(letter)
        self._wake.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"notify: {self.sender.name}")
        await letter.sent

    async def close(self) -> None:
        """Gives up what waits, and disconnects."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        while self._waiting:
            _fail(self._waiting.popleft(), LinkError(f"{self.sender.name}: closed"))

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            while self._waiting:
                letter = self._waiting.popleft()
                if letter.sent.cancelled():
                    continue  # nobody waits for it any more
                try:
                    await self._deliver(letter.payload)
                except LinkError as error:
                    _fail(letter, error)
                except asyncio.CancelledError:
                    _fail(letter, LinkError(f"{self.sender.name}: closed"))
                    raise
                else:
                    if not letter.sent.done():
                        letter.sent.set_result(None)
            self._wake.clear()

    async def _deliver(self, payload: bytes) -> None:
        """Tries a few times. Raises LinkError."""
        pause = BACKOFF_S
        for tried in range(1, TRIES + 1):
            try:
                async with asyncio.timeout(self._limit_s):
                    await self.sender.send(payload)
                return
            except Refused:
                raise
            except TimeoutError:
                error = LinkError(f"{self.sender.name}: no answer within {self._limit_s:g} s")
            except (LinkError, OSError) as failed:
                error = failed if isinstance(failed, LinkError) else LinkError(f"{self.sender.name}: {failed.strerror}")
            if tried == TRIES:
                raise error
            log.info("try %d failed: %s", tried, error.text)
            await asyncio.sleep(pause)
            pause *= 2


class Outboxes:
    """All destinations. Implements ``edge.ports.Notifier``."""

    def __init__(self, boxes: Sequence[Outbox]) -> None:
        self.boxes = tuple(boxes)

    async def tell(self, message: Mapping[str, Any]) -> None:
        """Sends one message to every destination, each within its limits. Raises LinkError that names those that failed."""
        payload = json.dumps(message, ensure_ascii=False, default=str).encode()
        results = await asyncio.gather(*(box.tell(payload) for box in self.boxes), return_exceptions=True)
        failed = [result for result in results if isinstance(result, BaseException)]
        for failure in failed:
            if not isinstance(failure, LinkError):
                raise failure
        if failed:
            raise LinkError("; ".join(str(failure) for failure in failed))

    async def close(self) -> None:
        """Disconnects from all."""
        for box in self.boxes:
            await box.close()


def _fail(letter: _Letter, error: LinkError) -> None:
    if not letter.sent.done():
        letter.sent.set_exception(error)


def _split(key: str, url: str, schemes: tuple[str, ...]) -> SplitResult:
    """Takes an address apart. Raises ConfigError, which does not repeat it: it may hold a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        raise ConfigError(f"{key}: not an address") from None
    if parts.scheme not in schemes or not parts.hostname:
        raise ConfigError(f"{key}: must be {' or '.join(f'{scheme}://' for scheme in schemes)} with a host")
    return parts
