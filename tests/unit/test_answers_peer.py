"""Each rule of the peer's format: its sections, keys, types and limits, one row each.

A row is a name, changes to the smallest answer, and what they lead to: `ok`, `ok` with the beginning of a warning,
or the beginning of the problem.
"""

from __future__ import annotations

from typing import Any

import pytest

from installer.answers.tables import COUNTRIES, KEYBOARDS
from tests.unit.answer_data import ED25519, GONE, STATIC, outcome, parse

LONG_LABEL = "n" * 63
FP = "ab" * 32
Row = tuple[str, dict[str, Any], str]

GENERAL: list[Row] = [
    ("smallest", {}, "ok"),
    ("no global", {"global": GONE}, "global: it is missing"),
    ("no network", {"network": GONE}, "network: it is missing"),
    ("no disk-setup", {"disk-setup": GONE}, "disk-setup: it is missing"),
    ("unknown table", {"cluster": {}}, "cluster: this key is unknown"),
    ("unknown key", {"global.language": "de"}, "global.language: this key is unknown"),
    ("free keys in filters", {"disk-setup.disk-list": GONE, "disk-setup.filter.MY_KEY": "*"}, "ok"),
    ("no snake case for sections", {"post_installation_webhook": {"url": "https://a"}}, "post_installation_webhook: this key is unknown"),
    ("no snake case for pinning", {"network.interface_name_pinning": {"enabled": True}}, "network.interface_name_pinning: this key is unknown"),
    ("whole number for a size", {"disk-setup.lvm.hdsize": 80}, "ok"),
    ("fraction for a size", {"disk-setup.lvm.hdsize": 80.5}, "ok"),
]  # fmt: skip
DEPRECATED: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("root_password", "global.root-password", "correct horse", {}),
    ("root_password_hashed", "global.root-password-hashed", "$6$abcdefgh$" + "a" * 86, {"global.root-password": GONE}),
    ("reboot_on_error", "global.reboot-on-error", True, {}),
    ("reboot_mode", "global.reboot-mode", "reboot", {}),
    ("root_ssh_keys", "global.root-ssh-keys", [], {}),
    ("subscription_key", "global.subscription-key", "x", {}),
    ("disk_list", "disk-setup.disk-list", ["sda"], {}),
    ("filter_match", "disk-setup.filter-match", "all", {}),
    ("arc_max", "disk-setup.zfs.arc-max", 64, {"disk-setup.filesystem": "zfs", "disk-setup.zfs.raid": "raid0"}),
    ("cert_fingerprint", "post-installation-webhook.cert-fingerprint", FP, {"post-installation-webhook.url": "https://a"}),
    ("auth_token", "post-installation-webhook.auth-token", "t", {"post-installation-webhook.url": "https://a"}),
    ("cert_fingerprint", "first-boot.cert-fingerprint", FP, {"first-boot.source": "from-url", "first-boot.url": "https://a"}),
]  # fmt: skip
"""Old spelling, place of the new one, a value, and what else is needed."""


def alias_row(alias: str, path: str, value: object, more: dict[str, Any]) -> Row:
    section = path.rpartition(".")[0]
    changes = {path: GONE, f"{section}.{alias}": value, **more}
    return f"{section}.{alias}", changes, f"ok\n{section}.{alias}: this spelling is deprecated"


