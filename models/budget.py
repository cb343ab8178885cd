"""How much memory the models of a configuration take, and what to put in their place when it is not there.

The sizes are the catalogue's, or, where nobody has measured one, its files and a fifth: close enough to refuse what cannot work
before minutes are lost on loading it, and to name what to change. The figures of a profile add up, because everything that a
session needs is loaded at once: what is asked for must answer at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.config import Config, EngineConfig, LanguageModelConfig, RecogniserConfig, TranslatorConfig, VisionConfig
from models.catalog import Entry
from models.machine import Machine

RUNTIME_MB = 700.0
"""The runtime and the engines whose models come in their packages: the ``bundled`` profile without its language model."""
_OVER_FILES = 1.2
"""Memory over file size where nobody has measured it: buffers and, for a language model, its cache."""

_TYPED = ("faster-whisper",)
"""Engines that can be told which numbers to compute in."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one model takes."""

    port: str
    model: str
    megabytes: float
    """In 10^6 bytes."""
    measured: bool
    """Whether somebody has measured it; else it is worked out from its files."""
    device: str
    """As in the configuration: ``auto`` is the GPU's where there is one."""


def budget(config: Config, entries: Mapping[str, Entry], only: Collection[str] | None = None) -> tuple[Share, ...]:
    """Gives what each model of a configuration takes, or only those of some ports, the largest first."""
    shares = [
        Share(port, entry.name, entry.memory_mb or entry.bytes / 1e6 * _OVER_FILES, bool(entry.memory_mb), engine.device)
        for port, engine in _engines(config)
        for name in _models(engine)
        if (entry := entries.get(name)) is not None and (only is None or port in only)
    ]
    return tuple(sorted(shares, key=lambda share: -share.megabytes))


def overdrawn(shares: Sequence[Share], machine: Machine, base_mb: float = RUNTIME_MB) -> str:
    """Says in one line what does not fit into the memory that is free, beside ``base_mb``; empty where all does.

    A model that two ports name is loaded by both: a processor maps the file once, a GPU holds it twice.
    """
    on_gpu = [share for share in shares if machine.gpu and share.device != "cpu"]
    on_cpu = list({share.model: share for share in shares if share not in on_gpu}.values())
    if machine.shared:
        places = [("memory", on_cpu + on_gpu, base_mb, machine.free_mb)]
    else:
        places = [("memory", on_cpu, base_mb, machine.free_mb), (f"memory of {machine.gpu}", on_gpu, 0.0, machine.gpu_free_mb)]
    for where, mine, base, free in places:
        need = sum(share.megabytes for share in mine) + base
        if mine and need > free:
            return f"{need:,.0f} MB of {where} are needed and {free:,.0f} are free: {listed(mine)}"
    return ""


def listed(shares: Sequence[Share]) -> str:
    """Names models and what they take; those that nobody has measured have a tilde."""
    return ", ".join(f"{one.model} {'' if one.measured else '~'}{one.megabytes:,.0f} MB" for one in shares)


def degrade(
    config: Config, port: str, entries: Mapping[str, Entry], here: Collection[str], floor: Config
) -> tuple[Config, str] | None:
    """Gives the configuration with something smaller behind ``port`` after it ran out of memory, and a line that tells it.

    From a GPU's own number format to int8 (where the engine has a choice), to the next smaller model that is ``here``, to the
    processor, to what ``floor``, the bundled profile, has. None where nothing smaller is left.
    """
    engine: EngineConfig = getattr(config, port)
    least: EngineConfig = getattr(floor, port)
    for change, words in _smaller(engine, least, entries, here):
        if change != engine:
            changed: dict[str, Any] = {port: change}
            told = f"{port}: out of memory with {engine.model or engine.engine}; going on with {words}"
            return dataclasses.replace(config, **changed), told
    return None


def _smaller(
    engine: EngineConfig, least: EngineConfig, entries: Mapping[str, Entry], here: Collection[str]
) -> Iterator[tuple[EngineConfig, str]]:
    on_gpu = engine.device != "cpu"
    if on_gpu and isinstance(engine, RecogniserConfig) and engine.engine in _TYPED and "int8" not in engine.compute_type:
        yield dataclasses.replace(engine, compute_type="int8_float16"), f"{engine.model} in int8"
    seen, model = {engine.model}, engine.model
    while model in entries and entries[model].smaller and entries[model].smaller not in seen:
        model = entries[model].smaller
        seen.add(model)
        if model in here and model != least.model:
            yield dataclasses.replace(engine, model=model), model
    if on_gpu:
        words = f"{engine.model or engine.engine} on the processor"
        if isinstance(engine, LanguageModelConfig | VisionConfig):
            yield dataclasses.replace(engine, device="cpu", gpu_layers=0), words
        else:
            yield dataclasses.replace(engine, device="cpu"), words
    yield least, least.model or (least.engine if least.engine != "none" else "nothing: this is off now")


def _models(engine: EngineConfig) -> tuple[str, ...]:
    """A translator's packs are all loaded, beside the model that serves every other pair."""
    return (engine.model, *engine.packs) if isinstance(engine, TranslatorConfig) else (engine.model,)


def _engines(config: Config) -> Iterator[tuple[str, EngineConfig]]:
    for item in dataclasses.fields(config):
        engine = getattr(config, item.name)
        if isinstance(engine, EngineConfig) and engine.engine != "none":
            yield item.name, engine
