"""The model catalogue: which files nearsight knows, where they come from, and which of them are on this machine.

``catalog.toml`` names each model. Its files lie in ``<cache>/models/<name>/``; the cache is ``NEARSIGHT_CACHE``, or
``nearsight`` in the user's cache folder. A file is loaded only when its bytes and its SHA-256 are those of the catalogue, or,
where the catalogue has none yet, those that were recorded when its owner added it by hand (``added.toml``).

Hashing 98 MB takes a third of a second, so a file that was found right leaves a stamp beside it (``<file>.ok``: bytes,
modification time, hash) and is hashed again only when one of the three has changed.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from edge.config import nearest
from edge.errors import ModelCorrupt, ModelMissing, UsageError

ADDED = "added.toml"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model."""

    name: str
    """Its name in the cache."""
    member: str = ""
    """Where it lies in its source, where that is not ``name``: a path in a wheel or in a repository."""
    bytes: int = 0
    """Exact size; 0 where it is not known."""
    sha256: str = ""
    """Lower-case hexadecimal; empty where it is not known, and then the file cannot be loaded unless it is added by hand."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of the catalogue."""

    name: str
    task: str
    """The port it serves: ``language_model``, ``recogniser``, ``voice`` and so on, as in the configuration."""
    source: str
    """``pypi:NAME==VERSION``, ``hf:OWNER/REPOSITORY@REVISION``, ``url:ADDRESS`` (a folder or a file) or ``file:PATH``."""
    licence: str
    files: tuple[ModelFile, ...]
    """The first is the one that an engine opens."""
    languages: tuple[str, ...] = ()
    download_mb: float = 0.0
    """What comes over the network, in 10^6 bytes; approximate."""
    memory_mb: float = 0.0
    """What it takes when loaded, in 10^6 bytes; approximate, 0 where nobody has measured it."""
    note: str = ""

    @property
    def pinned(self) -> bool:
        """Whether every file's hash is known."""
        return all(file.sha256 for file in self.files)


class State(Enum):
    """How a model stands on this machine."""

    INSTALLED = "installed"
    ADDED = "added"
    """Installed by hand; checked against the hash of that day."""
    MISSING = "missing"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of ``nearsight models list``."""

    entry: Entry
    state: State
    folder: Path
    bytes: int
    """Bytes on disk."""


def cache_folder() -> Path:
    """Gives the folder that holds what can be fetched again: ``NEARSIGHT_CACHE``, else ``nearsight`` in the user's cache."""
    own = os.environ.get("NEARSIGHT_CACHE")
    if own:
        return Path(own).expanduser()
    users = os.environ.get("XDG_CACHE_HOME")
    return (Path(users) if users else Path.home() / ".cache") / "nearsight"


def sha256_of(path: Path, seen: Callable[[int], None] = lambda _: None) -> str:
    """Gives the hash of a file in lower-case hexadecimal; ``seen`` is told the bytes read so far."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            seen(done)
    return digest.hexdigest()


class Catalogue:
    """The models that nearsight knows, and their place on this machine."""

    def __init__(self, entries: Mapping[str, Entry], cache: Path) -> None:
        self.entries = dict(entries)
        self.cache = cache

    @classmethod
    def load(cls, path: Path | None = None, cache: Path | None = None) -> Catalogue:
        """Reads the catalogue that is shipped, or another."""
        source = path or Path(__file__).with_name("catalog.toml")
        tables = tomllib.loads(source.read_text(encoding="utf-8"))["model"]
        entries = [_entry(table) for table in tables]
        return cls({entry.name: entry for entry in entries}, cache or cache_folder())

    def find(self, name: str) -> Entry:
        """Gives the model of that name. Raises UsageError, which names the nearest one."""
        try:
            return self.entries[name]
        except KeyError:
            raise UsageError(f"unknown model {name!r}: {nearest(name, self.entries)}") from None

    def folder(self, name: str) -> Path:
        """Where the model's files lie, or would."""
        return self.cache / "models" / name

    def expected(self, entry: Entry, file: ModelFile) -> ModelFile:
        """Gives what ``file`` must be: the catalogue's bytes and hash, or those recorded when it was added by hand."""
        if file.sha256:
            return file
        record = self.folder(entry.name) / ADDED
        if record.exists():
            added = tomllib.loads(record.read_text(encoding="utf-8")).get(file.name)
            if added:
                return ModelFile(file.name, file.member, added["bytes"], added["sha256"])
        return file

    def path(self, name: str) -> Path:
        """Gives the file that an engine opens, once all files of the model are found right.

        Raises:
            UsageError: The catalogue has no such model.
            ModelMissing: It is not on this machine.
            ModelCorrupt: Its bytes or its hash are wrong; the file is deleted, so that the next pull fetches it again.
        """
        entry = self.find(name)
        for file in entry.files:
            self.check(entry, file)
        return self.folder(name) / entry.files[0].name

    def check(self, entry: Entry, file: ModelFile, *, again: bool = False) -> None:
        """Checks one file against its bytes and its hash, with its stamp where ``again`` does not ask for more.

        Raises ModelMissing or ModelCorrupt, as ``path`` does.
        """
        path = self.folder(entry.name) / file.name
        want = self.expected(entry, file)
        if not path.is_file() or not want.sha256:
            raise ModelMissing(f"{entry.name} is not installed: run nearsight models pull {entry.name}")
        stat = path.stat()
        stamp = f"{stat.st_size} {stat.st_mtime_ns} {want.sha256}"
        if not again and _read(stamp_of(path)) == stamp:
            return
        fault = ""
        if want.bytes and stat.st_size != want.bytes:
            fault = f"{stat.st_size} bytes, not {want.bytes}"
        elif sha256_of(path) != want.sha256:
            fault = "its SHA-256 is wrong"
        if fault:
            path.unlink(missing_ok=True)
            stamp_of(path).unlink(missing_ok=True)
            raise ModelCorrupt(
                f"{entry.name}: {file.name} is damaged ({fault}) and was deleted: run nearsight models pull {entry.name}"
            )
        _stamp(path, stamp)

    def status(self, name: str) -> Row:
        """Says how a model stands, by its stamps and sizes alone: nothing is hashed and nothing deleted."""
        entry, folder = self.find(name), self.folder(name)
        state, total = State.INSTALLED, 0
        for file in entry.files:
            path, want = folder / file.name, self.expected(entry, file)
            if not path.is_file() or not want.sha256:
                state = State.MISSING
                break
            size = path.stat().st_size
            total += size
            if want.bytes and size != want.bytes:
                state = State.CORRUPT
            elif want is not file and state is State.INSTALLED:
                state = State.ADDED
        return Row(entry, state, folder, total)

    def rows(self) -> list[Row]:
        """Gives the status of every model, in the catalogue's order."""
        return [self.status(name) for name in self.entries]


def stamp_of(path: Path) -> Path:
    """Where the stamp of a file lies."""
    return path.with_name(path.name + ".ok")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def _stamp(path: Path, stamp: str) -> None:
    # A model folder may be read-only (a system-wide cache): the file is right all the same, it is only hashed again next time.
    try:
        stamp_of(path).write_text(stamp, encoding="ascii")
    except OSError:
        pass


def _entry(table: dict[str, Any]) -> Entry:
    files = tuple(ModelFile(**file) for file in table.pop("file"))
    languages = tuple(table.pop("languages", ()))
    return Entry(**table, files=files, languages=languages)
