from pathlib import Path
from typing import Any

import pytest

from hostlib.inventory import Lease, Nic
from hostlib.probe.kernel import _DRVINFO, _GDRVINFO, parse_drvinfo
from hostlib.probe.leases import has_lease, live_configuration, parse_lease, parse_resolv_conf, read_leases
from hostlib.probe.netlink import (
    AF_INET,
    AF_INET6,
    DefaultRoute,
    Netlink,
    parse_addresses,
    parse_default_routes,
)
from hostlib.probe.nics import read_nics
from hostlib.probe.udev import Device

MAC = "52:54:00:12:34:56"


def address(index: int, text: str, prefix: int, scope: int = 0, flags: int = 128) -> dict[str, Any]:
    family = AF_INET6 if ":" in text else AF_INET
    attrs = [("IFA_ADDRESS", text), ("IFA_FLAGS", flags)]
    return {"index": index, "family": family, "prefixlen": prefix, "scope": scope, "attrs": attrs}


def test_addresses_are_those_that_last_and_reach_out() -> None:
    point_to_point = address(3, "198.51.100.1", 32)
    point_to_point["attrs"].append(("IFA_LOCAL", "198.51.100.2"))
    messages = [
        address(1, "127.0.0.1", 8, scope=254),
        address(2, "192.0.2.2", 24),
        address(2, "192.0.2.3", 24, flags=0x81),  # a second address in the same subnet
        address(2, "2001:db8::2", 64),
        address(2, "2001:db8::bad", 64, flags=0x01),  # temporary
        address(2, "2001:db8::dad", 64, flags=0x08),  # somebody else has it
        address(2, "2001:db8::01d", 64, flags=0x20),  # deprecated
        address(2, "fe80::2", 64, scope=253),
        point_to_point,
    ]
    assert parse_addresses(messages) == {
        2: ("192.0.2.2/24", "192.0.2.3/24", "2001:db8::2/64"),
        3: ("198.51.100.2/32",),
    }


def route(index: int, gateway: str | None, metric: int | None, **header: int) -> dict[str, Any]:
    family = AF_INET6 if gateway and ":" in gateway else AF_INET
    attrs = [("RTA_TABLE", header.pop("table", 254)), ("RTA_OIF", index)]
    found: dict[str, Any] = {"family": family, "dst_len": 0, "type": 1, "attrs": attrs, **header}
    found["attrs"] += [("RTA_GATEWAY", gateway)] if gateway else []
    found["attrs"] += [("RTA_PRIORITY", metric)] if metric is not None else []
    return found


def test_default_routes_come_best_first() -> None:
    messages = [
        route(4, "2001:db8::1", 1024),
        route(4, "198.51.100.1", 1024),
        route(3, "192.0.2.1", 100),
        route(2, "203.0.113.1", None),
        route(5, None, None),  # a device route
        route(5, "192.0.2.9", None, dst_len=24),
        route(5, "192.0.2.9", None, table=255),
        route(5, "192.0.2.9", None, type=7),  # unreachable
    ]
    assert parse_default_routes(messages) == (
        DefaultRoute(2, AF_INET, "203.0.113.1", 0),
        DefaultRoute(3, AF_INET, "192.0.2.1", 100),
        DefaultRoute(4, AF_INET, "198.51.100.1", 1024),
        DefaultRoute(4, AF_INET6, "2001:db8::1", 1024),
    )


def link(index: int, name: str, mac: str | None = MAC, **more: Any) -> dict[str, Any]:
    attrs = [("IFLA_IFNAME", name), ("IFLA_ADDRESS", mac), ("IFLA_CARRIER", more.pop("carrier", 1))]
    attrs += [("IFLA_PERM_ADDRESS", mac)] if more.pop("permanent", True) else []
    if kind := more.pop("kind", None):
        attrs.append(("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", kind)]}))
    return {"index": index, "ifi_type": 1, "flags": 0x1003, "attrs": attrs, **more}


def device(root: Path, name: str, *folders: str, speed: str = "", **udev: str) -> Device:
    sysfs = root / name
    for folder in ("", *folders):
        (sysfs / folder).mkdir(parents=True, exist_ok=True)
    (sysfs / "speed").write_text(f"{speed}\n")
    return Device({"INTERFACE": name, **udev}, sysfs)


def no_firmware(_: str) -> str:
    return ""


