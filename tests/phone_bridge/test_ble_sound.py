"""Codec frames into sound, and sound onto the media time."""

from __future__ import annotations

import numpy as np
import pytest

from edge.clock import MediaClock
from edge.errors import InputError
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Pcm
from phone_bridge.ble_sound import Hearing, OpusFrames, PcmFrames
from phone_bridge.opus import Encoder


def tone(samples: int, rate: int = SAMPLE_RATE) -> Pcm:
    wave = 8000 * np.sin(2 * np.pi * 440 * np.arange(samples) / rate)
    return wave.astype(np.int16)


def test_pcm_is_passed_on_and_half_a_sample_is_refused() -> None:
    frames = PcmFrames(16_000, mulaw=False)
    assert (frames.decode(tone(160).astype("<i2").tobytes()) == tone(160)).all()
    assert len(frames.conceal(3)) == 480
    with pytest.raises(InputError, match="16-bit"):
        frames.decode(b"\0\0\0")


@pytest.mark.parametrize(("code", "value"), [(0x00, -32124), (0x80, 32124), (0xFF, 0), (0x7F, 0), (0xF0, 120), (0x2A, -5372)])
def test_mulaw_is_g711(code: int, value: int) -> None:
    assert PcmFrames(16_000, mulaw=True).decode(bytes([code]))[0] == value


def test_8_khz_becomes_16_khz() -> None:
    frames = PcmFrames(8000, mulaw=False)
    narrow = tone(8000, 8000)
    wide = np.concatenate([frames.decode(narrow[at : at + 80].astype("<i2").tobytes()) for at in range(0, 8000, 80)])
    assert len(wide) == 16_000
    truth = 8000 * np.sin(2 * np.pi * 440 * (np.arange(16_000) - 16) / SAMPLE_RATE)
    error = wide[100:] - truth[100:]
    assert np.abs(error).max() < 40  # 46 dB below the tone


def test_opus_is_as_long_as_it_says() -> None:
    with Encoder() as encoder:
        packet = encoder.encode(tone(320))
    frames = OpusFrames(usual=160)
    try:
        assert len(frames.conceal(1)) == 160
        assert len(frames.decode(packet)) == 320
        assert len(frames.conceal(2)) == 640
        with pytest.raises(InputError):
            frames.decode(b"")
    finally:
        frames.close()


class Ear:
    def __init__(self) -> None:
        self.chunks: list[AudioChunk] = []
        self.hearing = Hearing(MediaClock(100.0), self.chunks.append)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Stretches without a hole, in samples."""
        spans: list[tuple[int, int]] = []
        for chunk in self.chunks:
            assert len(chunk.pcm) == CHUNK_SAMPLES and (not spans or chunk.start >= spans[-1][1])
            if spans and spans[-1][1] == chunk.start:
                spans[-1] = spans[-1][0], chunk.end
            else:
                spans.append((chunk.start, chunk.end))
        return spans


def test_sound_follows_sound_in_chunks_whatever_its_pieces() -> None:
    ear = Ear()
    for index in range(100):
        ear.hearing.heard(tone(160), 100.01 + 0.01 * index)
    assert ear.spans == [(0, 16_000)]


def test_after_a_pause_the_media_time_jumps_forward_and_never_back() -> None:
    ear = Ear()
    ear.hearing.heard(tone(320), 100.02)
    ear.hearing.pause()
    ear.hearing.heard(tone(320), 110.0)
    ear.hearing.pause()
    ear.hearing.heard(tone(640), 110.01)  # more than time has passed: after what was given
    assert ear.spans == [(0, 320), (159_680, 160_640)]


def test_silence_is_filled_up_to_when_it_is_certain() -> None:
    ear = Ear()
    ear.hearing.heard(tone(400), 100.025)
    ear.hearing.silence(100.5)
    ear.hearing.silence(100.5)
    assert ear.spans == [(0, 8000)]
    ear.hearing.heard(tone(320), 100.6)
    assert ear.spans == [(0, 8320)]


def test_a_burst_after_a_stall_loses_nothing() -> None:
    ear = Ear()
    for index in range(50):
        ear.hearing.heard(tone(320), 100.02 + 0.02 * index)
    for _ in range(50):
        ear.hearing.heard(tone(320), 102.0)
    assert ear.spans == [(0, 32_000)]


def test_what_stays_away_for_long_leaves_a_hole() -> None:
    ear = Ear()
    ear.hearing.heard(tone(320), 100.02)
    ear.hearing.heard(tone(320), 105.0)
    assert ear.spans == [(0, 320), (79_680, 80_000)]