ALIASES = [alias_row(*row) for row in DEPRECATED]
GLOBAL: list[Row] = [
    *((f"keyboard {name}", {"global.keyboard": name}, "ok") for name in KEYBOARDS),
    ("keyboard unknown", {"global.keyboard": "us"}, "global.keyboard: 'us' is not allowed"),
    ("country upper case", {"global.country": "AT"}, "global.country: 'AT' is no country"),
    ("country unknown", {"global.country": "xx"}, "global.country: 'xx' is no country"),
    ("time zone of another country", {"global.timezone": "Asia/Tokyo"}, "ok"),
    ("time zone UTC", {"global.timezone": "UTC"}, "ok"),
    ("time zone of Etc", {"global.timezone": "Etc/UTC"}, "global.timezone: 'Etc/UTC' is no time zone"),
    ("mail to a host", {"global.mailto": "root@localhost"}, "ok"),
    ("mail placeholder", {"global.mailto": "mail@example.invalid"}, "global.mailto: 'mail@example.invalid' is no e-mail"),
    ("mail without @", {"global.mailto": "ops"}, "global.mailto: 'ops' is no e-mail"),
    ("password of 7 bytes", {"global.root-password": "1234567"}, "global.root-password: the password is shorter"),
    ("password of 8 bytes in 4 letters", {"global.root-password": "äöüß"}, "ok"),
    ("both passwords", {"global.root-password-hashed": "$6$abcdefgh$" + "a" * 86}, "global.root-password: root-password-hashed is set too"),
    ("no password", {"global.root-password": GONE}, "global.root-password: there is no password"),
    ("no ssh keys", {"global.root-ssh-keys": []}, "ok"),
    ("an ssh key", {"global.root-ssh-keys": [ED25519]}, "ok"),
    ("reboot on error", {"global.reboot-on-error": True}, "ok"),
    ("reboot on error as text", {"global.reboot-on-error": "true"}, "global.reboot-on-error: it is a text"),
    ("power off", {"global.reboot-mode": "power-off"}, "ok"),
    ("reboot mode unknown", {"global.reboot-mode": "poweroff"}, "global.reboot-mode: 'poweroff' is not allowed"),
    ("subscription", {"global.subscription-key": "pve2c-0123456789"}, "ok\nglobal.subscription-key: it is ignored"),
    ("subscription of any form", {"global.subscription-key": "?"}, "ok\nglobal.subscription-key: it is ignored"),
]  # fmt: skip
FQDN: list[Row] = [
    ("63 characters in a label", {"global.fqdn": f"{LONG_LABEL}.test"}, "ok"),
    ("64 characters in a label", {"global.fqdn": f"{LONG_LABEL}n.test"}, "global.fqdn: "),
    ("253 characters", {"global.fqdn": ".".join([LONG_LABEL] * 3 + ["n" * 61])}, "ok"),
    ("254 characters", {"global.fqdn": ".".join([LONG_LABEL] * 3 + ["n" * 62])}, "global.fqdn: "),
    ("one label", {"global.fqdn": "node1"}, "global.fqdn: 'node1' is no fully qualified"),
    ("digits for the host", {"global.fqdn": "123.test"}, "global.fqdn: "),
    ("digits for the domain", {"global.fqdn": "n1.123"}, "ok"),
    ("dash at an end", {"global.fqdn": "node-.test"}, "global.fqdn: "),
    ("upper case", {"global.fqdn": "Node1.Example.Test"}, "ok"),
    ("table", {"global.fqdn": {"source": "from-dhcp"}}, "ok"),
    ("empty table", {"global.fqdn": {}}, "ok"),
    ("table with a domain", {"global.fqdn": {"domain": "example.test"}}, "ok"),
    ("table with an empty domain", {"global.fqdn": {"source": "from-dhcp", "domain": ""}}, "ok"),
    ("table of another source", {"global.fqdn": {"source": "from-answer"}}, "global.fqdn.source: 'from-answer' is not allowed"),
]  # fmt: skip
NETWORK: list[Row] = [
    ("no source", {"network.source": GONE}, "network.source: it is missing"),
    *((f"{key} with dhcp", {f"network.{key}": STATIC[key]}, f"network.{key}: source 'from-dhcp' does not take it")
      for key in ("cidr", "dns", "gateway", "filter")),
    ("pinning with dhcp", {"network.interface-name-pinning": {"enabled": True}}, "ok"),
    ("static", {"network": STATIC}, "ok"),
    ("pinning with static", {"network": STATIC | {"interface-name-pinning": {"enabled": True}}}, "ok"),
    *((f"static without {key}", {"network": {k: v for k, v in STATIC.items() if k != key}}, f"network.{key}: source 'from-answer' needs it")
      for key in ("cidr", "dns", "gateway", "filter")),
    ("an empty filter", {"network": STATIC | {"filter": {}}}, "network.filter: source 'from-answer' needs it"),
    ("mask 0", {"network": STATIC | {"cidr": "192.0.2.10/0"}}, "ok"),
    ("mask 32", {"network": STATIC | {"cidr": "192.0.2.10/32"}}, "ok"),
    ("mask 33", {"network": STATIC | {"cidr": "192.0.2.10/33"}}, "network.cidr: "),
    ("no mask", {"network": STATIC | {"cidr": "192.0.2.10"}}, "ok\nnetwork.cidr: it has no prefix length"),
    ("IPv6", {"network": STATIC | {"cidr": "2001:db8::a/64", "gateway": "2001:db8::1", "dns": "2001:db8::53"}}, "ok"),
    ("IPv6 mask 129", {"network": STATIC | {"cidr": "2001:db8::a/129"}}, "network.cidr: "),
    ("IPv6 without a mask", {"network": STATIC | {"cidr": "2001:db8::a", "gateway": "fe80::1", "dns": "2001:db8::53"}}, "ok\nnetwork.cidr: it has no prefix length"),
    ("two resolvers", {"network": STATIC | {"dns": "192.0.2.53, 192.0.2.54"}}, "network.dns: "),
    ("resolver of another family", {"network": STATIC | {"dns": "2001:db8::53"}}, "ok\nnetwork.dns: 2001:db8::53 is not of the address family"),
    ("gateway elsewhere", {"network": STATIC | {"gateway": "198.51.100.1"}}, "ok\nnetwork.gateway: 198.51.100.1 is not in the subnet"),
    ("gateway of a /32", {"network": STATIC | {"cidr": "192.0.2.10/32", "gateway": "198.51.100.1"}}, "ok"),
    ("gateway on the link", {"network": STATIC | {"cidr": "2001:db8::a/64", "gateway": "fe80::1", "dns": "2001:db8::53"}}, "ok"),
    ("the network's own address", {"network": STATIC | {"cidr": "192.0.2.0/24"}}, "ok\nnetwork.cidr: 192.0.2.0 is the address of the network"),
    ("gateway at the network's own address", {"network": STATIC | {"gateway": "192.0.2.0"}}, "ok\nnetwork.gateway: 192.0.2.0 is the address of the network"),
    ("a link-local address", {"network": STATIC | {"cidr": "169.254.1.1/16", "gateway": "169.254.0.1"}}, "ok\nnetwork.cidr: 169.254.1.1 is link-local"),
    ("mtu", {"network": STATIC | {"mtu": 9000}}, "network.mtu: this key is unknown"),
]  # fmt: skip
MAC = "52:54:00:12:34:56"


