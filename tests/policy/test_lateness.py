"""The measures agree with OmniSTEval's on logs of our own making, and are right where a hand can compute them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.lateness import Erasure, Segment, al, ap, dal, laal, lateness, real_time_factor, units, yaal

TIMES = st.lists(st.floats(1, 20_000), min_size=1, max_size=30).map(sorted)


def omnisteval(part: str = "scoring") -> Any:
    why = "ORACLE MISSING: pip install sacrebleu, then pip install --no-deps omnisteval==0.1.10"
    return pytest.importorskip(f"omnisteval.{part}", reason=why)


def logs(count: int, seed: int) -> list[tuple[list[float], list[float], float, int]]:
    """Delays, elapsed times, source length and reference length: early, late, too long, too short, all at the end."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        source = chance.uniform(200, 15_000)
        words = chance.randint(1, 25)
        reach = chance.choice((0.5, 1.0, 1.6))
        delays = sorted(min(chance.uniform(1, source * reach), source * chance.choice((1.0, 2.0))) for _ in range(words))
        late = 0.0
        elapsed = [time + (late := max(late, chance.uniform(0, 900))) for time in delays]
        made.append((delays, elapsed, source, chance.randint(1, 25)))
    made.append(([500.0, 500.0, 500.0], [900.0, 901.0, 902.0], 500.0, 3))
    made.append(([700.0], [800.0], 500.0, 4))
    return made


@pytest.mark.parametrize("aware", [False, True])
def test_it_agrees_with_omnisteval(aware: bool) -> None:
    scoring, instance = omnisteval(), omnisteval("data").Instance
    for delays, elapsed, source, reference in logs(300, 1):
        one = instance(
            prediction=" ".join("w" * len(delays)),
            reference=" ".join("r" * reference),
            source_length=source,
            emission_cu=delays,
            emission_ca=elapsed,
        )
        ours = lateness([Segment(tuple(delays), tuple(elapsed), source, reference, source)], aware=aware)
        theirs = {
            name: getattr(scoring, f"{name.upper()}Scorer")(computation_aware=aware)([one])
            for name in ("al", "laal", "ap", "dal", "yaal")
        }
        for name, score in theirs.items():
            figure = getattr(ours, name)
            assert math.isnan(score) if figure is None else figure == pytest.approx(score, abs=1e-6), (name, delays, source)


def test_the_mean_over_segments_is_omnistevals() -> None:
    scoring, instance = omnisteval(), omnisteval("data").Instance
    made = logs(50, 2)
    theirs = [
        instance(prediction="", reference=" ".join("r" * n), source_length=source, emission_cu=list(delays))
        for delays, _, source, n in made
    ]
    theirs.append(instance(prediction="", reference="r", source_length=900.0, emission_cu=[]))
    ours = [Segment(tuple(delays), tuple(elapsed), source, n) for delays, elapsed, source, n in made]
    ours.append(Segment((), (), 900.0, 1))
    found = lateness(ours, aware=False)
    assert found.laal == pytest.approx(scoring.LAALScorer()(theirs), abs=1e-6)
    assert found.dal == pytest.approx(scoring.DALScorer()(theirs), abs=1e-6)
    assert found.yaal == pytest.approx(scoring.YAALScorer(is_longform=True)(theirs), abs=1e-6)


def test_long_yaal_is_omnistevals() -> None:
    scoring, instance = omnisteval(), omnisteval("data").Instance
    for delays, _, source, reference in logs(100, 3):
        end = source * 1.3
        one = instance(reference=" ".join("r" * reference), source_length=source, emission_cu=delays, time_to_recording_end=end)
        theirs = scoring.YAALScorer(is_longform=True)([one])
        ours = yaal(delays, source, reference, recording_ms=end)
        assert math.isnan(theirs) if ours is None else ours == pytest.approx(theirs, abs=1e-6)


