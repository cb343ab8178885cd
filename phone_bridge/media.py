"""Reads sound, pictures and videos from files: any usual format in, the runtime's formats out.

Files come from the outside, so nothing is believed before it is checked: a picture's size is read from its header before
a pixel is decoded, sound and video are decoded piece by piece, and FFmpeg may open no address and no other protocol than
the file itself (a play list that names a web address would otherwise be fetched).
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError, NotAudio, NotPicture, TooLarge
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, Pcm, Pixels

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream
    from PIL.Image import Image

MAX_PIXELS = 64_000_000
"""Pictures and video frames with more pixels are refused before they are decoded."""
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "PPM")
"""What Pillow may decode. Its other decoders are rare, old, or (EPS) start programs."""


def stream_audio(path: Path) -> Iterator[Pcm]:
    """Decodes a file's first sound track bit by bit, as chunks of 320 samples; the last one is filled with silence.

    Channels are averaged, so that nothing clips that did not clip before. Memory stays at some packets, however long the
    file is. Packets that cannot be decoded are left out.

    Raises InputError (missing) and NotAudio with the first chunk.
    """
    import soxr

    with _opened(path, NotAudio, "not an audio file") as container:
        resampler: Any = None
        rest = np.zeros(0, np.int16)
        any_sound = False
        for rate, mono in _mono(container, path):
            if resampler is None:
                resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32") if rate != SAMPLE_RATE else _Same()
            rest = np.concatenate((rest, _int16(resampler.resample_chunk(mono))))
            whole = len(rest) - len(rest) % CHUNK_SAMPLES
            for at in range(0, whole, CHUNK_SAMPLES):
                any_sound = True
                yield rest[at : at + CHUNK_SAMPLES]
            rest = rest[whole:]
        if resampler is not None:
            rest = np.concatenate((rest, _int16(resampler.resample_chunk(np.zeros(0, np.float32), last=True))))
        if not any_sound and not len(rest):
            raise NotAudio(f"{path}: there are no samples in it")
        for at in range(0, len(rest), CHUNK_SAMPLES):
            chunk = rest[at : at + CHUNK_SAMPLES]
            yield np.pad(chunk, (0, CHUNK_SAMPLES - len(chunk)))


def read_audio(path: Path, max_seconds: float = 600.0) -> Pcm:
    """Decodes a whole file to 16 kHz mono.

    Raises InputError (missing), NotAudio, TooLarge (longer than ``max_seconds``).
    """
    chunks: list[Pcm] = []
    for chunk in stream_audio(path):
        if len(chunks) * CHUNK_SAMPLES >= max_seconds * SAMPLE_RATE:
            raise TooLarge(f"{path}: longer than {max_seconds:g} s")
        chunks.append(chunk)
    return np.concatenate(chunks)


def read_picture(path: Path) -> Pixels:
    """Decodes a picture: upright by its EXIF orientation, transparency flattened on white, shape (height, width, 3), BGR.

    Raises InputError (missing), NotPicture, TooLarge (over 64 megapixels, found in the header).
    """
    from PIL import Image, ImageOps

    _check_file(path)
    try:
        with warnings.catch_warnings():
            # Pillow's own bound warns first and raises later; here both are the same refusal.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                _check_pixels(path, image.width, image.height)
                return _bgr(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise TooLarge(f"{path}: more than {MAX_PIXELS // 1_000_000} megapixels") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise NotPicture(f"{path}: not a picture, or a damaged one") from error


def read_video(path: Path) -> Iterator[tuple[int, Pixels]]:
    """Decodes a video frame by frame: media time in nanoseconds since the file's start, and the upright picture.

    Times never fall. Frames that cannot be decoded are left out.

    Raises InputError (missing), NotPicture (no frames), TooLarge (over 64 megapixels), all with the first frame.
    """
    with _opened(path, NotPicture, "neither a picture nor a video") as container:
        stream = next((stream for stream in container.streams.video if not _is_cover(stream)), None)
        if stream is None:
            raise NotPicture(f"{path}: there are no pictures in it")
        _check_pixels(path, stream.codec_context.width, stream.codec_context.height)
        origin = (container.start_time or 0) * 1000
        rate = float(stream.average_rate or 25)
        latest = -1
        for index, frame in enumerate(_decoded(container, stream)):
            _check_pixels(path, frame.width, frame.height)
            t_ns = round(index / rate * 1e9) if frame.time is None else round(frame.time * 1e9) - origin
            latest = max(latest, t_ns, 0)
            pixels: Pixels = frame.to_ndarray(format="bgr24")
            # The display matrix turns counter-clockwise, as np.rot90 does. Phones write quarter turns only.
            yield latest, np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))
        if latest < 0:
            raise NotPicture(f"{path}: there are no pictures in it")


def tracks(path: Path) -> tuple[bool, bool]:
    """Says whether a sound or video file has sound, and whether it has moving pictures. Raises InputError."""
    with _opened(path, InputError, "neither sound nor a video") as container:
        return bool(container.streams.audio), any(not _is_cover(stream) for stream in container.streams.video)


def _check_file(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: there is no such file")
    if not path.is_file():
        raise InputError(f"{path}: not a file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")


def _check_pixels(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise TooLarge(f"{path}: {width} x {height} is more than {MAX_PIXELS // 1_000_000} megapixels")


def _opened(path: Path, kind: type[InputError], what: str) -> InputContainer:
    import av

    try:
        _check_file(path)
    except InputError as error:
        # An empty file is of no kind; a missing one is no file.
        raise (kind(error.text) if path.is_file() else error) from None
    try:
        # The absolute path keeps FFmpeg from reading "http:" or "pipe:" out of a file's name.
        return av.open(str(path.resolve()), options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise kind(f"{path}: {what}") from error


def _decoded(container: InputContainer, stream: Any) -> Iterator[Any]:
    """Gives the frames of a stream, leaving out packets that are damaged."""
    import av

    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                continue
    except (av.error.FFmpegError, OSError):
        return  # The file ends in the middle, or goes away: what came before it counts.


def _mono(container: InputContainer, path: Path) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Gives the sound track's sample rate and its next samples, shape (n,), channels averaged, -1 to 1."""
    import av

    if not container.streams.audio:
        raise NotAudio(f"{path}: there is no sound in it")
    to_float = av.AudioResampler(format="fltp")
    for frame in _decoded(container, container.streams.audio[0]):
        try:
            planes = to_float.resample(frame)
        except ValueError as error:
            raise NotAudio(f"{path}: its sample rate or its channels change on the way") from error
        for plane in planes:
            yield frame.sample_rate, np.mean(plane.to_ndarray(), axis=0, dtype=np.float32)


class _Same:
    """Stands in for a resampler where the rate is right already: samples pass bit for bit."""

    def resample_chunk(self, x: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        return x


def _int16(x: NDArray[np.float32]) -> Pcm:
    finite = np.nan_to_num(x, nan=0.0, posinf=1.0, neginf=-1.0)
    pcm: Pcm = np.clip(np.rint(finite * 32768.0), -32768, 32767).astype(np.int16)
    return pcm


def _is_cover(stream: VideoStream) -> bool:
    """Whether this is the picture that music files carry."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _bgr(image: Image) -> Pixels:
    from PIL import Image as pil

    if image.mode.startswith("I") or image.mode == "F":
        deep = np.asarray(image).astype(np.float64)
        grey = np.clip(deep / 257.0 if deep.max(initial=0.0) > 255.0 else deep, 0, 255).astype(np.uint8)
        image = pil.fromarray(grey)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = pil.alpha_composite(pil.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba)
    rgb: Pixels = np.asarray(image.convert("RGB"))
    return np.ascontiguousarray(rgb[:, :, ::-1])
