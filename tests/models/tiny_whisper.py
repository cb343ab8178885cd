"""Whisper models small enough to be made by a test: real files, the real loader, the whole path of faster-whisper.

CTranslate2 tells languages, times and whether a model is multilingual (an empty token) by its vocabulary, which is therefore as
long as the published ones and in their order; the network behind it has two layers of 64 values. ``random_whisper`` has seeded
random weights: what it says is noise. In ``scripted_whisper`` the weights are chosen by hand, so that what must come out is
known:

- each token leads to the next one of a script, whatever is heard: a prefix is gone on from;
- cross-attention looks, for the n-th word, at the sound ``START_S + n * STEP_S``: the times of words are known;
- self-attention is uniform and carries one feature, "Ada was named": with it in the prompt "Eda" becomes "Ada", as with a
  real model and its hotwords.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

WIDTH: Final = 64
HEADS: Final = 2
LAYERS: Final = 2
MELS: Final = 80
POSITIONS: Final = 1500
LENGTH: Final = 448
START_S: Final = 0.4
STEP_S: Final = 0.4
SAID: Final = ((" The", " quick", " brown", " fox", " met", " Eda"), (" near", " a", " cold", " river", "."))
"""What the scripted model hears in anything: two segments."""
TRANSLATED: Final = (" This", " is", " English")
NAMED: Final = " Ada"
FIRST_END_S: Final = 2.8
"""The timestamp token behind the first segment."""
LANGUAGES: Final = tuple(
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml cy sk "
    "te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo "
    "ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su".split()
)

_NAME, _NAMED, _SINE, _COSINE = range(WIDTH - 1, WIDTH - 5, -1)
"""Dimensions with a meaning of their own: this token is the name; it stands somewhere before; where to look."""
_GAIN: Final = 3.0


@dataclass(frozen=True)
class Shape:
    """Which kind of Whisper it is."""

    multilingual: bool = True
    encoder_layers: int = 1
    """Most of the time of a test goes into them."""
    loop: bool = False
    """Whether the last word leads to itself."""
    steps: bool = False
    """Whether a decode says only the first segment and goes on behind it, as Whisper does in long recordings."""


class Vocabulary:
    """Whisper's tokens in Whisper's order: text, then the special ones, then 1,501 timestamps."""

    def __init__(self, multilingual: bool) -> None:
        from tokenizers import pre_tokenizers

        words = [word for part in SAID for word in part] + [*TRANSLATED, NAMED, " Hello"]
        pieces = {sign: number for number, sign in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
        self.merges: list[tuple[str, str]] = []
        for word in words:
            self._learn("".join("\u0120" if sign == " " else sign for sign in word), pieces)
        for number in range(50256 - len(pieces)):
            pieces[f"\u0120z{number}"] = len(pieces)
        if multilingual:
            pieces[""] = len(pieces)
        self.pieces = pieces
        self.special = [
            "<|endoftext|>",
            "<|startoftranscript|>",
            *(f"<|{language}|>" for language in LANGUAGES),
            *("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
        ]
        self.times = [f"<|{step * 0.02:.2f}|>" for step in range(1501)]
        self.tokens = [*pieces, *self.special, *self.times]
        self._ids = {token: number for number, token in enumerate(self.tokens)}

    def _learn(self, word: str, pieces: dict[str, int]) -> None:
        for end in range(2, len(word) + 1):
            if word[:end] not in pieces:
                pieces[word[:end]] = len(pieces)
                self.merges.append((word[: end - 1], word[end - 1]))

    def id(self, token: str) -> int:
        """Gives the number of a token; a blank at its beginning is the byte's printable sign."""
        return self._ids[token.replace(" ", "\u0120")]

    def save(self, folder: Path) -> None:
        """Writes ``tokenizer.json``."""
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

        tokenizer = Tokenizer(models.BPE(vocab=self.pieces, merges=self.merges))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([AddedToken(token, special=True) for token in self.special])
        tokenizer.add_tokens([AddedToken(token, special=False) for token in self.times])
        tokenizer.save(str(folder / "tokenizer.json"))


