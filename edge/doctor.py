"""Looks at a machine and says, line by line, what is right and how to mend what is not.

Everything is read, nothing is changed, and no engine is opened: packages are found by their metadata, native libraries are
loaded only where that costs milliseconds, models are told from their sizes. The whole takes well under two seconds, because
field testers run it first and often. The composition root passes in what only it knows: the state of the models.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from edge.config import Config, EngineConfig
from edge.doctor_packages import CUDA_BUILDS, PROGRAMS, Check, cuda_build, engine_package, installed, onnx_runtime, program

GIB = 1 << 30
MEMORY = 1.0
"""GiB that must be free: the bundled profile stays below it."""
DISK = 1.0
"""GiB that must be free where the models are kept."""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """How one model stands on this machine."""

    name: str
    state: str
    """``installed``, ``trusted``, ``added``, ``missing`` or ``corrupt``, as ``nearsight models list`` says it."""
    megabytes: float
    """On disk where it is there, else what a pull would fetch."""
    needed: bool = True
    """Whether the profile needs it, or is whole without."""


SERVERS = {"openai": "aiohttp", "wyoming": "wyoming"}
"""Engines that are servers elsewhere: the distribution that speaks to them."""
PROBE_S = 2.0
"""How long a server may take to let somebody in."""


def examine(config: Config, cache: Path, models: Sequence[ModelStatus], opus: str) -> tuple[Check, ...]:
    """Checks the machine for a configuration.

    ``cache`` is where models are kept, ``models`` are those that it needs, ``opus`` names the codec of glasses that come over
    WebRTC, empty where there is none.
    """
    engines = [(item.name, getattr(config, item.name)) for item in dataclasses.fields(config)]
    named = [(port, engine) for port, engine in engines if isinstance(engine, EngineConfig) and engine.engine != "none"]
    cuda = any(engine.device == "cuda" for _, engine in named)
    return (
        python(),
        cpu(),
        memory(),
        disk(cache),
        gpu(cuda),
        onnx_runtime(cuda),
        *(
            server(f"engine {port}", engine) if engine.engine in SERVERS else engine_package(f"engine {port}", engine.engine)
            for port, engine in named
        ),
        *(cuda_build(name) for name in _on_gpu(named)),
        Check("link webrtc", bool(opus), opus or "no libopus", "pip install av, or apt-get install libopus0"),
        *(model(status) for status in models),
        *(program(name, needed=any(engine.engine == name for _, engine in named)) for name in PROGRAMS),
    )


def python() -> Check:
    """Checks the interpreter."""
    return Check(
        "python", sys.version_info >= (3, 11), f"{platform.python_version()} in {sys.prefix}", "install Python 3.11 or newer"
    )


def cpu() -> Check:
    """Checks the processor: its name, and the cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    lines = _lines(Path("/proc/cpuinfo"))
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))), "")
    detail = f"{name or platform.processor() or 'unnamed'}, {platform.machine()}, {cores} cores"
    return Check("cpu", cores >= 2, detail, "" if cores >= 2 else "give it two cores or more: replies will come late")


def memory() -> Check:
    """Checks the free memory, a container's own limit included."""
    fields = (line.split() for line in _lines(Path("/proc/meminfo")))
    sizes = {words[0].rstrip(":"): int(words[1]) * 1024 for words in fields if len(words) > 1 and words[1].isdigit()}
    if "MemAvailable" not in sizes:
        return Check("memory", True, "not known on this system")
    free, total = sizes["MemAvailable"], sizes["MemTotal"]
    limit = next((line for line in _lines(Path("/sys/fs/cgroup/memory.max")) if line.isdigit()), "")
    if limit:
        free, total = min(free, int(limit)), min(total, int(limit))
    detail = f"{free / GIB:.1f} GiB free of {total / GIB:.1f}"
    return Check("memory", free >= MEMORY * GIB, detail, f"free {MEMORY:.0f} GiB of memory: close programs or add swap")


