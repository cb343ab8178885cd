"""Pictures and questions about them, sent elsewhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

from edge.errors import EngineFailed, NotPicture, RemoteFailed, TooLarge
from edge.ports import Stop
from edge.values import Message, Pixels, Prompt
from models.openai_chat import OpenAiVision
from models.openai_http import Limits
from tests.models.contract_vision import YES_OR_NO, asked, check_vision
from tests.models.openai_server import (
    SILENT,
    Reply,
    Scripted,
    Seen,
    answer,
    serving,
    slowly,
)

pytestmark = pytest.mark.real_time

QUICK = Limits(connect=1.0, first=0.8, idle=0.5, pause=0.01)


def picture(seed: int, height: int = 60, width: int = 80) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def sees() -> Iterator[Callable[..., OpenAiVision]]:
    made = []

    def make(server: Scripted, *, max_side: int = 768, max_pictures: int = 4) -> OpenAiVision:
        made.append(OpenAiVision(server.url, model="eye", max_side=max_side, max_pictures=max_pictures, limits=QUICK))
        made[-1].open()
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_the_vision_engine_keeps_the_contract() -> None:
    def answered(seen: Seen) -> Reply:
        body = answer('{"yes": true}') if "response_format" in seen.json else answer("It is a cup on a table")
        return Reply(slowly(body.splitlines(keepends=True), 0.002))

    with serving(answered) as server:
        check_vision(OpenAiVision(server.url, model="eye"), picture(1), picture(2))


def test_pictures_are_sent_as_data_before_the_last_question(sees: Callable[..., OpenAiVision]) -> None:
    with serving(Reply(answer("fine"))) as server:
        eye = sees(server, max_side=40)
        eye.prepare(picture(1), Stop())
        assert not server.seen, "nothing leaves before it is asked for"
        prompt = Prompt((Message("user", "First"), Message("assistant", "Yes"), Message("user", "a <__media__> sign")), 8)
        smooth = np.full((60, 80, 3), (10, 200, 90), np.uint8)
        assert "".join(eye.answer([smooth, picture(1)], prompt, Stop())) == "fine"
    first, _, last = server.seen[0].json["messages"]
    assert first["content"] == "First"
    assert [part["type"] for part in last["content"]] == ["image_url", "image_url", "text"]
    assert "<__media__>" not in last["content"][-1]["text"]
    address = last["content"][0]["image_url"]["url"]
    assert address.startswith("data:image/jpeg;base64,")
    jpeg = np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8)
    shown = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert shown is not None and shown.shape == (30, 40, 3)
    assert np.abs(shown.astype(int) - (10, 200, 90)).max() < 6


def test_a_schema_is_sent_and_its_value_checked(sees: Callable[..., OpenAiVision]) -> None:
    def value(text: str, finish: str = "stop") -> str:
        server.script[:] = [Reply(answer(text, finish=finish))]
        return "".join(eye.answer([picture(1)], asked("Is it?"), Stop(), YES_OR_NO))

    with serving(SILENT) as server:
        eye = sees(server)
        assert json.loads(value('{"yes": false}')) == {"yes": False}
        form = server.seen[0].json["response_format"]
        assert form["type"] == "json_schema" and form["json_schema"]["schema"] == YES_OR_NO
        with pytest.raises(RemoteFailed, match="does not keep to the schema"):
            value("Yes, it is")
        with pytest.raises(EngineFailed, match="did not end within 60 tokens"):
            value('{"yes": fa', "length")


@pytest.mark.parametrize(
    ("pictures", "prompt", "error"),
    [
        ([picture(1)] * 3, asked("a"), TooLarge),
        ([np.zeros((4, 4), np.uint8)], asked("a"), NotPicture),
        ([np.zeros((0, 4, 3), np.uint8)], asked("a"), NotPicture),
        ([np.zeros((4, 4, 3), np.float32)], asked("a"), NotPicture),
        ([picture(1)], Prompt((Message("system", "a"),)), EngineFailed),
    ],
)
def test_what_is_no_picture_is_not_sent(
    pictures: list[Pixels], prompt: Prompt, error: type[Exception], sees: Callable[..., OpenAiVision]
) -> None:
    with serving(Reply(answer("fine"))) as server:
        eye = sees(server, max_pictures=2)
        with pytest.raises(error):
            list(eye.answer(pictures, prompt, Stop()))
        assert "".join(eye.answer([picture(1, 3, 900)], asked("a"), Stop())) == "fine"
    assert len(server.seen) == 1
