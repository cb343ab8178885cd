"""Reads the import statements of the packages and says which of them break the plan.

Inside ``edge`` imports go down only: contract < policy < runtime < skills < composition. ``models`` and ``phone_bridge``
know the contract and never each other; ``edge/app`` alone knows all three; nobody knows ``tests`` or ``tools``. Imports
inside functions count like any other, and so do imports for types alone and ``importlib.import_module("a.literal.name")``.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("edge", "models", "phone_bridge")
CHECKOUT = ("tests", "tools", "firmware_stubs")
COMPOSITION_ROOT = "edge.app"

LAYERS = ("contract", "policy", "runtime", "skills", "composition")
CONTRACT = (
    "edge",
    *(
        f"edge.{name}"
        for name in (
            "errors",
            "values",
            "events",
            "channel",
            "clock",
            "ports",
            "skill",
            "config",
            "bundle",
            "tables",
            "tracks",
            "decoding",
            "translation",
        )
    ),
)
COMPOSITION = ("app", "household", "studio", "cli", "report", "bench", "doctor", "demo")
"""First word of the module's name below ``edge``; ``report_page`` belongs to ``report``."""

PURE = frozenset({"numpy", "sentence_stream"})
"""What policy may use beside the standard library: arrays, and the cutting of sentences."""
IMPURE = frozenset(
    "asyncio concurrent datetime fcntl glob http importlib io logging mmap multiprocessing os pathlib queue random sched "
    "secrets select selectors shutil signal socket sqlite3 ssl subprocess sys tempfile threading time urllib wave".split()
)
"""What policy may not use of the standard library: clocks, chance, tasks, threads, files, the network, the process."""

OWNERS: Mapping[str, tuple[str, ...]] = {
    "av": (
        "models/clips.py",
        "edge/cli/masks.py",
        "phone_bridge/media.py",
        "phone_bridge/playout.py",
        "phone_bridge/webrtc_replay.py",
    ),
    "bleak": (
        "phone_bridge/ble.py",
        "phone_bridge/ble_capture.py",
        "phone_bridge/ble_find.py",
        "phone_bridge/ble_gatt.py",
        "phone_bridge/ble_replay.py",
    ),
    "bumble": (),
    "cryptography": ("phone_bridge/certificate.py",),
    "ctranslate2": ("models/ct2.py", "models/ct2_translator.py", "models/whisper.py"),
    "cv2": (
        "edge/cli/masks.py",  # PNG, what is drawn on the preview
        "edge/report/media.py",  # thumbnails
        "edge/runtime/recording.py",  # JPEG
        "edge/runtime/sight.py",  # sharpness, scaling
        "edge/studio/picture.py",  # JPEG
        "models/classical_colour.py",  # for all of the classical segmenter
        "models/clips.py",  # scaling, colours, JPEG
        "models/codes.py",
        "models/fastestdet.py",
        "models/llama_vision.py",  # scaling
        "models/openai_chat.py",  # scaling, JPEG
        "models/reader.py",  # warps and contours around its networks
        "models/scene.py",
    ),
    "espeakng_loader": ("models/espeak_worker.py",),  # GPL-3: only the file that runs in a process of its own
    "faster_whisper": ("models/whisper.py",),  # elsewhere its voice-activity network is used, not its code
    "llama_cpp": ("models/llama_core.py", "models/llama_grammar.py", "models/mtmd.py"),
    "onnx": ("models/piper_worker.py", "models/sam2_export.py"),
    "onnxruntime": (
        "edge/doctor_packages.py",
        "models/fastestdet.py",
        "models/piper_worker.py",
        "models/reader.py",
        "models/sam2_export.py",
        "models/sam2_onnx.py",
        "models/silero.py",
        "models/smart_turn.py",
    ),
    "paho": ("phone_bridge/notify.py",),
    "piper": ("models/piper_worker.py",),  # GPL-3: only the file that runs in a process of its own
    "pocketsphinx": ("models/sphinx.py", "models/spotter.py"),
    "py3langid": ("models/language_id.py",),
    "pymicro_wakeword": ("models/wake.py",),
    "pywebrtc_audio": ("models/echo.py",),
    "qrcode": ("phone_bridge/invite.py",),
    "rapidocr": (),  # its networks are used, not its code
    "sam2": (
        "models/sam2_attention.py",
        "models/sam2_build.py",
        "models/sam2_graphs.py",
        "models/sam2_torch.py",
    ),
    "sentencepiece": ("models/ct2_words.py",),
    "tokenizers": ("models/ct2_words.py",),
    "torch": (
        "models/sam2_attention.py",
        "models/sam2_build.py",
        "models/sam2_export.py",
        "models/sam2_graphs.py",
        "models/sam2_hiera.py",
        "models/sam2_parts.py",
        "models/sam2_torch.py",
    ),
    "wyoming": (
        "models/wyoming.py",
        "models/wyoming_info.py",
        "models/wyoming_wake.py",
        "models/wyoming_wire.py",
        "phone_bridge/wyoming_offer.py",
        "phone_bridge/wyoming_server.py",
        "phone_bridge/wyoming_talk.py",
    ),
}
"""The files that may import a heavy package, which they do only inside functions."""


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, by its full dotted name."""

    module: str
    line: int
    at_start: bool
    """Whether it runs when the importing module is imported."""


def module_name(path: Path) -> str:
    """Gives the dotted name of a file whose path is relative to the checkout."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer(module: str) -> int | None:
    """Gives the place in LAYERS of a module of ``edge``; None where the plan has none for it."""
    if module in CONTRACT:
        return 0
    first = module.split(".")[1]
    if first in LAYERS[1:-1]:
        return LAYERS.index(first)
    return len(LAYERS) - 1 if first.split("_")[0] in COMPOSITION else None


