"""Speech made at test time. It is synthetic, so tests need no recordings."""

import shutil
import subprocess
import wave
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from edge.values import Pcm


@cache
def flite(text: str, voice: str = "slt", lead: float = 0.3, tail: float = 0.2) -> Pcm:
    """Speaks ``text`` in a faint hiss, with seconds of hiss around it; skips the test, loudly, where flite is missing."""
    if shutil.which("flite") is None:
        pytest.skip("FLITE MISSING: apt-get install flite")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True, capture_output=True)
        with wave.open(str(path)) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16_000, 1, 2)
            pcm = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    return hiss(lead + len(pcm) / 16_000 + tail, under=pcm, at=lead)


def hiss(seconds: float, under: Pcm | None = None, at: float = 0.0, amplitude: float = 8.0) -> Pcm:
    """Makes white noise, the same every time, and lays ``under`` it at a time in seconds."""
    noise = np.random.default_rng(1).normal(0, amplitude, round(seconds * 16_000))
    if under is not None:
        start = round(at * 16_000)
        noise[start : start + len(under)] += under[: len(noise) - start]
    return np.clip(noise, -32768, 32767).astype(np.int16)
