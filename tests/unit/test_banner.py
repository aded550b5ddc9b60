from __future__ import annotations

import dataclasses
from pathlib import Path

from hostlib.banner import Banner, apply_banner, lacks_banner, render_banner
from tests.unit.firstboot_fakes import FakeNode

FINGERPRINT = ":".join(f"{number:02X}" for number in range(32))
BANNER = Banner(
    product="Slipway",
    version="0.1.0",
    fqdn="node1.example.com",
    bridge="vmbr0",
    address="192.0.2.10/24",
    fingerprint=FINGERPRINT,
)

COMPLETE = r"""Slipway 0.1.0 on node1.example.com

  Web console  https://\4{vmbr0}:8006/
  Certificate  SHA-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:
                       10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F

"""

BROKEN = r"""Slipway 0.1.0 on node1.example.com

  Web console  https://[\6{vmbr0}]:8006/

  FIRST BOOT IS NOT FINISHED. What failed:
    incus: incus.service does not start: Error: failed to load TLS
      certificate: tls: failed to find any PEM data in key input
    storage-pools: not tried, because it needs incus
    banner: a path C:\\temp with an escape ?[2J and a line break
  Look:   journalctl -u slipway-firstboot
  Again:  systemctl restart slipway-firstboot

"""


def test_a_complete_node() -> None:
    assert render_banner(BANNER) == COMPLETE


def test_a_broken_node_with_ipv6_and_no_certificate() -> None:
    failures = {
        "incus": (
            "incus.service does not start: Error: failed to load TLS certificate: "
            "tls: failed to find any PEM data in key input"
        ),
        "storage-pools": "not tried, because it needs incus",
        "banner": "a path C:\\temp with an escape \x1b[2J and a\nline break",
    }
    banner = dataclasses.replace(BANNER, address="2001:db8::4/64", fingerprint="", failures=failures)
    assert render_banner(banner) == BROKEN


def test_a_long_reason_leaves_room_on_the_screen() -> None:
    text = render_banner(dataclasses.replace(BANNER, failures={"incus": "word " * 400}))
    assert len(text.splitlines()) < 20
    assert max(len(line) for line in text.splitlines()) <= 79
    assert "word ...\n" in text


def test_it_is_written_when_it_says_something_new(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    assert lacks_banner(BANNER, tmp_path)
    apply_banner(BANNER, node, tmp_path)
    assert (tmp_path / "etc/issue.d/50-slipway.issue").read_text() == COMPLETE
    assert node.commands == ["agetty --reload"]
    assert not lacks_banner(BANNER, tmp_path)
    assert lacks_banner(dataclasses.replace(BANNER, version="0.2.0"), tmp_path)
