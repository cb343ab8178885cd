"""Words of running speech: what stands is never taken back, nothing is lost or doubled where the last word comes in."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.policy.settling import normal
from edge.policy.source_words import HOLD, MARGIN, Heard, SourceWords, spread
from edge.values import Transcript, Word, samples
from models.fakes_speech import spoken

LOOK = samples(0.1)
VOCABULARY = "no no yes the a station train is where seven please and then left".split()


def said(text: str) -> tuple[Word, ...]:
    return tuple(spoken(text, 0.3))


def view(words: Iterable[Word], *, settled: int = 0, final: bool = False) -> Transcript:
    words = tuple(words)
    return Transcript(" ".join(word.text for word in words), words, final=final, settled=settled)


def texts(words: Sequence[Word]) -> list[str]:
    return [word.text for word in words]


def until(words: Sequence[Word], at: int) -> tuple[Word, ...]:
    return tuple(word for word in words if word.end <= at)


def follow(source: SourceWords, looks: Iterable[tuple[int, Transcript]]) -> list[Heard]:
    """Gives what is told at each look, each of which must begin with all that stood before."""
    told = [Heard()]
    for at, transcript in looks:
        told.append(source.partial(transcript, at))
        extends(told[-2], told[-1])
    return told[1:]


def extends(one: Heard, other: Heard) -> None:
    assert other.committed[: len(one.committed)] == one.committed
    assert all(a.end <= b.start < b.end for a, b in itertools.pairwise(other.words))


def test_a_word_stands_once_it_has_been_the_same_for_a_while() -> None:
    words = said("where is the station")
    first = words[0].end
    source = SourceWords()
    told = follow(source, ((at, view(until(words, at))) for at in range(LOOK, words[-1].end + samples(1), LOOK)))
    stood = next(LOOK * (index + 1) for index, heard in enumerate(told) if heard.committed)
    assert first + HOLD <= stood <= first + HOLD + 2 * LOOK
    assert told[-1] == Heard(words) and source.final(view(words, final=True)) == Heard(words)


def test_the_newest_word_may_be_cut() -> None:
    word = Word("no", 0, samples(1))
    source = SourceWords(hold=LOOK)
    told = follow(source, ((at, view([word])) for at in range(word.end, word.end + 5 * LOOK, LOOK)))
    assert [len(heard.committed) for heard in told] == [0, 0, 0, 1, 1] and MARGIN == 3 * LOOK


def test_a_word_that_changes_or_moves_does_not_stand_nor_does_what_follows_it() -> None:
    one, two = Word("know", 0, 4000), Word("now", 0, 4000)
    moved = Word("know", 4000, 8000)
    after = Word("then", 9000, 12_000)
    for other in (two, moved):
        looks = ((at, view([(one, other)[at // LOOK % 2], after])) for at in range(20 * LOOK, 40 * LOOK, LOOK))
        assert not any(heard.committed for heard in follow(SourceWords(), looks))


def test_the_same_view_again_counts_as_a_look() -> None:
    words = said("please wait")
    partial = view(words)
    told = follow(SourceWords(), ((at, partial) for at in range(words[-1].end, words[-1].end + samples(1), LOOK)))
    assert told[0].committed == () and told[0].tail == words and told[-1] == Heard(words)


def test_a_recogniser_that_knows_is_believed_at_once() -> None:
    words = said("where is the station")
    source = SourceWords(hold=None)
    told = follow(source, [(words[2].end, view(words[:3], settled=k)) for k in (0, 0, 2)])
    assert [texts(heard.committed) for heard in told] == [[], [], ["where", "is"]]
    assert not any(heard.committed[2:] for heard in follow(source, ((LOOK * k, view(words, settled=2)) for k in range(60))))


def test_what_the_recogniser_says_and_what_has_stood_go_together() -> None:
    words = said("where is the station please")
    source = SourceWords()
    looks = [(at, view(until(words, at), settled=min(3, len(until(words, at))))) for at in range(LOOK, samples(3), LOOK)]
    told = follow(source, looks)
    delays = [next(at for (at, _), heard in zip(looks, told, strict=True) if len(heard.committed) > k) for k in range(5)]
    assert all(delay - word.end < LOOK for delay, word in zip(delays[:3], words[:3], strict=True))
    assert all(delay - word.end >= HOLD for delay, word in zip(delays[3:], words[3:], strict=True))


def test_the_final_contradicts_what_stands_and_goes_on_behind_it() -> None:
    heard = said("wear is the")
    final = said("where is the train station")
    source = SourceWords()
    follow(source, ((at, view(heard)) for at in range(heard[-1].end, heard[-1].end + samples(1), LOOK)))
    assert texts(source.final(view(final, final=True)).committed) == ["wear", "is", "the", "train", "station"]


def test_said_twice_stays_twice() -> None:
    words = said("no no no")
    source = SourceWords()
    follow(source, ((at, view(words[:2])) for at in range(words[1].end, words[1].end + samples(1), LOOK)))
    assert texts(source.final(view(words, final=True)).committed) == ["no", "no", "no"]


def test_a_word_that_the_final_takes_from_the_beginning_does_not_hide_a_later_one() -> None:
    false, real = Word("no", 0, samples(0.3)), Word("no", samples(5), samples(5.3))
    source = SourceWords()
    follow(source, ((at, view([false])) for at in range(samples(1), samples(3), LOOK)))
    assert source.final(view([real], final=True)).committed == (false, real)


def test_times_are_of_the_media() -> None:
    words = said("good morning")
    source = SourceWords(samples(100))
    heard = source.final(view(words, final=True), samples(102))
    assert [word.start - samples(100) for word in heard.committed] == [word.start for word in words]


def test_text_alone_gets_places() -> None:
    source = SourceWords(samples(10))
    script = ["where", "where is", "where is the", "where is the station", "where is the station"]
    looks = [(samples(10.5) + LOOK * 8 * k + LOOK * j, Transcript(text)) for k, text in enumerate(script) for j in range(8)]
    told = follow(source, looks)
    assert texts(told[-1].committed) == script[-1].split()
    assert all(samples(10) <= word.start < word.end <= looks[-1][0] for word in told[-1].committed)
    final = source.final(Transcript("Where is the station, please?", final=True), looks[-1][0] + samples(0.5))
    assert texts(final.committed) == ["where", "is", "the", "station", "please?"]
    assert SourceWords().final(Transcript("", final=True), LOOK) == Heard()


def test_text_that_is_there_only_at_the_end_is_spread_over_the_sound() -> None:
    heard = SourceWords(1000).final(Transcript("aa bbbb", final=True), 7000)
    assert heard.committed == (Word("aa", 1000, 3000), Word("bbbb", 3000, 7000))
    assert texts(spread("你好 ok", (), 0, 900)) == ["你", "好", "ok"]
    assert spread("a b c", (), 5, 5)[-1].end >= 7, "no word without a length"


@st.composite
def scripts(draw: st.DrawFn) -> tuple[tuple[Word, ...], random.Random]:
    chance = random.Random(draw(st.integers(0, 10**9)))
    at, words = samples(0.2), []
    for _ in range(draw(st.integers(1, 40))):
        end = at + samples(chance.uniform(0.12, 0.6))
        words.append(Word(chance.choice(VOCABULARY), at, end))
        at = end + samples(chance.choice((0, 0, 0.05, 0.7)))
    return tuple(words), chance


@settings(max_examples=150)
@given(scripts())
def test_revisions_that_end_within_the_hold_leave_nothing_wrong(script: tuple[tuple[Word, ...], random.Random]) -> None:
    words, chance = script
    source = SourceWords()

    def look(at: int) -> Transcript:
        heard = []
        for word in until(words, at):
            if at - word.end < HOLD - LOOK:  # young words are anything, or missing
                if chance.random() < 0.2:
                    continue
                word = Word(chance.choice(VOCABULARY) + "x" * (at // LOOK % 3), word.start, word.end)
            off = chance.randrange(-400, 400)
            heard.append(Word(chance.choice((str.upper, str))(word.text), word.start + off, word.end + off))
        return view(heard)

    told = follow(source, ((at, look(at)) for at in range(LOOK, words[-1].end + samples(0.6), LOOK)))
    final = source.final(view(words, final=True))
    extends(told[-1], final)
    assert [normal(word.text) for word in final.committed] == texts(words)


@settings(max_examples=150)
@given(st.integers(0, 10**9), st.booleans())
def test_whatever_a_recogniser_tells_what_stands_stays_and_all_that_is_new_comes(seed: int, settles: bool) -> None:
    chance = random.Random(seed)

    def anything(upto: int) -> list[Word]:
        words, at = [], 0
        while (at := at + chance.randrange(0, 6000)) < upto - 6000:
            words.append(Word(chance.choice(VOCABULARY), at, at := at + chance.randrange(800, 6000)))
        return words

    source = SourceWords(hold=None if settles else chance.choice((0, LOOK, HOLD)))
    now = view([])
    told = [Heard()]
    for at in range(LOOK, 40 * LOOK, LOOK):
        if chance.random() < 0.3:
            words = anything(at)
            now = view(words, settled=chance.randrange(len(words) + 1) if settles else 0)
        told.append(source.partial(now, at))
        extends(told[-2], told[-1])
    last = anything(45 * LOOK)
    final = source.final(view(last, final=True), 45 * LOOK)
    extends(told[-1], final)
    assert final.tail == ()
    stood = told[-1].committed
    new = texts(final.committed[len(stood) :])
    end = stood[-1].end if stood else 0
    surely = [word.text for word in last if word.start >= end + samples(0.5)]
    assert not surely or new[-len(surely) :] == surely, "what lies behind all that stands is new"
    assert new == texts(last)[len(last) - len(new) :], "what is new is the end of the final, nothing twice"


@pytest.mark.parametrize("hold", [HOLD, None])
def test_nothing_heard_is_nothing(hold: int | None) -> None:
    source = SourceWords(hold=hold)
    assert source.partial(Transcript(""), LOOK) == Heard() == source.final(Transcript("", final=True), LOOK)
