"""A simulated Omi, omiGlass or OpenGlass, as their firmware is published: it speaks from given sound, sees a given photo.

What is simulated is what goes wrong: queues that overflow at the source, ids that count on over what was lost, microphones that
sleep in silence, an automatic photo every 30 s from the connection on, photos without length or checksum.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from bumble import core
from bumble.att import Attribute, AttributeValue
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, Service

from firmware_stubs.sim.radio import Radio

FRAME_S = 0.02
"""Of codec 21; the others are given with ``Model.frame_s``."""
SLOTS_S = 0.25
"""What may wait for the radio before new notifications are dropped at the source: about twelve frames."""
AUTO_PHOTO_S = 30.0
SLEEP_S = 10.0
BATTERY_S = 20.0


def _uuid(number: int) -> str:
    return f"19B1{number:04X}-E8F2-537E-4F6C-D104768A1214"


@dataclass(frozen=True, slots=True)
class Model:
    """A kind of device."""

    name: str
    """As it advertises."""
    model: str
    """As its device information says."""
    codec: int
    features: int
    """Bits: 1 accelerometer, 2 button, 3 battery, 7 LED, 8 microphone gain; 0 the speaker."""
    frame_s: float = FRAME_S
    camera: bool = False
    orientation: bool = False
    """Whether the first chunk of a photo begins with an orientation byte."""
    fragments: bool = True
    """Whether sound that does not fit into one notification is cut into several."""
    auto_photo: bool = False
    chunk_s: float = 0.0075
    """From one chunk of a photo to the next."""
    sleeps: bool = False
    """Whether the microphone sleeps after ``SLEEP_S`` of silence: no notifications then."""


OMI = Model("Omi", "Omi CV 1", 21, 0b1_1000_1100, sleeps=True)
OMI_GLASS = Model("OMI Glass", "OMI Glass", 21, 0b1000, camera=True, orientation=True, fragments=False, auto_photo=True)
OPEN_GLASS = Model("OpenGlass", "", 1, 0, frame_s=0.01, camera=True, chunk_s=0.03)


class SimOmi:
    """One device on a radio. ``await start()`` switches it on."""

    def __init__(
        self,
        radio: Radio,
        model: Model = OMI_GLASS,
        *,
        address: str = "F1:F1:F1:F1:F1:F1",
        mtu: int = 517,
        drop: float = 0.0,
        encrypted: bool = False,
        silence: bytes = b"",
        battery: Callable[[float], int] = lambda seconds: max(0, 100 - int(seconds / 288)),
        seed: int = 0,
    ) -> None:
        """``mtu`` is the most that it agrees to; ``drop`` the share of notifications that it loses at the source.

        ``encrypted`` makes it ask for a bond before it tells its codec. ``silence`` is the codec frame that it sends while
        nobody speaks; without one it sends nothing then. ``battery`` gives percent by the seconds since ``start``: it lasts 8 h
        by default.
        """
        self.radio = radio
        self.model = model
        self.device: Device = radio.device(model.name, address)
        self.device.gatt_server.max_mtu = mtu
        self.drop = drop
        self.written: list[tuple[str, bytes]] = []
        """Everything that was written to it: UUID, bytes."""
        self.counts: Counter[str] = Counter()
        """``sound``, ``chunks`` sent; ``dropped`` at the source; ``photos`` taken."""
        self.photo: bytes = b""
        """The JPEG that its camera sees; empty for a lens cap."""
        self.lose_chunks: Callable[[int], bool] = lambda index: False
        """Says which chunks of a photo, by index, are lost at the source; -1 is the end marker."""
        self.hears = asyncio.Event()
        """Cleared, requests are left unanswered: a firmware that hangs."""
        self.hears.set()
        self._silence = silence
        self._battery = battery
        self._random = random.Random(seed)
        self._began = 0.0
        self._id = 0
        self._frames: deque[bytes | None] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._shooting: asyncio.Task[None] | None = None
        self._interval = AUTO_PHOTO_S if model.auto_photo else 0.0
        self._characteristics = self._table(encrypted)

    async def start(self) -> None:
        """Switches it on: it advertises, and its streams run whenever somebody subscribed."""
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        await self.device.power_on()
        service = core.UUID(_uuid(0))
        self.device.advertising_data = bytes(
            core.AdvertisingData(
                [
                    (core.AdvertisingData.COMPLETE_LOCAL_NAME, self.model.name.encode()),
                    (core.AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, bytes(service)),
                ]
            )
        )
        self.device.on(Device.EVENT_CONNECTION, self._connected)
        await self.device.start_advertising(auto_restart=True, advertising_interval_min=100, advertising_interval_max=100)
        self._tasks = [
            asyncio.create_task(self._speak()),
            asyncio.create_task(self._photograph()),
            asyncio.create_task(self._tell_battery()),
        ]

    async def stop(self) -> None:
        """Switches it off."""
        tasks = [*self._tasks, *([self._shooting] if self._shooting is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.radio.cut(self.device)
        await asyncio.sleep(0.01)  # bumble advertises again first, and must not be interrupted in that
        await self.device.power_off()

    # What happens to it.

    def say(self, frames: Iterable[bytes]) -> None:
        """Speaks codec frames, one every ``frame_s``, after those before; silence is what follows them."""
        self._frames.extend(frames)

    def rest(self, seconds: float) -> None:
        """Is quiet for a while with the microphone asleep: nothing is sent, and no id counted."""
        self._frames.extend([None] * round(seconds / self.model.frame_s))

    @property
    def saying(self) -> bool:
        """Whether frames are left."""
        return bool(self._frames)

    async def press(self, state: int) -> None:
        """Notifies the button: 1 tap, 2 double, 3 long, 4 pressed, 5 released."""
        await self._notify("button", struct.pack("<ii", state, 0))

    # Inside: the table.

    def _table(self, encrypted: bool) -> dict[str, Characteristic[bytes]]:
        model, properties = self.model, Characteristic.Properties
        notify, read, write = properties.NOTIFY, properties.READ, properties.WRITE
        guarded = Attribute.Permissions.READ_REQUIRES_ENCRYPTION if encrypted else Attribute.Permissions(0)

        def made(uuid: str, kind: Characteristic.Properties, value: bytes = b"") -> Characteristic[bytes]:
            permissions = Attribute.READABLE | Attribute.WRITEABLE
            if uuid == _uuid(2):
                permissions |= guarded
            return Characteristic(
                uuid, kind, permissions, AttributeValue(read=self._reader(uuid, value), write=self._writer(uuid))
            )

        table = {
            "audio": made(_uuid(1), notify | read),
            "codec": made(_uuid(2), read, bytes([model.codec])),
            "battery": made("2A19", notify | read),
            # Settings on the pendant, firmware update on the glasses: the same UUIDs.
            "settings": made(_uuid(0x11), write | read),
            "features": made(_uuid(0x21), read, struct.pack("<I", model.features)),
        }
        main = [table["audio"], table["codec"]]
        if model.camera:
            table["photo"] = made(_uuid(5), notify)
            table["control"] = made(_uuid(6), write)
            main += [table["photo"], table["control"]]
        services = [
            Service(_uuid(0), main),
            Service(_uuid(0x10), [table["settings"]]),
            Service(_uuid(0x20), [table["features"]]),
            Service("180F", [table["battery"]]),
            Service("180A", [made("2A24", read, model.model.encode())] if model.model else []),
        ]
        if model.features & 4:
            table["button"] = made("23BA7925-0000-1000-7450-346EAC492E92", notify)
            services.append(Service("23BA7924-0000-1000-7450-346EAC492E92", [table["button"]]))
        self.device.add_services(services)
        return table

    def _reader(self, uuid: str, value: bytes) -> Callable[[Connection], Awaitable[bytes]]:
        async def answered(_: Connection) -> bytes:
            await self.hears.wait()
            return bytes([self._level()]) if uuid == "2A19" else value

        return answered

    def _writer(self, uuid: str) -> Callable[[Connection, bytes], None]:
        def written(_: Connection, value: bytes) -> None:
            self.written.append((uuid, bytes(value)))
            if uuid == _uuid(6) and len(value) == 1:
                self._control(struct.unpack("b", value)[0])

        return written

    def _level(self) -> int:
        return self._battery(asyncio.get_running_loop().time() - self._began)

    def _connected(self, _: Connection) -> None:
        self._interval = AUTO_PHOTO_S if self.model.auto_photo else 0.0

    def _control(self, value: int) -> None:
        if value == -1:
            if self._shooting is None or self._shooting.done():
                self._shooting = asyncio.create_task(self._shoot())
        else:
            self._interval = 0.0 if value < 5 else AUTO_PHOTO_S if self.model.auto_photo else value // 5 * 5

    # Inside: the streams.

    async def _notify(self, name: str, value: bytes) -> bool:
        """Sends a notification unless the queue is full, as firmware does; False where it was dropped."""
        if self.radio.waiting(self.device) > SLOTS_S or self._random.random() < self.drop:
            self.counts["dropped"] += 1
            return False
        await self.device.notify_subscribers(self._characteristics[name], value)
        return True

    def _listened(self, name: str) -> bool:
        handle = self._characteristics[name].handle
        return any(table.get(handle, b"\0\0")[0] & 1 for table in self.device.gatt_server.subscribers.values())

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        due = spoke = loop.time()
        while True:
            due += self.model.frame_s
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not self._listened("audio"):
                continue
            if self._frames:
                frame, spoke = self._frames.popleft(), due
            else:
                frame = None if self.model.sleeps and due - spoke > SLEEP_S else self._silence
            if frame:
                await self._send_frame(frame)

    async def _send_frame(self, frame: bytes) -> None:
        mtu = min((connection.att_mtu for connection in self.device.connections.values()), default=23)
        piece = mtu - 6 if self.model.fragments else len(frame)
        for index, at in enumerate(range(0, len(frame), piece)):
            packet = struct.pack("<HB", self._id, index) + frame[at : at + piece]
            self._id = (self._id + 1) & 0xFFFF
            self.counts["sound"] += await self._notify("audio", packet)

    async def _photograph(self) -> None:
        waited = 0.0
        while True:
            await asyncio.sleep(1.0)
            waited = waited + 1.0 if self._interval and self.device.connections else 0.0
            if self._interval and waited >= self._interval and (self._shooting is None or self._shooting.done()):
                waited = 0.0
                self._shooting = asyncio.create_task(self._shoot())

    async def _shoot(self) -> None:
        if not self.photo or not self.model.camera:
            return
        self.counts["photos"] += 1
        data = b"\x02" + self.photo if self.model.orientation else self.photo
        for index, at in enumerate(range(0, len(data), 200)):
            # Its photo loop waits for the queue; its sound does not.
            await asyncio.sleep(max(0.0, self.radio.waiting(self.device) - SLOTS_S / 2))
            if not self.lose_chunks(index):
                self.counts["chunks"] += await self._notify("photo", struct.pack("<H", index) + data[at : at + 200])
            await asyncio.sleep(self.model.chunk_s)
        if not self.lose_chunks(-1):
            await self._notify("photo", b"\xff\xff")

    async def _tell_battery(self) -> None:
        while True:
            await asyncio.sleep(BATTERY_S)
            await self._notify("battery", bytes([self._level()]))
