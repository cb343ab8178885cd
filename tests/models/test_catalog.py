"""The catalogue that is shipped, those of owners, and what is wrong with some."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from edge.errors import ConfigError, ModelMissing, UsageError
from models.catalog import Catalogue, Entry, ModelFile, State, read_catalogue
from models.profiles import load_profile, profile_names
from models.record import RECORD

GOOD = """
[[model]]
name = "mine"
task = "voice"
source = "file:mine"
licence = "MIT"
[[model.file]]
name = "mine.onnx"
"""


def test_the_shipped_catalogue_is_whole() -> None:
    models = Catalogue.load()
    for entry in models.entries.values():
        assert entry.bytes and entry.licence and entry.task
        assert entry.permissive or entry.terms, f"{entry.name}: where can its licence be read?"
        assert entry.kind in ("hf", "file") or entry.pinned, f"{entry.name}: only a hub can be asked for a hash"
        assert not entry.revision or (re.fullmatch("[0-9a-f]{40}", entry.revision) and entry.pinned)
        assert not entry.smaller or entry.smaller in models.entries
        if entry.smaller and models.entries[entry.smaller].task == entry.task:
            assert models.entries[entry.smaller].bytes <= entry.bytes
    with pytest.raises(UsageError, match="did you mean 'smart-turn-v3.2'"):
        models.find("smart-turn")


def test_what_the_profiles_need_can_be_checked_without_trusting_anybody_on_the_way() -> None:
    models = Catalogue.load()
    unpinned = set()
    for name in profile_names():
        named = [table["model"] for table in load_profile(name).values() if isinstance(table, dict) and "model" in table]
        unpinned |= {model for model in named if model in models.entries and not models.entries[model].pinned}
    assert unpinned == {"m2m100-418m", "piper-en-us-ljspeech-high", "qwen3-vl-8b-instruct"}, (
        "a pin more is good news, one less is not"
    )


def test_an_owner_s_catalogue_lies_over_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own.toml"
    own.write_text(GOOD + GOOD.replace('"mine"', '"fastestdet"'))
    monkeypatch.setenv("NEARSIGHT_CATALOG", str(own))
    models = Catalogue.load(cache=tmp_path)
    assert models.find("mine").task == "voice" and models.find("fastestdet").task == "voice"
    assert models.find("smart-turn-v3.2").pinned
    monkeypatch.setenv("NEARSIGHT_CATALOG", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        Catalogue.load(cache=tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("licence", "license"), r"model 1 \(mine\): lacks licence"),
        (
            ('task = "voice"', 'task = "voice"\nlanguage = "en"'),
            r"model 1 \(mine\): unknown key 'language': did you mean 'languages'",
        ),
        (('name = "mine.onnx"', 'name = "mine.onnx"\nsha255 = "ab"'), "unknown key .*sha255.* did you mean 'sha256'"),
        (('name = "mine.onnx"', 'name = "mine.onnx"\nsha256 = "ab"'), "sha256 has 64 digits"),
        (('name = "mine.onnx"', 'name = "mine.onnx"\nbytes = -1'), "must not be negative"),
        (('name = "mine.onnx"', 'name = "../../mine.onnx"'), "no plain name"),
        (('name = "mine.onnx"', 'name = "mine.onnx"\nmember = "../x"'), "leads out of its source"),
        (('name = "mine.onnx"', "bytes = 5"), "a file lacks its name"),
        (("file:mine", "ftp:mine"), "unknown source 'ftp:mine'"),
        (('"mine"', '"../mine"'), "no plain name"),
        (('task = "voice"', "task = 5"), "task: must be a text"),
        (("[[model.file]]", "[model.file]"), "must be a list"),
        (("[[model]]", "[model]"), "is a list of"),
        (("[[model]]", "[[modle]]"), "is a list of"),
        (("[[model]]", "[[model]"), "line 2"),
    ],
)
def test_a_catalogue_with_an_error_names_it(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(GOOD.replace(*change))
    with pytest.raises(ConfigError, match=says) as caught:
        read_catalogue(path)
    assert caught.value.text.startswith(str(path)) and "\n" not in caught.value.text


def test_the_same_name_twice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(GOOD * 2)
    with pytest.raises(ConfigError, match="mine stands there twice"):
        read_catalogue(path)


def test_a_refusal_names_every_file_that_is_missing(tmp_path: Path) -> None:
    data = b"x" * 9
    digest = hashlib.sha256(data).hexdigest()
    files = tuple(ModelFile(name, "", 9, digest) for name in ("model.bin", "config.json", "tokenizer.json"))
    models = Catalogue({"tiny": Entry("tiny", "recogniser", "hf:ada/tiny", "MIT", files)}, tmp_path)
    with pytest.raises(ModelMissing) as caught:
        models.path("tiny")
    says = "tiny is not installed (model.bin, config.json, tokenizer.json missing): run nearsight models pull tiny"
    assert caught.value.text == says
    models.folder("tiny").mkdir(parents=True)
    (models.folder("tiny") / "config.json").write_bytes(data)
    with pytest.raises(ModelMissing, match=r"\(model\.bin, tokenizer\.json missing\)"):
        models.path("tiny")
    for name in ("model.bin", "tokenizer.json"):
        (models.folder("tiny") / name).write_bytes(data)
    assert models.path("tiny").name == "model.bin" and models.status("tiny").state is State.INSTALLED


@pytest.mark.parametrize(
    "text", ["", "nonsense", 'task = "voice"\nsource = "ftp:x"\n[files."a.onnx"]\nbytes = 1\n', "files = 1"]
)
def test_a_spoilt_record_of_one_model_keeps_nobody_from_the_others(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "models" / "odd"
    folder.mkdir(parents=True)
    (folder / RECORD).write_text(text)
    assert "odd" not in Catalogue.load(cache=tmp_path).entries
