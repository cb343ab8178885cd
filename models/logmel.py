"""Log-mel features as OpenAI's Whisper defines them, in numpy.

16 kHz sound; a periodic Hann window of 400 samples every 160, centred, the ends mirrored; the power spectrum through
triangular filters on Slaney's mel scale, each of unit area; log10, floored 8 below the loudest, then (x + 4) / 4.
The tests hold it against ``faster_whisper.feature_extractor.FeatureExtractor`` (largest difference seen: 1e-5).
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge.values import SAMPLE_RATE

N_FFT: Final = 400
HOP: Final = 160

Floats = NDArray[np.float32]


def log_mel(sound: Floats, n_mels: int = 80) -> Floats:
    """Gives the log-mel spectrogram, shape (n_mels, samples // 160), of sound of shape (samples,), at least 201 samples."""
    padded = np.pad(sound, N_FFT // 2, mode="reflect")
    frames = sliding_window_view(padded, N_FFT)[::HOP][: len(sound) // HOP]  # (frames, 400), a view
    # In double precision, as transformers computes it: Smart Turn's network is quantised, and features that differ by 1e-5
    # move its output by up to 0.07.
    spectrum = np.fft.rfft(frames * _window(), axis=1)  # (frames, 201)
    mel = mel_filters(n_mels) @ (spectrum.real**2 + spectrum.imag**2).T  # (n_mels, frames)
    log = np.log10(np.maximum(mel, 1e-10))
    return ((np.maximum(log, float(log.max()) - 8.0) + 4.0) / 4.0).astype(np.float32)


@cache
def mel_filters(n_mels: int = 80) -> NDArray[np.float64]:
    """Gives the filters, shape (n_mels, 201), on Slaney's mel scale: linear to 1 kHz, logarithmic above."""
    top = _hertz_to_mel(SAMPLE_RATE / 2)
    edges = _mel_to_hertz(np.linspace(0.0, top, n_mels + 2))
    bins = np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE)
    widths = np.diff(edges)
    slopes = edges[:, None] - bins[None, :]  # (n_mels + 2, 201)
    rising = -slopes[:-2] / widths[:-1, None]
    falling = slopes[2:] / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    areas = 2.0 / (edges[2:] - edges[:-2])
    return triangles * areas[:, None]


KNEE_HZ: Final = 1000.0
KNEE_MEL: Final = 15.0
LOG_STEP: Final = np.log(6.4) / 27.0


def _hertz_to_mel(hertz: float) -> float:
    return float(KNEE_MEL + np.log(hertz / KNEE_HZ) / LOG_STEP) if hertz >= KNEE_HZ else hertz * KNEE_MEL / KNEE_HZ


def _mel_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = mel * KNEE_HZ / KNEE_MEL
    return np.where(mel >= KNEE_MEL, KNEE_HZ * np.exp(LOG_STEP * (mel - KNEE_MEL)), linear)


@cache
def _window() -> NDArray[np.float64]:
    return np.hanning(N_FFT + 1)[:-1]
