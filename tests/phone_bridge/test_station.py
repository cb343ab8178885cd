"""Wearers come and go over real WebRTC: who arrives, who takes over, what is left of those who never connect."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from edge.ports import Link, Station
from phone_bridge import peer, wearers, whip
from phone_bridge.server import WebRtcStation
from phone_bridge.webrtc import WebRtcGlasses
from tests.phone_bridge.client import Client
from tests.phone_bridge.station import SDP, bearer, http, serving, until

pytestmark = pytest.mark.real_time

FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


class Visitor:
    """A device with a key: what it posts, and where its connection is."""

    def __init__(self, station: WebRtcStation, wearer: str = "ada") -> None:
        self.key = bearer(station, wearer)
        self.device = station.access.devices()[-1].id
        self.place = self.etag = ""
        self.client = Client(video=False)
        self._station = station

    async def post(self, offer: str) -> str:
        async with http(self._station) as session, session.post("/whip", data=offer, headers=SDP | self.key) as response:
            assert response.status == 201, await response.text()
            self.place, self.etag = response.headers["Location"], response.headers["ETag"]
            return await response.text()

    async def ask(self, method: str, **options: object) -> int:
        async with http(self._station) as session, session.request(method, self.place, headers=self.key, **options) as response:  # type: ignore[arg-type]
            return response.status

    @asynccontextmanager
    async def here(self) -> AsyncIterator[Visitor]:
        async with self.client:
            await self.client.connect(self.post)
            yield self


async def test_a_wearer_arrives_once_and_another_device_takes_over(tmp_path: Path) -> None:
    async with serving(tmp_path) as station:
        assert isinstance(station, Station)
        arrivals = station.arrivals()
        async with Visitor(station).here() as phone:
            async with asyncio.timeout(5):
                glasses = await anext(arrivals)
            assert isinstance(glasses, Link) and isinstance(glasses, WebRtcGlasses)
            assert glasses.wearer == "ada" and glasses.uri == "webrtc:ada" and glasses.connected
            assert station.glasses["ada"] is glasses
            assert (await phone.client.expect("welcome"))["wearer"] == "ada"
            async with Visitor(station).here() as laptop:
                await phone.client.expect("replaced")
                await until(lambda: len(station._wearers._connections) == 1)
                assert glasses.connected and station.glasses["ada"] is glasses
                assert station._wearers.connected(laptop.device) and not station._wearers.connected(phone.device)
                assert await phone.ask("DELETE") == 404, "the connection that was replaced is over"
                laptop.client.say(np.full(3200, 1000, np.int16))
                async with asyncio.timeout(5):
                    assert len((await anext(aiter(glasses.microphone()))).pcm) == 320
                assert await laptop.ask("DELETE") == 200
                assert glasses.closed and not station.glasses
        assert len(station._wearers.arrivals) == 0, "nobody else has arrived"


async def test_a_reload_keeps_the_glasses(tmp_path: Path) -> None:
    async with serving(tmp_path, keep=30.0) as station:
        async with Visitor(station).here() as phone:
            async with asyncio.timeout(5):
                glasses: object = await anext(station.arrivals())
        await until(lambda: not station.glasses["ada"].connected)
        assert station.glasses["ada"] is glasses
        phone.client = Client(video=False)
        async with phone.here():
            assert station.glasses["ada"] is glasses and station.glasses["ada"].connected


async def test_a_client_that_closes_before_it_says_goodbye_has_left(tmp_path: Path) -> None:
    async with serving(tmp_path, keep=30.0) as station:
        async with Visitor(station).here() as phone:
            pass
        await until(lambda: not station.glasses["ada"].connected)
        async with http(station, headers=phone.key | FRAGMENT) as session:
            async with session.patch(phone.place, data="a=ice-ufrag:x\r\n", headers={"If-Match": "*"}) as response:
                assert response.status == 404
        assert await phone.ask("DELETE") == 200
        assert not station.glasses and not station._wearers._connections
        assert await phone.ask("DELETE") == 404


async def test_who_stays_away_is_forgotten(tmp_path: Path) -> None:
    async with serving(tmp_path, keep=0.2, wearers=1) as station:
        async with Visitor(station, "ada").here():
            pass
        await until(lambda: not station.glasses)
        async with Visitor(station, "grace").here(), asyncio.timeout(5):
            assert (await anext(station.arrivals())).uri == "webrtc:grace", "ada came and went before anybody looked"


async def test_several_wearers_and_no_more(tmp_path: Path) -> None:
    async with serving(tmp_path, wearers=2) as station:
        async with Visitor(station, "ada").here(), Visitor(station, "grace").here():
            assert set(station.glasses) == {"ada", "grace"}
            third = Visitor(station, "joan")
            async with third.client as client, http(station) as session:
                offer = await client.offer()
                async with session.post("/whip", data=offer, headers=SDP | third.key) as response:
                    assert response.status == 503
                    assert "2 wearers are served" in (await response.json())["text"]


async def test_revoking_ends_the_connection_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, Visitor(station).here() as phone:
        gone = asyncio.Event()
        pc = phone.client.pc
        pc.on("connectionstatechange", lambda: gone.set() if pc.connectionState == "closed" else None)
        async with http(station, headers=bearer(station, "me", "owner")) as owner:
            async with owner.get("/devices") as response:
                rows = {row["id"]: row["connected"] for row in (await response.json())["devices"]}
                assert rows[phone.device] is True and sorted(rows.values()) == [False, True]
            async with owner.delete(f"/devices/{phone.device}") as response:
                assert response.status == 200
            async with owner.delete(f"/devices/{phone.device}") as response:
                assert response.status == 404
        assert not station.glasses["ada"].connected
        async with asyncio.timeout(5):
            await gone.wait()
        assert await phone.ask("DELETE") == 401


async def test_candidates_by_patch(tmp_path: Path) -> None:
    """A client that gathers only after its offer: the candidates come one by one, as RFC 8840 fragments."""
    async with serving(tmp_path) as station:
        phone = Visitor(station)
        async with phone.client as client, http(station) as session:
            whole = await client.offer()
            lines = whole.split("\r\n")
            candidates = [line for line in lines if line.startswith("a=candidate:")]
            answer = await phone.post("\r\n".join(line for line in lines if not line.startswith(("a=candidate", "a=end-of"))))
            name = next(line for line in lines if line.startswith("a=ice-ufrag"))
            for line in dict.fromkeys(candidates):
                fragment = "\r\n".join([name, "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0", line, ""])
                headers = FRAGMENT | phone.key | {"If-Match": phone.etag}
                async with session.patch(phone.place, data=fragment, headers=headers) as response:
                    assert response.status == 204
            await client.accept(answer)
            assert station.glasses["ada"].connected


async def test_ice_is_restarted_by_patch(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, Visitor(station).here() as phone, http(station) as session:
        fragment = f"a=ice-ufrag:{'n' * 8}\r\na=ice-pwd:{'p' * 24}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
        headers = FRAGMENT | phone.key
        async with session.patch(phone.place, data=fragment, headers=headers | {"If-Match": "*"}) as response:
            assert response.status == 200 and response.headers["ETag"] != phone.etag
            said = await response.text()
        assert "a=ice-ufrag:" in said and "a=ice-pwd:" in said and "a=candidate:" in said
        async with session.patch(phone.place, data="a=ice-ufrag:x\r\n", headers=headers | {"If-Match": "*"}) as response:
            assert response.status == 422, "no password"
        assert station.glasses["ada"].connected, "the old path carries on"


@pytest.mark.parametrize("spoil", ["not sdp", "v=0\r\n", "v=0\r\nm=audio\r\n", "cut", "video"])
async def test_offers_that_cannot_be_used_leave_nothing(tmp_path: Path, spoil: str) -> None:
    async with serving(tmp_path) as station, Client(video=False) as client, http(station) as session:
        offer = await client.offer()
        bad = {"cut": offer[: len(offer) // 3], "video": offer.replace("m=audio", "m=image")}.get(spoil, spoil)
        async with session.post("/whip", data=bad, headers=SDP | bearer(station)) as response:
            assert response.status in (400, 406)
            assert (await response.json())["text"]
        await until(lambda: not station._wearers._places)
        assert station._wearers.half_open == 0


def held() -> tuple[int, int]:
    gc.collect()
    return len(asyncio.all_tasks()), psutil.Process().num_fds()


async def test_offers_that_nobody_completes_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand of these at full length take minutes; here 3 times 16, of 4 devices, and a short wait."""
    monkeypatch.setattr(peer, "CONNECT_TIMEOUT_S", 0.5)
    monkeypatch.setattr(whip, "OFFERS_A_MINUTE", 10_000)
    monkeypatch.setattr(wearers, "HALF_OPEN", 8)
    monkeypatch.setattr(wearers, "HALF_OPEN_A_DEVICE", 4)
    async with serving(tmp_path) as station:
        async with Client(video=False) as client:
            offer = await client.offer()
        keys = [bearer(station, wearer) for wearer in ("ada", "ada", "grace", "joan")]

        async def storm(count: int) -> list[int]:
            async def one(n: int) -> int:
                async with http(station) as session:
                    async with session.post("/whip", data=offer, headers=SDP | keys[n % len(keys)]) as response:
                        return response.status

            return await asyncio.gather(*(one(n) for n in range(count)))

        async def calm() -> None:
            await until(lambda: station._wearers.half_open == 0 and not station._wearers._places, patience=20)
            await until(lambda: held()[0] <= before[0], patience=5)

        before = held()
        await storm(4)
        await calm()
        tracemalloc.start()
        sizes = []
        for _ in range(3):
            statuses = await storm(16)
            assert set(statuses) <= {201, 429, 503}
            assert 0 < statuses.count(201) <= 8 and station._wearers.half_open <= 8
            await calm()
            assert held()[1] <= before[1] + 4
            sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert not station._wearers._connections and len(station._wearers.arrivals) == 0
        assert sizes[2] - sizes[1] < 400_000, "bytes kept of 8 offers"
