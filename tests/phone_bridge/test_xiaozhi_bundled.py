"""A stock xiaozhi device and the bundled engines: a question about a sign goes up as Opus, its answer comes down as Opus."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge.app import load_config
from edge.events import FinalHeard
from edge.household import Household
from edge.ports import Stop
from edge.values import SAMPLE_RATE
from models.sphinx import PocketSphinx
from tests.phone_bridge.xiaozhi_device import StockDevice, key_of, serving, until
from tests.test_household import Book

pytestmark = pytest.mark.real_time

UNUSED = ("language_model", "vision_language", "segmenter", "detector", "code_reader", "scene_meter", "echo")
DEMO = Path(__file__).parents[2] / "edge" / "demo"
AFTER_WAKE = 2.4
"""Seconds of the demo's recording until the question begins: the device has heard its own wake word."""

HEARD_S = 1.8
"""Seconds of the answer that are listened to: it begins with the sign's title, "Riverside Park"."""


async def test_a_spoken_question_about_a_pictured_sign_is_answered_aloud(tmp_path: Path) -> None:
    sound, rate = soundfile.read(DEMO / "sign.flac", dtype="int16")
    assert rate == SAMPLE_RATE
    book = Book()
    config = load_config("bundled", changes={port: {"engine": "none"} for port in UNUSED})
    async with Household(config, tmp_path, book) as household, serving(tmp_path) as station:
        attending = asyncio.create_task(household.attend(station))
        async with StockDevice(station, key_of(station)) as device:
            device.picture = (DEMO / "park.jpg").read_bytes()  # noqa: ASYNC240 - a small file, once
            await device.call()
            await until(lambda: "xiaozhi:ada" in book.sessions, 30)
            device.say(np.asarray(sound[round(AFTER_WAKE * SAMPLE_RATE) :], np.int16))
            await until(lambda: len(device.sound) >= HEARD_S * SAMPLE_RATE, 40)
            (question,) = book.of("xiaozhi:ada", FinalHeard)
            assert isinstance(question, FinalHeard) and question.text == "what does this sign say"
            heard = device.sound
            assert device.wasted == 0 and device.photo_status == 200
        await station.close()
        await attending
    recogniser = PocketSphinx()
    recogniser.open()
    try:
        stream = recogniser.stream(phrases=())
        stream.accept(heard)
        text = stream.final(Stop()).text
        stream.close()
    finally:
        recogniser.close()
    assert "park" in text.lower().split(), text
