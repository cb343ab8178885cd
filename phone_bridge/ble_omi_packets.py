"""Omi's notifications (MIT; BasedHardware/omi, firmware of Omi, omiGlass and OpenGlass), taken apart. Pure.

Sound: packet id (u16 LE), fragment index (u8), then codec bytes; index 0 begins a codec frame. Firmware counts the id with each
notification, the documents with each frame: both are taken. Nothing marks a frame's end: it is over when the next begins, or
earlier where a fragment is shorter than the connection would allow, since firmware fills all but the last.

Photo: chunk index (u16 LE), then at most 200 bytes of JPEG; the two bytes FF FF alone end it. It has no length and no checksum,
so that a photo counts as whole only if no index is missing, all chunks but the last are full, and it ends as a JPEG does.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import Enum

from phone_bridge.ble_adapters import PhotoLost

MAX_FRAME = 4096
"""Bytes of one codec frame: ten times the largest that is sent."""
MAX_AHEAD = 3000
MAX_BEHIND = 64
"""Ids ahead and behind that still belong to the same count; RFC 3550's limits, in this protocol's far smaller field."""
RESTART_RUN = 3
"""Old ids in a row, in order, that mean a device which counts anew rather than one which repeats itself."""
CHUNK = 200
"""Bytes of JPEG in each chunk but the last; the orientation of omiGlass is one of them."""
MAX_PHOTO = 1_000_000
FIRST_CHUNK_S = 5.0
"""From asking until the first chunk: the camera wakes and exposes."""
NEXT_CHUNK_S = 1.5
"""From one chunk to the next, so that a loss is told within 2 s."""
_HEADER = struct.Struct("<HB")


class Verdict(Enum):
    """What a packet is in the run of packets."""

    FIRST = "first"
    CONTIGUOUS = "contiguous"
    GAP = "gap"
    DUPLICATE = "duplicate"
    """Seen before, or too late."""
    RESET = "reset"
    """The device counts anew."""
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Lost:
    """Frames that are missing here; ``frames`` is 0 where nobody knows how many."""

    frames: int


@dataclass(slots=True)
class FrameAssembler:
    """Puts the codec frames of one connection together. It never joins parts of two frames."""

    full: int | None = None
    """Bytes of a notification that may go on in the next; None where the MTU is not known: frames then wait for the next."""
    verdicts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    _id: int | None = None
    _index: int = 0
    _parts: list[bytes] | None = None
    """Of the frame that is being put together; None between frames and while one is passed over."""
    _closed: bool = False
    """Whether the newest frame was given out because it looked complete."""
    _shared: bool = False
    """Whether the fragments of a frame have one id, as in the documents."""
    _usual: int = 1
    """Fragments in the newest whole frame."""
    _old: tuple[int, int] = (0, 0)
    """The newest old id, and how many in a row led to it."""

    def put(self, packet: bytes) -> list[bytes | Lost]:
        """Takes the next notification; gives whole frames and what is missing, in order."""
        if len(packet) <= _HEADER.size:
            self.verdicts[Verdict.MALFORMED] += 1
            return []
        number, index = _HEADER.unpack_from(packet)
        missing = self._missing(number, index)
        verdict = self._verdict(number, index, missing)
        self.verdicts[verdict] += 1
        if verdict is Verdict.DUPLICATE:
            return []
        out: list[bytes | Lost] = []
        if verdict in (Verdict.FIRST, Verdict.RESET):
            self._parts, self._closed = None, False
            if verdict is Verdict.RESET:
                out.append(Lost(0))
        elif verdict in (Verdict.GAP, Verdict.MALFORMED):
            out.append(Lost(self._spoilt(missing, index)))
        self._id, self._index = number, index
        self._add(index, packet, out)
        return out

    def finish(self) -> list[bytes | Lost]:
        """Gives the frame that waits for the next one to begin: it is known that nothing more was sent."""
        out: list[bytes | Lost] = []
        self._close(out)
        return out

    def _missing(self, number: int, index: int) -> int:
        """Ids between the newest one and this one, -1 for the same, -2 and below for older ones."""
        if self._id is None:
            return 0
        ahead = (number - self._id) & 0xFFFF
        return (ahead if ahead < 0x8000 else ahead - 0x10000) - 1

    def _verdict(self, number: int, index: int, missing: int) -> Verdict:
        if self._id is None:
            return Verdict.FIRST
        if missing == -1:
            return self._same(index)
        if missing < -1:
            return self._older(number, missing)
        self._old = (0, 0)
        if missing >= MAX_AHEAD:
            return Verdict.RESET
        if missing:
            return Verdict.GAP
        if index and (self._shared or index != self._index + 1):
            return Verdict.MALFORMED  # the beginning of its frame is missing although no id is
        return Verdict.CONTIGUOUS

    def _same(self, index: int) -> Verdict:
        if index <= self._index:
            return Verdict.DUPLICATE
        if index != self._index + 1:
            return Verdict.GAP
        self._shared = True
        return Verdict.CONTIGUOUS

    def _older(self, number: int, missing: int) -> Verdict:
        newest, run = self._old
        self._old = number, (run + 1 if run and (number - newest) & 0xFFFF == 1 else 1)
        if missing < -MAX_BEHIND - 1 or self._old[1] >= RESTART_RUN:
            self._old = (0, 0)
            return Verdict.RESET
        return Verdict.DUPLICATE

    def _spoilt(self, missing: int, index: int) -> int:
        """Drops the frame that was begun; gives how many frames are lost with it."""
        begun = len(self._parts) if self._parts is not None else 0
        self._parts, self._closed = None, False
        if self._shared:
            return max(0, missing) + bool(begun) + bool(index and missing >= 0)
        return max(1, -(-(missing + begun) // self._usual))

    def _add(self, index: int, packet: bytes, out: list[bytes | Lost]) -> None:
        if index == 0:
            self._close(out)
            self._parts, self._closed = [], False
        elif self._closed:
            # What looked like the last fragment was not: this device does not fill its notifications.
            self.full = None
            self._closed = False
            self.verdicts[Verdict.MALFORMED] += 1
        if self._parts is None:
            return
        self._parts.append(packet[_HEADER.size :])
        if sum(map(len, self._parts)) > MAX_FRAME:
            self._parts = None
            self.verdicts[Verdict.MALFORMED] += 1
            out.append(Lost(1))
        elif self.full is not None and len(packet) < self.full:
            self._close(out)

    def _close(self, out: list[bytes | Lost]) -> None:
        if self._parts:
            self._usual = len(self._parts)
            out.append(b"".join(self._parts))
            self._closed = True
        self._parts = None


@dataclass(frozen=True, slots=True)
class Photo:
    """A whole JPEG, and the quarter turns clockwise that set it upright."""

    jpeg: bytes
    quarter_turns: int
    at: float
    """Loop time of its first chunk: it was exposed just before."""


class PhotoAssembler:
    """Puts one photo together: whole, or not at all. No clock of its own: times are loop times."""

    def __init__(self) -> None:
        self.full: int | None = None
        """The most bytes of a notification; None where the MTU is not known."""
        self.unasked = 0
        """Chunks that nobody asked for."""
        self._deadline: float | None = None
        self._began = 0.0
        self._chunks: list[bytes] = []
        self._size = 0

    @property
    def busy(self) -> bool:
        """Whether a photo is waited for."""
        return self._deadline is not None

    def want(self, at: float) -> None:
        """Begins to wait for a photo."""
        self.forget()
        self._deadline = at + FIRST_CHUNK_S

    def forget(self) -> None:
        """Waits for none, and frees what came."""
        self._deadline = None
        self._chunks = []
        self._size = 0

    def check(self, at: float) -> None:
        """Raises PhotoLost where the next chunk is overdue."""
        if self._deadline is not None and at >= self._deadline:
            raise self._give_up("its next piece did not come" if self._chunks else "no piece of it came")

    def put(self, packet: bytes, at: float) -> Photo | None:
        """Takes the next notification; gives the photo with its end. Raises PhotoLost."""
        if not self.busy:
            self.unasked += 1
            return None
        if len(packet) == 2 and packet == b"\xff\xff":
            return self._end()
        index = int.from_bytes(packet[:2], "little")
        if len(packet) <= 2 or len(packet) > CHUNK + 2:
            raise self._give_up(f"a piece of {len(packet)} bytes")
        if index != len(self._chunks):
            if not self._chunks:
                return None  # the rest of a photo before this one
            raise self._give_up(f"piece {len(self._chunks)} is missing")
        if self._chunks:
            self._check_full(self._chunks[-1])
        else:
            self._began = at
        self._chunks.append(packet[2:])
        self._size += len(packet)
        if self._size > MAX_PHOTO:
            raise self._give_up(f"more than {MAX_PHOTO} bytes")
        self._deadline = at + NEXT_CHUNK_S
        return None

    def _check_full(self, chunk: bytes) -> None:
        """Raises PhotoLost for a chunk before the last one that was cut on the way.

        A notification over MTU - 3 bytes is cut silently. Other firmware may choose smaller chunks, which is seen where the
        MTU is known and would have let more through.
        """
        chosen = self.full is not None and len(chunk) + 2 < self.full and len(chunk) == len(self._chunks[0])
        if len(chunk) != CHUNK and not chosen:
            raise self._give_up("its pieces are cut short; the connection's MTU may be too small for these glasses")

    def _end(self) -> Photo | None:
        if not self._chunks:
            return None  # of a photo before this one
        first = self._chunks[0]
        data = b"".join(self._chunks)
        # omiGlass puts its orientation before the JPEG, OpenGlass does not: only the JPEG's own beginning tells.
        if first[:2] == b"\xff\xd8":
            photo = Photo(data, 0, self._began)
        elif first[1:3] == b"\xff\xd8" and first[0] <= 3:
            photo = Photo(data[1:], first[0], self._began)
        else:
            raise self._give_up("it does not begin as a JPEG")
        if not data.rstrip(b"\0").endswith(b"\xff\xd9"):
            raise self._give_up("its end is missing")
        self.forget()
        return photo

    def _give_up(self, why: str) -> PhotoLost:
        self.forget()
        return PhotoLost(f"the photo is lost: {why}")
