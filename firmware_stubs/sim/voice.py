"""Sound as the glasses' firmware encodes it: Opus with CELT alone, 20 ms a frame, variable bit rate."""

from __future__ import annotations

import av
import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]
SAMPLE_RATE = 16_000
FRAME = 320
BITRATE = 32_000
COMPLEXITY = 3


def opus_frames(pcm: Pcm) -> list[bytes]:
    """Gives the frames of 16 kHz mono sound; the last one is filled up with silence."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate = SAMPLE_RATE
    encoder.layout = "mono"
    encoder.format = av.AudioFormat("s16")
    encoder.bit_rate = BITRATE
    encoder.options = {"application": "lowdelay", "frame_duration": "20", "compression_level": str(COMPLEXITY)}
    whole = np.concatenate((pcm, np.zeros(-len(pcm) % FRAME, np.int16)))
    frames: list[bytes] = []
    for at in range(0, len(whole), FRAME):
        sound = av.AudioFrame.from_ndarray(whole[None, at : at + FRAME], format="s16", layout="mono")
        sound.sample_rate, sound.pts = SAMPLE_RATE, at
        frames += [bytes(packet) for packet in encoder.encode(sound)]
    return frames + [bytes(packet) for packet in encoder.encode(None)]
