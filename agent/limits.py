"""What keeps a member usable under many requests: limits by address, before TLS and after it."""

from __future__ import annotations

import socket
import struct
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

MOST_KEYS: Final = 4096
SUBNET_BITS: Final = 64
NETWORK_FACTOR: Final = 3
"""How much more than one address the whole of an IPv6 network may take."""
RESET_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: the connection leaves nothing behind."""


def client_keys(host: str) -> tuple[str, str]:
    """Give what stands for the client at `host`: its address, and for IPv6 its /64, else nothing.

    Who has one address of a /64 may have any number of them. But all nodes of a cluster may be in that network, too.
    """
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv4Address):
        return str(address), ""
    # A socket for both families shows an IPv4 client so.
    if address.ipv4_mapped:
        return str(address.ipv4_mapped), ""
    return str(address), str(IPv6Address(int(address) >> SUBNET_BITS << SUBNET_BITS))


class Limiter:
    """A token bucket for each key, with bounded memory: the key that was not seen for the longest time goes first."""

    def __init__(
        self,
        rate: float,
        burst: float,
        clock: Callable[[], float] = time.monotonic,
        most: int = MOST_KEYS,
    ) -> None:
        """Allow `burst` at once and `rate` a second for good; `clock` gives seconds."""
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one for `key`; give 0, or the seconds until there is one again (nothing is taken then)."""
        now = self._clock()
        level, since = self._buckets.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate)
        wait = 0.0 if level >= 1 else (1 - level) / self._rate
        self._buckets[key] = (level if wait else level - 1, now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return wait


class ClientLimiter:
    """A Limiter by address, and one for all that an IPv6 network takes through it."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        """See Limiter."""
        self._addresses = Limiter(rate, burst, clock)
        self._networks = Limiter(rate * NETWORK_FACTOR, burst * NETWORK_FACTOR, clock)

    def take(self, host: str) -> float:
        """Take one for the client at `host`; see Limiter."""
        address, network = client_keys(host)
        return self._addresses.take(address) or (self._networks.take(network) if network else 0.0)


class LimitedSocket(socket.socket):
    """A listening TCP socket that closes the connections which are too many, before TLS has cost anything.

    asyncio calls `accept` of the socket that it is given, and takes ConnectionAbortedError as «no more for now».
    """

    limiter: ClientLimiter
    most_open: int
    most_open_of_one: int

    def limit(self, limiter: ClientLimiter, most_open: int, most_open_of_one: int) -> None:
        """Set how many connections are taken: by time, at once, and at once from one address."""
        self.limiter, self.most_open, self.most_open_of_one = limiter, most_open, most_open_of_one
        self._open: list[tuple[tuple[str, str], socket.socket]] = []

    def accept(self) -> tuple[socket.socket, Any]:
        """Give the next connection. Raises ConnectionAbortedError for one that was closed."""
        connection, address = super().accept()
        keys = client_keys(address[0])
        # What the server has closed has no descriptor any more.
        self._open = [entry for entry in self._open if entry[1].fileno() != -1]
        of_one = sum(1 for other, _ in self._open if other == keys)
        of_network = sum(1 for other, _ in self._open if keys[1] and other[1] == keys[1])
        if (
            self.limiter.take(address[0])
            or of_one >= self.most_open_of_one
            or of_network >= self.most_open_of_one * NETWORK_FACTOR
            or len(self._open) >= self.most_open
        ):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
            connection.close()
            raise ConnectionAbortedError
        self._open.append((keys, connection))
        return connection, address


def open_socket(
    host: str, port: int, limiter: ClientLimiter, *, most_open: int, most_open_of_one: int
) -> LimitedSocket:
    """Open a socket that is ready to listen at an address; `::` stands for every address of both families.

    Raises OSError.
    """
    both = host == "::" and socket.has_dualstack_ipv6()
    if host == "::" and not both:
        host = "0.0.0.0"  # noqa: S104 - every address was asked for, and IPv6 is switched off
    found = LimitedSocket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if found.family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        found.setblocking(False)
        found.bind((host, port))
    except OSError:
        found.close()
        raise
    found.limit(limiter, most_open, most_open_of_one)
    return found
