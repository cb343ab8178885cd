"""The loudspeaker's timeline against a plain array."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from phone_bridge.timeline import LAG, SLACK, Timeline

STEPS = st.lists(st.tuples(st.sampled_from(["play", "flush", "take"]), st.integers(0, 3000)), max_size=40)


@given(STEPS)
def test_the_written_sound_is_what_an_ear_would_have_heard(steps: list[tuple[str, int]]) -> None:
    """The oracle is an array of the whole session and its end; ``take`` may show no difference."""
    timeline, oracle, end, now, taken = Timeline(), np.zeros(140_000, np.int16), 0, 0, []
    for value, (what, gap) in enumerate(steps, 1):
        now += gap
        match what:
            case "play":
                start = end if end and now <= end + SLACK else now
                oracle[start : start + 320] = value
                end = start + 320
                timeline.play(np.full(320, value, np.int16), now)
            case "flush":
                dropped = max(0, end - now)
                oracle[now:] = 0
                end = min(end, now)
                assert timeline.flush(now) == dropped
            case "take":
                taken.append(timeline.take(now - LAG))
    taken.append(timeline.take(140_000))
    assert timeline.end == end and np.array_equal(np.concatenate(taken), oracle)


def test_runs_join_what_touches() -> None:
    timeline = Timeline()
    for now in (100, 420, 2000):
        timeline.play(np.ones(320, np.int16), now)
    assert [(run.start, run.end) for run in timeline.runs()] == [(100, 740), (2000, 2320)]
    timeline.forget(1000)
    assert [run.start for run in timeline.runs()] == [2000]
