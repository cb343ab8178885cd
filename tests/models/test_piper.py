import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.errors import EngineFailed, EngineHung, UsageError
from edge.ports import Stop
from edge.values import SAMPLE_RATE, VoiceStyle
from models import piper
from models.piper import Piper
from models.piper_file import read_voice
from tests.models.contract_voice import TEXT, check_voice, speak

pytest.importorskip("onnx", reason="ONNX MISSING: pip install 'nearsight[piper]'")
if not piper._version():
    pytest.skip("PIPER MISSING: pip install 'nearsight[piper]'", allow_module_level=True)

from tests.models.tiny_piper import build

LOUD = 2000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("voices")
    build(made)
    build(made, "en_US-estimated-low", aligned=False)
    return made


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[Piper]:
    """For tests that leave the process as it was."""
    made = Piper(folder / "en_US-tiny-low.onnx", time_limit=5)
    made.open()
    yield made
    made.close()


@pytest.fixture
def voice(folder: Path) -> Iterator[Piper]:
    made = Piper(folder / "en_US-tiny-low.onnx", time_limit=5)
    made.open()
    yield made
    made.close()


def child_of(voice: Piper) -> psutil.Process:
    assert voice._worker is not None
    return psutil.Process(voice._worker.pid)


def hertz(sound: np.ndarray) -> float:
    """The strongest tone."""
    spectrum = np.abs(np.fft.rfft(sound.astype(float)))
    return float(spectrum.argmax() * SAMPLE_RATE / len(sound))


@pytest.mark.parametrize("name", ["en_US-tiny-low", "en_US-estimated-low"])
def test_contract(folder: Path, name: str) -> None:
    check_voice(Piper(folder / f"{name}.onnx"))


def test_the_library_is_never_loaded_here(shared: Piper) -> None:
    speak(shared, "Hello.")
    assert "piper" not in sys.modules
    assert any("espeakbridge" in region.path for region in child_of(shared).memory_maps())


def test_it_says_what_it_is(shared: Piper) -> None:
    assert (shared.info.name, shared.info.model, shared.info.licence) == ("piper", "en_US-tiny-low", "GPL-3.0-or-later")
    assert shared.info.details["word_times"] == "aligned"
    assert shared.info.details["language"] == "en-US"


def test_a_voice_of_16_khz(tmp_path: Path) -> None:
    """The oracle is the tiny voice's own table: 20 frames of 64 samples a phoneme, 220 Hz."""
    voice = Piper(build(tmp_path, rate=SAMPLE_RATE))
    voice.open()
    sound, marks = speak(voice, "me")  # m, stress, i, length mark
    voice.close()
    assert len(sound) == pytest.approx(48 * 64, abs=64)
    assert hertz(speak_tone(sound)) == pytest.approx(220, rel=0.05)
    assert [mark.text for mark in marks] == ["me"]


def speak_tone(sound: np.ndarray) -> np.ndarray:
    """Padded, so that its spectrum is fine."""
    return np.pad(sound, (0, 4 * len(sound)))


def test_word_marks_agree_with_the_sound(shared: Piper, folder: Path) -> None:
    """The tiny voice is silent between words, for 46 ms: the sound's own edges are the oracle."""
    text = "The old man and the sea, under the bright moon. We were away."
    estimating = Piper(folder / "en_US-estimated-low.onnx")
    estimating.open()
    errors = {}
    for name, voice in (("aligned", shared), ("estimated", estimating)):
        sound, marks = speak(voice, text)
        loud = np.flatnonzero(np.abs(sound.astype(int)) > LOUD)
        starts = [0, *(loud[np.flatnonzero(np.diff(loud) > 0.02 * SAMPLE_RATE) + 1])]
        assert len(starts) == len(marks)
        errors[name] = max(abs(mark.start - start) for mark, start in zip(marks, starts, strict=True)) / SAMPLE_RATE
    estimating.close()
    assert errors["aligned"] < 0.003
    assert errors["estimated"] < 0.25


def test_what_is_spelt_out_stays_one_word(shared: Piper) -> None:
    text = "At 12:30 on 2026-11-03 – I am at http://x.org/a?b=1 for $1,234.56, 日本 of the “best” naïve cafe\u0301s!"
    _, marks = speak(shared, text)
    assert " ".join(mark.text for mark in marks) == text
    lengths = {mark.text: (mark.end - mark.start) / SAMPLE_RATE for mark in marks}
    assert lengths["$1,234.56,"] > 2
    assert lengths["–"] == 0


@pytest.mark.parametrize(
    ("text", "like"),
    [
        ("one [[ tuː ]] three", "one (( tuː )) three"),  # "[[" begins phonemes for Piper
        ("one\x0120S two", "one 20S two"),
        ("one\x00two", "one two"),
        ("stop \ud800 now", "stop now"),
    ],
)
def test_nothing_in_the_text_is_markup(shared: Piper, text: str, like: str) -> None:
    assert len(speak(shared, text)[0]) == pytest.approx(len(speak(shared, like)[0]), rel=0.02)


@pytest.mark.parametrize("text", ["...", "\u200b", "\x00\x01", "—", "?!", "[]"])
def test_no_sound_is_no_chunk(shared: Piper, text: str) -> None:
    assert speak(shared, text)[0].size == 0


def test_a_text_without_an_end_is_spoken_in_parts(shared: Piper) -> None:
    sound, marks = speak(shared, "again and " * 150)
    assert len(marks) == 300
    assert len(sound) > 40 * SAMPLE_RATE
    assert [mark.text for mark in speak(shared, "x" * 500 + " yes")[1]] == ["x" * 500, "yes"]


