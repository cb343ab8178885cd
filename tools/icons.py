"""Draws the page's icon: a pair of glasses, one lens that looks and one that hears.

Run ``python -m tools.icons`` from the checkout. One list of shapes gives the SVG and the PNG files, so that they cannot differ.
Everything that matters lies within the circle of 80 % that phones leave of a maskable icon (W3C, Web Application Manifest).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

FOLDER = Path(__file__).parents[1] / "phone_bridge" / "web"
GRID = 512
"""Units of the drawing, a side."""
CORNER = 112
"""Radius of the SVG's corners. The PNG files have none: phones and desktops cut their own."""
GROUND = "#1d7a5b"
INK = "#ffffff"
STROKE = 30
SIZES = (180, 192, 512)
"""Pixels a side: what iOS, Android and installers ask for."""
FINER = 4
"""The PNG files are drawn this much larger and then reduced: Pillow's own lines have hard edges."""


@dataclass(frozen=True, slots=True)
class Disc:
    """A circle, filled or drawn as a ring of STROKE."""

    x: float
    y: float
    radius: float
    filled: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line of STROKE with round ends."""

    x0: float
    y0: float
    x1: float
    y1: float


SHAPES: tuple[Disc | Line, ...] = (
    Disc(160, 262, 78),
    Disc(352, 262, 78),
    Line(240, 246, 272, 246),
    Disc(160, 262, 30, filled=True),
    Line(316, 254, 316, 270),
    Line(352, 232, 352, 292),
    Line(388, 254, 388, 270),
)


def svg() -> str:
    """Gives the icon as an SVG document."""
    shapes = "".join(map(_element, SHAPES))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {GRID} {GRID}">'
        f'<rect width="{GRID}" height="{GRID}" rx="{CORNER}" fill="{GROUND}"/>'
        f'<g fill="none" stroke="{INK}" stroke-width="{STROKE}" stroke-linecap="round">{shapes}</g></svg>\n'
    )


def _element(shape: Disc | Line) -> str:
    match shape:
        case Disc(x, y, radius, filled=True):
            return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{INK}" stroke="none"/>'
        case Disc(x, y, radius):
            return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}"/>'
        case Line(x0, y0, x1, y1):
            return f'<path d="M{x0:g} {y0:g}L{x1:g} {y1:g}"/>'


def png(size: int) -> Image.Image:
    """Gives the icon as a picture of ``size`` pixels a side."""
    scale = size * FINER / GRID
    picture = Image.new("RGB", (size * FINER, size * FINER), GROUND)
    pen = ImageDraw.Draw(picture)
    half = STROKE / 2
    for shape in SHAPES:
        match shape:
            case Disc(x, y, radius, filled):
                outer = radius if filled else radius + half
                box = [(x - outer) * scale, (y - outer) * scale, (x + outer) * scale, (y + outer) * scale]
                pen.ellipse(box, fill=INK if filled else None, outline=INK, width=1 if filled else round(STROKE * scale))
            case Line(x0, y0, x1, y1):
                pen.line([x0 * scale, y0 * scale, x1 * scale, y1 * scale], fill=INK, width=round(STROKE * scale))
                for x, y in ((x0, y0), (x1, y1)):
                    pen.ellipse([(x - half) * scale, (y - half) * scale, (x + half) * scale, (y + half) * scale], fill=INK)
    return picture.resize((size, size), Image.Resampling.LANCZOS)


def main() -> None:
    """Writes all of them beside the page."""
    (FOLDER / "icon.svg").write_text(svg(), encoding="utf-8")
    for size in SIZES:
        png(size).save(FOLDER / f"icon-{size}.png", optimize=True)


if __name__ == "__main__":
    main()
