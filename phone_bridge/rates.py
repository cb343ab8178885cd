"""Token buckets: how often one address may do a thing."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable

ADDRESSES = 4096
"""How many addresses are remembered; the one that was quiet longest is forgotten first."""


class Rate:
    """A bucket for every address: it holds a minute's worth and fills evenly."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._size = float(per_minute)
        self._per_second = per_minute / 60
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> int:
        """Takes one from the address's bucket; gives 0, or the seconds until there is one again where it is empty."""
        now = self._clock()
        holder = _holder(address)
        left, at = self._buckets.pop(holder, (self._size, now))
        left = min(self._size, left + (now - at) * self._per_second)
        wait = 0 if left >= 1 else math.ceil((1 - left) / self._per_second)
        self._buckets[holder] = (left if wait else left - 1, now)
        if len(self._buckets) > ADDRESSES:
            self._buckets.popitem(last=False)
        return wait


def _holder(address: str) -> str:
    """One customer of IPv6 has 2**64 addresses, so that its whole /64 counts as one."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
