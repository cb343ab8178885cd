"""One function an engine: from a configuration to the engine behind a port, unopened.

Imports are lazy: a profile pays only for what it names.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge.app.models import catalogue, export_folder, model_path, vision_files, voice_model
from edge.app.remote import REMOTE, with_fallback
from edge.config import Config
from edge.ports import (
    ClipWriter,
    CodeReader,
    Detector,
    EchoCanceller,
    EndOfTurn,
    LanguageModel,
    Recogniser,
    SceneMeter,
    Segmenter,
    TextLanguage,
    TextReader,
    Translator,
    VisionLanguage,
    Voice,
    VoiceActivity,
    WakeWord,
)

log = logging.getLogger(__name__)


def _wake(config: Config) -> WakeWord:
    from models.wake import MicroWake

    return MicroWake(config.wake.words)


def _aec3(config: Config) -> EchoCanceller:
    from models.echo import Aec3

    return Aec3()


def _silero(config: Config) -> VoiceActivity:
    from models.silero import Silero

    return Silero()


def _smart_turn(config: Config) -> EndOfTurn:
    from models.smart_turn import SmartTurn

    return SmartTurn(model_path(config.end_of_turn.model), threads=config.end_of_turn.threads or 1)


def _pocketsphinx(config: Config) -> Recogniser:
    from models.sphinx import PocketSphinx

    chosen = config.recogniser
    return PocketSphinx(chosen.language, grammar=chosen.grammar, second_pass=chosen.second_pass)


def _llama(config: Config) -> LanguageModel:
    from models.llama import LlamaCpp

    chosen = config.language_model
    return LlamaCpp(model_path(chosen.model), n_ctx=chosen.n_ctx, threads=chosen.threads, gpu_layers=chosen.gpu_layers)


def _rapidocr(config: Config) -> TextReader:
    from models.reader import RapidReader

    return RapidReader(threads=config.text_reader.threads or 2)


def _codes(config: Config) -> CodeReader:
    from models.codes import OpenCvCodes

    return OpenCvCodes()


def _scene(config: Config) -> SceneMeter:
    from models.scene import OpenCvScene

    return OpenCvScene()


def _fastestdet(config: Config) -> Detector:
    from models.fastestdet import FastestDet

    return FastestDet(model_path(config.detector.model or "fastestdet"), threads=config.detector.threads or 1)


def _classical(config: Config) -> Segmenter:
    from models.classical import ClassicalSegmenter

    return ClassicalSegmenter(threads=config.segmenter.threads or 2)


def _sam2_onnx(config: Config) -> Segmenter:
    from edge.runtime.tracker import MemoryTracker
    from models.sam2_onnx import Sam2Onnx

    chosen = config.segmenter
    return MemoryTracker(Sam2Onnx(export_folder(chosen.model), device=chosen.device, threads=chosen.threads))


def _sam2_torch(config: Config) -> Segmenter:
    from models.sam2_build import SIZES, build, variant_of
    from models.sam2_torch import Sam2Torch

    checkpoint = Path(config.segmenter.model)
    variant = variant_of(checkpoint)
    return Sam2Torch(lambda: build(variant, max(SIZES), checkpoint=checkpoint), device=config.segmenter.device)


def _llama_vision(config: Config) -> VisionLanguage:
    from edge.policy.prompts import view_opening
    from models.llama_vision import LlamaVision

    chosen = config.vision_language
    return LlamaVision(
        *vision_files(chosen.model),
        n_ctx=chosen.n_ctx,
        threads=chosen.threads,
        gpu_layers=chosen.gpu_layers,
        max_side=chosen.max_side,
        picture_tokens=chosen.picture_tokens,
        opening=view_opening(),
    )


def _espeak(config: Config) -> Voice:
    from models.espeak import Espeak

    return Espeak(language=config.voice.language, time_limit=config.voice.time_limit)


def _whisper(config: Config) -> Recogniser:
    return _streaming_whisper(config, task="transcribe")


def _streaming_whisper(config: Config, task: str) -> Recogniser:
    from edge.policy.agreement import LocalAgreement
    from edge.policy.alignatt import AlignAtt
    from edge.runtime.streaming import Streaming, StreamingRecogniser
    from models.silero import Silero
    from models.whisper import WhisperDecoder

    chosen = config.recogniser
    entry = catalogue().entries.get(chosen.model)
    folder = Path(chosen.model) if Path(chosen.model).is_dir() else model_path(chosen.model).parent
    decoder = WhisperDecoder(
        folder,
        device=chosen.device,
        compute_type=chosen.compute_type,
        threads=chosen.threads,
        languages=entry.languages if entry is not None else (),
    )
    policy = functools.partial(AlignAtt if chosen.policy == "alignatt" else LocalAgreement, timed=task == "transcribe")
    languages = chosen.languages or tuple(tag for tag in (chosen.language,) if tag)
    settings = Streaming(languages=languages, hotwords=" ".join(chosen.names), task=task)
    return StreamingRecogniser(decoder, policy, Silero(), settings)


def _piper(config: Config) -> Voice:
    from models.piper import Piper

    chosen = config.voice
    model, why = voice_model(chosen.model, chosen.language)
    if why:
        log.warning("%s", why)
    if not model:
        return _espeak(config)
    return Piper(
        model_path(model),
        speaker=int(chosen.speaker) if chosen.speaker.isdigit() else chosen.speaker or None,
        device=chosen.device,
        threads=chosen.threads,
        time_limit=chosen.time_limit,
    )


def _py3langid(config: Config) -> TextLanguage:
    from models.language_id import LanguageId

    return LanguageId()


def _apertium(config: Config) -> Translator:
    """Apertium, and for what it lacks the models for single pairs that lie here."""
    from models.apertium import Apertium
    from models.apertium_modes import installed
    from models.packs import Packs

    packs, apertium = _packs(config), Apertium(time_limit=config.translator.time_limit / 2)
    return Packs(packs if packs and not installed() else [apertium, *packs])


def _prompted(config: Config) -> Translator:
    """A language model of its own: ``build_engines`` shares the session's where there is one."""
    from edge.runtime.prompted import PromptedTranslator

    return PromptedTranslator(_llama(config), forces=True)