def test_a_nic_is_read_with_link_speed_and_addresses(tmp_path: Path) -> None:
    eno1 = device(tmp_path, "eno1", "device", speed="10000", ID_NET_DRIVER="i40e", ID_PATH="pci-0000:3b:00.0")
    netlink = Netlink((link(2, "eno1", MAC.upper()),), {2: ("192.0.2.2/24",)}, ())
    assert read_nics(netlink, [eno1], {"eno1": "9.20 0x8000d95e"}.__getitem__) == {
        2: Nic(
            name="eno1",
            mac=MAC,
            permanent_mac=MAC,
            driver="i40e",
            pci_path="pci-0000:3b:00.0",
            link=True,
            speed_mbit=10000,
            firmware="9.20 0x8000d95e",
            addresses=("192.0.2.2/24",),
            udev=dict(eno1.udev),
        )
    }


@pytest.mark.parametrize(
    ("more", "speed", "expected_link", "expected_speed"),
    [
        ({"carrier": 1}, "-1", True, None),
        ({"carrier": 0}, "-1", False, None),
        ({"carrier": 1, "flags": 0x1002}, "", None, None),
        ({"carrier": None}, "0", None, None),
    ],
)
def test_link_and_speed_are_unknown_where_the_kernel_cannot_tell(
    tmp_path: Path,
    *,
    more: dict[str, Any],
    speed: str,
    expected_link: bool | None,
    expected_speed: int | None,
) -> None:
    eno1 = device(tmp_path, "eno1", "device", speed=speed)
    nic = read_nics(Netlink((link(2, "eno1", **more),), {}, ()), [eno1], no_firmware)[2]
    assert (nic.link, nic.speed_mbit) == (expected_link, expected_speed)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, (None, 0)),
        ({"sriov_totalvfs": "64", "sriov_numvfs": "4"}, (64, 4)),
        ({"sriov_totalvfs": "0", "sriov_numvfs": "0"}, (0, 0)),
        ({"sriov_totalvfs": "", "sriov_numvfs": "x"}, (None, 0)),
    ],
)
def test_sriov(tmp_path: Path, files: dict[str, str], expected: tuple[int | None, int]) -> None:
    eno1 = device(tmp_path, "eno1", "device")
    for name, text in files.items():
        (eno1.sysfs / "device" / name).write_text(f"{text}\n")
    nic = read_nics(Netlink((link(2, "eno1"),), {}, ()), [eno1], no_firmware)[2]
    assert (nic.sriov_vfs, nic.sriov_active_vfs) == expected


def test_only_hardware_is_asked_for_its_firmware(tmp_path: Path) -> None:
    netlink = Netlink((link(2, "eno1"), link(3, "vmbr0", kind="bridge")), {}, ())
    devices = [device(tmp_path, "eno1", "device"), device(tmp_path, "vmbr0")]
    nics = read_nics(netlink, devices, {"eno1": "9.20"}.__getitem__)
    assert [(nic.name, nic.firmware) for nic in nics.values()] == [("eno1", "9.20"), ("vmbr0", "")]


@pytest.mark.parametrize(
    ("field", "version"),
    [
        (b"9.20 0x8000d95e 22.0.9", "9.20 0x8000d95e 22.0.9"),
        (b"N/A", ""),
        (b"", ""),
        (b"5719-v1.46 \0rest", "5719-v1.46"),
        (b"\xff1", "\ufffd1"),
    ],
)
def test_firmware_of_a_nic(field: bytes, version: str) -> None:
    answer = _DRVINFO.pack(_GDRVINFO, b"i40e", b"6.12", field, b"0000:3b:00.0", b"", b"", *[0] * 5)
    # struct ethtool_drvinfo of linux/ethtool.h.
    assert len(answer) == 196
    assert answer[68:].startswith(field)
    assert parse_drvinfo(answer) == version


@pytest.mark.parametrize(
    ("kind", "folders", "physical"),
    [
        (None, ["device"], True),
        (None, ["device/physfn"], False),
        (None, ["device", "phy80211"], False),
        ("vlan", [], False),
        ("bridge", [], False),
        (None, [], False),
    ],
)
def test_physical(tmp_path: Path, kind: str | None, folders: list[str], *, physical: bool) -> None:
    found = read_nics(
        Netlink((link(2, "x0", kind=kind),), {}, ()), [device(tmp_path, "x0", *folders)], no_firmware
    )
    assert found[2].physical is physical


