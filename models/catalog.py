"""The model catalogue: which files nearsight knows, where they come from, and which of them are on this machine.

``catalog.toml`` names each model; a catalogue of the owner's own (``NEARSIGHT_CATALOG``) is laid over it, model by model. Files
lie in ``<cache>/models/<name>/``; the cache is ``NEARSIGHT_CACHE``, or ``nearsight`` in the user's cache folder. A file is
loaded only when its bytes and its SHA-256 are those of the catalogue or, where the catalogue has none, those of the model's
``record.toml`` (``models.record``): what its hub stated when its owner chose to trust it, or what its owner added by hand.

Hashing 98 MB takes a third of a second, so a file that was found right leaves a stamp beside it (``<file>.ok``: bytes,
modification time, hash) and is hashed again only when one of the three has changed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from edge.errors import ConfigError, ModelCorrupt, ModelMissing, UsageError
from edge.tables import build, nearest, read_toml
from models.ct2_pack import pairs_in
from models.language_packs import Offer, offer
from models.record import RECORD, Pin, Record, check_name, read_record

_BLOCK = 1 << 20
PERMISSIVE = frozenset({"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "CC0-1.0", "MIT", "public domain"})
"""Licences that ask for no more than their notice: nobody has to agree to them first."""
SOURCES = ("pypi", "hf", "url", "file")


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
    """Lower-case hexadecimal; empty where it is not known, and then the model's record must have it."""

    def __post_init__(self) -> None:
        check_name(self.name)
        Pin(self.bytes, self.sha256)
        if self.member.startswith("/") or ".." in self.member.split("/"):
            raise ConfigError(f"{self.member!r} leads out of its source")


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
    pairs: tuple[str, ...] = ()
    """What a translator of single pairs is for, such as ``es-en``, source first; empty where it is for any two languages."""
    download_mb: float = 0.0
    """What comes over the network, in 10^6 bytes; approximate."""
    memory_mb: float = 0.0
    """What it takes when loaded, in 10^6 bytes; approximate, 0 where nobody has measured it."""
    smaller: str = ""
    """The next smaller model of the same task, for a machine whose memory this one does not fit."""
    terms: str = ""
    """Where a licence that is not permissive can be read."""
    speed: str = ""
    """What has been measured of it, where, and by whom; empty where nothing has."""
    note: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.files:
            raise ConfigError("a model has at least one file")
        if not all(re.fullmatch("[a-z]{2,3}-[a-z]{2,3}", pair) for pair in self.pairs):
            raise ConfigError("pairs look like es-en")
        if self.kind not in SOURCES:
            raise ConfigError(f"unknown source {self.source!r}: {nearest(self.kind, SOURCES)}")

    @property
    def kind(self) -> str:
        """The word before the source's colon."""
        return self.source.partition(":")[0]

    @property
    def revision(self) -> str:
        """The pinned revision of a repository; empty where the catalogue has none."""
        return self.source.partition("@")[2] if self.kind == "hf" else ""

    @property
    def pinned(self) -> bool:
        """Whether every file's hash is known."""
        return all(file.sha256 for file in self.files)

    @property
    def permissive(self) -> bool:
        """Whether the licence asks for no more than its notice."""
        return self.licence in PERMISSIVE

    @property
    def bytes(self) -> int:
        """What its files take on disk: exact where the catalogue has all sizes, else what it says of the download."""
        sizes = [file.bytes for file in self.files]
        return sum(sizes) if all(sizes) else max(sum(sizes), int(self.download_mb * 1e6))


