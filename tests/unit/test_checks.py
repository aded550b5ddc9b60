from pathlib import Path
from typing import Any

import pytest

from hostlib.checks import (
    NEVER_ALLOWED,
    Finding,
    allow_findings,
    blocking_problems,
    check_target,
    disks_for,
    run_checks,
)
from hostlib.checks.machine import MACHINE_CHECKS
from hostlib.inventory import (
    Content,
    Controller,
    Cpu,
    Disk,
    Firmware,
    Health,
    Inventory,
    parse_inventory,
)
from hostlib.sizes import GIB, MIB

MACHINES = Path(__file__).parents[1] / "machines"


def machine(name: str) -> Inventory:
    return parse_inventory((MACHINES / f"{name}.json").read_text())


VIRTIO = machine("one-virtio-uefi")
FOUR = machine("four-scsi-bios")


def changed(**update: Any) -> Inventory:
    return VIRTIO.model_copy(update=update)


def troubles(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.id, finding.severity) for finding in findings if finding.severity != "ok"]


@pytest.mark.parametrize("name", ["one-virtio-uefi", "four-scsi-bios", "nvme-server"])
def test_good_machines_pass_and_show_what_was_measured(name: str) -> None:
    findings = run_checks(machine(name))
    expected = {check.id for check in MACHINE_CHECKS if check.severities.system != "ok"}
    assert expected - {"clock-early", "clock-differs", "firmware-bios"} <= {
        finding.id for finding in findings
    }
    assert not troubles(findings)
    assert all(finding.measured and finding.text and not finding.todo for finding in findings)


