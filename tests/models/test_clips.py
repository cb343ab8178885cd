from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import StorageError
from edge.values import VideoFrame
from models.clips import LATE_S, MAX_HEIGHT, MAX_WIDTH, ClipRing, contact_sheet, fitted

SECOND = 1_000_000_000


def picture(n: int, t_ns: int | None = None, width: int = 160, height: int = 120) -> VideoFrame:
    """Gives a picture that shows its number: a bright bar, one step a picture further right, on texture."""
    pixels = np.random.default_rng(7).integers(0, 60, (height, width, 3)).astype(np.uint8)
    at = (n * 8) % (width - 8)
    pixels[:, at : at + 8] = 230
    return VideoFrame(pixels, n * SECOND // 10 if t_ns is None else t_ns, n)


@pytest.fixture
def ring() -> Iterator[ClipRing]:
    ring = ClipRing(seconds=2.0, megabytes=1.0)
    ring.open()
    yield ring
    ring.close()


def decoded(path: Path) -> list[tuple[float, int]]:
    """Gives of each picture of a clip its time, and where its bar stands."""
    with av.open(str(path)) as container:
        pictures = [(frame.time, frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]
    return [(round(time or 0.0, 3), int(pixels[:, :, 1].mean(axis=0).argmax())) for time, pixels in pictures]


def test_clip_begins_with_the_key_frame_before_and_holds_every_picture_at_its_time(ring: ClipRing, tmp_path: Path) -> None:
    # A frame rate that varies: pictures come 100 ms apart, then 250.
    times = [n * 100_000_000 for n in range(40)] + [4 * SECOND + n * 250_000_000 for n in range(20)]
    for n in range(45):
        ring.add(picture(n, times[n]))
    path = tmp_path / "clip.mp4"
    first_ns = ring.begin(path, times[44] - SECOND)
    for n in range(45, 60):
        ring.add(picture(n, times[n]))
    ring.finish(path)
    assert times[44] - 2 * SECOND <= first_ns <= times[44] - SECOND
    seen = decoded(path)
    start = times.index(first_ns)
    assert [time for time, _ in seen] == pytest.approx([(t - first_ns) / 1e9 for t in times[start:]], abs=1e-3)
    for (_, bar), n in zip(seen, range(start, 60), strict=True):
        assert abs(bar - (n * 8) % 152) <= 8


def test_index_is_at_the_front_and_the_first_packet_is_a_key(ring: ClipRing, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    for n in range(25):
        ring.add(picture(n))
    ring.begin(path, 0)
    ring.finish(path)
    data = path.read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")
    with av.open(str(path)) as container:
        first = next(container.demux(video=0))
        assert first.is_keyframe and first.pts == 0
        assert container.streams.video[0].codec_context.name == "h264"


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="FFMPEG MISSING: the clip is decoded by PyAV only")
def test_another_decoder_finds_no_fault(ring: ClipRing, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    for n in range(30):
        ring.add(picture(n))
    ring.begin(path, SECOND)
    ring.finish(path)
    command = ["ffmpeg", "-v", "error", "-xerror", "-i", str(path), "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_overlapping_clips_share_what_was_encoded(ring: ClipRing, tmp_path: Path) -> None:
    one, two = tmp_path / "one.mp4", tmp_path / "two.mp4"
    for n in range(60):
        ring.add(picture(n))
        if n == 20:
            ring.begin(one, SECOND)
        if n == 30:
            ring.begin(two, 2 * SECOND)
        if n == 40:
            ring.finish(one)
    ring.finish(two)
    first, second = decoded(one), decoded(two)
    assert len(first) == 31 and len(second) == 40  # 1.0 to 4.0 s and 2.0 to 5.9 s
    assert [bar for _, bar in first[10:]] == [bar for _, bar in second[: len(first) - 10]]


@settings(max_examples=20)
@given(st.lists(st.integers(20_000_000, 900_000_000), min_size=5, max_size=40), st.integers(0, 3))
def test_ring_is_bounded_and_begins_with_a_key(gaps: list[int], seconds: int) -> None:
    ring = ClipRing(seconds=seconds, megabytes=0.05)
    ring.open()
    t_ns = 0
    for n, gap in enumerate(gaps):
        t_ns += gap
        ring.add(picture(n, t_ns))
        size, span_ns = ring.held
        assert size <= 50_000
        assert span_ns <= (seconds + LATE_S) * SECOND + 2 * SECOND + 900_000_000
    ring.close()
    assert ring.held == (0, 0)


def test_ring_keeps_the_whole_pre_roll(ring: ClipRing) -> None:
    for n in range(200):
        ring.add(picture(n))
    assert ring.held[1] >= (2.0 + LATE_S) * SECOND


def test_camera_that_changes_its_size_ends_the_clip_cleanly(ring: ClipRing, tmp_path: Path) -> None:
    path, after = tmp_path / "clip.mp4", tmp_path / "after.mp4"
    for n in range(20):
        ring.add(picture(n))
    ring.begin(path, 0)
    for n in range(20, 40):
        ring.add(picture(n, width=200, height=90))
    ring.finish(path)
    assert len(decoded(path)) == 20
    assert ring.begin(after, 0) == 2 * SECOND
    ring.finish(after)
    with av.open(str(after)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (200, 90)


def test_picture_that_is_not_later_is_left_out(ring: ClipRing, tmp_path: Path) -> None:
    for n in (0, 1, 2, 2, 1, 3):
        ring.add(picture(n))
    ring.begin(tmp_path / "clip.mp4", 0)
    ring.finish(tmp_path / "clip.mp4")
    assert len(decoded(tmp_path / "clip.mp4")) == 4


@given(st.integers(1, 9000), st.integers(1, 9000))
def test_size_is_even_and_bounded(width: int, height: int) -> None:
    wide, high = fitted(width, height)
    assert wide % 2 == high % 2 == 0 and 2 <= wide <= MAX_WIDTH and 2 <= high <= MAX_HEIGHT


@pytest.mark.parametrize(("width", "height"), [(1, 1), (33, 17), (1921, 1081)])
def test_odd_and_large_cameras(ring: ClipRing, tmp_path: Path, width: int, height: int) -> None:
    pixels = np.full((height, width, 3), 90, np.uint8)
    for n in range(3):
        ring.add(VideoFrame(pixels, n * SECOND // 10, n))
    ring.begin(tmp_path / "clip.mp4", 0)
    ring.finish(tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 3 and (frames[0].width, frames[0].height) == fitted(width, height)


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Lets no file of this process grow beyond ``size`` bytes: writing past it fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_costs_the_clip_and_not_the_ring(ring: ClipRing, tmp_path: Path) -> None:
    noise = np.random.default_rng(1)
    path = tmp_path / "clip.mp4"
    ring.add(picture(0))
    with disk_of(60_000), pytest.raises(StorageError, match=r"clip\.mp4: cannot be written"):
        ring.begin(path, 0)
        for n in range(1, 200):
            ring.add(VideoFrame(noise.integers(0, 255, (120, 160, 3)).astype(np.uint8), n * SECOND // 10, n))
        ring.finish(path)
    assert not path.exists()
    ring.add(picture(300))
    assert ring.held[0] > 0
    with pytest.raises(StorageError):
        ring.finish(path)
    ring.begin(path, 0)
    ring.finish(path)
    assert decoded(path)


def test_folder_that_is_not_there(ring: ClipRing, tmp_path: Path) -> None:
    ring.add(picture(0))
    with pytest.raises(StorageError):
        ring.begin(tmp_path / "gone" / "clip.mp4", 0)
    ring.add(picture(1))
    with pytest.raises(StorageError):
        ring.sheet(tmp_path / "gone" / "sheet.jpg", [picture(0)])


def test_nothing_to_keep_yet(ring: ClipRing, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no pictures"):
        ring.begin(tmp_path / "clip.mp4", 0)
    assert not (tmp_path / "clip.mp4").exists()


def test_closing_ends_open_clips(tmp_path: Path) -> None:
    ring = ClipRing()
    ring.open()
    for n in range(10):
        ring.add(picture(n))
    ring.begin(tmp_path / "clip.mp4", 0)
    ring.close()
    ring.close()
    assert len(decoded(tmp_path / "clip.mp4")) == 10


@pytest.mark.parametrize(("count", "shape"), [(1, (360, 480)), (2, (360, 960)), (4, (720, 1440)), (9, (1080, 1440))])
def test_contact_sheet(ring: ClipRing, tmp_path: Path, count: int, shape: tuple[int, int]) -> None:
    assert contact_sheet([picture(n).pixels for n in range(count)]).shape[:2] == shape
    ring.sheet(tmp_path / "sheet.jpg", [picture(n) for n in range(count)])
    assert (tmp_path / "sheet.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_info_names_the_encoder_and_its_licence(ring: ClipRing) -> None:
    assert ring.info.model and ring.info.licence
