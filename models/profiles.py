"""The profiles that are shipped: TOML files of the shape of a configuration, in the folder ``profiles`` beside this file.

``auto`` is none of them, but the choice of one: the largest for which this machine has the memory, the cores and the packages.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import ConfigError
from edge.tables import nearest, read_toml
from models.machine import Machine

AUTO = "auto"
_FOLDER = Path(__file__).with_name("profiles")


@dataclass(frozen=True, slots=True)
class Floor:
    """What a machine must have for a profile. Sizes in 10^6 bytes."""

    profile: str
    memory_mb: float
    gpu_mb: float = 0.0
    cores: int = 2
    packages: tuple[tuple[str, str], ...] = ()
    """Import name, and what to install for it."""


_SPEECH = (("faster_whisper", "faster-whisper"), ("piper", "piper-tts"))
FLOORS = (
    # 16 GB of a card; a Jetson of that size shares it with everything else, and 32 GB is the next that is made.
    Floor("desktop-gpu", 15_000, 15_000, 4, _SPEECH),
    # Orin Nano 8 GB tells 7,600 MB; a card needs as much for the same models.
    Floor("jetson-orin-nano", 7_000, 7_000, 4, _SPEECH),
    # Its models and the runtime take 3.1 GB, and an operating system one more. A reply begins to be late on less than 4 cores.
    Floor("phone", 4_500, 0, 4, _SPEECH),
)
"""From the largest to the smallest; below the last there is ``bundled``, which runs anywhere."""
SHARED = 28_000
"""What ``desktop-gpu`` needs of a memory that processor and GPU share."""


def profile_names() -> list[str]:
    """Gives the names of the profiles, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_profile(name: str) -> dict[str, Any]:
    """Gives a profile as a TOML table. Raises ConfigError, which names the nearest profile."""
    names = profile_names()
    if name not in names:
        raise ConfigError(f"unknown profile {name!r}: {nearest(name, [*names, AUTO])}")
    return read_toml(_FOLDER / f"{name}.toml")


def choose(machine: Machine) -> tuple[str, str]:
    """Gives the profile for a machine, and why, in one line."""
    card = f"{machine.gpu or 'no GPU'}" + (f" with {machine.gpu_mb / 1e3:.1f} GB" if machine.gpu and not machine.shared else "")
    has = f"{machine.memory_mb / 1e3:.1f} GB of memory, {machine.cores} cores, {card}"
    for floor in FLOORS:
        least = SHARED if machine.shared and floor.profile == "desktop-gpu" else floor.memory_mb
        if machine.memory_mb < least or machine.gpu_mb < floor.gpu_mb or machine.cores < floor.cores:
            continue
        lacks = [install for package, install in floor.packages if package not in machine.packages]
        if lacks:
            return "bundled", f"{has}, which is enough for {floor.profile}, but {' and '.join(lacks)} are not installed"
        return floor.profile, has
    last = FLOORS[-1]
    return "bundled", f"{has}: {last.profile} asks for {last.memory_mb / 1e3:.1f} GB and {last.cores} cores"
