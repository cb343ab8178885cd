"""What a page is told of a session's events."""

from __future__ import annotations

from edge.events import FrameChosen, RemoteChanged, ThingsSeen
from edge.translation import InterpretingChanged, SourceHeard, TextTranslated, Translated, TranslationSpoken
from phone_bridge import control
from phone_bridge.captions import CAPTIONS, KEPT, PART_BYTES, Captions


def begun(t_ns: int = 5_000_000, *, on: bool = True, partner: str = "es") -> InterpretingChanged:
    return InterpretingChanged(t_ns=t_ns, on=on, mine="en", theirs=partner, both=True)


def heard(sentence: int, *, final: bool = True) -> SourceHeard:
    words = ({"text": "hola", "start_ms": 0.0, "end_ms": 300.0},)
    return SourceHeard(t_ns=9, sentence=sentence, speaker="partner", language="es", text="hola", final=final, words=words)


def translated(sentence: int, *, final: bool = True) -> Translated:
    return Translated(t_ns=9, sentence=sentence, speaker="partner", language="en", text="hello", final=final)


def test_what_no_page_shows_is_not_sent() -> None:
    captions = Captions()
    assert captions.lines(ThingsSeen(t_ns=0, things=())) == ()
    assert {"interpreting", "source", "translation", "spoken", "passed_over", "overlay"} <= CAPTIONS


def test_times_of_words_stay_here_and_a_sentence_tells_which_conversation_it_belongs_to() -> None:
    captions = Captions()
    captions.lines(begun())
    (line,) = captions.lines(heard(0))
    assert "words" not in line and line["run"] == 5.0
    captions.lines(begun(7_000_000, partner="fr"))
    assert captions.lines(heard(1))[0]["run"] == 5.0, "a language that was found begins nothing anew"
    captions.lines(begun(8_000_000, on=False))
    captions.lines(begun(9_000_000))
    assert captions.lines(heard(0))[0]["run"] == 9.0


def test_a_page_that_comes_back_is_told_what_holds() -> None:
    captions = Captions()
    assert captions.again() == ()
    captions.lines(RemoteChanged(t_ns=0, ports={"translator": "attic.lan"}, leaves=True))
    captions.lines(begun())
    for sentence in range(3):
        captions.lines(heard(sentence, final=False))
        captions.lines(heard(sentence))
        captions.lines(translated(sentence, final=False))
        captions.lines(translated(sentence))
    captions.lines(TranslationSpoken(t_ns=9, sentence=2, to="wearer", language="en", text="hello", start_ms=1.0, lag_ms=900.0))
    again = captions.again()
    assert [line["event"] for line in again] == ["remote", "interpreting", *["source", "translation"] * 3, "spoken"]
    assert all(line["final"] for line in again if line["event"] in ("source", "translation"))
    for sentence in range(KEPT):
        captions.lines(heard(sentence))
    assert len(captions.again()) == KEPT + 2
    captions.lines(begun(on=False))
    captions.lines(begun())
    assert [line["event"] for line in captions.again()] == ["remote", "interpreting"], "another conversation"


def test_a_menu_goes_in_parts_that_fit_into_messages_and_names_its_picture() -> None:
    lines = tuple(
        {"text": f"línea {n} " * 8, "translation": "a line of a menu " * 6, "box": [1.5, 2.5, 300.5, 40.5], "angle": 0.25}
        for n in range(120)
    )
    captions = Captions()
    captions.lines(FrameChosen(t_ns=1, index=17, age_ms=3.0, sharpness=9.0))
    parts = captions.lines(TextTranslated(t_ns=2, language="en", width=1280, height=720, lines=lines))
    assert len(parts) > 2 and [part["part"] for part in parts] == list(range(len(parts)))
    assert all(part["parts"] == len(parts) and part["picture"] == 17 for part in parts)
    assert [line for part in parts for line in part["lines"]] == list(lines)
    assert all(len(control.encode(control.message("event", event=part)).encode()) < control.MAX_TEXT for part in parts)
    giant = ({"text": "x" * PART_BYTES, "translation": "", "box": [0, 0, 1, 1], "angle": 0.0},)
    assert len(captions.lines(TextTranslated(t_ns=2, language="en", width=9, height=9, lines=giant))) == 1
    assert len(captions.lines(TextTranslated(t_ns=2, language="en", width=9, height=9, lines=()))) == 1
