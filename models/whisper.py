"""Whisper (OpenAI, MIT; arXiv 2212.04356) by faster-whisper on CTranslate2: one buffer of speech in, timed words out.

It knows no streams: ``edge.runtime.streaming`` decides when a buffer is decoded, and which words stand. What differs from
``WhisperModel.transcribe``, each for a reason:

- the encoder, most of a short decode on a processor, runs once for all that is asked of a buffer: ``identify``, ``decode`` and
  ``attend`` share its output, where ``transcribe`` encodes anew for the language and again for the text;
- nothing is conditioned on the text before, save what the request names: a wrong word would breed the next (arXiv 2501.11378);
- the tokens of a decode are bounded by its seconds (WhisperLiveKit's max(50, 15 * s * 1.5)), and so are its windows: a loop
  would fill all 448 tokens, and may then move on by a hundredth of a second and fill them again;
- a request that is not ``thorough`` is decoded greedily and once: the next update decodes the same sound anew;
- there is no voice gate here: silence that is asked about is decoded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.decoding import Decoded, DecodeRequest, Segment
from edge.errors import EngineMissing, ModelCorrupt, TooLarge, UsageError
from edge.ports import Stop
from edge.tables import nearest
from edge.values import EngineInfo, Pcm, Word, samples
from models.ct2 import choose, failures
from models.whisper_files import check_folder

if TYPE_CHECKING:
    import faster_whisper.transcribe as library
    from ctranslate2 import StorageView
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer

LONGEST: Final = samples(30.0)
"""What the encoder takes at a time."""
SHORTEST: Final = samples(0.1)
"""Less holds no word."""
FRAME: Final = samples(0.02)
"""Sound behind one position of the encoder's output."""
LENGTH: Final = 448
"""Positions of the decoder: prompt and answer together."""
HALF: Final = LENGTH // 2 - 1
"""Tokens of context, hotwords or prefix at most, each: faster-whisper's own bound."""
WINDOWS: Final = 8
"""Decodes that one buffer may take: speech takes one, or two or three when a segment ends within."""
TEMPERATURES: Final = (0.0, 0.4, 0.8)
"""What a thorough decode tries in turn while its text repeats itself or is unlikely. OpenAI's has six steps; a wearer waits."""
_OPENING: Final = "\"'“¿([{-"
_CLOSING: Final = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001  # the punctuation of other scripts is meant
_UNSPACED: Final = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
_WHISPERS: Final = {"nb": "no", "jv": "jw", "fil": "tl", "iw": "he", "in": "id", "cmn": "zh"}
"""Where its names of languages are not those of BCP 47."""
_TAGS: Final = {"jw": "jv"}


@dataclass(frozen=True, slots=True)
class _Heard:
    """A buffer, as the encoder heard it."""

    pcm: Pcm
    features: NDArray[np.float32]
    """Log-mel spectrogram, shape (mel bands, frames of 10 ms)."""
    encoded: StorageView

    @property
    def frames(self) -> int:
        """Frames of 10 ms with sound in them: the last one is of faster-whisper's padding."""
        return int(self.features.shape[-1]) - 1


@dataclass(frozen=True, slots=True)
class _Loaded:
    """An open model."""

    model: WhisperModel
    codes: tuple[str, ...]
    """The languages that it was taught, by Whisper's own names."""
    translates: bool


