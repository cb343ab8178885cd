"""Colour names, against those of the scene meter, and what has changed between two pictures."""

from __future__ import annotations

import numpy as np
import pytest

from edge.policy import changes, colours
from edge.policy.pointing import fingertip
from edge.values import Box, Pixels
from models.scene import NAMES


@pytest.mark.parametrize(("name", "colour"), [(name, colour) for name, family in NAMES.items() for colour in family])
def test_both_ways_to_name_a_colour_agree(name: str, colour: str) -> None:
    patch = np.full((4, 4, 3), list(bytes.fromhex(colour)[::-1]), np.uint8)
    assert colours.shares(patch)[0] == (name, 1.0)


def test_lab_is_that_of_opencv() -> None:
    cv2 = pytest.importorskip("cv2")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    theirs = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    assert np.abs(colours.lab(pixels) - theirs).max() < 0.5


def test_only_the_mask_counts_and_little_is_not_said() -> None:
    picture = np.full((20, 20, 3), (0, 0, 255), np.uint8)
    picture[:, 10:] = (255, 0, 0)
    bits = np.zeros((20, 20), np.bool_)
    bits[:, :10] = True
    assert colours.main(colours.shares(picture, bits)) == ("red",)
    assert set(colours.main(colours.shares(picture))) == {"red", "blue"}
    assert colours.main((("red", 0.9), ("blue", 0.1))) == ("red",)
    assert colours.shares(picture, np.zeros((20, 20), np.bool_)) == ()


def scene(seed: int = 0, high: int = 360, wide: int = 480) -> Pixels:
    """A picture of blocks, as rooms are."""
    rng = np.random.default_rng(seed)
    picture = np.full((high, wide, 3), 130.0)
    for _ in range(30):
        y, x = rng.integers(0, high - 60), rng.integers(0, wide - 60)
        picture[y : y + rng.integers(20, 120), x : x + rng.integers(20, 120)] = rng.integers(0, 256, 3)
    return np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)


def test_a_turn_of_the_head_and_darker_light_are_no_change() -> None:
    whole = scene()
    found = changes.compare(whole[10:330, 20:440], (whole[24:344, 44:464] * 0.8).astype(np.uint8))
    assert found.same_view
    assert found.regions == ()
    assert found.brighter < -0.05


def test_what_was_put_there_is_found_where_it_is() -> None:
    before = scene()
    after = before.copy()
    after[200:290, 300:390] = (255 - after[200:290, 300:390].mean(axis=(0, 1))) // 1
    found = changes.compare(before, after)
    assert found.same_view
    x, y = found.regions[0].centre
    assert 300 < x < 390
    assert 200 < y < 290


def test_another_place_is_another_view() -> None:
    assert not changes.compare(scene(1), scene(2)).same_view


@pytest.mark.parametrize("size", [(1, 1), (30, 20), (480, 640), (719, 1279)])
def test_pictures_of_any_size_compare(size: tuple[int, int]) -> None:
    blank = np.full((*size, 3), 90, np.uint8)
    assert changes.compare(blank, blank) == changes.Changes(True, (), 0.0)
    assert changes.compare(scene(), blank).regions == ()


def test_what_came_and_went_is_counted() -> None:
    assert changes.counted(["cup", "cup", "dog"], ["cup", "chair"]) == ([("chair", 1)], [("cup", 1), ("dog", 1)])


def hand(tip: tuple[int, int] | None, skin: tuple[int, int, int] = (90, 120, 200), seed: int = 3) -> Pixels:
    """A room, and an arm from the lower edge that points up to a tip (x, y)."""
    picture = scene(seed).astype(np.float64)
    if tip is not None:
        x, y = tip
        for row in range(y, 360):
            half = 7 + max(0, row - y - 60) * 0.22
            middle = x + (row - y) * 0.25
            picture[row, max(0, int(middle - half)) : int(middle + half)] = skin
    return np.clip(picture + np.random.default_rng(1).normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


SKINS = ((90, 120, 200), (40, 60, 100), (20, 20, 30), (190, 205, 240), (180, 60, 40))
TIPS = ((200, 120), (300, 200), (120, 60))


def test_the_fingertip_is_mostly_about_where_it_points_whatever_its_colour() -> None:
    found = [(fingertip(hand(tip, skin)), tip) for tip in TIPS for skin in SKINS]
    near = [tip for at, tip in found if at is not None and np.hypot(at[0] - tip[0], at[1] - tip[1]) < 30]
    assert len(near) >= 13, "of 15: an arm before something of its own colour is not seen"


def test_a_wall_a_floor_and_a_crumb_do_not_point() -> None:
    assert fingertip(np.full((360, 480, 3), 120, np.uint8)) is None
    floor = np.full((360, 480, 3), 200, np.uint8)
    floor[200:] = (60, 90, 120)
    assert fingertip(floor) is None
    assert fingertip(np.zeros((4, 4, 3), np.uint8)) is None


def test_regions_are_the_connected_parts() -> None:
    bits = np.zeros((10, 12), np.bool_)
    bits[1:4, 1:4] = bits[6:9, 5:11] = bits[0, 11] = True
    assert changes.regions(bits, 2) == [(5, 6, 11, 9), (1, 1, 4, 4)]
    assert Box(*map(float, changes.regions(bits, 2)[0])).width == 6
