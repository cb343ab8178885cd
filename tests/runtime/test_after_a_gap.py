"""A touch is a call at its own time, however long nothing was heard before it."""

from __future__ import annotations

import asyncio

from edge.events import TurnEnded
from edge.policy.signals import State
from tests.runtime.stage import play


async def test_a_tap_right_after_the_glasses_were_away_waits_for_the_question() -> None:
    async with play() as stage:
        stage.glasses.leave()
        await asyncio.sleep(20.0)  # longer than anybody is waited for who says nothing
        stage.glasses.come_back()
        stage.glasses.tap()
        await asyncio.sleep(1.5)
        assert stage.state() is State.LISTENING
        await stage.say(wake=False)
        await stage.told.wait(TurnEnded)
    assert [one.transcript for one in stage.of(TurnEnded)] == ["how are you"]
