"""Folders that are no Whisper model, or not a whole one: one clear line each, before anything is loaded."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import DeviceMissing, EngineFailed, ModelCorrupt, ModelError, ModelMissing, OutOfMemory
from models.ct2 import failures, read_header
from models.whisper import WhisperDecoder
from models.whisper_files import Facts, check_folder
from tests.models.tiny_whisper import Shape, scripted_whisper
from tests.shared import shared

pytest.importorskip("faster_whisper", reason="ENGINE MISSING: pip install 'faster-whisper>=1.2.1'")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripted_whisper(tmp_path_factory.mktemp("whisper") / "good", Shape(encoder_layers=3))


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A copy to be spoilt; the weights are shared."""
    copy = tmp_path / "model"
    shutil.copytree(good, copy, copy_function=shutil.copy2)
    return copy


def spoil(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")

    return apply


def cut(name: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])

    return apply


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def renamed(tokenizer: Any) -> Any:
    tokenizer["added_tokens"][0]["content"] = "<|end|>"
    return tokenizer


def with_heads(*heads: tuple[int, int]) -> Callable[[Any], Any]:
    return lambda config: config | {"alignment_heads": heads}


def html(name: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).write_text("<!doctype html><title>404</title>", encoding="utf-8")

    return apply


BAD = {
    "no weights": (without("model.bin"), ModelMissing, "model.bin"),
    "half the weights": (cut("model.bin"), ModelCorrupt, "model.bin: not a whole CTranslate2 model"),
    "a page for weights": (html("model.bin"), ModelCorrupt, "model.bin: not a"),
    "no tokenizer": (without("tokenizer.json"), ModelMissing, "tokenizer.json"),
    "half a tokenizer": (cut("tokenizer.json"), ModelCorrupt, "tokenizer.json: not JSON"),
    "another tokenizer": (spoil("tokenizer.json", renamed), ModelCorrupt, r"its <\|endoftext\|> is not the model's"),
    "a list for a tokenizer": (spoil("tokenizer.json", list), ModelCorrupt, "tokenizer.json: not a tokenizer"),
    "no vocabulary": (without("vocabulary.json"), ModelMissing, "vocabulary.json is not there, nor vocabulary.txt"),
    "a short vocabulary": (spoil("vocabulary.json", lambda v: v[:-7]), ModelCorrupt, "51858 tokens for a model of 51865"),
    "no configuration": (without("config.json"), ModelMissing, "config.json"),
    "no alignment heads": (spoil("config.json", with_heads()), ModelCorrupt, "config.json: no alignment_heads"),
    "heads of another model": (
        spoil("config.json", with_heads((1, 0), (25, 6))),
        ModelCorrupt,
        "its alignment_heads are not those of 2 layers of 2 heads",
    ),
    "a head too many": (spoil("config.json", with_heads((0, 0), (1, 9))), ModelCorrupt, "are not those of 2 layers of 2 heads"),
    "a page for a preprocessor": (html("preprocessor_config.json"), ModelCorrupt, "preprocessor_config.json: not JSON"),
    "more mel bands": (
        spoil("preprocessor_config.json", lambda c: c | {"feature_size": 128}),
        ModelCorrupt,
        "preprocessor_config.json: 128 mel bands for a model of 80",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_folder_is_one_clear_line(folder: Path, name: str) -> None:
    change, kind, words = BAD[name]
    change(folder)
    engine = WhisperDecoder(folder, device="cpu", threads=1)
    with pytest.raises(kind, match=words) as caught:
        engine.open()
    assert type(caught.value) is kind
    assert "\n" not in caught.value.text
    engine.close()


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="is not a folder"):
        WhisperDecoder(tmp_path / "nothing").open()


def test_another_architecture(folder: Path) -> None:
    shutil.copy(shared("models/ct2-aren-transliteration/model.bin"), folder / "model.bin")
    with pytest.raises(ModelCorrupt, match="a model of 'Transformer.*', not of WhisperSpec"):
        WhisperDecoder(folder).open()


def test_a_vocabulary_of_lines(folder: Path) -> None:
    path = folder / "vocabulary.json"
    tokens = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    (folder / "vocabulary.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    engine = WhisperDecoder(folder, device="cpu", threads=1)
    engine.open()
    assert "en" in engine.languages
    engine.close()


def test_layers_are_counted(good: Path) -> None:
    assert check_folder(good) == Facts(encoder_layers=3, decoder_layers=2)
    assert check_folder(good).distilled
    assert not Facts(4, 4).distilled


def header(*variables: tuple[str, int], alias: tuple[str, str]) -> bytes:
    """A model.bin of float32 vectors; ``alias`` is one more name, and the variable that it stands for."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    start = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    body = b"".join(text(name) + struct.pack("<BIBI", 1, size, 0, 4 * size) + bytes(4 * size) for name, size in variables)
    return start + body + struct.pack("<I", 1) + text(alias[0]) + text(alias[1])


@given(st.integers(0, 200))
def test_a_file_that_was_cut_anywhere_is_found(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    weights = ("encoder/layer_0/weight", 3), ("decoder/layer_0/weight", 5)
    whole = header(*weights, alias=("decoder/layer_1/weight", "decoder/layer_0/weight"))
    path = tmp_path_factory.getbasetemp() / "model.bin"
    path.write_bytes(whole)
    read = read_header(path, "WhisperSpec")
    assert (read.layers("encoder"), read.layers("decoder")) == (1, 2)
    assert read.variables["decoder/layer_1/weight"] == (5,)
    path.write_bytes(whole[: min(size, len(whole) - 1)])
    with pytest.raises(ModelError, match=re.escape(str(path))):
        read_header(path, "WhisperSpec")


@given(st.binary(max_size=300))
def test_bytes_that_are_no_model(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.bin"
    path.write_bytes(struct.pack("<I", 6) + data)
    with pytest.raises(ModelCorrupt):
        read_header(path, "WhisperSpec")


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (RuntimeError("CUDA failed with error out of memory"), OutOfMemory),
        (RuntimeError("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"), OutOfMemory),
        (MemoryError(), OutOfMemory),
        (RuntimeError("Library libcublas.so.12 is not found or cannot be loaded"), DeviceMissing),
        (RuntimeError("CUDA failed with error CUDA driver version is insufficient for CUDA runtime version"), DeviceMissing),
        (ValueError("This CTranslate2 package was not compiled with CUDA support"), DeviceMissing),
        (ValueError("Invalid input features shape"), EngineFailed),
    ],
)
def test_what_the_library_raises_has_a_face(raised: Exception, kind: type[EngineFailed]) -> None:
    with pytest.raises(kind) as caught, failures("small"):
        raise raised
    assert type(caught.value) is kind
    assert caught.value.text.startswith("small: ")
    assert caught.value.__cause__ is raised