class WhisperDecoder:
    """Implements ``edge.ports.SpeechDecoder``. A word's confidence is the mean probability of its tokens.

    Two decodes of one buffer are alike, but for a thorough one that falls back to temperatures above 0.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "auto",
        compute_type: str = "",
        threads: int = 0,
        beam: int = 5,
        languages: Sequence[str] = (),
    ) -> None:
        """Takes a folder with ``model.bin`` in it; nothing is ever fetched.

        ``compute_type``: as CTranslate2 names them; empty for float16 on a GPU and int8 on a processor. ``threads``: on a
        processor; 0 for CTranslate2's choice. ``beam``: width of the search in thorough decodes. ``languages``: what the model
        was taught, where its vocabulary claims more (distil-whisper's has all, and it knows English); ``mul`` for all of them.
        """
        self._folder = folder
        self._device = device
        self._compute_type = compute_type
        self._threads = threads
        self._beam = beam
        self._taught = () if "mul" in languages else tuple(_primary(tag) for tag in languages)
        self._loaded: _Loaded | None = None
        self._heard: _Heard | None = None
        self._task = "transcribe"

    @property
    def info(self) -> EngineInfo:
        """Name, version, model and licence; once it is open, where and in which type it computes."""
        details = {}
        if self._loaded is not None:
            inner = self._loaded.model.model
            details = {"device": inner.device, "compute_type": inner.compute_type}
        try:
            number = version("faster-whisper")
        except PackageNotFoundError:
            number = ""
        return EngineInfo("faster-whisper", number, self._folder.name, "MIT", details)

    def open(self) -> None:
        """Checks the files and loads them.

        Raises EngineMissing, ModelMissing, ModelCorrupt, OutOfMemory, DeviceMissing, EngineFailed.
        """
        if self._loaded is not None:
            return
        facts = check_folder(self._folder)
        device, compute_type = choose(self._device, self._compute_type)
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise EngineMissing("faster-whisper is not installed: run pip install 'faster-whisper>=1.2.1'") from error
        with failures(self._folder.name):
            model = WhisperModel(
                str(self._folder),
                device=device,
                compute_type=compute_type,
                cpu_threads=self._threads,
                local_files_only=True,
            )
        bands = model.feature_extractor.mel_filters.shape[0]
        if bands != model.model.n_mels:
            raise ModelCorrupt(
                f"{self._folder / 'preprocessor_config.json'}: {bands} mel bands for a model of {model.model.n_mels}"
            )
        known = [code for code in model.supported_languages if model.hf_tokenizer.token_to_id(f"<|{code}|>") is not None]
        codes = tuple(code for code in known if not self._taught or code in self._taught)
        if not codes:
            raise UsageError(f"{self._folder.name} knows none of these languages: {', '.join(self._taught)}")
        self._loaded = _Loaded(model, codes, model.model.is_multilingual and not facts.distilled)

    def close(self) -> None:
        """Frees the model."""
        self._loaded = self._heard = None

    @property
    def languages(self) -> tuple[str, ...]:
        """The BCP 47 tags that it knows; it must be open."""
        return tuple(_TAGS.get(code, code) for code in self._opened().codes)

    def decode(self, pcm: Pcm, request: DecodeRequest, stop: Stop) -> Decoded:
        """Gives what was said in at most 30 s; ends early, with what there is, once ``stop`` is set.

        The flag is looked at after the encoder and after each segment; a window that has begun is not stopped. With a
        ``prefix`` the answer begins with it.

        Raises UsageError for a language or a task that the model was not taught; TooLarge, OutOfMemory, EngineFailed.
        """
        loaded = self._opened()
        language = self._language(request.language)
        self._check_task(request.task)
        if len(pcm) < SHORTEST or stop:
            return Decoded(language=_TAGS.get(language, language))
        with failures(self._folder.name):
            heard = self._hear(pcm)
            likely = 1.0
            if not language:
                language, likely = next(iter(self._likeliest(heard)), (loaded.codes[0], 0.0))
            found: list[Segment] = []
            if not stop:
                self._task = request.task
                found = list(
                    self._segments(loaded.model, heard, _tokenizer(loaded.model, request.task, language), request, stop)
                )
        return Decoded(tuple(found), _TAGS.get(language, language), likely)

    def attend(self, pcm: Pcm, decoded: Decoded, stop: Stop) -> tuple[int, ...]:
        """Gives for each word the last sample that the model looked at when it wrote it.

        That is where the word's last token lies on the best path through the alignment heads' cross-attention, its median
        taken over 7 positions (``Whisper.align``): CTranslate2 gives no attention but this, and one decoder pass more is its
        price. Once ``stop`` is set it gives the words' ends.
        """
        loaded = self._opened()
        words = decoded.words
        if not words or stop or len(pcm) < SHORTEST:
            return tuple(word.end for word in words)
        tokenizer = _tokenizer(loaded.model, self._task, self._language(decoded.language) or loaded.codes[0])
        blank = "" if tokenizer.language_code in _UNSPACED else " "
        pieces = [tokenizer.encode(blank + _plain(word.text)) for word in words]
        tokens = [token for piece in pieces for token in piece][: LENGTH - len(tokenizer.sot_sequence) - 2]
        with failures(self._folder.name):
            heard = self._hear(pcm)
            found = loaded.model.model.align(
                heard.encoded, tokenizer.sot_sequence, [tokens], heard.frames, median_filter_width=7
            )
        return last_samples(found[0].alignments, [len(piece) for piece in pieces], len(pcm))

    def identify(self, pcm: Pcm, stop: Stop) -> tuple[tuple[str, float], ...]:
        """Gives languages with their probabilities, likeliest first; none of too little sound, or once ``stop`` is set."""
        codes = self._opened().codes
        if len(codes) == 1:
            return ((codes[0], 1.0),)
        if len(pcm) < SHORTEST or stop:
            return ()
        with failures(self._folder.name):
            found = self._likeliest(self._hear(pcm))
        return tuple((_TAGS.get(code, code), probability) for code, probability in found)

    def _opened(self) -> _Loaded:
        if self._loaded is None:
            raise RuntimeError("WhisperDecoder is not open")
        return self._loaded

    def _language(self, tag: str) -> str:
        """Gives Whisper's name of a language; empty where the model is to tell."""
        codes = self._opened().codes
        if len(codes) == 1 and not tag:
            return codes[0]
        code = _primary(tag)
        if code and code not in codes:
            raise UsageError(f"{self._folder.name} does not know the language {tag!r}: {nearest(code, codes)}")
        return code

    def _check_task(self, task: str) -> None:
        if task not in ("transcribe", "translate"):
            raise UsageError(f"a speech decoder cannot {task!r}: {nearest(task, ('transcribe', 'translate'))}")
        if task == "translate" and not self._opened().translates:
            raise UsageError(
                f"{self._folder.name} was not taught to translate: take faster-whisper-small, -medium or -large-v3"
            )

    def _hear(self, pcm: Pcm) -> _Heard:
        """Encodes a buffer, unless it is the last one still."""
        from faster_whisper.audio import pad_or_trim

        if len(pcm) > LONGEST:
            raise TooLarge(f"{len(pcm) / samples(1):.1f} s of sound: Whisper takes 30 s at a time")
        if self._heard is None or not np.array_equal(self._heard.pcm, pcm):
            model = self._opened().model
            self._heard = None  # the old one is freed before the new one is made
            features = model.feature_extractor(pcm.astype(np.float32) / np.float32(32768))
            self._heard = _Heard(pcm.copy(), features, model.encode(pad_or_trim(features[:, : features.shape[-1] - 1])))
        return self._heard

    def _likeliest(self, heard: _Heard) -> list[tuple[str, float]]:
        codes = self._opened().codes
        found = [(token[2:-2], float(p)) for token, p in self._opened().model.model.detect_language(heard.encoded)[0]]
        return [(code, p) for code, p in found if code in codes]

    def _segments(
        self, model: WhisperModel, heard: _Heard, tokenizer: Tokenizer, request: DecodeRequest, stop: Stop
    ) -> Iterator[Segment]:
        windows: set[int] = set()
        options = self._options(tokenizer, request, len(heard.pcm))
        for segment in model.generate_segments(heard.features, tokenizer, options, False, heard.encoded):
            windows.add(segment.seek)
            if len(windows) > WINDOWS:
                return
            yield _segment(segment, len(heard.pcm))
            if stop:
                return

    def _options(self, tokenizer: Tokenizer, request: DecodeRequest, size: int) -> library.TranscriptionOptions:
        from faster_whisper.transcribe import TranscriptionOptions, get_suppressed_tokens

        prefix = _plain(request.prefix)
        hotwords = "" if prefix else _plain(request.hotwords)
        context, longest = _budget(tokenizer, _plain(request.context), prefix or hotwords, size)
        return TranscriptionOptions(
            beam_size=self._beam if request.thorough else 1,
            best_of=self._beam,
            patience=1,
            length_penalty=1,
            repetition_penalty=1,
            no_repeat_ngram_size=0,
            log_prob_threshold=-1.0,
            no_speech_threshold=0.6,
            compression_ratio_threshold=2.4,
            condition_on_previous_text=False,
            prompt_reset_on_temperature=0.5,
            temperatures=list(TEMPERATURES if request.thorough else TEMPERATURES[:1]),
            initial_prompt=context or None,
            prefix=prefix or None,
            suppress_blank=True,
            suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
            without_timestamps=False,
            max_initial_timestamp=1.0,
            word_timestamps=True,
            prepend_punctuations=_OPENING,
            append_punctuations=_CLOSING,
            multilingual=False,
            max_new_tokens=longest,
            clip_timestamps=[0.0],
            hallucination_silence_threshold=None,
            hotwords=hotwords or None,
        )


def last_samples(path: Sequence[tuple[int, int]], lengths: Sequence[int], size: int) -> tuple[int, ...]:
    """Gives for each word the end of the last position that its last token is aligned with, at most ``size``.

    ``path`` has pairs of token and position, in order; ``lengths`` are the words' numbers of tokens.
    """
    last = dict(path)
    ends, token = [], -1
    for length in lengths:
        token += length
        ends.append(min((last[token] + 1) * FRAME, size) if token in last else size)
    return tuple(ends)


def _budget(tokenizer: Tokenizer, context: str, beside: str, size: int) -> tuple[list[int], int]:
    """Gives the context's last tokens and the number of new ones, such that all fit into the decoder.

    ``beside`` is the prefix or the hotwords. New words come first, then ``beside``, then the context.
    """
    longest = min(max(50, math.ceil(15 * size / samples(1) * 1.5)), LENGTH // 2)
    taken = len(tokenizer.sot_sequence) + 2 + min(len(tokenizer.encode(f" {beside}")) if beside else 0, HALF)
    longest = min(longest, LENGTH - taken)
    room = min(LENGTH - taken - longest, HALF)
    tokens = tokenizer.encode(f" {context}") if context else []
    return tokens[max(0, len(tokens) - room) :], longest


def _tokenizer(model: WhisperModel, task: str, language: str) -> Tokenizer:
    from faster_whisper.tokenizer import Tokenizer

    return Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task=task, language=language)


def _segment(segment: Any, size: int) -> Segment:
    words = []
    for word in segment.words or ():
        start, end = _within(word.start, size), _within(word.end, size)
        if text := word.word.strip():
            words.append(Word(text, start, max(start, end), min(1.0, max(0.0, float(word.probability)))))
    start, end = _within(segment.start, size), _within(segment.end, size)
    return Segment(tuple(words), start, max(start, end), float(segment.no_speech_prob), float(segment.avg_logprob))


def _within(seconds: float, size: int) -> int:
    return min(size, max(0, samples(seconds)))


def _primary(tag: str) -> str:
    """Gives Whisper's name for the language of a BCP 47 tag: of ``en-GB`` the first part."""
    first = tag.replace("_", "-").partition("-")[0].lower()
    return _WHISPERS.get(first, first)


def _plain(text: str) -> str:
    """Gives a text in which nothing reads as one of the model's control tokens."""
    return " ".join(text.replace("<|", "< |").split())
