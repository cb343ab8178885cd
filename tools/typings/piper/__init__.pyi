from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

class _Session(Protocol):
    def run(self, names: Sequence[str] | None, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]: ...

class PiperConfig:
    num_speakers: int
    sample_rate: int
    length_scale: float
    phoneme_id_map: Mapping[str, Sequence[int]]
    @staticmethod
    def from_dict(config: dict[str, Any]) -> PiperConfig: ...

class SynthesisConfig:
    def __init__(self, speaker_id: int | None = None, length_scale: float | None = None) -> None: ...

class PiperVoice:
    config: PiperConfig
    def __init__(self, session: _Session, config: PiperConfig) -> None: ...
    def phonemize(self, text: str) -> list[list[str]]: ...
    def phonemes_to_ids(self, phonemes: list[str]) -> list[int]: ...
    def phoneme_ids_to_audio(
        self, phoneme_ids: list[int], syn_config: SynthesisConfig, include_alignments: bool
    ) -> NDArray[np.float32] | tuple[NDArray[np.float32], NDArray[np.int64] | None]: ...
