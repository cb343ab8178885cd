"""What there is to translate between two languages: which models of the catalogue, and which of Debian's packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.errors import LanguageMissing
from edge.tables import nearest
from models.apertium_modes import find, installed, package
from models.ct2_languages import find_code, primary
from models.packs import PIVOT

if TYPE_CHECKING:
    from models.catalog import Entry


@dataclass(frozen=True, slots=True)
class Offer:
    """What translates between two languages."""

    source: str
    target: str
    models: tuple[str, ...]
    """Names of the catalogue, in the order of the way; empty where it has none for the pair."""
    through: str
    """The language between two models; empty where one does it."""
    debian: str
    """Debian's package for Apertium; empty where there is none."""
    debian_here: bool
    """Whether it is installed."""


def offer(entries: Mapping[str, Entry], source: str, target: str) -> Offer:
    """Gives the pair's own pack, else both halves of the way through English, else the smallest model that knows both.

    Raises LanguageMissing for a language and itself, one that none knows (the text tells the nearest), a pair that none serves.
    """
    one, other = primary(source), primary(target)
    if one == other:
        raise LanguageMissing(f"{source} and {target} are the same language")
    models, through = _models(entries, one, other)
    debian = package(one, other)
    if not (models or debian):
        known = known_languages(entries)
        for tag in (one, other):
            if not find_code(tag, known):
                raise LanguageMissing(f"no model of the catalogue knows the language {tag!r}: {nearest(tag, sorted(known))}")
        raise LanguageMissing(
            f"no model of the catalogue translates from {one} to {other}: nearsight models add takes a folder of your own"
        )
    return Offer(one, other, models, through, debian, find(one, other, installed()) is not None)


def known_languages(entries: Mapping[str, Entry]) -> frozenset[str]:
    """Gives every language that a translator of the catalogue names."""
    return frozenset(tag for entry in _translators(entries) for tag in entry.languages if tag != "mul")


def _models(entries: Mapping[str, Entry], source: str, target: str) -> tuple[tuple[str, ...], str]:
    straight = _pack(entries, source, target)
    if straight:
        return (straight,), ""
    halves = _pack(entries, source, PIVOT), _pack(entries, PIVOT, target)
    if PIVOT not in (source, target) and all(halves):
        return halves, PIVOT
    general = [entry for entry in _translators(entries) if not entry.pairs and _knows(entry, source, target)]
    return tuple(entry.name for entry in sorted(general, key=lambda entry: entry.bytes)[:1]), ""


def _knows(entry: Entry, source: str, target: str) -> bool:
    codes = {find_code(tag, entry.languages) for tag in (source, target)}
    return "" not in codes and len(codes) == 2  # to M2M100 both forms of Norwegian are one


def _pack(entries: Mapping[str, Entry], source: str, target: str) -> str:
    pair = f"{source}-{target}"
    return next((entry.name for entry in _translators(entries) if pair in entry.pairs), "")


def _translators(entries: Mapping[str, Entry]) -> list[Entry]:
    return [entry for entry in entries.values() if entry.task == "translator"]
