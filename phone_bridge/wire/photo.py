"""Photos, both ends: cut into chunks, acknowledged by a bitmap, what is missing sent again, whole or nothing.

Neither end reads a clock: the caller hands in milliseconds of any monotonic clock and calls ``poll`` or ``next`` when a timer
is due.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import Enum

from phone_bridge.wire.codec import capacity
from phone_bridge.wire.layout import Malformed
from phone_bridge.wire.messages import (
    PhotoAbort,
    PhotoAck,
    PhotoCheck,
    PhotoChunk,
    PhotoDone,
    PhotoHead,
    PhotoMessage,
    ReceiptMessage,
)
from phone_bridge.wire.profile import (
    CAPTURE_MS,
    CHECK_MS,
    CHUNK_SENT,
    PHOTO_BATCH,
    PHOTO_IDLE_MS,
    PHOTO_MAX,
    PHOTO_WINDOW,
    Status,
)

_MASK = 0xFFFFFFFF  # milliseconds may wrap, as they do in the glasses
CHUNK_HEAD = 4
"""Bytes before the data of a chunk: type, object, index."""


class PhotoState(Enum):
    """Where a photo is."""

    WAITING = "waiting"
    """The receiver waits for the head; the sender for the head's acknowledgement."""
    MOVING = "moving"
    WHOLE = "whole"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo that has arrived whole, its CRC found right."""

    data: bytes
    """JPEG, or what claims to be."""
    orientation: int
    """Quarter turns clockwise that make it upright."""
    taken: int
    """Middle of the exposure, device clock in us, modulo 2**32."""


def refused(message: PhotoMessage) -> tuple[ReceiptMessage, ...]:
    """Gives the answer to a message about a photo that nobody waits for."""
    return (PhotoDone(message.object, Status.CANCELLED),) if isinstance(message, PhotoHead | PhotoCheck) else ()


class PhotoReceiver:
    """The host's end of one photo, promised by the glasses in ``TakePhotoReply.object``.

    ``take`` and ``poll`` give the receipts to write, at once and in order; then ``state`` says whether ``photo`` or ``failure``
    is there.
    """

    def __init__(self, number: int, now_ms: int, longest: int = PHOTO_MAX) -> None:
        self.state = PhotoState.WAITING
        self.photo: Photo | None = None
        self.failure: int | None = None
        """A ``Status``, or a number of a later version."""
        self.repeated = 0
        """Chunks that came more than once."""
        self._longest = longest
        self._object = number
        self._head: PhotoHead | None = None
        self._data = bytearray()
        self._base = 0
        self._bits = 0  # bit n: chunk base + n has arrived
        self._unacknowledged = 0
        self._moved = now_ms

    @property
    def arrived(self) -> int:
        """Chunks that are here."""
        return self._base + self._bits.bit_count()

    def take(self, message: PhotoMessage, now_ms: int) -> tuple[ReceiptMessage, ...]:
        """Takes what the glasses sent."""
        if message.object != self._object:
            return refused(message)
        if self.state in (PhotoState.WHOLE, PhotoState.FAILED):
            return (self._done(),) if isinstance(message, PhotoHead | PhotoCheck) else ()
        match message:
            case PhotoHead():
                return self._begin(message, now_ms)
            case PhotoChunk():
                return self._store(message, now_ms)
            case PhotoCheck():
                return (self._ack(),) if self._head else ()
            case PhotoAbort(status=status):
                self._end(status)
                return ()

    def poll(self, now_ms: int) -> tuple[ReceiptMessage, ...]:
        """Gives the photo up where the glasses have been silent for too long. Called every 100 ms or so."""
        patience = {PhotoState.WAITING: CAPTURE_MS, PhotoState.MOVING: PHOTO_IDLE_MS}.get(self.state)
        if patience is None or (now_ms - self._moved) & _MASK < patience:
            return ()
        return self._end(Status.TIMEOUT)

    def cancel(self, status: Status = Status.CANCELLED) -> tuple[ReceiptMessage, ...]:
        """Gives the photo up; also after the link was lost, when nothing can be written any more."""
        return self._end(status) if self.state in (PhotoState.WAITING, PhotoState.MOVING) else ()

    def _begin(self, head: PhotoHead, now_ms: int) -> tuple[ReceiptMessage, ...]:
        if self._head is None:
            if head.total > self._longest:
                return self._end(Status.BAD_ARGUMENT)
            self._head, self._data = head, bytearray(head.total)
            self.state, self._moved = PhotoState.MOVING, now_ms
        elif self._head != head:
            return self._end(Status.BAD_ARGUMENT)
        return (self._ack(),)

    def _store(self, chunk: PhotoChunk, now_ms: int) -> tuple[ReceiptMessage, ...]:
        head = self._head
        if head is None:
            return ()  # sent before its head was acknowledged: it comes again
        at = chunk.index * head.chunk
        if at >= head.total or len(chunk.data) != min(head.chunk, head.total - at):
            return self._end(Status.BAD_ARGUMENT)
        place = chunk.index - self._base
        if place >= PHOTO_WINDOW:
            return self._end(Status.BAD_ARGUMENT)
        if place < 0 or self._bits >> place & 1:
            self.repeated += 1
            return ()
        self._data[at : at + len(chunk.data)] = chunk.data
        self._bits |= 1 << place
        run = (~self._bits & (self._bits + 1)).bit_length() - 1  # ones at the low end
        self._bits >>= run
        self._base += run
        self._moved = now_ms
        self._unacknowledged += 1
        if self._base * head.chunk >= head.total:
            return self._end(Status.OK if zlib.crc32(self._data) == head.crc else Status.BAD_CRC)
        return (self._ack(),) if self._unacknowledged >= PHOTO_BATCH else ()

    def _ack(self) -> PhotoAck:
        self._unacknowledged = 0
        return PhotoAck(self._object, self._base, self._bits.to_bytes(PHOTO_WINDOW // 8, "little"))

    def _done(self) -> PhotoDone:
        return PhotoDone(self._object, Status.OK if self.failure is None else self.failure)

    def _end(self, status: int) -> tuple[ReceiptMessage, ...]:
        if status == Status.OK and self._head:
            self.state, self.photo = PhotoState.WHOLE, Photo(bytes(self._data), self._head.orientation, self._head.taken)
        else:
            self.state, self.failure = PhotoState.FAILED, status
        self._data = bytearray()
        return (self._done(),)


class PhotoSender:
    """The glasses' end of one photo.

    ``next`` gives the message to send now. It is to be called only when the stack has room for it. The link keeps the order,
    so a chunk that has not arrived, although one that was sent after it has, is lost.
    """

    def __init__(self, head: PhotoHead, data: bytes, now_ms: int) -> None:
        if len(data) != head.total or zlib.crc32(data) != head.crc:
            raise Malformed("the head is another photo's")
        self.state = PhotoState.WAITING
        self.failure: int | None = None
        self.resent = 0
        """Chunks sent more than once."""
        self.head = head
        self._data = data
        self._count = -(-head.total // head.chunk)
        self._base = 0
        self._next = 0
        self._order = 0  # counts what is sent
        self._sent: dict[int, int] = {}  # chunk in flight: its order
        self._arrived: dict[int, int] = {}  # chunk above the base that has arrived: its order
        self._checked: int | None = None
        self._moved = now_ms
        self._spoke: int | None = None  # when something was last sent or heard

    @classmethod
    def of(cls, number: int, data: bytes, *, mtu: int, orientation: int, taken: int, now_ms: int) -> PhotoSender:
        """Makes the sender of a JPEG. Raises Malformed where it is empty or longer than the profile allows."""
        if not 0 < len(data) <= PHOTO_MAX:
            raise Malformed(f"a photo of {len(data)} bytes")
        chunk = min(capacity(mtu) - CHUNK_HEAD, CHUNK_SENT)
        head = PhotoHead(number, 1, orientation, chunk, len(data), zlib.crc32(data), taken & 0xFFFFFFFF)
        return cls(head, data, now_ms)

    def next(self, now_ms: int) -> PhotoMessage | None:
        """Gives the message to send now, or None where there is nothing to send yet, or nothing more."""
        if self.state not in (PhotoState.WAITING, PhotoState.MOVING):
            return None
        if (now_ms - self._moved) & _MASK >= PHOTO_IDLE_MS:
            return self.abort(Status.TIMEOUT)
        quiet = self._spoke is None or (now_ms - self._spoke) & _MASK >= CHECK_MS
        if self.state is PhotoState.WAITING:
            if not quiet:
                return None
            self._spoke = now_ms
            return self.head
        index = self._due()
        if index is not None:
            self._spoke = now_ms
            return self._chunk(index)
        if not quiet:
            return None
        self._spoke, self._checked = now_ms, self._order
        return PhotoCheck(self.head.object)

    def take(self, message: ReceiptMessage, now_ms: int) -> None:
        """Takes what the host wrote. What is of another photo, or impossible, is passed over."""
        if message.object != self.head.object or self.state not in (PhotoState.WAITING, PhotoState.MOVING):
            return
        if isinstance(message, PhotoDone):
            self.state = PhotoState.WHOLE if message.status == Status.OK else PhotoState.FAILED
            self.failure = message.status or None
            return
        bits = int.from_bytes(message.bitmap, "little")
        if not self._base <= message.base <= self._next or message.base + bits.bit_length() > self._next:
            return
        if self.state is PhotoState.WAITING:
            self.state, self._moved = PhotoState.MOVING, now_ms
        self._spoke = now_ms
        self._acknowledge(message.base, bits, now_ms)

    def abort(self, status: Status) -> PhotoAbort:
        """Gives the photo up."""
        self.state, self.failure = PhotoState.FAILED, status
        return PhotoAbort(self.head.object, status)

    def _acknowledge(self, base: int, bits: int, now_ms: int) -> None:
        newest = -1 if self._checked is None else self._checked
        self._checked = None
        for index in range(self._base, min(base + PHOTO_WINDOW, self._next)):
            if index < base or bits >> (index - base) & 1:
                if index in self._sent:
                    self._arrived[index] = self._sent.pop(index)
                    self._moved = now_ms
                newest = max(newest, self._arrived.get(index, -1))
                if index < base:
                    self._arrived.pop(index, None)
        self._base = base
        for index in [index for index, order in self._sent.items() if order < newest]:
            del self._sent[index]  # neither in flight nor arrived: due

    def _due(self) -> int | None:
        for index in range(self._base, self._next):
            if index not in self._sent and index not in self._arrived:
                self.resent += 1
                return index
        if self._next < min(self._count, self._base + PHOTO_WINDOW):
            self._next += 1
            return self._next - 1
        return None

    def _chunk(self, index: int) -> PhotoChunk:
        self._sent[index] = self._order
        self._order += 1
        at = index * self.head.chunk
        return PhotoChunk(self.head.object, index, self._data[at : at + self.head.chunk])
