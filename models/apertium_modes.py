"""What Apertium can translate here: its modes, by BCP 47 tags, and Debian's packages that bring more of them.

A mode is a file ``SOURCE-TARGET.mode`` that holds one line of shell: the programs of a pipe. Languages go by their ISO 639-3 or
639-1 codes, a region or a spelling behind a low line (``spa-eng_US``, ``oc_aran-ca``).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

MODES: Final = Path("/usr/share/apertium/modes")
"""Where Debian's packages put them."""

_CODES: Final[Mapping[str, str]] = MappingProxyType(
    dict(
        pair.split(":")
        for pair in (
            "afr:af arg:an ast:ast bel:be bos:bs bre:br bul:bg cat:ca dan:da deu:de eng:en epo:eo eus:eu fra:fr frp:frp glg:gl "
            "hbs:sh hin:hi hrv:hr ind:id isl:is ita:it mkd:mk msa:ms nld:nl nno:nn nob:nb nor:no oci:oc pol:pl por:pt ron:ro "
            "rus:ru slv:sl spa:es srd:sc srp:sr swe:sv szl:szl ukr:uk urd:ur zlm:ms zsm:ms"
        ).split()
    )
)
"""ISO 639-3 codes of the languages that have a pair, with their tags."""
_WIDER: Final[Mapping[str, str]] = MappingProxyType({"bs": "sh", "hr": "sh", "sr": "sh", "no": "nb"})
"""Languages that Apertium has under another's name: Bosnian, Croatian and Serbian as variants of one."""

_PACKAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        direction: package
        for package, directions in (
            line.split(": ")
            for line in """
eng-spa: en-es es-en
eng-cat: en-ca ca-en
en-gl: en-gl gl-en
eo-en: eo-en en-eo
eu-en: eu-en
hbs-eng: sh-en en-sh
isl-eng: is-en
mkd-eng: mk-en
spa-cat: es-ca ca-es
es-gl: es-gl gl-es
es-pt: es-pt pt-es
es-ro: ro-es
spa-ita: es-it it-es
spa-ast: es-ast ast-es
spa-arg: es-an an-es
eu-es: eu-es
fr-es: fr-es es-fr
eo-es: es-eo
fra-cat: fr-ca ca-fr
oci-fra: oc-fr fr-oc
br-fr: br-fr
fra-frp: fr-frp frp-fr
eo-fr: fr-eo
por-cat: pt-ca ca-pt
pt-gl: pt-gl gl-pt
cat-ita: ca-it it-ca
cat-srd: ca-sc
srd-ita: it-sc
arg-cat: an-ca ca-an
oc-ca: oc-ca ca-oc
oc-es: oc-es es-oc
eo-ca: ca-eo
rus-ukr: ru-uk uk-ru
bel-rus: be-ru ru-be
swe-dan: sv-da da-sv
swe-nor: sv-nb nb-sv sv-nn nn-sv
dan-nor: da-nb nb-da da-nn nn-da
nno-nob: nn-nb nb-nn
isl-swe: is-sv sv-is
ind-zlm: id-ms ms-id
urd-hin: ur-hi hi-ur
afr-nld: af-nl nl-af
pol-szl: pl-szl szl-pl
hbs-mkd: sh-mk mk-sh
hbs-slv: sh-sl sl-sh
mkd-bul: mk-bg bg-mk
""".strip().splitlines()
        )
        for direction in directions.split()
    }
)
"""Directions by the package of Debian 12 that translates them (``apertium-`` before its name)."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One direction that is installed."""

    name: str
    source: str
    target: str
    variants: frozenset[str]
    """Region and spelling of either side, in lower case: ``us``, ``valencia``."""
    path: Path

    @property
    def direction(self) -> str:
        """Both languages' tags."""
        return f"{self.source}-{self.target}"

    def programs(self) -> list[list[str]]:
        """Gives the pipe's commands, each made to flush when a NUL comes. Raises OSError, and ValueError for an empty one.

        ``apertium`` fills two parameters in: how the generator marks words that it does not know (``-n``: not at all), and
        options of the tagger (none).
        """
        lexer = shlex.shlex(self.path.read_text(encoding="utf-8"), posix=True, punctuation_chars="|")
        lexer.whitespace_split = True
        commands: list[list[str]] = [[]]
        for token in lexer:
            if token == "|":
                commands.append([])
            elif token != "$2":
                commands[-1].append("-n" if token == "$1" else token)
        if not all(commands):
            raise ValueError(f"{self.path}: a command is empty")
        return [command if "-z" in command else [command[0], "-z", *command[1:]] for command in commands]


def primary(tag: str) -> str:
    """Gives a tag's language by its shortest code."""
    code = re.split("[-_]", tag.strip().casefold(), maxsplit=1)[0]
    return _CODES.get(code, code)


def installed(folder: Path = MODES) -> tuple[Mode, ...]:
    """Gives the directions whose modes lie in a folder, by name; none where there is no such folder."""
    found = []
    for path in sorted(folder.glob("*.mode")):
        sides = [side.split("_") for side in path.stem.split("-")]
        if len(sides) == 2 and all(side[0] in _CODES or side[0] in _CODES.values() for side in sides):
            source, target = (_CODES.get(side[0], side[0]) for side in sides)
            variants = frozenset(part.casefold() for side in sides for part in side[1:])
            found.append(Mode(path.stem, source, target, variants, path))
    return tuple(found)


def find(source: str, target: str, modes: Collection[Mode]) -> Mode | None:
    """Gives the mode from one language into another: of several the one whose variant is asked for, else the plainest."""
    wanted = {part for tag in (source, target) for part in re.split("[-_]", tag.casefold())}
    here = [mode for mode in modes if (mode.source, mode.target) in _directions(source, target)]
    return min(here, key=lambda mode: (-len(mode.variants & wanted), len(mode.variants), mode.name), default=None)


def package(source: str, target: str) -> str:
    """Gives the Debian package that translates from one language into another; empty where none does."""
    names = (_PACKAGES.get(f"{one}-{other}") for one, other in _directions(source, target))
    return next((f"apertium-{name}" for name in names if name), "")


def _directions(source: str, target: str) -> list[tuple[str, str]]:
    return [(one, other) for one in _names(source) for other in _names(target)]


def _names(tag: str) -> list[str]:
    language = primary(tag)
    return [language, *filter(None, [_WIDER.get(language)])]
