"""The Python codec and the C one against the same vectors, against each other, and against the table they come from."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tools.bench.wire import build, disagreement
from tools.bench.wire_mirror import OPERATIONS, Inputs, Mirror, record
from tools.profile_table import read, stale
from tools.profile_vectors import VECTORS, vectors

FUZZED = 20_000
OUTCOME = {"malformed": 1, "unknown": 2}


@pytest.fixture(scope="module")
def golden() -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return found


def results(program: Path, steps: list[tuple[int, bytes]]) -> list[bytes]:
    """What the C program makes of each step."""
    given = b"".join(record(*step) for step in steps)
    said = subprocess.run([program, "-v"], input=given, capture_output=True, check=True, timeout=60).stdout
    found = []
    while said:
        _, size = struct.unpack_from("<II", said)
        found.append(said[8 : 8 + size])
        said = said[8 + size :]
    assert len(found) == len(steps)
    return found


def test_what_is_generated_says_what_the_table_says() -> None:
    assert stale(read()) == [], "run python -m tools.profile_table"


def test_the_codec_still_writes_the_vectors(golden: dict[str, list[dict[str, str]]]) -> None:
    assert json.loads(json.dumps(vectors())) == golden, "what goes over the air has changed"


def test_both_read_the_vectors(programs: Path, golden: dict[str, list[dict[str, str]]]) -> None:
    steps = [(OPERATIONS.index(item["channel"]), bytes.fromhex(item["hex"])) for item in golden["messages"]]
    steps += [(OPERATIONS.index("capabilities"), bytes.fromhex(item["hex"])) for item in golden["descriptors"]]
    for item in golden["audio"]:
        steps.append((OPERATIONS.index("audio_open"), b"\5"))
        for n in range(2):
            head = struct.pack("<HIB", int(item["mtu"]), (n * 20_000 + 0xFFFFF000) & 0xFFFFFFFF, n)
            steps.append((OPERATIONS.index("audio_send"), head + bytes.fromhex(item["frame"])))
        steps += [(OPERATIONS.index("audio_take"), bytes.fromhex(packet)) for packet in item["packets"]]
    mirror = Mirror()
    ours, theirs = [mirror.step(*step) for step in steps], results(programs / "wirecheck", steps)
    assert ours == theirs
    messages = len(golden["messages"]) + len(golden["descriptors"])
    assert {result[0] for result in theirs[:messages]} == {0}


def test_both_refuse_what_must_be_refused(programs: Path, golden: dict[str, list[dict[str, str]]]) -> None:
    steps = [(OPERATIONS.index(item["channel"]), bytes.fromhex(item["hex"])) for item in golden["refused"]]
    mirror = Mirror()
    for item, ours, theirs in zip(
        golden["refused"], [mirror.step(*step) for step in steps], results(programs / "wirecheck", steps), strict=True
    ):
        unknown = item["why"].startswith("unknown") and "flag" not in item["why"] or "another major" in item["why"]
        assert ours == theirs == bytes((OUTCOME["unknown" if unknown else "malformed"],)), item


def test_chance_finds_no_disagreement(programs: Path) -> None:
    assert disagreement(programs / "wirecheck", FUZZED, seed=11) is None


def test_a_disagreement_would_be_found(tmp_path: Path) -> None:
    liar = tmp_path / "liar"
    liar.write_text("#!/bin/sh\nexec head -c 1000000 /dev/zero\n", encoding="utf-8")
    liar.chmod(0o755)
    assert disagreement(liar, 100, seed=1) is not None


def test_the_inputs_reach_every_state() -> None:
    mirror, seen = Mirror(), set()
    for operation, data in Inputs(3).steps(30_000):
        mirror.step(operation, data)
        if mirror.photo is not None:
            seen.add(mirror.photo.state.value)
        seen.add(mirror.speaker.state.name.lower())
    assert seen == {"waiting", "moving", "whole", "failed", "playing", "drained", "flushed"}


def test_c_alone_survives_a_million_inputs(programs: Path) -> None:
    subprocess.run([programs / "fuzz", "1000000", "9"], check=True, timeout=120, capture_output=True)


def test_the_unit_tests_in_c(programs: Path) -> None:
    done = subprocess.run([programs / "unit"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_compiler_is_content(compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None or shutil.which("make") is None:
        pytest.skip(f"NO {compiler.upper()}: the C code is checked with fewer compilers")
    build(tmp_path, f"{tmp_path}/libnearsight.a", CC=compiler, CFLAGS="-O2")
