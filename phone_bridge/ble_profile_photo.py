"""Photos from glasses of our own profile: one at a time, whole or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from phone_bridge.ble_adapters import Gatt, PhotoLost, Sink
from phone_bridge.ble_profile_requests import Requests, status_name
from phone_bridge.wire import control
from phone_bridge.wire.capabilities import Capabilities
from phone_bridge.wire.codec import decode_photo, encode
from phone_bridge.wire.layout import Malformed
from phone_bridge.wire.messages import ReceiptMessage
from phone_bridge.wire.photo import PhotoReceiver, PhotoState, refused
from phone_bridge.wire.profile import PHOTO_UUID, Status

LONGEST = 1_000_000
"""Bytes of a photo that are accepted: 25 s at 40 kB/s."""
WIDEST = 1280
"""Pixels: what a recogniser or a model for pictures can use."""
QUALITIES = ((75, 1.0), (50, 0.65))
"""JPEG qualities that are asked for, and the bytes of each relative to the first."""
TARGET_S = 1.8
"""What a photo may take: from the wake word to the end of a short question, less the time to read text in it."""
RATE = 30_000.0
"""Bytes a second, until a photo has shown: half of what phones reach."""
DENSITY = 0.1
"""Bytes a pixel of a JPEG of quality 75, until a photo has shown."""
_ENDED = (PhotoState.WHOLE, PhotoState.FAILED)


class PhotoPace:
    """What photos of a pair of glasses take, and hence the largest to ask for."""

    def __init__(self) -> None:
        self.rate = RATE
        self.density = DENSITY

    def choose(self, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """Gives the place of a size, and a quality: the most pixels that come in time, else the fewest bytes there are."""
        offers = [
            (width * height, share, place, quality)
            for place, (width, height) in enumerate(sizes)
            for quality, share in QUALITIES
            if width <= WIDEST or len(sizes) == 1
        ]
        fitting = [offer for offer in offers if offer[0] * offer[1] * self.density <= self.rate * TARGET_S]
        if not offers:
            return 0, QUALITIES[0][0]
        _, _, place, quality = max(fitting) if fitting else min(offers)
        return place, quality

    def took(self, size: int, seconds: float, pixels: int, quality: int) -> None:
        """Takes that a photo of ``size`` bytes came in ``seconds``."""
        share = dict(QUALITIES)[quality]
        self.rate += (size / max(seconds, 0.01) - self.rate) / 2
        self.density += (size / pixels / share - self.density) / 2


class PhotoTaker:
    """The photos of one connection."""

    def __init__(
        self,
        gatt: Gatt,
        requests: Requests,
        sink: Sink,
        descriptor: Capabilities,
        loop_time: Callable[[int], float | None],
        counts: dict[str, int],
        pace: PhotoPace,
    ) -> None:
        """``counts`` is where it counts, ``pace`` what it knows of the link: both from connection to connection."""
        self.descriptor = descriptor
        self._gatt = gatt
        self._requests = requests
        self._sink = sink
        self._loop_time = loop_time
        self._counts = counts
        for name in ("photos", "lost_photos", "declined_photos", "repeated_chunks", "malformed_chunks"):
            counts.setdefault(name, 0)
        self._pace = pace
        self._choice = 0, QUALITIES[0][0]
        self._asked_at = 0.0
        self._asked = False
        self._unwanted = False
        self._receiver: PhotoReceiver | None = None

    @property
    def busy(self) -> bool:
        """Whether a photo was asked for and has not ended."""
        return self._asked or (self._receiver is not None and self._receiver.state not in _ENDED)

    def take(self) -> None:
        """Asks for one, unless one is on its way."""
        if self.busy:
            return
        self._choice = size, quality = self._pace.choose(self.descriptor.sizes)
        self._unwanted = False
        self._asked_at = asyncio.get_running_loop().time()
        self._asked = self._requests.send(lambda number: control.TakePhoto(number, size, quality), self._answered)
        if not self._asked:
            self._lost("the connection is too slow")

    def notified(self, value: bytes) -> None:
        """Takes what the photo characteristic notified."""
        try:
            message = decode_photo(value)
        except Malformed:
            self._counts["malformed_chunks"] += 1
            return
        receiver = self._receiver
        if receiver is None:
            self._write(refused(message))
        else:
            ended = receiver.state in _ENDED
            self._write(receiver.take(message, _now_ms()))
            if not ended:
                self._look(receiver)

    def tick(self) -> None:
        """Gives up a photo that does not come on."""
        receiver = self._receiver
        if receiver is not None and receiver.state not in _ENDED:
            self._write(receiver.poll(_now_ms()))
            self._look(receiver)

    def cancel(self) -> None:
        """Gives up the photo that is on its way; nobody is told."""
        self._unwanted = self._asked
        if self._receiver is not None:
            self._write(self._receiver.cancel())

    def close(self) -> None:
        """Ends with the connection."""
        if self.busy:
            self._asked, self._receiver = False, None
            self._lost("the connection was lost")

    def _answered(self, reply: control.ReplyMessage | None) -> None:
        if not self._asked:
            return
        self._asked = False
        if isinstance(reply, control.TakePhotoReply):
            longest = min(LONGEST, self.descriptor.photo_max or LONGEST)
            self._receiver = PhotoReceiver(reply.object, _now_ms(), longest)
            if self._unwanted:
                self.cancel()
        elif isinstance(reply, control.Refused):
            self._counts["declined_photos"] += 1
            self._lost(status_name(reply.status))
        else:
            self._lost("the glasses do not answer")

    def _look(self, receiver: PhotoReceiver) -> None:
        if receiver.state not in _ENDED:
            return
        self._counts["repeated_chunks"] += receiver.repeated
        photo = receiver.photo
        if photo is None:
            self._lost(status_name(receiver.failure or Status.FAILED))
            return
        self._counts["photos"] += 1
        at = self._loop_time(photo.taken)
        now = asyncio.get_running_loop().time()
        width, height = self.descriptor.sizes[self._choice[0]]
        self._pace.took(len(photo.data), now - self._asked_at, width * height, self._choice[1])
        self._sink.seen(photo.data, photo.orientation, min(at, now) if at is not None else now)

    def _lost(self, why: str) -> None:
        self._counts["lost_photos"] += 1
        self._sink.failed(PhotoLost(f"no photo: {why}"))

    def _write(self, receipts: tuple[ReceiptMessage, ...]) -> None:
        for receipt in receipts:
            value = encode(receipt)
            self._gatt.later(lambda value=value: self._gatt.write(PHOTO_UUID, value, response=False))  # type: ignore[misc]


def _now_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1000)
