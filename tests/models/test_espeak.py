import os
import shutil
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import soxr

from edge.errors import EngineFailed, EngineHung, UsageError
from edge.ports import Stop
from edge.values import SAMPLE_RATE, VoiceStyle
from models.espeak import Espeak, find_voice
from tests.models.contract_voice import check_voice, speak

pytest.importorskip("espeakng_loader", reason="ESPEAK-NG MISSING: pip install espeakng-loader")

AUDIBLE = 33


def pitch(sound: np.ndarray) -> float:
    """Median over the loud frames of 80 ms of their first strong period, 2 to 20 ms, in Hz."""
    found = []
    for at in range(0, len(sound) - 1280, 640):
        frame = sound[at : at + 1280].astype(float)
        if np.abs(frame).mean() > 2000:
            lags = range(32, 320)
            alike = np.array([np.corrcoef(frame[:-lag], frame[lag:])[0, 1] for lag in lags])
            period = int(np.flatnonzero(alike > 0.93 * alike.max())[0])
            while period + 1 < len(alike) and alike[period + 1] > alike[period]:
                period += 1
            found.append(SAMPLE_RATE / lags[period])
    return float(np.median(found))


@pytest.fixture
def voice() -> Iterator[Espeak]:
    made = Espeak(time_limit=2)
    made.open()
    yield made
    made.close()


def child_of(voice: Espeak) -> psutil.Process:
    """The process that holds the library and speaks the next sentence."""
    deadline = time.monotonic() + 5
    while not (children := psutil.Process(voice._worker.pid).children()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return children[0]


def test_contract() -> None:
    check_voice(Espeak())


def test_the_library_is_never_loaded_here(voice: Espeak) -> None:
    speak(voice, "Hello.")
    assert not any("espeak" in region.path for region in psutil.Process().memory_maps())
    assert any("libespeak-ng" in region.path for region in child_of(voice).memory_maps())


def test_the_same_text_gives_the_same_samples(voice: Espeak) -> None:
    first, marks = speak(voice, "The sign says, no parking after eight.")
    stop = Stop()
    next(iter(voice.synthesize("Something else that is cut short.", VoiceStyle(rate=1.3), stop)))
    stop.set()
    second, same_marks = speak(voice, "The sign says, no parking after eight.")
    np.testing.assert_array_equal(first, second)
    assert marks == same_marks


@pytest.mark.parametrize(
    ("text", "peers"),
    [
        ("Stop. Look. Listen. Go.", 4),
        ("First, second, third, fourth, fifth.", 5),
    ],
)
def test_word_marks_agree_with_the_sound(voice: Espeak, text: str, peers: int) -> None:
    """Between pauses, the sound's own edges are the oracle: every word here lies between two pauses."""
    sound, marks = speak(voice, text)
    loud = np.flatnonzero(np.abs(sound.astype(int)) > AUDIBLE)
    gaps = np.flatnonzero(np.diff(loud) > 0.09 * SAMPLE_RATE)
    starts = [0, *(loud[gaps + 1])]
    ends = [*(loud[gaps] + 1), len(sound)]
    assert len(marks) == len(starts) == peers
    # A plosive begins with a silence that belongs to its word: the mark may lie that much before the sound.
    assert all(-0.001 < (start - mark.start) / SAMPLE_RATE < 0.06 for mark, start in zip(marks, starts, strict=True))
    assert [mark.end for mark in marks] == pytest.approx(ends, abs=2)


def test_what_is_spelt_out_stays_one_word(voice: Espeak) -> None:
    text = "At 12:30 on 2026-11-03 – I am at http://x.org/a?b=1 for $1,234.56, 日本 of the “best” naïve cafe\u0301s!"
    sound, marks = speak(voice, text)
    assert " ".join(mark.text for mark in marks) == text
    lengths = {mark.text: (mark.end - mark.start) / SAMPLE_RATE for mark in marks}
    assert lengths["$1,234.56,"] > 2
    assert lengths["–"] == 0


@pytest.mark.parametrize(
    ("text", "like"),
    [
        ("one < two", "one two"),
        ("bread & butter", "bread and butter"),
        ("one\x0120S two", "one 20S two"),  # U+0001 begins a command: 20S is "slowly"
        ("one\x00two", "one two"),
        ("stop \ud800 now", "stop now"),
    ],
)
def test_nothing_in_the_text_is_markup(voice: Espeak, text: str, like: str) -> None:
    assert len(speak(voice, text)[0]) == pytest.approx(len(speak(voice, like)[0]), rel=0.3)


def test_tags_are_spoken(voice: Espeak) -> None:
    tagged, _ = speak(voice, '<break time="9s"/> yes <voice name="de">ja</voice> &lt; [[h@]]')
    assert 3 * SAMPLE_RATE < len(tagged) < 15 * SAMPLE_RATE


@pytest.mark.parametrize("text", ["...", "\u200b", "\x00\x01", "—"])
def test_no_sound_is_no_chunk(voice: Espeak, text: str) -> None:
    assert speak(voice, text)[0].size == 0


def test_a_very_long_text_streams_and_can_be_left(voice: Espeak) -> None:
    chunks = voice.synthesize("All work and no play. " * 455, VoiceStyle(), Stop())
    assert sum(len(next(chunks).pcm) for _ in range(600)) == 600 * SAMPLE_RATE // 10
    chunks.close()  # type: ignore[attr-defined]
    assert speak(voice, "x" * 10_000)[1][0].text == "x" * 10_000


def test_pitch_is_relative_and_loud_is_not_clipped(voice: Espeak) -> None:
    text = "We were away a long, long while, you know."
    normal, high, low = (speak(voice, text, VoiceStyle(pitch=p))[0] for p in (1.0, 1.5, 0.7))
    assert pitch(high) / pitch(normal) == pytest.approx(1.5, rel=0.1)
    assert pitch(low) / pitch(normal) == pytest.approx(0.7, rel=0.1)
    loud, _ = speak(voice, text, VoiceStyle(volume=2.0))
    assert np.abs(loud.astype(int)).max() < 32767
    assert loud.astype(float).std() > 1.5 * normal.astype(float).std()


@pytest.mark.parametrize(
    ("tag", "identifier"),
    [
        ("en-us", "gmw/en-US"),
        ("EN_US", "gmw/en-US"),
        ("en", "gmw/en-US"),
        ("de-AT", "gmw/de"),
        ("zh-Hans-CN", "sit/cmn"),
        ("pt-BR", "roa/pt-BR"),
        ("no", "gmq/nb"),
    ],
)
def test_languages(tag: str, identifier: str) -> None:
    voice = Espeak(tag)
    voice.open()
    assert voice.info.model == identifier
    voice.close()


def test_an_unknown_language_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="'deu'.*nearest.*'de'"):
        find_voice("deu", [["gmw/de", "de"], ["gmq/da", "da"]])
    voice = Espeak("klingon")
    with pytest.raises(UsageError):
        voice.open()
    assert voice._worker.pid is None


