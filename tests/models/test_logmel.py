import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from models.logmel import log_mel, mel_filters
from tests.models.sounds import hiss


@pytest.mark.parametrize("n_mels", [80, 128])
def test_filters_like_faster_whisper(n_mels: int) -> None:
    np.testing.assert_allclose(mel_filters(n_mels), FeatureExtractor.get_mel_filters(16_000, 400, n_mels), atol=1e-9)


@pytest.mark.parametrize("samples", [400, 16_000, 31_999, 128_000])
def test_features_like_faster_whisper(samples: int) -> None:
    sweep = 9000 * np.sin(np.cumsum(np.linspace(0.02, 2.5, samples)))
    sound = hiss(samples / 16_000, under=sweep.astype(np.int16)).astype(np.float32) / np.float32(32768)
    theirs = FeatureExtractor(chunk_length=8)(sound, padding=0)  # in single precision
    np.testing.assert_allclose(log_mel(sound), theirs[:, : samples // 160], atol=1e-4)


def test_silence_is_flat() -> None:
    assert np.ptp(log_mel(np.zeros(16_000, np.float32))) == 0
