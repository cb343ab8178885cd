"""Stills: whole and upright or not at all, and never more memory than announced and allowed."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge.errors import InputError, NotPicture, TooLarge
from phone_bridge.control import MAX_CHUNK, Still, StillChunk
from phone_bridge.stills import MAX_BYTES, TIMEOUT_S, StillAssembly, decode_still

DATA = bytes(np.random.default_rng(1).integers(0, 256, 3 * MAX_CHUNK + 5, np.uint8))


def pieces(data: bytes, still: int = 1) -> list[StillChunk]:
    return [StillChunk(still, n, data[at : at + MAX_CHUNK]) for n, at in enumerate(range(0, len(data), MAX_CHUNK))]


def header(data: bytes, still: int = 1) -> Still:
    return Still(still, len(data), "image/jpeg", zlib.crc32(data), len(pieces(data)))


@pytest.fixture
def assembly() -> StillAssembly:
    waiting = StillAssembly()
    waiting.want(1, at=0.0)
    return waiting


@given(st.binary(min_size=1, max_size=4 * MAX_CHUNK))
def test_every_still_comes_whole(data: bytes) -> None:
    assembly = StillAssembly()
    assembly.want(1, at=0.0)
    assembly.begin(header(data))
    *first, last = pieces(data)
    assert [assembly.add(piece) for piece in first] == [None] * len(first)
    assert assembly.add(last) == data
    assert not assembly.busy


def test_an_unasked_still_is_refused(assembly: StillAssembly) -> None:
    with pytest.raises(InputError, match="not asked for"):
        assembly.begin(header(DATA, still=2))
    with pytest.raises(InputError, match="not announced"):
        assembly.add(pieces(DATA)[0])
    assert assembly.busy
    with pytest.raises(InputError, match="not asked for"):
        StillAssembly().begin(header(DATA))


@pytest.mark.parametrize(("size", "chunks"), [(0, 0), (0, 1), (10, 0), (10, 11), (MAX_CHUNK + 1, 1)])
def test_numbers_that_do_not_fit_are_refused(assembly: StillAssembly, size: int, chunks: int) -> None:
    with pytest.raises(InputError, match="do not come in"):
        assembly.begin(Still(1, size, "image/jpeg", 0, chunks))
    assert not assembly.busy


def test_a_large_still_is_refused_before_its_first_piece(assembly: StillAssembly) -> None:
    with pytest.raises(TooLarge):
        assembly.begin(Still(1, MAX_BYTES + 1, "image/jpeg", 0, 800))


@pytest.mark.parametrize("order", [(1,), (0, 0), (0, 2), (0, 1, 2, 4)])
def test_a_piece_out_of_place_ends_the_still(assembly: StillAssembly, order: tuple[int, ...]) -> None:
    assembly.begin(header(DATA))
    have = [*pieces(DATA), StillChunk(1, 4, b"more")]
    for at in order[:-1]:
        assembly.add(have[at])
    with pytest.raises(InputError):
        assembly.add(have[order[-1]])
    assert not assembly.busy


def test_more_bytes_than_announced_are_not_kept(assembly: StillAssembly) -> None:
    assembly.begin(Still(1, 10, "image/jpeg", 0, 2))
    with pytest.raises(InputError, match="does not fit"):
        assembly.add(StillChunk(1, 0, b"x" * 11))


def test_a_wrong_checksum_is_found(assembly: StillAssembly) -> None:
    assembly.begin(Still(1, 3, "image/jpeg", zlib.crc32(b"abd"), 1))
    with pytest.raises(InputError, match="checksum"):
        assembly.add(StillChunk(1, 0, b"abc"))


def test_a_still_that_does_not_come_is_given_up(assembly: StillAssembly) -> None:
    assert not assembly.expired(TIMEOUT_S - 0.1)
    assert assembly.expired(TIMEOUT_S)
    assert not assembly.busy and not assembly.expired(100.0)


def jpeg(width: int, height: int, orientation: int | None = None) -> bytes:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = (255, 0, 0)  # the left half is red
    out = io.BytesIO()
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(pixels).save(out, "JPEG", quality=95, exif=exif)
    return out.getvalue()


def test_a_still_is_decoded_upright() -> None:
    plain = decode_still(jpeg(640, 480))
    assert plain.shape == (480, 640, 3)
    assert plain[240, 100, 2] > 200 and plain[240, 500, 2] < 50
    turned = decode_still(jpeg(640, 480, orientation=6))  # to be turned right by a quarter: left goes up
    assert turned.shape == (640, 480, 3)
    assert turned[100, 240, 2] > 200 and turned[500, 240, 2] < 50


@pytest.mark.parametrize("data", [b"", b"nonsense", jpeg(640, 480)[:100], jpeg(640, 480)[:-2000], b"GIF89a" + b"\0" * 100])
def test_a_damaged_still_is_refused(data: bytes) -> None:
    with pytest.raises(NotPicture):
        decode_still(data)


def test_absurd_sizes_are_refused() -> None:
    with pytest.raises(NotPicture):
        decode_still(jpeg(640, 8))
    out = io.BytesIO()
    Image.new("1", (20_000, 10_000)).save(out, "PNG")
    with pytest.raises(TooLarge):
        decode_still(out.getvalue())


@given(st.binary(max_size=300))
def test_noise_is_no_picture(data: bytes) -> None:
    with pytest.raises(NotPicture):
        decode_still(b"\xff\xd8\xff\xe0" + data)
