"""Renders a node's network configuration into the text of its files. Pure; the templates lie beside it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hostlib.netconfig import BRIDGE, NetworkConfig


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - plain text files, no HTML
        keep_trailing_newline=True,
        trim_blocks=True,
    )


def render_template(template: str, **values: object) -> str:
    """Give the text of a template of this package. Raises jinja2.UndefinedError."""
    return _environment().get_template(template).render(**values)


def render_interfaces(network: NetworkConfig) -> str:
    """Give /etc/network/interfaces for ifupdown2. Raises ValueError when the address is none."""
    version = ipaddress.ip_interface(network.address).version
    family = "inet6" if version == 6 else "inet"
    return render_template("interfaces.j2", network=network, bridge=BRIDGE, family=family)


def render_hosts(fqdn: str, address: str) -> str:
    """Give /etc/hosts; `address` may have a prefix length. Raises ValueError when it is no address."""
    plain = ipaddress.ip_interface(address).ip
    return render_template("hosts.j2", fqdn=fqdn, hostname=fqdn.split(".", 1)[0], address=plain)


def render_hostname(fqdn: str) -> str:
    """Give /etc/hostname: the first label of the FQDN."""
    return fqdn.split(".", 1)[0] + "\n"


def render_resolv_conf(domain: str, dns: Sequence[str]) -> str:
    """Give /etc/resolv.conf."""
    return render_template("resolv.conf.j2", domain=domain, dns=dns)


def render_link(mac: str, name: str) -> str:
    """Give the systemd .link file that names the interface with this MAC `name` for good."""
    return render_template("link.j2", mac=mac.lower(), name=name)