LITTER = [
    *"ab ,.;!\n–—'",
    " ",
    "12:30",
    "$4.50",
    "[[x]]",
    "(y)",
    '"q"',
    "é",
    "日本語",
    "مرحبا",
    "🙂",
    "http://x.org/",
    "…",
    "\u200d",
]


@given(st.lists(st.sampled_from(LITTER), max_size=60).map("".join), st.sampled_from([0.5, 1.0, 2.5]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_word_has_its_mark(shared: Piper, text: str, rate: float) -> None:
    sound, marks = speak(shared, text, VoiceStyle(rate=rate))
    if sound.size:
        assert [mark.text for mark in marks] == text.split()
        assert marks[0].start == 0
        assert all(a.end <= b.start for a, b in itertools.pairwise(marks))
        assert all(0 <= mark.start <= mark.end <= len(sound) for mark in marks)


def test_pitch_moves_and_pace_stays(shared: Piper) -> None:
    text = "We were away a long, long while, you know."
    normal, high, low, beyond = (speak(shared, text, VoiceStyle(pitch=p))[0] for p in (1.0, 1.3, 0.8, 2.0))
    assert hertz(high) / hertz(normal) == pytest.approx(1.3, rel=0.02)
    assert hertz(low) / hertz(normal) == pytest.approx(0.8, rel=0.02)
    assert hertz(beyond) / hertz(normal) == pytest.approx(1.4, rel=0.02)
    assert len(high) == pytest.approx(len(normal), rel=0.05)
    assert len(low) == pytest.approx(len(normal), rel=0.05)


def test_loud_is_not_clipped(shared: Piper) -> None:
    normal, loud = (speak(shared, TEXT, VoiceStyle(volume=volume))[0].astype(float) for volume in (1.0, 2.0))
    assert np.abs(loud).max() < 32767
    assert np.abs(normal).max() < 0.85 * 32767
    assert loud.std() > 1.2 * normal.std()


def test_the_same_texts_give_the_same_samples_in_every_process(folder: Path, shared: Piper) -> None:
    spoken = []
    for _ in range(2):
        voice = Piper(folder / "en_US-tiny-low.onnx")
        voice.open()
        spoken.append([speak(voice, text)[0] for text in ("Hello.", "How are you?")])
        voice.close()
    for one, other in zip(*spoken, strict=True):
        np.testing.assert_array_equal(one, other)


def test_speakers(tmp_path: Path) -> None:
    path = build(tmp_path, speakers=3, default_speaker_id=1)
    found = []
    for speaker in (None, "s2"):
        voice = Piper(path, speaker=speaker)
        voice.open()
        found.append(hertz(speak(voice, "A long while ago.")[0]))
        voice.close()
    assert found == pytest.approx([330, 495], rel=0.02)
    assert read_voice(path).speaker(2) == 2
    for wrong, why in ((3, "no speaker 3; it has 3"), (-1, "no speaker -1"), ("s9", "'s9'")):
        with pytest.raises(UsageError, match=why):
            Piper(path, speaker=wrong).open()


def test_the_first_sound_waits_for_a_clause_and_not_for_all(tmp_path: Path) -> None:
    """With a network that costs the same for every run, the first of five parts comes after about a fifth of the time."""
    voice = Piper(build(tmp_path, heavy=8), threads=1)
    voice.open()
    text = "First of all I say this, and then I say that. " + "It goes on and on for quite a long while after that. " * 6
    began = time.perf_counter()
    chunks = voice.synthesize(text, VoiceStyle(), Stop())
    next(chunks)
    first = time.perf_counter() - began
    list(chunks)
    whole = time.perf_counter() - began
    voice.close()
    assert first < 0.35 * whole


def test_a_stop_ends_a_network_that_is_running(tmp_path: Path) -> None:
    """Counted in the child's processor time, which does not depend on what else the machine does: one run of it, not two."""
    voice = Piper(build(tmp_path, heavy=40), threads=1, time_limit=30)
    voice.open()

    def spent() -> float:
        return float(child_of(voice).cpu_times().user)

    at_first = spent()
    began = time.perf_counter()
    speak(voice, "Hello.")
    one, lasted = spent() - at_first, time.perf_counter() - began
    stop = Stop()
    timer = threading.Timer(0.1 * lasted, stop.set)
    timer.start()
    assert list(voice.synthesize("A sentence that nobody will hear.", VoiceStyle(), stop)) == []
    timer.join()
    speak(voice, "Hello.")
    both = spent() - at_first - one
    voice.close()
    assert both < 1.6 * one


def test_a_crash_costs_one_sentence(voice: Piper) -> None:
    chunks = voice.synthesize("All work and no play. " * 200, VoiceStyle(), Stop())
    next(chunks)
    os.kill(child_of(voice).pid, signal.SIGKILL)
    with pytest.raises(EngineFailed):
        list(chunks)
    assert speak(voice, "Hello again.")[0].size


def test_a_hang_costs_one_sentence(folder: Path) -> None:
    voice = Piper(folder / "en_US-tiny-low.onnx", time_limit=3)
    voice.open()
    hung = child_of(voice)
    hung.suspend()
    with pytest.raises(EngineHung):
        speak(voice, "Hello.")
    assert not psutil.wait_procs([hung], timeout=5)[1]
    assert speak(voice, "Hello again.")[0].size
    child = child_of(voice)
    voice.close()
    assert not psutil.wait_procs([child], timeout=5)[1]


def test_a_voice_that_is_not_open_says_so(folder: Path) -> None:
    with pytest.raises(EngineFailed, match="not open"):
        speak(Piper(folder / "en_US-tiny-low.onnx"), "Hello.")
