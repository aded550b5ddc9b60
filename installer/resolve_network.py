"""The node's name and its management network."""

from __future__ import annotations

import ipaddress
import itertools
from collections import Counter

from hostlib.errors import Problem, UserError
from hostlib.inventory import Inventory, Lease, Nic
from hostlib.netconfig import NetworkConfig
from hostlib.seed import Mode
from installer.answers import Answers, Network
from installer.answers.advice import KERNEL_NAME
from installer.answers.model import Pinning
from installer.answers.values import check_fqdn
from installer.match import match_filter, render_patterns


def resolve_fqdn(answers: Answers, inventory: Inventory) -> str:
    """Give the node's fully qualified name. Raises UserError."""
    wanted = answers.global_.fqdn
    if isinstance(wanted, str):
        return wanted
    where = "global.fqdn"
    lease = next((lease for _, lease in _leased(inventory)), None)
    if lease is None or not lease.hostname:
        raise UserError(Problem(where, "DHCP gave no host name", "give the name in the answer file"))
    # The answer's domain wins over DHCP's, as it does in the peer.
    domain = wanted.domain or lease.domain
    if not domain:
        raise UserError(Problem(where, "DHCP gave no domain", "set global.fqdn.domain"))
    host = lease.hostname.removesuffix(f".{lease.domain}") if lease.domain else lease.hostname
    try:
        return check_fqdn(f"{host}.{domain}")
    except ValueError as error:
        what, _, todo = str(error).rpartition("; ")
        raise UserError(Problem(where, f"from DHCP: {what}", todo)) from None


def resolve_network(network: Network, inventory: Inventory, domain: str) -> NetworkConfig:
    """Give the management network, static from now on. Raises UserError."""
    names = pinned_names(network.interface_name_pinning, inventory)
    if network.source == "from-dhcp":
        nic, lease = _first_leased(inventory)
        address, gateway, dns = lease.address, lease.gateway, lease.dns
    else:
        nic = _chosen(network, inventory)
        address, gateway = network.cidr or "", network.gateway or ""
        dns = (network.dns,) if network.dns else ()
    pinning = network.interface_name_pinning
    return NetworkConfig(
        nic=names.get(nic.mac, nic.name),
        mac=nic.mac,
        address=address,
        gateway=gateway,
        dns=dns,
        domain=domain,
        management=network.management,
        other_nics=tuple(
            names.get(other.mac, other.name)
            for other in inventory.nics
            if other.physical and other.name != nic.name
        ),
        pinned=names if pinning and pinning.enabled else {},
    )


def pinned_names(pinning: Pinning | None, inventory: Inventory) -> dict[str, str]:
    """Give the pinned names, MAC -> name; none where they are not pinned. Raises UserError.

    A card that the mapping leaves out gets nicN, N being its place among all physical cards, as in the peer; where the
    mapping has given that name to another card, the first free number behind all cards.
    """
    if pinning is None or not pinning.enabled:
        return {}
    physical = [nic for nic in inventory.nics if nic.physical]
    count = Counter(nic.mac for nic in physical)
    if shared := [nic.name for nic in physical if count[nic.mac] > 1]:
        what = f"{', '.join(shared)} have one MAC address, so none of them can be told by it"
        raise UserError(Problem("network.interface-name-pinning", what, "turn it off: enabled = false"))
    _refuse_kernel_names(pinning, physical)
    taken = set(pinning.mapping.values())
    spare = (name for number in itertools.count(len(physical)) if (name := f"nic{number}") not in taken)
    places = (f"nic{number}" for number in range(len(physical)))
    defaults = (name if name not in taken else next(spare) for name in places)
    return {
        nic.mac: pinning.mapping.get(nic.mac.lower()) or default
        for nic, default in zip(physical, defaults, strict=True)
    }


def _refuse_kernel_names(pinning: Pinning, physical: list[Nic]) -> None:
    """Raise UserError for names that the kernel may just have given to another card when udev wants to set them."""
    macs = {nic.mac.lower() for nic in physical}
    names = [name for mac, name in pinning.mapping.items() if mac in macs and KERNEL_NAME.fullmatch(name)]
    if names and len(physical) > 1:
        what = f"the kernel gives out {', '.join(names)} itself, and this machine has {len(physical)} cards"
        todo = "use other names, such as 'lan0': else a card can lose its name at a start, and the node its network"
        raise UserError(Problem("network.interface-name-pinning.mapping", what, todo))


def check_management(network: NetworkConfig, mode: Mode) -> None:
    """Raise UserError when a node that is to be in a cluster is in none of the management networks.

    A list is the same on all members, and each lets in the others by it alone. The gateway need not be in it: who
    comes through a gateway keeps his own address.
    """
    if mode != "none" and (what := _outside(network)):
        todo = "add its network: the other members of its cluster could not be reached by it"
        raise UserError(Problem("network.management", what, todo))


def warn_of_management(network: NetworkConfig, mode: Mode) -> list[str]:
    """Give the same as a warning for a node that stays alone."""
    what = _outside(network) if mode == "none" else ""
    return [f"network.management: {what}; its neighbours cannot reach it"] if what else []


def _outside(network: NetworkConfig) -> str:
    address = ipaddress.ip_interface(network.address).ip
    if not network.management or any(address in ipaddress.ip_network(one) for one in network.management):
        return ""
    return f"the node's own address {address} is in none of {', '.join(network.management[:5])}"


def warn_of_names(network: Network, inventory: Inventory) -> list[str]:
    """Give warnings about pinned names of cards that this machine does not have."""
    pinning = network.interface_name_pinning
    if pinning is None or not pinning.enabled:
        return []
    macs = {nic.mac.lower() for nic in inventory.nics if nic.physical}
    return [
        f"network.interface-name-pinning.mapping.{mac}: this machine has no such card, '{name}' is not used"
        for mac, name in pinning.mapping.items()
        if mac not in macs
    ]


def _leased(inventory: Inventory) -> list[tuple[Nic, Lease]]:
    """Give what DHCP configured, best first, without link-local addresses: those of a BMC's card, for instance."""
    by_name = {nic.name: nic for nic in inventory.nics}
    return [
        (by_name[lease.nic], lease)
        for lease in inventory.leases
        if lease.nic in by_name and not ipaddress.ip_interface(lease.address).is_link_local
    ]


def _first_leased(inventory: Inventory) -> tuple[Nic, Lease]:
    if found := _leased(inventory):
        return found[0]
    links = (
        ", ".join(
            f"{nic.name} {'with' if nic.link else 'without'} link" for nic in inventory.nics if nic.physical
        )
        or "no card"
    )
    todo = "check cable and DHCP server, or use source 'from-answer'"
    raise UserError(Problem("network.source", f"no network card got an address by DHCP ({links})", todo))


def _chosen(network: Network, inventory: Inventory) -> Nic:
    patterns = network.filter or {}
    physical = [nic for nic in inventory.nics if nic.physical]
    found = [nic for nic in physical if match_filter(nic.udev, patterns)]
    if len(found) == 1:
        return found[0]
    listing = ", ".join(f"{nic.name} ({nic.mac}, {nic.driver or 'no driver'})" for nic in found or physical)
    if not found:
        what = f"no network card fits {render_patterns(patterns)}"
        todo = f"choose from: {listing}" if listing else "attach a network card: there is none"
        raise UserError(Problem("network.filter", what, todo))
    what = f"{len(found)} network cards fit {render_patterns(patterns)}: {listing}"
    raise UserError(
        Problem("network.filter", what, "use a property that only one has, such as ID_NET_NAME_MAC")
    )