def test_the_driver_is_found_without_udev(tmp_path: Path) -> None:
    (tmp_path / "drivers/virtio_net").mkdir(parents=True)
    eth0 = device(tmp_path, "eth0", "device")
    (eth0.sysfs / "device/driver").symlink_to(tmp_path / "drivers/virtio_net")
    nic = read_nics(Netlink((link(2, "eth0", permanent=False),), {}, ()), [eth0], no_firmware)[2]
    assert (nic.driver, nic.permanent_mac) == ("virtio_net", "")


def test_links_that_no_node_can_use_are_left_out(tmp_path: Path) -> None:
    links = (
        link(1, "lo", "00:00:00:00:00:00"),
        link(2, "tun0", None),
        link(3, "ib0", ifi_type=32),
        link(4, "gone"),
        link(5, "eno1"),
    )
    devices = [device(tmp_path, name, "device") for name in ("lo", "tun0", "ib0", "eno1")]
    assert list(read_nics(Netlink(links, {}, ()), devices, no_firmware)) == [5]


LEASE = """\
# This is private data. Do not parse.
ADDRESS=192.0.2.41
NETMASK=255.255.255.0
ROUTER=192.0.2.1
SERVER_ADDRESS=192.0.2.10
LIFETIME=86400
DNS=192.0.2.53 192.0.2.54
DOMAINNAME=example.test
HOSTNAME=node7
CLIENTID=ffb6220feb0002
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            LEASE,
            Lease(
                nic="eno1",
                address="192.0.2.41/24",
                gateway="192.0.2.1",
                dns=("192.0.2.53", "192.0.2.54"),
                hostname="node7",
                domain="example.test",
            ),
        ),
        ("ADDRESS=10.0.2.15\nNETMASK=255.255.255.0\n", Lease(nic="eno1", address="10.0.2.15/24")),
        (
            "ADDRESS=10.0.2.15\nNETMASK=255.0.0.0\nHOSTNAME=node7.lab.test.\nROUTER=10.0.0.1 10.0.0.2\n",
            Lease(nic="eno1", address="10.0.2.15/8", gateway="10.0.0.1", hostname="node7", domain="lab.test"),
        ),
        (
            "ADDRESS=10.0.2.15\nNETMASK=255.0.0.0\nHOSTNAME=node7.other.test\nDOMAINNAME=example.test\nDNS=0.0.0.0\n",
            Lease(nic="eno1", address="10.0.2.15/8", hostname="node7", domain="example.test"),
        ),
        (
            f"ADDRESS=10.0.2.15\nDOMAIN_SEARCH_LIST=a.test b.test.\nOPTION_250={b'http://a/b'.hex()}\n"
            f"OPTION_251={b'AB:cd'.hex()}00\nOPTION_252=zz\n",
            Lease(
                nic="eno1",
                address="10.0.2.15/32",
                search=("a.test", "b.test"),
                answer_url="http://a/b",
                answer_fingerprint="AB:cd",
            ),
        ),
        # dnsmasq makes bytes of `ab:cd:…`.
        (
            f"ADDRESS=10.0.2.15\nOPTION_251={'ab' * 32}\n",
            Lease(nic="eno1", address="10.0.2.15/32", answer_fingerprint="ab" * 32),
        ),
    ],
)
def test_lease(text: str, expected: Lease) -> None:
    assert parse_lease(text, "eno1") == expected.model_copy(update={"dhcp": True})


@pytest.mark.parametrize("data", [b"http://\xe4/", b"http://a/\n", b"\0http://a/", b"http://a/\x1b[2J"])
def test_an_option_that_is_no_text_is_left_out(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    lease = parse_lease(f"ADDRESS=10.0.2.15\nOPTION_250={data.hex()}\n", "eno1")
    assert lease == Lease(nic="eno1", dhcp=True, address="10.0.2.15/32")
    assert caplog.text.count("DHCP option 250 of eno1: cannot be read") == 1


@pytest.mark.parametrize("size", [20, 31, 33])
def test_a_fingerprint_of_another_length_is_kept_so_that_it_is_refused(size: int) -> None:
    lease = parse_lease(f"ADDRESS=10.0.2.15\nOPTION_251={'ab' * size}\n", "eno1")
    assert lease.answer_fingerprint == "ab" * size


def test_a_lease_is_seen_by_the_name_of_the_card(tmp_path: Path) -> None:
    assert not has_lease("eno1", tmp_path)
    write(tmp_path, "sys/class/net/eno1/ifindex", "3\n")
    assert not has_lease("eno1", tmp_path)
    write(tmp_path, "run/systemd/netif/leases/3", "ADDRESS=10.0.0.3\n")
    assert has_lease("eno1", tmp_path)


@pytest.mark.parametrize("text", ["", "ADDRESS=\n", "ADDRESS=10.0.2.999\nNETMASK=255.0.0.0\n"])
def test_a_lease_without_an_address_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|Octet"):
        parse_lease(text, "eno1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ((), "")),
        (
            "# made by hand\nsearch example.test lab.test\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n",
            (("192.0.2.53", "2001:db8::53"), "example.test"),
        ),
        ("nameserver 127.0.0.53\nnameserver fe80::1%eth0\nnameserver x\ndomain a.test.\n", ((), "a.test")),
        ("nameserver\nsearch\n", ((), "")),
    ],
)
def test_resolv_conf(text: str, expected: tuple[tuple[str, ...], str]) -> None:
    assert parse_resolv_conf(text) == expected


V4 = DefaultRoute(2, AF_INET, "192.0.2.1", 0)
V6 = DefaultRoute(2, AF_INET6, "2001:db8::1", 1024)
BOTH = ("2001:db8::2/64", "192.0.2.2/24")


@pytest.mark.parametrize(
    ("addresses", "routes", "expected"),
    [
        ((), [V4], None),
        (BOTH, [V4, V6], ("192.0.2.2/24", "192.0.2.1")),
        (BOTH, [V6], ("2001:db8::2/64", "2001:db8::1")),
        (BOTH, [], ("192.0.2.2/24", "")),
        (("2001:db8::2/64",), [V4], ("2001:db8::2/64", "")),
    ],
)
def test_live_configuration_takes_the_family_of_the_default_route(
    addresses: tuple[str, ...], routes: list[DefaultRoute], expected: tuple[str, str] | None
) -> None:
    nic = Nic(name="eth0", mac=MAC, addresses=addresses)
    lease = live_configuration(nic, routes, (("192.0.2.53",), "example.test"))
    assert (lease and (lease.address, lease.gateway)) == expected
    assert lease is None or (lease.dns, lease.domain) == (("192.0.2.53",), "example.test")


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_leases_come_by_default_route_then_by_index(tmp_path: Path) -> None:
    write(tmp_path, "run/systemd/netif/leases/2", "ADDRESS=10.0.0.2\nNETMASK=255.0.0.0\n")
    write(tmp_path, "run/systemd/netif/leases/3", "ADDRESS=10.0.0.3\nNETMASK=255.0.0.0\nROUTER=10.0.0.9\n")
    write(tmp_path, "run/systemd/netif/leases/4", "ADDRESS=10.0.0.4\nNETMASK=255.0.0.0\n")
    write(tmp_path, "run/systemd/netif/leases/5", "ADDRESS=10.0.0.5\nNETMASK=255.0.0.0\n")
    nics = {index: Nic(name=f"eth{index}", mac=MAC, physical=index != 5) for index in (2, 3, 4, 5)}
    routes = [DefaultRoute(3, AF_INET, "10.0.0.1", 100), DefaultRoute(4, AF_INET, "10.0.0.1", 1024)]
    found = read_leases(nics, routes, tmp_path)
    assert [(lease.nic, lease.address, lease.gateway) for lease in found] == [
        ("eth3", "10.0.0.3/8", "10.0.0.1"),
        ("eth4", "10.0.0.4/8", "10.0.0.1"),
        ("eth2", "10.0.0.2/8", ""),
    ]


def test_without_a_usable_lease_the_live_configuration_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "run/systemd/netif/leases/2", "ADDRESS=broken\n")
    write(tmp_path, "etc/resolv.conf", "nameserver 127.0.0.53\n")
    write(tmp_path, "run/systemd/resolve/resolv.conf", "nameserver 192.0.2.53\nsearch example.test\n")
    nics = {2: Nic(name="eth0", mac=MAC, addresses=("192.0.2.2/24",)), 3: Nic(name="eth1", mac=MAC)}
    assert read_leases(nics, [V4], tmp_path) == (
        Lease(
            nic="eth0",
            address="192.0.2.2/24",
            gateway="192.0.2.1",
            dns=("192.0.2.53",),
            domain="example.test",
        ),
    )
    assert "DHCP lease of eth0: cannot be read" in caplog.text
