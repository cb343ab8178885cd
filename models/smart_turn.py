"""End of turn by Smart Turn v3.2: a Whisper-tiny encoder that hears whether a sentence was finished (BSD-2, pipecat-ai).

The network takes the last 8 s of the turn, silence put before a shorter one, as log-mel features of the sound scaled to
zero mean and unit variance. It wants to hear some of the pause: its authors call it 0.2 s after the last speech.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edge.errors import EngineMissing, ModelCorrupt, ModelMissing
from edge.values import SAMPLE_RATE, EngineInfo, Pcm
from models.logmel import Floats, log_mel

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SPAN: Final = 8 * SAMPLE_RATE
"""Samples that the network hears."""
VARIANCE_FLOOR: Final = 1e-7
"""As in transformers' WhisperFeatureExtractor, with which the network was trained."""


class SmartTurn:
    """Tells a pause from an end. Implements ``edge.ports.EndOfTurn``."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Takes the ONNX file and how many threads one call may use."""
        self._path = path
        self._threads = threads
        self._session: InferenceSession | None = None

    @property
    def info(self) -> EngineInfo:
        """Name, version, model file and licence."""
        return EngineInfo("smart-turn", "3.2", self._path.name, "BSD-2-Clause")

    def open(self) -> None:
        """Loads the network. Raises EngineMissing, ModelMissing, ModelCorrupt."""
        if self._session is not None:
            return
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineMissing("end of turn needs the package onnxruntime: pip install onnxruntime") from error
        if not self._path.is_file():
            raise ModelMissing("smart-turn-v3.2 is not installed: run nearsight models pull smart-turn-v3.2")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # The network runs once a pause. Threads that spin in between would keep a core busy for nothing.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(str(self._path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no common public base below Exception
            raise ModelCorrupt(f"{self._path.name} is not a network that onnxruntime can load: {error}") from error
        self._session = session

    def close(self) -> None:
        """Frees the network."""
        self._session = None

    def probability(self, pcm: Pcm) -> float:
        """Takes the sound of the turn so far, any length; gives the probability that the speaker has finished."""
        if self._session is None:
            raise RuntimeError("SmartTurn.probability before open()")
        outputs = self._session.run(None, {"input_features": turn_features(pcm)[None]})
        return float(outputs[0].item())


def turn_features(pcm: Pcm) -> Floats:
    """Gives what the network hears of a turn: log-mel features, shape (80, 800)."""
    sound: Floats = np.zeros(SPAN, np.float32)
    tail = pcm[-SPAN:]
    if len(tail):
        sound[-len(tail) :] = tail
        sound /= 32768.0
    # The padding takes part in mean and variance, as it did in training.
    sound = (sound - sound.mean()) / np.sqrt(sound.var() + VARIANCE_FLOOR)
    return log_mel(sound)
