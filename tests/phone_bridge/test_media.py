"""Any usual file in; one clear line for the rest."""

from __future__ import annotations

import socket
import struct
import subprocess
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from edge.errors import InputError, NotAudio, NotPicture, TooLarge
from edge.values import Pcm
from phone_bridge.media import read_audio, read_picture, read_video, stream_audio
from tests.shared import shared


def tone(seconds: float = 0.5, rate: int = 16_000, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)


def ffmpeg(*args: object) -> bytes:
    command = ["ffmpeg", "-v", "error", "-threads", "1", "-y", *map(str, args)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def close_to_tone(pcm: Pcm, level: float = 0.5) -> bool:
    """Correlates with the tone at its best lag: codecs and resamplers shift by some samples."""
    middle = pcm[2000:6000].astype(float) / 32768
    phases = np.exp(2j * np.pi * 440 * np.arange(4000) / 16_000)
    return abs(2 * abs(complex(np.mean(middle * phases))) - level) < 0.1 * level


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_reads_wav_of_any_width(tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "x.wav", tone(), 16_000, subtype=subtype)
    pcm = read_audio(tmp_path / "x.wav")
    assert len(pcm) == 8000 and close_to_tone(pcm)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2), (48_000, 2), (96_000, 6)])
def test_resamples_and_mixes(tmp_path: Path, rate: int, channels: int) -> None:
    soundfile.write(tmp_path / "x.wav", np.tile(tone(rate=rate)[:, None], channels), rate, subtype="FLOAT")
    pcm = read_audio(tmp_path / "x.wav")
    assert abs(len(pcm) - 8000) <= 320 and close_to_tone(pcm)


@pytest.mark.parametrize("name", ["x.flac", "x.mp3", "x.ogg", "x.opus", "x.m4a", "x.webm"])
def test_reads_what_ffmpeg_writes(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / "x.wav", tone(), 16_000, subtype="PCM_16")
    ffmpeg("-i", tmp_path / "x.wav", tmp_path / name)
    assert close_to_tone(read_audio(tmp_path / name))


def test_passes_our_own_format_bit_for_bit(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-32768, 32768, 16_001).astype(np.int16)
    soundfile.write(tmp_path / "x.wav", noise, 16_000, subtype="PCM_16")
    pcm = read_audio(tmp_path / "x.wav")
    assert len(pcm) == 51 * 320, "the last chunk is filled"
    assert np.array_equal(pcm[:16_001], noise) and not pcm[16_001:].any()


def test_clips_once_and_never_wraps(tmp_path: Path) -> None:
    loud = np.clip(9 * tone(rate=48_000), -1, 1)
    soundfile.write(tmp_path / "x.wav", np.stack((loud, loud), 1), 48_000, subtype="FLOAT")
    pcm = read_audio(tmp_path / "x.wav").astype(int)
    assert pcm.max() == 32767 and pcm.min() == -32768 and np.abs(np.diff(pcm)).max() < 40_000


def test_reads_the_sound_of_a_video(tmp_path: Path) -> None:
    video = tmp_path / "x.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=0.5", "-f", "lavfi", "-i", "sine=440:d=0.5", "-c:a", "aac", "-shortest", video)
    assert close_to_tone(read_audio(video), 0.125)


