"""What every translator keeps: the fake, the networks, the engine that chooses among several.

A new one is a line in ``KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.errors import LanguageMissing
from edge.ports import Stop, Translator
from edge.translation import TranslateRequest
from models.fakes_translation import FakeTranslator

WORDS = {"the": "el", "dog": "perro", "sees": "ve", "a": "un", "cat": "gato", "red": "rojo"}
SENTENCE = "the dog sees a red cat"


def _fake(folder: Path) -> Translator:
    return FakeTranslator(WORDS, [("en", "es")])


def _forced_fake(folder: Path) -> Translator:
    return FakeTranslator(WORDS, [("en", "es")], forces=True)


def _network(family: str) -> Callable[[Path], Translator]:
    def make(folder: Path) -> Translator:
        from models.ct2_pack import Family
        from models.ct2_translator import Ct2Translator
        from tests.models.tiny_translators import translator

        place = translator(folder / f"{family.lower()}-en-es", Family[family])
        return Ct2Translator(place, threads=1, non_commercial=True)

    return make


def _letters(folder: Path) -> Translator:
    from models.ct2_translator import Ct2Translator
    from tests.shared import shared

    return Ct2Translator(shared("models/ct2-aren-transliteration/model.bin").parent, pairs=[("ar", "en")], threads=1)


def _packs(folder: Path) -> Translator:
    from models.packs import Packs

    return Packs([FakeTranslator(WORDS, [("en", "de")], forces=True), _forced_fake(folder)])


def _pivoted(folder: Path) -> Translator:
    from models.packs import Packs

    halves = {"le": "the", "chien": "dog", "voit": "sees", "un": "a", "chat": "cat", "rouge": "red"}
    return Packs([FakeTranslator(halves, [("fr", "en")], forces=True)], _forced_fake(folder))


def _apertium(folder: Path) -> Translator:
    from models.apertium import Apertium
    from tests.models.apertium_here import needs_apertium

    needs_apertium()
    return Apertium()


@dataclass(frozen=True)
class Kind:
    """One translator under test."""

    make: Callable[[Path], Translator]
    pair: tuple[str, str] = ("en", "es")
    """Languages that it knows."""
    unknown: tuple[str, str] = ("en", "xx")
    """Languages between which it cannot translate."""
    text: str = SENTENCE
    """A sentence that it can translate, without a full stop."""


KINDS = {
    "apertium": Kind(_apertium),
    "fake": Kind(_fake),
    "fake_that_forces": Kind(_forced_fake),
    "ct2_marian": Kind(_network("MARIAN")),
    "ct2_m2m100": Kind(_network("M2M100")),
    "ct2_madlad": Kind(_network("MADLAD")),
    "ct2_nllb": Kind(_network("NLLB")),
    "ct2_words": Kind(_network("PLAIN")),
    "ct2_letters": Kind(_letters, pair=("ar", "en"), text="محمد آتزمون"),
    "packs": Kind(_packs),
    "packs_through_english": Kind(_pivoted, pair=("fr", "es"), text="le chien voit un chat rouge"),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def engine(kind: Kind, tmp_path: Path) -> Iterator[Translator]:
    made = kind.make(tmp_path)
    yield made
    made.close()


def asked(kind: Kind, text: str | None = None, **rest: object) -> TranslateRequest:
    return TranslateRequest(kind.text if text is None else text, *kind.pair, **rest)  # type: ignore[arg-type]


def told(engine: Translator, request: TranslateRequest) -> str:
    pieces = list(engine.translate(request, Stop()))
    assert all(pieces), "a piece has something in it"
    return "".join(pieces)


def test_what_it_lacks_is_told_before_it_is_open(kind: Kind, engine: Translator) -> None:
    assert engine.missing(*kind.pair) == ""
    why = engine.missing(*kind.unknown)
    assert kind.unknown[1] in why and len(why.splitlines()) == 1
    assert "nearsight models" in why or "apt" in why, "it says which command helps"
    assert "same language" in engine.missing(kind.pair[0], kind.pair[0])
    assert "same language" in engine.missing(kind.pair[0], f"{kind.pair[0]}-XA"), "a region makes no other language"


def test_it_opens_and_closes_twice_and_again(kind: Kind, engine: Translator) -> None:
    engine.open()
    engine.open()
    assert engine.info.name and engine.info.version
    first = told(engine, asked(kind))
    engine.close()
    engine.close()
    engine.open()
    assert told(engine, asked(kind)) == first


def test_it_translates_and_twice_alike(kind: Kind, engine: Translator) -> None:
    engine.open()
    found = told(engine, asked(kind))
    assert found == found.strip() and found and found != kind.text
    assert told(engine, asked(kind)) == found
    source, target = kind.pair
    regional = TranslateRequest(kind.text, f"{source}-XA", f"{target}-XB")
    assert told(engine, regional) == found, "it looks at the part of a tag that it knows"
    assert told(engine, asked(kind, before=[("x", "y")])), "sentences before it may help, and do no harm"


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_nothing_comes_of_nothing(kind: Kind, engine: Translator, text: str) -> None:
    engine.open()
    assert told(engine, asked(kind, text)) == ""
    assert told(engine, asked(kind, text, whole=False)) == ""


def test_a_pair_that_it_does_not_know_is_refused(kind: Kind, engine: Translator) -> None:
    engine.open()
    for pair in (kind.unknown, (kind.pair[0], kind.pair[0])):
        with pytest.raises(LanguageMissing):
            list(engine.translate(TranslateRequest(kind.text, *pair), Stop()))
    assert told(engine, asked(kind)), "and the next one is translated"


def test_a_raised_flag_ends_it(kind: Kind, engine: Translator) -> None:
    engine.open()
    stop = Stop()
    stop.set()
    assert list(engine.translate(asked(kind), stop)) == []
    whole, stop, pieces = told(engine, asked(kind)), Stop(), []
    for piece in engine.translate(asked(kind), stop):
        pieces.append(piece)
        stop.set()
    assert len(pieces) == 1 and whole.startswith(pieces[0])
    assert told(engine, asked(kind)) == whole


def test_a_given_beginning_stands_as_it_was_given(kind: Kind, engine: Translator) -> None:
    engine.open()
    whole = told(engine, asked(kind))
    words = whole.split()
    for size in range(1, len(words) + 1):
        for prefix in (" ".join(words[:size]), " ".join(words[:size]) + " "):
            found = told(engine, asked(kind, prefix=prefix))
            if engine.forces:
                assert found.startswith(prefix) and found.strip() == whole
            else:
                assert found == whole


def test_what_has_not_ended_gets_no_full_stop(kind: Kind, engine: Translator) -> None:
    engine.open()
    words = kind.text.split()
    for size in range(1, len(words) + 1):
        found = told(engine, asked(kind, " ".join(words[:size]), whole=False))
        assert found and not found.rstrip().endswith((".", "!", "?", "…"))
