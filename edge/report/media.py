"""Pictures and waveforms for the report, small enough to stand in the page itself."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

MAX_SIDE = 640
"""Pixels of a picture's longer side."""
BUCKETS = 900
"""Points of a waveform: about one a pixel on a desk's screen, three on a phone's."""


def data_uri(path: Path) -> str | None:
    """Gives a picture as a data URI, scaled down to ``MAX_SIDE``; None where it cannot be read."""
    import cv2

    if not path.is_file():
        return None
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.stat().st_size else None
    if pixels is None:
        return None
    scale = MAX_SIDE / max(pixels.shape[:2])
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 82])
    return "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode("ascii")


def seconds_of(path: Path) -> float:
    """Gives the length of a sound file; 0 where there is none that can be read."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as sound:
            return sound.frames / sound.samplerate
    except (OSError, soundfile.SoundFileError):
        return 0.0


def waveform(path: Path, seconds: float) -> str:
    """Gives the outline of a sound as an SVG path in a box of ``BUCKETS`` x 100; empty where nothing can be read.

    Each point is the loudest sample of its bucket. The square root of the level is drawn: speech at a distance is a twentieth
    of full scale and would be a line.
    """
    import soundfile

    peaks = np.zeros(BUCKETS)
    try:
        with soundfile.SoundFile(path) as sound:
            position = 0
            while len(block := sound.read(sound.samplerate, dtype="int16")):
                at = (position + np.arange(len(block))) * BUCKETS / max(1.0, seconds * sound.samplerate)
                np.maximum.at(peaks, np.minimum(at.astype(int), BUCKETS - 1), np.abs(block.astype(np.int32)))
                position += len(block)
    except (OSError, soundfile.SoundFileError):
        # A torn tail ends the outline; a file that never was one gives none.
        if not peaks.any():
            return ""
    heights = np.sqrt(peaks / 32768) * 48
    upper = [f"{x},{50 - height:.1f}" for x, height in enumerate(heights)]
    lower = [f"{x},{50 + height:.1f}" for x, height in reversed(list(enumerate(heights)))]
    return "M" + " ".join(upper + lower) + "Z"
