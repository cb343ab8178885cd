"""What a kind of Bluetooth glasses brings to ``BleLink``, and what it finds there: the interface of all adapters.

An adapter knows one protocol over GATT. It neither scans nor connects nor counts time; all that is the link's. It is told of
one connection at a time by ``attach``, and knows nothing of a connection once it has ended.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from edge.errors import InputError, LinkError
from edge.events import Event
from edge.values import Pcm

BATTERY_SERVICE = "0000180f-0000-1000-8000-00805f9b34fb"
BATTERY = "00002a19-0000-1000-8000-00805f9b34fb"
"""Battery level, one byte, percent (Battery Service 1.1)."""
DEVICE_INFORMATION = "0000180a-0000-1000-8000-00805f9b34fb"
MODEL = "00002a24-0000-1000-8000-00805f9b34fb"
"""Model number, UTF-8 (Device Information Service 1.2)."""


class Unpaired(LinkError):
    """The glasses want a bond that they, or this computer, no longer have: trying again does not help, pairing anew may."""

    code = "unpaired"
    retryable = False
    spoken = "The glasses do not know me any more. Please pair them again."


class Unsuitable(LinkError):
    """The glasses were reached and speak something that nearsight does not: trying again does not help."""

    code = "unsuitable"
    retryable = False
    spoken = "I do not understand these glasses."


class PhotoLost(InputError):
    """A photo that was asked for did not come whole. It was dropped; it may be asked for again."""

    code = "photo_lost"
    retryable = True
    spoken = "Sorry, the picture did not come through."


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a pair of glasses has, whatever its make."""

    model: str
    """What it calls itself."""
    microphone: bool = False
    camera: bool = False
    speaker: bool = False
    button: bool = False
    battery: bool = False
    codec: str = ""
    """How its sound comes, for people."""


class Gatt(Protocol):
    """One connection. Characteristics are named by their UUID in lower case.

    Everything that waits raises LinkError when it is not answered in time, and Unpaired when the glasses want a bond and do
    not make one.
    """

    def has(self, uuid: str) -> bool:
        """Says whether the glasses have a characteristic."""

    def payload(self) -> int | None:
        """The most bytes that a notification can carry now (MTU - 3); None where this system does not tell."""

    async def read(self, uuid: str) -> bytes:
        """Gives a characteristic's value."""

    async def write(self, uuid: str, data: bytes, *, response: bool = True) -> None:
        """Writes a characteristic."""

    async def subscribe(self, uuid: str, notified: Callable[[bytes], None]) -> None:
        """Has each notification handed to ``notified``, on the loop."""

    async def unsubscribe(self, uuid: str) -> None:
        """Ends that."""

    def later(self, work: Callable[[], Awaitable[None]], *, stream: str = "") -> bool:
        """Does ``work`` after all work given before; False where too much of it waits. Its errors end the connection."""

    def forget(self, stream: str) -> int:
        """Drops the work of a stream that was not begun; gives how much."""


class Sink(Protocol):
    """Where an adapter hands on what the glasses bring."""

    def heard(self, pcm: Pcm) -> None:
        """Takes the sound that follows the sound before."""

    def quiet(self, until: float) -> None:
        """Takes that there was no sound from the sound before up to loop time ``until``: the microphone slept."""

    def gap(self) -> None:
        """Takes that sound is missing, nobody knows how much."""

    def seen(self, jpeg: bytes, quarter_turns: int, at: float) -> None:
        """Takes a whole photo of loop time ``at``, to be turned clockwise so many times by 90 degrees."""

    def failed(self, error: PhotoLost) -> None:
        """Takes that the photo asked for does not come."""

    def touched(self, name: str) -> None:
        """Takes ``tap``, ``double_tap``, ``hold`` or ``release``."""

    def powered(self, level: float, charging: bool | None = None) -> None:
        """Takes the battery's level, 0 to 1."""


class Adapter(Protocol):
    """One kind of glasses. Made with the link, used for all its connections."""

    name: ClassVar[str]
    """Of the kind, for people."""
    service: ClassVar[str]
    """UUID of the service by which it is known."""
    characteristics: ClassVar[Mapping[str, tuple[str, ...]]]
    """All that it ever touches, by the service in which it lies. A browser that stands between asks for no other."""
    names: ClassVar[tuple[str, ...]]
    """Under which such glasses advertise, for those that do not advertise their service."""
    particular: ClassVar[bool]
    """Whether its service is no one else's: others' are connected to only when they are named."""

    @property
    def play_delay_s(self) -> float:
        """Seconds from ``play`` until the sound can be heard, as far as is known now."""

    async def attach(self, gatt: Gatt, sink: Sink) -> Capabilities:
        """Begins with a new connection: reads what the glasses are and subscribes. Raises LinkError, Unsuitable, Unpaired."""

    def detach(self) -> None:
        """Ends with the connection."""

    async def ping(self) -> bool:
        """Asks the glasses for a sign of life; False where they have no way to give one. Raises LinkError.

        The answer comes behind all notifications sent before it: no sound before the answer means no sound to send.
        """

    async def rouse(self) -> None:
        """Subscribes to the sound anew: nothing has come since the connection began."""

    def tick(self, at: float) -> None:
        """Looks at what is overdue; called several times a second with the loop time."""

    def play(self, pcm: Pcm) -> None:
        """Takes the next 20 ms for the loudspeaker."""

    def flush(self) -> int:
        """Drops what was not sent and has the glasses drop what they did not play; gives the samples that nobody hears."""

    def snap(self) -> None:
        """Asks for one photo."""

    def privacy(self, on: bool) -> None:
        """Switches microphone and camera off, or on again, at the source."""

    def tell(self, event: Event) -> None:
        """Takes what the session tells, for glasses that can show it."""

    def counters(self) -> Mapping[str, int]:
        """Gives what was lost, and where."""


def known() -> tuple[Adapter, ...]:
    """Makes one adapter of each kind, the most particular first: services of one's own come before a bare serial port."""
    from phone_bridge.ble_omi import OmiAdapter
    from phone_bridge.ble_profile import ProfileAdapter
    from phone_bridge.ble_uart import UartAdapter

    return ProfileAdapter(), OmiAdapter(), UartAdapter()
