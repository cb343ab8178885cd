"""What is written down about a model on this machine: ``record.toml`` in its folder.

The catalogue pins most files by their SHA-256. For the rest the record holds what was learnt when they came: the revision of
the repository, and the bytes and hashes that its hub stated for that revision (trust on first use, as ssh does with host keys),
or those of a file that the owner added by hand. From then on a file must keep them. The licence is here too, where its owner
had to agree to one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge.errors import ConfigError, ModelCorrupt
from edge.tables import build, read_toml

RECORD = "record.toml"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def check_name(name: str) -> None:
    """Raises ConfigError for what is no plain file name: names come from catalogues and bundles, and become paths."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no plain name")


@dataclass(frozen=True, slots=True)
class Pin:
    """What one file must be."""

    bytes: int = 0
    """Exact size; 0 where it is not known."""
    sha256: str = ""
    """Lower-case hexadecimal; empty where only ``git`` is known yet."""
    git: str = ""
    """The name of the file as git's object, a SHA-1: all that a hub states of a small file. The file's own SHA-256 takes its
    place once it is here."""

    def __post_init__(self) -> None:
        if self.bytes < 0 or (self.sha256 and not _SHA256.fullmatch(self.sha256)):
            raise ConfigError("bytes must not be negative, and sha256 has 64 digits of 0-9 and a-f")


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a model beside the catalogue."""

    source: str = ""
    """Where it came from, as the catalogue writes it; empty: its owner added it by hand."""
    revision: str = ""
    """The commit of the repository whose hashes were trusted."""
    licence: str = ""
    """The licence that was agreed to; empty where nobody had to be asked."""
    task: str = ""
    """The port of a model that no catalogue names."""
    files: Mapping[str, Pin] = field(default_factory=dict)

    def with_file(self, name: str, pin: Pin) -> Record:
        """Gives the record with one file more, or anew."""
        return replace(self, files={**self.files, name: pin})


def read_record(folder: Path) -> Record:
    """Gives the record of a model's folder, an empty one where there is none. Raises ModelCorrupt for an unreadable one."""
    path = folder / RECORD
    if not path.exists():
        return Record()
    try:
        return parse_record(read_toml(path), f"{path}: ")
    except ConfigError as error:
        raise ModelCorrupt(f"{error.text}: run nearsight models remove {folder.name}, then pull it again") from error


def parse_record(table: Mapping[str, Any], where: str = "") -> Record:
    """Makes a record of a TOML table. Raises ConfigError, which begins with ``where``."""
    try:
        rows = table.get("files", {})
        if not isinstance(rows, Mapping) or not all(isinstance(row, Mapping) for row in rows.values()):
            raise ConfigError("files must be a table of tables")
        for name in rows:
            check_name(name)
        files = {name: build(Pin, row, f"files.{name}.") for name, row in rows.items()}
        plain: Record = build(Record, {key: value for key, value in table.items() if key != "files"})
        return replace(plain, files=files)
    except ConfigError as error:
        raise ConfigError(f"{where}{error.text}") from None


def record_table(record: Record) -> dict[str, Any]:
    """Gives a record as a TOML table, without what is empty."""
    plain = {"source": record.source, "revision": record.revision, "licence": record.licence, "task": record.task}
    rows = {
        name: {key: value for key, value in (("bytes", pin.bytes), ("sha256", pin.sha256), ("git", pin.git)) if value}
        for name, pin in sorted(record.files.items())
    }
    return {**{key: value for key, value in plain.items() if value}, "files": rows}


def write_record(folder: Path, record: Record) -> None:
    """Writes the record in one step: a reader sees the old one or the new one."""
    import tomli_w

    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{RECORD}.part"
    part.write_text(tomli_w.dumps(record_table(record)), encoding="utf-8")
    os.replace(part, folder / RECORD)
