from __future__ import annotations

import re
from pathlib import Path

import pytest

from hostlib.errors import ExitStatus
from hostlib.firewall import render_firewall
from hostlib.seed import read_seed, write_seed
from tests.unit.firstboot_fakes import FakeNode, first_boot


def rules(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def ports_of(text: str) -> list[str]:
    return [line for line in rules(text) if "8006" in line]


def test_only_the_ports_of_a_node_are_open() -> None:
    text = render_firewall()
    assert ports_of(text) == ["tcp dport { 22, 8006, 8007, 8443 } accept"]
    assert "type filter hook input priority filter; policy drop;" in text
    accepted = [rule for rule in rules(text) if rule.endswith("accept")]
    assert [rule for rule in accepted if "dport" not in rule and "icmp" not in rule] == ["iif lo accept"]
    # Without these IPv6 finds no neighbour and no way around a small MTU.
    for kind in ("nd-neighbor-solicit", "nd-neighbor-advert", "nd-router-advert", "packet-too-big"):
        assert kind in text


def test_a_management_network_alone_reaches_them() -> None:
    text = render_firewall(["192.0.2.128/25", "2001:db8::/64", "192.0.2.0/25"])
    assert ports_of(text) == [
        "ip saddr { 192.0.2.0/24 } tcp dport { 22, 8006, 8007, 8443 } accept",
        "ip6 saddr { 2001:db8::/64 } tcp dport { 22, 8006, 8007, 8443 } accept",
    ]
    assert "ip6 saddr {" not in render_firewall(["192.0.2.0/24"])


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="host bits set"):
        render_firewall(["192.0.2.1/24"])


def test_the_tables_and_the_traffic_of_guests_are_left_alone() -> None:
    text = render_firewall(bridge="vmbr7")
    assert "flush" not in "\n".join(rules(text))
    assert re.findall(r"hook (\w+)", text) == ["input"]
    # It must be there to be deleted, and is made anew within the same transaction.
    assert [rule for rule in rules(text) if "table" in rule] == [
        "table inet slipway",
        "delete table inet slipway",
        "table inet slipway {",
    ]
    assert 'iifname != "vmbr7" udp dport { 53, 67, 547 } accept' in text


def test_first_boot_brings_the_networks_of_the_seed_into_effect(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    seed = read_seed(tmp_path).model_copy(update={"management": ("198.51.100.0/24",)})
    write_seed(seed, tmp_path)
    first_boot(node)
    assert node.rules == render_firewall(["198.51.100.0/24"])
    assert (tmp_path / "etc/nftables.conf").read_text() == node.rules
    node.commands.clear()
    assert first_boot(node) is ExitStatus.DONE
    assert "nft -f -" not in node.commands
