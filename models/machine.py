"""What this machine has for models: memory, a GPU and its memory, the packages that are installed. Reads, changes nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = ("faster_whisper", "llama_cpp", "onnxruntime", "piper")
_QUERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Machine:
    """Sizes in 10^6 bytes."""

    memory_mb: float
    """Of the machine, or what a container leaves of it."""
    free_mb: float
    """What programs can still get."""
    gpu: str = ""
    """Its name; empty where there is none."""
    gpu_mb: float = 0.0
    gpu_free_mb: float = 0.0
    shared: bool = False
    """Whether processor and GPU share one memory, as on a Jetson: then the GPU's is the machine's."""
    cores: int = 1
    """That this process may use."""
    packages: frozenset[str] = frozenset()
    """Import names of the engines' packages that are installed."""


def this_machine(*, gpu: bool = True) -> Machine:
    """Looks at this machine; without ``gpu`` not for a card, which takes ``nvidia-smi`` up to a second."""
    total, free = _memory(_text("/proc/meminfo"), _text("/sys/fs/cgroup/memory.max"), _text("/sys/fs/cgroup/memory.current"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    packages = frozenset(name for name in _PACKAGES if find_spec(name) is not None)
    if _text("/etc/nv_tegra_release"):
        board = _text("/proc/device-tree/model").strip("\0\n ") or "Jetson"
        return Machine(total, free, board, total, free, True, cores, packages)
    name, card, card_free = _largest(_nvidia() if gpu else [])
    return Machine(total, free, name, card, card_free, False, cores, packages)


def _memory(meminfo: str, limit: str, used: str) -> tuple[float, float]:
    """Gives total and free memory of a Linux machine, a container's own limit included; where nothing is known, much."""
    fields = (line.split() for line in meminfo.splitlines())
    sizes = {words[0].rstrip(":"): int(words[1]) * 1024 for words in fields if len(words) > 1 and words[1].isdigit()}
    if "MemTotal" not in sizes or "MemAvailable" not in sizes:
        return 1e9, 1e9
    total, free = sizes["MemTotal"], sizes["MemAvailable"]
    if limit.strip().isdigit():
        most = int(limit)
        taken = int(used) if used.strip().isdigit() else 0
        total, free = min(total, most), min(free, max(0, most - taken))
    return total / 1e6, free / 1e6


def _largest(lines: Sequence[str]) -> tuple[str, float, float]:
    """Gives name, memory and free memory of the largest GPU of ``nvidia-smi``'s lines (its unit is MiB)."""
    found = []
    for line in lines:
        name, _, sizes = line.partition(",")
        numbers = [word.strip() for word in sizes.split(",")]
        if len(numbers) == 2 and all(number.isdigit() for number in numbers):
            found.append((int(numbers[0]) * 1.048576, int(numbers[1]) * 1.048576, name.strip()))
    total, free, name = max(found, default=(0.0, 0.0, ""))
    return name, total, free


def _nvidia() -> list[str]:
    query = ["nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        return subprocess.run(query, capture_output=True, text=True, timeout=_QUERY_S, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
