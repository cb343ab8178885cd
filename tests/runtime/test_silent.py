"""Glasses without a loudspeaker: what is answered is shown, and nothing counts as heard."""

from __future__ import annotations

from dataclasses import replace

from edge.events import LinkChanged, Notice, Speaking, TurnEnded
from edge.values import Condition, Exchange
from tests.runtime.stage import play


async def test_a_reply_that_nobody_can_hear_is_shown_and_remembered() -> None:
    async with play() as stage:
        here = Condition(device="Omi", silent=True)
        for condition in (here, replace(here, present=False), here):  # told once, not at each return
            stage.glasses._conditions.send_nowait(condition)
        await stage.say()
        turn = await stage.told.wait(TurnEnded)
        history = stage.session.history
    assert turn.answer == "I am well. Thank you for asking." and turn.heard == ""
    assert not turn.interrupted and turn.timings_ms.voice_to_voice is None and turn.timings_ms.first_audio is not None
    assert list(history) == [Exchange("how are you", turn.answer, turn.answer)]
    assert [notice.code for notice in stage.of(Notice)] == ["no_loudspeaker"]
    assert stage.of(LinkChanged)[-1].silent and len(stage.of(Speaking)) == 2
