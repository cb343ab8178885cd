"""What lies in the folder of a translation model for CTranslate2: which family it is of, checked before anything is loaded.

No file says of which family a converted model is, but its vocabulary does: ``__en__`` is a token of M2M100 (arXiv 2010.11125),
``<2en>`` of MADLAD-400 (arXiv 2309.04662), ``eng_Latn`` of NLLB-200 (arXiv 2207.04672). Opus-MT's models (Marian) come with a
SentencePiece model for each side, and name their languages nowhere: their folder does, as in ``opus-mt-es-en``. What has
neither pieces of words nor language tokens is translated word by word, or letter by letter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from edge.errors import ModelCorrupt, ModelMissing
from models.ct2 import Header, read_header, read_json, read_text

SPECIFICATIONS: Final = ("TransformerSpec", "TransformerBase", "TransformerBig")
"""The second and third are the first's names in older conversions."""
_PAIR: Final = re.compile(r"(?:^|-)([a-z]{2,3})-([a-z]{2,3})(?:-(?:ct2|ctranslate2)[\w-]*)?$")
_PIECES: Final = ("▁", "Ġ", "@@")
"""Signs of a vocabulary of pieces of words: SentencePiece's, byte-level BPE's, subword-nmt's."""


class Family(Enum):
    """A kind of translation model."""

    MARIAN = "Opus-MT"
    M2M100 = "M2M100"
    MADLAD = "MADLAD-400"
    NLLB = "NLLB-200"
    PLAIN = "words or letters"

    @property
    def licence(self) -> str:
        """What its publisher states."""
        licences = {Family.MARIAN: "CC-BY-4.0", Family.M2M100: "MIT", Family.MADLAD: "Apache-2.0", Family.NLLB: "CC-BY-NC-4.0"}
        return licences.get(self, "")


_TOKENS: Final = {
    Family.M2M100: re.compile(r"__([a-z]{2,3})__"),
    Family.MADLAD: re.compile(r"<2([a-z]{2,3}(?:_\w+)?)>"),
    Family.NLLB: re.compile(r"([a-z]{3}_[A-Z][a-z]{3})"),
}
_MULTI: Final = re.compile(r">>([A-Za-z_]+)<<")
"""The token that tells a Marian model of several target languages which one is meant."""
_ENOUGH: Final = 2
"""Language tokens that make a family: one alone may be a coincidence."""
_PIECE_FILES: Final = {
    Family.M2M100: ("sentencepiece.bpe.model",),
    Family.MADLAD: ("spiece.model", "sentencepiece.model"),
    Family.NLLB: ("sentencepiece.bpe.model",),
}
FAST: Final = "tokenizer.json"
LONGEST: Final = 512
"""Tokens of a text for a model that has no table of positions: as many as Marian's and M2M100's tables are trained for."""


@dataclass(frozen=True, slots=True)
class Pack:
    """A translation model, as its files tell it."""

    folder: Path
    family: Family
    source: tuple[str, ...]
    """Its tokens; the same as ``target`` in most."""
    target: tuple[str, ...]
    codes: Mapping[str, str]
    """The languages that its tokens name, by the model's own codes, with the tokens; empty where it has one target."""
    splitters: tuple[Path, Path] | None
    """What cuts source and target text into pieces; None for words or letters."""
    eos: str
    """The token that ends a source text; empty where CTranslate2 adds it, or the model wants none."""
    pairs: tuple[tuple[str, str], ...]
    """Source and target, as its folder's name tells them; empty where its tokens do."""
    layers: tuple[int, int]
    """Of encoder and decoder."""
    longest: int
    """Tokens that a text may have, on either side."""

    @property
    def lettered(self) -> bool:
        """Whether its tokens are letters, and none is a blank: such a model translates word by word."""
        if self.family is not Family.PLAIN:
            return False
        plain = [token for token in self.source if not re.fullmatch(r"<.+>", token)]
        return " " not in plain and all(len(token) == 1 for token in plain)


