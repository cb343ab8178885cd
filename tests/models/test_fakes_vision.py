"""The scripted vision-language model keeps the contract of the real one, and tells what it was shown."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import EngineFailed
from edge.ports import Stop
from models.fakes_vision import KEPT, FakeVision, Look
from tests.models.contract_vision import YES_OR_NO, asked, check_vision


def test_it_keeps_the_contract() -> None:
    check_vision(FakeVision(['{"yes": true}']), np.zeros((4, 6, 3), np.uint8), np.ones((2, 2, 3), np.uint8))


def test_it_tells_what_it_was_shown() -> None:
    pictures = [np.full((2, 2, 3), at, np.uint8) for at in range(KEPT + 1)]
    fake = FakeVision(["one", lambda look: f"{len(look.pictures)} pictures"])
    fake.prepare(pictures[0], Stop())
    assert "".join(fake.answer(pictures[:1], asked("a"), Stop())) == "one"
    assert "".join(fake.answer(pictures[1:], asked("b"), Stop())) == "2 pictures"
    assert "".join(fake.answer(pictures[:1], asked("c"), Stop())) == "1 pictures"
    assert [look.prepared for look in fake.looks] == [True, False, False], "only the newest stay looked at"
    assert fake.encoded == 4
    assert fake.looks[1] == Look(tuple(pictures[1:]), asked("b"), None, prepared=False)


def test_a_script_without_json_is_noticed() -> None:
    with pytest.raises(EngineFailed, match="no JSON"):
        list(FakeVision(["yes"]).answer([], asked("a"), Stop(), YES_OR_NO))