def test_by_hand() -> None:
    # Four words evenly over 4 s, each given out 1 s after it was said.
    times = [1000.0, 2000.0, 3000.0, 4000.0]
    assert al(times, 4000, 4) == laal(times, 4000, 4) == dal(times, 4000) == 1000
    assert yaal(times, 4000, 4) == 1000
    assert ap(times, 4000, 4) == 10_000 / 16_000
    # All at the end: the first word waits for the whole, and no other is counted; DAL counts all.
    assert al([4000.0] * 4, 4000, 4) == 4000
    assert dal([4000.0] * 4, 4000) == 4000
    assert yaal([4000.0] * 4, 4000, 4) is None


def test_saying_too_much_is_no_gain_for_laal() -> None:
    twice = [1000.0, 1500.0, 2000.0, 2500.0, 3000.0, 3500.0, 3900.0, 3950.0]
    lagging, adaptive = al(twice, 4000, 4), laal(twice, 4000, 4)
    assert lagging is not None and adaptive is not None
    assert lagging < 0 < adaptive


def test_without_a_reference_the_translation_is_its_own_measure() -> None:
    assert al([500.0, 900.0], 1000) == laal([500.0, 900.0], 1000) == laal([500.0, 900.0], 1000, 2)


@pytest.mark.parametrize("measure", [al, laal, dal, ap, yaal])
def test_no_words_and_no_sound_have_no_figure(measure: Any) -> None:
    assert measure([], 1000.0) is None
    assert measure([100.0], 0.0) is None


@given(TIMES, st.floats(100, 20_000), st.floats(0, 5000))
def test_all_later_by_so_much_is_laal_and_dal_more_by_no_more(times: list[float], source: float, by: float) -> None:
    before, after = dal(times, source), dal([time + by for time in times], source)
    assert before is not None and after is not None
    assert after == pytest.approx(before + by, abs=1e-6)
    if times[-1] + by < source:
        earlier, later = laal(times, source), laal([time + by for time in times], source)
        assert earlier is not None and later is not None
        assert later == pytest.approx(earlier + by, abs=1e-6)


def erased(*shown: str) -> float | None:
    counted = Erasure()
    counted.add([text.split() for text in shown])
    return counted.normalised


@pytest.mark.parametrize(
    ("shown", "erasure"),
    [
        (("a", "a b", "a b c"), 0.0),
        (("a", "a b", "a c", "a c d"), 1 / 3),
        (("a b c", "x b c"), 1.0),
        (("a b c", "a"), 2.0),
        (("a b", "", "a b"), 1.0),
        (("a b", ""), None),
        ((), None),
    ],
)
def test_normalised_erasure(shown: Sequence[str], erasure: float | None) -> None:
    assert erased(*shown) == erasure


def test_erasure_is_over_all_texts() -> None:
    counted = Erasure()
    counted.add([["a"], ["b"]])
    counted.add([["a"], ["a", "b"], ["a", "b", "c"]])
    assert counted.normalised == 1 / 4


@given(st.lists(st.text("ab ", max_size=8), min_size=1, max_size=8))
def test_what_only_grows_is_never_erased(pieces: list[str]) -> None:
    grown = [tuple(" ".join(pieces[: n + 1]).split()) for n in range(len(pieces))]
    whole = [words[:n] for words in grown[-1:] for n in range(len(words) + 1)]
    counted = Erasure()
    counted.add(whole)
    assert counted.erased == 0


def test_units() -> None:
    assert units(" Hola,  mundo. ", "es") == ("Hola,", "mundo.")
    assert units("你好 世界。", "zh-Hant") == ("你", "好", "世", "界", "。")
    assert units("ア イ", "ja_JP") == ("ア", "イ")
    assert units("สวัสดี", "th") == tuple("สวัสดี")
    assert units("", "es") == ()


def test_offsets_and_real_time_factor() -> None:
    found = lateness([Segment((200.0, 900.0), (300.0, 1200.0), 1000.0)], aware=True)
    assert (found.start_offset, found.end_offset) == (300.0, 200.0)
    assert real_time_factor(3.0, 10.0) == 0.3
    assert real_time_factor(3.0, 0.0) is None
