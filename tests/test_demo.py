"""The bundled scene can be heard and read: what ``nearsight demo`` shows must not hang on a wording or a voice."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edge.policy.phrases import commands
from edge.ports import Stop
from edge.skills import load
from edge.values import SAMPLE_RATE, Pcm, VideoFrame
from models.reader import RapidReader
from models.sphinx import PocketSphinx
from models.wake import MicroWake
from phone_bridge.media import read_picture
from tests.models.contract import chunks
from tests.models.sounds import flite

FOLDER = Path(__file__).parents[1] / "edge" / "demo"
TURNS: list[dict[str, Any]] = tomllib.loads((FOLDER / "scene.toml").read_text(encoding="utf-8"))["turn"]


def heard(turn: dict[str, Any]) -> Pcm:
    sound, rate = soundfile.read(FOLDER / turn["audio"], dtype="int16")
    assert rate == SAMPLE_RATE and sound.ndim == 1
    return np.asarray(sound, dtype=np.int16)


def test_three_turns_by_three_voices_in_front_of_three_pictures() -> None:
    assert len(TURNS) == len({turn["voice"] for turn in TURNS}) == len({turn["picture"] for turn in TURNS}) == 3


def test_the_scene_is_small_enough_to_be_shipped() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 1_500_000


@pytest.mark.parametrize("turn", TURNS, ids=[turn["title"] for turn in TURNS])
def test_the_wake_word_is_heard_once_before_the_question(turn: dict[str, Any]) -> None:
    wake = MicroWake(("hey_jarvis",))
    wake.open()
    try:
        sound = heard(turn)
        found = [at for at in range(0, len(sound), 320) if wake.detect(sound[at : at + 320])]
    finally:
        wake.close()
    assert len(found) == 1
    assert 1.5 < found[0] / SAMPLE_RATE < 2.5


@pytest.mark.parametrize("voice", ["awb", "kal16", "rms", "slt"])
def test_the_grammar_of_all_skills_understands_every_question_in_four_voices(voice: str) -> None:
    phrases = commands(phrase for skill in load() for phrase in skill.phrases)
    questions = [*(turn["says"] for turn in TURNS), *(turn["cut_by"] for turn in TURNS if "cut_by" in turn)]
    engine = PocketSphinx()
    engine.open()
    try:
        for question in questions:
            stream = engine.stream(phrases=phrases)
            for piece in chunks(flite(question, voice), 960):
                stream.accept(piece)
            assert stream.final(Stop()).text == question
            stream.close()
    finally:
        engine.close()


def test_every_picture_says_what_its_turn_needs() -> None:
    reader = RapidReader(threads=1)
    reader.open()
    try:
        for turn in TURNS:
            pixels = read_picture(FOLDER / turn["picture"])
            assert max(pixels.shape) <= 1280
            text = reader.read(VideoFrame(pixels, 0), Stop()).text.lower().replace("\n", " ")
            assert [words for words in turn["contains"] if words.lower() not in text] == []
    finally:
        reader.close()


def test_the_interruption_comes_while_a_long_reply_is_spoken() -> None:
    turn = next(turn for turn in TURNS if "cut_by" in turn)
    sound = heard(turn).astype(np.float64)
    loud = [at for at in range(0, len(sound), 320) if np.sqrt((sound[at : at + 320] ** 2).mean()) > 100]
    pauses = np.diff(loud) / SAMPLE_RATE
    assert pauses.max() == pytest.approx(turn["cut_after_s"], abs=0.5)  # flite pads its words
