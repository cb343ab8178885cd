"""Glasses and a radio between them and this process, ready for ``BleLink``: what ``ble:sim`` is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import BaseBleakScanner
from bumble.device import Device

from firmware_stubs.sim.backend import backends
from firmware_stubs.sim.glasses import SimGlasses
from firmware_stubs.sim.lens import camera
from firmware_stubs.sim.omi import OMI_GLASS, Model, SimOmi
from firmware_stubs.sim.radio import Radio
from firmware_stubs.sim.voice import Pcm, opus_frames

CENTRAL = "F0:F0:F0:F0:F0:F0"


@dataclass(frozen=True, slots=True)
class Pair:
    """A simulated pair of glasses, and the backends by which bleak reaches it."""

    radio: Radio
    glasses: SimOmi | SimGlasses
    central: Device
    client: type[BaseBleakClient]
    scanner: type[BaseBleakScanner]


async def omi_pair(
    model: Model = OMI_GLASS,
    *,
    sound: Pcm | None = None,
    photo: bytes = b"",
    rate: float = 20_000.0,
    latency: float = 0.01,
    mtu: int = 247,
) -> Pair:
    """Switches a simulated pair of the Omi family on, of a model that speaks Opus.

    ``sound`` is what it hears once somebody listens, 16 kHz mono; silence comes after it. ``photo`` is the JPEG that it sees.
    ``rate`` is in bytes a second, ``latency`` in seconds. ``await pair.glasses.stop()`` switches it off.
    """
    radio = Radio(rate=rate, latency=latency)
    quiet = opus_frames(np.zeros(1600, np.int16))[-1]
    glasses = SimOmi(radio, model, mtu=mtu, silence=quiet)
    glasses.photo = photo
    if sound is not None:
        glasses.say(opus_frames(sound))
    await glasses.start()
    central = radio.device("nearsight", CENTRAL)
    return Pair(radio, glasses, central, *backends(central))


async def profile_pair(
    *,
    sound: Pcm | None = None,
    photo: bytes = b"",
    rate: float = 40_000.0,
    latency: float = 0.01,
    mtu: int = 247,
) -> Pair:
    """Switches a simulated pair with the nearsight profile on: microphone, camera, loudspeaker. Arguments as above."""
    radio = Radio(rate=rate, latency=latency)
    glasses = SimGlasses(radio, mtu=mtu, silence=opus_frames(np.zeros(1600, np.int16))[-1])
    glasses.photo = camera(photo) if photo else b""
    if sound is not None:
        glasses.say(opus_frames(sound))
    await glasses.start()
    central = radio.device("nearsight", CENTRAL)
    return Pair(radio, glasses, central, *backends(central))


class Simulated:
    """Backends of a pair that switches itself on when it is first looked for: made anywhere, used on one loop.

    ``make`` makes the pair::

        simulated = Simulated(lambda: profile_pair(sound=question, photo=sign))
        link = BleLink("ble:sim", client=simulated.client, scanner=simulated.scanner, settle=0.0)
    """

    def __init__(self, make: Callable[[], Awaitable[Pair]] = profile_pair) -> None:
        self.pair: Pair | None = None
        """None until something looked for it."""
        self._make = make
        self.client, self.scanner = backends(self._central)

    async def stop(self) -> None:
        """Switches it off, if it is on."""
        pair, self.pair = self.pair, None
        if pair is not None:
            await pair.glasses.stop()

    async def _central(self) -> Device:
        if self.pair is None:
            self.pair = await self._make()
        return self.pair.central
