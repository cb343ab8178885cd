"""Glasses over Bluetooth LE: a link that outlives its connections.

The link scans by the services of the adapters that it knows, connects, lets the adapter that fits read what the glasses are,
and from then on looks after them. Glasses that fall silent are asked for a sign of life; glasses that give none within 2 s, or
whose connection ends, are out of reach: the microphone stops, the session is told, and the link listens for them until they are
back. What it hears then goes on in the same media time, moved forward by the gap.

It listens without a break while they are away, to notice their return in seconds; failed connections are spaced out, to 30 s.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edge.channel import Channel, Overflow
from edge.clock import MediaClock
from edge.errors import InputError, LinkError, NearsightError
from edge.events import Event
from edge.values import AudioChunk, Condition, Pcm, Pixels, VideoFrame
from phone_bridge.ble_adapters import Adapter, Capabilities, PhotoLost, Unpaired, Unsuitable, known
from phone_bridge.ble_find import Sought, scan
from phone_bridge.ble_gatt import BleakGatt
from phone_bridge.ble_sound import Hearing
from phone_bridge.stills import decode_still

if TYPE_CHECKING:
    from bleak.backends.client import BaseBleakClient
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import BaseBleakScanner

logger = logging.getLogger(__name__)

PATIENCE_S = 15.0
"""How long ``open`` listens for glasses. They advertise at least once a second or two."""
SETTLE_S = 1.0
"""How long it listens on after the first pair, for a second one."""
ATTACH_S = 40.0
"""The adapter's beginning, the wearer's part in a pairing included."""
PHOTO_S = 15.0
"""What a photo may take: 150 kB at 10 kB/s."""
TICK_S = 0.25
QUIET_S = 0.5
"""After so long without sound the glasses are asked whether they are still there."""
PING_S = 1.0
"""How often, while they stay silent."""
ALIVE_S = 1.1
"""What the answer may take; with ``TICK_S`` and ``QUIET_S`` a loss is noticed within 2 s."""
DEAD_S = 4.0
"""After so long without any sound since the connection began, the subscription is made anew, once."""
DELAY_STEP_S = 0.01
"""A smaller change of the loudspeaker's delay is not told."""
BACKOFF_S = (1.0, 30.0)
LISTEN_S = 30.0
"""One stretch of listening for glasses that are away."""


