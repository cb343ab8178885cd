"""``nearsight doctor``, as a field tester's script sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def doctor(cache: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli.main", "doctor", *options]
    environment = {**os.environ, "NEARSIGHT_CACHE": str(cache)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_a_machine_without_models_is_told_how_to_get_them(tmp_path: Path) -> None:
    run = doctor(tmp_path, "--json")
    checks = {row["check"]: row for row in map(json.loads, run.stdout.splitlines())}
    model = checks["model smollm2-135m-instruct"]
    assert not model["ok"] and model["needed"] and model["mend"] == "nearsight models pull smollm2-135m-instruct"
    assert checks["engine wake"]["ok"]
    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == 1 and "model smollm2-135m-instruct" in run.stderr


def test_people_see_a_mark_and_a_remedy(tmp_path: Path) -> None:
    lines = doctor(tmp_path).stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("MEND  model smollm2-135m-instruct"))
    assert lines[at + 1].strip() == "-> nearsight models pull smollm2-135m-instruct"
    assert lines[0].startswith("ok    python")


def test_an_unknown_profile_is_wrong_usage(tmp_path: Path) -> None:
    run = doctor(tmp_path, "--profile", "bundeld")
    assert run.returncode == 2 and "bundled" in run.stderr and not run.stdout
