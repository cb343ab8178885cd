"""What the composition root makes of a configuration."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from edge import app
from edge.app.models import voice_model
from edge.errors import ConfigError, ModelMissing
from edge.runtime.fallback import FallbackLanguageModel, FallbackRecogniser, FallbackVision, FallbackVoice, FallbackWake
from models.espeak import Espeak
from models.piper import Piper
from models.sphinx import PocketSphinx
from models.wake import MicroWake

VOICES = ("en_US-lessac-medium", "de_DE-thorsten-low")


@pytest.fixture
def voices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue of two voices, both here."""
    rows = []
    for name in VOICES:
        (tmp_path / f"{name}.onnx").write_bytes(b"x")
        files = [{"name": f"{name}.onnx"}]
        rows.append({"name": name.lower(), "task": "voice", "source": f"file:{tmp_path}", "licence": "MIT", "file": files})
    (tmp_path / "catalog.toml").write_text(tomli_w.dumps({"model": rows}))
    monkeypatch.setenv("NEARSIGHT_CATALOG", str(tmp_path / "catalog.toml"))
    monkeypatch.setenv("NEARSIGHT_CACHE", str(tmp_path / "cache"))
    for name in VOICES:
        app.add_model(tmp_path / f"{name}.onnx", name.lower())


@pytest.mark.usefixtures("voices")
@pytest.mark.parametrize(
    ("model", "language", "found", "says"),
    [
        ("en_us-lessac-medium", "en-us", "en_us-lessac-medium", ""),
        ("en_us-lessac-medium", "de", "de_de-thorsten-low", ""),
        ("", "de-AT", "de_de-thorsten-low", "no Piper voice for de-AT is installed: de_DE-thorsten-low speaks it"),
        ("en_us-lessac-medium", "fr", "", "no Piper voice for fr is installed: espeak-ng speaks it"),
        ("/some/where/tiny.onnx", "fr", "/some/where/tiny.onnx", ""),
    ],
)
def test_a_voice_is_chosen_for_the_language(model: str, language: str, found: str, says: str) -> None:
    assert voice_model(model, language) == (found, says)


@pytest.mark.usefixtures("voices")
def test_espeak_speaks_what_no_piper_voice_does_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        config = app.load_config(None, None, {"voice": {"engine": "piper", "model": "en_us-lessac-medium", "language": "fr"}})
        lane = app.lane("voice", config)
    assert lane is not None and isinstance(lane.engine, Espeak)
    assert [record.message for record in caplog.records] == ["no Piper voice for fr is installed: espeak-ng speaks it"]
    config = app.load_config(None, None, {"voice": {"engine": "piper", "language": "de", "speaker": "3"}})
    lane = app.lane("voice", config)
    assert lane is not None and isinstance(lane.engine, Piper)


AWAY = {"url": "tcp://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("port", "engine", "kind", "local"),
    [
        ("wake", "wyoming", FallbackWake, MicroWake),
        ("recogniser", "wyoming", FallbackRecogniser, PocketSphinx),
        ("recogniser", "openai", FallbackRecogniser, PocketSphinx),
        ("language_model", "openai", FallbackLanguageModel, None),
        ("vision_language", "openai", FallbackVision, None),
        ("voice", "openai", FallbackVoice, Espeak),
        ("voice", "wyoming", FallbackVoice, Espeak),
    ],
)
def test_an_engine_elsewhere_has_one_of_the_profile_behind_it(port: str, engine: str, kind: type, local: type | None) -> None:
    url = "http://127.0.0.1:9/v1" if engine == "openai" else "tcp://127.0.0.1:9"
    made: Any = app.BUILDERS[port][engine](app.load_config(None, None, {port: {"engine": engine, "url": url}}))
    told = made.info
    assert isinstance(made, kind) and told.remote == "127.0.0.1:9"
    if local is not None:
        assert told.details["fallback"] == local_name(local)
    alone: Any = app.BUILDERS[port][engine](
        app.load_config(None, None, {port: {"engine": engine, "url": url, "fallback": "none"}})
    )
    assert "fallback" not in alone.info.details


def local_name(kind: type) -> str:
    return {MicroWake: "microwakeword", PocketSphinx: "pocketsphinx", Espeak: "espeak-ng"}[kind]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"engine": "openai"}, "recogniser.url: the engine openai needs the address of its server: http://HOST:PORT/v1"),
        ({"engine": "wyoming"}, "recogniser.url: the engine wyoming needs the address of its server: tcp://HOST:PORT"),
        ({"engine": "openai", "url": "attic"}, "url: must begin with"),
        ({"engine": "openai", "url": "http://attic/v1", "fallback": "nosuch"}, "nosuch"),
    ],
)
def test_an_address_that_is_none_is_refused(changes: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        app.lane("recogniser", app.load_config(None, None, {"recogniser": changes}))


def test_a_model_that_is_missing_is_missed_where_nothing_stands_for_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"no\.onnx is not there"):
        app.lane("voice", app.load_config(None, None, {"voice": {"engine": "piper", "model": str(tmp_path / "no.onnx")}}))
