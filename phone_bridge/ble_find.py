"""Which glasses are meant, and where they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.errors import LinkError, UsageError
from phone_bridge.ble_adapters import Adapter
from phone_bridge.ble_gatt import bleak_package

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData, BaseBleakScanner


@dataclass(frozen=True, slots=True)
class Sought:
    """The glasses that a link is for: by address, else by name, else any that an adapter knows for certain."""

    uri: str
    address: str
    """In upper case; empty for any."""
    name: str
    """Exactly as advertised; empty for any."""
    adapters: tuple[Adapter, ...]

    def matches(self, device: BLEDevice, advertised: AdvertisementData) -> bool:
        """Says whether a device may be meant."""
        if self.address:
            return device.address.upper() == self.address
        if self.name:
            return self.name in (advertised.local_name, device.name)
        particular = [adapter for adapter in self.adapters if adapter.particular]
        return any(
            adapter.service in advertised.service_uuids or advertised.local_name in adapter.names for adapter in particular
        )

    async def find(self, patience: float, settle: float, *, backend: type[BaseBleakScanner] | None = None) -> BLEDevice:
        """Gives the one device that is meant.

        Listens ``settle`` seconds on after the first, at most ``patience`` seconds in all. Raises LinkError where there is
        none, UsageError where there are several: somebody else's glasses are not to be guessed at.
        """
        found = await scan(self.matches, patience, settle=0.0 if self.address else settle, backend=backend)
        if not found:
            what = f"named {self.name!r} " if self.name else f"at {self.address} " if self.address else ""
            hint = "switch them on, bring them near, and disconnect them from the phone's app, which holds them alone"
            raise LinkError(f"{self.uri}: no glasses {what}were heard within {patience:g} s: {hint}")
        if len(found) > 1:
            each = ", ".join(f"ble:{address} ({advertised.local_name})" for address, (_, advertised) in sorted(found.items()))
            raise UsageError(f"{self.uri} could be any of {len(found)} pairs: name one of {each}")
        ((device, _),) = found.values()
        return device


async def scan(
    wanted: Callable[[BLEDevice, AdvertisementData], bool],
    seconds: float,
    *,
    settle: float = 0.0,
    backend: type[BaseBleakScanner] | None = None,
) -> dict[str, tuple[BLEDevice, AdvertisementData]]:
    """Listens for devices until ``settle`` seconds after the first wanted one, at most ``seconds``; gives them by address.

    Raises LinkError where this computer has no Bluetooth that can be used, in words that say what to do.
    """
    bleak = bleak_package()
    found: dict[str, tuple[BLEDevice, AdvertisementData]] = {}
    first = asyncio.Event()

    def heard(device: BLEDevice, advertised: AdvertisementData) -> None:
        if wanted(device, advertised):
            found[device.address] = device, advertised
            first.set()

    try:
        async with bleak.BleakScanner(heard, backend=backend):
            try:
                async with asyncio.timeout(seconds):
                    await first.wait()
                    await asyncio.sleep(settle)
            except TimeoutError:
                pass
    except bleak.exc.BleakBluetoothNotAvailableError as error:
        raise LinkError(f"no Bluetooth: {_ADVICE.get(error.reason.name, error.args[0])}") from error
    except (bleak.exc.BleakError, OSError, EOFError) as error:
        raise LinkError(f"no Bluetooth: {_plain(error)}") from error
    return found


_ADVICE = {
    "NO_BLUETOOTH": "this computer has no Bluetooth adapter, or BlueZ does not run (systemctl status bluetooth)",
    "POWERED_OFF": "the adapter is switched off (bluetoothctl power on)",
    "NO_BLE_CENTRAL_ROLE": "the adapter cannot reach Bluetooth LE devices",
    "DENIED_BY_USER": "this user may not use it",
    "DENIED_BY_SYSTEM": "the system does not allow it",
}


def _plain(error: Exception) -> str:
    """One line that a person can act on."""
    text = str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError) or "dbus" in text.lower():
        return f"BlueZ is not reached over D-Bus: install it and start it (systemctl start bluetooth) ({text})"
    return text
