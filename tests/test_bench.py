"""The benches measure what they say they measure."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from edge.bench import answer, hop, soak, stats, turn
from edge.runtime.virtual import VirtualLoop
from models.fakes import silence, tone


async def test_the_runtime_adds_nothing_to_the_critical_path_in_virtual_time() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    times = await turn.measure(5, loop.spend)
    assert [time * 1000 for time in times] == pytest.approx([turn.critical_path() * 1000] * 5, abs=0.1)


def test_the_critical_path_is_that_of_the_declared_costs() -> None:
    # The hint 60 ms after the speech, recognition, first token, five more (the dot of "0." may be a decimal point until the
    # next word has come), first sound.
    assert turn.critical_path() == pytest.approx(0.06 + 0.1 + 0.15 + 5 * 0.01 + 0.08)


def test_spread_gives_the_nearest_rank() -> None:
    assert stats.spread(list(range(1, 101))) == {"n": 100, "min": 1, "median": 50.5, "p95": 95, "max": 100}
    assert stats.spread([3.0]) == {"n": 1, "min": 3.0, "median": 3.0, "p95": 3.0, "max": 3.0}
    assert stats.spread([]) == {"n": 0}


def test_bursts_of_speech_are_found() -> None:
    sound = np.concatenate([silence(0.5), tone(1.0), silence(2.0), tone(0.5), silence(0.2)])
    (first, second) = answer.bursts(sound)
    assert [edge / 16000 for edge in (*first, *second)] == pytest.approx([0.5, 1.5, 3.5, 4.0], abs=0.01)


def test_the_slope_is_that_of_the_second_half() -> None:
    memory = [(float(minute), 300.0 + (50 if minute < 5 else 0) + minute / 60 * 12) for minute in range(60)]
    assert soak.slope(memory) == pytest.approx(12.0)


@pytest.mark.real_time
async def test_hops_are_counted_by_the_item() -> None:
    (first, *_) = await hop._per_item(hop._channel)
    assert 0 < first < 1000