def test_a_voice_that_is_not_open_says_so() -> None:
    with pytest.raises(EngineFailed, match="not open"):
        speak(Espeak(), "Hello.")


@pytest.mark.parametrize("victim", ["speaker", "both"])
def test_a_crash_costs_one_sentence(voice: Espeak, victim: str) -> None:
    expected, _ = speak(voice, "Hello again.")
    chunks = voice.synthesize("All work and no play. " * 200, VoiceStyle(), Stop())
    next(chunks)
    speaker = child_of(voice)
    if victim == "both":
        os.kill(speaker.ppid(), signal.SIGKILL)
    os.kill(speaker.pid, signal.SIGKILL)
    with pytest.raises(EngineFailed):
        list(chunks)
    np.testing.assert_array_equal(speak(voice, "Hello again.")[0], expected)


def test_a_hang_costs_one_sentence(voice: Espeak) -> None:
    hung = child_of(voice)
    hung.suspend()
    with pytest.raises(EngineHung):
        speak(voice, "Hello.")
    assert not psutil.wait_procs([hung], timeout=5)[1]
    assert speak(voice, "Hello again.")[0].size


def test_close_leaves_no_process(voice: Espeak) -> None:
    speak(voice, "Hello.")
    family = [psutil.Process(voice._worker.pid), child_of(voice)]
    voice.close()
    assert not psutil.wait_procs(family, timeout=5)[1]


@pytest.mark.parametrize("style", [VoiceStyle(), VoiceStyle(rate=1.5, pitch=1.2)])
def test_against_the_command_line_of_espeak_ng(voice: Espeak, tmp_path: Path, style: VoiceStyle) -> None:
    """Debian's espeak-ng is another build (1.51 here), and its flutter is random: durations and the envelope must agree."""
    program = shutil.which("espeak-ng")
    if program is None:
        pytest.skip("ESPEAK-NG'S COMMAND LINE IS MISSING: apt-get install espeak-ng")
    text = "The sign on the door says that the shop is closed on Sundays, and open from nine to five on other days."
    out = tmp_path / "oracle.wav"
    pitch = round(50 + 50 * np.log2(style.pitch))
    subprocess.run(
        [program, "-v", "en-us", "-s", str(round(175 * style.rate)), "-p", str(pitch), "-w", str(out), text], check=True
    )
    with wave.open(str(out)) as file:
        raw = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32)
        oracle = soxr.resample(raw, file.getframerate(), SAMPLE_RATE)
    loud = np.flatnonzero(np.abs(oracle) >= AUDIBLE)
    oracle = oracle[loud[0] : loud[-1] + 1]
    ours = speak(voice, text, style)[0].astype(np.float32)
    assert len(ours) == pytest.approx(len(oracle), rel=0.03)
    assert ours.std() == pytest.approx(oracle.std(), rel=0.1)
    hop = SAMPLE_RATE // 50
    count = min(len(ours), len(oracle)) // hop * hop
    a, b = (np.sqrt((sound[:count].reshape(-1, hop) ** 2).mean(1)) for sound in (ours, oracle))
    lags = range(-5, 6)
    assert max(np.corrcoef(np.roll(a, lag), b)[0, 1] for lag in lags) > 0.8


def test_it_speaks_from_any_folder(tmp_path: Path) -> None:
    """A folder named "models" in the working directory is what everybody who trains networks has."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("raise RuntimeError('not mine')")
    root = str(Path(__file__).parents[2])
    code = f"import sys; sys.path.insert(0, {root!r}); from models.espeak import Espeak; v = Espeak(); v.open(); v.close()"
    subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, check=True, capture_output=True)