class State(Enum):
    """How a model stands on this machine."""

    INSTALLED = "installed"
    TRUSTED = "trusted"
    """Installed; checked against the hashes that its hub stated when it was first pulled."""
    ADDED = "added"
    """Installed by hand; checked against the hash of that day."""
    MISSING = "missing"
    CORRUPT = "corrupt"

    @property
    def here(self) -> bool:
        """Whether it can be loaded."""
        return self in (State.INSTALLED, State.TRUSTED, State.ADDED)


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
        """Reads the catalogue that is shipped, or another; over it the owner's, and what was added under a name of its own.

        Raises ConfigError, which names the file, the model and the key.
        """
        place = cache or cache_folder()
        entries = read_catalogue(path or Path(__file__).with_name("catalog.toml"))
        own = os.environ.get("NEARSIGHT_CATALOG")
        if own and path is None:
            entries |= read_catalogue(Path(own).expanduser())
        return cls({**_unnamed(place / "models", entries), **entries}, place)

    def find(self, name: str) -> Entry:
        """Gives the model of that name. Raises UsageError, which names the nearest one."""
        try:
            return self.entries[name]
        except KeyError:
            raise UsageError(f"unknown model {name!r}: {nearest(name, self.entries)}") from None

    def folder(self, name: str) -> Path:
        """Where the model's files lie, or would."""
        return self.cache / "models" / name

    def record(self, name: str) -> Record:
        """Gives what was written down about a model. Raises ModelCorrupt for a record that is unreadable."""
        return read_record(self.folder(name))

    def expected(self, entry: Entry, file: ModelFile) -> ModelFile:
        """Gives what ``file`` must be: the catalogue's bytes and hash, or those of the record."""
        if file.sha256:
            return file
        pin = self.record(entry.name).files.get(file.name)
        return ModelFile(file.name, file.member, pin.bytes, pin.sha256) if pin else file

    def missing(self, entry: Entry) -> list[str]:
        """Gives the names of the files that are not here, or whose hash nobody knows."""
        folder = self.folder(entry.name)
        return [f.name for f in entry.files if not (folder / f.name).is_file() or not self.expected(entry, f).sha256]

    def path(self, name: str) -> Path:
        """Gives the file that an engine opens, once all files of the model are found right.

        Raises:
            UsageError: The catalogue has no such model.
            ModelMissing: It is not on this machine; the text names every file that is missing.
            ModelCorrupt: Its bytes or its hash are wrong; the file is deleted, so that the next pull fetches it again.
        """
        entry = self.find(name)
        absent = self.missing(entry)
        if absent:
            what = f" ({', '.join(absent)} missing)" if len(entry.files) > 1 else ""
            raise ModelMissing(f"{name} is not installed{what}: run nearsight models pull {name}")
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
            raise ModelMissing(f"{entry.name} is not installed ({file.name} missing): run nearsight models pull {entry.name}")
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
            what = f"{entry.name}: {file.name} is damaged ({fault}) {_deleted(path)}"
            raise ModelCorrupt(f"{what} nearsight models pull {entry.name}")
        _stamp(path, stamp)

    def status(self, name: str) -> Row:
        """Says how a model stands, by its stamps and sizes alone: nothing is hashed and nothing deleted."""
        entry, folder = self.find(name), self.folder(name)
        state, total = State.INSTALLED, 0
        try:
            record = self.record(name)
        except ModelCorrupt:
            return Row(entry, State.CORRUPT, folder, 0)
        learnt = State.TRUSTED if record.source else State.ADDED
        for file in entry.files:
            path, want = folder / file.name, self.expected(entry, file)
            if not path.is_file() or not want.sha256:
                return Row(entry, State.MISSING, folder, total)
            size = path.stat().st_size
            total += size
            if want.bytes and size != want.bytes:
                state = State.CORRUPT
            elif want is not file and state is State.INSTALLED:
                state = learnt
        return Row(entry, state, folder, total)

    def offer(self, source: str, target: str) -> Offer:
        """Gives what translates between two languages. Raises LanguageMissing."""
        return offer(self.entries, source, target)

    def rows(self) -> list[Row]:
        """Gives the status of every model, in the catalogue's order."""
        return [self.status(name) for name in self.entries]


def stamp_of(path: Path) -> Path:
    """Where the stamp of a file lies."""
    return path.with_name(path.name + ".ok")


def read_catalogue(path: Path) -> dict[str, Entry]:
    """Reads the models of a catalogue. Raises ConfigError, which names the file, the model and the key."""
    tables = read_toml(path)
    rows = tables.pop("model", None)
    if tables or not isinstance(rows, list):
        raise ConfigError(f"{path}: a catalogue is a list of [[model]]" + (f", not {', '.join(tables)}" if tables else ""))
    entries = [_entry(row, f"{path}: model {at}") for at, row in enumerate(rows, 1)]
    twice = {entry.name for entry in entries if [one.name for one in entries].count(entry.name) > 1}
    if twice:
        raise ConfigError(f"{path}: {', '.join(sorted(twice))} stands there twice")
    return {entry.name: entry for entry in entries}


def _entry(row: Any, where: str) -> Entry:
    if not isinstance(row, Mapping):
        raise ConfigError(f"{where}: must be a table")
    name = row.get("name")
    place = f"{where} ({name})" if isinstance(name, str) else where
    lacks = [key for key in ("name", "task", "source", "licence", "file") if key not in row]
    if lacks:
        raise ConfigError(f"{place}: lacks {', '.join(lacks)}")
    try:
        entry: Entry = build(Entry, {**{k: v for k, v in row.items() if k != "file"}, "files": row["file"]})
    except ConfigError as error:
        raise ConfigError(f"{place}: {error.text}") from None
    except TypeError as error:
        raise ConfigError(f"{place}: a file lacks its name") from error
    return entry


def entry_of(name: str, record: Record) -> Entry:
    """Makes the entry of a model that no catalogue has, from its record: the largest file is the one that an engine opens."""
    files = sorted(record.files.items(), key=lambda item: -item[1].bytes)
    rows = tuple(ModelFile(file, "", pin.bytes) for file, pin in files)
    pairs = tuple("-".join(pair) for pair in pairs_in(name)) if record.task == "translator" else ()
    licence = record.licence or "not known"
    return Entry(name, record.task, record.source or "file:", licence, rows, tuple(pairs[0].split("-")) if pairs else (), pairs)


def _unnamed(folder: Path, known: Mapping[str, Entry]) -> dict[str, Entry]:
    """The models that were added by hand under a name that no catalogue has."""
    return {entry.name: entry for entry in _records(folder) if entry.name not in known}


def _records(folder: Path) -> Iterator[Entry]:
    for path in sorted(folder.glob(f"*/{RECORD}")):
        try:
            record = read_record(path.parent)
            if record.task and record.files:
                yield entry_of(path.parent.name, record)
        except (ConfigError, ModelCorrupt):
            continue  # it is told where somebody asks for that model, and keeps nobody from the others


def _deleted(path: Path) -> str:
    try:
        path.unlink(missing_ok=True)
        stamp_of(path).unlink(missing_ok=True)
    except OSError:
        return "and cannot be deleted: mend that, then run"
    return "and was deleted: run"


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
