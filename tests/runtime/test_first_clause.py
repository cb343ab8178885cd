"""A reply begins one clause behind the first token, however long its first sentence is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from edge.events import TurnEnded
from edge.runtime.engines import Engines
from edge.runtime.lane import Lane
from edge.runtime.virtual import VirtualLoop
from models.fakes import FakeVoice
from tests.runtime.stage import play

CLAUSE = "Turn to the left at the big red door,"
ANSWER = f"{CLAUSE} then walk on until you come to the lift and go up to the third floor. The office is on your right."
TOKEN = 0.01
COST = 0.1
"""Seconds a word that the voice needs before it gives any of a piece: the way of Piper on a slow board."""


async def test_the_first_audio_is_one_clause_behind_the_first_token() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    voice = FakeVoice(cost_per_word=COST, per_word=0.3, spend=loop.spend)

    def slow(engines: Engines) -> Engines:
        return replace(engines, voice=Lane("voice", lambda: voice))

    async with play(answers=[ANSWER], engines=slow) as stage:
        await stage.say()
        await asyncio.sleep(30)
        turn = stage.of(TurnEnded)[-1]
    assert turn.answer == ANSWER
    assert turn.timings_ms.first_audio is not None
    assert turn.timings_ms.first_token is not None
    words = len(CLAUSE.split())
    expected = 1000 * (TOKEN * (words - 1) + COST * words)
    assert turn.timings_ms.first_audio - turn.timings_ms.first_token == pytest.approx(expected, abs=30)
    assert expected < 0.5 * 1000 * COST * len(ANSWER.split(".")[0].split()), "the sentence alone would take twice that"
