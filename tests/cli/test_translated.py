"""From scripted events to figures that a hand can check."""

from __future__ import annotations

from typing import Any

import pytest

from edge.cli import quality
from edge.cli.translated import Reference, Translation, for_people
from edge.errors import EngineMissing
from edge.events import Event
from edge.translation import PassedOver, SourceHeard, Translated, TranslationSpoken


def ns(ms: float) -> int:
    return round(ms * 1e6)


def heard(at: float, text: str, end: float, *, number: int = 1, start: float = 0.0, final: bool = False) -> SourceHeard:
    return SourceHeard(
        t_ns=ns(at), sentence=number, speaker="partner", language="en", text=text, final=final, start_ms=start, end_ms=end
    )


def told(
    at: float, text: str, covered: float, *, tail: str = "", number: int = 1, final: bool = False, record: str = ""
) -> Translated:
    return Translated(
        t_ns=ns(at),
        sentence=number,
        speaker="partner",
        language="es",
        text=text,
        tail=tail,
        final=final,
        record=record,
        end_ms=covered,
        lag_ms=at - covered,
    )


def spoken(at: float, text: str, covered: float, *, number: int = 1, shortened: bool = False) -> TranslationSpoken:
    return TranslationSpoken(
        t_ns=ns(at),
        sentence=number,
        to="wearer",
        language="es",
        text=text,
        start_ms=at,
        lag_ms=at - covered,
        shortened=shortened,
    )


# Four words in 4 s. Each second's word stands 0.5 s later, two target words are given out 0.2 s after that.
SCRIPT: tuple[Event, ...] = (
    heard(1500, "one", 1000),
    heard(2500, "one two", 2000),
    told(2700, "uno dos", 2000, tail="y"),
    spoken(3000, "uno dos", 2000),
    heard(4500, "one two three four", 4000, final=True),
    told(4600, "uno dos", 2000, tail="tres cuatro"),
    told(4700, "uno dos tres cuatro", 4000, final=True, record="uno dos tres cuatro"),
    spoken(5000, "tres cuatro", 4000),
)


def figures(*events: Event, **options: Any) -> dict[str, Any]:
    collected = Translation("es")
    for event in events:
        collected.take(event)
    return collected.summary(**{"seconds": 5.0, "spent_s": 1.0, **options})


def test_a_sentence() -> None:
    found = figures(*SCRIPT)
    assert (found["sentences"], found["words"], found["real_time_factor"]) == (1, 4, 0.2)
    # Delays 2500 2500 | 4500 (the source is over): (2500 + 1500 + 2500) / 3. Elapsed: 2700 2700 | 4700.
    assert found["text"]["laal_ms"] == round((2500 + 1500 + 2500) / 3)
    assert found["text"]["laal_ca_ms"] == round((2700 + 1700 + 2700) / 3)
    assert (found["text"]["start_offset_ms"], found["text"]["start_offset_ca_ms"]) == (2500, 2700)
    assert (found["text"]["end_offset_ms"], found["text"]["end_offset_ca_ms"]) == (500, 700)
    assert found["spoken"]["laal_ca_ms"] == round((3000 + 2000 + 3000) / 3)
    assert found["spoken"]["start_offset_ca_ms"] == 3000
    assert found["spoken"]["lag_ms"]["median"] == 1000
    assert found["captions"]["erasure"] == 0.25  # "y"
    assert found["text"]["erasure"] == found["spoken"]["erasure"] == 0
    assert found["same_as_whole"] == 1.0


def test_a_spoken_word_that_was_taken_back_shows() -> None:
    found = figures(*SCRIPT[:3], spoken(3000, "uno tres", 2000), *SCRIPT[4:7])
    assert found["spoken"]["erasure"] == 0.25


def test_what_was_shortened_is_no_erasure() -> None:
    found = figures(*SCRIPT[:4], *SCRIPT[4:7], spoken(5000, "cuatro", 4000, shortened=True))
    assert (found["spoken"]["erasure"], found["spoken"]["shortened"]) == (None, 1)


