"""Sentences by hand: what is asked, and what stands when."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from edge.policy.simultaneous import CORRECTION, HOLD, Policy, Simultaneous, suited
from edge.translation import Ask, Progress
from edge.values import Word, samples

WORD = samples(0.36)

# What apertium-eng-spa says of each beginning.
STREET = (
    "El|El blanco|La casa blanca|La casa blanca en|La casa blanca en|La casa blanca al final|La casa blanca al final de|"
    "La casa blanca al final de|La casa blanca al final de la calle|La casa blanca al final de la calle pertenece|"
    "La casa blanca al final de la calle pertenece a|La casa blanca al final de la calle pertenece a mi|"
    "La casa blanca al final de la calle pertenece a mi hermano"
).split("|")
EUROS = "Yo|Yo|Yo no|No tengo|No tengo veinte|No tengo veinte cinco|No tengo veinte cinco euros".split("|")
WATER = (
    "The|The water|The cold water|The cold water of|The cold water of|The cold water of the source|"
    "The cold water of the source comes|The cold water of the source comes of|The cold water of the source comes of the|"
    "The cold water of the source comes of the tall|The cold water of the source comes of the tall mountains"
).split("|")
# What a model that ends what has not ended would say.
MAN = (
    "I.|I know.|I know this.|I know this man.|I do not know this man.|I do not know this man because|"
    "I do not know this man because he.|I do not know this man because he is new.|"
    "I do not know this man because he is new here."
).split("|")


def spoken(text: str, at: int = 0) -> tuple[Word, ...]:
    return tuple(Word(word, at + n * WORD, at + (n + 1) * WORD) for n, word in enumerate(text.split()))


def word_by_word(
    simultaneous: Simultaneous, text: str, translate: Callable[[Ask], str], guesses: int = 0
) -> tuple[list[str], Progress]:
    """Commits one word at a time; gives what stood after each, and the last that was told."""
    words = spoken(text)
    stood: list[str] = []
    last: Progress | None = None
    for count in range(1, len(words) + 1):
        progress = list(simultaneous.hear(words[:count], words[count : count + guesses], ended=count == len(words)))
        while (ask := simultaneous.ask()) is not None:
            progress += simultaneous.answer(ask, translate(ask))
        last = progress[-1]
        stood.append(last.text)
    assert last is not None
    return stood, last


def table(lines: Sequence[str]) -> Callable[[Ask], str]:
    return lambda ask: lines[len(ask.words) - 1]


def news(stood: Sequence[str]) -> dict[int, str]:
    """What stands from which word on."""
    return {at: text for at, (before, text) in enumerate(zip(["", *stood], stood, strict=False), 1) if text != before}


def test_english_to_spanish() -> None:
    simultaneous = Simultaneous("en-US", "es")
    stood, last = word_by_word(simultaneous, "the white house at the end of the street belongs to my brother", table(STREET))
    assert news(stood) == {6: "La casa", 7: "La casa blanca", 9: "La casa blanca al final", 12: STREET[8], 13: STREET[-1]}
    assert (last.final, last.record, last.tail, last.covered) == (True, STREET[-1], "", 13 * WORD)


def test_guesses_make_it_stand_sooner() -> None:
    simultaneous = Simultaneous("en", "es", ahead=True)
    text = "the white house at the end of the street belongs to my brother"
    stood, last = word_by_word(simultaneous, text, table(STREET), guesses=2)
    assert news(stood) == {4: "La casa", 6: "La casa blanca", 9: "La casa blanca al final", 11: STREET[8], 13: STREET[-1]}
    assert last.record == STREET[-1]


def test_a_negation_and_a_number_are_never_half_spoken() -> None:
    stood, last = word_by_word(Simultaneous("en", "es"), "i do not have twenty five euros", table(EUROS))
    assert news(stood) == {7: EUROS[-1]}


def test_spanish_to_english() -> None:
    stood, last = word_by_word(Simultaneous("es", "en"), "el agua fría de la fuente viene de las altas montañas", table(WATER))
    assert news(stood) == {6: "The cold water", 9: "The cold water of the source", 10: WATER[6], 11: WATER[-1]}
    assert last.text == last.record


def test_german_is_told_by_clauses() -> None:
    assert [suited(tag) for tag in ("de-AT", "nl", "ja", "en", "es", "fr")] == ["clause"] * 3 + ["agreement"] * 3
    simultaneous = Simultaneous("de", "en", policy=suited("de"))
    stood, last = word_by_word(simultaneous, "ich kenne diesen mann nicht weil er neu ist", table(MAN))
    assert news(stood) == {6: "I do not know this man", 9: MAN[-1]}


def test_a_not_that_comes_too_late_is_put_right() -> None:
    simultaneous = Simultaneous("en", "es", policy="clause")
    stood, last = word_by_word(
        simultaneous,
        "we will come home when it rains",
        lambda ask: "No vendremos nunca a casa cuando llueve" if ask.whole else "Vendremos a casa",
    )
    assert last.text == f"Vendremos a casa {CORRECTION} No vendremos nunca a casa cuando llueve"
    assert last.record == "No vendremos nunca a casa cuando llueve"


def test_a_forced_prefix_is_what_stands_and_the_record_has_none() -> None:
    asks: list[Ask] = []

    def translate(ask: Ask) -> str:
        asks.append(ask)
        return " ".join(f"x{word.text}" for word in ask.words)

    stood, last = word_by_word(Simultaneous("en", "eo", forces=True), "a b c d e f g", translate)
    assert [(ask.text, ask.prefix, ask.whole) for ask in asks[-4:]] == [
        ("a b c d e", "xa", False),
        ("a b c d e f", "xa xb", False),
        ("a b c d e f g", "xa xb xc", True),
        ("a b c d e f g", "", True),
    ]
    assert last.final
    assert last.text == last.record == "xa xb xc xd xe xf xg"


def test_the_next_sentence_is_spoken_before_the_record_of_the_last_is_made() -> None:
    simultaneous = Simultaneous("en", "eo", forces=True)
    words = spoken("a b c d e f. g h i")
    kinds = []
    for count in (5, 6, 7, 9):
        simultaneous.hear(words[:count])
        while (ask := simultaneous.ask()) is not None:
            kinds.append((ask.sentence, ask.whole, bool(ask.prefix)))
            simultaneous.answer(ask, " ".join(f"x{word.text}" for word in ask.words))
            if count == 6:
                simultaneous.hear(words[:8])
    assert kinds == [(0, False, False), (0, True, False), (1, False, False), (1, False, False)]


def test_words_that_come_while_an_ask_is_away_wait_and_its_answer_counts() -> None:
    simultaneous = Simultaneous("en", "eo")
    words = spoken("a b c d e f g h i j")
    simultaneous.hear(words[:7])
    first = simultaneous.ask()
    assert first is not None
    simultaneous.hear(words)
    assert simultaneous.ask() is None
    simultaneous.answer(first, "xa xb xc xd xe xf xg")
    second = simultaneous.ask()
    assert second is not None
    assert second.words == words
    simultaneous.hear(words, ended=True)
    (stale,) = simultaneous.answer(second, "xa xb xc xd xe xf xg xh xi xj")
    assert (stale.text, stale.final) == ("xa xb xc xd xe xf xg", False)
    whole = simultaneous.ask()
    assert whole is not None
    assert whole.whole
    assert simultaneous.answer(second, "xz") == (), "answered already"
    (last,) = simultaneous.answer(whole, "xa xb xc xd xe xf xg xh xi xj")
    assert (last.added, last.final) == ("xh xi xj", True)


@pytest.mark.parametrize("policy", ["agreement", "clause", "sentence"])
def test_nothing_new_is_no_ask(policy: Policy) -> None:
    simultaneous = Simultaneous("en", "eo", policy=policy, ahead=True)
    assert simultaneous.ask() is None
    words = spoken("a b c because d e f")
    assert simultaneous.hear(words)
    while (ask := simultaneous.ask()) is not None:
        simultaneous.answer(ask, ask.text)
    assert simultaneous.hear(words) == ()
    assert simultaneous.ask() is None
    assert simultaneous.hear(words, ended=True) == (), "nothing is told before the translation comes"
    assert simultaneous.hear((), ended=True) == ()
    last = simultaneous.ask()
    assert last is not None
    assert (last.text, last.whole) == ("a b c because d e f", True)


def test_an_engine_that_fails_at_the_end_leaves_what_stands() -> None:
    simultaneous = Simultaneous("en", "eo")
    words = spoken("a b c d e f g h")
    for count in (7, 8):
        simultaneous.hear(words[:count])
        ask = simultaneous.ask()
        assert ask is not None
        simultaneous.answer(ask, " ".join(f"x{word.text}" for word in ask.words))
    simultaneous.hear(words, ended=True)
    ask = simultaneous.ask()
    assert ask is not None
    (last,) = simultaneous.failed(ask)
    assert (last.text, last.record, last.final, last.tail) == ("xa xb xc xd xe", "", True, "")
    assert last.covered == last.end
    assert simultaneous.ask() is None


def test_a_guess_alone_takes_no_number() -> None:
    simultaneous = Simultaneous("en", "es", first=7)
    (shown,) = simultaneous.hear((), spoken("hm"))
    assert (shown.sentence, shown.source, shown.source_tail, shown.final) == (7, "", "hm", False)
    (gone,) = simultaneous.hear((), ended=True)
    assert (gone.sentence, gone.source_tail) == (7, "")
    (heard,) = simultaneous.hear(spoken("hello", at=WORD))
    assert (heard.sentence, heard.source, heard.start) == (7, "hello", WORD)


def test_signs_without_blanks_are_held_back_too() -> None:
    simultaneous = Simultaneous("en", "zh")
    text = "我们明天要去北京看朋友"
    words = spoken("we will go to beijing tomorrow to")
    for count in (6, 7):
        simultaneous.hear(words[:count])
        ask = simultaneous.ask()
        assert ask is not None
        progress = simultaneous.answer(ask, text)
    assert progress[-1].text == text[: len(text) - 2 * HOLD]
    assert progress[-1].tail == text[len(text) - 2 * HOLD :]


def test_more_is_held_back_of_an_engine_that_contradicts_itself() -> None:
    simultaneous = Simultaneous("en", "eo")

    def sentence(last: str) -> str:
        words = spoken("a b c d e f g h")
        for count in (7, 8):
            simultaneous.hear(words[:count])
            ask = simultaneous.ask()
            assert ask is not None
            progress = simultaneous.answer(ask, "xa xb xc xd xe xf xg xh")
        simultaneous.hear(words, ended=True)
        ask = simultaneous.ask()
        assert ask is not None
        simultaneous.answer(ask, last)
        return progress[-1].text if progress else ""

    good = "xa xb xc xd xe xf xg xh"
    assert [len(sentence(last).split()) for last in ("xb xa xd xe xf xg xh", good, good, good)] == [5, 3, 4, 5]
