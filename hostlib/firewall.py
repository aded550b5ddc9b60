"""Firewall of a node: nftables rules for what may reach the node itself. Pure; the template lies beside it.

Traffic that is forwarded or bridged, that of guests, is not filtered. Rules of Incus are in tables of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import collapse_addresses, ip_network
from pathlib import Path
from typing import Final

from hostlib.netconfig import BRIDGE
from hostlib.netrender import render_template
from hostlib.ports import ENROLLMENT, INCUS, SSH, WEB_CONSOLE

RULES: Final = Path("/etc/nftables.conf")
"""What Debian's nftables.service loads before the network comes up."""
TABLE: Final = ("inet", "slipway")
PORTS: Final = (SSH, WEB_CONSOLE, ENROLLMENT, INCUS)


def render_firewall(management: Sequence[str] = (), bridge: str = BRIDGE) -> str:
    """Give /etc/nftables.conf.

    `management` are the networks (`192.0.2.0/24`) from which the node's ports can be reached; none: from everywhere.
    The other members of its cluster must be in one of them. `bridge` is the management bridge. Raises ValueError
    when a network is none.
    """
    networks = [ip_network(network) for network in management]
    v4 = collapse_addresses(network for network in networks if network.version == 4)
    v6 = collapse_addresses(network for network in networks if network.version == 6)
    families = [("ip", ", ".join(map(str, v4))), ("ip6", ", ".join(map(str, v6)))]
    return render_template(
        "nftables.conf.j2",
        bridge=bridge,
        ports=", ".join(map(str, PORTS)),
        management=[(family, text) for family, text in families if text],
    )
