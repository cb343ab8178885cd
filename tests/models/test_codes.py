"""QR and bar codes, drawn by code, are read from a larger picture; garbage is no code."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edge.errors import EngineFailed
from edge.values import Code, Pixels, VideoFrame
from models.codes import OpenCvCodes, clean
from tests.pictures import as_pixels


@pytest.fixture(scope="module")
def codes() -> Iterator[OpenCvCodes]:
    made = OpenCvCodes()
    made.open()
    yield made
    made.close()


def qr(data: str, module: int = 6) -> Pixels:
    grey = cv2.QRCodeEncoder.create().encode(data)
    return as_pixels(np.repeat(np.repeat(grey, module, 0), module, 1)[:, :, None].repeat(3, 2))


_LEFT = ("0001101", "0011001", "0010011", "0111101", "0100011", "0110001", "0101111", "0111011", "0110111", "0001011")
_PARITY = ("LLLLLL", "LLGLGG", "LLGGLG", "LLGGGL", "LGLLGG", "LGGLLG", "LGGGLL", "LGLGLG", "LGLGGL", "LGGLGL")


def ean13(digits: str, module: int = 3, height: int = 120) -> Pixels:
    """The bars of twelve digits and their check digit (ISO/IEC 15420), with quiet zones."""
    check = -sum(int(digit) * (1 + 2 * (at % 2)) for at, digit in enumerate(digits)) % 10
    first, *rest = (int(digit) for digit in digits + str(check))

    def right(digit: int) -> str:
        return "".join("10"[int(bit)] for bit in _LEFT[digit])

    bars = "101"
    for digit, parity in zip(rest[:6], _PARITY[first], strict=True):
        bars += _LEFT[digit] if parity == "L" else right(digit)[::-1]
    bars += "01010" + "".join(map(right, rest[6:])) + "101"
    line = np.array([255] * 12 + [255 * (bit == "0") for bit in bars] + [255] * 12, np.uint8).repeat(module)
    return np.tile(line[None, :, None], (height, 1, 3))


def scene(*placed: tuple[Pixels, int, int], shape: tuple[int, int] = (720, 1280)) -> VideoFrame:
    canvas = np.full((*shape, 3), 200, np.uint8)
    for picture, x, y in placed:
        canvas[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return VideoFrame(canvas, 0)


@pytest.mark.parametrize("data", ["https://example.com/menu?table=4", "Grüße, 世界", "WIFI:T:WPA;S:Cafe;P:secret;;", "0"])
def test_a_qr_code_is_read_where_it_is(codes: OpenCvCodes, data: str) -> None:
    picture = qr(data)
    (code,) = codes.scan(scene((picture, 300, 200)))
    assert (code.kind, code.data) == ("qr", data)
    assert 300 <= code.box.x0 < code.box.x1 <= 300 + picture.shape[1]
    assert 200 <= code.box.y0 < code.box.y1 <= 200 + picture.shape[0]


def test_a_bar_code_is_read_with_its_kind(codes: OpenCvCodes) -> None:
    (code,) = codes.scan(scene((ean13("400638133393"), 400, 300)))
    assert (code.kind, code.data) == ("ean13", "4006381333931")


def test_several_come_in_reading_order(codes: OpenCvCodes) -> None:
    found = codes.scan(scene((qr("below"), 200, 450), (ean13("978020137962"), 700, 300), (qr("above"), 900, 40)))
    assert [code.data for code in found] == ["above", "9780201379624", "below"]


def test_a_picture_of_any_size_is_searched(codes: OpenCvCodes) -> None:
    (code,) = codes.scan(scene((qr("far and wide", 40), 5000, 5000), shape=(8192, 8192)))
    assert code.data == "far and wide"
    assert 5000 <= code.box.x0 < code.box.x1 <= 5000 + 40 * 40


@pytest.mark.parametrize("shape", [(1, 1), (20, 500), (480, 640), (5, 3000)])
def test_garbage_is_no_code(codes: OpenCvCodes, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    assert codes.scan(VideoFrame(rng.integers(0, 256, (*shape, 3), np.uint8), 0)) == ()


def test_a_torn_code_is_no_code(codes: OpenCvCodes) -> None:
    picture = qr("https://example.com")
    picture[40:, 40:] = 255
    assert codes.scan(scene((picture, 300, 200))) == ()


def test_control_characters_are_taken_out() -> None:
    assert clean("\x1b[2Jhello\u202e\r\nworld\x00") == "[2Jhello\nworld"


def test_it_says_when_it_is_not_open() -> None:
    with pytest.raises(EngineFailed, match="not open"):
        OpenCvCodes().scan(scene())


def test_codes_are_values(codes: OpenCvCodes) -> None:
    assert all(isinstance(code, Code) for code in codes.scan(scene((qr("a"), 10, 10))))