def test_a_text_that_changes_after_it_stood_shows() -> None:
    found = figures(*SCRIPT[:6], told(4700, "uno doce tres cuatro", 4000, final=True, record="uno doce tres cuatro"))
    assert found["text"]["erasure"] == 0.25


def test_the_share_that_equals_the_whole() -> None:
    second = told(9000, "Se va.", 8000, number=2, final=True, record="Él se va.")
    found = figures(*SCRIPT, heard(8500, "He goes.", 8000, number=2, start=7000, final=True), second)
    assert found["same_as_whole"] == 0.5
    assert found["sentences"] == 2
    # A sentence counts from its own first word.
    alone = figures(heard(8500, "He goes.", 8000, number=2, start=7000, final=True), second)
    assert alone["text"]["start_offset_ca_ms"] == 2000


def test_nothing_was_said() -> None:
    found = figures(PassedOver(t_ns=0, speaker="", reason="no_words"))
    assert found["sentences"] == 0 and found["passed_over"] == {"no_words": 1}
    assert found["text"]["laal_ms"] is None and found["spoken"]["lag_ms"] == {"n": 0}
    assert for_people(found)
    assert figures(seconds=0.0)["real_time_factor"] is None


def test_unfinished_sentences_do_not_count() -> None:
    assert figures(*SCRIPT[:6])["sentences"] == 0


def sacrebleu() -> None:
    pytest.importorskip("sacrebleu", reason="SACREBLEU MISSING: pip install 'nearsight[metrics]'")


def test_a_reference() -> None:
    sacrebleu()
    found = figures(*SCRIPT, references=[Reference("uno dos tres cuatro cinco")])
    assert 60 < found["bleu"] < 100 and 60 < found["chrf"] < 100
    # One sentence without times is the whole recording of 5 s: 2500 1500 2500 1500 with the pace of five words.
    assert found["stream"]["laal_ms"] == round((2500 + 1500 + 2500 + 1500) / 4)
    assert figures(*SCRIPT, references=[Reference("uno dos tres cuatro")])["bleu"] == 100


def test_a_timed_reference_is_measured_by_its_own_sentences() -> None:
    sacrebleu()
    references = [Reference("uno dos", 0.0, 2000.0), Reference("tres cuatro", 2000.0, 4000.0)]
    found = figures(*SCRIPT, references=references)
    # Both sentences begin after their source is over, 2500 ms after its first sample.
    assert (found["stream"]["laal_ms"], found["stream"]["laal_ca_ms"]) == (2500, 2700)
    untimed = figures(*SCRIPT, references=[Reference(one.text) for one in references])
    assert untimed["stream"] is None and untimed["bleu"] == found["bleu"]


def test_without_sacrebleu_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "available", lambda: False)
    assert figures(*SCRIPT)["bleu_to_whole"] is None
    with pytest.raises(EngineMissing, match=r"pip install 'nearsight\[metrics\]'"):
        figures(*SCRIPT, references=[Reference("uno")])


def test_quality_is_sacrebleus() -> None:
    sacrebleu()
    assert quality.bleu(["Está abierto hoy mismo."], ["Está abierto hoy mismo."], "es") == pytest.approx(100)
    assert quality.bleu(["我们明天见面"], ["我们明天见面"], "zh-Hans") == pytest.approx(100)
    assert quality.bleu(["また明日会おう"], ["また明日会おう"], "ja") == pytest.approx(100)
    assert quality.bleu([], [], "es") is quality.chrf([], []) is None
    assert [quality.tokenizer(tag) for tag in ("es", "zh-CN", "th", "ko")] == ["13a", "zh", "char", "13a"]


def test_lines_for_people() -> None:
    lines = for_people(figures(*SCRIPT))
    text = "\n".join(lines)
    assert "1 (4 words) in 5.0 s" in text and "with computing 2.37 s" in text and "None" not in text
