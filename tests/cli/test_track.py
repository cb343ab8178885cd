"""``nearsight track`` on drawn films: lines, masks, preview, and every way to ask for nonsense."""

from __future__ import annotations

import threading
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge import app
from edge.cli.main import console
from models.fakes_sight import FakeSegmenter
from tests.cli.command import Command
from tests.cli.films import CUP, HIDDEN, SIZE, cup_at, elementary, film, wandering
from tests.cli.test_bad_input import assert_refused, bytes_of

pytestmark = pytest.mark.real_time

LOST = range(9, 15)
"""Pictures in which the cup counts as lost: it takes four without it, and two with it again (edge/policy/identity.py)."""


@pytest.fixture(autouse=True)
def segmenter(monkeypatch: pytest.MonkeyPatch) -> FakeSegmenter:
    """The engine of every command here."""
    fake = FakeSegmenter()
    monkeypatch.setattr(app, "segmenter", lambda config: fake)
    return fake


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return film(tmp_path / "film.mkv", wandering())


def test_every_picture_has_a_line_and_a_mask(nearsight: Command, video: Path, tmp_path: Path, segmenter: FakeSegmenter) -> None:
    out = tmp_path / "new" / "masks"
    done = nearsight("track", video, "--point", "10,12", "--out", out, "--json")
    assert (done.status, done.err) == (0, "")
    rows = done.of("mask")
    assert [row["frame"] for row in rows] == list(range(24))
    assert [row["t_ms"] for row in rows[:3]] == [0.0, 100.0, 200.0]
    for index, row in enumerate(rows):
        there = index not in HIDDEN and index not in LOST
        x, y = cup_at(index)
        assert row["state"] == ("lost" if index in LOST else "followed")
        assert row["box"] == ([x, y, x + CUP, y + CUP] if there else [])
        assert row["area"] == (CUP * CUP if there else 0)
        assert row["file"] == str(out / f"{index:06d}_1.png")
        mask = cv2.imread(row["file"], cv2.IMREAD_UNCHANGED)
        assert mask is not None and mask.dtype == np.uint8 and mask.shape == SIZE[::-1]
        assert set(np.unique(mask)) <= {0, 255}
        drawn = np.zeros(SIZE[::-1], np.uint8)
        drawn[y : y + CUP, x : x + CUP] = 255 * there
        assert (mask == drawn).all()
    assert [(row["change"], row["t_ms"]) for row in done.of("track")] == [("started", 0), ("lost", 900), ("found", 1500)]
    (end,) = done.of("tracked")
    assert end["frames"] == 24
    assert end["objects"] == [{"object": 1, "state": "followed", "followed": 15, "lost_at": [9], "mean_area": CUP * CUP}]
    with av.open(str(out / "preview.mp4")) as preview:
        assert len(list(preview.decode(video=0))) == 24
    assert (segmenter.opened, segmenter.closed) == (1, 1)


def test_several_objects_from_a_later_picture_on(nearsight: Command, video: Path) -> None:
    x, y = cup_at(20)
    done = nearsight("track", video, "--box", f"{x},{y},{x + CUP},{y + CUP}", "--box", "70,44,86,60", "--frame", 20, "--json")
    rows = done.of("mask")
    assert [(row["frame"], row["object"]) for row in rows] == [(index, number) for index in range(20, 24) for number in (1, 2)]
    assert rows[-1]["box"] == [70, 44, 86, 60]
    assert rows[-1]["file"] == ""


def test_people_get_what_changed_and_a_table(nearsight: Command, video: Path, tmp_path: Path) -> None:
    done = nearsight("track", video, "--point", "10,12", "--out", tmp_path / "out")
    assert done.status == 0
    told = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "[ 0.90 s] picture 9 object 1 lost" in told
    assert "1 followed 15 of 24 1 256" in told
    assert told[-1] == f"masks and preview.mp4 in {tmp_path / 'out'}"