def pin(mapping: dict[str, str], *, enabled: bool = True) -> dict[str, Any]:
    return {"network.interface-name-pinning": {"enabled": enabled, "mapping": mapping}}


WHERE = "network.interface-name-pinning"
PINNING: list[Row] = [
    ("enabled missing", {WHERE: {"mapping": {}}}, f"{WHERE}.enabled: it is missing"),
    ("no mapping", {WHERE: {"enabled": True}}, "ok"),
    ("off", {WHERE: {"enabled": False}}, "ok"),
    ("upper-case MAC", pin({MAC.upper(): "lan0"}), "ok"),
    ("upper-case name", pin({MAC: "LAN0"}), "ok"),
    ("no MAC", pin({"52:54": "lan0"}), f"{WHERE}.mapping.52:54: '52:54' is no MAC address"),
    ("1 letter", pin({MAC: "l"}), f"{WHERE}.mapping.{MAC}: 'l' cannot name"),
    ("15 letters", pin({MAC: "l" * 15}), "ok"),
    ("16 letters", pin({MAC: "l" * 16}), f"{WHERE}.mapping.{MAC}: '{'l' * 16}' cannot name"),
    ("digit first", pin({MAC: "0lan"}), f"{WHERE}.mapping.{MAC}: '0lan' cannot name"),
    ("a dash", pin({MAC: "lan-0"}), f"{WHERE}.mapping.{MAC}: 'lan-0' cannot name"),
    ("one name twice", pin({MAC: "lan0", "52:54:00:12:34:57": "lan0"}), f"{WHERE}.mapping: 'lan0' is there 2 times"),
    ("one MAC twice", pin({"52:54:00:AA:00:01": "lan0", "52:54:00:aa:00:01": "lan1"}), f"{WHERE}.mapping: '52:54:00:aa:00:01' is there 2 times"),
    ("a kernel's name", pin({MAC: "eth0"}), f"ok\n{WHERE}.mapping: the kernel gives out names such as 'eth0'"),
    ("a kernel's name, but off", pin({MAC: "eth0"}, enabled=False), "ok"),
]  # fmt: skip
DISK: list[Row] = [
    ("xfs", {"disk-setup.filesystem": "xfs"}, "ok"),
    ("upper case", {"disk-setup.filesystem": "EXT4"}, "disk-setup.filesystem: 'EXT4' is not allowed"),
    ("no disk", {"disk-setup.disk-list": GONE}, "disk-setup.filter: none of disk-list, filter and match names a disk"),
    ("list and filter", {"disk-setup.filter.A": "*"}, "disk-setup.filter: disk-list is set too"),
    ("empty list and filter", {"disk-setup.disk-list": [], "disk-setup.filter.A": "*"}, "ok"),
    ("list and empty filter", {"disk-setup.filter": {}}, "ok"),
    ("two disks", {"disk-setup.disk-list": ["sda", "sdb"]}, "disk-setup.disk-list: 2 disks are listed, ext4 takes one"),
    ("one disk twice", {"disk-setup.disk-list": ["sda", "sda"]}, "disk-setup.disk-list: 'sda' is listed more than once"),
    ("filter-match all", {"disk-setup.filter-match": "all"}, "ok"),
    ("filter-match unknown", {"disk-setup.filter-match": "every"}, "disk-setup.filter-match: 'every' is not allowed"),
    ("a pattern that is never closed", {"disk-setup.disk-list": GONE, "disk-setup.filter.A": "[a"}, "disk-setup.filter.A: bad pattern '[a'"),
    ("zfs table with ext4", {"disk-setup.zfs.raid": "raid0"}, "disk-setup.zfs: filesystem is 'ext4'"),
    ("btrfs table with xfs", {"disk-setup.filesystem": "xfs", "disk-setup.btrfs.raid": "raid0"}, "disk-setup.btrfs: filesystem is 'xfs'"),
    ("all sizes", {"disk-setup.lvm": {"hdsize": 100, "swapsize": 8, "maxroot": 20, "maxvz": 0, "minfree": 0}}, "ok"),
    ("swap of half", {"disk-setup.lvm": {"hdsize": 32, "swapsize": 16}}, "ok"),
    ("swap above half", {"disk-setup.lvm": {"hdsize": 32, "swapsize": 16.01}}, "disk-setup.lvm.swapsize: 16.01 GiB is more than half of hdsize (32 GiB)"),
    ("swap alone", {"disk-setup.lvm.swapsize": 16}, "ok"),
    ("maxroot 0 is the default", {"disk-setup.lvm.maxroot": 0}, "ok"),
    ("maxroot below 2", {"disk-setup.lvm.maxroot": 1.5}, "disk-setup.lvm.maxroot: 1.5 GiB do not hold the root"),
    ("hdsize below 8", {"disk-setup.lvm.hdsize": 7.9}, "disk-setup.lvm.hdsize: 7.9 is out of range"),
]  # fmt: skip
HOOKS: list[Row] = [
    ("webhook", {"post-installation-webhook.url": "https://192.0.2.1/"}, "ok"),
    ("webhook without url", {"post-installation-webhook.auth-token": "t"}, "post-installation-webhook.url: it is missing"),
    ("webhook pinned", {"post-installation-webhook": {"url": "https://192.0.2.1/", "cert-fingerprint": FP.upper(), "auth-token": "t"}}, "ok"),
    ("hook from the medium", {"first-boot.source": "from-iso"}, "ok"),
    ("hook without source", {"first-boot.ordering": "fully-up"}, "first-boot.source: it is missing"),
    ("hook from a url", {"first-boot": {"source": "from-url", "url": "https://a/b"}}, "ok"),
    ("hook from a url without one", {"first-boot.source": "from-url"}, "first-boot.url: source 'from-url' needs it"),
    *((f"ordering {name}", {"first-boot": {"source": "from-iso", "ordering": name}}, "ok")
      for name in ("before-network", "network-online", "fully-up")),
    ("ordering unknown", {"first-boot": {"source": "from-iso", "ordering": "last"}}, "first-boot.ordering: 'last' is not allowed"),
]  # fmt: skip
ROWS = [
    *((f"1.1 {name}", changes, text) for name, changes, text in GENERAL),
    *((f"1.2 {name}", changes, text) for name, changes, text in GLOBAL),
    *((f"1.3 {name}", changes, text) for name, changes, text in FQDN),
    *((f"1.4 {name}", changes, text) for name, changes, text in (*NETWORK, *PINNING)),
    *((f"1.5 {name}", changes, text) for name, changes, text in DISK),
    *((f"1.6 {name}", changes, text) for name, changes, text in HOOKS),
]