NO_LINK = tuple(nic.model_copy(update={"link": False}) for nic in FOUR.nics)
DOWN = tuple(nic.model_copy(update={"link": None}) for nic in FOUR.nics)
VIRTUAL = tuple(nic.model_copy(update={"physical": False}) for nic in FOUR.nics)
NOTHING_TO_PLUG = [("nic-present", "blocking")]


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        # What Linux reports as usable on machines with 768 MiB, 1 GiB, 1.5 GiB and 2 GiB built in.
        ({"memory_bytes": 700 * MIB}, [("memory-minimum", "blocking")]),
        ({"memory_bytes": 940 * MIB}, [("memory-guests", "warning")]),
        ({"memory_bytes": 1430 * MIB}, [("memory-guests", "warning")]),
        ({"memory_bytes": 1900 * MIB}, []),
        ({"cpu": Cpu(model="old", threads=2)}, [("virtualisation", "warning")]),
        ({"disks": ()}, [("disk-present", "blocking")]),
        ({"disks": (FOUR.disks[4],)}, [("disk-present", "blocking")]),
        ({"nics": ()}, NOTHING_TO_PLUG),
        ({"nics": VIRTUAL}, NOTHING_TO_PLUG),
        ({"nics": NO_LINK}, [("nic-link", "warning")]),
        ({"nics": DOWN}, [("nic-link", "warning")]),
        ({"nics": (NO_LINK[0], FOUR.nics[0])}, []),
    ],
)
def test_machine(update: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    findings = run_checks(changed(**update))
    assert troubles(findings) == expected
    assert all(finding.todo for finding in findings if finding.severity != "ok")


BLANK = VIRTIO.disks[0]
MOUNTED = Content(device="vda2", type="ext4", mountpoints=("/mnt", "/srv"))
SWAP = Content(device="vda3", type="swap", mountpoints=("[SWAP]",))
OLD = Content(device="vda1", type="ext4", label="old")


@pytest.mark.parametrize(
    ("update", "firmware", "expected"),
    [
        ({}, "uefi", []),
        ({"contents": (OLD,)}, "uefi", []),
        ({"size_bytes": 8 * GIB}, "uefi", []),
        ({"size_bytes": 8 * GIB - 512}, "uefi", [("target-size", "blocking")]),
        ({"contents": (OLD, MOUNTED)}, "uefi", [("target-in-use", "blocking")]),
        ({"contents": (SWAP,)}, "uefi", [("target-in-use", "blocking")]),
        ({"boot_medium": True, "contents": (MOUNTED,)}, "uefi", [("target-medium", "blocking")]),
        ({"read_only": True}, "uefi", [("target-read-only", "blocking")]),
        ({"logical_sector_bytes": 4096}, "uefi", []),
        ({"logical_sector_bytes": 4096}, "bios", [("target-4kn-bios", "blocking")]),
        ({"physical_sector_bytes": 4096}, "bios", []),
        ({"removable": True}, "uefi", [("target-removable", "warning")]),
        ({"bus": "usb"}, "uefi", [("target-removable", "warning")]),
        (
            {"size_bytes": GIB, "read_only": True},
            "uefi",
            [("target-size", "blocking"), ("target-read-only", "blocking")],
        ),
    ],
)
def test_target(update: dict[str, Any], firmware: str, expected: list[tuple[str, str]]) -> None:
    disk = BLANK.model_copy(update=update)
    findings = check_target(
        changed(disks=(disk,), firmware=Firmware.model_validate({"mode": firmware})), disk
    )
    assert troubles(findings) == expected
    assert all(finding.todo for finding in findings if finding.severity != "ok")


def test_a_good_target_passes_every_check_by_its_stable_name() -> None:
    findings = check_target(FOUR, FOUR.disks[1])
    ids = {finding.id for finding in findings}
    assert ids >= {*TARGET_BASICS, "target-bmc-virtual", "target-fake-raid"}
    assert not troubles(findings)
    assert {finding.device for finding in findings} == {"/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_DISKB"}


TARGET_BASICS = {
    f"target-{name}"
    for name in ("medium", "in-use", "seen-twice", "size", "read-only", "4kn-bios", "removable")
}


def small(**update: Any) -> Disk:
    return BLANK.model_copy(update={"size_bytes": 4 * GIB, "removable": True, **update})


def test_only_what_blocks_becomes_a_problem_and_it_tells_the_measured_value() -> None:
    problems = blocking_problems(check_target(VIRTIO, small()))
    assert "\n".join(map(str, problems)) == (
        "/dev/disk/by-id/virtio-SLIPWAY0: is smaller than 8 GiB (4.0 GiB, 4294967296 bytes); "
        "choose a disk of at least 8 GiB, better 32 GiB or more"
    )


def test_a_use_is_told_with_device_and_mountpoint() -> None:
    disk = small(size_bytes=8 * GIB, contents=(MOUNTED, SWAP))
    (problem,) = blocking_problems(check_target(VIRTIO, disk))
    assert problem.what == "is in use (vda2 on /mnt, /srv; vda3 on [SWAP])"


TWIN = small(name="vdb", path="/dev/vdb", ids=(), size_bytes=64 * GIB)


@pytest.mark.parametrize(
    ("update", "blocks"),
    [
        ({}, True),
        ({"wwn": "0x5000", "serial": "other"}, True),
        ({"serial": "other"}, False),
        # Two namespaces of one NVMe drive.
        ({"wwn": "0x5001"}, False),
        ({"size_bytes": 32 * GIB}, False),
    ],
)
def test_a_disk_that_is_seen_twice_is_no_target(update: dict[str, Any], blocks: bool) -> None:  # noqa: FBT001 - a row
    disk = small(size_bytes=64 * GIB, wwn="0x5000")
    machine = VIRTIO.model_copy(update={"disks": (disk, TWIN.model_copy(update=update))})
    found = [finding.id for finding in check_target(machine, disk) if finding.severity == "blocking"]
    assert found == (["target-seen-twice"] if blocks else [])


BOOT = Content(device="vda2", type="ext4", mountpoints=("/",))


def test_data_disks_are_not_the_boot_medium_nor_what_the_system_runs_from() -> None:
    disks = (BLANK.model_copy(update={"contents": (BOOT,)}), *FOUR.disks)
    node = changed(disks=disks)
    assert [disk.name for disk in disks_for(node, "system")] == ["vda", "sda", "sdb", "sdc", "sdd"]
    assert [disk.name for disk in disks_for(node, "ceph")] == ["sda", "sdb", "sdc", "sdd"]


def test_what_is_allowed_stops_nothing_and_what_makes_an_installation_impossible_is_never_allowed() -> None:
    disk = small(kind="bmc-virtual")
    findings = allow_findings(
        check_target(VIRTIO, disk), {"target-bmc-virtual", "target-medium", *NEVER_ALLOWED}
    )
    assert [problem.what for problem in blocking_problems(findings)] == [
        "is smaller than 8 GiB (4.0 GiB, 4294967296 bytes)"
    ]
    assert [finding.id for finding in findings if finding.allowed] == ["target-bmc-virtual"]


def test_what_is_well_on_many_disks_is_one_finding() -> None:
    found = [finding for finding in run_checks(FOUR, "ceph") if finding.id == "data-in-use"]
    assert [(finding.device, finding.severity) for finding in found] == [("each of 4 disks", "ok")]


def test_a_node_that_stores_data_is_told_of_its_system_disk_too() -> None:
    system = BLANK.model_copy(update={"contents": (BOOT,), "health": Health(source="smartctl", passed=False)})
    node = changed(disks=(system, *FOUR.disks))
    assert ("disk-failing", "blocking") in troubles(run_checks(node, "ceph"))


OSD = Content(device="sda", type="LVM2_member", vg="ceph-2b9a", vg_uuid="u")


@pytest.mark.parametrize(
    ("held", "node", "told"),
    [
        (OSD, True, False),
        (Content(device="sda", type="ceph_bluestore"), True, False),
        (Content(device="sda", type="zfs_member"), True, False),
        (Content(device="sda", type="LVM2_member", vg="guests", vg_uuid="u"), True, True),
        # Of a node that was here before: the live system knows nobody who uses it.
        (OSD, False, True),
    ],
)
def test_a_node_is_not_told_to_erase_its_own_osds(held: Content, node: bool, told: bool) -> None:  # noqa: FBT001 - a row
    system = BLANK.model_copy(update={"contents": (BOOT,) if node else ()})
    data = FOUR.disks[0].model_copy(update={"contents": (held,)})
    found = troubles(run_checks(changed(disks=(system, data)), "ceph"))
    assert (("data-not-empty", "warning") in found) == told


def two_paths() -> tuple[Disk, ...]:
    path = {
        "ids": (),
        "wwn": "0x5000",
        "kind": "multipath-path",
        "health": Health(source="smartctl", passed=False),
    }
    return FOUR.disks[0].model_copy(update=path), FOUR.disks[0].model_copy(
        update={**path, "name": "sdy", "path": "/dev/sdy"}
    )


def test_a_disk_with_two_paths_is_told_of_once_and_by_its_serial_number() -> None:
    found = [f for f in run_checks(changed(disks=two_paths()), "ceph") if f.severity == "blocking"]
    assert [finding.id for finding in found] == ["disk-failing", "disk-failing", "data-seen-twice"]
    assert found[0].measured.startswith("serial number DISKA: ")


@pytest.mark.parametrize("odd", [{"bus": "usb"}, {"kind": "virtual-disk"}])
def test_usb_bridges_and_volumes_may_share_a_serial_number(odd: dict[str, Any]) -> None:
    disk = small(size_bytes=64 * GIB, **odd)
    pair = VIRTIO.model_copy(update={"disks": (disk, disk.model_copy(update={"name": "vdb"}))})
    assert "target-seen-twice" not in {key for key, _ in troubles(check_target(pair, disk))}


def test_what_a_bmc_or_hypervisor_shows_stops_no_data_disks() -> None:
    floppy = BLANK.model_copy(
        update={"name": "sdz", "kind": "bmc-virtual", "bus": "usb", "size_bytes": GIB, "contents": (OLD,)}
    )
    card = Controller(address="0000:00:04.0", driver="virtio-pci", kind="virtual")
    disks = [
        BLANK.model_copy(update={"controller": at, "rotational": spins, "name": at, "serial": at})
        for at, spins in ((card.address, True), ("", False))
    ]
    found = troubles(run_checks(changed(disks=(*disks, floppy), controllers=(card,)), "ceph"))
    assert found == [("data-bmc-virtual", "warning")]


def test_the_disk_that_a_node_needs_and_its_boot_card_are_no_data_disks() -> None:
    boss = BLANK.model_copy(
        update={"name": "sdk", "model": "DELLBOSS VD", "serial": "b", "kind": "virtual-disk"}
    )
    nothing = ("data-present", "blocking")
    assert nothing in troubles(run_checks(VIRTIO, "ceph"))
    assert nothing in troubles(run_checks(changed(disks=(boss,)), "ceph"))
    assert not troubles(run_checks(changed(disks=(*VIRTIO.disks, boss)), "ceph"))
    node = BLANK.model_copy(update={"name": "vdb", "serial": "other", "contents": (BOOT,)})
    assert not troubles(run_checks(changed(disks=(*VIRTIO.disks, node)), "ceph"))


def test_a_sata_controller_in_raid_mode_without_drives_hides_none() -> None:
    card = Controller(address="0000:00:17.0", driver="ahci", kind="ahci", mode="raid")
    disk = BLANK.model_copy(update={"controller": "0000:00:04.0"})
    assert not troubles(run_checks(changed(disks=(disk,), controllers=(card,))))
