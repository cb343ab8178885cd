"""Engines on other machines, each with one of this machine behind it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any

from edge.app.models import load_config
from edge.config import Config, EngineConfig
from edge.errors import ConfigError, EngineMissing, ModelMissing
from edge.ports import LanguageModel, Recogniser, Translator, VisionLanguage, Voice, WakeWord
from edge.runtime.fallback import (
    FallbackLanguageModel,
    FallbackRecogniser,
    FallbackTranslator,
    FallbackVision,
    FallbackVoice,
    FallbackWake,
)

log = logging.getLogger(__name__)

Builder = Callable[[Config], Any]

KEPT: Mapping[str, tuple[str, ...]] = {
    "wake": ("words",),
    "language_model": ("n_ctx", "max_tokens", "temperature"),
    "translator": ("mine", "theirs", "packs", "policy", "speak", "max_rate", "shorten_behind", "non_commercial"),
}
"""What the local engine takes from the configuration of the remote one: the rest is its own profile's."""


def _url(config: Config, port: str) -> str:
    engine: EngineConfig = getattr(config, port)
    if not engine.url:
        example = "tcp://HOST:PORT" if engine.engine == "wyoming" else "http://HOST:PORT/v1"
        raise ConfigError(f"{port}.url: the engine {engine.engine} needs the address of its server: {example}")
    return engine.url


def _openai_recogniser(config: Config) -> Recogniser:
    from models.openai_audio import OpenAiRecogniser

    chosen = config.recogniser
    model: dict[str, Any] = {"model": chosen.model} if chosen.model else {}
    url, language = _url(config, "recogniser"), chosen.language
    return OpenAiRecogniser(url, language=language, names=chosen.names, key_env=chosen.key_env, **model)


def _openai_chat(config: Config) -> LanguageModel:
    from models.openai_chat import OpenAiChat

    chosen = config.language_model
    return OpenAiChat(_url(config, "language_model"), model=chosen.model, key_env=chosen.key_env)


def _openai_translator(config: Config) -> Translator:
    from edge.runtime.prompted import PromptedTranslator
    from models.openai_chat import OpenAiChat

    chosen = config.translator
    return PromptedTranslator(OpenAiChat(_url(config, "translator"), model=chosen.model, key_env=chosen.key_env))


def _openai_vision(config: Config) -> VisionLanguage:
    from models.openai_chat import OpenAiVision

    chosen = config.vision_language
    url = _url(config, "vision_language")
    return OpenAiVision(url, model=chosen.model, key_env=chosen.key_env, max_side=chosen.max_side)


def _openai_voice(config: Config) -> Voice:
    from models.openai_voice import OpenAiVoice

    chosen = config.voice
    named = {"model": chosen.model, "voice": chosen.speaker}
    given: dict[str, Any] = {key: value for key, value in named.items() if value}
    return OpenAiVoice(_url(config, "voice"), key_env=chosen.key_env, **given)


def _wyoming_wake(config: Config) -> WakeWord:
    from models.wyoming_wake import WyomingWake

    return WyomingWake(_url(config, "wake"), config.wake.words)


def _wyoming_recogniser(config: Config) -> Recogniser:
    from models.wyoming import WyomingRecogniser

    chosen = config.recogniser
    return WyomingRecogniser(_url(config, "recogniser"), model=chosen.model, language=chosen.language, names=chosen.names)


def _wyoming_voice(config: Config) -> Voice:
    from models.wyoming import WyomingVoice

    chosen = config.voice
    return WyomingVoice(_url(config, "voice"), model=chosen.model, language=chosen.language, speaker=chosen.speaker)


REMOTE: Mapping[str, Mapping[str, Builder]] = {
    "wake": {"wyoming": _wyoming_wake},
    "recogniser": {"openai": _openai_recogniser, "wyoming": _wyoming_recogniser},
    "language_model": {"openai": _openai_chat},
    "vision_language": {"openai": _openai_vision},
    "translator": {"openai": _openai_translator},
    "voice": {"openai": _openai_voice, "wyoming": _wyoming_voice},
}
"""The engines elsewhere that each port can have."""

_FALLBACKS: Mapping[str, Callable[[Any, Any], Any]] = {
    "wake": FallbackWake,
    "recogniser": FallbackRecogniser,
    "language_model": FallbackLanguageModel,
    "vision_language": FallbackVision,
    "translator": FallbackTranslator,
    "voice": FallbackVoice,
}


def with_fallback(port: str, remote: Builder, here: Mapping[str, Builder]) -> Builder:
    """Makes the builder of a remote engine that has a local one behind it, of those that are ``here``."""

    def build(config: Config) -> Any:
        return _FALLBACKS[port](remote(config), _local(port, config, here))

    return build


def _local(port: str, config: Config, here: Mapping[str, Builder]) -> Any:
    """Makes the local engine of a port; None where the configuration or the machine has none."""
    chosen: EngineConfig = getattr(config, port)
    if chosen.fallback == "none":
        return None
    found: EngineConfig = getattr(load_config(chosen.fallback), port)
    if found.engine not in here:
        return None
    kept = {name: getattr(chosen, name) for name in KEPT.get(port, ())}
    changes: dict[str, Any] = {port: dataclasses.replace(found, **kept)}
    try:
        return here[found.engine](dataclasses.replace(config, **changes))
    except (ModelMissing, EngineMissing) as error:
        log.warning("%s: %s; nothing takes over while the server of %s is away", port, error.text, port)
        return None
