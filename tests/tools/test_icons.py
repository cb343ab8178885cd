from __future__ import annotations

import pytest
from PIL import Image

from tools import icons


def test_the_drawing_in_the_repository_is_the_codes() -> None:
    assert (icons.FOLDER / "icon.svg").read_text(encoding="utf-8") == icons.svg()


@pytest.mark.parametrize("size", icons.SIZES)
def test_pictures_show_the_same_shapes(size: int) -> None:
    with Image.open(icons.FOLDER / f"icon-{size}.png") as file:
        picture = file.convert("L")
    assert picture.size == (size, size)
    scale = size / icons.GRID
    assert picture.getpixel((round(160 * scale), round(262 * scale))) == 255, "the lens that looks"
    assert picture.getpixel((round(352 * scale), round(262 * scale))) == 255, "the lens that hears"
    assert picture.getpixel((2, 2)) != 255
