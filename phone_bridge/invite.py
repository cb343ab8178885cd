"""A link that pairs a device, as a picture that a phone's camera reads.

The token stands in the URL's fragment, which browsers keep to themselves: no server, proxy or log on the way sees it.
"""

from __future__ import annotations

import io


def terminal_qr(url: str) -> str:
    """Gives a QR code as lines of half blocks, for a terminal of light letters on a dark ground.

    On a terminal with a light ground the code appears inverted, which phones read as well.
    """
    import qrcode

    code = qrcode.QRCode(border=2, error_correction=qrcode.constants.ERROR_CORRECT_L)
    code.add_data(url)
    drawn = io.StringIO()
    code.print_ascii(out=drawn, invert=True)
    return drawn.getvalue()


def svg_qr(url: str) -> str:
    """Gives a QR code as an SVG document: one black path on white, 4 modules of quiet zone."""
    import qrcode
    from qrcode.image.svg import SvgPathFillImage

    code = qrcode.QRCode(border=4, error_correction=qrcode.constants.ERROR_CORRECT_M, image_factory=SvgPathFillImage)
    code.add_data(url)
    drawn: str = code.make_image().to_string(encoding="unicode")
    return drawn
