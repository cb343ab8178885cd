"""Draws clips in which every pixel of every object is known: what a segmenter is measured on and tested with.

A clip is a textured plane under a moving camera, with textured, non-convex sprites before it, and noise over all. Each clip
has one difficulty, which gives it its name. The same name, size and length give the same pixels on every machine with the
same OpenCV: all chance is seeded by the name.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.values import Pixels, VideoFrame

Bits = NDArray[np.bool_]
Frames = list[tuple[VideoFrame, dict[int, Bits]]]
Bgr = tuple[int, int, int]

SPRITE = 256
"""Rows and columns of a sprite before it is placed."""
FPS = 30


class Pose(NamedTuple):
    """Where a sprite is: its centre in shares of the picture, its height in shares of the picture's, degrees."""

    x: float
    y: float
    size: float
    angle: float = 0.0


Path = Callable[[float], Pose]
"""Gives the pose at a time, 0 (the first picture) to 1 (the last)."""


@dataclass(frozen=True)
class Sprite:
    """One thing that moves."""

    path: Path
    colours: tuple[Bgr, Bgr]
    points: int = 5
    """Of its star-like outline."""
    object_id: int | None = None
    """None: it only hides others."""
    square: bool = False
    """A board instead of a star."""


@dataclass(frozen=True)
class Scene:
    """All of a clip. What comes later in ``sprites`` is nearer."""

    sprites: Sequence[Sprite]
    ground: tuple[Bgr, Bgr] = ((96, 128, 112), (150, 160, 170))
    camera: float = 0.0
    """How far the camera sways, in shares of the picture."""
    flicker: float = 0.0
    """How far the light wavers, in shares of itself."""
    noise: float = 4.0
    """Standard deviation of the sensor's noise, in grey levels."""


def _line(start: Pose, end: Pose) -> Path:
    """A straight way at an even pace."""
    return lambda t: Pose(*(a + (b - a) * t for a, b in zip(start, end, strict=True)))


def _there_and_back(start: Pose, end: Pose) -> Path:
    return lambda t: Pose(*(a + (b - a) * (1 - abs(1 - 2 * t)) for a, b in zip(start, end, strict=True)))


def _arc(centre: Pose, wide: float, high: float, turns: float = 1.0) -> Path:
    def path(t: float) -> Pose:
        phase = 2 * np.pi * turns * t
        return Pose(centre.x + wide * np.sin(phase), centre.y + high * (1 - np.cos(phase)), centre.size, centre.angle)

    return path


def _swell(centre: Pose, factor: float, degrees: float) -> Path:
    """Comes nearer and turns."""
    return lambda t: Pose(centre.x + 0.1 * t, centre.y, centre.size * factor**t, degrees * t)


RED, DARK_RED, BLUE, SKY = (40, 40, 200), (20, 20, 110), (190, 80, 30), (230, 180, 120)
GREEN, LIME, YELLOW, BROWN = (60, 140, 40), (90, 210, 150), (40, 210, 230), (30, 60, 110)

SCENES: dict[str, Scene] = {
    "drift": Scene([Sprite(_line(Pose(0.25, 0.4, 0.4), Pose(0.75, 0.6, 0.4, 20)), (RED, YELLOW), object_id=1)]),
    "turning": Scene([Sprite(_swell(Pose(0.4, 0.5, 0.25), 2.0, 120), (BLUE, SKY), points=3, object_id=1)]),
    "camera": Scene([Sprite(_arc(Pose(0.5, 0.45, 0.35), 0.15, 0.05), (GREEN, YELLOW), object_id=1)], camera=0.12),
    "hidden": Scene(
        [
            Sprite(_line(Pose(0.2, 0.5, 0.3), Pose(0.8, 0.5, 0.3, 40)), (RED, YELLOW), object_id=1),
            Sprite(lambda t: Pose(0.5, 0.5, 0.5), (BROWN, BLUE), square=True),
        ]
    ),
    "returns": Scene([Sprite(_there_and_back(Pose(0.6, 0.5, 0.35), Pose(1.35, 0.4, 0.4, 30)), (BLUE, YELLOW), object_id=1)]),
    "flicker": Scene(
        [Sprite(_arc(Pose(0.5, 0.4, 0.4), 0.2, 0.08), (RED, SKY), points=4, object_id=1)], camera=0.04, flicker=0.25
    ),
    "alike": Scene(
        [
            Sprite(_line(Pose(0.2, 0.3, 0.35), Pose(0.8, 0.3, 0.35, 30)), (RED, YELLOW), object_id=1),
            Sprite(_line(Pose(0.8, 0.7, 0.35), Pose(0.2, 0.7, 0.35, -30)), (RED, YELLOW), object_id=2),
        ]
    ),
    "crossing": Scene(
        [
            Sprite(_line(Pose(0.2, 0.45, 0.35), Pose(0.8, 0.45, 0.35, 30)), (BLUE, SKY), object_id=1),
            Sprite(_line(Pose(0.8, 0.6, 0.35), Pose(0.2, 0.6, 0.35, -30)), (RED, YELLOW), points=4, object_id=2),
        ],
        camera=0.03,
    ),
    "small": Scene([Sprite(_arc(Pose(0.5, 0.3, 0.1), 0.3, 0.2, 1.0), (YELLOW, RED), points=6, object_id=1)], camera=0.03),
    "murky": Scene(
        [Sprite(_line(Pose(0.3, 0.6, 0.45), Pose(0.65, 0.4, 0.45, 25)), ((70, 110, 120), (40, 70, 90)), object_id=1)],
        camera=0.04,
        noise=8.0,
    ),
}