def read_pack(folder: Path) -> Pack:
    """Reads what the files say, and checks them against one another. Raises ModelMissing, ModelCorrupt, EngineFailed."""
    if not folder.is_dir():
        raise ModelMissing(f"{folder} is not a folder with a translation model: run nearsight models list")
    header = read_header(folder / "model.bin", *SPECIFICATIONS)
    layers = header.layers("encoder"), header.layers("decoder")
    if not all(layers):
        raise ModelCorrupt(f"{folder / 'model.bin'}: {layers[0]} encoder layers and {layers[1]} decoder layers")
    config = _config(folder / "config.json")
    source, target = _vocabularies(folder, header, str(config.get("unk_token") or "<unk>"))
    family, codes = _family(folder, source, target)
    eos = "" if family is Family.PLAIN or config.get("add_source_eos") else str(config.get("eos_token") or "</s>")
    if eos and eos not in source:
        raise ModelCorrupt(f"{folder}: its vocabulary lacks {eos}, which ends a text")
    pairs = pairs_in(folder.name) if family in (Family.MARIAN, Family.PLAIN) else ()
    places = header.variables.get("decoder/position_encodings/encodings", (LONGEST,))
    return Pack(folder, family, source, target, codes, _splitters(folder, family), eos, pairs, layers, places[0])


def pairs_in(name: str) -> tuple[tuple[str, str], ...]:
    """Gives the languages that a model's name tells, source and target: of ``opus-mt-es-en`` Spanish and English."""
    found = _PAIR.search(name)
    return ((found[1], found[2]),) if found else ()


def _family(folder: Path, source: Sequence[str], target: Sequence[str]) -> tuple[Family, dict[str, str]]:
    for family, token in _TOKENS.items():
        codes = _codes(token, target)
        if len(codes) >= _ENOUGH:
            return family, codes
    if (folder / "source.spm").exists() or (folder / "target.spm").exists():
        return Family.MARIAN, _codes(_MULTI, source)
    if any(sign in token for sign in _PIECES for token in source):
        raise ModelCorrupt(
            f"{folder}: no translation model that is known here: it has no language tokens (M2M100, MADLAD-400, NLLB-200) and "
            "no source.spm (Opus-MT)"
        )
    return Family.PLAIN, {}


def _codes(token: re.Pattern[str], vocabulary: Sequence[str]) -> dict[str, str]:
    return {match[1]: each for each in vocabulary if (match := token.fullmatch(each))}


def _splitters(folder: Path, family: Family) -> tuple[Path, Path] | None:
    if family is Family.PLAIN:
        return None
    if family is Family.MARIAN:
        found = [folder / "source.spm", folder / "target.spm"]
    else:
        places = [folder / name for name in (*_PIECE_FILES[family], FAST)]
        found = [next((path for path in places if path.exists()), places[0])] * 2
    for path in found:
        if not path.exists():
            raise ModelMissing(f"{path} is not there, without which {family.value} cannot read text: run nearsight models list")
    return found[0], found[1]


def _vocabularies(folder: Path, header: Header, unknown: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    shared = _vocabulary(folder, "shared")
    found = (shared, shared) if shared is not None else (_vocabulary(folder, "source"), _vocabulary(folder, "target"))
    source, target = found
    if source is None or target is None:
        raise ModelMissing(
            f"{folder / 'shared_vocabulary.json'} is not there, nor one for each side: run nearsight models list"
        )
    for side, tokens, names in (
        ("source", source, ("encoder/embeddings/weight", "encoder/embeddings_0/weight")),
        ("target", target, ("decoder/embeddings/weight",)),
    ):
        rows = next((header.variables[name][0] for name in names if header.variables.get(name)), 0)
        if len(tokens) + (unknown not in tokens) != rows:  # CTranslate2 adds the token of what is unknown
            raise ModelCorrupt(f"{folder}: a {side} vocabulary of {len(tokens)} tokens for a model of {rows}")
    return source, target


def _vocabulary(folder: Path, side: str) -> tuple[str, ...] | None:
    path = folder / f"{side}_vocabulary.json"
    if path.exists():
        tokens = read_json(path)
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise ModelCorrupt(f"{path}: not a list of tokens")
        return tuple(tokens)
    path = folder / f"{side}_vocabulary.txt"
    return tuple(read_text(path).removesuffix("\n").split("\n")) if path.exists() else None


def _config(path: Path) -> dict[str, Any]:
    """Gives the configuration; the oldest conversions have none."""
    config = read_json(path) if path.exists() else {}
    if not isinstance(config, dict):
        raise ModelCorrupt(f"{path}: not a JSON object")
    return config
