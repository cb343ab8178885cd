"""What every vision-language model keeps, the scripted fake and the real engine: each engine's own test calls it."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import cast

from edge.ports import Stop, VisionLanguage
from edge.values import Message, Pixels, Prompt

YES_OR_NO = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}


def asked(question: str) -> Prompt:
    """Gives a prompt of one message, with room for 60 tokens."""
    return Prompt((Message("user", question),), 60)


def check_vision(engine: VisionLanguage, whole: Pixels, part: Pixels) -> None:
    """Checks a closed engine; a scripted fake gives ``{"yes": true}`` to everything. Leaves it closed."""
    assert engine.info.name
    engine.close()
    engine.open()
    engine.open()
    try:
        first = list(engine.answer([whole], asked("What is it?"), Stop()))
        assert first and all(first), "pieces of text, none of them empty"
        engine.prepare(part, Stop())
        engine.prepare(part, Stop())
        assert isinstance(json.loads("".join(engine.answer([whole, part], asked("Is it?"), Stop(), YES_OR_NO)))["yes"], bool)
        assert list(engine.answer([whole], asked("What is it?"), Stop())) == first, "it keeps nothing of what was asked"
        _check_stop(engine, whole, first)
        assert list(engine.answer([], asked("What is it?"), Stop())) is not None
    finally:
        engine.close()
        engine.close()


def _check_stop(engine: VisionLanguage, whole: Pixels, first: list[str]) -> None:
    stop = Stop()
    pieces = engine.answer([whole], asked("What is it?"), stop)
    begun = next(pieces)
    stop.set()
    assert [begun, *pieces] == first[:1], "nothing comes once the flag is set"
    engine.prepare(whole, stop)
    assert list(engine.answer([whole], asked("What is it?"), stop)) == []
    given_up = cast(Generator[str, None, None], engine.answer([whole], asked("What is it?"), Stop()))
    next(given_up)
    given_up.close()
    assert list(engine.answer([whole], asked("What is it?"), Stop())) == first
