"""Omi, omiGlass and OpenGlass as they are sold and flashed (MIT; BasedHardware/omi, BasedHardware/OpenGlass).

One family of services; no loudspeaker that could answer. What is written to the glasses is one byte to the photo control and
nothing else: the UUIDs of the pendant's settings are those of the glasses' firmware update, so that a blind write could start
one. Some of these glasses take a photo every 30 s from the moment of the connection on; the first thing written ends that.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Mapping
from typing import ClassVar

from edge.errors import InputError
from edge.events import Event
from edge.values import CHUNK_SAMPLES, Pcm
from phone_bridge.ble_adapters import (
    BATTERY,
    BATTERY_SERVICE,
    DEVICE_INFORMATION,
    MODEL,
    Capabilities,
    Gatt,
    PhotoLost,
    Sink,
    Unsuitable,
)
from phone_bridge.ble_omi_packets import FrameAssembler, Lost, PhotoAssembler, Verdict
from phone_bridge.ble_sound import FrameDecoder, OpusFrames, PcmFrames

logger = logging.getLogger(__name__)


def _uuid(number: int) -> str:
    return f"19b1{number:04x}-e8f2-537e-4f6c-d104768a1214"


SERVICE = _uuid(0x0000)
AUDIO = _uuid(0x0001)
CODEC = _uuid(0x0002)
PHOTO = _uuid(0x0005)
PHOTO_CONTROL = _uuid(0x0006)
BUTTON_SERVICE = "23ba7924-0000-1000-7450-346eac492e92"
BUTTON = "23ba7925-0000-1000-7450-346eac492e92"
SINGLE_PHOTO = b"\xff"
"""-1 as int8."""
NO_PHOTOS = b"\x00"
CODECS = {
    0: "PCM16 at 16 kHz",
    1: "PCM16 at 8 kHz",
    10: "mu-law at 16 kHz",
    11: "mu-law at 8 kHz",
    20: "Opus",
    21: "Opus",
}
BUTTONS = {1: "tap", 2: "double_tap", 3: "hold", 5: "release"}
"""What the button's first number means; 4, pressed, comes before all of them."""
UNCONTINUED = 5
"""Full notifications in a row, none continued in the next, that were cut short."""
REST_S = 0.5
"""After so long without another piece a lost photo has been sent to its end."""
MAX_CONCEAL = 50
"""Missing frames that are hidden; more are left open in the media time."""


