"""What the wearer is told of engines on other machines. Nothing leaves this one unless its owner says so, and then it shows."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from typing import Final

SAID: Final[Mapping[str, str]] = {
    "wake": "listening for the wake word",
    "recogniser": "speech recognition",
    "language_model": "answering",
    "vision_language": "looking at pictures",
    "voice": "my voice",
    "translator": "translation",
}
"""The ports that can be elsewhere, as they are spoken of, in the order in which they are."""


def leaves(server: str) -> bool:
    """Whether what is sent to ``HOST:PORT`` leaves this machine; ``unix:PATH`` does not. A name is another machine's."""
    if server.startswith("unix:"):
        return False
    host = server.rpartition(":")[0].strip("[]") or server
    if host == "localhost" or not host:
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def abroad(ports: Mapping[str, str]) -> frozenset[str]:
    """Gives the ports whose server, ``HOST:PORT``, is on another machine."""
    return frozenset(port for port, server in ports.items() if leaves(server))


def sentence(before: Collection[str], now: Collection[str], *, first: bool) -> str:
    """Says how it changed which ports are on another machine; empty where it did not.

    ``first`` is the session's start: then only what is elsewhere is news.
    """
    went = _list(set(now) - set(before))
    came = _list(set(before) - set(now))
    said = [f"I cannot reach the other computer. From now on {came} {_are(came)} done here."] if came else []
    if went:
        again = "" if first else " again"
        said.append(f"{went[0].upper()}{went[1:]} {_are(went)} done on another computer{again}.")
    return " ".join(said)


def _list(ports: Collection[str]) -> str:
    names = [SAID.get(port, port.replace("_", " ")) for port in sorted(ports, key=_place)]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _are(listed: str) -> str:
    return "are" if " and " in listed else "is"


def _place(port: str) -> tuple[int, str]:
    return (tuple(SAID).index(port) if port in SAID else len(SAID), port)
