from collections.abc import Sequence

from ctranslate2 import StorageView

class WhisperAlignmentResult:
    alignments: list[tuple[int, int]]
    text_token_probs: list[float]

class Whisper:
    device: str
    compute_type: str
    is_multilingual: bool
    n_mels: int
    def align(
        self,
        features: StorageView,
        start_sequence: Sequence[int],
        text_tokens: Sequence[Sequence[int]],
        num_frames: int | list[int],
        *,
        median_filter_width: int = 7,
    ) -> list[WhisperAlignmentResult]: ...
    def detect_language(self, features: StorageView) -> list[list[tuple[str, float]]]: ...
