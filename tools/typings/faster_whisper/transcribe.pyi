from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ctranslate2
import numpy as np
import tokenizers
from ctranslate2.models import Whisper
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

@dataclass
class Word:
    start: float
    end: float
    word: str
    probability: float

@dataclass
class Segment:
    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: list[Word] | None
    temperature: float | None

@dataclass
class TranscriptionOptions:
    beam_size: int
    best_of: int
    patience: float
    length_penalty: float
    repetition_penalty: float
    no_repeat_ngram_size: int
    log_prob_threshold: float | None
    no_speech_threshold: float | None
    compression_ratio_threshold: float | None
    condition_on_previous_text: bool
    prompt_reset_on_temperature: float
    temperatures: list[float]
    initial_prompt: str | list[int] | None
    prefix: str | None
    suppress_blank: bool
    suppress_tokens: Sequence[int] | None
    without_timestamps: bool
    max_initial_timestamp: float
    word_timestamps: bool
    prepend_punctuations: str
    append_punctuations: str
    multilingual: bool
    max_new_tokens: int | None
    clip_timestamps: str | list[float]
    hallucination_silence_threshold: float | None
    hotwords: str | None

class WhisperModel:
    model: Whisper
    hf_tokenizer: tokenizers.Tokenizer
    feature_extractor: FeatureExtractor
    def __init__(
        self,
        model_size_or_path: str,
        device: str = "auto",
        device_index: int | list[int] = 0,
        compute_type: str = "default",
        cpu_threads: int = 0,
        num_workers: int = 1,
        download_root: str | None = None,
        local_files_only: bool = False,
    ) -> None: ...
    @property
    def supported_languages(self) -> list[str]: ...
    def encode(self, features: NDArray[np.float32]) -> ctranslate2.StorageView: ...
    def generate_segments(
        self,
        features: NDArray[np.float32],
        tokenizer: Tokenizer,
        options: TranscriptionOptions,
        log_progress: bool,
        encoder_output: ctranslate2.StorageView | None = None,
    ) -> Iterator[Segment]: ...

def get_suppressed_tokens(tokenizer: Tokenizer, suppress_tokens: list[int]) -> tuple[int, ...]: ...
