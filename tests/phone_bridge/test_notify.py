"""Webhook and MQTT against real sockets of this machine: a local web server, and a broker of some sixty lines."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from edge.config import WatchConfig
from edge.errors import ConfigError, LinkError
from phone_bridge import notify
from phone_bridge.notify import Outbox, open_notifier

pytestmark = pytest.mark.real_time

MESSAGE = {"text": "Something touched your bag.", "sure": True}


@pytest.fixture(autouse=True)
def no_pause_between_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "BACKOFF_S", 0.01)


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def told(config: WatchConfig) -> AsyncIterator[notify.Outboxes]:
    notifier = open_notifier(config)
    assert isinstance(notifier, notify.Outboxes)
    try:
        yield notifier
    finally:
        await notifier.close()


@dataclass
class Broker:
    """As much of MQTT 3.1.1 as one publisher needs: CONNECT, PUBLISH at QoS 1, DISCONNECT."""

    accepts: bool = True
    silent: bool = False
    connects: list[bytes] = field(default_factory=list)
    published: list[tuple[str, bytes]] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    serves: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            host, port = server.sockets[0].getsockname()[:2]
            yield f"{host}:{port}"
            if self.serves:  # a publisher that is given up leaves within a twentieth of a second
                await asyncio.wait(self.serves, timeout=5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serves.add(task)
        try:
            while True:
                kind, body = await self._packet(reader)
                if kind >> 4 == 1:
                    self.connects.append(body)
                    if not self.silent:
                        writer.write(bytes([0x20, 2, 0, 0 if self.accepts else 5]))
                elif kind >> 4 == 3:
                    size = int.from_bytes(body[:2], "big")
                    self.published.append((body[2 : 2 + size].decode(), body[4 + size :]))
                    writer.write(bytes([0x40, 2]) + body[2 + size : 4 + size])
                elif kind >> 4 == 14:
                    return
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.left.set()
            writer.close()
            self.serves.discard(task)

    @staticmethod
    async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
        kind = (await reader.readexactly(1))[0]
        length, shift = 0, 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return kind, await reader.readexactly(length)


def test_nobody_is_told_unless_somebody_is_named() -> None:
    assert open_notifier(WatchConfig()) is None


async def test_posts_json() -> None:
    came = []

    async def answer(request: web.Request) -> web.Response:
        came.append((request.method, request.path, request.content_type, await request.json()))
        return web.Response(status=204)

    async with serving(answer) as host, told(WatchConfig(webhook=f"http://{host}/hook")) as notifier:
        await notifier.tell(MESSAGE)
    assert came == [("POST", "/hook", "application/json", MESSAGE)]


async def test_password_goes_to_the_server_and_to_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    came = []

    async def answer(request: web.Request) -> web.Response:
        came.append(request.headers.get("Authorization", ""))
        return web.Response(status=500)

    async with serving(answer) as host, told(WatchConfig(webhook=f"http://ada:hunter2@{host}/secretpath")) as notifier:
        with pytest.raises(LinkError) as failed:
            await notifier.tell(MESSAGE)
    assert came[0].startswith("Basic ") and len(came) == notify.TRIES
    written = caplog.text.replace("POST /secretpath", "")  # the test's own server logs what it is asked for
    for secret in ("hunter2", "secretpath"):
        assert secret not in failed.value.text and secret not in written


async def test_nobody_listening_names_the_host_only() -> None:
    async with serving(_ok) as host:
        pass
    async with told(WatchConfig(webhook=f"http://ada:hunter2@{host}/x")) as notifier:
        with pytest.raises(LinkError, match=r"^webhook 127\.0\.0\.1: no connection \(\w+\)$"):
            await notifier.tell(MESSAGE)


@pytest.mark.parametrize(
    ("statuses", "tries", "fails"), [((503, 200), 2, False), ((429, 429, 200), 3, False), ((404,), 1, True)]
)
async def test_tries_again_where_that_can_help(statuses: tuple[int, ...], tries: int, fails: bool) -> None:
    left = list(statuses)
    count = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        return web.Response(status=left.pop(0))

    async with serving(answer) as host, told(WatchConfig(webhook=f"http://{host}/")) as notifier:
        if fails:
            with pytest.raises(LinkError):
                await notifier.tell(MESSAGE)
        else:
            await notifier.tell(MESSAGE)
    assert count == tries


async def test_follows_no_redirect() -> None:
    paths = []

    async def answer(request: web.Request) -> web.Response:
        paths.append(request.path)
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async with serving(answer) as host, told(WatchConfig(webhook=f"http://{host}/here")) as notifier:
        with pytest.raises(LinkError, match="redirect"):
            await notifier.tell(MESSAGE)
    assert paths == ["/here"]


async def test_webhook_that_hangs_costs_its_limit_and_not_the_others() -> None:
    hanging = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await hanging.wait()
        return web.Response()

    broker = Broker()
    began = time.perf_counter()
    async with serving(hang) as host, broker.serving() as other:
        config = WatchConfig(webhook=f"http://{host}/", mqtt=f"mqtt://{other}/home/glasses", notify_limit=0.3)
        async with told(config) as notifier:
            with pytest.raises(LinkError, match=r"no answer within 0\.3 s"):
                await notifier.tell(MESSAGE)
        hanging.set()
        await broker.left.wait()
    assert [topic for topic, _ in broker.published] == ["home/glasses"]
    assert time.perf_counter() - began < 10


async def test_full_queue_drops_the_oldest() -> None:
    class Stuck:
        name = "stuck"

        async def send(self, payload: bytes) -> None:
            await asyncio.Event().wait()

    box = Outbox(Stuck(), limit_s=60)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(_outcome(box))
        await asyncio.sleep(0.01)
        while not box.dropped:  # the first is being sent; the others wait, until there are too many
            waiting = [group.create_task(_outcome(box)) for _ in range(notify.WAITING + 1)]
            await asyncio.wait([waiting[0]], timeout=5)
        assert box.dropped == 1 and "dropped" in waiting[0].result()
        assert not any(task.done() for task in (first, *waiting[1:]))
        await box.close()
    assert all("closed" in task.result() for task in (first, *waiting[1:]))
    with pytest.raises(LinkError, match="closed"):
        await box.tell(b"")


async def test_publishes_with_user_and_password() -> None:
    broker = Broker()
    async with broker.serving() as host, told(WatchConfig(mqtt=f"mqtt://ada:p%40ss@{host}/home/glasses")) as notifier:
        await notifier.tell(MESSAGE)
        await broker.left.wait()
    ((topic, payload),) = broker.published
    assert topic == "home/glasses" and json.loads(payload) == MESSAGE
    assert b"ada" in broker.connects[0] and b"p@ss" in broker.connects[0]


@pytest.mark.parametrize("broker", [Broker(accepts=False), Broker(silent=True)], ids=["refuses", "silent"])
async def test_broker_that_does_not_take_it(broker: Broker) -> None:
    broker.left = asyncio.Event()
    async with broker.serving() as host, told(WatchConfig(mqtt=f"mqtt://ada:hunter2@{host}/t", notify_limit=0.3)) as notifier:
        with pytest.raises(LinkError) as failed:
            await notifier.tell(MESSAGE)
        await broker.left.wait()
    assert "MQTT broker 127.0.0.1" in failed.value.text and "hunter2" not in failed.value.text
    assert not broker.published


@pytest.mark.parametrize(
    "config",
    [
        {"webhook": "http://"},
        {"webhook": "http://host:port/secret"},
        {"mqtt": "mqtt://host"},
        {"mqtt": "mqtt://host/a/+/b"},
        {"mqtt": "mqtt:///topic"},
    ],
)
def test_addresses_that_cannot_be(config: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as refused:
        open_notifier(WatchConfig(**config))  # type: ignore[arg-type]  # keys of the two addresses only
    assert "secret" not in refused.value.text


async def _ok(request: web.Request) -> web.Response:
    return web.Response()


async def _outcome(box: Outbox) -> str:
    try:
        await box.tell(b"{}")
    except LinkError as error:
        return error.text
    return "sent"
