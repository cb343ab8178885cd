from collections.abc import Callable, Sequence

from ctranslate2 import models as models

class StorageView:
    @property
    def shape(self) -> list[int]: ...

def get_cuda_device_count() -> int: ...
def get_supported_compute_types(device: str, device_index: int = 0) -> set[str]: ...

class GenerationStepResult:
    step: int
    token: str
    is_last: bool

class TranslationResult:
    hypotheses: list[list[str]]

class Translator:
    device: str
    compute_type: str
    def __init__(
        self,
        model_path: str,
        device: str = "cpu",
        *,
        compute_type: str = "default",
        inter_threads: int = 1,
        intra_threads: int = 0,
    ) -> None: ...
    def translate_batch(
        self,
        source: list[list[str]],
        target_prefix: Sequence[list[str]] | None = None,
        *,
        beam_size: int = 2,
        num_hypotheses: int = 1,
        repetition_penalty: float = 1,
        no_repeat_ngram_size: int = 0,
        disable_unk: bool = False,
        return_end_token: bool = False,
        max_input_length: int = 1024,
        max_decoding_length: int = 256,
        min_decoding_length: int = 1,
        return_alternatives: bool = False,
        replace_unknowns: bool = False,
        callback: Callable[[GenerationStepResult], bool] | None = None,
    ) -> list[TranslationResult]: ...
