"""What is no voice is refused, with one line that says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.errors import EngineMissing, ModelCorrupt, ModelMissing, NearsightError, UsageError
from models import piper
from models.piper import Piper
from models.piper_file import read_voice
from tests.models.contract_voice import speak

pytest.importorskip("onnx", reason="ONNX MISSING: pip install 'nearsight[piper]'")
if not piper._version():
    pytest.skip("PIPER MISSING: pip install 'nearsight[piper]'", allow_module_level=True)

from tests.models.tiny_piper import IDS, build


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("voices")
    build(made)
    return made


def refusal(path: Path, config: Path | None = None, **how: Any) -> NearsightError:
    """What opening a voice raises; no process stays."""
    voice = Piper(path, config, **how)
    with pytest.raises(NearsightError) as caught:
        voice.open()
    assert voice._worker is None
    assert "\n" not in caught.value.text
    return caught.value


def test_a_voice_is_two_files(tmp_path: Path) -> None:
    path = build(tmp_path)
    elsewhere = tmp_path / "other.json"
    (tmp_path / "en_US-tiny-low.onnx.json").rename(elsewhere)
    missing = refusal(path)
    assert isinstance(missing, ModelMissing)
    assert "en_US-tiny-low.onnx.json" in missing.text
    assert read_voice(path, elsewhere).rate == 22_050
    assert isinstance(refusal(tmp_path / "no.onnx"), ModelMissing)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"audio": {"sample_rate": 0}}, "sample_rate is 0"),
        ({"audio": {"sample_rate": "22050"}}, "sample_rate is '22050'"),
        ({"audio": {"sample_rate": 10**9}}, "sample_rate is 1000000000"),
        ({"audio": None}, "audio is no table"),
        ({"num_speakers": 0}, "num_speakers"),
        ({"num_symbols": 3}, "numbers below 3"),
        ({"phoneme_id_map": {"a": [1]}}, "has no '_'"),
        ({"phoneme_id_map": IDS | {"a": "x"}}, "'a' is not a list"),
        ({"inference": {"length_scale": "slow"}}, "length_scale"),
        ({"inference": {"noise_scale": float("nan")}}, "noise_scale"),
        ({"espeak": {}}, "espeak.voice"),
        ({"hop_length": 0}, "hop_length"),
        ({"speaker_id_map": {"eve": 5}}, "speaker_id_map"),
    ],
)
def test_a_description_that_cannot_be_true(tmp_path: Path, told: dict[str, Any], why: str) -> None:
    refused = refusal(build(tmp_path, **told))
    assert isinstance(refused, ModelCorrupt)
    assert why in refused.text


@pytest.mark.parametrize("text", ["", "{", "[1]", "<html>no such file</html>", "\x00" * 100, "[" * 100_000])
def test_a_description_that_is_none(tmp_path: Path, text: str) -> None:
    path = build(tmp_path)
    (tmp_path / "en_US-tiny-low.onnx.json").write_text(text)
    assert isinstance(refusal(path), ModelCorrupt)


def test_phonemes_that_piper_would_download_are_refused(tmp_path: Path) -> None:
    refused = refusal(build(tmp_path, phoneme_type="pinyin"))
    assert isinstance(refused, UsageError)
    assert "'pinyin'" in refused.text


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _html(path: Path) -> None:
    path.write_bytes(b"<html>not found</html>")


def _another_network(path: Path) -> None:
    from onnx import TensorProto, helper, save

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    node = helper.make_node("Ceil", ["x"], ["y"])
    graph = helper.make_graph([node], "g", [value], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


@pytest.mark.parametrize("harm", [_cut, _empty, _html, _another_network])
def test_a_network_that_is_none(tmp_path: Path, harm: Any) -> None:
    path = build(tmp_path)
    harm(path)
    refused = refusal(path)
    assert isinstance(refused, ModelCorrupt)
    assert refused.text.startswith("en_US-tiny-low.onnx: ")


@pytest.mark.parametrize(
    "made",
    [
        {"speakers": 2, "num_speakers": 1, "speaker_id_map": {}},
        {"num_speakers": 2},
        {"phoneme_id_map": IDS | {"ↀ": [500]}, "num_symbols": 600},
        {"nan": True},
        {"espeak": {"voice": "xx-nowhere"}},
    ],
)
def test_a_network_and_a_description_that_do_not_fit(tmp_path: Path, made: dict[str, Any]) -> None:
    assert isinstance(refusal(build(tmp_path, **made)), ModelCorrupt)


def test_cuda_where_there_is_none(folder: Path) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    assert isinstance(refusal(folder / "en_US-tiny-low.onnx", device="cuda"), EngineMissing)


def test_a_voice_whose_phonemes_are_letters(tmp_path: Path) -> None:
    letters = {letter: [number] for number, letter in enumerate("_^$ .abcdefghijklmnopqrstuvwxyz")}
    path = build(tmp_path, phoneme_type="text", phoneme_id_map=letters, num_symbols=len(letters))
    voice = Piper(path)
    voice.open()
    _, marks = speak(voice, "one two three.")
    voice.close()
    assert [mark.text for mark in marks] == ["one", "two", "three."]
    assert all(mark.end > mark.start for mark in marks)
