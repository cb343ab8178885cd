"""Brings models onto a machine without a network: a file, a folder, or a bundle of a whole profile on a stick.

A bundle is a plain tar (weights do not compress): ``nearsight.toml`` first, which lists each model with its record and the
bytes and SHA-256 of its files, then ``<model>/<file>``. Nothing of it is taken by its path: each file is looked up in the list,
and must be what the catalogue says, or, where that is silent, what the list says; its owner carried it here by hand.
"""

from __future__ import annotations

import os
import tarfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from edge.errors import ConfigError, InputError, ModelCorrupt, ModelMissing, UsageError
from models.catalog import Catalogue, Entry, ModelFile, entry_of, sha256_of
from models.fetch import alone, install, need_space
from models.record import Pin, Record, check_name, parse_record, read_record, record_table, write_record

FORMATS = (".gguf", ".onnx", ".safetensors", ".bin", ".json", ".txt", ".model", ".spm")
"""``.bin`` is CTranslate2's; pickled weights have other names, and every engine checks its own magic."""
LIST = "nearsight.toml"
_LONGEST_LIST = 1 << 20


def add(catalogue: Catalogue, path: Path, name: str, task: str = "") -> Path:
    """Imports a file, or a folder with a model's files, that came by other means; gives the file that an engine opens.

    Where the catalogue knows the hash, a file must have it. Where it does not, its bytes and hash are recorded, and from then
    on it must keep them. A name that no catalogue has becomes a model of this machine for the port ``task``.

    Raises:
        UsageError: An unknown model and no task, or not one of its files.
        InputError: There is no such file, or its format is not one that is loaded.
        ModelCorrupt: Its bytes or hash are not those of the catalogue; nothing was changed.
        FetchFailed: No space.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file")
    entry = catalogue.entries.get(name) or _new(catalogue, path, name, task)
    found = _files_in(path, entry)
    with alone(catalogue, name):
        need_space(catalogue.cache, name, sum(file.stat().st_size for file in found.values()))
        record = replace(read_record(catalogue.folder(name)), source="", revision="", task=task)
        for file in entry.files:
            if file.name in found:
                record = _take(catalogue, entry, file, found[file.name], record)
    catalogue.entries[name] = entry
    return catalogue.folder(name) / entry.files[0].name


def bundle(catalogue: Catalogue, names: Sequence[str], out: Path) -> int:
    """Writes models that are here into one file; gives its bytes.

    Every file is checked first. Raises ModelMissing, which names every model that is not here, ModelCorrupt, and InputError
    where the file cannot be written.
    """
    entries = [catalogue.find(name) for name in dict.fromkeys(names)]
    absent = [entry.name for entry in entries if catalogue.missing(entry)]
    if absent:
        raise ModelMissing(f"{', '.join(absent)} not installed: run nearsight models pull {' '.join(absent)}")
    for entry in entries:
        catalogue.path(entry.name)
    part = out.with_name(out.name + ".part")
    try:
        with tarfile.open(part, "w") as tar:
            _write(tar, LIST, _listing(catalogue, entries))
            for entry in entries:
                for file in entry.files:
                    tar.add(catalogue.folder(entry.name) / file.name, f"{entry.name}/{file.name}", filter=_plain)
        os.replace(part, out)
    except OSError as error:
        raise InputError(f"{out}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
    return out.stat().st_size


def is_bundle(path: Path) -> bool:
    """Says whether a file is a bundle of models."""
    try:
        return path.is_file() and tarfile.is_tarfile(path)
    except OSError:
        return False


def unpack(catalogue: Catalogue, path: Path) -> list[str]:
    """Takes the models of a bundle; gives their names.

    Raises InputError for what is no whole bundle (what came before the damage stays, whole), ModelCorrupt for a file that is
    not what the catalogue, or the list, says, and FetchFailed where there is no space.
    """
    taken: list[str] = []
    with _opened(path) as tar:
        records = _list_of(tar, path)
        need_space(catalogue.cache, path.name, sum(pin.bytes for record in records.values() for pin in record.files.values()))
        entries = {name: catalogue.entries.get(name) or entry_of(name, record) for name, record in records.items()}
        left = {(name, file.name): file for name, entry in entries.items() for file in entry.files}
        for member in tar:
            model, _, name = member.name.partition("/")
            file = left.pop((model, name), None)
            stream = tar.extractfile(member) if file is not None and member.isreg() else None
            if file is None or stream is None:
                if member.name == LIST:
                    continue
                raise InputError(f"{path}: {member.name} is not in its list")
            with alone(catalogue, model):
                _carry(catalogue, entries[model], file, records[model], stream)
            if model not in taken:
                taken.append(model)
            catalogue.entries[model] = entries[model]
    if left:
        raise InputError(f"{path}: is cut short: it lacks {', '.join(name for _, name in left)}")
    return taken


def _files_in(path: Path, entry: Entry) -> dict[str, Path]:
    """Finds the entry's files: by name in a folder, else the one that ``path`` is. Raises UsageError, InputError."""
    if path.is_dir():
        found = {file.name: place for file in entry.files if (place := _below(path, file)) is not None}
        absent = [file.name for file in entry.files if file.name not in found]
        if absent:
            raise InputError(f"{path}: of {entry.name} it lacks {', '.join(absent)}")
        return found
    _loadable(path)
    for file in entry.files:
        if file.name == path.name:
            return {file.name: path}
    only = entry.files[0]
    if len(entry.files) == 1 and path.suffix == Path(only.name).suffix:
        return {only.name: path}
    raise UsageError(f"{path.name} is no file of {entry.name}: it has {', '.join(file.name for file in entry.files)}")


