"""The one door to the checks of the house: ``python -m tools.tasks fmt|lint|type|test|bench|check``.

``check`` is what must hold before a change is handed over, besides the tests: format, lint, types, and the house's own tests
(layers, sizes, names; a few seconds). It leaves the other tests to ``test``, because ``.ci/run`` runs the README's test command
and then ``check``, and nobody should wait for the same tests twice. What follows a task goes to its tool: ``test -k turn``.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
TASKS: Mapping[str, Sequence[Sequence[str]]] = {
    "fmt": (("ruff", "check", "--fix"), ("ruff", "format")),
    "lint": (("ruff", "format", "--check"), ("ruff", "check")),
    "type": (("mypy",),),
    "test": (("pytest",),),
    "bench": (("edge.cli.main", "bench"),),
    "check": (
        ("ruff", "format", "--check"),
        ("ruff", "check"),
        ("mypy",),
        ("pytest", "-q", "tests/test_layers.py", "tests/test_house.py"),
    ),
}
"""Each task's steps: a Python module to run, and its arguments."""


def main(arguments: Sequence[str]) -> int:
    """Runs every step of one task, also after one has failed; gives the first exit status that is not 0."""
    if not arguments or arguments[0] not in TASKS:
        print(f"usage: python -m tools.tasks {'|'.join(TASKS)} [ARGUMENT ...]", file=sys.stderr)
        return 2
    statuses = []
    for step in TASKS[arguments[0]]:
        command = [sys.executable, "-m", *step, *arguments[1:]]
        print("$ python", *command[1:], file=sys.stderr, flush=True)
        statuses.append(subprocess.run(command, cwd=ROOT, check=False).returncode)
    return next((status for status in statuses if status), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
