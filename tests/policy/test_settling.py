"""Policies over scripted decodes: nothing that stands is taken back, nothing is lost or doubled, and it stands in time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.decoding import Decoded, Segment
from edge.policy.agreement import LocalAgreement
from edge.policy.alignatt import AlignAtt
from edge.policy.settling import LONGEST, StreamingPolicy, Told, agreed, first_new, joined, normal
from edge.values import Word, samples
from models.fakes_speech import ScriptedDecoder, Slips

UPDATE = samples(1.0)
PAD = samples(0.5)
LIMIT_S = 6.0
"""A short buffer, so that short scripts are cut too."""

POLICIES: dict[str, Callable[[], StreamingPolicy]] = {
    "agreement": lambda: LocalAgreement(limit_s=LIMIT_S),
    "alignatt": lambda: AlignAtt(limit_s=LIMIT_S),
}
THEORY: dict[str, tuple[float, float]] = {"agreement": (1.5, 2.0), "alignatt": (1.0, 1.5)}
"""Mean and longest time, in updates of a second, from the end of a word until it stands."""

VOCABULARY = "no yes I want to go the a station train is it where seven twenty-one please and then left".split()
SLIPS = Slips(jitter=samples(0.08), flips=True, cut=True)


@dataclass
class Run:
    """What a policy told of a script."""

    tolds: list[tuple[int, Told]] = field(default_factory=list)
    last: tuple[Word, ...] = ()
    longest: int = 0
    """The longest buffer that was asked for, in samples."""


def drive(policy: StreamingPolicy, script: Sequence[Word], slips: Slips = SLIPS, *, pauses: bool = False) -> Run:
    """Updates every second until the script is over, then finishes; with ``pauses`` it also finishes now and then between.

    What was said before a second of silence is settled.
    """
    decoder = ScriptedDecoder(script, slips)
    end = script[-1].end + PAD
    run = Run()
    for at in range(UPDATE, end, UPDATE):
        start = policy.request(at).start
        decoded = decoder.between(start, at)
        run.longest = max(run.longest, at - start)
        run.tolds.append((at, policy.update(decoded, attended(decoded) if policy.attends else None, at)))
        if pauses and at % (3 * UPDATE) == 0:
            decoded = decoder.between(policy.request(at).start, at)
            policy.finish(decoded, attended(decoded), at)
        if pauses and at - max((word.end for word in script if word.start < at), default=at) >= UPDATE:
            decoded = decoder.between(policy.request(at).start, at)
            words = policy.finish(decoded, attended(decoded), at)
            policy.settle(words)
            run.tolds.append((at, Told(words)))
    decoded = decoder.between(policy.request(end).start, end)
    run.last = policy.finish(decoded, attended(decoded), end)
    return run


def attended(decoded: Decoded) -> tuple[int, ...]:
    return tuple(word.end for word in decoded.words)


def norm(words: Sequence[Word]) -> list[str]:
    return [normal(word.text) for word in words]


@st.composite
def scripts(draw: st.DrawFn) -> list[Word]:
    """Gives timed words with repeats ("no no"), restarts ("I want to I want to go") and silences."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    texts: list[str] = []
    for _ in range(draw(st.integers(1, 7))):
        match chance.choice(("words", "words", "repeat", "restart")):
            case "words":
                texts += chance.choices(VOCABULARY, k=chance.randint(1, 6))
            case "repeat":
                texts += [chance.choice(VOCABULARY)] * chance.randint(2, 4)
            case _:
                phrase = chance.choices(VOCABULARY, k=chance.randint(2, 4))
                texts += phrase[: chance.randint(1, len(phrase))] + phrase
    at = chance.uniform(0, 0.5)
    script = []
    for text in texts:
        length = chance.uniform(0.18, 0.6)
        script.append(Word(text, samples(at), samples(at + length)))
        at += length + (chance.uniform(0.5, 4) if chance.random() < 0.08 else chance.uniform(0, 0.15))
    return script


def lags(run: Run, script: Sequence[Word]) -> list[float]:
    """Gives, for each word that stood before the end, the updates between its end and that moment."""
    found: list[float] = []
    for at, told in run.tolds:
        found += [(at - word.end) / UPDATE for word in script[len(found) : len(told.committed)]]
    return found


