"""Reads what clients offer: SDP offers and trickle fragments, bounded and checked before a connection is made for them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from aioice import Candidate, Connection
from aiortc import sdp

from edge.errors import InputError

MAX_SDP = 65_536
MAX_LINES = 2_000
MAX_CANDIDATES = 64
"""A laptop with a dozen interfaces and a relay has fewer."""
MAX_SECTIONS = {"audio": 1, "video": 1, "application": 1}
"""Media sections of each kind that are understood."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that can be answered."""

    text: str
    """The SDP without its candidates, for aiortc."""
    candidates: tuple[Candidate, ...]
    username: str
    """ICE username fragment."""
    returns_sound: bool
    """Whether the client would hear replies; a WHIP client only sends."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A trickle fragment (RFC 8840 section 9)."""

    username: str | None
    password: str | None
    candidates: tuple[Candidate, ...]


def read_offer(text: str) -> Offer:
    """Checks an offer. Raises InputError with a sentence that tells what is wrong with it."""
    lines = _lines(text)
    try:
        description = sdp.SessionDescription.parse(text)
    except Exception as error:  # aiortc's parser asserts, indexes and unpacks what strangers wrote
        raise InputError("malformed SDP: it cannot be parsed") from error
    for media in description.media:
        count = sum(other.kind == media.kind for other in description.media)
        if count > MAX_SECTIONS.get(media.kind, 0):
            raise InputError(
                f"the offer has {count} sections of {media.kind[:20]!r}, {MAX_SECTIONS.get(media.kind, 0)} can be answered"
            )
        if media.ice is None or not media.ice.usernameFragment or not media.ice.password:
            raise InputError("the offer has no ICE credentials")
        if media.dtls is None or not media.dtls.fingerprints:
            raise InputError("the offer has no DTLS fingerprint or role")
        if media.kind == "application" and media.profile != "DTLS/SCTP" and media.sctp_port is None:
            raise InputError("malformed SDP: a data channel without sctp-port")
    _check_bundle(description)
    audio = next((media for media in description.media if media.kind == "audio"), None)
    if audio is None or audio.ice is None or not audio.port or audio.direction not in ("sendrecv", "sendonly", None):
        raise InputError("the offer sends no sound")
    if not any(codec.mimeType.lower() == "audio/opus" for codec in audio.rtp.codecs):
        raise InputError("no sound codec in common: Opus is understood")
    kept = [line for line in _with_directions(lines) if not line.startswith(("a=candidate:", "a=end-of-candidates"))]
    return Offer(
        "\r\n".join(kept) + "\r\n",
        _candidates(lines),
        str(audio.ice.usernameFragment),
        audio.direction != "sendonly",
    )


def read_fragment(text: str) -> Fragment:
    """Reads a trickle fragment. Raises InputError."""
    lines = _lines(text)
    if not any(line.startswith("a=") for line in lines):
        raise InputError("malformed fragment: no attribute in it")
    return Fragment(_value(lines, "a=ice-ufrag:"), _value(lines, "a=ice-pwd:"), _candidates(lines))


def write_fragment(agent: Connection, mid: str) -> str:
    """Gives the fragment of an agent's credentials and all its candidates."""
    return "\r\n".join(
        [
            f"a=ice-ufrag:{agent.local_username}",
            f"a=ice-pwd:{agent.local_password}",
            "m=audio 9 UDP/TLS/RTP/SAVPF 0",
            f"a=mid:{mid}",
            *(f"a=candidate:{candidate.to_sdp()}" for candidate in agent.local_candidates),
            "a=end-of-candidates",
            "",
        ]
    )


def _check_bundle(description: sdp.SessionDescription) -> None:
    """All sections share one transport, as browsers offer and RFC 9725 section 4.2 asks."""
    mids = [media.rtp.muxId for media in description.media]
    bundled = next((group.items for group in description.group if group.semantic == "BUNDLE"), [])
    if len(mids) > 1 and (len(set(mids)) < len(mids) or not set(mids) <= set(bundled)):
        raise InputError("the offer's sections are not in one bundle")


def _with_directions(lines: Sequence[str]) -> list[str]:
    """Spells out the direction where the offer leaves it to the default (RFC 8866 section 6.7), which aiortc does not know."""
    starts = [at for at, line in enumerate(lines) if line.startswith("m=")] + [len(lines)]
    spelt = list(lines[: starts[0]])
    for start, end in itertools.pairwise(starts):
        section = lines[start:end]
        spelt += section
        if section[0].startswith(("m=audio", "m=video")) and not set(section) & _DIRECTIONS:
            spelt.append("a=sendrecv")
    return spelt


_DIRECTIONS = {"a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"}


def _lines(text: str) -> Sequence[str]:
    if len(text) > MAX_SDP:
        raise InputError(f"SDP of more than {MAX_SDP} characters")
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        raise InputError(f"SDP of more than {MAX_LINES} lines")
    return lines


def _value(lines: Sequence[str], start: str) -> str | None:
    return next((line[len(start) :].strip() for line in lines if line.startswith(start)), None)


def _candidates(lines: Sequence[str]) -> tuple[Candidate, ...]:
    """Gives the candidates that can be tried: UDP, the first component, by address.

    Browsers hide host addresses behind mDNS names. Those are left out: resolving takes up to a second of waiting on networks
    without multicast, and is not needed, because whoever could post an offer here can reach our candidates, and shows its
    address with its first check (a peer-reflexive candidate, RFC 8445 section 7.3.1.3).
    """
    found = []
    for line in lines:
        if not line.startswith("a=candidate:"):
            continue
        try:
            candidate = Candidate.from_sdp(line.removeprefix("a=candidate:"))
        except (ValueError, IndexError) as error:
            raise InputError("malformed SDP: a candidate that cannot be read") from error
        if candidate.transport.lower() == "udp" and candidate.component == 1 and not candidate.host.endswith(".local"):
            found.append(candidate)
    if len(found) > MAX_CANDIDATES:
        raise InputError(f"more than {MAX_CANDIDATES} candidates")
    return tuple(found)
