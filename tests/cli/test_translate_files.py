from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge.cli.translate_files import BLOCK, read_reference, under, write_captions
from edge.cli.translated import Reference
from edge.errors import InputError, StorageError
from edge.policy.ducking import DUCKED_DB
from edge.values import SAMPLE_RATE


def reference(tmp_path: Path, name: str, text: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_reference_is_text_or_json_lines(tmp_path: Path) -> None:
    assert read_reference(reference(tmp_path, "a.txt", "\ufeffHola.\r\n\n Adiós.\n")) == (
        Reference("Hola."),
        Reference("Adiós."),
    )
    rows = '{"text": "Hola.", "start_ms": 100, "end_ms": 900.5}\n{"text": "Adiós."}\n'
    assert read_reference(reference(tmp_path, "a.jsonl", rows)) == (Reference("Hola.", 100.0, 900.5), Reference("Adiós."))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.txt", "", "no text"),
        ("a.txt", " \n\n", "no text"),
        ("a.txt", b"\xff\xfe\xfa", "UTF-8"),
        ("a.jsonl", "Hola.", "a.jsonl:1"),
        ("a.jsonl", '{"text": "x"}\n\n["text"]', "a.jsonl:3"),
        ("a.jsonl", '{"text": 5}', "a.jsonl:1"),
        ("a.jsonl", '{"text": "x", "start_ms": 5}', "a.jsonl:1"),
        ("a.jsonl", '{"text": "x", "start_ms": 5, "end_ms": 5}', "a.jsonl:1"),
        ("a.jsonl", '{"text": "x", "start_ms": NaN, "end_ms": Infinity}', "a.jsonl:1"),
        ("a.jsonl", '{"text": "x", "start_ms": [], "end_ms": {}}', "a.jsonl:1"),
        ("a.jsonl", '"text"', "a.jsonl:1"),
    ],
)
def test_a_bad_reference_is_refused(tmp_path: Path, name: str, text: str | bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_reference(reference(tmp_path, name, text))


def test_a_reference_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_reference(path)


def test_captions_that_cannot_be_written(tmp_path: Path) -> None:
    write_captions(tmp_path / "new" / "a.VTT", ())
    assert (tmp_path / "new" / "a.VTT").read_text() == "WEBVTT\n"
    with pytest.raises(StorageError, match="cannot be written"):
        write_captions(tmp_path / "new" / "a.VTT" / "b.vtt", ())


@pytest.mark.parametrize("longer", ["original", "interpretation"])
def test_the_original_goes_under_its_interpretation(tmp_path: Path, longer: str) -> None:
    length = 5 * SAMPLE_RATE // 2
    original = np.full(length + (1000 if longer == "original" else 0), 1000, np.int16)
    speech = np.zeros(length + (1000 if longer == "interpretation" else 0), np.int16)
    speech[SAMPLE_RATE - 5000 : SAMPLE_RATE + 5000] = 300  # over the edge of two blocks
    path = tmp_path / "out.wav"
    soundfile.write(path, speech, SAMPLE_RATE, subtype="PCM_16")
    under(path, lambda: iter(np.array_split(original, 7)))
    found, rate = soundfile.read(path, dtype="int16")
    assert rate == SAMPLE_RATE and len(found) == max(len(original), len(speech)) and len(found) > BLOCK
    quiet = round(1000 * 10 ** (DUCKED_DB / 20))
    assert np.abs(found[SAMPLE_RATE - 5000 : SAMPLE_RATE + 5000] - (quiet + 300)).max() <= 1
    assert set(found[:10_000]) == {1000} and found[length - 1] == 1000
    assert found[-1] == (1000 if longer == "original" else 0)
    assert list(tmp_path.iterdir()) == [path]


def test_a_mix_that_fails_leaves_the_interpretation(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    soundfile.write(path, np.ones(100, np.int16), SAMPLE_RATE)

    def broken() -> None:
        raise InputError("gone")

    with pytest.raises(InputError):
        under(path, broken)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == [path] and soundfile.info(path).frames == 100
