"""The layers hold; and the checker that says so can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import layers

ROOT = Path(__file__).parents[1]
OWNERS = {"cv2": ("models/sight.py",)}


def test_the_packages_keep_to_the_plan() -> None:
    assert layers.faults(ROOT) == []


def test_every_file_that_owns_a_heavy_package_is_there() -> None:
    assert [file for files in layers.OWNERS.values() for file in files if not (ROOT / file).is_file()] == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree that keeps to the plan and uses every way to import."""
    files = {
        "edge/__init__.py": "__version__ = '0'",
        "edge/values.py": "from __future__ import annotations\nimport math\nimport numpy as np",
        "edge/ports.py": "from edge.values import Pcm",
        "edge/policy/__init__.py": "",
        "edge/policy/turns.py": "import itertools\nfrom edge import __version__, values\nfrom .cut import cut",
        "edge/policy/cut.py": "def cut():\n    import sentence_stream",
        "edge/runtime/__init__.py": "",
        "edge/runtime/session.py": "import asyncio\nfrom edge.policy import turns\nfrom ..policy.turns import Turns",
        "edge/skills/ask.py": "from edge.runtime.session import Session",
        "edge/app/__init__.py": "def build():\n    from models import sight\n    import phone_bridge.file",
        "edge/cli/main.py": "import typer\nfrom edge import app",
        "edge/report_page.py": "from edge.runtime import session",
        "models/__init__.py": "",
        "models/sight.py": "from edge.values import Pcm\ndef open():\n    import cv2",
        "phone_bridge/file.py": "import asyncio\nfrom edge import ports, errors",
        "tools/bench.py": "import tests.shared, models.sight, phone_bridge",
    }
    for name, source in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source, encoding="utf-8")
    return tmp_path


def test_a_good_tree_has_no_faults(tree: Path) -> None:
    (tree / "edge" / "errors.py").touch()
    assert layers.faults(tree, OWNERS) == []


@pytest.mark.parametrize(
    ("file", "source", "why"),
    [
        (
            "edge/values.py",
            "import edge.config, edge.policy.turns",
            "edge/values.py:1: contract imports edge.policy.turns of policy",
        ),
        ("edge/values.py", "import scipy", "contract imports scipy"),
        (
            "edge/policy/turns.py",
            "def f():\n    from edge.runtime import session",
            "edge/policy/turns.py:2: policy imports edge.runtime",
        ),
        ("edge/policy/turns.py", "from .. import runtime", "policy imports edge.runtime of runtime"),
        ("edge/policy/turns.py", "from ..runtime.session import Session", "policy imports edge.runtime.session of runtime"),
        ("edge/policy/turns.py", "import asyncio", "policy imports asyncio"),
        ("edge/policy/turns.py", "from time import monotonic", "policy imports time"),
        ("edge/policy/turns.py", "from pathlib import Path", "policy imports pathlib"),
        ("edge/policy/turns.py", "import rich", "policy imports rich"),
        ("edge/runtime/session.py", "import edge.skills.ask", "runtime imports edge.skills.ask of skills"),
        (
            "edge/runtime/session.py",
            "import importlib\nimportlib.import_module('edge.app')",
            "runtime imports edge.app of composition",
        ),
        (
            "edge/runtime/session.py",
            "class C:\n    async def f(self):\n        from models.sight import X",
            "only edge/app joins",
        ),
        ("edge/skills/ask.py", "if TYPE_CHECKING:\n    from edge.app import App", "skills imports edge.app of composition"),
        ("edge/cli/main.py", "import phone_bridge.file", "edge imports phone_bridge.file: only edge/app joins"),
        ("edge/cli/main.py", "from tools import bench", "imports tools.bench, which is not shipped"),
        ("edge/app/links.py", "import tests", "imports tests, which is not shipped"),
        ("edge/helpers.py", "", "edge/helpers.py: belongs to no layer"),
        ("models/sight.py", "from edge.runtime import session", "models imports edge.runtime.session: only"),
        ("models/sight.py", "from edge import app", "models imports edge.app: only"),
        ("models/sight.py", "import phone_bridge", "models imports phone_bridge: only"),
        ("models/sight.py", "import cv2", "imports cv2 at its start"),
        ("models/sight.py", "try:\n    import cv2\nexcept ImportError:\n    pass", "imports cv2 at its start"),
        ("models/other.py", "def f():\n    from cv2 import imread", "imports cv2, which belongs to models/sight.py"),
        ("phone_bridge/file.py", "from models.sight import X", "phone_bridge imports models.sight: only"),
    ],
)
def test_a_bad_import_is_found(tree: Path, file: str, source: str, why: str) -> None:
    (tree / file).write_text(source, encoding="utf-8")
    found = layers.faults(tree, OWNERS)
    assert any(why in line for line in found), found


def test_a_type_only_import_of_a_heavy_package_is_no_load(tree: Path) -> None:
    (tree / "models/sight.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import cv2", encoding="utf-8"
    )
    assert layers.faults(tree, OWNERS) == []