def _heard_translated(config: Config) -> Translator:
    from edge.runtime.heard_translated import HeardTranslated

    return HeardTranslated(config.translator.model or config.recogniser.model)


def speech_translator(config: Config) -> Recogniser:
    """A recogniser that writes English of what it hears: Whisper's task ``translate``."""
    model = config.translator.model or config.recogniser.model
    heard = dataclasses.replace(config.recogniser, model=model, languages=(), language="")
    return _streaming_whisper(dataclasses.replace(config, recogniser=heard), task="translate")


def _ctranslate2(config: Config) -> Translator:
    """Models for single pairs, and the general one for every other."""
    from models.packs import Packs

    model = config.translator.model
    return Packs(_packs(config), _pack(model, config) if model else None)


def _packs(config: Config) -> list[Translator]:
    named = config.translator.packs
    there = (row.entry.name for row in catalogue().rows() if row.state.here and row.entry.pairs)
    return [_pack(name, config) for name in dict.fromkeys((*named, *there))]


def _pack(name: str, config: Config) -> Translator:
    from models.ct2_translator import Ct2Translator

    chosen, entry = config.translator, catalogue().entries.get(name)
    folder = Path(name) if Path(name).is_dir() else model_path(name).parent
    return Ct2Translator(
        folder,
        pairs=[tuple(pair.split("-")) for pair in entry.pairs] if entry is not None else (),
        device=chosen.device,
        threads=chosen.threads,
        non_commercial=chosen.non_commercial,
        licence=entry.licence if entry is not None else "",
    )


def clips(config: Config) -> ClipWriter:
    """The ring that clips of events are cut from: a port of every session, chosen by nobody."""
    from models.clips import ClipRing

    return ClipRing(config.watch.pre_roll, config.watch.ring_mb)


_HERE: Mapping[str, Mapping[str, Callable[[Config], Any]]] = {
    "wake": {"pymicro-wakeword": _wake},
    "echo": {"webrtc-aec3": _aec3},
    "voice_activity": {"silero": _silero},
    "end_of_turn": {"smart-turn": _smart_turn},
    "recogniser": {"pocketsphinx": _pocketsphinx, "faster-whisper": _whisper},
    "language_model": {"llama-cpp": _llama},
    "text_reader": {"rapidocr": _rapidocr},
    "code_reader": {"opencv": _codes},
    "scene_meter": {"opencv": _scene},
    "detector": {"fastestdet": _fastestdet},
    "segmenter": {"classical": _classical, "sam2-onnx": _sam2_onnx, "sam2-torch": _sam2_torch},
    "vision_language": {"llama-cpp": _llama_vision},
    "translator": {
        "apertium": _apertium,
        "ctranslate2": _ctranslate2,
        "language-model": _prompted,
        "whisper": _heard_translated,
    },
    "text_language": {"py3langid": _py3langid},
    "voice": {"espeak-ng": _espeak, "piper": _piper},
}

BUILDERS: Mapping[str, Mapping[str, Callable[[Config], Any]]] = {
    port: {**here, **{name: with_fallback(port, remote, here) for name, remote in REMOTE.get(port, {}).items()}}
    for port, here in _HERE.items()
}
"""A function for every engine of every port."""

ENGINES: Mapping[str, tuple[str, ...]] = {port: (*names, "none") for port, names in BUILDERS.items()}
"""The engines that each port can have."""