def disk(folder: Path) -> Check:
    """Checks the space and the right to write where models are kept."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    detail = f"{free / GIB:.1f} GiB free in {folder}"
    if not os.access(there, os.W_OK):
        return Check("disk", False, f"{there} cannot be written to", "set NEARSIGHT_CACHE to a folder that can be written to")
    return Check("disk", free >= DISK * GIB, detail, f"free {DISK:.0f} GiB there, or set NEARSIGHT_CACHE to another folder")


def gpu(needed: bool) -> Check:
    """Looks for a Jetson or an NVIDIA card; a machine without one is fine unless the configuration asks for it."""
    tegra = _lines(Path("/etc/nv_tegra_release"))[:1]
    if tegra:
        board = "".join(_lines(Path("/proc/device-tree/model"))[:1]).strip("\0")
        return Check("gpu", True, f"{board or 'Jetson'}: {tegra[0].lstrip('# ')}", needed=needed)
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=5, check=True).stdout.splitlines()
    except FileNotFoundError:
        return Check("gpu", False, "none found", "install NVIDIA's driver, or use device = cpu", needed)
    except (OSError, subprocess.SubprocessError) as error:
        return Check("gpu", False, f"nvidia-smi: {error}", "mend NVIDIA's driver, or use device = cpu", needed)
    return Check("gpu", bool(found), "; ".join(found) or "none listed", "mend NVIDIA's driver, or use device = cpu", needed)


def _on_gpu(engines: Sequence[tuple[str, EngineConfig]]) -> list[str]:
    """Gives the engines with CUDA builds of their own that a configuration wants on a GPU."""
    wanted = [each.engine for _, each in engines if each.device != "cpu" or bool(getattr(each, "gpu_layers", 0))]
    return [name for name in CUDA_BUILDS if name in wanted]


def server(name: str, engine: EngineConfig, path: Sequence[str] | None = None) -> Check:
    """Checks that the server of an engine lets somebody in; it is asked nothing, so it may still refuse."""
    package = SERVERS[engine.engine]
    if not installed((package,), path):
        return Check(name, False, f"{engine.engine}: {package} is not installed", f"pip install {package}")
    parts = urlsplit(engine.url)
    what = f"{engine.engine} at {parts.netloc.rpartition('@')[2] or parts.path or 'no address'}"
    mend = f"start it, or mend {name.removeprefix('engine ')}.url; until then the profile {engine.fallback} takes over"
    try:
        if parts.scheme == "unix":
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as found:
                found.settimeout(PROBE_S)
                found.connect(parts.path)
        else:
            port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 10300)
            socket.create_connection((parts.hostname or "", port), PROBE_S).close()
    except (OSError, ValueError) as error:
        return Check(name, False, f"{what}: {error}", mend)
    return Check(name, True, f"{what} answers")


def model(status: ModelStatus) -> Check:
    """Turns the state of a model into a line."""
    ok = status.state in ("installed", "trusted", "added")
    return Check(
        f"model {status.name}",
        ok,
        f"{status.state}, {status.megabytes:.0f} MB",
        f"nearsight models pull {status.name}",
        status.needed,
    )


def exported(name: str, folder: Path) -> Check:
    """Looks for a network that is made here of its weights, not fetched."""
    there = folder.is_dir()
    return Check(f"model {name}", there, str(folder) if there else "not exported", "nearsight models export, see the README")


def budget(too_much: str, shares: Sequence[tuple[str, float, bool]]) -> Check:
    """Says whether the models of a profile fit into the memory that is free: name, 10^6 bytes, whether somebody measured it."""
    rows = ", ".join(f"{name} {'' if measured else '~'}{size:,.0f} MB" for name, size, measured in shares if size)
    mend = "close programs, take a smaller profile, or set memory_budget_mb in the configuration if you know better"
    return Check("memory budget", not too_much, too_much or rows or "no models", mend)


def speed(name: str, said: str) -> Check:
    """Says what has been measured of a model's speed, and where: a figure of another machine is a hint, not a promise."""
    return Check(f"speed {name}", True, said or "not measured; nearsight bench answer measures it here", needed=False)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
