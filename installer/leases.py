"""Waits for DHCP, and gives the C library the name servers that DHCP named."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from hostlib.files import read_if_there, write_atomic
from hostlib.inventory import Inventory, Lease
from hostlib.probe import read_network
from hostlib.probe.attempt import attempt
from hostlib.probe.leases import has_lease

LOG = logging.getLogger("slipway.leases")
LEASE_SECONDS: Final = 30
POLL_SECONDS: Final = 0.25
RESOLV_CONF: Final = Path("/etc/resolv.conf")
NAMESERVERS: Final = 3
"""MAXNS of the C library; it ignores more."""


def wait_for_leases(
    inventory: Inventory, say: Callable[[str], None], seconds: int = LEASE_SECONDS
) -> Inventory:
    """Wait for DHCP where that can help, for `seconds` each time.

    Gives the machine with its network as it is then, or, where nothing was waited for, the very same object.
    """
    if not any(lease.dhcp for lease in inventory.leases):
        say(f"waiting for DHCP, at most {seconds} s\n")
        inventory = wait_for_lease(inventory, seconds, everywhere=False)
    leased = {lease.nic for lease in inventory.leases if not lease.gateway}
    waiting = [nic.name for nic in inventory.nics if nic.physical and nic.link and nic.name not in leased]
    if leased and waiting and not any(lease.gateway for lease in inventory.leases):
        # What came first may be the network of a BMC or of a storage system.
        say(f"no gateway by DHCP yet; waiting for {', '.join(waiting)}, at most {seconds} s\n")
        inventory = wait_for_lease(inventory, seconds, everywhere=True)
    return inventory


def wait_for_lease(inventory: Inventory, seconds: int, *, everywhere: bool) -> Inventory:
    """Wait for DHCPv4 on one interface, or `everywhere` that has a link; give the machine with its network as it is then.

    Looks at systemd-networkd's lease files: its own program for that, systemd-networkd-wait-online, is content with
    the address that a router advertises or that is left from the network boot.
    """
    physical = [nic for nic in inventory.nics if nic.physical]
    nics = [nic.name for nic in physical if nic.link] or [nic.name for nic in physical]
    if not nics:
        return inventory
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        leased = sum(has_lease(name) for name in nics)
        if leased == len(nics) or (leased and not everywhere):
            break
        time.sleep(POLL_SECONDS)
    found = attempt("the network", read_network)
    return inventory.model_copy(update={"nics": found[0], "leases": found[1]}) if found else inventory


def domains_of(leases: Iterable[Lease]) -> tuple[str, ...]:
    """Give the search domains of leases, each once, in the order of the leases."""
    names = (name for lease in leases for name in (lease.domain, *lease.search) if name)
    return tuple(dict.fromkeys(names))


def render_resolv_conf(leases: Sequence[Lease]) -> str:
    """Give the resolv.conf(5) of the live system; empty when no lease names a server."""
    servers = dict.fromkeys(server for lease in leases for server in lease.dns)
    if not servers:
        return ""
    lines = [f"nameserver {server}" for server in list(servers)[:NAMESERVERS]]
    domains = " ".join(domains_of(leases))
    lines += [f"search {domains}"] if domains else []
    # The C library's own limits, 5 s and two rounds for each server, outlast those of a request.
    return "\n".join([*lines, "options timeout:2 attempts:1", ""])


def apply_resolver(inventory: Inventory, path: Path = RESOLV_CONF) -> None:
    """Let this system look up names: write the servers of the leases where no file names any.

    What somebody else has put there stays. A file that cannot be written is a warning: addresses work without.
    """
    text = render_resolv_conf(inventory.leases)
    if not text or re.search(r"^\s*nameserver\s", read_if_there(path) or "", re.MULTILINE):
        return
    try:
        write_atomic(path, text)
    except OSError as error:
        LOG.warning("%s: cannot be written: %s; names cannot be looked up", path, error.strerror)
