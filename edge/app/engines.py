"""The engines of a configuration, each on its lane, and whether they fit."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Mapping
from typing import Any

from edge.app.builders import BUILDERS, ENGINES, clips, speech_translator
from edge.app.models import DEFAULT_PROFILE, catalogue, load_config, machine
from edge.config import Config, EngineConfig
from edge.errors import ConfigError, EngineMissing, LanguageMissing, ModelMissing, OutOfMemory
from edge.ports import LanguageModel, Segmenter, Translator, Voice
from edge.runtime.engines import Ears, Engines
from edge.runtime.lane import Lane
from edge.runtime.tongues import Tongues
from edge.tables import nearest

log = logging.getLogger(__name__)

OPTIONAL: Mapping[str, str] = {
    "end_of_turn": "the end of a turn is told by time alone",
    "detector": "things have no names",
    "translator": "nothing is translated",
}
"""Ports that a session can do without where the model is not on this machine, and what that means."""


def memory_plan(config: Config, only: Collection[str] | None = None) -> tuple[tuple[Any, ...], str]:
    """What each model of a configuration takes (``models.budget.Share``), and in one line why that is too much."""
    from models.budget import RUNTIME_MB, budget, overdrawn

    ports = [port for port in ENGINES if only is None or port in only]
    shares = budget(config, catalogue().entries, ports)
    found = machine(gpu=any(share.device != "cpu" for share in shares))
    if config.memory_budget_mb:
        found = dataclasses.replace(found, free_mb=config.memory_budget_mb, gpu_free_mb=config.memory_budget_mb)
    return shares, overdrawn(shares, found, RUNTIME_MB if only is None else 0.0)


def degrade(config: Config, port: str) -> tuple[Config, str] | None:
    """Gives the configuration with something smaller behind a port that ran out of memory, and a line that tells it."""
    from models.budget import degrade as smaller

    known = catalogue()
    here = [row.entry.name for row in known.rows() if row.state.here]
    return smaller(config, port, known.entries, here, load_config(DEFAULT_PROFILE))


def _build(port: str, config: Config) -> Any:
    """Makes the engine of a port; None where it has none, or an optional one is missing.

    Raises ConfigError, ModelMissing, ModelCorrupt, EngineMissing.
    """
    name = getattr(config, port).engine
    if name == "none":
        return None
    if name not in BUILDERS[port]:
        raise ConfigError(f"{port}.engine: no engine {name!r}: {nearest(name, ENGINES[port])}")
    try:
        return BUILDERS[port][name](config)
    except ModelMissing as error:
        if port not in OPTIONAL:
            raise
        log.warning("%s; %s", error.text, OPTIONAL[port])
        return None


def _ears(config: Config) -> Ears:
    """Everything that hears each chunk of sound: the keyword spotter and the subtractor serve those beside them."""
    spotter = subtractor = None
    if config.recogniser.engine == "pocketsphinx":
        from models.spotter import SphinxSpotter

        spotter = SphinxSpotter()
    if config.echo.engine != "none" and config.echo.subtract:
        from models.kalman import KalmanEcho

        subtractor = KalmanEcho()
    wake = _build("wake", config) if config.turns.wake else None
    return Ears(wake, _build("voice_activity", config), _build("echo", config), subtractor, spotter)


def build_engines(config: Config, only: Collection[str] | None = None) -> Engines:
    """Puts the engines of a configuration on lanes, or only those of the ports named; loads nothing yet.

    Raises ConfigError, ModelMissing, ModelCorrupt, EngineMissing, OutOfMemory.
    """
    wanted = [port for port in ENGINES if port in Engines.__slots__ and (only is None or port in only)]
    lanes: dict[str, Any] = {port: lane(port, config) for port in wanted}
    _, too_much = memory_plan(config, only)
    if too_much:
        raise OutOfMemory(f"the profile {config.profile} does not fit: {too_much}")
    if only is None or "clips" in only:
        lanes["clips"] = Lane("clips", lambda: clips(config))
    if config.translator.engine == "language-model" and lanes.get("language_model") and lanes.get("translator"):
        lanes["translator"] = _shared_translator(lanes["language_model"])
    if config.translator.engine == "whisper" and lanes.get("translator"):
        limit = config.recogniser.time_limit
        lanes["speech_translator"] = Lane("speech_translator", lambda: speech_translator(config), time_limit=limit)
    if only is None or "voice" in only:
        lanes["tongues"] = Tongues(lambda language: tongue(language, config))
    return Engines(ears=Lane("ears", lambda: _ears(config), time_limit=config.voice_activity.time_limit), **lanes)


def _shared_translator(model: Lane[LanguageModel]) -> Lane[Translator]:
    """Makes a translator of the model that answers questions: no second one in memory."""
    from edge.runtime.prompted import PromptedTranslator
    from edge.runtime.shared_lane import SharedLane

    return SharedLane("translator", model, lambda engine: PromptedTranslator(engine, forces=True))


def tongue(language: str, config: Config) -> Lane[Voice]:
    """Makes the voice for another language, on a lane of its own. Raises LanguageMissing."""
    spoken = dataclasses.replace(config, voice=dataclasses.replace(config.voice, language=language, speaker=""))
    found = lane("voice", spoken)
    if found is None:
        raise LanguageMissing(f"the profile {config.profile} has no voice")
    return found


def segmenter(config: Config) -> Segmenter:
    """Makes the segmenter of a configuration, without a lane. Raises EngineMissing where it has none."""
    made: Segmenter | None = _build("segmenter", config)
    if made is None:
        raise EngineMissing(f"the profile {config.profile} has no segmenter")
    return made


def lane(port: str, config: Config) -> Lane[Any] | None:
    """Makes the engine of one port, on a lane; None where it has none. Raises what ``build_engines`` raises but OutOfMemory."""
    first = _build(port, config)
    if first is None:
        return None
    spare = [first]
    engine: EngineConfig = getattr(config, port)
    return Lane(port, lambda: spare.pop() if spare else _build(port, config), time_limit=engine.time_limit)


def choices() -> dict[str, tuple[str, ...]]:
    """The names that a configuration can choose from: profiles under ``profile``, and the engines of each port."""
    from models.profiles import profile_names

    return {"profile": tuple(profile_names()), **ENGINES}


def fakes() -> Any:
    """The scripted engines (``models.fakes``), for benches."""
    import models.fakes as scripted

    return scripted
