"""``nearsight models pull --translate``: what brings a pair of languages, against a hub on loopback."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w

from models.apertium_modes import Mode
from tests.cli.command import Command
from tests.models.hub import Hub, serving

pytestmark = pytest.mark.real_time

PACKS = {"opus-mt-es-en": ["es-en"], "opus-mt-en-de": ["en-de"], "opus-mt-es-de": [], "m2m100-418m": []}
"""The owner's catalogue lies over the shipped one; what is no longer for a pair is told by its empty list."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    rows, files = [], {}
    for name, pairs in PACKS.items():
        data = hashlib.sha256(name.encode()).digest() * 50
        files[f"ada/{name}/model.bin"] = data
        row = {"name": name, "task": "translator", "licence": "MIT", "source": f"hf:ada/{name}", "pairs": pairs}
        languages = sorted({tag for pair in pairs for tag in pair.split("-")}) or (["ja", "de", "en"] if "m2m" in name else [])
        told = {"name": "model.bin", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        rows.append({**row, "languages": languages, "file": [told]})
    (tmp_path / "catalog.toml").write_text(tomli_w.dumps({"model": rows}))
    monkeypatch.setenv("NEARSIGHT_CATALOG", str(tmp_path / "catalog.toml"))
    monkeypatch.setenv("NEARSIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("HF_TOKEN", "http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(Hub(files)) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        yield served


@pytest.mark.parametrize("here", [False, True])
def test_debian_s_apertium_comes_first_and_nothing_is_fetched(
    nearsight: Command, hub: Hub, monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    mode = Mode("spa-eng", "es", "en", frozenset(), Path("spa-eng.mode"))
    monkeypatch.setattr("models.language_packs.installed", lambda: (mode,) if here else ())
    outcome = nearsight("models", "pull", "--translate", "es-en")
    assert outcome.status == 0 and not outcome.err
    how = "is here (apertium-eng-spa)" if here else "has it: sudo apt-get install apertium-eng-spa"
    assert outcome.out == f"es-en: Debian's Apertium {how}; a network of 0.0 MB instead: --engine ctranslate2\n"
    outcome = nearsight("models", "pull", "--translate", "spanish-english", "--engine", "apertium", "--json")
    assert outcome.rows == [{"pair": "es-en", "engine": "apertium", "debian": "apertium-eng-spa", "here": here}]
    assert not hub.asked


def test_the_pair_s_own_pack_is_pulled(nearsight: Command, hub: Hub, tmp_path: Path) -> None:
    outcome = nearsight("models", "pull", "--translate", "es-en", "--engine", "ctranslate2", "--json")
    assert outcome.status == 0 and [row["model"] for row in outcome.rows] == ["opus-mt-es-en"]
    assert "es-en: opus-mt-es-en 0.0 MB" in outcome.err
    assert '[translator] engine = "ctranslate2", packs = ["opus-mt-es-en"]' in outcome.err
    assert (tmp_path / "cache" / "models" / "opus-mt-es-en" / "model.bin").is_file()
    again = nearsight("models", "pull", "--translate", "es-en", "--engine", "ctranslate2", "--json")
    assert again.status == 0 and len(hub.asked) == 1


def test_both_halves_through_english_are_pulled(nearsight: Command, hub: Hub) -> None:
    outcome = nearsight("models", "pull", "--translate", "es-de", "--json")
    assert outcome.status == 0 and [row["model"] for row in outcome.rows] == ["opus-mt-es-en", "opus-mt-en-de"]
    assert "es-de through English: opus-mt-es-en 0.0 MB, opus-mt-en-de 0.0 MB" in outcome.err


def test_a_model_of_many_languages_is_pulled_where_nothing_smaller_will_do(nearsight: Command, hub: Hub) -> None:
    outcome = nearsight("models", "pull", "--translate", "japanese:german", "--json")
    assert outcome.status == 0 and [row["model"] for row in outcome.rows] == ["m2m100-418m"]
    assert '[translator] engine = "ctranslate2", model = "m2m100-418m"' in outcome.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("es-es",), "es and es are the same language"),
        (("spanish-castilian",), "are the same language"),
        (("esen",), "'esen' is no pair of languages: it looks like es-en, or pt-BR:zh-TW"),
        (("en-pt-BR",), "is no pair of languages"),
        (("xx-en",), "no model of the catalogue knows the language 'xx': known are "),
        (("ess-en",), "knows the language 'ess': did you mean 'es'?"),
        (("Klingonian-english",), "unknown language 'Klingonian': did you mean 'Indonesian'?"),
        (("es-eu",), "no model of the catalogue knows the language 'eu'"),
        (("en-it",), "no model of the catalogue translates from en to it: nearsight models add takes a folder of your own"),
        (("de-ja", "--engine", "apertium"), "nothing for apertium: say --engine ctranslate2"),
        (("eu-es", "--engine", "ctranslate2"), "nothing for ctranslate2: say --engine apertium"),
        (("es-en", "--engine", "argos"), "'argos' is none of apertium, ctranslate2"),
        (("es-en", "opus-mt-es-en"), "--translate stands alone"),
    ],
)
def test_one_line_says_what_is_wrong(nearsight: Command, hub: Hub, words: tuple[str, ...], says: str) -> None:
    outcome = nearsight("models", "pull", "--translate", *words)
    assert outcome.status == 2 and says in outcome.err and not outcome.out
    assert len(outcome.err.strip().splitlines()) == 1 and not hub.asked


def test_translators_are_listed_with_their_languages(nearsight: Command, hub: Hub) -> None:
    rows = {row["model"]: row for row in nearsight("models", "list", "--json").rows}
    assert rows["opus-mt-es-en"]["pairs"] == ["es-en"] and rows["m2m100-418m"]["languages"] == ["ja", "de", "en"]
    lines = nearsight("models", "list").out.splitlines()
    assert any("opus-mt-es-en" in line and " es-en " in line for line in lines)
    assert any("m2m100-418m" in line and "3 languages" in line for line in lines)
    assert any("madlad-400-3b" in line and "many languages" in line for line in lines)
