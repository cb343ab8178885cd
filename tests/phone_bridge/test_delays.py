"""The arithmetic of delays: clocks an arbitrary offset apart, and replies that are cut."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.values import SAMPLE_RATE
from phone_bridge.delays import DEFAULT_SINK_DELAY_S, Distance, PageClock, Reply, SinkDelay


def test_the_page_s_clock_is_found_within_half_the_shortest_round_trip() -> None:
    chance = random.Random(1)
    clock, offset = PageClock(), 1234.5
    for n in range(40):
        sent = float(n)
        there, back = 0.005 + chance.expovariate(20), 0.005 + chance.expovariate(20)
        clock.pinged(n, sent)
        clock.ponged(n, (sent + there + offset) * 1000, sent + there + back)
    assert clock.round_trip_s is not None and clock.round_trip_s < 0.06
    found = clock.loop_time((100 + offset) * 1000)
    assert found == pytest.approx(100, abs=clock.round_trip_s / 2)


def test_unknown_pongs_and_lost_pings_do_no_harm() -> None:
    clock = PageClock()
    clock.ponged(5, 1.0, 2.0)
    assert clock.round_trip_s is None and clock.loop_time(1.0) is None
    for n in range(10_000):
        clock.pinged(n, float(n))
    assert len(clock._sent) < 20


def test_an_old_exchange_is_forgotten_because_clocks_drift() -> None:
    clock = PageClock()
    clock.pinged(0, 0.0)
    clock.ponged(0, 0.5, 0.001)  # the best there ever was
    clock.pinged(1, 1000.0)
    clock.ponged(1, 1_000_100 + 5.0, 1000.01)  # the page's clock is 100 ms ahead by now
    assert clock.loop_time(1_000_105.0) == pytest.approx(1000.005, abs=0.001)


def test_the_sink_delay_settles_and_tells_what_matters() -> None:
    sink = SinkDelay()
    assert sink.value == DEFAULT_SINK_DELAY_S and not sink.news(0.0)
    sink.report(sent=10.0, played=10.150, output_latency_s=0.020)
    assert sink.value == pytest.approx(0.170)
    assert sink.news(10.0) and not sink.news(20.0)
    for n in range(40):
        sink.report(sent=20.0 + n, played=20.050 + n, output_latency_s=0.020)
    assert sink.value == pytest.approx(0.070, abs=0.002)
    assert not sink.news(10.5)  # too soon after the last time
    assert sink.news(61.0)


@pytest.mark.parametrize("played", [9.0, 13.0, float("nan"), float("inf")])
def test_an_impossible_report_is_ignored(played: float) -> None:
    sink = SinkDelay()
    sink.report(sent=10.0, played=played, output_latency_s=0.0)
    assert sink.value == DEFAULT_SINK_DELAY_S


def test_distance_joins_them() -> None:
    distance = Distance()
    assert distance.ping(0.0, every=1.0) == 1 and distance.ping(0.5, every=1.0) is None
    distance.clock.ponged(1, 500_020.0, 0.040)
    distance.playing(None, 1.0, 0.0)
    distance.playing(1.0, 501_100.0, 0.010)
    assert distance.sink.value == pytest.approx(0.110)
    assert distance.reach_s == pytest.approx(0.090)


def play(reply: Reply, at: float, chunks: int, *, lead: int = 1) -> None:
    """Plays as a speaker queue does: paced, ``lead`` chunks ahead."""
    for n in range(chunks):
        reply.played(at + max(0, n - lead + 1) * 0.02)


def test_a_cut_in_the_middle_takes_back_what_is_under_way() -> None:
    reply = Reply()
    play(reply, 10.0, 50)
    assert reply.flush(10.98, queued=0, reach_s=0.1) == pytest.approx(0.1 * SAMPLE_RATE, abs=320)
    assert reply.flush(10.98, queued=0, reach_s=0.1) == 0  # nothing is left to take back


def test_what_was_not_sent_counts_whole() -> None:
    reply = Reply()
    for _ in range(50):
        reply.played(10.0)
    assert reply.flush(10.0, queued=50 * 320, reach_s=0.1) == 50 * 320
    for _ in range(50):
        reply.played(20.0)
    assert reply.flush(20.2, queued=40 * 320, reach_s=0.05) == 40 * 320 + 800


def test_no_more_is_taken_back_than_was_played_since_the_last_silence() -> None:
    reply = Reply()
    play(reply, 10.0, 5)
    play(reply, 10.3, 2)
    assert reply.flush(10.34, queued=0, reach_s=1.0) == 640


def test_what_was_heard_is_not_taken_back() -> None:
    reply = Reply()
    play(reply, 10.0, 5)
    assert reply.flush(10.5, queued=0, reach_s=0.1) == 0


@given(st.lists(st.floats(0, 1), max_size=30), st.integers(0, 5), st.floats(-1, 3), st.floats(0, 2))
def test_a_flush_never_gives_more_than_was_played(gaps: list[float], queued: int, reach_s: float, wait: float) -> None:
    reply, at = Reply(), 0.0
    for gap in gaps:
        at += gap
        reply.played(at)
    queued = min(queued, len(gaps)) * 320
    assert queued <= reply.flush(at + wait, queued, reach_s) <= max(queued, len(gaps) * 320)
