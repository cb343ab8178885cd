"""A Piper voice on disk: ``NAME.onnx`` and, beside it, ``NAME.onnx.json``, which is read and checked here without Piper."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from edge.errors import ModelCorrupt, ModelMissing, UsageError
from edge.tables import nearest

RATES: Final = range(8_000, 48_001)
"""Sample rates in Hz that can be true. Piper's own voices have 16,000 and 22,050."""
PHONEMES: Final = ("espeak", "text")
"""Kinds of phonemes that Piper 1.8 makes with what its wheel carries; it downloads models for the others, unasked."""
_MAX_BYTES: Final = 1 << 20
_ANCHORS: Final = ("_", "^", "$")
"""Padding, beginning and end of a sentence: every voice has them."""


@dataclass(frozen=True, slots=True)
class VoiceFile:
    """A voice's two files, and what the second says of the first."""

    model: Path
    config: Path
    rate: int
    """Hz."""
    language: str
    """A BCP 47 tag, ``en-US``; espeak-ng's name of the language where the voice does not tell."""
    speakers: int
    names: Mapping[str, int]
    """The speakers that have a name."""

    @property
    def name(self) -> str:
        """``en_US-lessac-medium``."""
        return self.model.name.removesuffix(".onnx")

    def speaker(self, wanted: int | str | None) -> int | None:
        """Gives the number of a speaker; None takes the voice's own. Raises UsageError, which names the nearest."""
        if wanted is None or (isinstance(wanted, int) and 0 <= wanted < self.speakers):
            return wanted
        if isinstance(wanted, int):
            raise UsageError(f"voice {self.name}: no speaker {wanted}; it has {self.speakers}, counted from 0")
        if wanted not in self.names:
            what = nearest(wanted, self.names) if self.names else "its speakers have numbers only"
            raise UsageError(f"voice {self.name}: no speaker {wanted!r}: {what}")
        return self.names[wanted]


def read_voice(model: Path, config: Path | None = None) -> VoiceFile:
    """Reads and checks the second file of a voice; of the first, only that it is there.

    Raises:
        ModelMissing: One of the two is not there.
        ModelCorrupt: The second cannot be that of a Piper voice.
        UsageError: The voice needs phonemes for which Piper would download a model.
    """
    config = config or model.with_name(model.name + ".json")
    for path in (model, config):
        if not path.is_file():
            raise ModelMissing(f"a Piper voice is two files, {model.name} and {config.name}: there is no {path}")
    try:
        if config.stat().st_size > _MAX_BYTES:
            raise ValueError("it is too large")
        told = json.loads(config.read_text(encoding="utf-8"))
        voice = _read(model, config, told)
    except (OSError, ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise ModelCorrupt(f"{config} is not the description of a Piper voice: {error}") from error
    kind = told.get("phoneme_type") or "espeak"
    if kind not in PHONEMES:
        raise UsageError(f"voice {voice.name}: phonemes of type {kind!r} are not supported; there are {', '.join(PHONEMES)}")
    return voice


def _read(model: Path, config: Path, told: Any) -> VoiceFile:
    """Raises ValueError."""
    table = _table(told, "it")
    rate = _whole(_table(table.get("audio"), "audio").get("sample_rate"), "audio.sample_rate", RATES)
    speakers = _whole(table.get("num_speakers"), "num_speakers", range(1, 100_000))
    names = _table(table.get("speaker_id_map", {}), "speaker_id_map")
    for name, number in names.items():
        _whole(number, f"speaker_id_map.{name}", range(speakers))
    _check_phonemes(table)
    _check_inference(table)
    spoken = _table(table.get("espeak"), "espeak").get("voice")
    if not isinstance(spoken, str):
        raise ValueError("espeak.voice is no text")
    language = table.get("language")
    code = language.get("code") if isinstance(language, dict) else None
    tag = code.replace("_", "-") if isinstance(code, str) and code else spoken
    return VoiceFile(model, config, rate, tag, speakers, MappingProxyType(dict(names)))


def _check_phonemes(table: dict[str, Any]) -> None:
    symbols = _whole(table.get("num_symbols"), "num_symbols", range(1, 100_000))
    ids = _table(table.get("phoneme_id_map"), "phoneme_id_map")
    for anchor in _ANCHORS:
        if not ids.get(anchor):
            raise ValueError(f"phoneme_id_map has no {anchor!r}")
    for phoneme, numbers in ids.items():
        if not isinstance(numbers, list) or not all(type(number) is int and 0 <= number < symbols for number in numbers):
            raise ValueError(f"phoneme_id_map: {phoneme!r} is not a list of numbers below {symbols}")


def _check_inference(table: dict[str, Any]) -> None:
    scales = _table(table.get("inference", {}), "inference")
    for key in ("noise_scale", "length_scale", "noise_w"):
        value = scales.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 100:  # NaN is not
            raise ValueError(f"inference.{key} is {value!r}")
    _whole(table.get("hop_length", 256), "hop_length", range(1, 100_000))


def _table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is no table")
    return value


def _whole(value: Any, name: str, among: range) -> int:
    if type(value) is not int or value not in among:
        raise ValueError(f"{name} is {value!r}")
    return value
