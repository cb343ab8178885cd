"""A radio in memory: bumble's virtual link with the pace, the delay and the reach of a real one.

Below GATT a Bluetooth LE link loses nothing: the link layer repeats each packet until it is acknowledged, or the supervision
timeout ends the connection (Core 5.4, vol 6, part B, 4.5.2 and 4.5.9). What glasses lose, they lose before the radio, where
a queue is full. So this radio is slow, late or out of reach, and never drops a packet of a living connection; a simulated
device looks at ``Radio.waiting`` and drops at the source, as firmware does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from bumble import hci, ll
from bumble.controller import Connection as LinkConnection
from bumble.controller import Controller
from bumble.core import PhysicalTransport
from bumble.device import Device
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport.common import AsyncPipeSink

SUPERVISION_S = 0.42
"""What Linux asks for where nobody asked for more (``le_supv_timeout`` of its Bluetooth core): 42 units of 10 ms."""


@dataclass(slots=True)
class _Way:
    """What is on its way over one connection, in one direction."""

    connection: LinkConnection
    free_at: float = 0.0
    """Loop time at which the air is free for the next packet."""
    packets: deque[tuple[float, PhysicalTransport, bytes]] = field(default_factory=deque)
    """Arrival times and packets, oldest first."""
    timer: asyncio.TimerHandle | None = None


class Radio(LocalLink):
    """The air between all devices that were made with one radio.

    ``rate`` is in bytes a second for each direction of a connection, L2CAP headers included, 0 for no limit; ``latency`` in
    seconds. Both may be changed at any time, for the packets that are sent from then on.
    """

    def __init__(self, *, rate: float = 0.0, latency: float = 0.0, supervision: float = SUPERVISION_S) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # bumble's own
        self.rate = rate
        self.latency = latency
        self.supervision = supervision
        self.sent = 0
        """Bytes handed to the air so far."""
        self._ways: dict[tuple[Controller, hci.Address], _Way] = {}
        self._away: set[Controller] = set()

    # What happens to devices.

    def device(self, name: str, address: str) -> Device:
        """Makes a device on this radio; ``await device.power_on()`` starts it."""
        controller = _Controller(name, link=self)
        host = Host(controller, AsyncPipeSink(controller))
        device = Device(name=name, address=hci.Address(address), host=host)
        device.config.keystore = None  # bonds live in memory
        return device

    def leave(self, device: Device) -> None:
        """Takes a device out of reach. Its connections end after the supervision timeout, at both ends."""
        controller = _controller(device)
        if controller not in self._away:
            self._away.add(controller)
            asyncio.get_running_loop().call_later(self.supervision, self._time_out, controller)

    def come_back(self, device: Device) -> None:
        """Brings a device back; what waited on connections that are still up goes on."""
        self._away.discard(_controller(device))
        for key in list(self._ways):
            self._schedule(key)

    def cut(self, device: Device) -> None:
        """Ends a device's connections now, at both ends, as a supervision timeout would."""
        self._hang_up(_controller(device))

    def waiting(self, device: Device) -> float:
        """Gives the seconds until what a device has sent so far is off its hands."""
        controller = _controller(device)
        now = asyncio.get_running_loop().time()
        ends = [way.free_at for (sender, _), way in self._ways.items() if sender is controller]
        return max([0.0, *(end - now for end in ends)])

    # What bumble's controllers ask of a link.

    def send_acl_data(
        self, sender_controller: Controller, destination_address: hci.Address, transport: PhysicalTransport, data: bytes
    ) -> None:
        """Puts a packet on the air behind those before it."""
        connection = sender_controller.le_connections.get(destination_address)
        if connection is None:
            return
        key = sender_controller, destination_address
        way = self._ways.get(key)
        if way is None or way.connection is not connection:
            way = self._ways[key] = _Way(connection)
        now = asyncio.get_running_loop().time()
        way.free_at = max(now, way.free_at) + (len(data) / self.rate if self.rate else 0.0)
        self.sent += len(data)
        way.packets.append((way.free_at + self.latency, transport, data))
        self._schedule(key)

    def send_advertising_pdu(self, sender_controller: Controller, packet: ll.AdvertisingPdu) -> None:
        """Lets everybody in reach hear it."""
        loop = asyncio.get_running_loop()
        if sender_controller in self._away:
            return
        for controller in self.controllers - self._away - {sender_controller}:
            loop.call_soon(controller.on_ll_advertising_pdu, packet)

    def send_ll_control_pdu(self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu) -> None:
        """Passes a word between two controllers; one that is out of reach, or has gone, hears nothing."""
        receiver = self.find_le_controller(receiver_address)
        sender = self.find_le_controller(sender_address)
        if receiver is not None and not {receiver, sender} & self._away:
            asyncio.get_running_loop().call_soon(self._control, receiver, sender_address, packet)

    # Inside.

    def _control(self, receiver: Controller, sender_address: hci.Address, packet: ll.ControlPdu) -> None:
        if sender_address in receiver.le_connections:  # both ends may have hung up at once
            receiver.on_ll_control_pdu(sender_address, packet)

    def _other(self, connection: LinkConnection) -> Controller | None:
        for controller in self.controllers:
            theirs = controller.le_connections.get(connection.self_address)
            if theirs is not None and theirs.self_address == connection.peer_address:
                return controller
        return None

    def _schedule(self, key: tuple[Controller, hci.Address]) -> None:
        way = self._ways[key]
        if way.timer is None and way.packets:
            way.timer = asyncio.get_running_loop().call_at(way.packets[0][0], self._deliver, key, way)

    def _deliver(self, key: tuple[Controller, hci.Address], way: _Way) -> None:
        way.timer = None
        sender, destination = key
        if self._ways.get(key) is not way or sender.le_connections.get(destination) is not way.connection:
            way.packets.clear()  # its connection has ended
            return
        receiver = self._other(way.connection)
        if receiver is None or {receiver, sender} & self._away:
            return
        now = asyncio.get_running_loop().time()
        while way.packets and way.packets[0][0] <= now:
            _, transport, data = way.packets.popleft()
            receiver.on_link_acl_data(way.connection.self_address, transport, data)
        self._schedule(key)

    def _time_out(self, controller: Controller) -> None:
        if controller in self._away:
            self._hang_up(controller)

    def _hang_up(self, controller: Controller) -> None:
        for connection in list(controller.le_connections.values()):
            for end, peer in ((controller, connection.peer_address), (self._other(connection), connection.self_address)):
                if end is not None and peer in end.le_connections:
                    end.on_le_disconnected(end.le_connections[peer], hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)


class _Controller(Controller):
    """A controller whose buffers are as large as those of an up-to-date chip (data length extension)."""

    le_acl_data_packet_length = 251


def _controller(device: Device) -> Controller:
    sink = device.host.hci_sink
    assert isinstance(sink, AsyncPipeSink)
    controller = sink.sink
    assert isinstance(controller, Controller)
    return controller
