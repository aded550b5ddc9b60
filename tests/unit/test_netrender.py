import pytest

from hostlib.netconfig import NetworkConfig
from hostlib.netrender import (
    render_hostname,
    render_hosts,
    render_interfaces,
    render_link,
    render_resolv_conf,
)

IPV4 = NetworkConfig(
    nic="eno1",
    mac="b0:26:28:9a:10:40",
    address="192.0.2.41/24",
    gateway="192.0.2.1",
    dns=("192.0.2.53",),
    domain="example.test",
    other_nics=("ens1f0np0", "eno2"),
)

INTERFACES_IPV4 = """\
# Network configuration of this node, for ifupdown2. Written by the installer; yours to change.

auto lo
iface lo inet loopback

iface eno1 inet manual

auto vmbr0
iface vmbr0 inet static
\taddress 192.0.2.41/24
\tgateway 192.0.2.1
\tbridge-ports eno1
\tbridge-stp off
\tbridge-fd 0

iface eno2 inet manual

iface ens1f0np0 inet manual

source /etc/network/interfaces.d/*
"""

INTERFACES_IPV6_ALONE = """\
# Network configuration of this node, for ifupdown2. Written by the installer; yours to change.

auto lo
iface lo inet loopback

iface nic0 inet6 manual

auto vmbr0
iface vmbr0 inet6 static
\taddress 2001:db8::4/64
\tbridge-ports nic0
\tbridge-stp off
\tbridge-fd 0

source /etc/network/interfaces.d/*
"""


def test_interfaces() -> None:
    assert render_interfaces(IPV4) == INTERFACES_IPV4


def test_interfaces_with_ipv6_one_nic_and_no_gateway() -> None:
    network = IPV4.model_copy(
        update={"nic": "nic0", "address": "2001:db8::4/64", "gateway": "", "other_nics": ()}
    )
    assert render_interfaces(network) == INTERFACES_IPV6_ALONE


@pytest.mark.parametrize("address", ["192.0.2.41/24", "192.0.2.41"])
def test_hosts(address: str) -> None:
    assert render_hosts("node7.example.test", address) == (
        "127.0.0.1\tlocalhost.localdomain localhost\n"
        "192.0.2.41\tnode7.example.test node7\n"
        "\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "ff02::1\tip6-allnodes\n"
        "ff02::2\tip6-allrouters\n"
    )


def test_hostname() -> None:
    assert render_hostname("node7.example.test") == "node7\n"


@pytest.mark.parametrize(
    ("domain", "dns", "text"),
    [
        ("example.test", ("192.0.2.53",), "search example.test\nnameserver 192.0.2.53\n"),
        ("", ("192.0.2.53", "2001:db8::53"), "nameserver 192.0.2.53\nnameserver 2001:db8::53\n"),
        ("", (), ""),
    ],
)
def test_resolv_conf(domain: str, dns: tuple[str, ...], text: str) -> None:
    assert render_resolv_conf(domain, dns) == text


def test_link() -> None:
    assert render_link("B0:26:28:9A:10:40", "nic0") == (
        "# Keeps the name of this network interface. Written by the installer.\n"
        "\n"
        "[Match]\n"
        "MACAddress=b0:26:28:9a:10:40\n"
        "# The bridge and VLANs over the interface have the same MAC.\n"
        "Type=ether\n"
        "\n"
        "[Link]\n"
        "Name=nic0\n"
    )