class OmiAdapter:
    """The Omi family behind the adapters' interface."""

    name: ClassVar[str] = "Omi"
    service: ClassVar[str] = SERVICE
    characteristics: ClassVar[Mapping[str, tuple[str, ...]]] = {
        SERVICE: (AUDIO, CODEC, PHOTO, PHOTO_CONTROL),
        BUTTON_SERVICE: (BUTTON,),
        BATTERY_SERVICE: (BATTERY,),
        DEVICE_INFORMATION: (MODEL,),
    }
    names: ClassVar[tuple[str, ...]] = ("Omi", "OMI Glass", "OpenGlass")
    particular: ClassVar[bool] = True
    play_delay_s: ClassVar[float] = 0.0

    def __init__(self) -> None:
        self.private = False
        self._gatt: Gatt | None = None
        self._sink: Sink | None = None
        self._frames = FrameAssembler()
        self._photo = PhotoAssembler()
        self._decoder: FrameDecoder | None = None
        self._held = False
        self._again = False
        """Whether the photo that is waited for may be asked for once more."""
        self._ask_at: float | None = None
        """When to do so, unless more of the lost one comes before: firmware that still sends it would not listen."""
        self._counts = dict.fromkeys(("frames", "lost_frames", "no_codec", "photos", "lost_photos", "truncated"), 0)
        self._verdicts = dict.fromkeys(Verdict, 0)
        self._uncontinued = 0
        """Full notifications in a row that no other continued."""

    # The connection.

    async def attach(self, gatt: Gatt, sink: Sink) -> Capabilities:
        """Switches capturing off, reads what the glasses are, subscribes."""
        camera = gatt.has(PHOTO) and gatt.has(PHOTO_CONTROL)
        if camera:
            await gatt.write(PHOTO_CONTROL, NO_PHOTOS)
        model = (await gatt.read(MODEL)).decode("utf-8", "replace").strip("\0 ") if gatt.has(MODEL) else ""
        codec = await self._codec(gatt) if gatt.has(AUDIO) else None
        self._gatt, self._sink = gatt, sink
        self._frames = FrameAssembler(full=gatt.payload(), verdicts=self._verdicts)
        self._photo.full = gatt.payload()
        self._uncontinued = 0
        if gatt.has(BATTERY):
            await gatt.subscribe(BATTERY, self._battery)
            self._battery(await gatt.read(BATTERY))
        if gatt.has(BUTTON):
            await gatt.subscribe(BUTTON, self._button)
        if camera:
            await gatt.subscribe(PHOTO, self._picture)
        if codec is not None and not self.private:
            await gatt.subscribe(AUDIO, self._sound)
        return Capabilities(
            model=model or self.name,
            microphone=codec is not None,
            camera=camera,
            button=gatt.has(BUTTON),
            battery=gatt.has(BATTERY),
            codec=CODECS[codec] if codec is not None else "",
        )

    def detach(self) -> None:
        """Forgets the connection, and the photo that was on its way."""
        self._gatt = self._sink = None
        self._forget_photo()
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            decoder.close()

    async def ping(self) -> bool:
        """Reads the battery, or the codec."""
        gatt = self._gatt
        uuid = BATTERY if gatt is not None and gatt.has(BATTERY) else CODEC
        if gatt is None or not gatt.has(uuid):
            return False
        await gatt.read(uuid)
        self._decode(self._frames.finish())
        return True

    async def rouse(self) -> None:
        """Writes the subscription to the sound again: it can be dead after a reconnection."""
        gatt = self._gatt
        if gatt is not None and gatt.has(AUDIO) and not self.private:
            await gatt.unsubscribe(AUDIO)
            await gatt.subscribe(AUDIO, self._sound)

    def tick(self, at: float) -> None:
        """Gives up a photo that does not come on; asks again for one that was lost."""
        if self._ask_at is not None and at >= self._ask_at:
            self._ask()
        try:
            self._photo.check(at)
        except PhotoLost as error:
            self._lost_photo(error)

    # What the session asks.

    def play(self, pcm: Pcm) -> None:
        """Nothing: they have no loudspeaker, but for an old development kit that plays only what was uploaded whole."""

    def flush(self) -> int:
        """Nothing was taken."""
        return 0

    def snap(self) -> None:
        """Asks for one photo, unless one is on its way."""
        if self._gatt is not None and self._gatt.has(PHOTO_CONTROL) and not self._waits and not self.private:
            self._again = True
            self._ask()

    def privacy(self, on: bool) -> None:
        """Ends the subscription to the sound, which lets the microphone sleep, and all capturing."""
        if on == self.private:
            return
        self.private = on
        self._forget_photo()
        gatt = self._gatt
        if gatt is None:
            return
        if gatt.has(PHOTO_CONTROL):
            gatt.later(lambda: gatt.write(PHOTO_CONTROL, NO_PHOTOS))
        if gatt.has(AUDIO):
            gatt.later(lambda: gatt.unsubscribe(AUDIO) if on else gatt.subscribe(AUDIO, self._sound))

    def tell(self, event: Event) -> None:
        """Nothing: they show nothing."""

    def counters(self) -> Mapping[str, int]:
        """Gives what came, what was lost, and what each packet was in the run of packets."""
        packets = {f"packets_{verdict.value}": count for verdict, count in self._verdicts.items()}
        return {**self._counts, **packets, "unasked_chunks": self._photo.unasked}

    # What the glasses bring.

    async def _codec(self, gatt: Gatt) -> int:
        value = await gatt.read(CODEC) if gatt.has(CODEC) else b""
        codec = value[0] if value else 1  # firmware without the characteristic is older than all but this codec
        if codec not in CODECS:
            raise Unsuitable(f"these glasses send sound as codec {codec}, which is none of {', '.join(map(str, CODECS))}")
        if codec < 20:
            self._decoder = PcmFrames(8000 if codec in (1, 11) else 16_000, mulaw=codec >= 10)
        else:
            self._decoder = OpusFrames(CHUNK_SAMPLES if codec == 21 else CHUNK_SAMPLES // 2)
        return codec

    def _sound(self, packet: bytes) -> None:
        if self.private or self._sink is None:
            return
        full = self._frames.full
        if full is not None and len(packet) >= 3:
            # A stack cuts what is longer than MTU - 3: then every notification is full, and none is continued. Opus frames,
            # whose lengths vary, do not fit so well by chance.
            self._uncontinued = 0 if packet[2] or len(packet) < full else self._uncontinued + 1
            if self._uncontinued >= UNCONTINUED and isinstance(self._decoder, OpusFrames):
                self._truncated()
                return
        self._decode(self._frames.put(packet))

    def _truncated(self) -> None:
        if not self._counts["truncated"]:
            logger.warning("%s: sound is cut short: the connection's MTU is too small for these glasses", self.name)
        self._counts["truncated"] += 1
        self._decode([Lost(1)])

    def _decode(self, items: list[bytes | Lost]) -> None:
        sink, decoder = self._sink, self._decoder
        if sink is None or decoder is None:
            return
        for item in items:
            if isinstance(item, Lost):
                self._counts["lost_frames"] += item.frames
                if 0 < item.frames <= MAX_CONCEAL:
                    sink.heard(decoder.conceal(item.frames))
                else:
                    sink.gap()
                continue
            self._counts["frames"] += 1
            try:
                sink.heard(decoder.decode(item))
            except InputError:
                self._counts["no_codec"] += 1
                sink.heard(decoder.conceal(1))

    def _picture(self, packet: bytes) -> None:
        if self._sink is None:
            return
        now = asyncio.get_running_loop().time()
        if self._ask_at is not None:
            self._ask_at = now if packet == b"\xff\xff" else now + REST_S
            return
        try:
            photo = self._photo.put(packet, now)
        except PhotoLost as error:
            self._lost_photo(error)
            return
        if photo is not None and not self.private:
            self._counts["photos"] += 1
            self._sink.seen(photo.jpeg, photo.quarter_turns, photo.at)

    @property
    def _waits(self) -> bool:
        return self._photo.busy or self._ask_at is not None

    def _forget_photo(self) -> None:
        self._photo.forget()
        self._ask_at = None

    def _lost_photo(self, error: PhotoLost) -> None:
        self._forget_photo()
        self._counts["lost_photos"] += 1
        if self._again and not self.private:
            self._again = False
            self._ask_at = asyncio.get_running_loop().time() + REST_S
        elif self._sink is not None:
            self._sink.failed(error)

    def _ask(self) -> None:
        self._ask_at = None
        gatt = self._gatt
        if gatt is not None and gatt.later(lambda: gatt.write(PHOTO_CONTROL, SINGLE_PHOTO)):
            self._photo.want(asyncio.get_running_loop().time())

    def _battery(self, value: bytes) -> None:
        if value and value[0] <= 100 and self._sink is not None:
            self._sink.powered(value[0] / 100)

    def _button(self, value: bytes) -> None:
        if len(value) != 8 or self._sink is None:
            return
        name = BUTTONS.get(struct.unpack("<ii", value)[0])
        if name == "release" and not self._held:
            return  # of a tap, which was told already
        self._held = name == "hold"
        if name is not None:
            self._sink.touched(name)
