"""The real engines of the default profile behind the command line, on sound and pictures that the project made."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge.bundle import read_bundle
from models.catalog import Catalogue, State
from tests.cli.command import Command

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "edge" / "demo"


@pytest.fixture(scope="module", autouse=True)
def models_are_there() -> None:
    missing = [
        name for name in ("smollm2-135m-instruct", "smart-turn-v3.2") if Catalogue.load().status(name).state is State.MISSING
    ]
    if missing:
        pytest.skip(f"MODELS MISSING: {', '.join(missing)}: run nearsight models pull --profile bundled")


def test_a_spoken_question_about_a_picture(nearsight: Command, tmp_path: Path) -> None:
    reply = tmp_path / "reply.wav"
    asked = nearsight("ask", "--audio", DEMO / "sign.flac", "--image", DEMO / "park.jpg", "--out", reply, "--fast", "--json")
    assert asked.status == 0, asked.err
    (turn,) = asked.of("turn")
    assert turn["transcript"] == "what does this sign say"
    assert turn["skill"] == "read_text"
    assert "dogs on a lead" in turn["answer"].lower()
    assert turn["heard"] == turn["answer"]
    assert {"endpoint", "asr_final", "first_token", "first_sentence", "first_audio", "voice_to_voice"} <= turn[
        "timings_ms"
    ].keys()
    assert [row["by"] for row in asked.of("wake")] == ["hey_jarvis"]
    sound, rate = soundfile.read(reply, dtype="int16")
    assert rate == 16000 and np.abs(sound).max() > 2000
    asked_until = asked.of("final")[0]["words"][-1]["end_ms"] / 1000
    assert np.abs(sound[: int(asked_until * rate)]).max() == 0, "silent while the question is asked"
    assert np.abs(sound[int(asked_until * rate) :][: 2 * rate]).max() > 2000, "and not for long after it"


def test_a_typed_question_that_the_model_answers(nearsight: Command) -> None:
    asked = nearsight("ask", "--text", "when does the museum close", "--image", DEMO / "museum.jpg", "--fast", "--json")
    assert asked.status == 0, asked.err
    (turn,) = asked.of("turn")
    assert turn["skill"] == "ask"
    assert "6" in turn["answer"]


def test_what_the_picture_does_not_say_is_not_made_up(nearsight: Command) -> None:
    asked = nearsight("ask", "--text", "how much is a ticket", "--image", DEMO / "museum.jpg", "--fast", "--json")
    (turn,) = asked.of("turn")
    assert not any(letter.isdigit() for letter in turn["answer"].replace("10", "").replace("6", ""))


def test_a_recorded_session_replays_alike_and_is_reported(nearsight: Command, tmp_path: Path) -> None:
    bundle = tmp_path / "session"
    question = ("--audio", DEMO / "sign.flac", "--image", DEMO / "park.jpg")
    assert nearsight("ask", *question, "--record", bundle, "--fast").status == 0
    first, second = nearsight("replay", bundle, "--json"), nearsight("replay", bundle, "--json")
    assert first.status == second.status == 0, first.err
    assert first.out == second.out
    assert first.of("turn")[0]["transcript"] == "what does this sign say"
    assert "as recorded" in first.err
    page = tmp_path / "page.html"
    assert nearsight("report", bundle, "--out", page).status == 0
    assert "what does this sign say" in page.read_text()


def test_transcribe_gives_words_with_times(nearsight: Command) -> None:
    heard = nearsight("transcribe", DEMO / "question.flac", "--json")
    assert heard.status == 0, heard.err
    words = [word for row in heard.of("final") for word in row["words"]]
    assert "museum" in [word["text"] for word in words]
    assert all(one["start_ms"] < one["end_ms"] for one in words)


@pytest.mark.parametrize("after", [0.5, 4.0])
def test_ctrl_c_leaves_a_bundle_that_reads(tmp_path: Path, after: float) -> None:
    bundle = tmp_path / "session"
    command = [sys.executable, "-m", "edge.cli.main", "ask", "--audio", str(DEMO / "interruption.flac"), "--json"]
    command += ["--image", str(DEMO / "ferry.jpg"), "--record", str(bundle)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and so would their children: a terminal's foreground does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    if after > 1:
        process.stdout.readline()  # the session has begun
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=5)
    except subprocess.TimeoutExpired:  # an interrupt that falls into an extension's import may be lost there, without a word
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.strip().splitlines()[-1] == "nearsight: interrupted"
    assert all(json.loads(line) for line in out.splitlines())
    if after > 1:
        recorded = read_bundle(bundle)
        assert recorded.events[-1]["event"] == "end"
        assert soundfile.info(bundle / "microphone.flac").duration > 2
