"""Bluetooth glasses behind a page: a page in Python, simulated glasses on a virtual radio, virtual time."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import numpy as np
import pytest

from edge.errors import LinkError
from edge.values import AudioChunk, Condition, Pcm, VideoFrame
from firmware_stubs.sim.backend import backends
from firmware_stubs.sim.omi import OMI, OMI_GLASS
from firmware_stubs.sim.pair import CENTRAL
from firmware_stubs.sim.radio import Radio
from phone_bridge import control
from phone_bridge.ble_adapters import known
from phone_bridge.ble_find import scan
from phone_bridge.ble_gatt import BleakGatt
from phone_bridge.ble_omi import AUDIO, BUTTON, CODEC, PHOTO_CONTROL
from phone_bridge.opus import Encoder
from phone_bridge.peer import Peer
from phone_bridge.relay_gatt import WINDOW, RelayGatt
from phone_bridge.relay_words import GattAnswer, GlassesHere, Packets, encode_packets
from phone_bridge.relayed import RelayedGlasses
from tests.ble import jpeg, powered, spoken, switched_on, tone

LINK = 77


class Page:
    """A connection to a page whose browser has Bluetooth: stands where a ``Peer`` does, and does what bluetooth.js does."""

    has_channel = True
    device = "phone"
    sent = pictures = None
    refused = 0

    def __init__(self, glasses: RelayedGlasses) -> None:
        self.glasses = glasses
        self.said: list[Mapping[str, Any]] = []
        self.played: list[Pcm] = []
        self.flushed = 0
        self.gatt: BleakGatt | None = None
        self.asked: list[tuple[str, str]] = []
        self.silent = self._over = False
        self._found: list[str] = []
        self._number = 0
        self._work: list[asyncio.Task[None]] = []
        self._waiting: list[Mapping[str, Any]] = []
        self._ready = asyncio.Event()

    @property
    def peer(self) -> Peer:
        return cast("Peer", self)

    @property
    def heard_at(self) -> float:
        return asyncio.get_running_loop().time()

    def send(self, message: Mapping[str, Any]) -> bool:
        assert len(control.encode(message)) < control.MAX_TEXT
        self.said.append(message)
        if message["type"] == "gatt" and message["link"] == LINK:
            self._waiting.append(message)
            self._ready.set()
        return True

    def pause_pictures(self, on: bool) -> None:
        pass

    def play(self, pcm: Pcm) -> None:
        self.played.append(pcm)

    def flush(self) -> int:
        self.flushed += 1
        return 0

    def close_soon(self, reason: str, last: object = None) -> None:
        self.glasses.peer_lost(self.peer, reason)

    async def close(self) -> None:
        await self.let_go()

    def say(self, data: str | bytes) -> None:
        word = control.decode(data)
        assert not isinstance(word, control.Refusal | control.StillChunk), word
        self.glasses.peer_message(self.peer, word)

    def words(self, kind: str) -> list[Mapping[str, Any]]:
        return [message for message in self.said if message["type"] == kind]

    async def carry(self, radio: Radio, *more: str) -> None:
        """Connects to the glasses on the radio, finds what it was told, and says so; ``more`` is what a bad page adds."""
        client, scanner = backends(radio.device("phone", CENTRAL))
        ((device, _),) = (await scan(lambda *_: True, 5.0, backend=scanner)).values()
        self.gatt = BleakGatt(device, backend=client, lost=lambda _: self.gone("out of reach"))
        await self.gatt.connect()
        wanted = self.words("bluetooth")[-1]["services"]
        self._found = [uuid for found in wanted.values() for uuid in found if self.gatt.has(uuid)]
        self._work.append(asyncio.create_task(self._obey(self.gatt)))
        self.say(control.encode(control.message("glasses", state="here", link=LINK, name="x", found=[*self._found, *more])))

    def gone(self, reason: str) -> None:
        self.say(control.encode(control.message("glasses", state="gone", link=LINK, reason=reason)))

    async def let_go(self) -> None:
        self._over = True
        self._ready.set()
        await asyncio.gather(*self._work)
        if self.gatt is not None:
            await self.gatt.close()

    async def _obey(self, gatt: BleakGatt) -> None:
        while not self._over:
            await self._ready.wait()
            self._ready.clear()
            while self._waiting and not self._over:
                await self._answer(gatt, self._waiting.pop(0))

    async def _answer(self, gatt: BleakGatt, request: Mapping[str, Any]) -> None:
        answer: dict[str, Any] = {}
        of = request.get("of", "")
        self.asked.append((request["do"], of))
        try:
            match request["do"]:
                case "read":
                    answer["data"] = base64.b64encode(await gatt.read(of)).decode()
                case "write" | "write_without_response":
                    await gatt.write(of, base64.b64decode(request["data"]), response=request["do"] == "write")
                case "subscribe":
                    await gatt.subscribe(of, lambda value: self._packet(self._found.index(of), value))
                case "unsubscribe":
                    await gatt.unsubscribe(of)
                case "disconnect":
                    await gatt.close()
                    return
        except LinkError as error:
            answer["error"] = error.text
        if not self.silent:
            self.say(control.encode(control.message("gatt", id=request["id"], **answer)))

    def _packet(self, place: int, value: bytes) -> None:
        if not self.silent:
            self.say(encode_packets(self._number, [(place, value)]))
            self._number += 1


class Worn:
    """What a link gave."""

    def __init__(self, link: RelayedGlasses) -> None:
        self.link = link
        self.page = Page(link)
        self.chunks: list[AudioChunk] = []
        self.photos: list[VideoFrame] = []
        self.taps: list[str] = []
        self.conditions: list[Condition] = []

    @property
    def heard(self) -> Pcm:
        return np.concatenate([chunk.pcm for chunk in self.chunks]) if self.chunks else np.zeros(0, np.int16)

    @property
    def notices(self) -> list[str]:
        return [word["event"]["code"] for word in self.page.words("event") if word["event"]["event"] == "notice"]

    def phone_says(self, seconds: float, sequence: int = 0) -> None:
        with Encoder() as encoder:
            for n, at in enumerate(range(0, len(tone(seconds)), 320), sequence):
                self.link.peer_sound(self.page.peer, n, n * 960, encoder.encode(tone(seconds)[at : at + 320]))


@asynccontextmanager
async def worn() -> AsyncIterator[Worn]:
    """A page is connected and its link is read."""
    link = RelayedGlasses("ada")
    given = Worn(link)
    await link.open()
    link.attach(given.page.peer)
    streams = (link.microphone(), link.camera(), link.taps(), link.conditions())
    lists: tuple[list[Any], ...] = given.chunks, given.photos, given.taps, given.conditions
    pumps = [asyncio.create_task(_pump(stream, into)) for stream, into in zip(streams, lists, strict=True)]
    try:
        yield given
    finally:
        await link.close()
        await asyncio.gather(*pumps)


async def _pump(stream: Any, into: list[Any]) -> None:
    async for item in stream:
        into.append(item)


async def until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what a test waits for has no event
            await asyncio.sleep(0.01)


def monotonic(chunks: list[AudioChunk]) -> bool:
    return all(before.end <= after.start for before, after in zip(chunks, chunks[1:], strict=False))


async def test_sound_photo_and_touches_of_omi_glasses_come_through_the_page() -> None:
    radio = Radio()
    async with switched_on(radio, OMI_GLASS) as omi, worn() as ada:
        ada.phone_says(0.5)
        await until(lambda: len(ada.heard) >= 6000)
        ada.page.say(control.encode(control.message("hello", device="Pixel", audio={"echoCancellation": True})))
        await ada.page.carry(radio)
        await until(lambda: ada.page.words("glasses"))
        assert ada.page.words("glasses")[0]["microphone"] and not ada.page.words("glasses")[0]["speaker"]
        assert ada.page.asked[0] == ("write", PHOTO_CONTROL), "first of all, that no photo is taken unasked"
        before = len(ada.chunks)
        omi.say(spoken(2.0))
        ada.phone_says(1.0, 100)  # meanwhile the phone hears too
        await asyncio.sleep(3.0)
        sound = np.concatenate([chunk.pcm for chunk in ada.chunks[before:]])
        assert abs(np.count_nonzero(np.abs(sound) > 500) / (0.95 * 2 * 16_000) - 1) < 0.1, "2 s of one source, not of two"
        assert monotonic(ada.chunks)
        how = ada.conditions[-1]
        assert how.device == ada.page.words("glasses")[0]["model"] != "Pixel"
        assert not how.echo_cancelled and how.photo_s > 0 and how.battery is not None

        omi.photo = jpeg()
        ada.link.snap()
        await until(lambda: ada.photos, 20.0)
        assert ada.photos[0].pixels.shape == (480, 640, 3)
        ada.link.play(tone(0.02))
        assert len(ada.page.played) == 1, "they have no loudspeaker: the phone's plays"
        assert ada.link.aside is None
        await ada.page.let_go()


async def test_the_phone_takes_over_again_and_that_is_told_once() -> None:
    radio = Radio()
    async with switched_on(radio, OMI) as omi, worn() as ada:
        ada.page.say(control.encode(control.message("hello", device="Pixel", audio={"echoCancellation": True})))
        await ada.page.carry(radio)
        await until(lambda: ada.page.words("glasses"))
        omi.say(spoken(1.0))
        await until(lambda: len(ada.heard) > 12_000)
        await omi.press(1)
        await until(lambda: ada.taps == ["tap"])
        ada.page.gone("out of reach")
        await until(lambda: ada.notices)
        assert ada.page.words("glasses")[-1]["state"] == "lost" and ada.page.words("glasses")[-1]["again"]
        assert (ada.conditions[-1].device, ada.conditions[-1].echo_cancelled, ada.conditions[-1].photo_s) == (
            "Pixel",
            True,
            0.0,
        )
        at = len(ada.chunks)
        ada.phone_says(1.0, 500)
        await until(lambda: len(ada.chunks) > at + 40)
        await asyncio.sleep(5.0)
        assert ada.notices == ["glasses_lost"] and monotonic(ada.chunks)
        await ada.page.let_go()


async def test_a_page_that_falls_silent_is_noticed() -> None:
    radio = Radio()
    async with switched_on(radio, OMI), worn() as ada:
        await ada.page.carry(radio)
        await until(lambda: ada.page.words("glasses"))
        loop = asyncio.get_running_loop()
        began, ada.page.silent = loop.time(), True
        await until(lambda: ada.notices)
        assert loop.time() - began < 5.0
        assert ada.page.words("gatt")[-1]["do"] == "disconnect"
        await ada.page.let_go()


async def test_glasses_of_our_profile_hear_and_speak_through_the_page() -> None:
    radio = Radio()
    async with powered(radio) as glasses, worn() as ada:
        await ada.page.carry(radio)
        await until(lambda: ada.page.words("glasses"))
        assert ada.page.words("glasses")[0]["speaker"]
        glasses.say(spoken(1.0))
        await until(lambda: np.count_nonzero(np.abs(ada.heard) > 500) > 12_000)
        for at in range(0, 16_000, 320):
            ada.link.play(tone(1.0)[at : at + 320])
            await asyncio.sleep(0.02)
        assert ada.page.played == [] and ada.link.sink_delay_s > 0
        aside = ada.link.aside  # the phone's own loudspeaker is free for whom the wearer talks with
        assert aside is not None and aside.present and aside.sink_delay_s == pytest.approx(0.08)
        aside.play(tone(1.0)[:320])
        assert len(ada.page.played) == 1
        ada.link.flush()
        assert ada.page.flushed == 0, "what is told to the partner is not the wearer's to stop"
        aside.flush()
        assert ada.page.flushed == 1
        assert sum(do == "write_without_response" for do, _ in ada.page.asked) > 30
        ada.link.snap()
        await until(lambda: ada.photos, 20.0)
        await ada.page.let_go()


async def test_privacy_ends_the_subscription_at_the_source() -> None:
    radio = Radio()
    async with switched_on(radio, OMI) as omi, worn() as ada:
        await ada.page.carry(radio)
        await until(lambda: ada.page.words("glasses"))
        ada.link.privacy(True)
        await until(lambda: ("unsubscribe", AUDIO) in ada.page.asked)
        at = len(ada.chunks)
        omi.say(spoken(1.0))
        await asyncio.sleep(2.0)
        assert not any(chunk.pcm.any() for chunk in ada.chunks[at:])
        await ada.page.let_go()


async def test_a_page_that_is_muted_mutes_its_glasses() -> None:
    radio = Radio()
    async with switched_on(radio, OMI) as omi, worn() as ada:
        ada.page.say(control.encode(control.message("glasses", state="muted")))
        await ada.page.carry(radio)
        await until(lambda: ada.page.words("glasses"))
        assert ("subscribe", AUDIO) not in ada.page.asked
        omi.say(spoken(0.5))
        await asyncio.sleep(1.0)
        assert ada.chunks == []
        ada.page.say(control.encode(control.message("glasses", state="unmuted")))
        await until(lambda: ("subscribe", AUDIO) in ada.page.asked)
        await asyncio.sleep(0.2)
        omi.say(spoken(1.0))
        await until(lambda: np.count_nonzero(np.abs(ada.heard) > 500) > 12_000)
        await ada.page.let_go()


async def test_nothing_is_touched_but_what_the_adapter_knows() -> None:
    settings = "19b10011-e8f2-537e-4f6c-d104768a1214"
    sent: list[Mapping[str, Any]] = []

    def send(kind: str, **fields: Any) -> bool:
        sent.append(fields)
        return True

    gatt = RelayGatt(GlassesHere(1, "Omi", (settings, CODEC)), {CODEC, AUDIO}, send, lambda _: None)
    for work in (gatt.read(settings), gatt.write(settings, b"\1"), gatt.subscribe(settings, print), gatt.read(AUDIO)):
        with pytest.raises(LinkError, match="may be touched"):
            await work
    with pytest.raises(LinkError, match="more than a value"):
        await gatt.write(CODEC, bytes(513))
    assert sent == []
    reading = asyncio.create_task(gatt.read(CODEC))
    await asyncio.sleep(0)
    gatt.answered(GattAnswer(99, b"no"))
    gatt.notified(Packets(0, ((0, b"x"), (200, b"y"))))
    gatt.answered(GattAnswer(1, b"\x15"))
    assert await reading == b"\x15"
    await gatt.close()
    for adapter in known():
        for found in adapter.characteristics.values():
            assert settings not in found and all(uuid == uuid.lower() for uuid in found)


async def test_writes_without_response_do_not_wait_for_the_way_there_and_back() -> None:
    ids: list[int] = []

    def send(kind: str, id: int, **fields: Any) -> bool:
        ids.append(id)
        return True

    lost: list[LinkError] = []
    gatt = RelayGatt(GlassesHere(1, "x", (BUTTON,)), {BUTTON}, send, lost.append)
    for _ in range(WINDOW + 4):
        assert gatt.later(lambda: gatt.write(BUTTON, b"\1", response=False))
    await asyncio.sleep(0.01)
    assert len(ids) == WINDOW + 1
    gatt.answered(GattAnswer(1))
    await asyncio.sleep(0.01)
    assert len(ids) == WINDOW + 2
    gatt.answered(GattAnswer(2, error="GATT operation failed"))
    await asyncio.sleep(0.01)
    assert [error.text for error in lost] == ["x: GATT operation failed"]
    await gatt.close()


async def test_glasses_of_no_known_kind_are_refused() -> None:
    async with worn() as ada:
        ada.page.say(control.encode(control.message("glasses", state="here", link=5, name="Toaster", found=["1234"])))
        await until(lambda: ada.page.words("glasses"))
        word = ada.page.words("glasses")[0]
        assert (word["state"], word["again"]) == ("lost", False) and "Toaster" in word["text"]
        assert ada.notices == [], "what was never in use is not missed"