def _below(folder: Path, file: ModelFile) -> Path | None:
    places = (folder / file.name, folder / (file.member or file.name), *sorted(folder.rglob(file.name)))
    return next((place for place in places if place.is_file()), None)


def _loadable(path: Path) -> None:
    if path.suffix not in FORMATS:
        raise InputError(f"{path}: {path.suffix or 'a file without a suffix'} is not loaded; known are {', '.join(FORMATS)}")


def _new(catalogue: Catalogue, path: Path, name: str, task: str) -> Entry:
    """Makes an entry for a model that no catalogue has. Raises UsageError, InputError."""
    if not task:
        catalogue.find(name)  # raises, and names the nearest: most often it is a typing error
    try:
        check_name(name)
    except ConfigError as error:
        raise UsageError(f"--name: {error.text}") from None
    paths = sorted(one for one in path.iterdir() if one.suffix in FORMATS and one.is_file()) if path.is_dir() else [path]
    for one in paths:
        _loadable(one)
    if not paths:
        raise InputError(f"{path}: holds no file that is loaded; known are {', '.join(FORMATS)}")
    try:
        files = [ModelFile(one.name) for one in sorted(paths, key=lambda one: -one.stat().st_size)]
    except ConfigError as error:
        raise InputError(f"{path}: {error.text}") from None
    return Entry(name, task, "file:", "not known", tuple(files))


def _take(catalogue: Catalogue, entry: Entry, file: ModelFile, path: Path, record: Record) -> Record:
    digest, size = sha256_of(path), path.stat().st_size
    if file.sha256 and (digest, size) != (file.sha256, file.bytes or size):
        raise ModelCorrupt(f"{path}: is not the {file.name} of the catalogue ({size} bytes, SHA-256 {digest[:12]}...)")
    folder = catalogue.folder(entry.name)
    if not file.sha256:
        record = record.with_file(file.name, Pin(size, digest))
        write_record(folder, record)
    with path.open("rb") as source:
        install(source, folder / file.name, ModelFile(file.name, "", size, digest), entry.name)
    catalogue.check(entry, file)
    return record


def _carry(catalogue: Catalogue, entry: Entry, file: ModelFile, record: Record, stream: Any) -> None:
    folder, stated = catalogue.folder(entry.name), record.files.get(file.name)
    if stated is None or not stated.sha256:
        raise InputError(f"{entry.name}: the bundle states no hash of {file.name}")
    want = file if file.sha256 else ModelFile(file.name, "", stated.bytes, stated.sha256)
    install(stream, folder / file.name, want, entry.name)
    if not file.sha256 or record.licence:
        here = read_record(folder)
        files = here.files if file.sha256 else {**here.files, file.name: stated}
        write_record(folder, replace(record, files=files))
    catalogue.check(entry, file)


def _listing(catalogue: Catalogue, entries: Sequence[Entry]) -> bytes:
    import tomli_w

    models = {}
    for entry in entries:
        record, folder = catalogue.record(entry.name), catalogue.folder(entry.name)
        files = {
            file.name: Pin((folder / file.name).stat().st_size, catalogue.expected(entry, file).sha256) for file in entry.files
        }
        models[entry.name] = record_table(replace(record, task=entry.task, files=files))
    return tomli_w.dumps({"bundle": 1, "model": models}).encode()


def _write(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    header = tarfile.TarInfo(name)
    header.size = len(data)
    tar.addfile(header, BytesIO(data))


def _plain(header: tarfile.TarInfo) -> tarfile.TarInfo:
    header.uid = header.gid = 0
    header.uname = header.gname = ""
    header.mode = 0o644
    return header


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"{path}: is no whole bundle ({error})") from error
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise InputError(f"{path}: {error.strerror}") from error


def _list_of(tar: tarfile.TarFile, path: Path) -> dict[str, Record]:
    head = tar.next()
    stream = tar.extractfile(head) if head is not None and head.name == LIST and head.isreg() else None
    if head is None or stream is None or head.size > _LONGEST_LIST:
        raise InputError(f"{path}: is no bundle of models: it does not begin with {LIST}")
    try:
        table = tomllib.loads(stream.read().decode("utf-8"))
        models = table.get("model")
        if table.get("bundle") != 1 or not isinstance(models, Mapping) or not models:
            raise ConfigError("it is of another version, or empty")
        for name, row in models.items():
            check_name(name)
            if not isinstance(row, Mapping):
                raise ConfigError(f"{name} must be a table")
        return {name: parse_record(row) for name, row in models.items()}
    except (ConfigError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: its list cannot be read ({error})") from error
