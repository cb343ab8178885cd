"""What runs in glasses knows nothing of nearsight but the bytes on the wire."""

from __future__ import annotations

import ast
from pathlib import Path

from tests import layers

ROOT = Path(__file__).parents[2]


def test_the_simulated_glasses_import_nothing_but_the_wire_codec() -> None:
    modules = {layers.module_name(path.relative_to(ROOT)) for path in (ROOT / "phone_bridge").rglob("*.py")}
    foreign = []
    for path in sorted((ROOT / "firmware_stubs").rglob("*.py")):
        package = layers.module_name(path.relative_to(ROOT)).rpartition(".")[0]
        for item in layers.imports(ast.parse(path.read_text(encoding="utf-8")), package, modules):
            ours = item.module.split(".")[0] in (*layers.PACKAGES, "tests", "tools")
            if ours and not item.module.startswith("phone_bridge.wire"):
                foreign.append(f"{path.relative_to(ROOT)}:{item.line}: {item.module}")
    assert not foreign