@cache
def _vocabulary(multilingual: bool) -> Vocabulary:
    return Vocabulary(multilingual)


def scripted_whisper(folder: Path, shape: Shape | None = None) -> Path:
    """Writes a model that hears ``SAID``, or ``TRANSLATED`` where it is asked to translate, in anything."""
    shape = shape or Shape()
    vocabulary = _vocabulary(shape.multilingual)
    spec = _silent(shape, len(vocabulary.tokens))
    script = _Script(vocabulary)
    _write_script(script, shape)
    _look(spec, script)
    script.fill(spec)
    _name(spec, vocabulary)
    return _save(spec, vocabulary, folder)


def random_whisper(folder: Path, seed: int = 0) -> Path:
    """Writes a multilingual model of seeded random weights."""
    vocabulary = _vocabulary(multilingual=True)
    spec = _silent(Shape(), len(vocabulary.tokens))
    random = np.random.default_rng(seed)

    def shake(layer: Any) -> None:
        for name, value in vars(layer).items():
            if isinstance(value, np.ndarray) and value.ndim > 1:
                setattr(layer, name, np.asarray(random.normal(0, 0.3, value.shape), np.float32))

    for layer in _layers_of(spec):
        shake(layer)
    return _save(spec, vocabulary, folder)


def _layers_of(spec: Any) -> Iterable[Any]:
    from ctranslate2.specs.model_spec import LayerSpec

    yield spec
    for value in vars(spec).values():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, LayerSpec):
                yield from _layers_of(each)


class _Script:
    """Which token leads to which, as embeddings and projection."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.id = vocabulary.id
        self.codes: dict[int, int] = {}
        """Each token's own dimension."""
        size = len(vocabulary.tokens)
        self.embedding: Matrix = np.zeros((size, WIDTH), np.float32)
        self.projection: Matrix = np.zeros((size, WIDTH), np.float32)

    def code(self, token: str) -> int:
        number = self.id(token)
        if number not in self.codes:
            self.codes[number] = len(self.codes)
            assert self.codes[number] < _COSINE, "the script is too long for the network's width"
            self.embedding[number, self.codes[number]] = 1.0
        return self.codes[number]

    def lead(self, token: str, following: str, gain: float = _GAIN) -> None:
        self.projection[self.id(following), self.code(token)] = gain

    def chain(self, tokens: Sequence[str]) -> None:
        for token, following in zip(tokens, tokens[1:], strict=False):
            self.lead(token, following)

    def fill(self, spec: Any) -> None:
        spec.decoder.embeddings.weight = self.embedding
        spec.decoder.projection.weight = self.projection


def _write_script(script: _Script, shape: Shape) -> None:
    first, second = SAID
    end = "<|endoftext|>"
    here = f"<|{FIRST_END_S:.2f}|>"
    on = f"<|{FIRST_END_S + 0.02:.2f}|>"
    opening = "<|transcribe|>" if shape.multilingual else "<|startoftranscript|>"
    script.chain([opening, "<|0.00|>", first[0]])
    script.chain(["<|notimestamps|>", first[0]])
    script.chain([*first, here, on])
    script.chain([on, end] if shape.steps else [on, *second])
    if shape.loop:
        script.chain([second[0], second[0]])
    else:
        script.chain([*second, "<|5.00|>", end])
    script.chain(["<|translate|>", "<|0.02|>", *TRANSLATED, "<|3.00|>", end])
    script.chain([NAMED, here])
    script.lead(first[-2], NAMED, _GAIN - 0.2)
    if shape.multilingual:
        for place, language in enumerate(LANGUAGES):
            script.lead("<|startoftranscript|>", f"<|{language}|>", _GAIN / (1 + place / 4))


