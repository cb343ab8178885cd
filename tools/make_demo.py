"""Makes the bundled scene of ``nearsight demo``: three pictures drawn by code, three questions spoken by flite.

Run ``python -m tools.make_demo`` from the checkout where flite is installed (Debian: ``flite``). Every random number has a
fixed seed, so the pictures come out the same with the same OpenCV, and the sound with the same flite. What the scene expects
of each turn is written beside the files, in ``edge/demo/scene.toml``, by hand: that file is the input here.

The pictures are drawn with OpenCV's own TrueType font and then spoilt as a head-worn camera spoils them: perspective, uneven
light, a dark rim, a little defocus, sensor noise and JPEG.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

FOLDER = Path(__file__).parents[1] / "edge" / "demo"
RATE = 16_000
"""Samples a second."""
WIDTH, HEIGHT = 960, 720
"""Of a picture, in pixels."""
LEAD_S, TAIL_S = 1.0, 2.0
"""Silence before the wake word and after the last word, in seconds: room for the session to settle and to hear the end."""
FLOOR = 16
"""Root mean square of the microphone's own noise, of 32768: digital silence is not what a microphone gives."""
WAKE, WAKE_PAUSE_S = "hey jarvis", 0.3
"""Said before the question, and the breath after it: run together, flite slurs the two and the wake word is not found."""

Picture = NDArray[np.uint8]
Light = NDArray[np.float32]
Colour = tuple[int, int, int]
"""Blue, green, red."""
Corners = Sequence[tuple[float, float]]
"""Top left, top right, bottom right, bottom left, in pixels."""


def spoken(text: str, voice: str) -> NDArray[np.float32]:
    """Gives ``text`` as flite's ``voice`` says it, 16 kHz mono, peak 0.5."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
        sound, rate = soundfile.read(path, dtype="float32")
    sound = soxr.resample(sound, rate, RATE)
    return np.asarray(sound * (0.5 / np.abs(sound).max()), dtype=np.float32)


def recording(parts: Sequence[tuple[float, str]], voice: str, seed: int) -> NDArray[np.int16]:
    """Gives one recording: each part is (the pause before it in seconds, its words)."""
    pieces = [piece for pause, text in parts for piece in (silence(pause), spoken(text, voice))]
    sound = np.concatenate([*pieces, silence(TAIL_S)]) * 32768
    return (sound + np.random.default_rng(seed).normal(0, FLOOR, len(sound))).round().clip(-32768, 32767).astype(np.int16)


def silence(seconds: float) -> NDArray[np.float32]:
    """Gives digital silence; the microphone's noise is laid over it later."""
    return np.zeros(round(seconds * RATE), np.float32)


