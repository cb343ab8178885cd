"""The partner's page over real sockets: captions, sound, flushes, the button to talk, and who may come."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from edge.events import FinalHeard
from edge.ports import Aside
from edge.translation import InterpretingChanged, PassedOver, Translated
from edge.values import CHUNK_SAMPLES, Pcm
from phone_bridge import partner_routes
from phone_bridge.access import wall_time
from phone_bridge.keys import PARTNER_LIFE_S
from phone_bridge.partner import SOUND, Partner
from phone_bridge.partner_routes import PAGES
from phone_bridge.server import WebRtcStation
from phone_bridge.webrtc import WebRtcGlasses
from tests.phone_bridge.client import Client
from tests.phone_bridge.station import bearer, serving, until

pytestmark = pytest.mark.real_time

ON = InterpretingChanged(t_ns=5, on=True, mine="en", theirs="es", both=True)


def chunk(value: int) -> Pcm:
    return np.full(CHUNK_SAMPLES, value, np.int16)


@dataclass
class Visitor:
    """A partner's page: what it got, in its order."""

    socket: aiohttp.ClientWebSocketResponse
    texts: list[dict[str, Any]] = field(default_factory=list)
    sound: list[tuple[int, int, Pcm]] = field(default_factory=list)
    """Flushes, number, samples."""

    async def run(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                told = json.loads(message.data)
                self.texts.append(told)
                if told["type"] == "ping":
                    await self.say("pong", id=told["id"], ahead_ms=90)
            else:
                flushes, number = struct.unpack_from("<II", message.data)
                self.sound.append((flushes, number, np.frombuffer(message.data[8:], "<i2")))

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **fields}))

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [text for text in self.texts if text["type"] == kind]

    def events(self) -> list[str]:
        return [text["event"]["event"] for text in self.told("event")]


@asynccontextmanager
async def page(station: WebRtcStation, wearer: str = "ada", *, sounds: bool = True) -> AsyncIterator[Visitor]:
    headers = bearer(station, wearer, "partner")
    before = station._partners.of(wearer).pages
    async with (
        aiohttp.ClientSession(station.url, headers=headers) as client,
        client.ws_connect("/partner/live") as socket,
        asyncio.TaskGroup() as group,
    ):
        visitor = Visitor(socket)
        group.create_task(visitor.run())
        await until(lambda: station._partners.of(wearer).pages > before)
        if sounds:
            await visitor.say("sound", on=True)
            await until(lambda: station._partners.of(wearer).present)
        yield visitor
        await socket.close()


@dataclass
class Wearing:
    """A wearer's glasses without a phone, and what was touched."""

    glasses: WebRtcGlasses
    taps: list[str] = field(default_factory=list)

    async def feel(self) -> None:
        async for tap in self.glasses.taps():
            self.taps.append(tap)


@asynccontextmanager
async def wearing(partner: Partner) -> AsyncIterator[Wearing]:
    made = Wearing(WebRtcGlasses("ada", partner=partner))
    async with asyncio.TaskGroup() as group:
        group.create_task(made.feel())
        yield made
        await made.glasses.close()