NAMES = tuple(SCENES)
"""Every clip: what is hard in it is its name."""


def clip(name: str, size: tuple[int, int] = (480, 854), frames: int = 60) -> Frames:
    """Gives a clip's pictures, (height, width) = ``size``, each with the visible pixels of each object that is in the scene."""
    return list(_Film(SCENES[name], size, zlib.crc32(name.encode())).shoot(frames))


def inside(bits: Bits) -> tuple[float, float]:
    """Gives the pixel of a mask that is farthest from its edge: where a finger would point. x, y."""
    depth = cv2.distanceTransform(np.pad(bits, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(x), float(y)


def jaccard(mask: Bits, truth: Bits) -> float:
    """Gives the region similarity J of DAVIS: intersection over union; 1 where both are empty."""
    union = np.count_nonzero(mask | truth)
    return np.count_nonzero(mask & truth) / union if union else 1.0


class _Film:
    def __init__(self, scene: Scene, size: tuple[int, int], seed: int) -> None:
        self._scene = scene
        self._height, self._width = size
        self._rng = np.random.default_rng(seed)
        self._ground = self._texture((self._height * 3 // 2, self._width * 3 // 2), scene.ground, octaves=6)
        self._sprites = [(sprite, *self._draw(sprite)) for sprite in scene.sprites]

    def shoot(self, frames: int) -> Frames:
        made: Frames = []
        for index in range(frames):
            t = index / max(1, frames - 1)
            pixels, masks = self._picture(t)
            gain = 1 + self._scene.flicker * np.sin(17 * t) * np.cos(5 * t)
            noise = self._rng.normal(0, self._scene.noise, pixels.shape)
            seen = np.clip(pixels * gain + noise, 0, 255).astype(np.uint8)
            made.append((VideoFrame(seen, index * 1_000_000_000 // FPS, index), masks))
        return made

    def _picture(self, t: float) -> tuple[NDArray[np.float32], dict[int, Bits]]:
        size = (self._width, self._height)
        camera = self._camera(t)
        pixels = np.asarray(cv2.warpPerspective(self._ground, camera, size, flags=cv2.INTER_LINEAR), np.float32)
        masks: dict[int, Bits] = {}
        for sprite, colours, alpha in self._sprites:
            placed = self._placed(sprite.path(t))
            shown = np.asarray(cv2.warpAffine(alpha, placed, size, flags=cv2.INTER_AREA), np.float32)
            texture = cv2.warpAffine(colours, placed, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            pixels += shown[..., None] * (np.asarray(texture, np.float32) - pixels)
            covers = shown > 0.5
            for other in masks.values():
                other &= ~covers
            if sprite.object_id is not None:
                masks[sprite.object_id] = covers
        return pixels, masks

    def _camera(self, t: float) -> NDArray[np.float64]:
        """From the ground's pixels to the picture's: a sway and a little perspective."""
        sway = self._scene.camera
        x = self._width * (-0.25 + sway * np.sin(2 * np.pi * t))
        y = self._height * (-0.25 + sway * np.sin(4 * np.pi * t) / 2)
        lean = sway * 1e-3 * np.sin(2 * np.pi * t + 1) * 480 / self._height
        return np.array([[1, sway * np.sin(6 * t) / 2, x], [0, 1, y], [0, lean, 1]], np.float64)

    def _placed(self, pose: Pose) -> NDArray[np.float64]:
        """From a sprite's pixels to the picture's."""
        scale = pose.size * self._height / SPRITE
        turned = np.array(cv2.getRotationMatrix2D((SPRITE / 2, SPRITE / 2), pose.angle, scale), np.float64)
        turned[:, 2] += np.array([pose.x * self._width - SPRITE / 2, pose.y * self._height - SPRITE / 2])
        return turned

    def _draw(self, sprite: Sprite) -> tuple[Pixels, NDArray[np.float32]]:
        """Gives a sprite's colours and its outline, 0 to 1."""
        colours = self._texture((SPRITE, SPRITE), sprite.colours, octaves=4)
        alpha = np.zeros((SPRITE, SPRITE), np.float32)
        if sprite.square:
            alpha[4:-4, 4:-4] = 1.0
            return colours, alpha
        at = np.linspace(0, 2 * np.pi, 90, endpoint=False)
        reach = SPRITE * (0.34 + 0.13 * np.cos(sprite.points * at) + 0.02 * self._rng.normal(0, 1, 90))
        outline = np.stack([SPRITE / 2 + reach * np.cos(at), SPRITE / 2 + reach * np.sin(at)], axis=1)
        cv2.fillPoly(alpha, [outline.clip(0, SPRITE - 1).astype(np.int32)], 1.0)
        return colours, np.asarray(cv2.GaussianBlur(alpha, (0, 0), 1.0), np.float32)

    def _texture(self, size: tuple[int, int], colours: tuple[Bgr, Bgr], octaves: int) -> Pixels:
        """Blotches between two colours: noise of several sizes, the finer the fainter."""
        height, width = size
        mix = np.zeros(size, np.float32)
        for octave in range(octaves):
            cells = self._rng.normal(0, 1, (3 * 2**octave, 3 * 2**octave * max(1, width // height))).astype(np.float32)
            mix += np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)) * 0.75**octave
        mix = 1 / (1 + np.exp(-2 * (mix - mix.mean()) / mix.std()))
        first, second = (np.array(colour, np.float32) for colour in colours)
        picture = first + mix[..., None] * (second - first)
        return np.asarray(np.clip(picture + self._rng.normal(0, 6, (*size, 1)), 0, 255), np.uint8)
