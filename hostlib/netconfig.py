"""Network configuration of a node, as data; `render_interfaces` and friends turn it into files."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from hostlib.record import Record

BRIDGE: Final = "vmbr0"


class NetworkConfig(Record):
    """The management network: one bridge over one NIC with one static address."""

    nic: str
    """Name of the bridge's port in the node, after pinning if names are pinned."""
    mac: str
    address: str
    """With prefix length: `192.0.2.4/24` or `2001:db8::4/64`."""
    gateway: str
    dns: tuple[str, ...]
    domain: str
    management: tuple[str, ...] = ()
    """Networks from which the node's ports can be reached; none: from everywhere."""
    other_nics: tuple[str, ...] = ()
    """Every other physical NIC, in the node's names: listed as `manual`."""
    pinned: dict[str, str] = Field(default_factory=dict)
    """MAC -> name, for each NIC whose name is pinned by a .link file."""