@pytest.mark.parametrize(("changes", "text"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_rule(changes: dict[str, Any], text: str) -> None:
    found = outcome(changes)
    assert found == "ok" if text == "ok" else found.startswith(text), found


@pytest.mark.parametrize(("changes", "text"), [row[1:] for row in ALIASES], ids=[row[0] for row in ALIASES])
def test_deprecated_spelling(changes: dict[str, Any], text: str) -> None:
    assert outcome(changes).startswith(text)


@pytest.mark.parametrize(("changes", "_"), [row[1:] for row in ALIASES], ids=[row[0] for row in ALIASES])
def test_both_spellings(changes: dict[str, Any], _: str) -> None:
    path, both = next(iter(changes)), dict(changes)
    both[path] = next(iter(value for key, value in changes.items() if "_" in key))
    assert outcome(both).startswith(f"{path}: it is given twice")


def test_lists_of_the_peer_are_whole() -> None:
    assert (len(COUNTRIES), len(KEYBOARDS)) == (249, 25)


RAID = {
    "zfs": {"raid0": 1, "raid1": 2, "raid10": 4, "raidz-1": 3, "raidz-2": 4, "raidz-3": 5},
    "btrfs": {"raid0": 1, "raid1": 2, "raid10": 4},
}
LEVELS = [
    (kind, name, least)
    for kind, levels in RAID.items()
    for level, least in levels.items()
    for name in (level, level.upper())
]


def raid(filesystem: str, level: str, count: int, **more: object) -> dict[str, Any]:
    names = [f"sd{chr(97 + number)}" for number in range(count)]
    options = {"raid": level, **more}
    return {
        "disk-setup": {"filesystem": filesystem, "disk-list": names, filesystem: options},
    }


@pytest.mark.parametrize(("filesystem", "level", "least"), LEVELS)
def test_raid_levels_and_their_disks(filesystem: str, level: str, least: int) -> None:
    assert outcome(raid(filesystem, level, least)) == "ok"
    if least > 1:
        what = f"{level.upper()} needs at least {least} disks, got {least - 1}"
        assert what in outcome(raid(filesystem, level, least - 1))
    more = outcome(raid(filesystem, level, least + 1))
    assert "needs an even number of disks, got 5" in more if level.lower() == "raid10" else more == "ok"


@pytest.mark.parametrize(
    ("filesystem", "key", "right", "wrong"),
    [
        ("zfs", "ashift", [9, 12, 16], [8, 17, "12", 12.0, True]),
        ("zfs", "copies", [1, 3], [0, 4]),
        ("zfs", "arc-max", [64, 2048], [63, -1]),
        ("zfs", "checksum", ["on", "fletcher4", "sha256"], ["off", "ON"]),
        ("zfs", "compress", ["on", "off", "lzjb", "lz4", "zle", "gzip", "zstd"], ["lzo", ""]),
        ("zfs", "hdsize", [2, 80.5], [1.9, "80"]),
        ("btrfs", "compress", ["on", "off", "zlib", "lzo", "zstd"], ["lz4"]),
        ("btrfs", "hdsize", [2, 80.5], [1.9, 2**31]),
        ("btrfs", "raid", ["raid1"], ["Raid1", "single", "raidz-1"]),
    ],
)
def test_options_of_other_file_systems(
    filesystem: str, key: str, right: list[object], wrong: list[object]
) -> None:
    for value in right:
        assert outcome(raid(filesystem, "raid0", 2, **{key: value})) == "ok"
    for value in wrong:
        lines = outcome(raid(filesystem, "raid0", 2, **{key: value})).splitlines()
        assert lines[0].startswith(f"disk-setup.{filesystem}.{key}: ")
        name = {"zfs": "ZFS", "btrfs": "Btrfs"}[filesystem]
        assert lines[1:] == [f"disk-setup.filesystem: this image does not carry {name}"]


def test_what_the_peer_means_by_a_default() -> None:
    answers, warnings = parse({"first-boot.source": "from-iso"})
    assert not warnings
    assert answers.global_.reboot_mode == "reboot"
    assert answers.global_.reboot_on_error is False
    assert answers.disk_setup.filter_match == "any"
    assert answers.first_boot is not None
    assert answers.first_boot.ordering == "fully-up"
    assert answers.post_installation_webhook is None
