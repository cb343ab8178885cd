"""Who may pair with the simulated glasses: whoever asks in the pairing window, with LE Secure Connections only."""

from __future__ import annotations

from collections.abc import Callable

from bumble import smp
from bumble.device import Device
from bumble.pairing import PairingConfig, PairingDelegate


def guard(device: Device, pairable: Callable[[], bool]) -> None:
    """Guards a device's pairing."""
    device.pairing_config_factory = lambda connection: PairingConfig(
        sc=True, mitm=False, bonding=True, delegate=_Door(pairable)
    )
    device.smp_session_proxy = _Session


class _Door(PairingDelegate):
    def __init__(self, pairable: Callable[[], bool]) -> None:
        super().__init__()
        self._pairable = pairable

    async def accept(self) -> bool:
        return self._pairable()


class _Session(smp.Session):
    def on_smp_pairing_request_command(self, command: smp.SMP_Pairing_Request_Command) -> None:
        if command.auth_req & smp.AuthReq.SC:
            super().on_smp_pairing_request_command(command)
        else:  # legacy pairing can be listened to
            self.send_pairing_failed(smp.ErrorCode.AUTHENTICATION_REQUIREMENTS)