def _name(spec: Any, vocabulary: Vocabulary) -> None:
    """Lets the first layer say whether Ada was named, and the projection prefer her then."""
    name = vocabulary.id(NAMED)
    spec.decoder.embeddings.weight[name, _NAME] = 1.0
    attention = spec.decoder.layer[0].self_attention
    attention.linear[0].weight[2 * WIDTH + _NAMED, _NAME] = 0.5
    attention.linear[1].weight[_NAMED, _NAMED] = 1.0
    spec.decoder.projection.weight[name, _NAMED] = 4.0


def _look(spec: Any, script: _Script) -> None:
    """Lets both layers' cross-attention look where each word is said: positions lie on half a circle."""
    angle = np.pi / POSITIONS
    at = np.arange(POSITIONS) * angle
    places: Matrix = np.zeros((POSITIONS, WIDTH), np.float32)
    places[:, _COSINE], places[:, _SINE] = np.cos(at), np.sin(at)
    spec.encoder.position_encodings.encodings = places
    sharp = 60.0
    for layer in spec.decoder.layer:
        query, key_value = layer.attention.linear[:2]
        for order, token in enumerate(_before()):
            place = (START_S + order * STEP_S) / 0.02 * angle
            query.weight[:2, script.code(token)] = sharp * np.cos(place), sharp * np.sin(place)
        # Behind the layer's norm a code is not 1 among zeros but has the same small negative value everywhere else.
        query.bias[:2] = query.weight[:2].sum(axis=1) / np.sqrt(WIDTH - 1)
        key_value.weight[0, _COSINE] = key_value.weight[1, _SINE] = 4.0


def _before() -> list[str]:
    """The decoder looks at a word's sound while it reads the token before it; an alignment begins with ``notimestamps``."""
    return ["<|notimestamps|>", *SAID[0], *SAID[1]]


def _silent(shape: Shape, size: int) -> Any:
    """Makes a network whose layers add nothing."""
    from ctranslate2.specs import WhisperSpec

    spec = WhisperSpec(shape.encoder_layers, HEADS, LAYERS, HEADS)
    encoder, decoder = spec.encoder, spec.decoder
    _linear(encoder.conv1, (WIDTH, MELS, 3))
    _linear(encoder.conv2, (WIDTH, WIDTH, 3))
    encoder.position_encodings.encodings = np.zeros((POSITIONS, WIDTH), np.float32)
    decoder.position_encodings.encodings = np.zeros((LENGTH, WIDTH), np.float32)
    decoder.embeddings.weight = np.zeros((size, WIDTH), np.float32)
    decoder.projection.weight = np.zeros((size, WIDTH), np.float32)
    for part in (encoder, decoder):
        _norm(part.layer_norm)
        for layer in part.layer:
            _attention(layer.self_attention, (3 * WIDTH, WIDTH))
            if part is decoder:
                _attention(layer.attention, (WIDTH, 2 * WIDTH, WIDTH))
            _norm(layer.ffn.layer_norm)
            _linear(layer.ffn.linear_0, (4 * WIDTH, WIDTH))
            _linear(layer.ffn.linear_1, (WIDTH, 4 * WIDTH))
    return spec


def _attention(attention: Any, widths: Sequence[int]) -> None:
    _norm(attention.layer_norm)
    for linear, width in zip(attention.linear, widths, strict=True):
        _linear(linear, (width, WIDTH))


def _linear(linear: Any, shape: tuple[int, ...]) -> None:
    linear.weight = np.zeros(shape, np.float32)
    linear.bias = np.zeros(shape[0], np.float32)


def _norm(norm: Any) -> None:
    norm.gamma, norm.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)


def _save(spec: Any, vocabulary: Vocabulary, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    spec.register_vocabulary(vocabulary.tokens)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [vocabulary.id("<|endoftext|>")]
    spec.config.lang_ids = [vocabulary.id(f"<|{language}|>") for language in LANGUAGES]
    spec.config.alignment_heads = [(layer, 0) for layer in range(LAYERS)]
    spec.validate()
    spec.optimize(quantization=None)
    spec.save(str(folder))
    vocabulary.save(folder)
    preprocessor = {"feature_size": MELS, "sampling_rate": 16000, "hop_length": 160, "chunk_length": 30, "n_fft": 400}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")
    return folder
