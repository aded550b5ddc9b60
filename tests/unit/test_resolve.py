"""What is decided about a machine, where a recorded one would not show it. The rest is in tests/answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from hostlib.errors import CheckBlocksError, UserError
from hostlib.inventory import Content, Inventory, Lease, parse_inventory
from hostlib.sizes import GIB, MIB
from installer.answers import Answers
from installer.config import InstallConfig
from installer.resolve import check_answers, parse_kernel_args, plan_renames, resolve

MACHINES = Path(__file__).parents[1] / "machines"
ONE = parse_inventory((MACHINES / "one-virtio-uefi.json").read_text())
FOUR = parse_inventory((MACHINES / "four-scsi-bios.json").read_text())
DHCP = {"source": "from-dhcp"}
PINNED = {**DHCP, "interface-name-pinning": {"enabled": True}}
STATIC = {
    "source": "from-answer",
    "cidr": "192.0.2.10/24",
    "gateway": "192.0.2.1",
    "dns": "192.0.2.53",
    "filter": {"ID_NET_NAME": "*"},
}


def answers(
    network: dict[str, Any] | None = None,
    disk: dict[str, Any] | None = None,
    checks: Sequence[str] = (),
    **settings: Any,
) -> Answers:
    base = {
        "keyboard": "de",
        "country": "at",
        "timezone": "UTC",
        "fqdn": "node1.example.test",
        "mailto": "ops@example.test",
        "root-password": SecretStr("correct horse"),
    }
    setup = {"filesystem": "ext4", "disk-list": ["/dev/vda"]} | (disk or {})
    data = {"global": base | settings, "network": network or DHCP, "disk-setup": setup}
    data["checks"] = {"allow": checks}
    return Answers.model_validate(data)


def changed(**update: Any) -> Inventory:
    return ONE.model_copy(update=update)


def decide(machine: Inventory, wanted: Answers | None = None) -> InstallConfig:
    return resolve(wanted or answers(), machine)


def complain(machine: Inventory, wanted: Answers | None = None) -> str:
    with pytest.raises(UserError) as caught:
        decide(machine, wanted)
    return str(caught.value)


def test_the_same_input_gives_the_same_configuration() -> None:
    assert decide(ONE) == decide(ONE)


def test_a_machine_without_a_disk_is_told_twice() -> None:
    lines = complain(changed(disks=())).splitlines()
    assert lines[0] == (
        "disk-setup.disk-list: this machine has no disk '/dev/vda'; attach a disk: there is none but the boot medium"
    )
    assert lines[1].startswith("disks: there is no disk to install on (0 besides the boot medium); ")


def test_two_disks_of_one_name_are_not_guessed_at() -> None:
    twin = ONE.disks[0].model_copy(update={"name": "vdb", "path": "/dev/vdb"})
    machine = changed(disks=(*ONE.disks, twin))
    text = complain(machine, answers(disk={"disk-list": ["virtio-SLIPWAY0"]}))
    assert text.startswith("disk-setup.disk-list: 'virtio-SLIPWAY0' names 2 disks; choose from: ")


def test_a_disk_without_a_lasting_name_goes_by_its_kernel_name() -> None:
    machine = changed(disks=(ONE.disks[0].model_copy(update={"ids": ()}),))
    assert decide(machine).target.path == "/dev/vda"


def test_a_check_of_the_machine_blocks_with_status_3() -> None:
    with pytest.raises(CheckBlocksError, match="less than 1 GiB of memory") as caught:
        decide(changed(memory_bytes=512 * MIB))
    assert caught.value.exit_status == 3


def test_what_the_answer_allows_does_not_block_and_is_told() -> None:
    machine = changed(memory_bytes=512 * MIB)
    config = decide(machine, answers(checks=["memory-minimum", "target-4kn-bios"]))
    assert config.allowed_checks == ("memory-minimum",)
    (warning,) = config.warnings
    assert warning.startswith("allowed by the answer: memory-minimum: memory: ")
    with pytest.raises(CheckBlocksError, match="memory"):
        decide(machine, answers(checks=["target-4kn-bios"]))


def test_one_allowed_check_does_not_let_another_through() -> None:
    disk = ONE.disks[0].model_copy(update={"read_only": True})
    machine = changed(memory_bytes=512 * MIB, disks=(disk,))
    with pytest.raises(CheckBlocksError) as caught:
        decide(machine, answers(checks=["memory-minimum"]))
    assert [problem.where for problem in caught.value.problems] == [disk.stable_path]


def test_what_is_wrong_with_the_sizes_is_told_beside_a_check() -> None:
    wanted = answers(disk={"lvm": {"swapsize": 30}})
    lines = complain(changed(memory_bytes=512 * MIB), wanted).splitlines()
    assert [line.split(":")[0] for line in lines] == ["disk-setup.lvm", "memory"]


def test_a_disk_that_is_too_small_is_told_once() -> None:
    machine = changed(disks=(ONE.disks[0].model_copy(update={"size_bytes": 4 * GIB}),))
    with pytest.raises(CheckBlocksError) as caught:
        decide(machine, answers(disk={"lvm": {"hdsize": 8}}))
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("disk_gib", "memory_gib", "swap_mib"),
    [(31, 1, 1024), (40, 1, 2048), (80, 1, 4096), (80, 6, 6144), (80, 64, 8192)],
)
def test_swap_follows_memory_within_limits(disk_gib: int, memory_gib: int, swap_mib: int) -> None:
    disk = ONE.disks[0].model_copy(update={"size_bytes": disk_gib * GIB})
    config = decide(changed(disks=(disk,), memory_bytes=memory_gib * GIB))
    assert config.layout.swap_bytes == swap_mib * MIB


def test_a_machine_without_a_card() -> None:
    lines = complain(changed(nics=(), leases=())).splitlines()
    assert lines[0].startswith("network.source: no network card got an address by DHCP (no card); ")
    assert lines[1].startswith("network: there is no network interface with a MAC address ")
    text = complain(changed(nics=(), leases=()), answers(STATIC))
    assert (
        'network.filter: no network card fits ID_NET_NAME = "*"; attach a network card: there is none' in text
    )


@pytest.mark.parametrize("address", ["169.254.3.1/16", "fe80::5054:ff:fe12:3456/64"])
def test_a_link_local_address_is_no_lease(address: str) -> None:
    useless = Lease(nic="enp0s2", address=address, hostname="bmc", domain="example.test")
    assert "no network card got an address by DHCP" in complain(changed(leases=(useless,)))
    config = decide(changed(leases=(useless, *ONE.leases)))
    assert config.network.address == "10.0.2.15/24"


def test_a_lease_of_a_card_that_is_gone_does_not_count() -> None:
    gone = Lease(nic="eth9", address="198.51.100.2/24")
    assert decide(changed(leases=(gone, *ONE.leases))).network.nic == "enp0s2"


@pytest.mark.parametrize(
    ("hostname", "domain", "wanted", "fqdn"),
    [
        ("node7", "example.test", {}, "node7.example.test"),
        ("node7.example.test", "example.test", {}, "node7.example.test"),
        ("node7.example.test", "example.test", {"domain": "rack.test"}, "node7.rack.test"),
        ("node7", "", {"domain": "rack.test"}, "node7.rack.test"),
        ("node7", "example.test", {"domain": ""}, "node7.example.test"),
    ],
)
def test_names_by_dhcp(hostname: str, domain: str, wanted: dict[str, str], fqdn: str) -> None:
    lease = ONE.leases[0].model_copy(update={"hostname": hostname, "domain": domain})
    config = decide(changed(leases=(lease,)), answers(fqdn=wanted))
    assert (config.fqdn, config.network.domain) == (fqdn, fqdn.partition(".")[2])


@pytest.mark.parametrize(
    ("hostname", "domain", "problem"),
    [
        ("", "example.test", "DHCP gave no host name; give the name in the answer file"),
        ("node7", "", "DHCP gave no domain; set global.fqdn.domain"),
        (
            "node_7",
            "example.test",
            "from DHCP: 'node_7.example.test' is no fully qualified domain name; give",
        ),
        ("a; b", "example.test", "from DHCP: 'a; b.example.test' is no fully qualified domain name; give"),
    ],
)
def test_names_that_dhcp_does_not_give(hostname: str, domain: str, problem: str) -> None:
    lease = ONE.leases[0].model_copy(update={"hostname": hostname, "domain": domain})
    assert complain(changed(leases=(lease,)), answers(fqdn={})).startswith(f"global.fqdn: {problem}")


def test_cards_with_one_mac_address_cannot_be_pinned() -> None:
    twin = ONE.nics[0].model_copy(update={"name": "enp0s9"})
    machine = changed(nics=(*ONE.nics, twin))
    assert complain(machine, answers(PINNED)) == (
        "network.interface-name-pinning: enp0s2, enp0s9 have one MAC address, so none of them can be told by it; "
        "turn it off: enabled = false"
    )
    assert decide(machine).network.other_nics == ("enp0s9",)
    virtual = changed(nics=(*ONE.nics, twin.model_copy(update={"physical": False})))
    assert decide(virtual, answers(PINNED)).network.pinned == {"52:54:00:12:34:56": "nic0"}


@pytest.mark.parametrize(
    ("cmdline", "kept"),
    [
        ("", ()),
        ("BOOT_IMAGE=/live/vmlinuz boot=live components noeject quiet splash ro", ()),
        ("boot=live components noeject md_mod.start_ro=1 console=tty0 console=ttyS0,115200", ("console=tty0", "console=ttyS0,115200")),
        ("initrd=initrd.img fetch=http://192.0.2.10/f ip=dhcp BOOTIF=01-52-54-00-12-34-56 dns=192.0.2.53 netboot=http", ()),
        ("toram toram=filesystem.squashfs findiso=/a.iso live-media=/dev/sdb1 live-media-path=live persistence", ()),
        ("slipway.mode=auto slipway.answer-token=x1 slipway.Other_1=2 slipway.answer=label:A", ()),
        ("systemd.unit=rescue.target rescue single emergency", ()),
        ("nomodeset intel_iommu=on pcie_aspm=off quietly=1 rootdelay=5", ("nomodeset", "intel_iommu=on", "pcie_aspm=off", "quietly=1", "rootdelay=5")),
        ('dyndbg="file a.c +p"', ('dyndbg="file', "a.c", '+p"')),
    ],
)  # fmt: skip
def test_kernel_parameters(cmdline: str, kept: tuple[str, ...]) -> None:
    assert parse_kernel_args(cmdline) == kept


def pv(vg: str, uuid: str) -> Content:
    return Content(device="sdx1", type="LVM2_member", vg=vg, vg_uuid=uuid)


def test_renames_of_vgs_on_other_disks() -> None:
    disks = FOUR.disks
    contents = (
        (pv("pve", "AAA"),),
        (pv("pve", "BBB"), pv("data", "CCC")),
        (pv("pve", "BBB"),),
        (pv("pve", ""),),
    )
    filled = [
        disk.model_copy(update={"contents": found}) for disk, found in zip(disks, contents, strict=False)
    ]
    machine = FOUR.model_copy(update={"disks": (*filled, disks[4])})
    renames = plan_renames(machine, machine.disks[0])
    # One VG over two disks is renamed once; a PV of no VG, and a VG of another name, are left alone.
    assert renames == {"BBB": "pve-OLD-DCDB7041"}
    assert set(plan_renames(machine, machine.disks[1])) == {"AAA", "BBB"}
    assert plan_renames(machine, machine.disks[0]) == renames


def test_a_file_system_that_the_image_does_not_carry_is_told_without_a_machine() -> None:
    check_answers(answers())
    zfs = {"filesystem": "zfs", "zfs": {"raid": "raid0"}}
    with pytest.raises(
        UserError, match=r"^disk-setup\.filesystem: this image does not carry ZFS; use 'ext4'"
    ):
        check_answers(answers(disk=zfs))


def test_a_pinned_name_of_the_kernel_is_refused_only_for_a_card_of_a_machine_with_several() -> None:
    def pinned(mac: str) -> Answers:
        return answers({**DHCP, "interface-name-pinning": {"enabled": True, "mapping": {mac: "eth0"}}})

    second = ONE.nics[0].model_copy(update={"name": "enp0s9", "mac": "52:54:00:12:34:99"})
    two = changed(nics=(*ONE.nics, second))
    assert decide(ONE, pinned("52:54:00:12:34:56")).network.nic == "eth0"
    assert "gives out eth0 itself, and this machine has 2 cards" in complain(two, pinned("52:54:00:12:34:99"))
    config = decide(two, pinned("52:54:00:00:00:01"))
    assert config.warnings == (
        "network.interface-name-pinning.mapping.52:54:00:00:00:01: this machine has no such card, 'eth0' is not used",
    )


HELD = {
    "data": (Content(device="vda1", type="ext4", label="data"),),
    "a finished node": (Content(device="vda3", type="LVM2_member", vg="pve", vg_uuid="U1", vg_tags=("slipway-installed",)),),
    "an empty table": (Content(device="vda", type="gpt"),),
}  # fmt: skip
REFUSE = {"on-existing": "refuse"}


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_refuse_stops_at_anything_on_the_target(held: tuple[Content, ...]) -> None:
    machine = changed(disks=(ONE.disks[0].model_copy(update={"contents": held}),))
    with pytest.raises(CheckBlocksError) as caught:
        decide(machine, answers(disk=REFUSE))
    (problem,) = caught.value.problems
    assert ONE.disks[0].stable_path in problem.where
    assert f"({held[0].device}: {held[0].type}" in problem.what
    for other in ("rename", "wipe"):
        assert decide(machine, answers(disk={"on-existing": other})).target.path == ONE.disks[0].stable_path


def test_refuse_stops_at_a_vg_of_our_name_on_another_disk() -> None:
    content = Content(device="vdb", type="LVM2_member", vg="pve", vg_uuid="U1")
    empty = ONE.disks[0].model_copy(update={"contents": ()})
    other = empty.model_copy(
        update={
            "name": "vdb",
            "path": "/dev/vdb",
            "ids": ("virtio-OTHER",),
            "serial": "OTHER",
            "wwn": "",
            "contents": (content,),
        }
    )
    machine = changed(disks=(empty, other))
    with pytest.raises(CheckBlocksError, match=r"virtio-OTHER.*this disk holds a VG called pve"):
        decide(machine, answers(disk=REFUSE))
    assert decide(machine, answers()).rename_vgs.keys() == {"U1"}
    bare = changed(disks=(empty,))
    assert decide(bare, answers(disk=REFUSE)).on_existing == "refuse"
