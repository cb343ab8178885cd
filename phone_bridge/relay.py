"""Bluetooth glasses behind a page: the adapter that fits runs here, over what the page's browser relays (``relay_gatt``)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from edge.clock import MediaClock
from edge.errors import InputError, LinkError, NearsightError
from edge.values import AudioChunk, Pcm, Pixels
from phone_bridge.ble_adapters import Adapter, Capabilities, PhotoLost, Unsuitable, known
from phone_bridge.ble_sound import Hearing
from phone_bridge.relay_gatt import RelayGatt
from phone_bridge.relay_words import GattAnswer, GlassesGone, GlassesHere, GlassesMuted, Packets
from phone_bridge.stills import decode_still

logger = logging.getLogger(__name__)

ATTACH_S = 60.0
"""The adapter's beginning, the wearer's part in a pairing included."""
PHOTO_S = 15.0
"""What a photo may take: 150 kB at 10 kB/s."""
TICK_S = 0.25
QUIET_S = 0.5
PING_S = 1.0
ALIVE_S = 3.0
"""What a sign of life may take, over two radios; the page tells of an end sooner where its browser knows of it."""
DELAY_STEP_S = 0.01
"""A smaller change of the loudspeaker's delay is not told."""
DEAD_S = 4.0
"""After so long without any sound since the connection began, the subscription is made anew, once."""
NOTHING = Capabilities("")


class Host(Protocol):
    """The link that gets what the glasses bring."""

    @property
    def media(self) -> MediaClock:
        """The link's media time."""

    def ask_page(self, kind: str, **fields: Any) -> bool:
        """Sends the page a message."""

    def glasses_heard(self, chunk: AudioChunk) -> None:
        """Takes their sound."""

    def glasses_saw(self, pixels: Pixels, t_ns: int) -> None:
        """Takes a photo."""

    def glasses_touched(self, name: str) -> None:
        """Takes a touch."""

    def glasses_changed(self) -> None:
        """Takes that they came, went, or are otherwise than before."""

    def glasses_lost(self, error: NearsightError) -> None:
        """Takes that glasses in use are gone; called once for each time."""


