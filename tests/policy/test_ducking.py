from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.ducking import DUCKED_DB, PAUSE, RAMP, gain, mixed, runs
from edge.values import Pcm

LOW = 10 ** (DUCKED_DB / 20)


def sound(length: int, *spoken: tuple[int, int]) -> Pcm:
    pcm = np.zeros(length, np.int16)
    for first, last in spoken:
        pcm[first:last] = 1000
    return pcm


def test_the_original_is_down_while_the_interpreter_speaks_and_up_elsewhere() -> None:
    gains = gain(0, 40_000, [(10_000, 20_000)])
    assert gains[9_200 - 1] == 1.0 and gains[20_000 + RAMP] == 1.0
    assert gains[10_000:20_000] == pytest.approx(LOW)
    assert np.abs(np.diff(gains)).max() <= 1.01 / RAMP
    assert gains[10_000 - RAMP // 2] == pytest.approx((1 + LOW) / 2, abs=0.01)


@given(st.integers(1, 5000), st.lists(st.integers(0, 30_000), max_size=6))
def test_blocks_make_no_difference(size: int, edges: list[int]) -> None:
    edges = sorted(edges)[: len(edges) // 2 * 2]
    spoken = list(zip(edges[::2], edges[1::2], strict=True))
    whole = gain(0, 31_000, spoken)
    pieces = [gain(at, min(size, 31_000 - at), spoken) for at in range(0, 31_000, size)]
    assert np.array_equal(whole, np.concatenate(pieces))


@pytest.mark.parametrize("size", [160, 7777, 90_000])
def test_runs_join_over_short_silences_and_over_blocks(size: int) -> None:
    pcm = sound(90_000, (1000, 2000), (2000 + PAUSE, 20_000), (20_001 + PAUSE + 10, 60_000))
    assert runs(pcm[at : at + size] for at in range(0, len(pcm), size)) == [(1000, 20_000), (20_001 + PAUSE + 10, 60_000)]
    assert runs([]) == runs([np.zeros(5, np.int16)]) == []


def test_a_mix_does_not_wrap_around() -> None:
    loud = np.full(4, 30_000, np.int16)
    assert mixed(loud, loud, np.ones(4, np.float32)).tolist() == [32_767] * 4
    assert mixed(loud, -loud, np.full(4, 0.5, np.float32)).tolist() == [-15_000] * 4
