"""A simulated pair of glasses with the whole profile: it hears given sound, sees a given photo, remembers what it played.

What is simulated is what goes wrong: transmit slots that run out, photo chunks and sound lost before the radio, a battery that
falls, a clock of its own that drifts, a wearer who takes it off, strangers who want to pair.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bumble import att, core
from bumble.att import Attribute, AttributeValue
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, Service

from firmware_stubs.sim.application import Application
from firmware_stubs.sim.door import guard
from firmware_stubs.sim.lens import Camera
from firmware_stubs.sim.radio import Radio
from phone_bridge.wire import messages
from phone_bridge.wire.capabilities import Capabilities, CodecOffer, encode_capabilities
from phone_bridge.wire.profile import (
    AUDIO_FRAME_US,
    AUDIO_RATE_HZ,
    CAPABILITIES_UUID,
    CONTROL_UUID,
    EVENTS_UUID,
    MICROPHONE_UUID,
    MTU_MIN,
    PHOTO_MAX,
    PHOTO_UUID,
    SERVICE_UUID,
    SPEAKER_UUID,
    Action,
    Codec,
    EventMask,
    Feature,
    Gesture,
)

FRAME_S = 0.02
SLOTS = 12
"""Notifications that the stack holds: a frame of 32 kbit/s at MTU 23 is six."""
EXPOSURE_S = 0.15
"""From the request to the picture."""
_OPUS = CodecOffer(Codec.OPUS, 128, AUDIO_RATE_HZ, AUDIO_FRAME_US)
GLASSES = Capabilities(
    model="nearsight sim",
    firmware="1.0",
    features=int(
        Feature.MICROPHONE
        | Feature.CAMERA
        | Feature.SPEAKER
        | Feature.BUTTON
        | Feature.TAP
        | Feature.WEAR
        | Feature.GESTURES
        | Feature.LIGHT
    ),
    up=(_OPUS,),
    down=(_OPUS,),
    sizes=((1280, 960), (1024, 768), (800, 600), (640, 480)),
    photo_max=PHOTO_MAX,
    speaker_room=4096,
)


@dataclass(frozen=True, slots=True)
class Played:
    """A frame that the loudspeaker played."""

    at: float
    """Loop time at which it began to sound."""
    frame: bytes
    seconds: float
    """How much of it was heard: less than 0.02 where it was cut."""


class SimGlasses:
    """One device on a radio. ``await start()`` switches it on, ``await stop()`` off."""

    def __init__(
        self,
        radio: Radio,
        capabilities: Capabilities = GLASSES,
        *,
        address: str = "F2:F2:F2:F2:F2:F2",
        name: str = "nearsight",
        mtu: int = 247,
        encrypted: bool = True,
        silence: bytes = b"",
        battery: Callable[[float], int] = lambda seconds: max(0, 100 - int(seconds / 288)),
        ppm: float = 30.0,
        seed: int = 0,
    ) -> None:
        """``mtu`` is the most that it agrees to. ``encrypted``: each characteristic of the service wants a bond.

        ``silence`` is the codec frame that it sends while nobody speaks; without one its microphone sleeps then. ``battery``
        gives percent by the seconds since ``start``: it lasts 8 h by default. ``ppm`` is what its crystal is too fast.
        """
        self.radio = radio
        self.device: Device = radio.device(name, address)
        self.device.gatt_server.max_mtu = mtu
        guard(self.device, lambda: self.pairable)
        self.name = name
        self.pairable = True
        """Whether the pairing window is open."""
        self.charging = False
        self.photo: bytes | Camera = b""
        """The JPEG that its camera gives whatever is asked for, or a camera; empty for one that fails."""
        self.orientation = 0
        self.lose_sound: Callable[[], bool] = lambda: False
        """Says of each audio packet whether it is lost at the source."""
        self.lose_chunk: Callable[[int], bool] = lambda index: False
        """Says of each photo chunk, by index, whether it is lost at the source."""
        self.hears = True
        """False for firmware that hangs: what is written to it is taken and never answered."""
        self.heard_from: float | None = None
        """Loop time of the first sample that ``say`` brought to the microphone."""
        self.played: list[Played] = []
        self.written: Counter[str] = Counter()
        """Writes by characteristic."""
        self.counts: Counter[str] = Counter()
        """``sound``, ``chunks`` sent; ``dropped`` at the source; ``no_room`` for notifications that found no slot."""
        self.audio_wait_s = 0.0
        """The longest that an audio packet waited behind what was sent before it."""
        self.mtu = MTU_MIN
        self.random = random.Random(seed)
        self.app = Application(self, capabilities, self.now_us, self._photograph, self.random.getrandbits(32))
        self._silence = silence
        self._battery = battery
        self._ppm = ppm
        self._origin_us = 0xF000_0000  # its low 32 bits run over soon
        self._began = 0.0
        self._frames: deque[tuple[bytes, bool] | None] = deque()
        self._busy: deque[float] = deque()  # when each transmit slot is free again
        self._off_at = 0.0  # loop time at which all that was sent is off the antenna
        self._connection: Connection | None = None
        self._shooting: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._poke = asyncio.Event()
        self._sounding: tuple[float, bytes] | None = None
        self.app.silenced = self._cut
        self.table = self._table(encrypted)

    # Switching.

    async def start(self) -> None:
        """Switches it on: it advertises."""
        self._began = asyncio.get_running_loop().time()
        await self.device.power_on()
        kinds = core.AdvertisingData
        self.device.advertising_data = bytes(
            kinds(
                [
                    (kinds.COMPLETE_LOCAL_NAME, self.name.encode()),
                    (kinds.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, bytes(core.UUID(SERVICE_UUID))),
                ]
            )
        )
        self.device.on(Device.EVENT_CONNECTION, self._connected)
        await self.device.start_advertising(auto_restart=True, advertising_interval_min=100, advertising_interval_max=100)
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._send_photos())]

    async def stop(self) -> None:
        """Switches it off."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._shooting is not None:
            self._shooting.cancel()
        self.radio.cut(self.device)
        await asyncio.sleep(0.01)  # bumble advertises again first, and must not be interrupted in that
        await self.device.power_off()

    # What happens to it.

    def say(self, frames: Iterable[bytes], *, speech: bool = True) -> None:
        """Hears codec frames of 20 ms, after those before; silence follows them."""
        self._frames.extend((frame, speech) for frame in frames)

    def rest(self, seconds: float) -> None:
        """Is quiet for a while with the microphone asleep: nothing is sent."""
        self._frames.extend([None] * round(seconds / FRAME_S))

    def press(self, action: Action, button: int = 0) -> None:
        """Has its button pressed."""
        self.app.event(lambda seq, time: messages.Button(seq, time, button, action), EventMask.BUTTON)

    def tap(self, count: int = 1) -> None:
        """Is tapped."""
        self.app.event(lambda seq, time: messages.Tap(seq, time, count), EventMask.TAP)

    def gesture(self, gesture: Gesture, confidence: int = 90) -> None:
        """Has its wearer move the head."""
        self.app.event(lambda seq, time: messages.HeadGesture(seq, time, gesture, confidence), EventMask.GESTURE)

    def change_table(self) -> None:
        """Moves all its characteristics to other handles, as an update does, and tells nobody: old handles are invalid."""
        server = self.device.gatt_server
        encrypted = bool(self.table[CONTROL_UUID].permissions & Attribute.Permissions.WRITE_REQUIRES_ENCRYPTION)
        ours = core.UUID(SERVICE_UUID)
        at = next(
            i for i, attribute in enumerate(server.attributes) if isinstance(attribute, Service) and attribute.uuid == ours
        )
        for attribute in server.attributes[at:]:
            server.attributes_by_handle.pop(attribute.handle, None)
        first = server.attributes[at].handle
        del server.attributes[at:]
        server.services = [service for service in server.services if service.handle < first]
        server.subscribers.clear()
        server.add_service(Service("1812", []))
        server.add_service(Service("1813", []))
        self.table = self._table(encrypted)

    # The stack, as the application sees it.

    def now_us(self) -> int:
        """The device clock."""
        passed = asyncio.get_running_loop().time() - self._began
        return self._origin_us + round(passed * (1e6 + self._ppm))

    def notify(self, uuid: str, value: bytes) -> bool:
        """Sends a notification where it was subscribed to; False where no slot is free."""
        connection, handle = self._connection, self.table[uuid].handle
        if connection is None:
            return False
        now = asyncio.get_running_loop().time()
        while self._busy and self._busy[0] <= now:
            self._busy.popleft()
        if len(self._busy) >= SLOTS:
            self.counts["no_room"] += 1
            return False
        if uuid == MICROPHONE_UUID:
            if self.lose_sound():
                self.counts["dropped"] += 1
                return False
            self.audio_wait_s = max(self.audio_wait_s, self._off_at - now)
            self.counts["sound"] += 1
        server = self.device.gatt_server
        if not server.subscribers.get(connection, {}).get(handle, b"\0")[0] & 1:
            return True
        pdu = bytes(att.ATT_Handle_Value_Notification(attribute_handle=handle, attribute_value=value))[: self.mtu]
        server.send_gatt_pdu(connection, pdu)
        # The radio gets it in a later turn of the loop; 4 bytes are L2CAP's.
        air = (len(pdu) + 4) / self.radio.rate if self.radio.rate else 0.0
        self._off_at = max(now, self._off_at, now + self.radio.waiting(self.device)) + air
        self._busy.append(self._off_at)
        return True

    def photo_may(self) -> bool:
        """Whether the air is free: one chunk at a time, when nothing else waits, leaves slots and air to sound and control."""
        return asyncio.get_running_loop().time() >= self._off_at

    def close(self) -> None:
        """Ends the link, once what was sent is off, the answer to the write that asked for it included."""
        loop = asyncio.get_running_loop()
        loop.call_at(max(self._off_at, loop.time()) + self.radio.latency + FRAME_S, self.radio.cut, self.device)

    # Inside: the table.

    def _table(self, encrypted: bool) -> dict[str, Characteristic[bytes]]:
        kinds, rights = Characteristic.Properties, Attribute.Permissions
        allowed = rights.READABLE | rights.WRITEABLE
        if encrypted:
            allowed |= rights.READ_REQUIRES_ENCRYPTION | rights.WRITE_REQUIRES_ENCRYPTION

        def made(uuid: str, kind: Characteristic.Properties, take: Callable[[bytes], None]) -> Characteristic[bytes]:
            def written(_: Connection, value: bytes) -> None:
                self.written[uuid] += 1
                self._look_at_mtu()
                if self.hears:
                    take(bytes(value))
                    self._poke.set()

            return Characteristic(uuid, kind, allowed, AttributeValue(read=lambda _: self._describe(uuid), write=written))

        down = kinds.WRITE_WITHOUT_RESPONSE | kinds.NOTIFY
        characteristics = [
            made(CAPABILITIES_UUID, kinds.READ, lambda value: None),
            made(CONTROL_UUID, kinds.WRITE | kinds.NOTIFY, lambda value: self.app.request(value)),
            made(MICROPHONE_UUID, kinds.NOTIFY, lambda value: None),
            made(SPEAKER_UUID, down, self.app.sound),
            made(PHOTO_UUID, down, self.app.receipt),
            made(EVENTS_UUID, kinds.NOTIFY, lambda value: None),
        ]
        level: Characteristic[bytes] = Characteristic(
            "2A19", kinds.READ, rights.READABLE, AttributeValue(read=lambda _: bytes([self.app.body.percent]))
        )
        model: Characteristic[bytes] = Characteristic("2A24", kinds.READ, rights.READABLE, self.app.capabilities.model.encode())
        services = [Service(SERVICE_UUID, characteristics), Service("180F", [level]), Service("180A", [model])]
        self.device.add_services(services)
        uuids = CAPABILITIES_UUID, CONTROL_UUID, MICROPHONE_UUID, SPEAKER_UUID, PHOTO_UUID, EVENTS_UUID
        return dict(zip(uuids, characteristics, strict=True))

    def _describe(self, uuid: str) -> bytes:
        return encode_capabilities(self.app.capabilities) if uuid == CAPABILITIES_UUID else b""

    def _connected(self, connection: Connection) -> None:
        self._connection = connection
        self._busy.clear()
        self._off_at = 0.0
        self.mtu = MTU_MIN
        connection.on(Connection.EVENT_DISCONNECTION, self._disconnected)
        self.app.connected()

    def _disconnected(self, _: int) -> None:
        self._connection = None
        self.app.disconnected()

    def _look_at_mtu(self) -> None:
        if self._connection is not None:
            self.mtu = int(self._connection.att_mtu)

    # Inside: the hardware.

    async def _run(self) -> None:
        """The audio clock: every 20 ms a frame up and one down."""
        loop = asyncio.get_running_loop()
        due = told = loop.time()
        while True:
            due = max(due + FRAME_S, loop.time() - 1.0)
            await asyncio.sleep(max(0.0, due - loop.time()))
            if self.app.session:
                self._listen()
                self._play(loop.time())
            self.app.poll()
            if due - told >= 1.0:
                told = due
                self.app.battery(self._battery(due - self._began), self.charging)

    def _listen(self) -> None:
        if not self.app.microphone:
            return
        if self._frames and self.heard_from is None:
            self.heard_from = asyncio.get_running_loop().time() - FRAME_S
        said = self._frames.popleft() if self._frames else (self._silence, False)
        if said is not None and said[0]:
            self.app.frame(*said)

    def _play(self, now: float) -> None:
        if self._sounding is not None:
            self.played.append(Played(*self._sounding, FRAME_S))
        frame = self.app.play()
        self._sounding = (now, frame) if frame is not None else None

    def _cut(self) -> None:
        if self._sounding is not None:
            at, frame = self._sounding
            self._sounding = None
            self.played.append(Played(at, frame, min(FRAME_S, asyncio.get_running_loop().time() - at)))

    def _photograph(self, size: int, quality: int) -> None:
        self._shooting = asyncio.get_running_loop().call_later(EXPOSURE_S, self._shot, size, quality)

    def _shot(self, size: int, quality: int) -> None:
        photo = self.photo
        jpeg = photo if isinstance(photo, bytes) else photo(*self.app.capabilities.sizes[size], quality)
        self.app.shot(jpeg, self.orientation)
        self._poke.set()

    async def _send_photos(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            value = self.app.next_photo()
            if value is not None:
                if value[0] == 2 and self.lose_chunk(int.from_bytes(value[2:4], "little")):
                    self.counts["dropped"] += 1
                    continue
                self.counts["chunks"] += self.notify(PHOTO_UUID, value)
                continue
            wait = self._off_at - loop.time()
            if self.app.sending and wait > 0:
                await asyncio.sleep(wait)
                continue
            self._poke.clear()
            try:
                async with asyncio.timeout(0.05 if self.app.sending else None):
                    await self._poke.wait()
            except TimeoutError:
                pass
