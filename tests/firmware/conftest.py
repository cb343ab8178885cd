"""The C programs, built once for all tests of this folder."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.firmware.pipe import Glasses
from tools.bench.wire import build


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs, built under the sanitizers. Skips, loudly, without a compiler."""
    compiler = shutil.which("clang") or shutil.which("gcc")
    if compiler is None or shutil.which("make") is None:
        pytest.skip("NO C COMPILER: the glasses' side of the profile goes untested")
    folder = tmp_path_factory.mktemp("firmware")
    try:
        return build(folder, CC=compiler, CFLAGS="-O1", SANITIZE="1")
    except subprocess.CalledProcessError as error:
        pytest.fail(f"the C code does not build: {error.stderr}")


@pytest.fixture
def glasses(programs: Path) -> Iterator[Glasses]:
    """The C application, with its other end of the pipe."""
    with Glasses(programs / "glasses") as found:
        yield found