def test_streams_long_silence_in_bounded_memory(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", 120, tmp_path / "long.flac")
    next(stream_audio(tmp_path / "long.flac"))  # The imports are not counted.
    tracemalloc.start()
    try:
        number = sum(len(chunk) == 320 for chunk in stream_audio(tmp_path / "long.flac"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert number == 120 * 50
    assert peak < 1e6, "the whole is 3.8 MB"


def test_a_bound_on_seconds(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", tone(2.0), 16_000)
    with pytest.raises(TooLarge, match=r"x\.wav: longer than 1 s"):
        read_audio(tmp_path / "x.wav", max_seconds=1)
    assert len(read_audio(tmp_path / "x.wav", max_seconds=2)) == 32_000


def bad_files(folder: Path) -> dict[str, bytes]:
    soundfile.write(folder / "empty.wav", np.zeros(0), 16_000)
    header = (folder / "empty.wav").read_bytes()
    noise = np.random.default_rng(1).bytes(5000)
    text = b"It is not sound.\n" * 99
    return {"text.wav": text, "zero.wav": b"", "header.wav": header, "cut.wav": header[:30], "noise.flac": noise}


@pytest.mark.parametrize("name", ["text.wav", "zero.wav", "header.wav", "cut.wav", "noise.flac"])
def test_what_is_not_sound_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bad_files(tmp_path)[name])
    for read in (read_audio, lambda path: next(stream_audio(path))):
        with pytest.raises(NotAudio) as caught:
            read(tmp_path / name)
        assert name in caught.value.text and "\n" not in caught.value.text


def test_missing_files_and_folders_are_input_errors(tmp_path: Path) -> None:
    for read in (read_audio, read_picture, lambda path: next(read_video(path))):
        for path in (tmp_path / "none.wav", tmp_path, Path("http://127.0.0.1/x.wav")):
            with pytest.raises(InputError) as caught:
                read(path)
            assert type(caught.value) is InputError


def test_a_play_list_reaches_no_address(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        line = (
            f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:{server.getsockname()[1]}/x.ts\n#EXT-X-ENDLIST\n"
        )
        (tmp_path / "x.m3u8").write_text(line)
        with pytest.raises(NotAudio):
            read_audio(tmp_path / "x.m3u8")
        with pytest.raises(TimeoutError):
            server.accept()


QUARTERS = np.zeros((60, 80, 3), np.uint8)
QUARTERS[:30, :40], QUARTERS[:30, 40:], QUARTERS[30:, :40] = (0, 0, 255), (0, 255, 0), (255, 0, 0)


def test_reads_pictures_as_bgr(tmp_path: Path) -> None:
    for name in ("x.png", "x.bmp", "x.webp", "x.jpg", "x.tiff"):
        cv2.imwrite(str(tmp_path / name), QUARTERS)
        error = np.abs(read_picture(tmp_path / name).astype(int) - QUARTERS)
        assert np.median(error) < 3 and error.mean() < 4, name


def test_flattens_alpha_and_narrows_16_bits(tmp_path: Path) -> None:
    clear = np.dstack((QUARTERS, np.full((60, 80), 255, np.uint8)))
    clear[30:, 40:, 3] = 0
    cv2.imwrite(str(tmp_path / "alpha.png"), clear)
    white = QUARTERS.copy()
    white[30:, 40:] = 255
    assert np.array_equal(read_picture(tmp_path / "alpha.png"), white)
    cv2.imwrite(str(tmp_path / "deep.png"), QUARTERS.astype(np.uint16) * 257)
    assert np.array_equal(read_picture(tmp_path / "deep.png"), QUARTERS)
    ramp = np.tile(np.arange(0, 256, dtype=np.uint16) * 257, (4, 1))
    cv2.imwrite(str(tmp_path / "grey16.png"), ramp)
    assert np.array_equal(read_picture(tmp_path / "grey16.png")[..., 1], (ramp // 257).astype(np.uint8))
    cv2.imwrite(str(tmp_path / "grey.png"), ramp.astype(np.uint8))
    assert read_picture(tmp_path / "grey.png").shape == (4, 256, 3)


def test_every_exif_orientation_is_the_same_way_up() -> None:
    pictures = [read_picture(path) for path in sorted(shared("photos/exif").glob("*.jpg"))]
    assert len(pictures) >= 9
    reference = pictures[0].astype(int)
    for picture in pictures[1:]:
        assert picture.shape == reference.shape
        assert np.abs(picture - reference).mean() < 6, "a turned picture differs by some 60"


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\0IDAT"


def test_too_many_pixels_are_refused_from_the_header(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(png_header(20_000, 10_000))
    cv2.imwrite(str(tmp_path / "small.jpg"), QUARTERS)
    jpeg = bytearray((tmp_path / "small.jpg").read_bytes())
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 10_000, 20_000)
    (tmp_path / "bomb.jpg").write_bytes(jpeg)
    cv2.imwrite(str(tmp_path / "real.png"), np.zeros((9_000, 8_000), np.uint8))
    for name in ("bomb.png", "bomb.jpg", "real.png"):
        tracemalloc.start()
        try:
            with pytest.raises(TooLarge, match=name):
                read_picture(tmp_path / name)
            assert tracemalloc.get_traced_memory()[1] < 5e6
        finally:
            tracemalloc.stop()


def test_what_is_not_a_picture_is_named(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "whole.jpg"), np.random.default_rng(0).integers(0, 255, (99, 99, 3), np.uint8))
    cases = {
        "text.jpg": b"no picture",
        "zero.png": b"",
        "header.png": png_header(99, 99),
        "torn.jpg": (tmp_path / "whole.jpg").read_bytes()[:2000],
        "eps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name) as caught:
            read_picture(tmp_path / name)
        assert "\n" not in caught.value.text and not isinstance(caught.value, TooLarge)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_video_times_and_rotation(tmp_path: Path, degrees: int) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), QUARTERS)
    turned = tmp_path / "turned.mp4"
    ffmpeg("-loop", 1, "-r", 25, "-t", 0.4, "-i", tmp_path / "x.png", "-pix_fmt", "yuv444p", "-c:v", "libx264", turned)
    # The display matrix (ISO 14496-12, 8.3.2) lies 40 bytes into the track header.
    data, (cos, sin) = bytearray(turned.read_bytes()), {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = [value << 16 for value in (cos, sin, 0, -sin, cos, 0, 0, 0)] + [1 << 30]
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", *matrix)
    turned.write_bytes(data)
    frames = list(read_video(turned))
    oracle = np.frombuffer(ffmpeg("-i", turned, "-frames:v", 1, "-pix_fmt", "bgr24", "-f", "rawvideo", "-"), np.uint8)
    assert [t for t, _ in frames] == [k * 40_000_000 for k in range(10)]
    shape = (60, 80, 3) if degrees % 180 == 0 else (80, 60, 3)
    assert frames[0][1].shape == shape and frames[0][1].flags.c_contiguous
    assert np.abs(frames[0][1].astype(int) - oracle.reshape(shape)).mean() < 4


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", tone(), 16_000)
    ffmpeg("-f", "lavfi", "-i", "sine=440:d=0.3", tmp_path / "x.mp4")
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=1", "-t", 0, "-c:v", "libx264", tmp_path / "none.mp4")
    for name in ("x.wav", "x.mp4", "none.mp4"):
        with pytest.raises(NotPicture, match=name):
            next(read_video(tmp_path / name))
