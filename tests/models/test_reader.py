"""The reader reads what rapidocr reads, sooner; stops when told; knows when it cannot read; and fetches nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from edge.errors import EngineFailed, ModelCorrupt, ModelMissing
from edge.ports import Stop
from edge.values import Pixels, Reading, VideoFrame
from models.reader import DETECT, RECOGNISE, TURN, Attempt, RapidReader, Spot, clean, judge
from tests.pictures import as_pixels, load
from tests.shared import shared

SIGN = ("NO ENTRY", "Staff only", "Ring the bell")


@pytest.fixture(scope="module")
def reader() -> Iterator[RapidReader]:
    made = RapidReader(threads=2)
    made.open()
    yield made
    made.close()


def drawn(lines: tuple[str, ...] = SIGN, size: int = 36, shape: tuple[int, int] = (480, 800)) -> Pixels:
    """A light board with dark writing, in Pillow's own font."""
    canvas = Image.new("RGB", shape[::-1], (90, 110, 100))
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(size)
    wide = max(pen.textlength(line, font=font) for line in lines)
    pen.rectangle((80, 60, 120 + wide, 100 + 1.4 * size * len(lines)), fill=(235, 235, 225))
    for at, line in enumerate(lines):
        pen.text((100, 80 + 1.4 * size * at), line, font=font, fill=(20, 20, 40))
    return np.ascontiguousarray(np.asarray(canvas)[:, :, ::-1])


def read(reader: RapidReader, picture: Pixels) -> Reading:
    return reader.read(VideoFrame(picture, 0), Stop())


def texts(reading: Reading) -> tuple[str, ...]:
    return tuple(line.text for line in reading.lines)


def test_it_reads_what_is_drawn_and_says_where(reader: RapidReader) -> None:
    reading = read(reader, drawn())
    assert texts(reading) == SIGN
    assert not reading.blurred
    for at, line in enumerate(reading.lines):
        middle = 80 + 1.4 * 36 * at + 18
        assert line.box.y0 < middle < line.box.y1 and 60 < line.box.x0 < 110
        assert abs(line.angle) < 2 and line.confidence > 0.9


def test_rapidocr_itself_reads_the_same(reader: RapidReader) -> None:
    import rapidocr
    from rapidocr.utils.output import RapidOCROutput

    folder = Path(rapidocr.__path__[0]) / "models"
    paths = {"Det": DETECT, "Rec": RECOGNISE, "Cls": TURN}
    oracle = rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            **{f"{part}.model_path": str(folder / name) for part, name in paths.items()},
            "Det.limit_type": "max",
            "Det.limit_side_len": 960,
        }
    )
    for picture in (drawn(), drawn(("Espresso 2.50", "Tea 2.00 or with milk 2.20"), 20, (600, 960))):
        theirs, ours = oracle(picture), read(reader, picture)
        assert isinstance(theirs, RapidOCROutput) and theirs.txts is not None and theirs.boxes is not None
        assert tuple(theirs.txts) == texts(ours)
        for quad, line in zip(theirs.boxes, ours.lines, strict=True):
            (x0, y0), (x1, y1) = quad.min(axis=0), quad.max(axis=0)
            assert np.allclose((x0, y0, x1, y1), (line.box.x0, line.box.y0, line.box.x1, line.box.y1), atol=4)


@pytest.mark.parametrize(("turn", "angle"), [(cv2.ROTATE_180, 180), (cv2.ROTATE_90_CLOCKWISE, 90)])
def test_text_on_its_head_or_on_end_is_read(reader: RapidReader, turn: int, angle: int) -> None:
    reading = read(reader, np.ascontiguousarray(cv2.rotate(drawn(), turn)))
    assert sorted(texts(reading)) == sorted(SIGN)
    for line in reading.lines:
        assert abs((line.angle - angle + 180) % 360 - 180) < 3


@pytest.mark.parametrize("size", [20, 36])
def test_blur_is_told_apart_from_emptiness(reader: RapidReader, size: int) -> None:
    clear = drawn(size=size)
    verdicts = {}
    for sigma in (0.5, 0.15 * size, 0.22 * size):
        reading = read(reader, as_pixels(cv2.GaussianBlur(clear, (0, 0), sigma)))
        verdicts[sigma] = (reading.blurred, bool(reading.lines))
    assert verdicts[0.5] == (False, True)
    assert verdicts[0.22 * size] == (True, False)
    empty = read(reader, np.full((480, 800, 3), 120, np.uint8))
    assert empty == Reading()


