"""QR and bar codes, said aloud. Nothing is ever opened: a code is what a stranger stuck on a wall."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

from edge.skill import Asking
from edge.values import Code

CODES = 3
"""The most codes that are described."""
WORDS = 30
"""The most words of a code's text that are spoken."""


class ScanCode:
    """Says what kind of code is in view and what it holds."""

    name = "scan_code"
    summary = "scan a code"
    phrases: Sequence[str] = (
        "[please] scan (this | that | it | the code | this code | that code)",
        "[please] (scan | read) (the | this | that) (q r | bar) code",
        "[please] read (the | this | that) code",
        "what is (this | that | the) [q r | bar] code",
        "what does (this | that | the) [q r | bar] code say",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives one sentence a code."""
        codes = await asking.codes()
        if not codes:
            yield "I see no code."
        for code in codes[:CODES]:
            yield f"{described(code)}. "
        if len(codes) > CODES:
            yield f"And {len(codes) - CODES} more."


def described(code: Code) -> str:
    """Gives what a code is and holds, as it is said. A web address is told by its host, which is what can be trusted in it."""
    if code.kind != "qr":
        return f"A bar code, {' '.join(code.data)}" if code.data.isdigit() else f"A bar code, {_shortened(code.data)}"
    return f"A QR code {_content(code.data)}"


def _content(data: str) -> str:
    scheme = data.partition(":")[0].lower()
    if scheme in ("http", "https"):
        host = _host(data)
        return f"for {host.removeprefix('www.').replace('.', ' dot ')}" if host else "with a broken web address"
    if scheme == "wifi":
        name = re.search(r"(?:^|[:;])S:((?:\\.|[^;\\])*)", data)
        # The password stays unsaid: others listen.
        return f"for the Wi-Fi network {_shortened(_unescaped(name[1]))}" if name else "for a Wi-Fi network"
    if scheme == "mailto":
        return f"for mail to {_shortened(data[7:].partition('?')[0])}"
    if scheme in ("tel", "sms", "smsto"):
        return f"for the telephone number {_shortened(data.partition(':')[2])}"
    if data.upper().startswith("BEGIN:VCARD"):
        name = re.search(r"^FN[^:\n]*:(.+)$", data, re.MULTILINE)
        return f"with a contact, {_shortened(name[1])}" if name else "with a contact"
    return f"that says, {_shortened(data)}"


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _unescaped(field: str) -> str:
    return re.sub(r"\\(.)", r"\1", field)


def _shortened(text: str) -> str:
    words = text.split()
    return " ".join(words[:WORDS]) + (", and so on" if len(words) > WORDS else "")
