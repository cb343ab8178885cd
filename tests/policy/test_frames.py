"""The sharpest frame around a question's end wins, and the ring stays small."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.frames import CLEARLY, SLOTS, Ring, sharpness
from edge.values import VideoFrame
from tests.pictures import load
from tests.shared import shared

SECOND = 1_000_000_000
BLANK = np.zeros((2, 2, 3), np.uint8)


def frame(seconds: float, index: int = 0) -> VideoFrame:
    return VideoFrame(BLANK, round(seconds * SECOND), index)


def ring(*frames: tuple[float, float], span: float = 4.0) -> Ring:
    """A ring that was given (seconds, sharpness)."""
    made = Ring(round(span * SECOND))
    for seconds, sharp in frames:
        made.add(frame(seconds), sharp)
    return made


def chosen(made: Ring, end: float, window: float = 1.0) -> float | None:
    best = made.choose(round(end * SECOND), round(window * SECOND))
    return None if best is None else best.frame.t_ns / SECOND


def test_the_sharpest_of_the_window_wins_however_blurred_all_are() -> None:
    made = ring((1.0, 900.0), (2.2, 1.0), (2.5, 3.0), (2.8, 2.0))
    assert chosen(made, 3.0) == 2.5


def test_of_equally_sharp_frames_the_newest_wins() -> None:
    assert chosen(ring((2.2, 5.0), (2.5, 5.0), (2.8, 5.0)), 3.0) == 2.8


def test_an_empty_window_falls_back_to_the_newest_before_it() -> None:
    assert chosen(ring((1.0, 9.0), (1.5, 1.0)), 3.0) == 1.5


def test_frames_that_came_only_after_the_question_will_do() -> None:
    assert chosen(ring((3.5, 1.0), (3.9, 9.0)), 3.0) == 3.5


def test_what_the_camera_saw_long_ago_is_not_the_view() -> None:
    made = ring((1.0, 9.0))
    assert chosen(made, 4.9) == 1.0
    assert chosen(made, 5.1) is None
    assert chosen(Ring(SECOND), 1.0) is None


def test_a_frame_that_was_read_wins_unless_another_is_clearly_sharper() -> None:
    for sharp, winner in ((100.0 * CLEARLY, 2.2), (101.0 * CLEARLY, 2.8)):
        made = ring((2.2, 100.0), (2.8, sharp))
        best = made.choose(3 * SECOND, SECOND, known=lambda seen: seen.t_ns == round(2.2 * SECOND))
        assert best is not None and best.frame.t_ns == round(winner * SECOND)


def test_a_frame_that_was_read_may_be_older_than_the_window_but_not_by_much() -> None:
    for seconds, winner in ((1.2, 1.2), (0.8, 2.8)):
        made = ring((seconds, 100.0), (2.8, 100.0))
        best = made.choose(3 * SECOND, SECOND, known=lambda seen: seen.t_ns < 2 * SECOND)
        assert best is not None and best.frame.t_ns == round(winner * SECOND)


def test_a_frame_being_read_keeps_its_slot_unless_another_is_clearly_sharper() -> None:
    for sharp, kept in ((100.0, 2.00), (130.0, 2.05)):
        made = ring((2.0, 100.0))
        made.add(frame(2.05), sharp, known=lambda seen: True)
        assert made.newest is not None and made.newest.frame == frame(kept)


def test_a_camera_that_begins_again_is_followed() -> None:
    made = ring((9.0, 5.0), (0.1, 1.0))
    assert len(made) == 1
    assert chosen(made, 0.5) == 0.1


@given(
    steps=st.lists(st.tuples(st.integers(0, 400_000_000), st.floats(0, 1e4)), max_size=200),
    span=st.integers(100_000_000, 30 * SECOND),
)
def test_it_is_bounded_and_keeps_a_sharpest_of_every_slot(steps: list[tuple[int, float]], span: int) -> None:
    made, now, given_frames = Ring(span), 0, []
    for step, sharp in steps:
        now += step
        made.add(VideoFrame(BLANK, now), sharp)
        given_frames.append((now, sharp))
        assert len(made) <= SLOTS
    within = [(at, sharp) for at, sharp in given_frames if at >= now - span + span // SLOTS + 1]
    best = made.choose(now, span)
    if within:
        assert best is not None
        assert best.sharpness >= max(sharp for _, sharp in within)


@pytest.mark.parametrize(
    "name", ["photos/truck.jpg", "photos/groceries.jpg", "photos/fruit.jpg", "text/opencv_contrib__scenetext01.jpg"]
)
def test_sharpness_falls_with_blur_even_in_noise(name: str) -> None:
    clear = load(shared(name))
    noise = np.random.default_rng(0).normal(0, 2, clear.shape)

    def seen(picture: cv2.typing.MatLike) -> float:
        return sharpness(np.clip(picture + noise, 0, 255).astype(np.uint8))

    focus = [seen(clear), *(seen(cv2.GaussianBlur(clear, (0, 0), sigma)) for sigma in (1, 2, 3))]
    shake = [seen(clear), *(seen(cv2.blur(clear, (length, 1))) for length in (5, 9, 17))]
    assert focus == sorted(focus, reverse=True)
    assert shake == sorted(shake, reverse=True)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 900, 3), (8192, 8192, 3)])
def test_any_shape_has_a_sharpness(shape: tuple[int, ...]) -> None:
    assert sharpness(np.zeros(shape, np.uint8)) == 0.0
