"""What one client, or many, can hold of a station: connections, seconds, bytes, guesses."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from phone_bridge import door, guard, routes
from tests.phone_bridge.station import FakeDesk, bearer, http, key_of, serving, until

pytestmark = pytest.mark.real_time


async def test_guesses_are_limited(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, http(station) as client:
        seen = []
        for _ in range(routes.PAIRINGS_A_MINUTE + 1):
            async with client.post("/pair", json={"token": "guess", "name": "x"}) as response:
                seen.append(response.status)
        assert seen == [403] * routes.PAIRINGS_A_MINUTE + [429]
        assert 1 <= int(response.headers["Retry-After"]) <= 6
        for n in range(guard.FAILED_KEYS_A_MINUTE + 1):
            async with client.get("/me", headers={"Authorization": f"Bearer guess{n}"}) as response:
                status = response.status
        assert status == 429
        async with client.get("/me", headers=bearer(station)) as response:
            assert response.status == 200, "who has a key is not kept out by somebody's guesses"


async def test_a_client_that_does_not_read_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "SEND_S", 0.3)
    async with serving(tmp_path) as station:
        desk = station.desk
        assert isinstance(desk, FakeDesk)
        desk.endless = {"n": 4, "row": "x" * 10_000}
        key = key_of(station, role="owner")
        reader, writer = await asyncio.open_connection("127.0.0.1", station.port, limit=1024)
        upgrade = (
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
            + "A" * 22
            + "==\r\n"
        )
        host = f"Host: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        writer.write(f"GET /events HTTP/1.1\r\n{host}{upgrade}\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        await until(lambda: desk.given > 10)
        await until(lambda: desk.readers == 0, patience=15)
        assert desk.given < 10_000, "what waits for it is bounded"
        writer.transport.abort()


async def test_event_streams_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "WATCHERS", 1)
    async with serving(tmp_path) as station, http(station, headers=bearer(station, role="owner")) as client:
        async with client.ws_connect("/events"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await client.ws_connect("/events")
            assert caught.value.status == 503


async def test_a_client_that_sends_nothing_or_half_a_header_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "IDLE_S", 0.4)
    monkeypatch.setattr(guard, "BODY_S", 0.4)
    async with serving(tmp_path) as station:
        shown = f"Host: 127.0.0.1\r\nAuthorization: Bearer {key_of(station)}\r\n"
        body = f"{shown}Content-Type: application/sdp\r\nContent-Length: 99\r\n"
        for sent in ("", "GET / HT", "GET /healthz HTTP/1.1\r\nHost: 127", f"POST /whip HTTP/1.1\r\n{body}\r\nv=0"):
            reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
            writer.write(sent.encode())
            async with asyncio.timeout(5):
                said = await reader.read()
            assert (b" 408 " in said) is sent.startswith("POST")
            writer.close()


@pytest.mark.parametrize("bound", ["CONNECTIONS", "CONNECTIONS_AN_ADDRESS"])
async def test_connections_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(door, bound, 3)
    async with serving(tmp_path) as station:
        held = [await asyncio.open_connection("127.0.0.1", station.port) for _ in range(3)]
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        for _, other in held:
            other.close()
        await asyncio.sleep(0.05)
        async with http(station) as client, client.get("/healthz") as response:
            assert await response.text() == "ok"
