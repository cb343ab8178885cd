"""The skills whose point is what they do: stop, mute, photo, repeat."""

from __future__ import annotations

import pytest

from edge.errors import NoView
from edge.skill import Act
from edge.skills.mute import Mute
from edge.skills.photo import Photo
from edge.skills.repeat import Repeat
from edge.skills.stop import Stop
from edge.values import Exchange
from tests.skills.asking import FakeAsking, picture, said


async def test_stop_says_nothing() -> None:
    asking = FakeAsking("stop")
    assert await said(Stop(), asking) == ""
    assert asking.acts == [Act.STOP]
    assert Stop.urgent


async def test_mute_says_so_before_it_is_done() -> None:
    asking = FakeAsking("turn off the camera")
    answer = Mute().answer(asking)
    assert await anext(answer) == "Microphone and camera are off. Tap to switch them on again."
    assert asking.acts == []
    assert [piece async for piece in answer] == []
    assert asking.acts == [Act.MUTE]


async def test_a_photo_is_kept_once_the_wearer_has_surely_finished() -> None:
    frame = picture(7)
    asking = FakeAsking("take a photo", view=frame)
    assert await said(Photo(), asking) == "Photo saved."
    assert asking.kept == [frame]
    assert asking.acts == [Act.SHUTTER]
    assert asking.trace == ["frame", "sure", "keep", "act"]


async def test_a_photo_that_nothing_records_is_not_called_saved() -> None:
    asking = FakeAsking("take a photo", view=picture(), recording=False)
    assert await said(Photo(), asking) == "Photo taken, but nothing is being recorded."


async def test_no_photo_without_a_picture() -> None:
    asking = FakeAsking("take a photo")
    with pytest.raises(NoView):
        await said(Photo(), asking)
    assert asking.acts == []


@pytest.mark.parametrize(
    ("history", "answer"),
    [
        ((), "I have not said anything yet."),
        ((Exchange("hm", ""),), "I have not said anything yet."),
        ((Exchange("one", "First."), Exchange("two", "Second.")), "Second."),
        ((Exchange("read it", "Platform nine,", "Platform nine, at noon."),), "Platform nine, at noon."),
        ((Exchange("read it", "Platform", "Platform nine."), Exchange("stop", "")), "Platform nine."),
        ((Exchange("read it", "", "Platform nine."),), "Platform nine."),
    ],
)
async def test_repeat_gives_the_whole_of_the_last_answer(history: tuple[Exchange, ...], answer: str) -> None:
    assert await said(Repeat(), FakeAsking("pardon", history=history)) == answer
