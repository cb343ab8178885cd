"""``nearsight translate``: English speech in, Spanish speech, captions and figures out; and what is refused before that."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from edge.cli import quality
from edge.values import SAMPLE_RATE
from models.apertium_modes import installed
from models.fakes import silence, tone
from tests.cli.command import Command
from tests.shared import shared

ENGLISH = "speech/en/Resemblyzer__367-130732-0001.flac"
"""When is a lobster not a lobster? When it is a crayfish."""


@pytest.fixture
def apertium() -> None:
    if not any(mode.direction == "en-es" for mode in installed()):
        pytest.skip("APERTIUM MISSING: sudo apt-get install apertium-eng-spa")


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(0.5), SAMPLE_RATE)
    return path


def test_speech_is_translated_spoken_captioned_and_measured(nearsight: Command, tmp_path: Path, apertium: None) -> None:
    out, captions, reference = tmp_path / "es.wav", tmp_path / "es.srt", tmp_path / "es.txt"
    reference.write_text("¿Cuándo no es una langosta una langosta? Cuando es un cangrejo de río.\n")
    options = ["--to", "Spanish", "--out", out, "--captions", captions, "--fast", "--json"]
    if quality.available():
        options += ["--reference", reference]
    done = nearsight("translate", shared(ENGLISH), *options)
    assert done.status == 0, done.err
    (summary,) = done.of("summary")
    assert (summary["to"], summary["sentences"]) == ("es", len(done.of("translation")[-1:]))
    assert summary["text"]["erasure"] == summary["spoken"]["erasure"] == 0
    assert 0 < summary["text"]["laal_ms"] <= summary["text"]["laal_ca_ms"] <= summary["spoken"]["laal_ca_ms"] < 10_000
    assert 0 < summary["real_time_factor"] < 5
    assert "bleu" in summary and "stream" in summary or not quality.available()
    source = [row for row in done.of("source") if row["final"]]
    target = [row for row in done.of("translation") if row["final"]]
    assert "great" in source[0]["text"] and "cuándo" in target[0]["text"].lower()
    assert all(0 < word["start_ms"] < word["end_ms"] < 4400 for row in source for word in row["words"])
    spoken = done.of("spoken")
    pcm, rate = soundfile.read(out, dtype="int16")
    assert rate == SAMPLE_RATE
    first = round(spoken[0]["start_ms"] * SAMPLE_RATE / 1000)
    assert not pcm[: first - 800].any() and np.abs(pcm[first : first + SAMPLE_RATE]).max() > 1000
    text = captions.read_text()
    assert target[0]["record"].split()[0] in text and source[0]["text"].split()[0] in text
    with av.open(str(captions)) as container:
        assert container.streams.subtitles


def test_the_original_is_under_the_mix(nearsight: Command, tmp_path: Path, apertium: None) -> None:
    out, captions, recording = tmp_path / "mix.wav", tmp_path / "both.json", shared(ENGLISH)
    options = ("--out", out, "--mix", "--captions", captions, "--fast", "--json")
    done = nearsight("translate", recording, "--to", "es", *options)
    assert done.status == 0, done.err
    mix, _ = soundfile.read(out, dtype="int16")
    original, _ = soundfile.read(recording, dtype="int16")
    first = round(done.of("spoken")[0]["start_ms"] * SAMPLE_RATE / 1000)
    before = min(first - 2000, len(original))
    assert np.array_equal(mix[:before], original[:before])
    assert mix[first:].any()
    one, *_ = json.loads(captions.read_text())["sentences"]
    assert one["source"]["words"] and one["target"]["language"] == "es" and one["spoken"]


def test_text_alone(nearsight: Command, tmp_path: Path, apertium: None) -> None:
    done = nearsight("translate", shared(ENGLISH), "--to", "es", "--no-speech", "--fast")
    assert done.status == 0, done.err
    assert "cuándo" in done.out.lower() and "LAAL, text" in done.out and "LAAL, speech" not in done.out


@pytest.mark.parametrize("kind", ["silence", "tone"])
def test_a_file_without_speech(nearsight: Command, tmp_path: Path, apertium: None, kind: str) -> None:
    path = tmp_path / "none.wav"
    soundfile.write(path, silence(3.0) if kind == "silence" else tone(3.0), SAMPLE_RATE)
    captions = tmp_path / "none.vtt"
    done = nearsight("translate", path, "--to", "es", "--fast", "--captions", captions)
    assert (done.status, done.out.strip()) == (0, "(no speech)"), done.err
    assert captions.read_text() == "WEBVTT\n"
    (summary,) = nearsight("translate", path, "--to", "es", "--fast", "--json").rows
    assert (summary["event"], summary["sentences"], summary["seconds"]) == ("summary", 0, 3.0)


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (("--to", "spanese"), 2, ("no such language", "did you mean Japanese?")),
        (("--to", "qqqqq"), 2, ("no such language",)),
        (("--to", ""), 2, ("no such language",)),
        (("--to", "es", "--from", "klingonese"), 2, ("--from", "no such language")),
        (("--to", "en-GB"), 2, ("English", "nothing needs translating")),
        (("--to", "es", "--from", "español"), 2, ("Spanish", "nothing needs translating")),
        (("--to", "es", "--mix"), 2, ("--mix", "--out")),
        (("--to", "es", "--no-speech", "--out", "x.wav"), 2, ("--out", "--no-speech")),
        (("--to", "es", "--captions", "x.doc"), 2, ("x.doc", ".vtt")),
        (("--to", "es", "--captions", "tone.wav/x.vtt"), 1, ("tone.wav/x.vtt", "cannot be written")),
        (("--to", "es", "--reference", "none.txt"), 1, ("none.txt", "")),
    ],
)
def test_bad_options(
    nearsight: Command,
    sound: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    status: int,
    says: tuple[str, ...],
) -> None:
    monkeypatch.chdir(sound.parent)
    done = nearsight("translate", sound, *options)
    assert done.status == status, done.err
    assert len(done.err.strip().splitlines()) == 1 and "Traceback" not in done.err
    assert all(part in done.err for part in says), done.err
    assert list(sound.parent.iterdir()) == [sound]


def test_a_pair_that_no_engine_has(nearsight: Command, sound: Path, apertium: None) -> None:
    done = nearsight("translate", sound, "--to", "Japanese", "--json")
    assert done.status == 2 and not done.out
    assert "ja" in done.err.lower() and ("apt-get install" in done.err or "models pull" in done.err)


def test_a_recogniser_that_does_not_know_the_language(nearsight: Command, sound: Path, apertium: None) -> None:
    done = nearsight("translate", sound, "--from", "es", "--to", "en")
    assert done.status == 2 and len(done.err.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["none.wav", "text.wav", "."])
def test_what_is_no_recording(nearsight: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / "text.wav").write_text("this is not a recording\n" * 20)
    done = nearsight("translate", tmp_path / name, "--to", "es", "--out", tmp_path / "out.wav")
    assert done.status == (2 if name == "none.wav" else 1)
    assert len(done.err.strip().splitlines()) == 1 and "Traceback" not in done.err
    assert not (tmp_path / "out.wav").exists()


def test_the_recording_is_never_written_over(nearsight: Command, sound: Path) -> None:
    before = sound.read_bytes()
    assert nearsight("translate", sound, "--to", "es", "--out", sound).status == 2
    assert sound.read_bytes() == before


def test_sound_that_cannot_be_written(nearsight: Command, sound: Path, apertium: None) -> None:
    done = nearsight("translate", sound, "--to", "es", "--out", sound / "out.wav")
    assert done.status == 1 and "cannot be written" in done.err and len(done.err.strip().splitlines()) == 1


def test_a_reference_needs_sacrebleu(nearsight: Command, sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "available", lambda: False)
    done = nearsight("translate", sound, "--to", "es", "--reference", sound)
    assert done.status == 1 and "pip install 'nearsight[metrics]'" in done.err
