"""The network configuration that the live system got: from DHCP, or from the kernel command line."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from hostlib.files import read_if_there
from hostlib.inventory import Lease, Nic
from hostlib.probe.attempt import attempt
from hostlib.probe.netlink import AF_INET, AF_INET6, DefaultRoute, routes_of

LEASES = Path("run/systemd/netif/leases")
"""Where systemd-networkd keeps one lease file a link, named by the link's index. Relative to the root."""
ANSWER_URL = 250
ANSWER_FINGERPRINT = 251
"""DHCP options of the private range, which systemd-networkd keeps as they came."""
SHA256_BYTES = 32
# With systemd-resolved, /etc/resolv.conf names only the stub on this machine.
RESOLV_CONFS = (Path("run/systemd/resolve/resolv.conf"), Path("etc/resolv.conf"))


def read_leases(
    nics: Mapping[int, Nic], routes: Sequence[DefaultRoute], root: Path = Path("/")
) -> tuple[Lease, ...]:
    """Give the configuration of each physical interface that has one, the best default route first.

    `nics` is index -> interface and `routes` come best first.
    """
    resolvers = parse_resolv_conf(
        next((text for path in RESOLV_CONFS if (text := read_if_there(root / path))), "")
    )
    found: list[tuple[int, Lease]] = []
    for index, nic in nics.items():
        if not nic.physical:
            continue
        own = routes_of(index, routes)
        text = read_if_there(root / LEASES / str(index)) or ""
        lease = attempt(f"DHCP lease of {nic.name}", parse_lease, text, nic.name) if text else None
        if lease := _with_route(lease, own) if lease else live_configuration(nic, own, resolvers):
            rank = routes.index(own[0]) if own else len(routes)
            found.append((rank, lease))
    return tuple(lease for _, lease in sorted(found, key=lambda item: item[0]))


def has_lease(nic: str, root: Path = Path("/")) -> bool:
    """Tell whether systemd-networkd has got a lease for the interface called `nic`."""
    index = read_if_there(root / "sys/class/net" / nic / "ifindex")
    return bool(index and read_if_there(root / LEASES / index))


def parse_lease(text: str, nic: str) -> Lease:
    """Read a lease file of systemd-networkd. Raises ValueError when it has no valid address."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")
    address = values.get("ADDRESS", "")
    if not address:
        raise ValueError("the lease has no address")
    interface = ipaddress.IPv4Interface(f"{address}/{values.get('NETMASK', 32)}")
    domain = values.get("DOMAINNAME", "").strip(".")
    hostname, _, rest = values.get("HOSTNAME", "").strip(".").partition(".")
    search = (name.strip(".") for name in values.get("DOMAIN_SEARCH_LIST", "").split())
    return Lease(
        nic=nic,
        dhcp=True,
        address=str(interface),
        gateway=next(iter(_addresses(values.get("ROUTER", "").split())), ""),
        dns=_addresses(values.get("DNS", "").split()),
        hostname=hostname,
        domain=domain or rest,
        search=tuple(name for name in search if name),
        answer_url=_option(values, ANSWER_URL, nic, parse_text_option),
        answer_fingerprint=_option(values, ANSWER_FINGERPRINT, nic, parse_fingerprint_option),
    )


def _option(values: Mapping[str, str], number: int, nic: str, parse: Callable[[str], str]) -> str:
    """Give the text of a DHCP option; nothing, with a warning in the log, when it is no text."""
    return attempt(f"DHCP option {number} of {nic}", parse, values.get(f"OPTION_{number}", "")) or ""


def parse_text_option(digits: str) -> str:
    """Read an option that systemd-networkd keeps as the hexadecimal digits of its bytes.

    Some servers end a text with NUL. Raises ValueError unless it is printable ASCII.
    """
    text = bytes.fromhex(digits).rstrip(b"\0").decode("ascii")
    if not text.isprintable():
        raise ValueError(f"{text!r} is no line of printable text")
    return text.strip()


def parse_fingerprint_option(digits: str) -> str:
    """Read a fingerprint: as a text, or as bytes, which dnsmasq makes of `ab:cd:…`. Raises ValueError.

    Bytes of another number than 32 are kept: whoever uses them must refuse them, and not go on without.
    """
    data = bytes.fromhex(digits)
    return data.hex() if len(data) == SHA256_BYTES or not data.isascii() else parse_text_option(digits)


def _with_route(lease: Lease, routes: Sequence[DefaultRoute]) -> Lease:
    """Give the lease with the gateway in use: a server that sends classless routes overrides its ROUTER."""
    gateway = next((route.gateway for route in routes if route.family == AF_INET), lease.gateway)
    return lease.model_copy(update={"gateway": gateway})


def live_configuration(
    nic: Nic, routes: Sequence[DefaultRoute], resolvers: tuple[tuple[str, ...], str]
) -> Lease | None:
    """Give what an interface without a lease is using (`ip=` of the kernel, router advertisements).

    `routes` are its own default routes, best first; `resolvers` are DNS servers and domain.
    None when it has no global address.
    """
    wanted = 6 if routes and routes[0].family == AF_INET6 else 4
    candidates = sorted(map(ipaddress.ip_interface, nic.addresses), key=lambda item: item.version != wanted)
    if not candidates:
        return None
    best = candidates[0]
    family = AF_INET6 if best.version == 6 else AF_INET
    gateway = next((route.gateway for route in routes if route.family == family), "")
    return Lease(nic=nic.name, address=str(best), gateway=gateway, dns=resolvers[0], domain=resolvers[1])


def parse_resolv_conf(text: str) -> tuple[tuple[str, ...], str]:
    """Give the DNS servers and the domain of a resolv.conf.

    The first domain of the last `search` or `domain` line counts, as in the C library. Left out are a resolver on
    this machine and one with a zone, which the node would not reach.
    """
    servers: list[str] = []
    domain = ""
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] in {"search", "domain"}:
            domain = words[1].strip(".")
    return _addresses(servers), domain


def _addresses(texts: Iterable[str]) -> tuple[str, ...]:
    """Keep what is an address that another machine can use too."""
    return tuple(text for text in texts if _is_usable(text))


def _is_usable(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text and not (address.is_loopback or address.is_unspecified)