@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=1000)
@given(script=scripts(), seed=st.integers(0, 2**32), pauses=st.booleans())
def test_any_script_is_told_whole_and_in_time(name: str, script: list[Word], seed: int, pauses: bool) -> None:
    slips = Slips(SLIPS.jitter, SLIPS.flips, SLIPS.cut, seed)
    run = drive(POLICIES[name](), script, slips, pauses=pauses)
    before: tuple[Word, ...] = ()
    for _, told in run.tolds:
        assert told.committed[: len(before)] == before, "what stands is not taken back"
        before = told.committed
    assert run.last[: len(before)] == before
    assert norm(run.last) == norm(script), "no word is lost, none is doubled"
    assert all(a.end <= b.start and a.start < a.end for a, b in zip(run.last, run.last[1:], strict=False))
    assert run.longest <= LONGEST
    mean, longest = THEORY[name]
    found = lags(run, script)
    assert all(0 <= lag + 0.1 <= longest + 1.1 for lag in found), "at most one update beyond the theory"
    if len(found) >= 20:
        assert math.fsum(found) / len(found) <= mean + 1
    due = sum(word.end <= (run.tolds[-1][0] if run.tolds else 0) - (longest + 1) * UPDATE for word in script)
    assert len(before) >= due


def test_the_mean_lag_is_that_of_the_theory() -> None:
    for name, (mean, _) in THEORY.items():
        chance = random.Random(7)
        found: list[float] = []
        for seed in range(20):
            at, script = 0.0, []
            for _ in range(40):
                length = chance.uniform(0.18, 0.6)
                script.append(Word(chance.choice(VOCABULARY), samples(at), samples(at + length)))
                at += length + 0.05
            found += lags(drive(POLICIES[name](), script, Slips(SLIPS.jitter, True, True, seed)), script)
        assert math.fsum(found) / len(found) == pytest.approx(mean, abs=0.15)


def timed(text: str, start: float = 0.0, pace: float = 0.35) -> list[Word]:
    return [Word(word, samples(start + at * pace), samples(start + at * pace + 0.3)) for at, word in enumerate(text.split())]


def whole(*segments: Sequence[Word]) -> Decoded:
    return Decoded(tuple(Segment(tuple(words), words[0].start, words[-1].end) for words in segments if words))


@pytest.mark.parametrize(
    ("known", "heard", "start", "first"),
    [
        ("", "no no", 0.0, 0),
        ("no", "no no", 0.0, 1),
        ("no no", "no no", 0.0, 2),
        ("one two three", "one two three four", 0.0, 3),
        ("one two three", "One, TWO. three? four", 0.0, 3),
        ("one two three", "one too three four", 0.0, 3),
        ("one two three", "one three four", 0.0, 2),
        ("one two three", "one two and three four", 0.0, 4),
    ],
)
def test_what_is_new_is_told_from_what_stands(known: str, heard: str, start: float, first: int) -> None:
    words = timed(heard)
    if "and" in heard or heard.startswith("one three"):  # the same places, one word more or fewer in them
        words = timed(heard, pace=0.35 * len(known.split()) / (len(heard.split()) - 1))
    assert first_new(timed(known), words, samples(start)) == first


def test_a_repeated_word_behind_a_cut_is_new() -> None:
    assert first_new(timed("no"), timed("no", start=0.35), samples(0.33)) == 0
    assert first_new(timed("no"), timed("no", start=0.1), samples(0.1)) == 1, "the rest of the word that stands"


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Hello, world", "hello World!", 2),
        ("twenty-one", "Twenty one", 0),
        ("— so", "— so", 2),
        ("", "so", 0),
        ("हिन्दी", "हिन्दु", 0),
    ],
)
def test_case_and_punctuation_do_not_count(one: str, other: str, alike: int) -> None:
    assert agreed(timed(one), timed(other)) == alike


def test_a_sign_alone_is_compared_as_it_is() -> None:
    assert normal("—") == "—"
    assert normal(" Straße,") == "strasse"