async def test_a_page_is_the_aside_of_the_wearers_link(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, wearing(station._partners.of("ada")) as worn:
        assert worn.glasses.aside is None and not worn.glasses.captured
        async with page(station, sounds=False) as visitor:
            assert worn.glasses.aside is None, "a browser keeps quiet until somebody touches the page"
            await visitor.say("sound", on=True)
            await until(lambda: worn.glasses.aside is not None)
            aside: Aside | None = worn.glasses.aside
            assert aside is not None and aside.present
            worn.glasses.tell(ON)
            worn.glasses.tell(FinalHeard(t_ns=6, text="my secret", confidence=1.0, source="fake"))
            worn.glasses.tell(PassedOver(t_ns=6, speaker="wearer", reason="same_language", text="aside to myself"))
            worn.glasses.tell(Translated(t_ns=7, sentence=0, speaker="wearer", language="es", text="hola"))
            for n in range(5):
                aside.play(chunk(n))
            await until(lambda: len(visitor.sound) == 5 and len(visitor.events()) == 2)
            assert visitor.events() == ["interpreting", "translation"], "what is said to nearsight is the wearer's alone"
            assert [number for _, number, _ in visitor.sound] == list(range(5))
            assert all((pcm == n).all() and len(pcm) == CHUNK_SAMPLES for n, (_, _, pcm) in enumerate(visitor.sound))
            await until(lambda: 0.08 < aside.sink_delay_s < 0.2)
            async with page(station, sounds=False) as late:
                await until(lambda: late.events() == ["interpreting"])
            await visitor.say("sound", on=False)
            await until(lambda: worn.glasses.aside is None)
        assert worn.glasses.counters()["partner_pages"] == 0


async def test_a_flush_drops_what_waits_and_what_it_overtakes(tmp_path: Path) -> None:
    partner: Partner
    async with serving(tmp_path) as station, page(station) as visitor:
        partner = station._partners.of("ada")
        for n in range(10):
            partner.play(chunk(n))
        # Nothing was sent in between: all of it waits.
        assert partner.flush() == 10 * CHUNK_SAMPLES
        assert partner.flush() == 0
        partner.play(chunk(77))
        await until(lambda: len(visitor.sound) == 1 and len(visitor.told("flush")) == 2)
        assert visitor.told("flush")[-1]["flushes"] == visitor.sound[0][0] == 2
        assert (visitor.sound[0][2] == 77).all()
        # What was sent lies in the page's buffer, as far as it can be told.
        await asyncio.sleep(0.2)
        for n in range(3):
            partner.play(chunk(n))
        await until(lambda: len(visitor.sound) == 4)
        assert 0 < partner.flush() <= 3 * CHUNK_SAMPLES


async def test_a_page_that_is_too_slow_loses_the_oldest_sound_and_it_is_counted(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, page(station) as visitor:
        partner = station._partners.of("ada")
        for n in range(SOUND + 30):
            partner.play(chunk(n))
        await until(lambda: len(visitor.sound) == SOUND)
        assert visitor.sound[0][1] == 30
        assert partner.counters() == {"partner_pages": 1, "dropped_partner_sound": 30}


async def test_the_button_to_talk_arrives_and_ends_with_its_page(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, wearing(station._partners.of("ada")) as worn:
        async with page(station) as one, page(station) as other:
            await one.say("speak", on=True)
            await until(lambda: worn.taps == ["speak:partner"])
            await other.say("speak", on=True)
            await one.say("speak", on=False)
            await asyncio.sleep(0.1)
            assert worn.taps == ["speak:partner"], "one of them still holds it"
            await other.say("speak", on=False)
            await until(lambda: worn.taps == ["speak:partner", "speak:end"])
            await other.say("speak", on=True)
            await until(lambda: len(worn.taps) == 3)
        await until(lambda: worn.taps == ["speak:partner", "speak:end"] * 2)


async def test_bad_messages_are_answered_and_a_flood_ends_the_page(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, page(station) as visitor:
        for bad in ("", "[]", "{}", '{"type": 3}', '{"type": "jump"}', '{"type": "pong", "id": "x"}', "[" * 3000):
            await visitor.socket.send_str(bad)
        await until(lambda: len(visitor.told("error")) == 7)
        await visitor.socket.send_bytes(b"what")
        await visitor.say("sound", on=True)
        assert station._partners.of("ada").present
        for _ in range(1500):
            await visitor.say("speak", on=False)
        await until(lambda: station._partners.of("ada").pages == 0)


async def test_who_may_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path) as station:
        key = bearer(station, role="wearer")
        async with aiohttp.ClientSession(station.url) as client:
            async with client.post("/partner/invite", json={}, headers=key) as response:
                invited = await response.json()
                assert response.status == 200 and invited["svg"].lstrip().startswith("<")
            token = invited["url"].partition("#")[2].removesuffix("&to=partner")
            async with client.post("/pair", json={"token": token, "name": "their phone"}) as response:
                paired = await response.json()
                assert (paired["role"], paired["wearer"]) == ("partner", "ada")
            async with client.post("/pair", json={"token": token, "name": "another"}) as response:
                assert response.status == 403
            theirs = {"Authorization": f"Bearer {paired['key']}"}
            async with client.get("/partner/live", headers=theirs) as response:
                assert response.status == 426
            async with client.post("/partner/invite", json={}, headers=theirs) as response:
                assert response.status == 403
            other_side = {**theirs, "Origin": "https://elsewhere.example"}
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect("/partner/live", headers=other_side)
            assert refused.value.status == 403
            station.access._now = lambda: wall_time() + PARTNER_LIFE_S + 1
            async with client.get("/partner", headers=theirs) as response:
                assert response.status == 401, "a conversation is over after half a day"
            station.access._now = wall_time
            assert station.access.check(paired["key"]) is None, "the key opens nothing that does not ask for partners"
        monkeypatch.setattr(partner_routes, "PAGES", 1)
        assert PAGES > 1
        async with page(station):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                async with page(station):
                    pass
        async with page(station, "bob") as bobs, wearing(station._partners.of("ada")) as worn:
            worn.glasses.tell(ON)
            station._partners.of("ada").play(chunk(1))
            await asyncio.sleep(0.1)
            assert not bobs.events() and not bobs.sound, "another wearer's partner"


async def test_a_revoked_partner_is_sent_away(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, page(station) as visitor:
        (device,) = [device for device in station.access.devices() if device.role == "partner"]
        station.access.revoke(device.id)
        await until(lambda: station._partners.of("ada").pages == 0)
        await until(lambda: visitor.socket.closed)


async def test_a_phone_that_comes_back_is_told_the_conversation_and_how_many_pages_there_are(tmp_path: Path) -> None:
    async with serving(tmp_path) as station:

        async def post(offer: str) -> str:
            headers = {**bearer(station), "Content-Type": "application/sdp"}
            async with (
                aiohttp.ClientSession(station.url, headers=headers) as client,
                client.post("/whip", data=offer) as answer,
            ):
                assert answer.status == 201
                return await answer.text()

        async with Client(video=False) as phone:
            await phone.connect(post)
            assert (await phone.expect("partners"))["count"] == 0
            glasses = station.glasses["ada"]
            glasses.tell(ON)
            glasses.tell(Translated(t_ns=7, sentence=0, speaker="wearer", language="es", text="hola", final=True))
            assert (await phone.expect("event"))["event"]["event"] == "interpreting"
            async with page(station):
                assert (await phone.expect("partners"))["count"] == 1
                async with Client(video=False) as other:
                    await other.connect(post)
                    told = [(await other.expect("event"))["event"] for _ in range(2)]
                    assert [line["event"] for line in told] == ["interpreting", "translation"]
                    assert (await other.expect("partners"))["count"] == 1
