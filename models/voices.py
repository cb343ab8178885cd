"""Which voice speaks a language: one of Piper's, or espeak-ng where Piper has none. Pure: names in, a name out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_NAME: Final = re.compile(r"([a-z]{2,3})_([A-Z]{2}|[0-9]{3})-(.+)-(x_low|low|medium|high)")
QUALITIES: Final = ("x_low", "low", "medium", "high")
"""From the fastest to the best."""
_HOMES: Final[Mapping[str, str]] = MappingProxyType({"en": "US", "pt": "BR", "es": "ES", "fr": "FR", "de": "DE", "nl": "NL"})
"""The region that is meant by a language alone, where Piper's voices have several."""
_SAME: Final[Mapping[str, str]] = MappingProxyType({"nb": "no", "cmn": "zh", "iw": "he", "in": "id"})
"""Tags, and those under which Piper files the same language."""


@dataclass(frozen=True, slots=True, order=True)
class VoiceName:
    """A Piper voice's name, taken apart: ``en_US-lessac-medium``."""

    language: str
    """``en``."""
    region: str
    """``US``."""
    speaker: str
    """``lessac``."""
    quality: str
    """One of ``QUALITIES``."""

    @classmethod
    def parse(cls, name: str) -> VoiceName | None:
        """Takes a voice's name or its file's; None where it is no Piper voice."""
        match = _NAME.fullmatch(re.sub(r"\.onnx(\.json)?$", "", name))
        return cls(*match.groups()) if match else None

    def __str__(self) -> str:
        """``en_US-lessac-medium``."""
        return f"{self.language}_{self.region}-{self.speaker}-{self.quality}"

    @property
    def member(self) -> str:
        """Where its network lies in the repository ``rhasspy/piper-voices``."""
        return f"{self.language}/{self.language}_{self.region}/{self.speaker}/{self.quality}/{self}.onnx"


@dataclass(frozen=True, slots=True)
class Choice:
    """The voice for a language."""

    voice: VoiceName | None
    """None: espeak-ng speaks it."""
    why: str
    """One line for the log; empty where there is nothing to say, because the voice is of the language and region asked for."""


def choose_voice(language: str, there: Iterable[str], quality: str = "medium") -> Choice:
    """Chooses among the Piper voices that are ``there``, named as their files are, one for a BCP 47 tag.

    The region counts first, then the quality: the one asked for, else the next lower, which is sure to be fast enough, else the
    next higher. A voice of another region speaks with its accent, and ``why`` says so. Names that are no Piper voice's are
    passed over.
    """
    tag = language.replace("_", "-").split("-")
    spoken = _SAME.get(tag[0].lower(), tag[0].lower())
    region = next((part.upper() for part in tag[1:] if re.fullmatch(r"[A-Za-z]{2}|[0-9]{3}", part)), "")
    voices = sorted(voice for voice in map(VoiceName.parse, there) if voice and voice.language == spoken)
    if not voices:
        return Choice(None, f"no Piper voice for {language} is installed: espeak-ng speaks it")
    wanted = region or _HOMES.get(spoken, "")
    best = min(voices, key=lambda voice: (voice.region != wanted, _distance(voice.quality, quality), voice))
    if region and best.region != region:
        return Choice(best, f"no Piper voice for {language} is installed: {best} speaks it")
    return Choice(best, "")


def _distance(quality: str, wanted: str) -> tuple[bool, int]:
    difference = QUALITIES.index(wanted) - QUALITIES.index(quality)
    return difference < 0, abs(difference)