def test_text_has_blanks_where_its_script_has_them() -> None:
    assert joined(timed("where is it")) == "where is it"
    assert joined(timed("我 们 去 Berlin 吗")) == "我们去 Berlin 吗"
    assert joined(timed("오늘 날씨")) == "오늘 날씨"
    assert joined([Word("", 0, 1), Word("so", 1, 2)]) == "so"


def test_a_word_that_is_never_written_alike_is_forced_in_the_end() -> None:
    policy = LocalAgreement(patience=4)
    told = Told()
    for second in range(1, 8):
        number = "20" if second % 2 else "twenty"
        words = [*timed(f"{number} trains"), *timed("go today", start=1.0)]
        told = policy.update(whole(words), None, second * UPDATE)
        assert bool(told.committed) is (second > 4), "four decodes have passed over it"
    assert norm(told.committed) == ["20", "trains", "go", "today"]


def test_the_prompt_is_what_stands_and_is_out_of_the_buffer() -> None:
    script = timed(" ".join(f"word{at}" for at in range(120)))
    for limit in (4.0, 15.0):
        policy = LocalAgreement(limit_s=limit)
        decoder = ScriptedDecoder(script)
        for at in range(UPDATE, script[-1].end, UPDATE):
            ask = policy.request(at)
            out = [word.text for word in script if (word.start + word.end) / 2 < ask.start]
            assert " ".join(out).endswith(ask.request.context)
            assert len(ask.request.context) <= 200
            assert not out or ask.request.context
            assert at - ask.start <= LONGEST
            policy.update(decoder.between(ask.start, at), None, at)


def test_the_buffer_is_cut_at_a_whole_segment_with_a_margin_before_the_next_word() -> None:
    policy = LocalAgreement(limit_s=3.0)
    first, second = timed("one two three"), timed("four five six", start=3.0)
    for at in (samples(4.5), samples(5.0)):
        policy.request(at)
        policy.update(whole(first, second), None, at)
    assert policy.request(samples(5.0)).start == second[0].start - samples(0.3)


def test_words_are_forced_in_front_and_scroll_into_the_prompt() -> None:
    policy = AlignAtt(limit_s=3.0)
    words = [*timed("one two"), *timed("three four", start=2.0)]
    told = policy.update(whole(words[:2], words[2:]), [word.end for word in words], samples(2.7))
    assert norm(told.committed) == ["one", "two"]
    assert norm(told.tentative) == ["three", "four"]
    assert policy.request(samples(3.2)).request.prefix == "one two"
    told = policy.update(whole(words[:2], words[2:]), [word.end for word in words], samples(3.2))
    assert norm(told.committed) == ["one", "two", "three", "four"]
    request = policy.request(samples(3.2)).request
    assert (request.context, request.prefix) == ("one two", "three four")


def test_attention_that_jumps_back_makes_a_decode_worthless() -> None:
    policy = AlignAtt()
    words = timed("one two three four five six seven eight nine ten eleven twelve thirteen", pace=0.5)
    looks = [word.end for word in words]
    looks[11] = 0
    assert policy.update(whole(words), looks, samples(8.0)) == Told()
    looks[11] = looks[10] - samples(3.9)
    assert len(policy.update(whole(words), looks, samples(8.0)).committed) == 13


def test_a_word_at_the_very_end_is_left_out_of_the_last_pass() -> None:
    words = timed("one two")
    assert len(AlignAtt().finish(whole(words), [4800, samples(0.7)], samples(0.78))) == 2
    assert len(AlignAtt().finish(whole(words), [4800, samples(0.71)], samples(0.78))) == 1


@pytest.mark.parametrize("attended", [None, (1,)])
def test_alignatt_must_be_told_what_was_looked_at(attended: tuple[int, ...] | None) -> None:
    with pytest.raises(ValueError, match="attended|words"):
        AlignAtt().update(whole(timed("one two")), attended, UPDATE)


@pytest.mark.parametrize("name", POLICIES)
def test_nothing_was_said(name: str) -> None:
    policy = POLICIES[name]()
    for at in range(UPDATE, 60 * UPDATE, UPDATE):
        assert at - policy.request(at).start <= LONGEST
        assert policy.update(Decoded(), (), at) == Told()
    assert policy.finish(Decoded(), (), 60 * UPDATE) == ()
