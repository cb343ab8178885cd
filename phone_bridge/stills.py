"""Puts one still together from its pieces, checks it and decodes it.

A still is a photograph at the camera's best, sent on request beside the video. It comes over a reliable, ordered channel, so
a piece out of place means a fault at the other end, not on the way: the still is given up and can be asked for again.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np

from edge.errors import InputError, NotPicture, TooLarge
from edge.values import Pixels
from phone_bridge.control import MAX_CHUNK, Still, StillChunk

MAX_BYTES = 12_000_000
MAX_PIXELS = 64_000_000
MIN_SIDE = 16
SHOWN_SIDE = 1600
"""Pixels on the longer side of a picture that a page shows."""
TIMEOUT_S = 10.0
"""Seconds from asking for a still until its last piece must be there."""
FORMATS = ("JPEG", "PNG", "WEBP")
"""What browsers write (``canvas.toBlob``, ``ImageCapture.takePhoto``)."""


class StillAssembly:
    """Takes the pieces of one still at a time. No clock of its own: times are loop times."""

    def __init__(self) -> None:
        self._wanted: int | None = None
        self._deadline = 0.0
        self._header: Still | None = None
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def busy(self) -> bool:
        """Whether a still is wanted that has not come."""
        return self._wanted is not None

    def want(self, still: int, at: float) -> None:
        """Begins to wait for the still with this number; one that was waited for before is forgotten."""
        self.forget()
        self._wanted = still
        self._deadline = at + TIMEOUT_S

    def forget(self) -> None:
        """Waits no more, and frees what came."""
        self._wanted = self._header = None
        self._pieces = []
        self._size = 0

    def expired(self, at: float) -> bool:
        """Says whether the still has taken too long; it is forgotten then."""
        late = self.busy and at >= self._deadline
        if late:
            self.forget()
        return late

    def begin(self, header: Still) -> None:
        """Takes the announcement. Raises InputError: not asked for, or numbers that do not fit; TooLarge."""
        if header.id != self._wanted or self._header is not None:
            raise InputError(f"still {header.id} was not asked for")
        if header.bytes > MAX_BYTES:
            self.forget()
            raise TooLarge(f"still {header.id}: {header.bytes} bytes are more than {MAX_BYTES}")
        # Pieces are full but for the last one, which bounds their number by the bytes.
        if not header.bytes or header.chunks > header.bytes or header.chunks < -(-header.bytes // MAX_CHUNK):
            self.forget()
            raise InputError(f"still {header.id}: {header.bytes} bytes do not come in {header.chunks} pieces")
        self._header = header

    def add(self, chunk: StillChunk) -> bytes | None:
        """Takes the next piece; gives the whole still with the last one.

        Raises InputError: not announced, out of order, more or fewer bytes than announced, a wrong checksum.
        """
        header = self._header
        if header is None or chunk.id != header.id:
            raise InputError(f"a piece of still {chunk.id}, which was not announced")
        self._size += len(chunk.data)
        last = chunk.index == header.chunks - 1
        if chunk.index != len(self._pieces) or self._size > header.bytes or (last and self._size != header.bytes):
            self.forget()
            raise InputError(f"still {chunk.id}: piece {chunk.index} does not fit")
        self._pieces.append(chunk.data)
        if not last:
            return None
        whole = b"".join(self._pieces)
        self.forget()
        if zlib.crc32(whole) != header.crc32:
            raise InputError(f"still {chunk.id}: wrong checksum")
        return whole


def decode_still(data: bytes) -> Pixels:
    """Decodes a still: upright by its EXIF orientation, shape (height, width, 3), BGR. Takes 10 ms a megapixel.

    Raises NotPicture, TooLarge (over 64 megapixels, found in the header).
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise TooLarge(f"a still of {image.width} x {image.height} is more than {MAX_PIXELS // 1_000_000} megapixels")
            if min(image.size) < MIN_SIDE:
                raise NotPicture(f"a still of {image.width} x {image.height} shows nothing")
            rgb = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise TooLarge(f"a still of more than {MAX_PIXELS // 1_000_000} megapixels") from None
    except (OSError, SyntaxError, ValueError, EOFError, ArithmeticError, struct.error) as error:
        raise NotPicture("a still that is no picture, or a damaged one") from error
    return np.ascontiguousarray(rgb[:, :, ::-1])


def encode_still(pixels: Pixels) -> bytes:
    """Gives BGR pixels as JPEG, at most ``SHOWN_SIDE`` on a side. Takes 10 ms a megapixel."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1]))
    image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    encoded = BytesIO()
    image.save(encoded, "JPEG", quality=85)
    return encoded.getvalue()
