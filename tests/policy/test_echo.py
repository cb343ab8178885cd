"""What the loudspeaker played, and which voices are not its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.echo import (
    AHEAD,
    CONVERGED,
    FLOOR_DB,
    GUARD,
    LEARNT,
    MEMORY,
    RELEARNT,
    SLACK,
    VOICED,
    EchoGate,
    Reference,
    level_db,
)
from edge.values import CHUNK_SAMPLES, Pcm, samples

WINDOW = 512


def ramp(size: int, first: int = 1) -> Pcm:
    return ((np.arange(size) + first) % 30_000 + 1).astype(np.int16)


# -- level -------------------------------------------------------------------------------------------------------------------


def test_levels() -> None:
    assert level_db(np.zeros(320, np.int16)) == level_db(np.zeros(0, np.int16)) == FLOOR_DB
    assert level_db(np.full(320, -32768, np.int16)) == pytest.approx(0.0, abs=1e-3)
    assert level_db(np.full(320, 3277, np.int16)) == pytest.approx(-20.0, abs=0.01)


# -- reference ---------------------------------------------------------------------------------------------------------------


def test_what_was_played_stands_where_it_was_played() -> None:
    reference = Reference()
    reference.played(ramp(320), 1000)
    sound = reference.between(900, 1500)
    assert not sound[:100].any() and not sound[420:].any()
    assert np.array_equal(sound[100:420], ramp(320))
    assert not reference.between(-500, 900).any()


@given(st.lists(st.integers(-AHEAD // 4, SLACK // 2), min_size=2, max_size=60))
def test_chunks_handed_over_early_or_late_are_one_sound(lateness: list[int]) -> None:
    reference = Reference()
    sound = ramp(CHUNK_SAMPLES * (len(lateness) + 1))
    reference.played(sound[:CHUNK_SAMPLES], 16_000)
    for number, late in enumerate(lateness, 1):
        at = number * CHUNK_SAMPLES
        reference.played(sound[at : at + CHUNK_SAMPLES], 16_000 + at + late)
    assert np.array_equal(reference.between(16_000, 16_000 + len(sound)), sound)


def test_after_a_pause_it_begins_anew() -> None:
    reference = Reference()
    reference.played(ramp(320), 1000)
    reference.played(ramp(320), 1320 + SLACK + 1)
    sound = reference.between(1000, 1000 + 640 + SLACK + 1)
    assert not sound[320 : 320 + SLACK + 1].any()
    assert np.array_equal(sound[-320:], ramp(320))


def test_a_reply_that_begins_just_after_another_is_not_put_behind_what_the_canceller_has_heard() -> None:
    reference = Reference()
    sound = ramp(CHUNK_SAMPLES * 20)
    late = SLACK - 100
    seen = []
    for number in range(20):
        at = 16_000 + number * CHUNK_SAMPLES + (late if number >= 5 else 0)
        seen.append(reference.between(at - CHUNK_SAMPLES, at))
        reference.played(sound[number * CHUNK_SAMPLES : (number + 1) * CHUNK_SAMPLES], at)
    assert np.array_equal(np.concatenate(seen[1:5]), sound[: 4 * CHUNK_SAMPLES])
    assert np.array_equal(np.concatenate(seen[6:]), sound[5 * CHUNK_SAMPLES : 19 * CHUNK_SAMPLES])


def test_a_clock_that_drifted_is_followed() -> None:
    reference = Reference()
    reference.played(ramp(8000), 1000)
    reference.played(ramp(320), 9000 - AHEAD - 1)
    start = 9000 - AHEAD - 1
    assert np.array_equal(reference.between(start, start + 320), ramp(320))


def test_it_tells_once_that_the_loudspeaker_began_anew() -> None:
    reference = Reference()
    assert not reference.moved(MEMORY)
    reference.played(ramp(320), 1000)
    assert not reference.moved(1000), "what is to come has not begun"
    assert [reference.moved(1320), reference.moved(1320)] == [True, False]
    reference.played(ramp(320), 1319)
    assert not reference.moved(9000), "sound that follows on"
    reference.played(ramp(320), 1641)
    assert reference.moved(9000), "too late for a loudspeaker without a buffer"
    reference.played(ramp(320), 1640 + SLACK + 320)
    assert reference.moved(9000)
    reference.between(0, 9000)
    reference.played(ramp(320), 4000)
    reference.flushed(4100)
    reference.played(ramp(320), 8000)
    assert reference.moved(9000), "a reply that goes on after a pause"


def test_what_is_flushed_was_never_played() -> None:
    reference = Reference()
    reference.played(ramp(3200), 1000)
    reference.flushed(2000)
    reference.flushed(9000)
    sound = reference.between(1000, 5000)
    assert np.array_equal(sound[:1000], ramp(1000)) and not sound[1000:].any()
    reference.played(ramp(320), 2000)
    assert np.array_equal(reference.between(2000, 2320), ramp(320))


@given(
    st.lists(st.tuples(st.integers(0, 3 * MEMORY), st.integers(1, 5000), st.booleans()), max_size=12),
    st.integers(-1000, 3 * MEMORY),
    st.integers(0, 4000),
)
def test_like_an_endless_tape(steps: list[tuple[int, int, bool]], start: int, size: int) -> None:
    """Whatever is done to it, it says what a tape of all time would, as far back as it remembers."""
    reference, tape, end, head = Reference(), np.zeros(4 * MEMORY + 60_000, np.int16), -MEMORY, 0
    for at, length, flush in steps:
        if flush:
            reference.flushed(at)
            if end > max(at, head - MEMORY):
                tape[max(at, head - MEMORY) : end] = 0
                end = at
            continue
        reference.played(ramp(length, at), at)
        begun = end if end - AHEAD <= at <= end + SLACK else at
        tape[begun : begun + length] = ramp(length, at)
        end, head = begun + length, max(head, begun + length)
    expected = np.zeros(size, np.int16)
    oldest = max(0, head - MEMORY)
    first, last = max(start, oldest), max(start, oldest, min(start + size, len(tape)))
    expected[min(first - start, size) : last - start] = tape[first:last][: max(0, size - (first - start))]
    assert np.array_equal(reference.between(start, start + size), expected)


# -- gate --------------------------------------------------------------------------------------------------------------------


class Ear:
    """Hears window by window through a gate."""

    def __init__(self, margin_db: float = 9.0, *, subtracted: bool = True) -> None:
        self.gate = EchoGate(margin_db, subtracted=subtracted)
        self.at = 0

    def hear(self, probability: float, near_db: float, far_db: float = -22.0, plain_db: float | None = None) -> float:
        """Both cancellers leave the same, if nothing else is said."""
        self.at += WINDOW
        plain_db = near_db if plain_db is None else plain_db
        return self.gate.judge(probability, near_db, plain_db, far_db, self.at - WINDOW, self.at)

    def learn(self, residue_db: float = -60.0) -> None:
        for _ in range(CONVERGED // WINDOW + 40):
            self.hear(0.05, residue_db)


def test_while_nothing_plays_it_does_nothing() -> None:
    ear = Ear()
    assert [ear.hear(p, -80.0, FLOOR_DB) for p in (0.1, 0.4, 0.99)] == [0.1, 0.4, 0.99]
    assert not ear.gate.converged


def test_a_residue_that_sounds_like_a_voice_is_none_and_a_voice_is_one() -> None:
    ear = Ear()
    ear.learn()
    assert ear.gate.converged
    assert ear.hear(0.8, -58.0) == 0
    assert ear.hear(0.5, -35.0) == 0.5


def test_what_rises_only_behind_the_suppressor_is_echo_that_it_let_through() -> None:
    ear = Ear()
    ear.learn(-45.0)
    assert ear.hear(0.8, -30.0, plain_db=-44.0) == 0
    assert ear.hear(0.8, -30.0, plain_db=-41.0) == 0.8


def test_a_voice_that_is_nearly_suppressed_is_heard_behind_the_subtractor() -> None:
    ear = Ear()
    ear.learn(-45.0)
    assert ear.hear(0.15, -44.0, plain_db=-34.0) == VOICED
    assert ear.hear(0.05, -44.0, plain_db=-34.0) == 0
    alone = Ear(subtracted=False)
    alone.learn(-45.0)
    assert alone.hear(0.15, -34.0) == 0


def test_a_subtractor_that_has_just_begun_is_not_trusted() -> None:
    ear = Ear()
    for _ in range(LEARNT // WINDOW - 2):
        ear.hear(0.0, -45.0)
    assert ear.hear(0.2, -45.0, plain_db=-34.0) == 0
    for _ in range(2):
        ear.hear(0.0, -45.0)
    assert ear.hear(0.2, -45.0, plain_db=-34.0) == VOICED


def test_a_subtractor_whose_path_has_moved_is_not_trusted_until_it_has_learnt_again() -> None:
    """At each reply's beginning the path has moved by a buffer's length: the residue stands 10 dB higher for a while."""
    ear = Ear()
    ear.learn(-48.0)
    ear.gate.moved()
    raised = [ear.hear(0.5, -48.0, plain_db=-36.0) for _ in range(RELEARNT // WINDOW)]
    assert raised == [0] * len(raised)
    assert ear.hear(0.9, -35.0, plain_db=-30.0) == 0.9, "a voice that AEC3 leaves is heard all the while"
    for _ in range(40):
        ear.hear(0.05, -48.0)
    assert ear.hear(0.5, -48.0, plain_db=-36.0) == 0.5


def test_the_floor_follows_the_residue() -> None:
    ear = Ear()
    ear.learn(-60.0)
    assert ear.hear(0.8, -45.0) == 0.8
    for _ in range(60):
        ear.hear(0.05, -45.0)
    assert ear.hear(0.8, -44.0) == 0
    assert ear.hear(0.8, -30.0) == 0.8


def test_a_voice_does_not_raise_the_floor_against_itself() -> None:
    ear = Ear()
    ear.learn()
    assert all(ear.hear(0.9, -35.0) == 0.9 for _ in range(samples(2.0) // WINDOW))


def test_before_it_has_converged_a_voice_must_be_plain() -> None:
    ear = Ear()
    ear.hear(0.1, -60.0)
    assert ear.hear(0.6, -30.0) == 0
    assert ear.hear(0.9, -30.0) == 0.9


def test_it_guards_a_little_longer_than_anything_plays() -> None:
    ear = Ear()
    ear.learn()
    inside = GUARD // WINDOW
    assert [ear.hear(0.9, -60.0, FLOOR_DB) for _ in range(inside)] == [0] * inside
    ear.hear(0.9, -60.0, FLOOR_DB)
    assert ear.hear(0.9, -60.0, FLOOR_DB) == 0.9


def test_what_is_left_in_the_room_after_a_reply_is_no_voice() -> None:
    """AEC3 suppresses no more once the loudspeaker is silent: 2 s of reverberation rise by 4 dB and sound like a voice."""
    ear = Ear()
    ear.learn(-52.0)
    tail = [ear.hear(0.8, -47.0 - 30 * number * WINDOW / 16_000, FLOOR_DB) for number in range(30)]
    assert tail == [0] * len(tail)
    assert ear.hear(0.8, -40.0, FLOOR_DB) == 0.8, "somebody answers"


def test_a_new_path_is_learnt_anew() -> None:
    ear = Ear()
    ear.learn()
    ear.gate.reset()
    assert not ear.gate.converged
    ear.hear(0.1, -60.0)
    assert ear.hear(0.6, -30.0) == 0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-96, 0), st.floats(-96, 0)), max_size=200), st.floats(0, 20))
def test_it_gives_the_probability_or_nothing(windows: list[tuple[float, float, float]], margin_db: float) -> None:
    ear = Ear(margin_db)
    for probability, near_db, far_db in windows:
        assert ear.hear(probability, near_db, far_db) in (0.0, probability, VOICED)