class BleLink:
    """One pair of glasses over Bluetooth LE. Made anywhere, used on the loop that opens it."""

    captured, aside = False, None

    def __init__(
        self,
        uri: str = "ble:",
        *,
        address: str = "",
        name: str = "",
        client: type[BaseBleakClient] | None = None,
        scanner: type[BaseBleakScanner] | None = None,
        adapters: Sequence[Adapter] | None = None,
        patience: float = PATIENCE_S,
        settle: float = SETTLE_S,
        keep: float = math.inf,
        ended: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """``client`` and ``scanner`` are bleak backends other than the platform's. ``patience``, ``settle``, ``keep``: seconds.

        ``keep`` is how long glasses may be away before the streams raise LinkError. ``close`` awaits ``ended`` at its end.
        """
        self.uri = uri
        self._client = client
        self._scanner = scanner
        self._adapters = tuple(adapters) if adapters is not None else known()
        self._sought = Sought(uri, address.upper(), name, self._adapters)
        self._patience = patience
        self._settle = settle
        self._keep = keep
        self._ended = ended
        self._adapter: Adapter | None = None
        self._gatt: BleakGatt | None = None
        self._clock: MediaClock | None = None
        self._hearing: Hearing | None = None
        self._lost: asyncio.Future[LinkError] | None = None
        self._task: asyncio.Task[None] | None = None
        self._condition = Condition(present=False)
        self._capabilities: Capabilities | None = None
        self._private = False
        self._sound: Channel[AudioChunk] = Channel("microphone", 250, Overflow.DROP_OLDEST)
        self._pictures: Channel[VideoFrame] = Channel("camera", 2, Overflow.DROP_OLDEST)
        self._taps: Channel[str] = Channel("taps", 16, Overflow.DROP_OLDEST)
        self._conditions: Channel[Condition] = Channel("conditions", 16, Overflow.DROP_OLDEST)
        self._frames = 0
        self._heard_at = self._alive_at = 0.0
        self._heard_any = False
        self._counts = dict.fromkeys(("connections", "failed_connections", "refused_photos", "photos_lost", "gaps"), 0)

    @property
    def capabilities(self) -> Capabilities | None:
        """What the glasses have; None before ``open``."""
        return self._capabilities

    @property
    def sink_delay_s(self) -> float:
        """Seconds from ``play`` until the sound can be heard."""
        return self._adapter.play_delay_s if self._adapter is not None else 0.0

    # The link.

    async def open(self) -> None:
        """Finds the glasses and connects. Raises LinkError; UsageError where several pairs answer to what was asked for."""
        device = await self._sought.find(self._patience, self._settle, backend=self._scanner)
        self._sought = replace(self._sought, address=device.address.upper())
        loop = asyncio.get_running_loop()
        self._clock = MediaClock(loop.time())
        self._hearing = Hearing(self._clock, self._give)
        await self._connect(device)
        self._task = asyncio.create_task(self._stay(), name=f"ble {device.address}")

    async def close(self) -> None:
        """Disconnects and ends every stream."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._let_go()
        self._end(None)
        if self._ended is not None:
            await self._ended()

    def microphone(self) -> AsyncIterator[AudioChunk]:
        """Gives the sound; nothing while the glasses are away. Raises LinkError when they are gone for good."""
        return self._sound

    def camera(self) -> AsyncIterator[VideoFrame]:
        """Gives the photos that ``snap`` asked for. Raises LinkError as above."""
        return self._pictures

    def taps(self) -> AsyncIterator[str]:
        """Gives the touches. Raises LinkError as above."""
        return self._taps

    def conditions(self) -> AsyncIterator[Condition]:
        """Gives how the glasses are, now and at each change."""
        return self._conditions

    def play(self, pcm: Pcm) -> None:
        """Takes the next 20 ms; glasses that are away, or have no loudspeaker, play nothing."""
        if self._adapter is not None and self._condition.present:
            self._adapter.play(pcm)

    def flush(self) -> int:
        """Drops what was not sent or played; gives the samples that nobody hears."""
        return self._adapter.flush() if self._adapter is not None else 0

    def privacy(self, on: bool) -> None:
        """Switches microphone and camera off at the source; what comes in spite of it is dropped here."""
        self._private = on
        if self._adapter is not None:
            self._adapter.privacy(on)

    def snap(self) -> None:
        """Asks for one photo."""
        if self._adapter is not None and self._condition.present and not self._private:
            self._adapter.snap()

    def tell(self, event: Event) -> None:
        """Passes on what the glasses may show."""
        if self._adapter is not None and self._condition.present:
            self._adapter.tell(event)

    def counters(self) -> Mapping[str, int]:
        """Gives figures for a dashboard."""
        adapter = self._adapter.counters() if self._adapter is not None else {}
        return {**self._counts, **adapter, "dropped_sound": self._sound.dropped, "dropped_pictures": self._pictures.dropped}

    # What the adapter brings: Sink.

    def heard(self, pcm: Pcm) -> None:
        """Lays it on the media time."""
        if self._private or self._hearing is None:
            return
        self._heard_at = asyncio.get_running_loop().time()
        self._heard_any = True
        self._hearing.heard(pcm, self._heard_at)

    def quiet(self, until: float) -> None:
        """Lays silence on the media time."""
        if self._hearing is not None and not self._private:
            self._hearing.silence(until)

    def gap(self) -> None:
        """Moves on to where the media time is now."""
        self._counts["gaps"] += 1
        if self._hearing is not None:
            self._hearing.pause()

    def seen(self, jpeg: bytes, quarter_turns: int, at: float) -> None:
        """Decodes it beside the loop."""
        loop = asyncio.get_running_loop()
        assert self._clock is not None  # connections begin in open()
        t_ns = self._clock.media_ns(at)
        if hasattr(loop, "job_began"):  # in virtual time a thread's result would come at another time in each run
            self._photographed(lambda: _upright(jpeg, quarter_turns), t_ns)
            return
        decoding = loop.run_in_executor(None, _upright, jpeg, quarter_turns)
        decoding.add_done_callback(lambda done: None if done.cancelled() else self._photographed(done.result, t_ns))

    def failed(self, error: PhotoLost) -> None:
        """Counts it: the question that it was for goes on without a picture."""
        self._counts["photos_lost"] += 1
        logger.warning("%s: %s", self.uri, error.text)

    def touched(self, name: str) -> None:
        """Hands it on."""
        if not self._taps.closed:
            self._taps.send_nowait(name)

    def powered(self, level: float, charging: bool | None = None) -> None:
        """Tells it, where it is news; with the connection, where that is only beginning."""
        condition = replace(self._condition, battery=level, charging=charging)
        if condition.present:
            self._tell(condition)
        else:
            self._condition = condition

    # Connecting.

    async def _connect(self, device: BLEDevice) -> None:
        """Raises LinkError; nothing is left behind then."""
        loop = asyncio.get_running_loop()
        self._lost = loop.create_future()
        gatt = BleakGatt(device, backend=self._client, alive=self._alive, lost=self._was_lost)
        try:
            await gatt.connect()
            adapter = next((adapter for adapter in self._adapters if adapter.service in gatt.services), None)
            if adapter is None:
                raise Unsuitable(f"{self.uri}: {device.address} has none of the services that nearsight knows")
            self._adapter = adapter
            adapter.privacy(self._private)
            self._alive_at = self._heard_at = loop.time()
            self._heard_any = False
            try:
                async with asyncio.timeout(ATTACH_S):
                    self._capabilities = await adapter.attach(gatt, self)
            except TimeoutError:
                raise LinkError(f"{self.uri}: {device.address} does not answer") from None
        except BaseException:
            self._gatt = gatt
            self._counts["failed_connections"] += 1
            await self._let_go()
            raise
        self._gatt = gatt
        self._counts["connections"] += 1
        logger.info("%s: connected to %s, %s", self.uri, device.address, self._capabilities)
        has = self._capabilities
        here = replace(self._condition, present=True, sink_delay_s=self.sink_delay_s, device=has.model)
        self._tell(replace(here, photo_s=PHOTO_S if has.camera else 0.0, silent=not has.speaker))

    async def _let_go(self) -> None:
        """Ends the connection that there is. The session is told first: it does not wait for a radio."""
        gatt, self._gatt = self._gatt, None
        self._tell(replace(self._condition, present=False))
        if self._hearing is not None:
            self._hearing.pause()
        if self._adapter is not None:
            self._adapter.detach()
        if gatt is not None:
            await gatt.close()

    async def _stay(self) -> None:
        """Looks after the glasses until the link is closed, or they are gone for good."""
        try:
            while True:
                error = await self._watch()
                logger.info("%s: away: %s", self.uri, error.text)
                await self._let_go()
                async with asyncio.timeout(self._keep if math.isfinite(self._keep) else None):
                    await self._come_back()
        except TimeoutError:
            self._end(LinkError(f"{self.uri}: the glasses were out of reach for {self._keep:g} s"))
        except NearsightError as error:
            self._end(error)

    async def _come_back(self) -> None:
        """Listens until the glasses are back. Raises Unpaired, Unsuitable: coming back would not help."""
        pause, longest = BACKOFF_S
        while True:
            try:
                found = await scan(self._sought.matches, LISTEN_S, backend=self._scanner)
                for device, _ in found.values():
                    await self._connect(device)
                    return
                pause = BACKOFF_S[0]
            except (Unpaired, Unsuitable):
                raise
            except LinkError as error:
                logger.info("%s: not yet: %s", self.uri, error.text)
                # Spread by chance: two links of one computer that lost their glasses together would go on in step.
                await asyncio.sleep(pause * random.uniform(0.75, 1.25))
                pause = min(longest, 2 * pause)

    # Watching.

    async def _watch(self) -> LinkError:
        """Waits until the connection is lost; gives why."""
        assert self._lost is not None and self._adapter is not None and self._gatt is not None
        lost, adapter = self._lost, self._adapter
        loop = asyncio.get_running_loop()
        asked_at, began, roused = -math.inf, loop.time(), False
        while True:
            await asyncio.wait([lost], timeout=TICK_S)
            now = loop.time()
            if lost.done():
                return lost.result()
            adapter.tick(now)
            if abs(self.sink_delay_s - self._condition.sink_delay_s) > DELAY_STEP_S:
                self._tell(replace(self._condition, sink_delay_s=self.sink_delay_s))
            try:
                if not roused and not self._heard_any and now - began >= DEAD_S and not self._private:
                    roused = True
                    await adapter.rouse()
                if now - self._heard_at >= QUIET_S and now - asked_at >= PING_S:
                    asked_at = now
                    if not await self._answers(adapter):
                        return LinkError(f"{self.uri}: the glasses do not answer")
            except LinkError as error:
                return error

    async def _answers(self, adapter: Adapter) -> bool:
        """Asks for a sign of life. An answer without sound before it means that there was no sound."""
        asked_at = asyncio.get_running_loop().time()
        heard_at = self._heard_at
        try:
            async with asyncio.timeout(ALIVE_S):
                answered = await adapter.ping()
        except TimeoutError:
            return self._alive_at > asked_at
        if answered and self._heard_at == heard_at and self._hearing is not None:
            self._hearing.silence(asked_at)
        return True

    def _alive(self) -> None:
        self._alive_at = asyncio.get_running_loop().time()

    def _was_lost(self, error: LinkError) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(error)

    # Handing on.

    def _give(self, chunk: AudioChunk) -> None:
        if not self._sound.closed:
            self._sound.send_nowait(chunk)

    def _photographed(self, decoded: Callable[[], Pixels], t_ns: int) -> None:
        try:
            pixels = decoded()
        except InputError as error:
            self._counts["refused_photos"] += 1
            logger.warning("%s: %s", self.uri, error.text)
            return
        if not self._private and not self._pictures.closed:
            self._pictures.send_nowait(VideoFrame(pixels, t_ns, self._frames))
            self._frames += 1

    def _tell(self, condition: Condition) -> None:
        if condition != self._condition and not self._conditions.closed:
            self._condition = condition
            self._conditions.send_nowait(condition)

    def _end(self, error: NearsightError | None) -> None:
        if error is not None:
            logger.warning("%s: over: %s", self.uri, error.text)
        for channel in (self._sound, self._pictures, self._taps):
            channel.close(error)
        self._conditions.close(error)


def _upright(jpeg: bytes, quarter_turns: int) -> Pixels:
    """Decodes a photo and sets it upright. Raises InputError."""
    pixels = decode_still(jpeg)
    return np.ascontiguousarray(np.rot90(pixels, -quarter_turns)) if quarter_turns else pixels