def attempt(text: str, score: float, seen: float = 0.8, wide: float = 100, turned: bool = False) -> Attempt:
    quad = np.array([[0, 0], [wide, 0], [wide, 20], [0, 20]], np.float32)
    return Attempt(Spot(quad, seen), text, score, turned)


def test_blurred_means_that_more_is_written_than_read() -> None:
    shape = (480, 640, 3)
    fine, lost, faint = attempt("EXIT", 0.97), attempt("FXIP", 0.6), attempt("", 0.0, seen=0.35, wide=600)
    assert judge([fine, lost], shape).blurred is False
    assert judge([fine, lost, lost], shape).blurred is True
    assert judge([fine, faint], shape).blurred is False, "window frames are faint, and no writing"
    assert judge([], shape) == Reading()


def test_noise_is_no_letter() -> None:
    for noise in (attempt("D", 0.85), attempt("D", 0.95, seen=0.4), attempt("~", 0.99), attempt("WO", 0.85, turned=True)):
        assert judge([noise], (480, 640, 3)).lines == ()
    assert judge([attempt("W", 0.93)], (480, 640, 3)).lines


def test_control_characters_never_leave_it() -> None:
    assert clean("EX\x1b[31mIT\u202e \u2028now\x00") == "EX[31mIT now"


@pytest.mark.real_time
def test_it_stops_within_a_running_network() -> None:
    slow = RapidReader(threads=1, side=1280)
    slow.open()
    picture = drawn(SIGN * 2, 30, (720, 1280))
    began = time.perf_counter()
    assert read(slow, picture).lines
    whole = time.perf_counter() - began
    stop = Stop()
    timer = threading.Timer(whole / 8, stop.set)
    timer.start()
    began = time.perf_counter()
    assert slow.read(VideoFrame(picture, 0), stop) == Reading()
    assert time.perf_counter() - began < whole / 2
    timer.join()
    assert read(slow, picture).lines, "and reads again"
    slow.close()


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (7, 7), (8192, 8192)])
def test_any_shape_is_survived(reader: RapidReader, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (*shape, 3), np.uint8) if max(shape) < 8192 else np.zeros((*shape, 3), np.uint8)
    assert read(reader, picture).lines == ()


def test_it_opens_without_a_network_and_closes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the reader opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    made = RapidReader()
    made.open()
    made.open()
    assert texts(read(made, drawn())) == SIGN
    made.close()
    made.close()
    with pytest.raises(EngineFailed, match="not open"):
        read(made, drawn())


def test_a_missing_or_broken_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=f"{DETECT} not installed: run nearsight models pull"):
        RapidReader(folder=tmp_path).open()
    for name in (DETECT, RECOGNISE, TURN):
        (tmp_path / name).write_bytes(b"not a model")
    with pytest.raises(ModelCorrupt, match=DETECT):
        RapidReader(folder=tmp_path).open()


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("opencv_contrib__scenetext01.jpg", ("NOTICE", "DOUBLE", "PARKING", "PROHIBITED", "AT ALL TIMES")),
        ("EasyOCR__chinese.jpg", ("愚园路", "315", "309", "Yuyuan Rd.")),
        ("EasyOCR__japanese.jpg", ("ポイ捨て禁止!", "NO LITTER", "清潔できれいな港区を")),
        ("RapidOCR__text_cls.jpg", ("怪我咯",)),
        ("python-docs-samples__text.jpg", ("System Software Update", "37%")),
        ("python-docs-samples__text_menu.jpg", ("No personal check accepted.", "All price, Gratuity and Tax not included.")),
        ("mmocr__1036169.jpg", ("03/09/2009",)),
    ],
)
def test_real_pictures(reader: RapidReader, name: str, lines: tuple[str, ...]) -> None:
    assert set(lines) <= set(texts(read(reader, load(shared(f"text/{name}")))))


@pytest.mark.parametrize("name", ["groceries", "truck", "fastestdet_3"])
def test_photographs_without_text_are_not_called_blurred(reader: RapidReader, name: str) -> None:
    assert read(reader, load(shared(f"photos/{name}.jpg"))) == Reading()
