"""``devices list|approve|revoke``: who may come in. A station that serves sees at once what is changed here."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from edge import app
from edge.cli.output import Output


def list_devices(profile: str | None, config: Path | None, *, as_json: bool) -> None:
    """The paired devices, the oldest first, and those that wait to be let in. Raises ConfigError, StorageError."""
    output = Output(as_json=as_json)
    access = app.access(app.load_config(profile, config))
    devices = access.devices()
    for device in devices:
        seen, paired = _day(device.seen), _day(device.paired)
        output.line(
            {
                "device": device.id,
                "name": device.name,
                "wearer": device.wearer,
                "role": device.role,
                "paired": device.paired,
                "seen": device.seen,
            },
            f"{device.id}  {device.wearer:<16} {device.role:<7} seen {seen}  paired {paired}  {device.name}",
        )
    waiting = access.waiting()
    for knock in waiting:
        line = f"waiting   shows {knock.code}: nearsight devices approve {knock.code}   {knock.name}"
        output.line({"waiting": knock.code, "name": knock.name, "until": knock.until}, line)
    if not devices and not waiting and not as_json:
        print("no device is paired")


def approve(code: str, wearer: str, profile: str | None, config: Path | None, *, as_json: bool) -> None:
    """Lets a device in that shows ``code``; a station that serves tells it within some seconds.

    Raises UsageError where none shows it, ConfigError, StorageError.
    """
    device = app.access(app.load_config(profile, config)).approve(code, wearer)
    line = f"{device.id}: {device.name} is paired for {device.wearer}"
    Output(as_json=as_json).line({"device": device.id, "name": device.name, "wearer": device.wearer}, line)


def revoke(ids: list[str], profile: str | None, config: Path | None, *, as_json: bool) -> None:
    """Takes the keys of devices away; a station that serves them ends their connections within a second or two.

    Raises UsageError for a device that is not there, ConfigError, StorageError.
    """
    output = Output(as_json=as_json)
    access = app.access(app.load_config(profile, config))
    for device_id in ids:
        device = access.revoke(device_id)
        output.line({"device": device.id, "revoked": True}, f"{device.id}: {device.name} of {device.wearer} is revoked")


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"
