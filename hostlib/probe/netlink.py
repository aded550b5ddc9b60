"""What the kernel says about the network. The only module that imports pyroute2."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRoute

Message = Mapping[str, Any]
"""A netlink message as pyroute2 gives it: fields of the header, and `attrs`, pairs of name and value."""

AF_INET = 2
AF_INET6 = 10
_MAIN_TABLE = 254
_UNICAST = 1
_GLOBAL_SCOPE = 0
# IPv6: temporary (privacy), failed duplicate detection, deprecated. None of them may become a fixed address.
_PASSING_FLAGS = 0x01 | 0x08 | 0x20


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """A default route of the main table."""

    ifindex: int
    family: int
    gateway: str
    metric: int


@dataclass(frozen=True, slots=True)
class Netlink:
    """Links in the order of their index, addresses by index of their link, default routes best first."""

    links: tuple[Message, ...]
    addresses: Mapping[int, tuple[str, ...]]
    routes: tuple[DefaultRoute, ...]


def read_netlink() -> Netlink:
    """Ask the kernel. Raises OSError, pyroute2's NetlinkError."""
    with IPRoute() as kernel:
        links = sorted(kernel.get_links(), key=lambda link: int(link["index"]))
        addresses = parse_addresses(kernel.get_addr())
        routes = parse_default_routes(kernel.get_routes())
    return Netlink(tuple(links), addresses, routes)


def attribute(message: Message, name: str) -> Any:  # noqa: ANN401 - netlink attributes have no common type
    """Give an attribute of a message; None when it has none of that name."""
    return next((item[1] for item in message["attrs"] if item[0] == name), None)


def parse_addresses(messages: Iterable[Message]) -> dict[int, tuple[str, ...]]:
    """Give index of a link -> its lasting global addresses with prefix length."""
    found: dict[int, tuple[str, ...]] = {}
    for message in messages:
        flags = attribute(message, "IFA_FLAGS") or 0
        passing = message["family"] == AF_INET6 and flags & _PASSING_FLAGS
        if message["scope"] != _GLOBAL_SCOPE or passing:
            continue
        # On a point-to-point link IFA_ADDRESS is the other side.
        address = attribute(message, "IFA_LOCAL") or attribute(message, "IFA_ADDRESS")
        index = int(message["index"])
        found[index] = (*found.get(index, ()), f"{address}/{message['prefixlen']}")
    return found


def parse_default_routes(messages: Iterable[Message]) -> tuple[DefaultRoute, ...]:
    """Give the default routes with a gateway, lowest metric first, IPv4 before IPv6."""
    found = [
        DefaultRoute(
            ifindex=int(attribute(message, "RTA_OIF")),
            family=int(message["family"]),
            gateway=str(attribute(message, "RTA_GATEWAY")),
            metric=int(attribute(message, "RTA_PRIORITY") or 0),
        )
        for message in messages
        if message["dst_len"] == 0
        and message["type"] == _UNICAST
        and attribute(message, "RTA_TABLE") == _MAIN_TABLE
        and attribute(message, "RTA_GATEWAY")
        and attribute(message, "RTA_OIF")
    ]
    return tuple(sorted(found, key=lambda route: (route.metric, route.family, route.ifindex)))


def routes_of(ifindex: int, routes: Sequence[DefaultRoute]) -> list[DefaultRoute]:
    """Give the default routes over one link, best first."""
    return [route for route in routes if route.ifindex == ifindex]