def faults(root: Path, owners: Mapping[str, tuple[str, ...]] = OWNERS) -> list[str]:
    """Gives a line for every import below ``root`` that breaks the plan, and for every module of ``edge`` without a layer."""
    paths = [path.relative_to(root) for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    modules = {module_name(path) for path in paths}
    found = []
    for path in paths:
        module = module_name(path)
        if path.parts[0] == "edge" and layer(module) is None:
            found.append(f"{path}: belongs to no layer of edge")
            continue
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        tree = ast.parse((root / path).read_text(encoding="utf-8"), str(path))
        for item in imports(tree, package, modules):
            found += [f"{path}:{item.line}: {why}" for why in _faults_of(path, module, item, owners)]
    return list(dict.fromkeys(found))  # one statement may import several names of one module


def imports(tree: ast.Module, package: str, modules: set[str]) -> Iterator[Import]:
    """Gives what a file imports.

    ``package`` is where its relative names start; ``modules`` tells a module from a name in one.
    """
    at_start = set(map(id, _run_at_start(tree)))
    for node in ast.walk(tree):
        for name in _names(node, package):
            module = name if name in modules or "." not in name else _known_part(name, modules)
            yield Import(module, node.lineno, id(node) in at_start)  # type: ignore[attr-defined]  # import nodes have a line


def _known_part(name: str, modules: set[str]) -> str:
    """``edge.values.Pcm`` is the module ``edge.values``; a name of somebody else's package stays as it is."""
    parts = name.split(".")
    if parts[0] not in PACKAGES:
        return name
    return next((".".join(parts[:n]) for n in range(len(parts), 1, -1) if ".".join(parts[:n]) in modules), parts[0])


def _run_at_start(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from _run_at_start(child)


def _names(node: ast.AST, package: str) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            above = package.split(".")[: len(package.split(".")) - level + 1] if level else []
            base = ".".join([*above, *([module] if module else [])])
            return [f"{base}.{alias.name}" for alias in names]
        case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]) if ast.unparse(func) in _IMPORTERS:
            return [name]
    return []


_IMPORTERS = ("importlib.import_module", "import_module", "__import__")


def _faults_of(path: Path, module: str, item: Import, owners: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    top = item.module.split(".")[0]
    home = path.parts[0]
    if top in CHECKOUT and not (top == "firmware_stubs" and module == "edge.app.links"):  # ble:sim, where it is there
        yield f"imports {item.module}, which is not shipped"
    elif top in PACKAGES and top != home and not (top == "edge" and item.module in CONTRACT):
        if module != COMPOSITION_ROOT and not module.startswith(f"{COMPOSITION_ROOT}."):
            yield f"{home} imports {item.module}: only edge/app joins the packages"
    elif top == home == "edge":
        here, there = layer(module), layer(item.module)
        if here is not None and there is not None and there > here:
            yield f"{LAYERS[here]} imports {item.module} of {LAYERS[there]}: imports go down only"
    if home == "edge":
        yield from _foreign_faults(layer(module), top)
    if top in owners:
        if path.as_posix() not in owners[top]:
            yield f"imports {top}, which belongs to {', '.join(owners[top]) or 'nobody'}"
        if item.at_start:
            yield f"imports {top} at its start: heavy packages wait for open()"


def _foreign_faults(here: int | None, top: str) -> Iterator[str]:
    standard = top in sys.stdlib_module_names
    if here == 0 and not standard and top not in ("edge", "numpy"):
        yield f"contract imports {top}: the standard library and numpy only"
    if here == 1 and (top in IMPURE if standard else top not in PURE | {"edge"}):
        yield f"policy imports {top}: no clock, no tasks, no I/O"