def cloud(seed: int, cells: int) -> Light:
    """Gives smooth random light, shape (HEIGHT, WIDTH), -1 to 1, with about ``cells`` blotches across."""
    rough = np.random.default_rng(seed).uniform(-1, 1, (cells * HEIGHT // WIDTH + 2, cells + 2)).astype(np.float32)
    return np.asarray(cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def tinted(light: Light, colour: Colour, spread: float) -> Picture:
    """Gives a surface of one colour, darker and lighter by ``spread`` as ``light`` says."""
    surface = np.asarray(colour, np.float32) * (1 + spread * light[..., None])
    return surface.clip(0, 255).astype(np.uint8)


def hedge() -> Picture:
    """Gives leaves, out of focus."""
    leaves = tinted(0.5 * cloud(1, 60) + 0.5 * cloud(2, 140), (52, 104, 62), 0.7)
    return np.asarray(cv2.GaussianBlur(leaves, (0, 0), 4), dtype=np.uint8)


def stone() -> Picture:
    """Gives a wall of blocks."""
    wall = tinted(0.4 * cloud(3, 12) + 0.3 * cloud(4, 200) + 0.3 * cloud(5, 480), (150, 162, 168), 0.25)
    for row, y in enumerate(range(90, HEIGHT, 180)):
        cv2.line(wall, (0, y), (WIDTH, y + 6), (104, 112, 116), 5, cv2.LINE_AA)
        for x in range(120 + 160 * (row % 2), WIDTH, 320):
            cv2.line(wall, (x, y - 180), (x + 2, y), (104, 112, 116), 5, cv2.LINE_AA)
    return wall


def planks() -> Picture:
    """Gives a wall of painted boards."""
    wall = tinted(0.6 * cloud(6, 6) + 0.4 * cloud(7, 300), (116, 92, 58), 0.2)
    for x in range(60, WIDTH, 120):
        cv2.line(wall, (x, 0), (x - 8, HEIGHT), (58, 44, 30), 4, cv2.LINE_AA)
    return wall


def board(size: tuple[int, int], paint: Colour, ink: Colour, lines: Sequence[tuple[str, int, int]]) -> Picture:
    """Gives a plate with a border and centred lines; each is (text, height of the type in pixels, baseline in pixels)."""
    width, height = size
    plate = np.full((height, width, 3), paint, np.uint8)
    cv2.rectangle(plate, (14, 14), (width - 15, height - 15), ink, 5, cv2.LINE_AA)
    font = cv2.FontFace("sans")
    for text, type_size, baseline in lines:
        x0, _, run, _ = cv2.getTextSize((0, 0), text, (0, 0), font, type_size, 600)
        cv2.putText(plate, text, ((width - run) // 2 - x0, baseline), ink, font, type_size, 600)
    return plate


def hung(plate: Picture, wall: Picture, corners: Corners) -> Picture:
    """Gives the wall with the plate on it, seen from the side, with the plate's shadow below it."""
    height, width = plate.shape[:2]
    flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    view = cv2.getPerspectiveTransform(flat, np.array(corners, np.float32))
    cover = cv2.warpPerspective(np.ones((height, width), np.float32), view, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)
    shadow = cv2.GaussianBlur(np.roll(cover, (12, 8), (0, 1)), (0, 0), 9)
    seen = cv2.warpPerspective(plate, view, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)
    scene = wall * (1 - 0.55 * shadow[..., None])
    return np.asarray(scene * (1 - cover[..., None]) + seen * cover[..., None], dtype=np.uint8)


def photographed(scene: Picture, seed: int) -> Picture:
    """Gives the scene as a small camera sees it: light from one side, a dark rim, slight defocus, noise."""
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j].astype(np.float32)
    light = (1.02 + 0.14 * x - 0.1 * y) * (1 - 0.22 * (x**2 + y**2)) + 0.04 * cloud(seed, 4)
    soft = cv2.GaussianBlur(scene, (0, 0), 0.8).astype(np.float32) * light[..., None]
    noise = np.random.default_rng(seed).normal(0, 4.5, scene.shape)
    seen: Picture = (soft + noise).clip(0, 255).astype(np.uint8)
    return seen


def park() -> Picture:
    """Gives a painted sign in front of a hedge."""
    lines = [("RIVERSIDE PARK", 62, 104), ("Open every day", 52, 196), ("Please keep dogs on a lead", 46, 280)]
    plate = board((760, 340), (70, 92, 22), (236, 240, 240), lines)
    scene = hedge()
    cv2.rectangle(scene, (250, 430), (282, HEIGHT), (70, 74, 78), -1)
    cv2.rectangle(scene, (700, 430), (734, HEIGHT), (64, 68, 72), -1)
    return photographed(hung(plate, scene, [(138, 176), (836, 128), (826, 494), (150, 470)]), 11)


def museum() -> Picture:
    """Gives a brass plate on a stone wall."""
    lines = [("CITY MUSEUM", 74, 124), ("Opens at 10 am", 56, 236), ("Closes at 6 pm", 56, 322)]
    plate = board((640, 390), (92, 158, 186), (26, 34, 40), lines)
    return photographed(hung(plate, stone(), [(176, 138), (774, 182), (768, 556), (168, 566)]), 12)


def ferry() -> Picture:
    """Gives a long notice on painted boards."""
    rules = [
        "Tickets are sold on board",
        "Bicycles travel free of charge",
        "Stay seated until the boat has stopped",
        "Life jackets are under the seats",
        "Do not lean over the rail",
        "Children must hold a hand",
        "The last boat leaves at half past nine",
        "Thank you for travelling with us",
    ]
    lines = [("HARBOUR FERRY", 64, 100), *((rule, 38, 180 + 62 * at) for at, rule in enumerate(rules))]
    plate = board((820, 680), (228, 236, 238), (96, 40, 18), lines)
    return photographed(hung(plate, planks(), [(96, 54), (856, 32), (862, 684), (88, 668)]), 13)


DRAWN: dict[str, Callable[[], Picture]] = {"park.jpg": park, "museum.jpg": museum, "ferry.jpg": ferry}
"""The pictures by the name that the scene gives them."""


def main() -> int:
    """Writes the sound and the pictures of every turn of the scene."""
    scene = tomllib.loads((FOLDER / "scene.toml").read_text(encoding="utf-8"))
    for at, turn in enumerate(scene["turn"]):
        parts = [(LEAD_S, WAKE), (WAKE_PAUSE_S, turn["says"])]
        if "cut_by" in turn:
            parts.append((turn["cut_after_s"], turn["cut_by"]))
        sound = recording(parts, turn["voice"], seed=at)
        soundfile.write(FOLDER / turn["audio"], sound, RATE, subtype="PCM_16")
        cv2.imwrite(str(FOLDER / turn["picture"]), DRAWN[turn["picture"]](), [cv2.IMWRITE_JPEG_QUALITY, 82])
    for path in sorted(FOLDER.glob("*.*")):
        print(f"{path.name:14} {path.stat().st_size:8} bytes", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
