"""What the scripted translator does, beyond what every translator keeps."""

from __future__ import annotations

import pytest

from edge.errors import EngineFailed, LanguageMissing
from edge.ports import Stop
from edge.translation import TranslateRequest
from models.fakes_translation import FakeTranslator, Slip

REQUEST = TranslateRequest("Hello, big world!", "en-US", "es")


def told(engine: FakeTranslator, request: TranslateRequest = REQUEST, stop: Stop | None = None) -> str:
    return "".join(engine.translate(request, Stop() if stop is None else stop))


def test_words_keep_their_punctuation_and_their_capitals() -> None:
    engine = FakeTranslator({"hello": "hola", "world": "mundo", "good day": "buenos días"})
    assert told(engine) == "Hola, big mundo!" and engine.asked == [REQUEST]
    assert told(engine, TranslateRequest("good day", "en", "es")) == "buenos días"
    assert told(FakeTranslator(lambda request: request.text[::-1])) == REQUEST.text[::-1]


def test_it_goes_on_after_as_many_words_as_were_given() -> None:
    engine = FakeTranslator({"big": "gran"}, forces=True)
    assert told(engine, TranslateRequest("a big b", "en", "es", prefix="x y")) == "x y b"
    assert told(engine, TranslateRequest("a big b", "en", "es", prefix="x y z")) == "x y z"
    assert told(FakeTranslator({}), TranslateRequest("a", "en", "es", prefix="x")) == "a"


def test_what_can_go_wrong_does_so_once() -> None:
    engine = FakeTranslator({}, slips=[Slip.NOTHING, EngineFailed("lost"), Slip.LOOP, Slip.NONE])
    assert told(engine) == ""
    with pytest.raises(EngineFailed, match="lost"):
        told(engine)
    assert told(engine).split()[2:] == ["world!"] * (1 + engine.LOOP)
    assert told(engine) == told(engine) == REQUEST.text
    assert len(engine.asked) == 5


def test_one_that_hangs_ends_when_it_is_stopped() -> None:
    stop, seen = Stop(), []

    def spend(seconds: float, stop: Stop) -> None:
        seen.append(seconds)
        stop.set()

    assert told(FakeTranslator({}, slips=[Slip.HANG], cost=3.0, spend=spend), stop=stop) == "" and seen == [3.0]


def test_it_costs_what_was_said() -> None:
    spent: list[float] = []
    engine = FakeTranslator({}, cost=1.0, per_word=0.5, spend=lambda seconds, stop: spent.append(seconds))
    told(engine)
    assert spent == [1.0, 0.5, 0.5, 0.5]


def test_it_knows_the_pairs_that_it_was_given() -> None:
    engine = FakeTranslator({}, [("en", "es")])
    assert engine.missing("en-GB", "es-MX") == "" and "pull --translate es-en" in engine.missing("es", "en")
    with pytest.raises(LanguageMissing):
        told(engine, TranslateRequest("x", "en", "fr"))
