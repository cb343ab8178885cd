"""Catching up without wobble, and without telling less than matters."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.pacing import KNEE, SLACK, Backlog, Pace
from edge.policy.shortening import shorten

BACKLOGS = st.lists(st.floats(0, 60), min_size=1, max_size=30)


# -- pace ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("behind", "rate"), [(0.0, 1.0), (1.0, 1.0), (KNEE, 1.0), (8.0, 1.25), (30.0, 1.25)])
def test_how_far_behind_makes_how_fast(behind: float, rate: float) -> None:
    assert Pace().rate(behind) == pytest.approx(rate)


def test_it_rises_and_falls_smoothly() -> None:
    pace = Pace()
    way = [step / 10 for step in (*range(0, 100), *range(100, 0, -1))]
    rates = [pace.rate(behind) for behind in way]
    assert max(abs(one - other) for one, other in pairwise(rates)) < 0.02
    assert rates[:100] == sorted(rates[:100])
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert rates[-1] == 1.0


@given(BACKLOGS, st.floats(0, 30), st.lists(st.floats(-SLACK, SLACK), min_size=2, max_size=20))
def test_a_backlog_that_wobbles_makes_no_pace_that_wobbles(before: list[float], behind: float, wobbles: list[float]) -> None:
    pace = Pace()
    for one in before:
        pace.rate(one)
    pace.rate(behind + SLACK)
    pace.rate(behind - SLACK)
    assert len({pace.rate(behind + wobble) for wobble in wobbles}) == 1


@given(BACKLOGS, st.floats(1.0, 2.0), st.floats(0.1, 30.0))
def test_the_rate_keeps_its_bounds(backlogs: list[float], max_rate: float, shorten_behind: float) -> None:
    pace = Pace(max_rate, shorten_behind)
    for behind in backlogs:
        assert 1.0 <= pace.rate(behind) <= max_rate
    assert pace.rate(0.0) == 1.0


def test_shortening_begins_late_and_ends_later() -> None:
    pace = Pace(shorten_behind=8.0)
    assert [pace.shortens(behind) for behind in (7.9, 8.0, 6.0, 4.0, 3.9, 6.0, 8.5)] == [
        False,
        True,
        True,
        True,
        False,
        False,
        True,
    ]


# -- backlog -----------------------------------------------------------------------------------------------------------------


def test_the_voices_pace_is_learnt() -> None:
    backlog = Backlog(15.0)
    assert backlog.seconds("x" * 30) == 2.0
    for _ in range(10):
        backlog.spoke("x" * 60, 60 / 10)
    assert backlog.seconds("x" * 30) == pytest.approx(3.0, rel=0.01)


def test_a_piece_that_was_cut_off_teaches_nothing() -> None:
    backlog = Backlog(15.0)
    for seconds in (0.0, 0.2, 400.0):
        backlog.spoke("x" * 60, seconds)
    backlog.spoke("", 3.0)
    assert backlog.seconds("x" * 60) == 4.0


def test_a_sign_takes_longer_than_a_letter() -> None:
    backlog = Backlog(15.0)
    assert backlog.seconds("駅はどこですか") == pytest.approx(1.4)
    assert backlog.seconds("1984") > backlog.seconds("year")
    assert backlog.seconds("") == 0.0


# -- shorter sentences ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "text", "short"),
    [
        ("en", "The bridge (an old and narrow thing) is closed.", "The bridge is closed."),
        ("en", "The bridge – an old and narrow thing – is closed.", "The bridge is closed."),
        ("en", "Well, you know, I I think the the train is late.", "I think the train is late."),
        ("en", "The train, of course, is late.", "The train is late."),
        ("en", "Red, you know, green, blue.", "Red, green, blue."),
        ("en", "The house, which belongs to my uncle, is for sale.", "The house is for sale."),
        ("en", "Because he was tired, he went home.", "He went home."),
        ("en", "We need bread, milk, and eggs, which are cheap.", "We need bread, milk, and eggs."),
        ("en", "Um, go left. The shop, which is red, is there!", "Go left. The shop is there!"),
        ("es", "Bueno, la casa, que es de mi tío, está en venta.", "La casa está en venta."),
        ("es", "No vino, porque estaba cansado.", "No vino."),
        ("fr", "Eh bien, la maison, qui est très vieille, est à vendre.", "La maison est à vendre."),
        ("fr", "Nous nous levons tôt, parce qu'il fait chaud.", "Nous nous levons tôt."),
        ("de", "Also, er kommt nach Hause, weil er müde ist.", "Er kommt nach Hause."),
        ("it", "Il treno, che viene da lontano, è in ritardo.", "Il treno è in ritardo."),
        ("pt-BR", "O trem, que vem de longe, está atrasado.", "O trem está atrasado."),
    ],
)
def test_what_a_sentence_can_do_without(language: str, text: str, short: str) -> None:
    assert shorten(text, language) == short


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The house, which was built in 1920, is for sale."),
        ("en", "The house, which has two doors, is for sale."),
        ("en", "The house, which belongs to Maria, is for sale."),
        ("en", "He went home, because he did not like it."),
        ("en", "He went home, because he didn't like it."),
        ("en", "If it rains, we stay."),
        ("en", "Take it, unless it hurts."),
        ("en", "He had had enough."),
        ("en", "No no, five five."),
        ("en", "Where is the station, please?"),
        ("en", "Tell me, who is it?"),
        ("en", "Of course, I will."),
        ("en", "Go left, well, right."),
        ("en", "The man, who is tall, and the woman left."),
        ("es", "Norte, este, oeste."),
        ("es", "Que te vaya bien, amigo."),
        ("de", "Leute, die rauchen, sterben früher."),
        ("de", "Ich weiß, wo er ist."),
        ("de", "Ja, ich komme."),
        ("it", "Che bello, sono contento."),
        ("sv", "Han gick hem, eftersom han var trött (och sjuk)."),
        ("ja", "これは(とても)良い。"),
        ("en", "Because"),
        ("en", "(only this)"),
        ("en", ""),
    ],
)
def test_what_it_cannot_do_without_stays(language: str, text: str) -> None:
    assert shorten(text, language) == text


LANGUAGES = st.sampled_from(["en", "es", "fr", "de", "it", "pt"])
PIECES = st.sampled_from(
    "not,no,never,ne,pas,nicht,kein,non,não,nunca,ni,sin,ohne,sans,senza,5,3.50,20%,who,two,tres,deux,zwei,Maria,Paris,"
    "New York,because,although,que,qui,parce que,weil,che,perché,porque,well,you know,of course,bueno,which,also,allora,bem,"
    "the,the,house,casa,maison,is,está,est,(a,b),[,],–,(,),and,y,et,didn't,I,is,very very,.,?,!,…,¿,\"".split(",")
)
SENTENCES = st.lists(st.tuples(PIECES, st.sampled_from([" ", ", ", " ", ". "])), max_size=25).map(
    lambda parts: "".join(word + blank for word, blank in parts)
)
NEVER_LOST = {
    "en": {"not", "no", "never", "two", "didn"},
    "es": {"no", "ni", "nunca", "sin", "tres"},
    "fr": {"ne", "pas", "sans", "deux", "ni"},
    "de": {"nicht", "kein", "ohne", "zwei"},
    "it": {"non", "senza"},
    "pt": {"não", "nunca"},
}


@given(SENTENCES | st.text(max_size=120), LANGUAGES)
def test_nothing_that_matters_is_lost_and_nothing_is_added(text: str, language: str) -> None:
    short = shorten(text, language)
    assert len(short) <= len(text)

    def words(said: str) -> list[str]:
        return re.findall(r"[^\W\d_]+|\d+(?:[.,:]\d+)*", said)

    def kept(said: str) -> list[str]:
        return [word.casefold() for word in words(said) if word[0].isdigit() or word.casefold() in NEVER_LOST[language]]

    def names(said: str) -> list[str]:
        return [word for word in words(said) if word in ("Maria", "Paris", "New", "York")]

    assert kept(short) == kept(text)
    assert names(short) == names(text)
    rest = iter(words(text.casefold()))
    assert all(word in rest for word in words(short.casefold())), "a word was added or moved"


@given(SENTENCES, LANGUAGES)
def test_shortening_is_never_nothing(text: str, language: str) -> None:
    assert bool(shorten(text, language).strip()) == bool(text.strip())
