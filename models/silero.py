"""Voice activity by Silero VAD v6, the ONNX file that faster-whisper's wheel carries (MIT).

The network sees 512 new samples behind the last 64 it has seen, and hands a state of 2 x 128 numbers on. Only the file is
taken from the wheel: importing ``faster_whisper`` itself costs a second and 100 MB. ``tests/models/test_silero.py`` holds
the probabilities against those of ``faster_whisper.vad`` on the same sound.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import EngineMissing
from edge.values import EngineInfo, Pcm

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

WINDOW: Final = 512
CONTEXT: Final = 64
"""Samples before the window that the network also wants to see."""
STATE: Final = (1, 1, 128)


class Silero:
    """Tells speech from the rest, 32 ms at a time. Implements ``edge.ports.VoiceActivity``."""

    window: int = WINDOW

    def __init__(self) -> None:
        self._session: InferenceSession | None = None
        self.reset()

    @property
    def info(self) -> EngineInfo:
        """Name, version of the wheel, model and licence."""
        return EngineInfo("silero", version("faster-whisper"), "silero_vad_v6", "MIT")

    def open(self) -> None:
        """Loads the network. Raises EngineMissing where faster-whisper or onnxruntime is not installed."""
        if self._session is not None:
            return
        path = _asset()
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineMissing("voice activity needs the package onnxruntime: pip install onnxruntime") from error
        options = onnxruntime.SessionOptions()
        # One thread: a window takes 0.1 ms, and a pool of spinning threads would cost more than the network.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def close(self) -> None:
        """Frees the network."""
        self._session = None

    def reset(self) -> None:
        """Forgets the sound so far."""
        self._input: NDArray[np.float32] = np.zeros((1, CONTEXT + WINDOW), np.float32)
        self._h: NDArray[np.float32] = np.zeros(STATE, np.float32)
        self._c: NDArray[np.float32] = np.zeros(STATE, np.float32)

    def probability(self, pcm: Pcm) -> float:
        """Takes the next 512 samples; gives the probability that somebody speaks in them."""
        if self._session is None:
            raise RuntimeError("Silero.probability before open()")
        if pcm.shape != (WINDOW,):
            raise ValueError(f"Silero judges {WINDOW} samples at a time, not {pcm.shape}")
        self._input[0, :CONTEXT] = self._input[0, WINDOW:]
        self._input[0, CONTEXT:] = pcm
        self._input[0, CONTEXT:] /= 32768.0
        output, self._h, self._c = self._session.run(None, {"input": self._input, "h": self._h, "c": self._c})
        return float(output.item())


def _asset() -> Path:
    spec = find_spec("faster_whisper")
    folders = () if spec is None else spec.submodule_search_locations or ()
    for folder in folders:
        path = Path(folder) / "assets" / "silero_vad_v6.onnx"
        if path.is_file():
            return path
    raise EngineMissing(
        "voice activity needs the Silero file of the package faster-whisper: pip install 'faster-whisper>=1.2.1'"
    )