def test_an_object_that_stays_away_is_lost_at_the_end(nearsight: Command, tmp_path: Path) -> None:
    video = film(tmp_path / "gone.mkv", wandering(12))
    done = nearsight("track", video, "--point", "10,12", "--json")
    assert done.status == 0
    assert done.of("tracked")[0]["objects"][0]["state"] == "lost"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "either --point"),
        (("--point", "1,2", "--box", "1,2,3,4"), "either --point"),
        (("--point", "1"), "2 numbers"),
        (("--point", "1,2,3"), "2 numbers"),
        (("--point", "one,two"), "one,two"),
        (("--point", "nan,2"), "nan,2"),
        (("--point", "1,inf"), "1,inf"),
        (("--box", "1,2,3"), "4 numbers"),
        (("--box", "30,10,30,20"), "empty"),
        (("--box", "30,20,40,10"), "empty"),
        (("--point", "1,2", "--frame", "-1"), "--frame"),
        (("--point", "1,2", "--profile", "bundeld"), "bundled"),
    ],
)
def test_wrong_usage(nearsight: Command, video: Path, words: tuple[str, ...], says: str) -> None:
    assert_refused(nearsight("track", video, *words), 2, says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--point", "96,10"), "(96, 10) lies outside the picture of 96x64"),
        (("--point", "10,-1"), "outside"),
        (("--box", "100,10,120,20"), "outside"),
        (("--point", "10,12", "--frame", "24"), "no picture 24: it has 24 pictures"),
    ],
)
def test_a_prompt_that_is_not_in_the_film(nearsight: Command, video: Path, words: tuple[str, ...], says: str) -> None:
    assert_refused(nearsight("track", video, *words), 1, says)


def test_what_is_no_film(nearsight: Command, tmp_path: Path) -> None:
    assert_refused(nearsight("track", tmp_path / "no.mp4", "--point", "1,2"), 2, "no.mp4", "no such file")
    assert_refused(nearsight("track", bytes_of(tmp_path / "empty.mp4", b""), "--point", "1,2"), 1, "empty.mp4", "empty")
    assert_refused(nearsight("track", bytes_of(tmp_path / "text.mp4", b"a film" * 99), "--point", "1,2"), 1, "text.mp4")
    assert_refused(nearsight("track", tmp_path, "--point", "1,2"), 1, "not a file")
    cut = film(tmp_path / "cut.mkv", wandering()).read_bytes()
    assert_refused(nearsight("track", bytes_of(tmp_path / "head.mkv", cut[:500]), "--point", "1,2"), 1, "head.mkv")


def test_a_film_that_breaks_off_is_followed_as_far_as_it_goes(nearsight: Command, tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mkv", wandering()).read_bytes()
    done = nearsight("track", bytes_of(tmp_path / "half.mkv", whole[: len(whole) // 2]), "--point", "10,12", "--json")
    assert done.status == 0
    assert 2 < len(done.of("mask")) < 20


def test_a_size_that_changes_ends_it_and_what_was_followed_stays(nearsight: Command, tmp_path: Path) -> None:
    parts = [elementary(tmp_path / f"{n}.h264", wandering(6, size)).read_bytes() for n, size in enumerate([SIZE, (128, 80)])]
    video = bytes_of(tmp_path / "both.h264", b"".join(parts))
    done = nearsight("track", video, "--point", "10,12", "--out", tmp_path / "out", "--json")
    assert_refused(done, 1, "changes from 96x64 to 128x80 at picture 6")
    assert len(done.of("mask")) == 6
    assert done.of("tracked")[0]["frames"] == 6
    assert len(list((tmp_path / "out").glob("*_1.png"))) == 6
    with av.open(str(tmp_path / "out" / "preview.mp4")) as preview:
        assert len(list(preview.decode(video=0))) == 6


@pytest.mark.parametrize("name", ["000003_1.png", "preview.mp4"])
def test_a_full_disk_is_told(nearsight: Command, video: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).symlink_to("/dev/full")
    assert_refused(nearsight("track", video, "--point", "10,12", "--out", out), 1, name, "No space left")


def test_a_folder_that_cannot_be_made(nearsight: Command, video: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    assert_refused(nearsight("track", video, "--point", "1,2", "--out", tmp_path / "taken"), 1, "taken")


def test_a_profile_without_a_segmenter_says_so(
    nearsight: Command, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    config = tmp_path / "blind.toml"
    config.write_text("[segmenter]\nengine = 'none'\n")
    with monkeypatch.context() as patch:
        patch.setattr("sys.argv", ["nearsight", "track", str(video), "--point", "1,2", "--config", str(config)])
        assert_refused(nearsight("track", video, "--point", "1,2", "--config", config), 1, "no segmenter")


def test_an_engine_that_hangs_in_native_code_does_not_change_the_status(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    let_go = threading.Event()
    stuck = threading.Thread(target=let_go.wait, name="lane-segmenter", daemon=True)

    def at_once(status: int) -> None:
        raise SystemExit(status + 100)

    monkeypatch.setattr("edge.cli.main.os._exit", at_once)
    monkeypatch.setattr("edge.cli.main.LAST_WAIT_S", 0.01)
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"no film")
    monkeypatch.setattr("sys.argv", ["nearsight", "track", str(broken), "--point", "1,1"])
    stuck.start()
    try:
        with pytest.raises(SystemExit) as end:
            console()
    finally:
        let_go.set()
        stuck.join()
    assert end.value.code == 101, "it left without the interpreter's own end"
    assert "broken.mkv" in capsys.readouterr().err
