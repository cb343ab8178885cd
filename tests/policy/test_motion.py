from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.policy.motion import BLOCK, SIDE, Motion, Stir, small
from edge.values import Box, Pixels

STEP_NS = 200_000_000


class View:
    """A still view of 320x240 with texture, under light and noise of its own."""

    def __init__(self, seed: int = 1, noise: float = 4.0) -> None:
        self._chance = np.random.default_rng(seed)
        coarse = self._chance.uniform(30, 200, (12, 16))
        self.scene = np.kron(coarse, np.ones((20, 20))) + self._chance.normal(0, 6, (240, 320))
        self._noise = noise

    def picture(self, light: float | NDArray[np.float64] = 1.0, thing: Box | None = None) -> Pixels:
        grey = self.scene * light
        if thing is not None:
            part = slice(int(thing.y0), int(thing.y1)), slice(int(thing.x0), int(thing.x1))
            stripes = np.where(np.arange(240)[:, None] // 6 % 2 == 0, 40.0, 180.0) * np.ones((1, 320))
            grey[part] = stripes[part]
        grey = grey + self._chance.normal(0, self._noise, grey.shape)
        return np.asarray(np.clip(grey, 0, 255)[:, :, None].repeat(3, axis=2), np.uint8)

    def learnt(self, seconds: float = 3.0) -> tuple[Motion, int]:
        """Gives a motion that knows the view, and the time of its next picture."""
        motion = Motion()
        steps = round(seconds * 1e9) // STEP_NS
        for n in range(steps):
            motion.see(self.picture(), n * STEP_NS)
        return motion, steps * STEP_NS


def test_sees_a_thing_come_where_it_is() -> None:
    view = View()
    motion, t_ns = view.learnt()
    stir = motion.see(view.picture(thing=Box(200, 60, 280, 160)), t_ns)
    assert stir.steady and stir.moved.sum() >= 10
    box = stir.box(None)
    assert box is not None
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((200 / 320, 60 / 240, 280 / 320, 160 / 240), abs=0.07)
    assert stir.within(Box(0, 0, 0.5, 1)).sum() == 0
    assert stir.since(Box(0.7, 0.3, 0.8, 0.6)) == t_ns > stir.since(Box(0, 0, 0.3, 1))


def test_what_stays_becomes_the_view() -> None:
    view = View()
    motion, t_ns = view.learnt()
    moved = [int(motion.see(view.picture(thing=Box(200, 60, 280, 160)), t_ns + n * STEP_NS).moved.sum()) for n in range(100)]
    assert moved[0] > 0 and moved[-1] == 0


@settings(max_examples=8)
@given(st.floats(0.5, 1.8), st.integers(0, 10))
def test_light_on_everything_is_no_motion(light: float, seed: int) -> None:
    view = View(seed)
    motion, t_ns = view.learnt(2.0)
    for n in range(3):
        assert motion.see(view.picture(light), t_ns + n * STEP_NS).moved.sum() == 0


def test_bands_of_mains_light_are_no_motion() -> None:
    view = View()
    motion, t_ns = view.learnt()
    for n in range(50):
        bands = 1 + 0.15 * np.sin(2 * np.pi * (np.arange(240) / 150 + n * 0.37))
        assert motion.see(view.picture(bands[:, None]), t_ns + n * STEP_NS).moved.sum() == 0


def test_camera_that_turns_away_is_not_motion_but_unsteady() -> None:
    view, other = View(1), View(2)
    motion, t_ns = view.learnt()
    stir = motion.see(other.picture(), t_ns)
    assert not stir.steady and not stir.moved.any()
    assert stir.since(None) == t_ns
    steady = [motion.see(other.picture(), t_ns + n * STEP_NS).steady for n in range(1, 12)]
    assert not steady[0] and steady[-1]


@pytest.mark.parametrize(("right", "down"), [(8, 0), (-6, 4), (0, -10)])
def test_shift_of_the_camera_is_told_though_a_thing_moves_otherwise(right: int, down: int) -> None:
    view = View(noise=2.0)
    motion = Motion()
    thing = Box(40, 40, 120, 120)
    motion.see(view.picture(thing=thing), 0, [thing])
    view.scene = np.roll(view.scene, (down, right), (0, 1))
    stir = motion.see(view.picture(thing=thing), STEP_NS, [thing])  # the thing stays in the picture: it goes with the camera
    assert stir.shift == pytest.approx((right / 320, down / 240), abs=1.1 / 120)


def test_no_shift_where_only_the_thing_moves() -> None:
    view = View(noise=2.0)
    motion = Motion()
    for n in range(20):
        thing = Box(40 + 4 * n, 40, 120 + 4 * n, 120)
        assert motion.see(view.picture(thing=thing), n * STEP_NS, [thing]).shift == (0.0, 0.0)


@given(st.integers(1, 700), st.integers(1, 700))
def test_any_size_is_made_small(height: int, width: int) -> None:
    grey = small(np.full((height, width, 3), 77, np.uint8))
    assert grey.shape[0] % BLOCK == grey.shape[1] % BLOCK == 0
    assert grey.shape[0] < 2 * SIDE + BLOCK and grey.shape[1] < 2 * SIDE + BLOCK
    assert np.allclose(grey, 77)


def test_another_size_is_another_view() -> None:
    view = View()
    motion, t_ns = view.learnt()
    stir = motion.see(view.picture()[:120], t_ns)
    assert not stir.steady and not stir.moved.any()


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_every_zone_has_a_block(x0: float, y0: float, x1: float, y1: float) -> None:
    blocks = np.zeros((11, 20), np.bool_)
    stir = Stir(blocks, blocks, blocks.astype(np.float32), blocks.astype(np.int64), True)
    assert stir.within(Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))).size >= 1


def textured(seed: int, strength: float) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, strength, (20, 20)).repeat(4, 0).repeat(4, 1)


def noisy_picture(grey: NDArray[np.float64], chance: np.random.Generator) -> Pixels:
    noise = np.clip(grey + chance.normal(0, 2, grey.shape), 0, 255).astype(np.uint8)
    return noise[:, :, None].repeat(3, axis=2)


@pytest.mark.parametrize(("strength", "plain"), [(30.0, True), (4.0, False)])
def test_a_thing_is_plain_and_the_trace_of_its_shadow_is_not(strength: float, plain: bool) -> None:
    motion, chance = Motion(), np.random.default_rng(2)
    grey = np.tile(120 + textured(5, 6.0), (3, 4))
    for n in range(25):
        assert not motion.see(noisy_picture(grey, chance), n * STEP_NS).moved.any()
    grey[80:160, 120:200] += textured(6, strength)
    stir = motion.see(noisy_picture(grey, chance), 25 * STEP_NS)
    assert stir.moved.sum() >= 4
    assert bool(stir.plain.any()) is plain is stir.plainly(None)
    assert not stir.plainly(Box(0, 0, 0.2, 1))


def test_what_a_weakly_textured_thing_uncovers_is_seen() -> None:
    """An edge that is uncovered is no brighter version of what was there, though a factor of three fits a part of it."""
    motion, chance = Motion(), np.random.default_rng(3)
    grey = np.tile(120 + textured(7, 20.0), (3, 4))
    weak, edges = textured(5, 2.0), np.kron(np.arange(10) % 2, np.ones(8))[None] * 40.0
    grey[80:160, 120:200] = 120 + weak
    for n in range(50):
        motion.see(noisy_picture(grey, chance), n * STEP_NS)
    grey[80:160, 120:200] = 120 + 4 * weak + edges
    assert motion.see(noisy_picture(grey, chance), 50 * STEP_NS).plain.sum() >= 15
