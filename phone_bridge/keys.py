"""What ``keys.json`` holds: the devices that are paired, and those that wait to be let in."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ROLES = ("owner", "wearer", "partner")
"""An owner sees the dashboard, the recordings and the devices; a wearer sees the own page; a partner, with whom a wearer talks,
reads and hears what is translated for them, and has a button to talk. Who comes first may do what those behind may."""
PARTNER_LIFE_S = 12 * 3600.0
"""How long a partner's key is good: a conversation, not an acquaintance."""
EMPTY: Mapping[str, Any] = {"version": 1, "devices": []}


@dataclass(frozen=True, slots=True)
class Device:
    """A paired phone, browser or pair of glasses."""

    id: str
    """Names it in logs and commands. It opens nothing."""
    name: str
    wearer: str
    role: str
    paired: float
    """Seconds since 1970."""
    seen: float
    """When it was last here, seconds since 1970."""

    def expired(self, now: float) -> bool:
        """Says whether its key is too old at ``now``, seconds since 1970."""
        return self.role == "partner" and not self.paired <= now < self.paired + PARTNER_LIFE_S


@dataclass(slots=True)
class Entry:
    """A device, and the hashes by which it is known."""

    device: Device
    key_sha256: str
    claim_sha256: str = ""
    """Of what a device without a browser says of itself; empty for the others."""


@dataclass(frozen=True, slots=True)
class Knock:
    """A device that waits to be let in."""

    code: str
    """Six digits, which it shows."""
    name: str
    until: float
    """How long it waits, seconds since 1970."""
    key_sha256: str
    claim_sha256: str


def entries(table: Any) -> dict[str, Entry]:
    """Reads the devices, by their ids. Raises what reading a damaged table raises."""
    if table["version"] != 1:
        raise ValueError("written by a later release")
    found = {}
    for row in table["devices"]:
        name, wearer, role = (str(row[key]) for key in ("name", "wearer", "role"))
        device = Device(str(row["id"]), name, wearer, role, float(row["paired"]), float(row["seen"]))
        if device.role not in ROLES or len(row["key_sha256"]) != 64:
            raise ValueError(f"device {device.id}")
        found[device.id] = Entry(device, row["key_sha256"], str(row.get("claim_sha256", "")))
    return found


def waiting(table: Any) -> dict[str, Knock]:
    """Reads those that wait, by their digits. Raises the same."""
    knocks = {}
    for row in table.get("waiting", []):
        code, name, key, claim = (str(row[name]) for name in ("code", "name", "key_sha256", "claim_sha256"))
        knocks[code] = Knock(code, name, float(row["until"]), key, claim)
    return knocks


def table(kept: Iterable[Entry], knocks: Iterable[Knock]) -> dict[str, Any]:
    """Gives what is written."""
    devices = [
        {**dataclasses.asdict(entry.device), "key_sha256": entry.key_sha256, "claim_sha256": entry.claim_sha256}
        for entry in kept
    ]
    return {"version": 1, "devices": devices, "waiting": [dataclasses.asdict(knock) for knock in knocks]}
