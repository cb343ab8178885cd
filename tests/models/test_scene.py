"""Brightness and colour names agree with what the colours are called."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from edge.values import Pixels, VideoFrame
from models.scene import NAMES, OpenCvScene


@pytest.fixture(scope="module")
def scene() -> OpenCvScene:
    made = OpenCvScene()
    made.open()
    return made


def filled(red: float, green: float, blue: float) -> Pixels:
    return np.full((48, 64, 3), np.array([blue, green, red]), np.uint8)


def names(scene: OpenCvScene, picture: Pixels) -> list[str]:
    return [name for name, _ in scene.measure(VideoFrame(picture, 0)).colours]


@pytest.mark.parametrize(
    ("name", "hues", "saturation", "value"),
    [
        ("red", (0, 355), 1, 0.8),
        ("orange", (28, 35), 1, 0.95),
        ("yellow", (52, 60), 1, 0.95),
        ("green", (90, 120, 140), 0.9, 0.6),
        ("blue", (210, 225, 240), 0.9, 0.8),
        ("purple", (275, 285), 0.8, 0.6),
        ("pink", (330, 340), 0.45, 1),
        ("brown", (20, 25), 0.7, 0.4),
        ("turquoise", (178,), 0.8, 0.75),
    ],
)
def test_hues_have_their_names(scene: OpenCvScene, name: str, hues: tuple[int, ...], saturation: float, value: float) -> None:
    for hue in hues:
        rgb = colorsys.hsv_to_rgb(hue / 360, saturation, value)
        assert names(scene, filled(*(255 * part for part in rgb))) == [name]


@pytest.mark.parametrize(
    ("level", "name"), [(0, "black"), (20, "black"), (110, "grey"), (170, "grey"), (240, "white"), (255, "white")]
)
def test_greys_have_their_names_and_brightness(scene: OpenCvScene, level: int, name: str) -> None:
    facts = scene.measure(VideoFrame(filled(level, level, level), 0))
    assert facts.colours == ((name, 1.0),)
    assert facts.brightness == pytest.approx(level / 255, abs=0.001)


def test_shares_are_of_area_largest_first(scene: OpenCvScene) -> None:
    picture = filled(0, 0, 200)
    picture[:, :16] = (0, 0, 220)
    picture[:1, 16:18] = (0, 255, 255)  # a speck of yellow
    assert scene.measure(VideoFrame(picture, 0)).colours == (("blue", 0.75), ("red", 0.25))


def test_every_picture_gives_the_same_twice(scene: OpenCvScene) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (301, 207, 3), np.uint8)
    facts = scene.measure(VideoFrame(picture, 0))
    assert facts == scene.measure(VideoFrame(picture.copy(), 0))
    assert {name for name, _ in facts.colours} <= set(NAMES)
    assert sum(share for _, share in facts.colours) <= 1.001


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 4000, 3), (8192, 8192, 3)])
def test_any_shape_is_measured(scene: OpenCvScene, shape: tuple[int, ...]) -> None:
    assert scene.measure(VideoFrame(np.zeros(shape, np.uint8), 0)).colours == (("black", 1.0),)
