"""Translation models small enough to be made by a test: real files of each family, the real loader, the real decoder.

The network is a Transformer of one layer whose weights are chosen by hand, so that what must come out is known: the decoder's
cross-attention looks from each position at the same position of the source (one later where the source begins with a language
token and the target does not), and the projection has, for each source token, the token of a dictionary. What it was given as
its beginning it therefore goes on from. Its vocabulary and its files are those of a family.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.ct2_pack import Family

Matrix = NDArray[np.float32]

POSITIONS: Final = 64
DICTIONARY: Final = {
    "the": "el",
    "dog": "perro",
    "sees": "ve",
    "a": "un",
    "cat": "gato",
    "red": "rojo",
    "wants": "quiere",
    "water": "agua",
    "today": "hoy",
    "hello": "hola",
    "no": "no",
    "friend": "amigo",
}
"""English words and Spanish ones."""
LEAVE: Final = "land"
STAY: Final = "nda"
INSTEAD: Final = "vecino"
"""A word whose likeliest translation has no blank before it ("hola" and "nda"), that translation, and the next one."""
_SPECIAL: Final = ("<s>", "<pad>", "</s>", "<unk>")
_LANGUAGES: Final[Mapping[Family, tuple[str, ...]]] = {
    Family.MARIAN: (),
    Family.M2M100: ("__en__", "__es__", "__de__"),
    Family.MADLAD: ("<2en>", "<2es>", "<2de>"),
    Family.NLLB: ("eng_Latn", "spa_Latn", "zho_Hans", "zho_Hant"),
    Family.PLAIN: (),
}


@dataclass(frozen=True)
class Habit:
    """How a model differs from one that translates as it should."""

    always: str = ""
    """The token that it gives whatever it is asked."""
    likes: Mapping[str, float] = field(default_factory=dict)
    """What is added to the logits of tokens."""
    targets: tuple[str, ...] = ()
    """Of a Marian model: the language tokens of its source vocabulary."""


@cache
def pieces() -> bytes:
    """Gives a SentencePiece model whose pieces are the words of the dictionary, and letters."""
    from sentencepiece import SentencePieceTrainer

    words = [*DICTIONARY, *DICTIONARY.values(), LEAVE, INSTEAD]
    text = [" ".join(words[at:] + words[:at]) + " . , ? !" for at in range(len(words))] * 2
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter([*text, "abcdefghijklmnopqrstuvwxyz"]),
        model_writer=model,
        model_type="bpe",
        vocab_size=400,
        hard_vocab_limit=False,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


@cache
def _piece_list() -> tuple[str, ...]:
    from sentencepiece import SentencePieceProcessor

    processor = SentencePieceProcessor(model_proto=pieces())
    return tuple(
        processor.id_to_piece(at) for at in range(processor.get_piece_size()) if processor.id_to_piece(at) not in _SPECIAL
    )


def translator(folder: Path, family: Family, habit: Habit | None = None) -> Path:
    """Writes a model of a family into a folder, which it makes."""
    habit = habit or Habit()
    folder.mkdir(parents=True, exist_ok=True)
    words = (*DICTIONARY, *DICTIONARY.values(), LEAVE, STAY, INSTEAD, ".") if family is Family.PLAIN else (*_piece_list(), STAY)
    tokens = list(dict.fromkeys([*_SPECIAL, *_LANGUAGES[family], *habit.targets, *words]))
    blank = "" if family is Family.PLAIN else "▁"
    leads = {token: {token: 1.0} for token in tokens}
    leads |= {blank + one: {blank + other: 1.0} for one, other in DICTIONARY.items()}
    leads[blank + LEAVE] = {STAY: 1.0, blank + INSTEAD: 0.8}
    later = 1 if family is Family.MADLAD or habit.targets else 0
    _write(folder, tokens, leads, later, habit, ends_source=family is Family.PLAIN)
    for name in {
        Family.MARIAN: ("source.spm", "target.spm"),
        Family.M2M100: ("sentencepiece.bpe.model",),
        Family.MADLAD: ("spiece.model",),
        Family.NLLB: ("sentencepiece.bpe.model",),
        Family.PLAIN: (),
    }[family]:
        (folder / name).write_bytes(pieces())
    return folder


def _write(
    folder: Path,
    tokens: Sequence[str],
    leads: Mapping[str, Mapping[str, float]],
    later: int,
    habit: Habit,
    *,
    ends_source: bool,
) -> None:
    from ctranslate2.specs import TransformerSpec

    number = {token: at for at, token in enumerate(tokens)}
    size = len(tokens)
    width = -(-(size + POSITIONS) // 64) * 64
    spec: Any = TransformerSpec.from_config(1, 1)
    places: Matrix = np.zeros((POSITIONS, width), np.float32)
    places[np.arange(POSITIONS), size + np.arange(POSITIONS)] = 1.0
    embedding: Matrix = np.zeros((size, width), np.float32)
    embedding[np.arange(size), np.arange(size)] = 1.0
    for part, weights in ((spec.encoder, embedding), (spec.decoder, np.zeros_like(embedding))):
        (part.embeddings[0] if part is spec.encoder else part.embeddings).weight = weights
        part.scale_embeddings = False
        part.position_encodings.encodings = places
        _quiet(part, width)
    query, key_value, out = spec.decoder.layer[0].attention.linear
    for at in range(POSITIONS - later):
        query.weight[size + at + later, size + at] = 4.0
    key_value.weight[size:width, size:] = np.eye(width - size)
    key_value.weight[width : width + size, :size] = np.eye(size)
    out.weight[:size, :size] = np.eye(size)
    projection: Matrix = np.zeros((size, width), np.float32)
    for source, targets in leads.items():
        for target, gain in targets.items():
            projection[number[target], number[source]] = gain
    bias: Matrix = np.zeros(size, np.float32)
    for token, gain in ({habit.always: 1000.0} if habit.always else habit.likes).items():
        bias[number[token]] = gain
    spec.decoder.projection.weight, spec.decoder.projection.bias = projection, bias
    spec.register_source_vocabulary(list(tokens))
    spec.register_target_vocabulary(list(tokens))
    spec.config.decoder_start_token = "</s>"
    spec.config.add_source_eos = ends_source
    spec.validate()
    spec.optimize(quantization=None)
    spec.save(str(folder))


def _quiet(part: Any, width: int) -> None:
    """Fills a part with layers that add nothing."""
    _norm(part.layer_norm, width)
    for layer in part.layer:
        _attention(layer.self_attention, (3 * width, width), width)
        if hasattr(layer, "attention"):
            _attention(layer.attention, (width, 2 * width, width), width)
        _norm(layer.ffn.layer_norm, width)
        for linear in (layer.ffn.linear_0, layer.ffn.linear_1):
            _linear(linear, width, width)


def _attention(attention: Any, rows: Sequence[int], width: int) -> None:
    _norm(attention.layer_norm, width)
    for linear, height in zip(attention.linear, rows, strict=True):
        _linear(linear, height, width)


def _linear(linear: Any, rows: int, width: int) -> None:
    linear.weight = np.zeros((rows, width), np.float32)
    linear.bias = np.zeros(rows, np.float32)


def _norm(norm: Any, width: int) -> None:
    norm.gamma, norm.beta = np.ones(width, np.float32), np.zeros(width, np.float32)


def lists(folder: Path) -> list[str]:
    """Gives the vocabulary of a model that was written."""
    return [str(token) for token in json.loads((folder / "shared_vocabulary.json").read_text(encoding="utf-8"))]
