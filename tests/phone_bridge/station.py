"""A real station on a free port of loopback, clients of it, and a desk that says what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from edge.config import ServeConfig
from edge.errors import UsageError
from phone_bridge.server import WebRtcStation

SDP = {"Content-Type": "application/sdp"}


class FakeDesk:
    def __init__(self, recordings: Path) -> None:
        self.rows: list[Mapping[str, Any]] = [{"n": n, "wearer": "ada", "row": {"event": "state"}} for n in range(1, 4)]
        self.endless: Mapping[str, Any] | None = None
        self.given = 0
        self.readers = 0
        self.recordings = recordings

    async def events(self, since: int) -> AsyncIterator[Mapping[str, Any]]:
        self.readers += 1
        try:
            for row in self.rows:
                if row["n"] > since:
                    yield row
            while self.endless is not None:
                self.given += 1
                yield self.endless
            await asyncio.Event().wait()
        finally:
            self.readers -= 1

    async def command(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if name != "ask":
            raise UsageError(f"no command {name!r}")
        return {"asked": arguments["text"]}

    def bundles(self) -> tuple[str, ...]:
        return tuple(sorted(path.name for path in self.recordings.iterdir()))

    def bundle(self, name: str) -> Path | None:
        return self.recordings / name

    def kept(self, name: str) -> Mapping[str, Path]:
        folder = self.recordings / name
        known = folder.is_dir() and folder.parent == self.recordings and ".." not in folder.parts
        return {path.name: path for path in sorted(folder.iterdir())} if known else {}


@asynccontextmanager
async def serving(folder: Path, uri: str = "webrtc://127.0.0.1:0", **settings: Any) -> AsyncIterator[WebRtcStation]:
    (folder / "recordings").mkdir(exist_ok=True)
    station = WebRtcStation(uri, ServeConfig(**settings), desk=FakeDesk(folder / "recordings"), state=folder / "state")
    await station.open()
    try:
        yield station
    finally:
        await station.close()


def key_of(station: WebRtcStation, wearer: str = "ada", role: str = "wearer") -> str:
    return station.access.pair(station.access.invite(role, wearer), f"{wearer}'s phone")[1]


def bearer(station: WebRtcStation, wearer: str = "ada", role: str = "wearer") -> dict[str, str]:
    return {"Authorization": f"Bearer {key_of(station, wearer, role)}"}


async def until(true: Callable[[], bool], patience: float = 5.0) -> None:
    async with asyncio.timeout(patience):
        while not true():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


def http(station: WebRtcStation, **options: Any) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(station.url, **options)