class Relay:
    """The glasses behind a page, one pair at a time; also the ``Sink`` of their adapter."""

    def __init__(self, host: Host, adapters: Sequence[Adapter] | None = None) -> None:
        self.has = NOTHING
        """What the glasses in use have: nothing while there are none."""
        self.battery: tuple[float, bool | None] | None = None
        self._host = host
        self._adapters = tuple(adapters) if adapters is not None else known()
        self._hearing = Hearing(host.media, host.glasses_heard)
        self._adapter: Adapter | None = None
        self._gatt: RelayGatt | None = None
        self._task: asyncio.Task[None] | None = None
        self._private = self._muted = False
        self._heard_at = 0.0
        self._heard_any = False
        self._counts = dict.fromkeys(("glasses", "glasses_lost", "glasses_photos_lost", "glasses_gaps"), 0)

    @property
    def adapter(self) -> Adapter | None:
        """That of the glasses in use."""
        return self._adapter if self.has is not NOTHING else None

    @property
    def private(self) -> bool:
        """Whether nothing is to be heard or seen: the session's privacy, or the wearer's, who muted the page."""
        return self._private or self._muted

    def wanted(self) -> dict[str, Any]:
        """Gives what a page needs to know to find glasses, and all that it may touch on them."""
        services: dict[str, list[str]] = {}
        for adapter in self._adapters:
            for service, found in adapter.characteristics.items():
                services.setdefault(service, []).extend(found)
        names = [name for adapter in self._adapters for name in adapter.names]
        return {"kinds": [adapter.service for adapter in self._adapters], "names": names, "services": services}

    def take(self, message: GlassesHere | GlassesGone | GlassesMuted | GattAnswer | Packets) -> None:
        """Does what a page says of its glasses."""
        gatt = self._gatt
        match message:
            case GlassesHere():
                self._begin(message)
            case GlassesMuted(on):
                self._muted = on
                self._apply_privacy()
            case GlassesGone(link, reason) if gatt is not None and gatt.is_link(link):
                gatt.lose(reason)
            case GattAnswer() if gatt is not None:
                gatt.answered(message)
            case Packets() if gatt is not None:
                gatt.notified(message)

    def stop(self) -> None:
        """Ends with the page's connection. The work of ending is the relay's own task."""
        self._muted = False  # the next page says so itself
        if self._task is not None:
            self._task.cancel()

    async def stopped(self) -> None:
        """Ends, and waits until everything is freed."""
        self.stop()
        if self._task is not None:
            await asyncio.wait([self._task])

    def privacy(self, on: bool) -> None:
        """Switches microphone and camera of the glasses off at the source, or on again."""
        self._private = on
        self._apply_privacy()

    def counters(self) -> Mapping[str, int]:
        """Gives figures for a dashboard."""
        adapter = self._adapter.counters() if self._adapter is not None else {}
        lost = {"relay_lost": self._gatt.lost_packets} if self._gatt is not None else {}
        return {**self._counts, **lost, **{f"glasses_{name}": count for name, count in adapter.items()}}

    # What the adapter brings: Sink.

    def heard(self, pcm: Pcm) -> None:
        """Lays it on the link's media time."""
        if not self.private:
            self._heard_at = asyncio.get_running_loop().time()
            self._heard_any = True
            self._hearing.heard(pcm, self._heard_at)

    def quiet(self, until: float) -> None:
        """Lays silence on the media time."""
        if not self.private:
            self._hearing.silence(until)

    def gap(self) -> None:
        """Moves on to where the media time is now."""
        self._counts["glasses_gaps"] += 1
        self._hearing.pause()

    def seen(self, jpeg: bytes, quarter_turns: int, at: float) -> None:
        """Decodes it beside the loop."""
        t_ns = self._host.media.media_ns(at)
        decoding = asyncio.get_running_loop().run_in_executor(None, _upright, jpeg, quarter_turns)
        decoding.add_done_callback(lambda done: None if done.cancelled() else self._photographed(done, t_ns))

    def failed(self, error: PhotoLost) -> None:
        """Counts it: the question that it was for goes on without a picture."""
        self._counts["glasses_photos_lost"] += 1
        logger.warning("relay: %s", error.text)

    def touched(self, name: str) -> None:
        """Hands it on."""
        self._host.glasses_touched(name)

    def powered(self, level: float, charging: bool | None = None) -> None:
        """Tells it, where glasses are in use."""
        self.battery = level, charging
        if self.has is not NOTHING:
            self._host.glasses_changed()

    # Inside.

    def _apply_privacy(self) -> None:
        if self._adapter is not None:
            self._adapter.privacy(self.private)

    def _begin(self, here: GlassesHere) -> None:
        before = self._task
        if before is not None:
            before.cancel()
        self._task = asyncio.create_task(self._serve(here, before), name="relay glasses")

    async def _serve(self, here: GlassesHere, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        lost: asyncio.Future[LinkError] = asyncio.get_running_loop().create_future()
        adapter = next((one for one in self._adapters if any(uuid in here.found for uuid in _own(one))), None)
        allowed = [uuid for found in adapter.characteristics.values() for uuid in found] if adapter is not None else []
        gatt = self._gatt = RelayGatt(here, allowed, self._host.ask_page, lost.set_result)
        error: NearsightError | None = None
        in_use = False
        try:
            if adapter is None:
                raise Unsuitable(f"{gatt.name} have none of the services that nearsight knows")
            self._adapter = adapter
            await self._attach(adapter, gatt)
            in_use = True
            error = await self._watch(adapter, lost)
        except NearsightError as failure:
            error = failure
        finally:
            self.has, self.battery, self._adapter, self._gatt = NOTHING, None, None, None
            self._hearing.pause()
            if adapter is not None:
                adapter.detach()
            if in_use:
                self._host.glasses_changed()
            if error is not None:
                self._lost(gatt, here.link, error, in_use)
            await gatt.close()

    async def _attach(self, adapter: Adapter, gatt: RelayGatt) -> None:
        adapter.privacy(self.private)
        self._heard_at, self._heard_any = asyncio.get_running_loop().time(), False
        try:
            async with asyncio.timeout(ATTACH_S):
                self.has = await adapter.attach(gatt, self)
        except TimeoutError:
            raise LinkError(f"{gatt.name} do not answer") from None
        self._counts["glasses"] += 1
        logger.info("relay: %s", self.has)
        parts = {part: getattr(self.has, part) for part in ("microphone", "camera", "speaker")}
        self._host.ask_page("glasses", state="in_use", model=self.has.model, **parts)
        self._host.glasses_changed()

    def _lost(self, gatt: RelayGatt, link: int, error: NearsightError, in_use: bool) -> None:
        logger.info("relay: %s", error.text)
        self._counts["glasses_lost"] += in_use
        self._host.ask_page("glasses", state="lost", link=link, again=error.retryable, text=error.text)
        if in_use:
            self._host.glasses_lost(error)

    async def _watch(self, adapter: Adapter, lost: asyncio.Future[LinkError]) -> LinkError:
        """Looks after the glasses until they are lost; gives why."""
        loop = asyncio.get_running_loop()
        asked_at, began, roused = float("-inf"), loop.time(), False
        delay = adapter.play_delay_s
        while True:
            await asyncio.wait([lost], timeout=TICK_S)
            now = loop.time()
            if lost.done():
                return lost.result()
            adapter.tick(now)
            if abs(adapter.play_delay_s - delay) > DELAY_STEP_S:
                delay = adapter.play_delay_s
                self._host.glasses_changed()
            try:
                if not roused and not self._heard_any and now - began >= DEAD_S and not self.private:
                    roused = True
                    await adapter.rouse()
                if now - self._heard_at >= QUIET_S and now - asked_at >= PING_S:
                    asked_at = now
                    await self._ask_for_life(adapter)
            except TimeoutError:
                return LinkError("the glasses do not answer")
            except LinkError as error:
                return error

    async def _ask_for_life(self, adapter: Adapter) -> None:
        """An answer without sound before it means that there was no sound. Raises TimeoutError, LinkError."""
        asked_at, heard_at = asyncio.get_running_loop().time(), self._heard_at
        async with asyncio.timeout(ALIVE_S):
            answered = await adapter.ping()
        if answered and self.has.microphone and self._heard_at == heard_at and not self.private:
            self._hearing.silence(asked_at)

    def _photographed(self, done: asyncio.Future[Pixels], t_ns: int) -> None:
        try:
            pixels = done.result()
        except InputError as error:
            self._counts["glasses_photos_lost"] += 1
            logger.warning("relay: %s", error.text)
            return
        if not self.private:
            self._host.glasses_saw(pixels, t_ns)


def _own(adapter: Adapter) -> tuple[str, ...]:
    """Gives the characteristics of an adapter's particular service."""
    return adapter.characteristics[adapter.service]


def _upright(jpeg: bytes, quarter_turns: int) -> Pixels:
    """Decodes a photo and sets it upright. Raises InputError."""
    pixels = decode_still(jpeg)
    return np.ascontiguousarray(np.rot90(pixels, -quarter_turns)) if quarter_turns else pixels
